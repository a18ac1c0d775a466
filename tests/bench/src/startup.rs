//! `bench startup`: from the start of `coeur up` to NG Setup accepted, on a store that holds subscribers.

use crate::figure::Figure;
use anyhow::Context as _;
use coeur_e2e::{Binaries, Lifetime, Path, RanOptions, Running, percentile};
use std::time::Duration;

const TRIALS: usize = 5;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Subscribers in the store
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    subscribers: u32,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let binaries = Binaries::find()?;
    let mut running = Running::start(&binaries, Path::Auto, Lifetime::Guarded)?;
    running.import(&coeur_e2e::subscribers(options.subscribers))?;
    let mut ready: Vec<Duration> = Vec::new();
    for trial in 1..=TRIALS {
        eprintln!("start {trial} of {TRIALS}");
        running.restart()?;
        // The simulator tries again every half second only: it is started when somebody listens. Its start is counted.
        running.wait_ready()?;
        let mut phones = running.phones(&RanOptions::passing(1))?;
        phones.wait_attached()?;
        let accepted = phones.ng_setup.context("NG Setup was not accepted")?;
        ready.push(accepted.saturating_duration_since(running.up.started()));
        phones.process.wait(Duration::from_secs(20))?;
    }
    let figure = |case: &str, percent| {
        let value = percentile(&ready, percent).unwrap_or_default().as_secs_f64() * 1e3;
        Figure::cost("startup", case, u64::from(options.subscribers), "", value, "ms")
    };
    Ok(vec![figure("ready median", 50), figure("ready worst", 100)])
}
