//! Starts a bench in a release build.

use crate::{
    setup::{self, Purpose},
    shell::{self, cargo, target_dir},
};
use std::process::Command;

/// `cargo xtask bench attach --json FILE`; everything after the name is the bench's own.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which one: fastpath, attach, startup; `--help` lists them and what they take
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    setup::run(&[Purpose::Build, Purpose::Packets])?;
    let mut build = cargo(&["build", "--release", "--package", "coeur-bench", "--package", "coeur"]);
    shell::run(build.args(["--package", "coeur-upf", "--package", "coeur-ran"]))?;
    let release = target_dir().join("release");
    let mut bench = Command::new(release.join("coeur-bench"));
    shell::run(bench.args(&options.arguments).env("COEUR_BIN_DIR", release))
}
