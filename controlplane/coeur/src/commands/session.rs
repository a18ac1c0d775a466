//! `coeur session`.

use super::ue::say;
use crate::cli::{Global, SessionCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{List, name, or_dash};
use coeur_api::types::Session;

pub(super) async fn run(client: &Client, global: &Global, command: SessionCommand) -> Result<(), Failure> {
    let core = client.core(global.core.as_deref()).await?;
    match command {
        SessionCommand::List { supi, list } => {
            let of = supi.map(|supi| format!("?supi={}", supi.expose())).unwrap_or_default();
            let header = ["SUPI", "ID", "DATA NETWORK", "SLICE", "ADDRESS", "STATE", "5QI", "ESTABLISHED"];
            let mut table = List::new(global.json, header);
            let part = |sessions: &[Session]| table.part(sessions, row);
            client.pages(&format!("{core}/sessions{of}"), list.limit, part).await?;
            table.end()
        }
        SessionCommand::Release { supi, id } => {
            let path = format!("{core}/sessions/{}/{}/release", supi.expose(), id.get());
            say(global, client.post(&path).await?, "released")
        }
    }
}

fn row(session: &Session) -> [String; 8] {
    [
        session.supi.clone(),
        session.id.to_string(),
        session.dnn.clone(),
        session.snssai.clone(),
        or_dash(session.ipv4.as_ref()),
        name(&session.state),
        session.five_qi.to_string(),
        session.established.to_string(),
    ]
}
