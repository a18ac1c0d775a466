//! `coeur-ran`: gNBs and phones that register at a core over real SCTP and carry traffic over real GTP-U.
//!
//! One thread, no task for each UE: the same binary brings up ten phones with an interface each, and loads a core with a
//! hundred thousand. Data goes to stdout, logs to stderr. Exit status: 0 all that was asked for happened, 1 some of it did
//! not, 2 it could not start.

mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "coeur-ran", about = "gNB and UE simulator and load generator")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up gNBs, register UEs, establish a session each.
    Run(Box<run::Options>),
}

fn main() -> ExitCode {
    let Arguments { command: Command::Run(options) } = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("COEUR_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .init();
    match run::run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
