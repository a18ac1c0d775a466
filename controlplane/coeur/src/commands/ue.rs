//! `coeur ue`.

use crate::cli::{Global, UeCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, List, name, or_dash};
use coeur_api::types::{Outcome, Ue};

pub(super) async fn run(client: &Client, global: &Global, command: UeCommand) -> Result<(), Failure> {
    let core = client.core(global.core.as_deref()).await?;
    match command {
        UeCommand::List(list) => {
            let mut table = table(global);
            client.pages(&format!("{core}/ues"), list.limit, |ues: &[Ue]| table.part(ues, row)).await?;
            table.end()
        }
        UeCommand::Show { supi } => {
            let ue: Ue = client.get(&format!("{core}/ues/{}", supi.expose())).await?;
            match global.json {
                true => output::json(&ue),
                false => table(global).part(&[ue], row),
            }
        }
        UeCommand::Deregister { supi } => {
            let outcome = client.post(&format!("{core}/ues/{}/deregister", supi.expose())).await?;
            say(global, outcome, "deregistered")
        }
    }
}

fn table(global: &Global) -> List<7> {
    List::new(global.json, ["SUPI", "CM", "GNB", "TAI", "SLICES", "SESSIONS", "REGISTERED"])
}

fn row(ue: &Ue) -> [String; 7] {
    [
        ue.supi.clone(),
        name(&ue.cm_state),
        or_dash(ue.gnb.as_ref()),
        or_dash(ue.tai.as_ref()),
        ue.allowed_slices.join(" "),
        ue.sessions.to_string(),
        ue.registered.to_string(),
    ]
}

/// How a procedure with a phone ended.
pub(super) fn say(global: &Global, outcome: Outcome, done: &str) -> Result<(), Failure> {
    match (global.json, outcome.acknowledged) {
        (true, _) => output::json(&outcome),
        (false, true) => output::line(done),
        (false, false) => output::line(format_args!("{done} by the network alone: the phone did not answer")),
    }
}
