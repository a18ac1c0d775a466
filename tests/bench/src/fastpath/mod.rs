//! `bench fastpath`: what the unmodified programs cost a packet, beside the floors, in one run.
//!
//! `BPF_PROG_TEST_RUN` of a wrapper (`ebpf/bench`): for each repeat it checks what the measured program did to the previous
//! packet, restores the frame, draws a session at random and tail-calls the program. What the wrapper costs with a program
//! that returns at once is subtracted. Trials of all programs take turns, so that a slow moment of the machine hits all.

mod frames;
mod tables;
mod trial;

use crate::figure::Figure;
use anyhow::{Context as _, ensure};
use std::path::Path;
use tables::{SESSIONS_MAX, Tables};
use trial::Direction;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Numbers of sessions, each at most 1048576
    #[arg(long, value_delimiter = ',', default_values_t = [1, 1_000, 100_000, 1_000_000],
          value_parser = clap::value_parser!(u32).range(1..=i64::from(SESSIONS_MAX)))]
    n: Vec<u32>,
    /// Trials of each program; the median and the least are reported
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    trials: u32,
    /// Packets of a trial
    #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    packets: u32,
    /// The CPU to measure on
    #[arg(long, default_value_t = 0)]
    cpu: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    // SAFETY: reads a number.
    ensure!(unsafe { libc::geteuid() } == 0, "loading eBPF programs needs root");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace is two folders up")?;
    eprintln!("building the programs");
    let measured = std::fs::read(coeur_ebpf_build::build(root)?)?;
    let bench = std::fs::read(coeur_ebpf_build::build_package(root, coeur_ebpf_build::BENCH_PACKAGE)?)?;
    eprintln!("filling tables of {SESSIONS_MAX} sessions");
    let mut tables = Tables::load(&measured, &bench)?;
    pin_to(options.cpu)?;

    let mut figures = Vec::new();
    for direction in [Direction::Up, Direction::Down] {
        for &n in &options.n {
            eprintln!("{} {n}: {} trials of {} packets", direction.label(), options.trials, options.packets);
            let costs = trial::measure(&mut tables, direction, n, options.trials, options.packets)?;
            figures.extend(trial::figures(&costs, direction, n));
        }
    }
    Ok(figures)
}

/// Runs this thread on one CPU, so that a trial does not move between caches.
fn pin_to(cpu: usize) -> anyhow::Result<()> {
    // SAFETY: a set of our own, for this thread.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    ensure!(done == 0, "cannot pin to CPU {cpu}: {}", std::io::Error::last_os_error());
    Ok(())
}
