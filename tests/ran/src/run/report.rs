//! What is told: JSON lines, the latency table, failures by cause.

use super::n3::Counters;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// Distinct texts kept of failures and violations; what is beyond is counted as "others".
const TEXTS_MAX: usize = 64;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Registration,
    Session,
    /// Both: from the first message to the last session.
    Attach,
    Service,
    Deregistration,
}

impl Step {
    const ALL: [Self; 5] = [Self::Registration, Self::Session, Self::Attach, Self::Service, Self::Deregistration];

    fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Session => "session",
            Self::Attach => "attach",
            Self::Service => "service",
            Self::Deregistration => "deregistration",
        }
    }
}

pub(super) struct Report {
    sink: Option<Box<dyn Write>>,
    /// stdout carries the JSON lines: the table goes to stderr.
    on_stdout: bool,
    summary_only: bool,
    /// Microseconds.
    latencies: [Vec<u32>; Step::ALL.len()],
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) violations: BTreeMap<String, u64>,
}

impl Report {
    pub(super) fn open(path: Option<&Path>, summary_only: bool) -> anyhow::Result<Self> {
        let on_stdout = path.is_some_and(|path| path.as_os_str() == "-");
        let sink: Option<Box<dyn Write>> = match path {
            None => None,
            Some(_) if on_stdout => Some(Box::new(BufWriter::new(io::stdout()))),
            Some(path) => {
                let file = File::create(path).with_context(|| path.display().to_string())?;
                Some(Box::new(BufWriter::new(file)))
            }
        };
        Ok(Self {
            sink,
            on_stdout,
            summary_only,
            latencies: Default::default(),
            failures: BTreeMap::new(),
            violations: BTreeMap::new(),
        })
    }

    /// One line. It is on its way after [`Report::flush`].
    pub(super) fn event(&mut self, make: impl FnOnce() -> Value) {
        if !self.summary_only {
            self.line(make);
        }
    }

    fn line(&mut self, make: impl FnOnce() -> Value) {
        let Some(sink) = &mut self.sink else { return };
        if let Err(error) = writeln!(sink, "{}", make()) {
            // Nobody reads any more. What was asked for goes on.
            tracing::warn!(%error, "JSON lines");
            self.sink = None;
        }
    }

    pub(super) fn flush(&mut self) {
        if let Some(Err(error)) = self.sink.as_mut().map(Write::flush) {
            tracing::warn!(%error, "JSON lines");
            self.sink = None;
        }
    }

    pub(super) fn took(&mut self, step: Step, time: Duration) {
        self.latencies[step as usize].push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    pub(super) fn failure(&mut self, text: String) {
        count(&mut self.failures, text);
    }

    pub(super) fn violation(&mut self, text: String) {
        count(&mut self.violations, text);
    }

    pub(super) fn summary(&mut self, mut summary: Value) {
        for step in Step::ALL {
            let figures = Figures::of(&mut self.latencies[step as usize]);
            summary[format!("{}_ms", step.name())] = figures.map_or(Value::Null, |figures| figures.json());
        }
        summary["event"] = "summary".into();
        summary["failures"] = json!(self.failures);
        summary["violations"] = json!(self.violations);
        let table = self.table();
        self.line(|| summary);
        self.flush();
        let written = match self.on_stdout {
            true => io::stderr().write_all(table.as_bytes()),
            false => io::stdout().write_all(table.as_bytes()),
        };
        // A closed terminal is nobody's fault.
        drop(written);
    }

    fn table(&mut self) -> String {
        let mut text =
            format!("{:<15} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "ms", "n", "min", "p50", "p90", "p99", "max");
        for step in Step::ALL {
            if let Some(f) = Figures::of(&mut self.latencies[step as usize]) {
                let name = step.name();
                let _ = writeln!(
                    text,
                    "{name:<15} {:>8} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                    f.n, f.min, f.p50, f.p90, f.p99, f.max
                );
            }
        }
        for (title, counts) in [("failures", &self.failures), ("violations", &self.violations)] {
            for (what, count) in counts {
                let _ = writeln!(text, "{title}: {count} x {what}");
            }
        }
        text
    }
}

fn count(counts: &mut BTreeMap<String, u64>, text: String) {
    let known = counts.len() < TEXTS_MAX || counts.contains_key(&text);
    *counts.entry(if known { text } else { "others".into() }).or_default() += 1;
}

/// Milliseconds.
struct Figures {
    n: usize,
    min: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Figures {
    /// By nearest rank.
    fn of(micros: &mut [u32]) -> Option<Self> {
        micros.sort_unstable();
        let (first, last) = (micros.first()?, micros.last()?);
        let ms = |micros: u32| f64::from(micros) / 1e3;
        let rank = |percent: usize| ms(micros[(micros.len() * percent).div_ceil(100).max(1) - 1]);
        Some(Self { n: micros.len(), min: ms(*first), p50: rank(50), p90: rank(90), p99: rank(99), max: ms(*last) })
    }

    fn json(&self) -> Value {
        let Self { n, min, p50, p90, p99, max } = self;
        json!({ "n": n, "min": min, "p50": p50, "p90": p90, "p99": p99, "max": max })
    }
}

pub(super) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// CPU time and memory of this process: a benchmark takes them apart from the core's.
pub(super) fn usage() -> Value {
    // SAFETY: a `rusage` of zeros is a valid one: plain numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `rusage` that lives across the call.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0 {
        return Value::Null;
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    json!({ "user_s": seconds(usage.ru_utime), "system_s": seconds(usage.ru_stime), "rss_max_kib": usage.ru_maxrss })
}

pub(super) fn n3_json(counters: Option<&Counters>) -> Value {
    counters.map_or(Value::Null, |counters| json!(counters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_by_nearest_rank() {
        let mut micros: Vec<u32> = (1..=100).rev().map(|n| n * 1_000).collect();
        let figures = Figures::of(&mut micros).unwrap();
        let seen = (figures.n, figures.min, figures.p50, figures.p90, figures.p99, figures.max);
        assert_eq!(seen, (100, 1.0, 50.0, 90.0, 99.0, 100.0));
        assert!(Figures::of(&mut []).is_none());
    }

    #[test]
    fn texts_are_bounded() {
        let mut counts = BTreeMap::new();
        for n in 0..TEXTS_MAX + 10 {
            count(&mut counts, n.to_string());
        }
        assert_eq!(counts.len(), TEXTS_MAX + 1);
        assert_eq!(counts["others"], 10);
    }
}
