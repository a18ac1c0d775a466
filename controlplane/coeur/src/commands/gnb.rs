//! `coeur gnb`.

use crate::cli::{Global, GnbCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{List, or_dash};
use coeur_api::types::Gnb;

pub(super) async fn run(client: &Client, global: &Global, command: GnbCommand) -> Result<(), Failure> {
    let GnbCommand::List(list) = command;
    let core = client.core(global.core.as_deref()).await?;
    let mut table = List::new(global.json, ["GNB", "NAME", "ADDRESS", "TRACKING AREAS", "UES", "CONNECTED"]);
    client.pages(&format!("{core}/gnbs"), list.limit, |gnbs: &[Gnb]| table.part(gnbs, row)).await?;
    table.end()
}

fn row(gnb: &Gnb) -> [String; 6] {
    let tais: Vec<_> = gnb.tais.iter().map(ToString::to_string).collect();
    [
        gnb.id.to_string(),
        or_dash(gnb.name.as_ref()),
        gnb.address.clone(),
        tais.join(" "),
        gnb.ues_connected.to_string(),
        gnb.connected.to_string(),
    ]
}
