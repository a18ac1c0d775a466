//! `coeur-upf`: run a user plane, ask what an interface can do, prepare the far end of a veth.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use coeur_slowpath::GTPU_PORT;
use coeur_upf::config::Config;
use coeur_upf::daemon::Daemon;
use coeur_upf::{kernel, privileges};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(version, about = "User plane of a 5G core: GTP-U in eBPF, PFCP beside it.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load the fast path and serve PFCP until SIGTERM; the fast path then goes on forwarding.
    Run {
        /// Configuration in TOML.
        #[arg(long)]
        config: PathBuf,
        /// On the way out, take programs and tables away instead of leaving them at work.
        #[arg(long)]
        detach_on_exit: bool,
    },
    /// Say what the drivers of interfaces can do, and which path follows.
    Probe {
        /// All of this network namespace but the loopback, if none is named.
        interfaces: Vec<String>,
        /// One JSON array on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Keep a program at an interface that passes everything, until SIGTERM: the far end of a veth needs one to receive
    /// redirected frames.
    XdpPass { interface: String },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).init();
    let result = match arguments.command {
        Command::Run { config, detach_on_exit } => run(&config, detach_on_exit),
        Command::Probe { interfaces, json } => probe(&interfaces, json),
        Command::XdpPass { interface } => xdp_pass(&interface),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &std::path::Path, detach_on_exit: bool) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let tables = kernel::start(&config)?;
    // Before there is any other thread: capabilities are a thread's.
    privileges::drop_all_but_needed().context("cannot give up capabilities")?;
    // One thread serves all: what is fast does not pass here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tables = runtime.block_on(async {
        let daemon = Daemon::open(config, tables, GTPU_PORT).await?;
        let stop = stopped()?;
        println!("{}", daemon.ready_line()?);
        daemon.run(stop).await
    })?;
    if detach_on_exit {
        kernel::remove(tables)?;
        tracing::info!("stopped; programs and tables are gone");
    } else {
        tracing::info!("stopped; the fast path goes on forwarding");
    }
    Ok(())
}

/// SIGTERM, or SIGINT.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// From the process's own view of its namespace: `/sys/class/net` shows that of whoever mounted it.
fn all_interfaces() -> anyhow::Result<Vec<String>> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").context("/proc/thread-self/net/dev")?;
    // Two lines of headings, then `name: counters`.
    let names = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).filter(|name| name != "lo").collect())
}

fn probe(interfaces: &[String], json: bool) -> anyhow::Result<()> {
    let all = if interfaces.is_empty() { all_interfaces()? } else { Vec::new() };
    let interfaces = if interfaces.is_empty() { &all } else { interfaces };
    let probe = |interface: &String| coeur_fastpath::probe(interface).with_context(|| format!("interface {interface}"));
    let reports = interfaces.iter().map(probe).collect::<anyhow::Result<Vec<_>>>()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        reports.iter().for_each(|report| println!("{}", kernel::describe(report)));
    }
    Ok(())
}

fn xdp_pass(interface: &str) -> anyhow::Result<()> {
    let program = coeur_fastpath::attach_pass(interface)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stopped()?;
        println!("{}", serde_json::json!({ "event": "ready", "interface": interface }));
        stop.await;
        Ok::<_, std::io::Error>(())
    })?;
    drop(program);
    Ok(())
}
