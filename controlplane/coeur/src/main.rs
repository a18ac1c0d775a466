//! `coeur`: the platform (`coeur up`), one hosted core (`coeur core`), and the command line of the operator API.
//!
//! What this crate does not do: anything but reading arguments, calling the crate that does the work, and printing. Data goes
//! to stdout, everything else to stderr; docs/cli.md lists the exit codes.

mod cli;
mod client;
mod commands;
mod failure;
mod output;

use clap::Parser as _;
use cli::{Cli, Command};
use failure::Failure;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Instant;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let started = Instant::now();
    let cli = Cli::parse();
    // Whoever runs a daemon reads its log; whoever asks a question wants the answer alone.
    log(match cli.command {
        Command::Up(_) | Command::Core(_) => "info",
        _ => "warn",
    });
    match run(cli, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli, started: Instant) -> Result<(), Failure> {
    // One thread is enough for all: a core is a loop, and the kernel ties the life of the platform's children to the thread
    // that started them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(commands::run(cli, started))
}

/// `COEUR_LOG` says what is logged, as `debug` or `info,coeur_platform=debug`.
fn log(default: &str) {
    let filter = EnvFilter::try_from_env("COEUR_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::colour(std::io::stderr().is_terminal()))
        .init();
}
