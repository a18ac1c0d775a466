//! `coeur status`.

use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Code, Failure};
use crate::output::{self, name, or_dash, table};
use coeur_api::types::{CoreState, CoreStatus, CoreSummary};
use serde::Serialize;

/// A core as the platform sees it and, if it answers, as it sees itself.
#[derive(Serialize)]
struct Core {
    #[serde(flatten)]
    summary: CoreSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<CoreStatus>,
}

pub(super) async fn run(client: &Client, global: &Global) -> Result<(), Failure> {
    let mut summaries: Vec<CoreSummary> = Vec::new();
    let wanted = |core: &CoreSummary| global.core.as_deref().is_none_or(|name| core.name == name);
    client
        .pages("/operator/v1/cores", None, |part: &[CoreSummary]| {
            summaries.extend(part.iter().filter(|core| wanted(core)).cloned());
            Ok(())
        })
        .await?;
    if let (Some(name), true) = (&global.core, summaries.is_empty()) {
        return Err(Failure::new(Code::NotFound, format!("there is no core {name:?} here")));
    }
    let mut cores = Vec::new();
    for summary in summaries {
        let status = match client.get(&format!("/operator/v1/cores/{}", summary.name)).await {
            Ok(status) => Some(status),
            Err(failure) if failure.code == Code::Unavailable => None,
            Err(failure) => return Err(failure),
        };
        cores.push(Core { summary, status });
    }
    match global.json {
        true => output::json(&cores)?,
        false => cores.iter().try_for_each(show)?,
    }
    let ready = |core: &&Core| core.summary.state == CoreState::Ready && core.status.as_ref().is_some_and(|s| s.ready);
    let missing: Vec<_> = cores.iter().filter(|core| !ready(core)).map(|core| core.summary.name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::Unavailable, format!("not ready: {}", missing.join(", "))))
}

fn show(core: &Core) -> Result<(), Failure> {
    let Core { summary, status } = core;
    output::line(format_args!("core {} (PLMN {}): {}", summary.name, summary.plmn, name(&summary.state)))?;
    if let Some(status) = status {
        output::line(table(None, &facts(status)).trim_end())?;
    }
    let rows: Vec<_> = summary
        .processes
        .iter()
        .map(|process| {
            [
                format!("  {}", name(&process.kind)),
                name(&process.state),
                or_dash(process.pid.as_ref()),
                process.restarts.to_string(),
                process.ready_after_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
                or_dash(process.last_end.as_ref()),
            ]
        })
        .collect();
    let header = ["  PROCESS", "STATE", "PID", "RESTARTS", "READY AFTER", "LAST END"];
    output::line(table(Some(&header), &rows).trim_end())
}

fn facts(status: &CoreStatus) -> Vec<[String; 2]> {
    let user_plane = &status.user_plane;
    let sctp = status.sctp.as_ref().map_or_else(|| "-".to_owned(), name);
    [
        ("version", format!("{}, up {} s", status.version, status.uptime_ms / 1_000)),
        ("N2", format!("{} ({sctp} SCTP)", or_dash(status.n2.as_ref()))),
        ("user plane", format!("{} {} since {}", user_plane.node, name(&user_plane.state), user_plane.since)),
        ("gNBs", status.gnbs.to_string()),
        ("UEs", format!("{} registered, {} connected", status.ues_registered, status.ues_connected)),
        ("sessions", status.sessions.to_string()),
        ("subscribers", status.subscribers.to_string()),
    ]
    .map(|(what, value)| [format!("  {what}"), value])
    .to_vec()
}
