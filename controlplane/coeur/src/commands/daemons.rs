//! `coeur up` and `coeur core`: what stays.

use crate::cli::{CoreArguments, Global, UpArguments};
use crate::client::CONFIG_DEFAULT;
use crate::failure::{Code, Failure};
use crate::output;
use coeur_platform::{Report, UpOptions};
use std::path::PathBuf;
use std::time::Instant;

pub(super) async fn up(global: &Global, arguments: UpArguments, started: Instant) -> Result<(), Failure> {
    let config = global.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
    let options = UpOptions { started, config, upf_binary: arguments.upf_binary };
    let json = global.json;
    // Nobody may be reading: that is no reason to stop a core.
    let ready = move |report: Report| {
        let _ = match json {
            true => serde_json::to_string(&report).map_err(Failure::from).and_then(output::line),
            false => output::line(&report),
        };
    };
    coeur_platform::up(options, ready).await.map_err(Failure::from)
}

pub(super) async fn core(global: &Global, arguments: CoreArguments) -> Result<(), Failure> {
    let config = global.config.clone().ok_or_else(|| Failure::new(Code::Wrong, "--config is missing"))?;
    let options = coeur_core::Options { config, state_dir: arguments.state_dir, socket: arguments.socket };
    coeur_core::run(options).await.map_err(|error| Failure::new(Code::Failed, format!("{error:#}")))
}
