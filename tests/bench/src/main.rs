//! Measures what the project promises, as ratios: each figure stands beside a floor measured in the same run.
//!
//! It does not judge: no figure here fails a test, because identical runs minutes apart move by up to 45 % on a shared
//! machine. `docs/performance.md` is where figures are kept and read.

mod attach;
mod fastpath;
mod figure;
mod startup;

use clap::{Parser, Subcommand};
use figure::Figure;
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "coeur-bench", about = "Measures Coeur, as ratios within one run")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// Also write the figures to this file, one JSON object a line
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

// A bench is one module with an `Options: clap::Args` and a `run(&Options) -> anyhow::Result<Vec<Figure>>`.
#[derive(Subcommand)]
enum Bench {
    /// Full registration and session: attaches per second of CPU, latency, memory a UE
    Attach(attach::Options),
    /// The programs in the kernel: nanoseconds a packet, beside the least that any program could do
    Fastpath(fastpath::Options),
    /// Time from process start to NG Setup accepted, on an initialised store
    Startup(startup::Options),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let figures: Vec<Figure> = match &arguments.bench {
        Bench::Attach(options) => attach::run(options)?,
        Bench::Fastpath(options) => fastpath::run(options)?,
        Bench::Startup(options) => startup::run(options)?,
    };
    figure::print_table(&figures);
    if let Some(file) = &arguments.json {
        figure::write_json(file, &figures)?;
    }
    Ok(())
}
