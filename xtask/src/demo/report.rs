//! The figures of a demo: as a table, as JSON, and whether all that was asked for happened.

use anyhow::bail;
use coeur_e2e::{Path, Phones, percentile, ping, scrape};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

/// Packets by the way that they took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Packets {
    xdp: u64,
    tc: u64,
    slow: u64,
}

#[derive(Debug)]
pub(super) struct Report {
    ues: u32,
    registered: u32,
    sessions: u32,
    /// From the start of `coeur up` to NG Setup accepted.
    ready: Option<Duration>,
    attach: Vec<Duration>,
    pub(super) ping: ping::Report,
    /// Megabit a second, up and down.
    pub(super) tcp: Option<(f64, f64)>,
    packets: Packets,
    asked: Path,
    pub(super) how_to_look: String,
}

impl Report {
    pub(super) fn new(ues: u32, phones: &Phones, started: Instant) -> Self {
        Self {
            ues,
            registered: phones.registered,
            sessions: phones.sessions.len() as u32,
            ready: phones.ng_setup.map(|at| at.saturating_duration_since(started)),
            attach: phones.attach.clone(),
            ping: ping::Report::default(),
            tcp: None,
            packets: Packets::default(),
            asked: Path::Auto,
            how_to_look:
                "It is all gone again; `cargo xtask demo --keep` leaves it running, with metrics on port 9091 (core) \
                          and 9092 (user plane)."
                    .into(),
        }
    }

    /// Reads the user plane's counters.
    pub(super) fn count_packets(&mut self, samples: &BTreeMap<String, f64>, asked: Path) {
        let of = |path: &str| scrape::sum(samples, "coeur_upf_packets_total", &[&format!("path=\"{path}\"")]) as u64;
        self.packets = Packets { xdp: of("xdp"), tc: of("tc"), slow: of("slow") };
        self.asked = asked;
    }

    pub(super) fn json(&self) -> Value {
        let (p50, p99) = (percentile(&self.attach, 50), percentile(&self.attach, 99));
        json!({
            "ues": self.ues,
            "registered": self.registered,
            "sessions": self.sessions,
            "ready_ms": self.ready.map(ms),
            "attach_ms": { "p50": p50.map(ms), "p99": p99.map(ms) },
            "ping_ms": percentile(&self.ping.rtts, 50).map(ms),
            "ping_lost": self.ping.lost(),
            "tcp_mbps": { "up": self.tcp.map(|(up, _)| round(up)), "down": self.tcp.map(|(_, down)| round(down)) },
            "packets": { "xdp": self.packets.xdp, "tc": self.packets.tc, "slow": self.packets.slow },
        })
    }

    /// An error that lists what was asked for and did not happen.
    pub(super) fn judge(&self) -> anyhow::Result<()> {
        let on_path = match self.asked {
            Path::Tc => self.packets.tc,
            Path::Xdp | Path::Generic => self.packets.xdp,
            Path::Auto => self.packets.xdp + self.packets.tc,
        };
        let moved = self.tcp.is_some_and(|(up, down)| up > 0.0 && down > 0.0);
        let checks = [
            (self.registered == self.ues, "not every phone registered"),
            (self.sessions == self.ues, "not every phone got a session"),
            (self.ready.is_some(), "NG Setup was not accepted"),
            (self.ping.sent > 0 && self.ping.lost() == 0, "pings were lost"),
            (moved, "a TCP transfer moved nothing"),
            (on_path > 0, "no packet took the path that was asked for"),
        ];
        let failed: Vec<&str> = checks.iter().filter(|(good, _)| !good).map(|(_, what)| *what).collect();
        if !failed.is_empty() {
            bail!("{}", failed.join("; "));
        }
        Ok(())
    }
}

fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e3)
}

/// To microseconds, or kilobits.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: Option<Duration>| time.map_or_else(|| "-".into(), |time| format!("{:.2} ms", ms(time)));
        let (up, down) = self.tcp.unwrap_or_default();
        let Packets { xdp, tc, slow } = self.packets;
        let rows = [
            ("phones registered, with a session", format!("{} and {} of {}", self.registered, self.sessions, self.ues)),
            ("ready (start to NG Setup accepted)", time(self.ready)),
            (
                "attach, p50 / p99",
                format!("{} / {}", time(percentile(&self.attach, 50)), time(percentile(&self.attach, 99))),
            ),
            (
                "ping, median; lost",
                format!("{}; {} of {}", time(percentile(&self.ping.rtts, 50)), self.ping.lost(), self.ping.sent),
            ),
            ("TCP up / down", format!("{up:.0} / {down:.0} Mbit/s")),
            ("packets by XDP / TC / slow path", format!("{xdp} / {tc} / {slow}")),
        ];
        for (what, value) in rows {
            writeln!(f, "  {what:<36} {value}")?;
        }
        write!(f, "\n{}", self.how_to_look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        Report {
            ues: 2,
            registered: 2,
            sessions: 2,
            ready: Some(Duration::from_millis(400)),
            attach: vec![Duration::from_millis(10), Duration::from_millis(12)],
            ping: ping::Report { sent: 1, rtts: vec![Duration::from_micros(250)] },
            tcp: Some((100.0, 200.0)),
            packets: Packets { xdp: 10, tc: 0, slow: 1 },
            asked: Path::Auto,
            how_to_look: String::new(),
        }
    }

    #[test]
    fn json_has_the_keys_that_readers_know() {
        assert_eq!(
            good().json(),
            json!({
                "ues": 2, "registered": 2, "sessions": 2, "ready_ms": 400.0, "attach_ms": { "p50": 10.0, "p99": 12.0 },
                "ping_ms": 0.25, "ping_lost": 0, "tcp_mbps": { "up": 100.0, "down": 200.0 },
                "packets": { "xdp": 10, "tc": 0, "slow": 1 },
            })
        );
    }

    #[test]
    fn whatever_did_not_happen_is_an_error() {
        assert!(good().judge().is_ok());
        for (broken, says) in [
            (Report { registered: 1, ..good() }, "registered"),
            (Report { sessions: 1, ..good() }, "session"),
            (Report { ready: None, ..good() }, "NG Setup"),
            (Report { ping: ping::Report { sent: 2, ..good().ping }, ..good() }, "pings"),
            (Report { tcp: Some((1.0, 0.0)), ..good() }, "TCP"),
            (Report { asked: Path::Tc, ..good() }, "path"),
        ] {
            let error = broken.judge().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
