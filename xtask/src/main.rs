//! Every chore of the project: `cargo xtask <chore>`.
//!
//! A chore says what it runs before it runs it, and asks nobody anything. It contains no protocol and no measurement:
//! those are in the crates it builds and starts.

mod bench;
mod demo;
mod ebpf;
mod fuzz;
mod lint;
mod setup;
mod shell;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Every chore of the project")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Bring up a core, register phones, carry their traffic through XDP, and print what was measured
    Demo(demo::Options),
    /// Run all tests: units, documentation, fuzz corpora, real packets
    Test(test::Options),
    /// Formatting, clippy, licences, import directions, file lengths
    Lint(lint::Options),
    /// Measure, as ratios within one run
    Bench(bench::Options),
    /// Build the eBPF programs from source
    Ebpf,
    /// Run each fuzz target for some time
    Fuzz(fuzz::Options),
    /// Say what this machine lacks, and install it
    Setup,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Demo(options) => demo::run(&options),
        Chore::Test(options) => test::run(&options),
        Chore::Lint(options) => lint::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Ebpf => ebpf::run(),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Setup => setup::run(&setup::Purpose::ALL),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
