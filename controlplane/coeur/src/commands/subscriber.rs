//! `coeur subscriber`.

use crate::cli::{AddArguments, Global, SubscriberCommand};
use crate::client::Client;
use crate::failure::{Code, Failure};
use crate::output::{self, List, or_dash, table};
use coeur_api::IMPORT_OCTETS_MAX;
use coeur_api::types::{ImportResult, Subscriber};
use coeur_model::Supi;
use std::io::Read as _;
use std::path::Path;

pub(super) async fn run(client: &Client, global: &Global, command: SubscriberCommand) -> Result<(), Failure> {
    let core = client.core(global.core.as_deref()).await?;
    match command {
        SubscriberCommand::Add(arguments) => {
            // A file of one: what is not given is then the same as in a file.
            let imported = client.post_csv(&format!("{core}/subscribers/import"), csv(&arguments)).await;
            let _: ImportResult = imported.map_err(without_line)?;
            show(client, global, &core, &arguments.supi).await
        }
        SubscriberCommand::List(list) => {
            let mut table = List::new(global.json, ["SUPI", "SLICES", "DATA NETWORKS", "CREATED"]);
            let part = |subscribers: &[Subscriber]| table.part(subscribers, row);
            client.pages(&format!("{core}/subscribers"), list.limit, part).await?;
            table.end()
        }
        SubscriberCommand::Show { supi } => show(client, global, &core, &supi).await,
        SubscriberCommand::Remove { supi } => client.delete(&format!("{core}/subscribers/{}", supi.expose())).await,
        SubscriberCommand::Import { file } => {
            let octets = read(&file)?;
            let result: ImportResult =
                client.post_csv(&format!("{core}/subscribers/import"), octets).await.map_err(|failure| Failure {
                    message: format!("{}: {}", file.display(), failure.message),
                    ..failure
                })?;
            match global.json {
                true => output::json(&result),
                false => output::line(format_args!("{} added", result.added)),
            }
        }
    }
}

fn row(subscriber: &Subscriber) -> [String; 4] {
    let slices = &subscriber.profile.slices;
    let names: Vec<_> = slices.iter().map(|slice| slice.snssai.to_string()).collect();
    let mut dnns: Vec<_> = slices.iter().flat_map(|slice| slice.dnns.iter().map(|dnn| dnn.dnn.to_string())).collect();
    dnns.sort();
    dnns.dedup();
    [subscriber.supi.clone(), names.join(" "), dnns.join(" "), subscriber.created.to_string()]
}

async fn show(client: &Client, global: &Global, core: &str, supi: &Supi) -> Result<(), Failure> {
    let subscriber: Subscriber = client.get(&format!("{core}/subscribers/{}", supi.expose())).await?;
    if global.json {
        return output::json(&subscriber);
    }
    let ambr = subscriber.profile.ue_ambr.0;
    let facts = [
        ("SUPI", subscriber.supi),
        ("created", subscriber.created.to_string()),
        ("updated", subscriber.updated.to_string()),
        ("UE-AMBR", format!("{} up, {} down", ambr.uplink, ambr.downlink)),
    ];
    output::line(table(None, &facts.map(|(what, value)| [what.to_owned(), value])).trim_end())?;
    let mut rows = Vec::new();
    for slice in &subscriber.profile.slices {
        for dnn in &slice.dnns {
            let ambr = dnn.session_ambr.0;
            rows.push([
                slice.snssai.to_string(),
                if slice.default { "yes".to_owned() } else { "no".to_owned() },
                dnn.dnn.to_string(),
                output::name(&dnn.session_type),
                dnn.five_qi.to_string(),
                format!("{} / {}", ambr.uplink, ambr.downlink),
                or_dash(dnn.ipv4.as_ref()),
            ]);
        }
    }
    let header = ["SLICE", "DEFAULT", "DATA NETWORK", "TYPE", "5QI", "SESSION-AMBR UP / DOWN", "ADDRESS"];
    output::line(table(Some(&header), &rows).trim_end())
}

/// A header and one record.
fn csv(arguments: &AddArguments) -> Vec<u8> {
    let list = |items: Vec<String>| Some(items.join(";")).filter(|list| !list.is_empty());
    let columns = [
        ("supi", Some(arguments.supi.expose())),
        ("k", Some(arguments.k.clone())),
        ("opc", arguments.opc.clone()),
        ("op", arguments.op.clone()),
        ("amf", arguments.amf.clone()),
        ("sqn", arguments.sqn.clone()),
        ("slices", list(arguments.slices.iter().map(ToString::to_string).collect())),
        ("dnns", list(arguments.dnns.iter().map(ToString::to_string).collect())),
        ("ue_ambr_uplink", arguments.ue_ambr_uplink.map(|rate| rate.to_string())),
        ("ue_ambr_downlink", arguments.ue_ambr_downlink.map(|rate| rate.to_string())),
        ("ipv4", arguments.ipv4.map(|address| address.to_string())),
    ];
    let given: Vec<_> = columns.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let names: Vec<_> = given.iter().map(|(name, _)| *name).collect();
    let values: Vec<_> = given.iter().map(|(_, value)| quoted(value)).collect();
    format!("{}\n{}\n", names.join(","), values.join(",")).into_bytes()
}

/// A field of RFC 4180; a line break, which no field may have, becomes a space and is refused as such.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace(['\r', '\n'], " ").replace('"', "\"\""))
}

/// A line number means nothing to somebody who wrote no file.
fn without_line(failure: Failure) -> Failure {
    let message = failure.message.strip_prefix("line 2: ").unwrap_or(&failure.message).to_owned();
    Failure { message, ..failure }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |error: std::io::Error| Failure::new(Code::Wrong, format!("{}: {error}", file.display()));
    let limit = IMPORT_OCTETS_MAX as u64;
    let mut octets = Vec::new();
    let mut limited: Box<dyn std::io::Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin().take(limit + 1)),
        _ => Box::new(std::fs::File::open(file).map_err(wrong)?.take(limit + 1)),
    };
    limited.read_to_end(&mut octets).map_err(wrong)?;
    if octets.len() as u64 > limit {
        let message = format!("{}: more than {limit} octets", file.display());
        return Err(Failure::new(Code::Wrong, message).hint("cut it into several files"));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    #[test]
    fn an_added_subscriber_is_a_file_of_one_that_the_api_reads() {
        let line = "coeur subscriber add 001010000000001 --k 465b5ce8b199b49faa5f0a2ee238a6bc \
                    --opc cd63cb71954a9f4e48a5994e37a02baf --slice 1 --slice 1-010203 --dnn ims --ipv4 10.45.0.9 \
                    --ue-ambr-uplink 5Mbps";
        let Command::Subscriber(SubscriberCommand::Add(arguments)) = Cli::parse_from(line.split_whitespace()).command
        else {
            panic!("another command");
        };
        let default = coeur_model::SubscriptionProfile { ue_ambr: Default::default(), slices: Vec::new() };
        let records = coeur_api::csv::parse(&csv(&arguments), &default);
        // Without data networks of the core, `dnns` has no slice to be in: the slices come with none.
        assert_eq!(records.unwrap_err().field.as_deref(), Some("slices[0].dnns"));
        let dnns = vec![coeur_model::DnnSubscription::new("internet".parse().unwrap())];
        let slice = coeur_model::SliceSubscription { snssai: "2".parse().unwrap(), default: true, dnns };
        let default = coeur_model::SubscriptionProfile { ue_ambr: Default::default(), slices: vec![slice] };
        let new = coeur_api::csv::parse(&csv(&arguments), &default).unwrap().subscribers.remove(0);
        assert_eq!(new.profile.slices.len(), 2);
        assert_eq!(new.profile.slices[0].dnns[0].dnn.as_str(), "ims");
        assert_eq!(new.profile.ue_ambr.uplink.to_string(), "5 Mbps");
    }

    #[test]
    fn no_argument_breaks_out_of_its_field() {
        assert_eq!(quoted("a\",\"b\r\nc"), "\"a\"\",\"\"b  c\"");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = read(Path::new("/nonexistent/file.csv")).unwrap_err();
        assert!(failure.message.starts_with("/nonexistent/file.csv: "), "{}", failure.message);
        assert_eq!(failure.code, Code::Wrong);
    }
}
