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
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A machine's own triple must be named, else build scripts would be instrumented too.
const TRIPLE: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// Memory of one target; more is a finding.
const MEMORY_MAX_MB: u32 = 2048;
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

/// Runs each of `names` for `seconds`; how many. The first that finds something ends the chore.
pub(crate) fn smoke(names: &[String], seconds: u32) -> anyhow::Result<usize> {
    let program = build()?;
    for (index, name) in names.iter().enumerate() {
        say(&format!("fuzz {name} for {seconds} s ({} of {})", index + 1, names.len()));
        run_one(&program, name, seconds)?;
    }
    Ok(names.len())
}

fn build() -> anyhow::Result<PathBuf> {
    let directory = target_dir().join("fuzz");
    let mut command = cargo(&["build", "--release", "--package", "coeur-fuzz", "--features", "libfuzzer"]);
    command.args(["--bin", "coeur-fuzz", "--target", TRIPLE, "--target-dir"]).arg(&directory);
    command.env("RUSTFLAGS", COVERAGE);
    shell::run(&mut command)?;
    Ok(directory.join(TRIPLE).join("release/coeur-fuzz"))
}

fn run_one(program: &Path, name: &str, seconds: u32) -> anyhow::Result<()> {
    let work = target_dir().join("fuzz-corpus").join(name);
    let found = work.join("found");
    fs::create_dir_all(&found)?;
    let mut command = Command::new(program);
    command.current_dir(root()).env("COEUR_FUZZ_TARGET", name);
    command.args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MEMORY_MAX_MB}")]);
    command.args([format!("-timeout={INPUT_MAX_S}"), "-print_final_stats=1".into(), "-verbosity=0".into()]);
    command.arg(format!("-artifact_prefix={}/", found.display()));
    // New inputs go to the first folder; what is kept for good is the second, and stays as it is.
    let fresh = work.join("corpus");
    fs::create_dir_all(&fresh)?;
    command.arg(&fresh).arg(corpus().join(name));
    let status = command.status().with_context(|| program.display().to_string())?;
    ensure!(
        status.success(),
        "fuzz target {name} found something ({status}); hint: it is in {}, give it a name in {} once it is mended",
        found.display(),
        corpus().join(name).display(),
    );
    Ok(())
}

fn corpus() -> PathBuf {
    root().join("tests/fuzz/corpus")
}
