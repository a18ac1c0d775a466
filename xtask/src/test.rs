//! Runs all tests, and closes with one line that counts them.

use crate::{
    ebpf, fuzz,
    setup::{self, Purpose},
    shell::{self, cargo, say, target_dir},
};
use anyhow::{Context as _, bail, ensure};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only tests whose name contains this
    filter: Option<String>,
    /// Also run each fuzz target this long
    #[arg(long, value_name = "S")]
    fuzz_seconds: Option<u32>,
}

/// What the runners counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    setup::run(&[Purpose::Build, Purpose::Packets, Purpose::Test])?;
    // The end-to-end tests start these.
    shell::run(&mut cargo(&["build", "--package", "coeur", "--package", "coeur-upf", "--package", "coeur-ran"]))?;
    let mut count = Count::default();
    let mut failures = Vec::new();

    let mut nextest = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
    nextest.args(ebpf::excluded()).args(options.filter.as_deref()).env("COEUR_BIN_DIR", target_dir().join("debug"));
    count.run(&mut nextest, nextest_summary, &mut failures)?;

    let mut doc = cargo(&["test", "--doc", "--workspace", "--no-fail-fast"]);
    doc.args(ebpf::excluded());
    count.run(doc.args(options.filter.as_deref()), libtest_summary, &mut failures)?;

    if let Some(seconds) = options.fuzz_seconds {
        setup::run(&[Purpose::Fuzz])?;
        match fuzz::targets().and_then(|targets| fuzz::smoke(&targets, seconds)) {
            Ok(targets) => count.passed += targets as u64,
            Err(error) => {
                count.failed += 1;
                failures.push(format!("{error:#}"));
            }
        }
    }
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    ensure!(count.passed + count.failed > 0, "no test was run");
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

impl Count {
    /// Runs a test runner, passes on what it prints, and adds what `summary` reads from its lines.
    fn run(
        &mut self,
        command: &mut Command,
        summary: fn(&str) -> Option<Self>,
        failures: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        say(&shell::line(command));
        // Both runners' summaries go where their progress goes: nextest's to stderr, libtest's to stdout.
        let (reader, writer) = std::io::pipe()?;
        let mut child = command.stdout(writer.try_clone()?).stderr(writer).stdin(Stdio::null()).spawn()?;
        // Else this end of the pipe stays open in `command`, and reading never ends.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        for line in BufReader::new(reader).split(b'\n') {
            let line = line.context("reading what the tests print")?;
            let text = String::from_utf8_lossy(&line);
            println!("{text}");
            if let Some(more) = summary(&text) {
                self.passed += more.passed;
                self.failed += more.failed;
                self.skipped += more.skipped;
            }
        }
        let status = child.wait()?;
        if !status.success() {
            failures.push(format!("{}: {status}", shell::line(command)));
        }
        Ok(())
    }
}

/// `     Summary [   2.464s] 11 tests run: 10 passed (1 slow), 1 failed, 0 skipped`
fn nextest_summary(line: &str) -> Option<Count> {
    let (_, counts) = line.trim_start().strip_prefix("Summary [")?.split_once(':')?;
    let failed = number_before(counts, "failed") + number_before(counts, "timed out");
    Some(Count { passed: number_before(counts, "passed"), failed, skipped: number_before(counts, "skipped") })
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s`
fn libtest_summary(line: &str) -> Option<Count> {
    let counts = line.strip_prefix("test result: ")?;
    let skipped = number_before(counts, "ignored") + number_before(counts, "filtered out");
    Some(Count { passed: number_before(counts, "passed"), failed: number_before(counts, "failed"), skipped })
}

/// The number in front of `word`; none is 0.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split_once(word).map_or("", |(before, _)| before).trim_end();
    before.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summaries_of_both_runners_are_read() {
        for (line, expected) in [
            ("     Summary [   2.464s] 11 tests run: 11 passed, 0 skipped", Some((11, 0, 0))),
            (
                "     Summary [  12.001s] 13 tests run: 10 passed (2 slow), 2 failed, 1 timed out, 4 skipped",
                Some((10, 3, 4)),
            ),
            ("        PASS [   0.005s] coeur-e2e ping", None),
        ] {
            let count = nextest_summary(line).map(|count| (count.passed, count.failed, count.skipped));
            assert_eq!(count, expected, "{line}");
        }
        let line = "test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.02s";
        assert_eq!(libtest_summary(line), Some(Count { passed: 3, failed: 1, skipped: 3 }));
        assert_eq!(libtest_summary("running 3 tests"), None);
    }

    #[test]
    fn the_closing_lines_of_a_real_run_are_found_in_order() {
        assert_eq!(number_before(" 10 passed (2 slow), 2 failed", "failed"), 2);
        assert_eq!(number_before("ok", "failed"), 0);
    }
}
