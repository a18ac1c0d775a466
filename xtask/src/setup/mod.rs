//! What a machine needs, what of it is missing, and how it comes.
//!
//! Debian packages are installed when root, else the command to run is printed. Cargo tools are built from source at a
//! pinned version. Nothing is looked up when all is there.

mod needs;

pub(crate) use needs::Purpose;

use crate::shell::{self, say};
use anyhow::{bail, ensure};
use needs::{Fix, Need};
use std::{path::Path, process::Command};

const BPFFS: &str = "/sys/fs/bpf";

/// Installs what `purposes` need and this machine lacks.
pub(crate) fn run(purposes: &[Purpose]) -> anyhow::Result<()> {
    let missing: Vec<Need> = needs::all(purposes).into_iter().filter(|need| !(need.present)()).collect();
    for need in &missing {
        say(&format!("missing: {} ({})", need.what, need.why));
    }
    install_debian(&missing)?;
    install_cargo(&missing)?;
    for need in &missing {
        ensure!((need.present)(), "{} is still missing after its installation; hint: {}", need.what, need.fix.hint());
    }
    mount_bpffs()?;
    if missing.is_empty() && purposes.len() == Purpose::ALL.len() {
        say("nothing is missing");
    }
    Ok(())
}

fn install_debian(missing: &[Need]) -> anyhow::Result<()> {
    let packages: Vec<&str> = missing
        .iter()
        .filter_map(|need| if let Fix::Debian(packages) = need.fix { Some(packages) } else { None })
        .flatten()
        .copied()
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !coeur_e2e::on_path("apt-get") {
        bail!("this machine has no apt-get; install what these Debian packages hold: {}", packages.join(" "));
    }
    if !shell::is_root() {
        bail!("not root; run this, then try again:\n  sudo apt-get update && sudo {install}");
    }
    let apt = |arguments: &str| {
        let mut command = Command::new("apt-get");
        command.args(arguments.split(' ').skip(1)).env("DEBIAN_FRONTEND", "noninteractive");
        shell::run(&mut command)
    };
    apt("apt-get update")?;
    apt(&install)?;
    if packages.contains(&needs::PROMETHEUS) {
        stop_prometheus()?;
    }
    Ok(())
}

/// The package is wanted for promtool; its server would listen on port 9090 from now on.
fn stop_prometheus() -> anyhow::Result<()> {
    if !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    shell::run(Command::new("systemctl").args(["disable", "--now", needs::PROMETHEUS]))
}

fn install_cargo(missing: &[Need]) -> anyhow::Result<()> {
    for need in missing {
        if let Fix::Cargo { name, version } = need.fix {
            shell::run(&mut shell::cargo(&["install", "--locked", "--version", version, name]))?;
        }
    }
    Ok(())
}

/// Where programs and maps are pinned. Without root nothing can be mounted, nor loaded.
fn mount_bpffs() -> anyhow::Result<()> {
    let mounted = std::fs::read_to_string("/proc/mounts")?.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        (fields.next(), fields.next()) == (Some(BPFFS), Some("bpf"))
    });
    if mounted || !shell::is_root() || !Path::new(BPFFS).is_dir() {
        return Ok(());
    }
    shell::run(Command::new("mount").args(["-t", "bpf", "bpf", BPFFS]))
}
