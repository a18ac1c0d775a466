//! What needs no platform: looking at interfaces, checking a file.

use crate::cli::{ConfigCommand, Global, NicCommand};
use crate::failure::{Code, Failure};
use crate::output;
use coeur_platform::config::Config;
use coeur_platform::find_user_plane;
use serde::Serialize;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

/// `coeur-upf` is what knows drivers: it takes the place of this process.
pub(super) fn nic(global: &Global, command: NicCommand) -> Result<(), Failure> {
    let NicCommand::Probe { interfaces, upf_binary } = command;
    let program = find_user_plane(upf_binary.as_deref())
        .map_err(|error| Failure::new(Code::Wrong, error.to_string()).hint("--upf-binary says where it is"))?;
    let interfaces = if interfaces.is_empty() { all_interfaces()? } else { interfaces };
    let mut probe = std::process::Command::new(&program);
    probe.arg("probe").args(global.json.then_some("--json")).args(interfaces);
    Err(Failure::new(Code::Failed, format!("{}: {}", program.display(), probe.exec())))
}

/// Every interface of this machine, or of its network namespace, but the loopback one.
fn all_interfaces() -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/sys/class/net")? {
        let entry = entry?;
        // Some entries are plain files (bonding_masters).
        if entry.path().join("ifindex").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.retain(|name| name != "lo");
    names.sort();
    match names.is_empty() {
        true => Err(Failure::new(Code::NotFound, "there is no interface but the loopback one")),
        false => Ok(names),
    }
}

pub(super) fn config(global: &Global, command: &ConfigCommand) -> Result<(), Failure> {
    let ConfigCommand::Check { file } = command;
    let config = Config::read(file)
        .map_err(|fault| Failure::new(Code::Wrong, fault.to_string()).hint("docs/configuration.md has every field"))?;
    let checked = Checked {
        file: file.clone(),
        data_dir: config.data_dir,
        cores: config.cores.iter().map(|core| core.name.clone()).collect(),
    };
    match global.json {
        true => output::json(&checked),
        false => output::line(format_args!("{}: good; cores: {}", file.display(), checked.cores.join(", "))),
    }
}

#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    data_dir: PathBuf,
    cores: Vec<String>,
}
