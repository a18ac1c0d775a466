//! `coeur status`.

use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Code, Failure};
use crate::output::{self, name, or_dash, table};
use coeur_api::types::{CoreState, CoreStatus, CoreSummary, ProcessKind, UserPlaneState};
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
    let missing: Vec<_> = cores.iter().filter_map(missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::Unavailable, format!("not ready: {}", missing.join(", "))))
}

/// What of a core is not ready. A user plane that somebody else runs is not what the platform answers for.
fn missing(core: &Core) -> Option<String> {
    let name = &core.summary.name;
    let status = core.status.as_ref().filter(|status| status.ready && core.summary.state == CoreState::Ready);
    let Some(status) = status else { return Some(name.clone()) };
    let ours = core.summary.processes.iter().any(|process| process.kind == ProcessKind::UserPlane);
    let associated = status.user_plane.state == UserPlaneState::Associated;
    (ours && !associated).then(|| format!("user plane of {name}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn core(state: &str, processes: &[&str], user_plane: Option<&str>) -> Core {
        let process = |kind: &&str| json!({"kind": kind, "state": "ready", "restarts": 0});
        let processes: Vec<_> = processes.iter().map(process).collect();
        let summary = json!({"name": "plant", "plmn": "00101", "state": state, "processes": processes});
        let status = user_plane.map(|user_plane| {
            json!({
                "name": "plant", "version": "0", "plmn": "00101", "started": "1970-01-01T00:00:00.000Z", "uptime_ms": 0,
                "ready": true, "gnbs": 0, "ues_registered": 0, "ues_connected": 0, "sessions": 0, "subscribers": 0,
                "user_plane": {"node": "n", "state": user_plane, "since": "1970-01-01T00:00:00.000Z"},
            })
        });
        let status = status.map(|status| serde_json::from_value(status).unwrap());
        Core { summary: serde_json::from_value(summary).unwrap(), status }
    }

    #[test]
    fn a_core_is_ready_when_its_processes_are_and_its_own_user_plane_is_associated() {
        let both = ["core", "user-plane"];
        for (core, expected) in [
            (core("ready", &both, Some("associated")), None),
            (core("ready", &both, Some("associating")), Some("user plane of plant")),
            (core("ready", &["core"], Some("associating")), None),
            (core("down", &both, Some("associated")), Some("plant")),
            (core("ready", &both, None), Some("plant")),
        ] {
            assert_eq!(missing(&core).as_deref(), expected);
        }
    }
}
