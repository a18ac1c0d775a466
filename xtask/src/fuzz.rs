//! Runs each fuzz target under libFuzzer, with coverage, on the stable toolchain.
//!
//! What cargo-fuzz does, without the nightly toolchain that it asks for: the sanitizer that makes libFuzzer see coverage
//! is an LLVM pass, and stable can run it. Only the address sanitizer needs nightly; safe Rust has little for it to find.

use crate::{
    setup::{self, Purpose},
    shell::{self, cargo, root, say, target_dir},
};
use anyhow::{Context as _, bail, ensure};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A machine's own triple must be named, else build scripts would be instrumented too.
const TRIPLE: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// Memory of one target; more is a finding.
const MEMORY_MAX_MB: u32 = 2048;
/// Lines of libFuzzer's log that a finding quotes: the panic stands before the stack.
const LOG_LINES: usize = 40;
/// One input may take this long.
const INPUT_MAX_S: u32 = 10;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Targets to run; all if none is named
    targets: Vec<String>,
    /// How long to run each
    #[arg(long, default_value_t = 30)]
    seconds: u32,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    setup::run(&[Purpose::Build, Purpose::Fuzz])?;
    let all = targets()?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        bail!("no fuzz target {unknown}; there are: {}", all.join(", "));
    }
    let chosen = if options.targets.is_empty() { &all } else { &options.targets };
    smoke(chosen, options.seconds).map(drop)
}

/// Every target has a folder in the corpus, so this needs nothing to be built.
pub(crate) fn targets() -> anyhow::Result<Vec<String>> {
    let corpus = corpus();
    let entries = fs::read_dir(&corpus).with_context(|| corpus.display().to_string())?;
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Runs each of `names` for `seconds`, one on each processor; how many. All that find something are named.
pub(crate) fn smoke(names: &[String], seconds: u32) -> anyhow::Result<usize> {
    let program = build()?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(names.len());
    say(&format!("fuzz {} targets, {seconds} s each, {workers} at a time", names.len()));
    let next = Mutex::new(names.iter());
    let findings = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(name) = lock(&next).next() {
                    match run_one(&program, name, seconds) {
                        Ok(executions) => eprintln!("    {name}: nothing found in {executions} inputs"),
                        Err(error) => lock(&findings).push(format!("{error:#}")),
                    }
                }
            });
        }
    });
    let findings = findings.into_inner().unwrap_or_default();
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(names.len())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn build() -> anyhow::Result<PathBuf> {
    let directory = target_dir().join("fuzz");
    let mut command = cargo(&["build", "--release", "--package", "coeur-fuzz", "--features", "libfuzzer"]);
    command.args(["--bin", "coeur-fuzz", "--target", TRIPLE, "--target-dir"]).arg(&directory);
    // A build that is quick beats a program that is: coverage is what finds things.
    command.env("RUSTFLAGS", COVERAGE).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    shell::run(&mut command)?;
    Ok(directory.join(TRIPLE).join("release/coeur-fuzz"))
}

/// How many inputs were tried. What libFuzzer says goes into a log, whose end a finding quotes.
fn run_one(program: &Path, name: &str, seconds: u32) -> anyhow::Result<u64> {
    let work = target_dir().join("fuzz-corpus").join(name);
    let (found, fresh, log) = (work.join("found"), work.join("corpus"), work.join("log"));
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&fresh)?;
    let output = File::create(&log)?;
    let mut command = Command::new(program);
    command.current_dir(root()).env("COEUR_FUZZ_TARGET", name).stdout(output.try_clone()?).stderr(output);
    command.args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MEMORY_MAX_MB}")]);
    command.args([format!("-timeout={INPUT_MAX_S}"), "-print_final_stats=1".into(), "-print_funcs=0".into()]);
    command.arg(format!("-artifact_prefix={}/", found.display()));
    // New inputs go to the first folder; what is kept for good is the second, and stays as it is.
    let status =
        command.arg(&fresh).arg(corpus().join(name)).status().with_context(|| program.display().to_string())?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    ensure!(
        status.success(),
        "fuzz target {name} found something ({status}); hint: it is in {}, give it a name in {} once it is mended\n{}",
        found.display(),
        corpus().join(name).display(),
        last_lines(&said),
    );
    let executions = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok(executions.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

fn corpus() -> PathBuf {
    root().join("tests/fuzz/corpus")
}
