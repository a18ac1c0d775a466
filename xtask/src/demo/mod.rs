//! `cargo xtask demo`: a core, phones, their traffic, and what was measured.
//!
//! Three namespaces joined by veth pairs stand for the radio site, the core and the data network. Everything that is
//! started lives in them, and goes with them: at the end, after Ctrl-C, and after a crash at the next start.

mod report;
mod traffic;

use crate::{
    setup::{self, Purpose},
    shell::{self, cargo, say, target_dir},
};
use anyhow::{Context as _, bail, ensure};
use coeur_e2e::{Binaries, CoreFile, Leftover, Lifetime, Path, RanOptions, Running};
use report::Report;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Phones to register
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    ues: u32,
    /// Which way packets take; the user plane chooses unless told
    #[arg(long, value_enum, default_value_t = PathChoice::Auto)]
    path: PathChoice,
    /// Leave everything running at the end
    #[arg(long)]
    keep: bool,
    /// Take away what --keep left
    #[arg(long, conflicts_with_all = ["keep", "json"])]
    stop: bool,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Build for debugging: quicker to build, figures mean nothing
    #[arg(long)]
    dev: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PathChoice {
    Auto,
    Xdp,
    Tc,
    Generic,
}

impl From<PathChoice> for Path {
    fn from(choice: PathChoice) -> Self {
        match choice {
            PathChoice::Auto => Self::Auto,
            PathChoice::Xdp => Self::Xdp,
            PathChoice::Tc => Self::Tc,
            PathChoice::Generic => Self::Generic,
        }
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if options.stop {
        return stop();
    }
    ensure!(shell::is_root(), "the demo makes network namespaces and loads eBPF programs; hint: run it as root");
    setup::run(&[Purpose::Build, Purpose::Packets])?;
    let binaries = build(options.dev)?;
    coeur_e2e::clean_up_on_signal()?;
    match coeur_e2e::clean_up_dead() {
        0 => {}
        count => say(&format!("took away what {count} crashed run(s) had left")),
    }
    let report = bring_up(options, &binaries)?;
    println!("\n{report}");
    if let Some(file) = &options.json {
        std::fs::write(file, format!("{:#}\n", report.json())).with_context(|| file.display().to_string())?;
    }
    report.judge()
}

fn build(dev: bool) -> anyhow::Result<Binaries> {
    let mut build = cargo(&["build", "--package", "coeur", "--package", "coeur-upf", "--package", "coeur-ran"]);
    build.args((!dev).then_some("--release"));
    shell::run(&mut build)?;
    Binaries::in_directory(&target_dir().join(if dev { "debug" } else { "release" }))
}

/// Everything between the first namespace and the last figure.
fn bring_up(options: &Options, binaries: &Binaries) -> anyhow::Result<Report> {
    let lifetime = if options.keep { Lifetime::Kept } else { Lifetime::Guarded };
    say("namespaces ran, core and dn; coeur up");
    let mut running = Running::start(binaries, options.path.into(), lifetime)?;
    say(&format!("{} subscribers", options.ues));
    running.import(&coeur_e2e::subscribers(options.ues))?;
    say("coeur up again, on the store that it now has, and the phones");
    running.restart()?;
    running.wait_ready()?;
    let mut phones = running.phones(&RanOptions::holding(options.ues))?;
    phones.wait_attached()?;

    let mut report = Report::new(options.ues, &phones, running.up.started());
    say("ping, from each phone to the data network and back");
    report.ping = traffic::ping(&running.lab, &phones.sessions)?;
    say("TCP, up and down");
    report.tcp = Some(traffic::tcp(&running.lab, &phones.sessions)?);
    report.count_packets(&running.upf_samples()?, options.path.into());
    if options.keep {
        running.lab.workdir.keep()?;
        report.how_to_look = how_to_look(&running);
    } else {
        say("taking everything away");
        phones.process.stop();
        running.up.stop();
    }
    Ok(report)
}

fn how_to_look(running: &Running) -> String {
    let (core, ran, dn) = (running.lab.core.name(), running.lab.ran.name(), running.lab.dn.name());
    let (coeur, directory) = (running.binaries.coeur.display(), running.lab.workdir.path().display());
    let (core_port, upf_port) = (CoreFile::CORE_METRICS_PORT, CoreFile::UPF_METRICS_PORT);
    format!(
        "It is still running, in namespaces {ran}, {core} and {dn}; configuration, store and logs are in {directory}.\n\
         \x20 ip netns exec {core} {coeur} status --config {directory}/coeur.toml\n\
         \x20 ip netns exec {core} {coeur} session list --config {directory}/coeur.toml\n\
         \x20 ip netns exec {core} curl http://127.0.0.1:{core_port}/metrics     # the core\n\
         \x20 ip netns exec {core} curl http://127.0.0.1:{upf_port}/metrics     # the user plane\n\
         \x20 ip netns exec {ran} ip address                              # one interface a phone\n\
         Stop it:\n\
         \x20 cargo xtask demo --stop"
    )
}

fn stop() -> anyhow::Result<()> {
    let kept: Vec<_> = Leftover::all();
    if kept.is_empty() {
        bail!("nothing was left running");
    }
    for run in &kept {
        say(&format!("taking away run {}", run.tag));
        coeur_e2e::remove(&run.tag);
    }
    Ok(())
}
