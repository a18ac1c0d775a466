//! The arguments.

use clap::{Args, Parser, Subcommand};
use coeur_model::{BitRate, Dnn, PduSessionId, Snssai, Supi};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// A 5G core with an eBPF user plane.
#[derive(Parser)]
#[command(name = "coeur", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Args)]
pub(crate) struct Global {
    /// JSON on stdout, for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// File of the platform: says where its API and its token are [default: /etc/coeur/coeur.toml]
    #[arg(long, global = true, value_name = "FILE", env = "COEUR_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Operator API, as http://127.0.0.1:8080
    #[arg(long, global = true, value_name = "URL", env = "COEUR_API")]
    pub(crate) api: Option<String>,
    /// File with the operator's token
    #[arg(long, global = true, value_name = "FILE", env = "COEUR_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Which core is meant [default: the only one]
    #[arg(long, global = true, value_name = "NAME", env = "COEUR_CORE")]
    pub(crate) core: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start the platform: each core of the file and its user plane, and the operator API
    Up(UpArguments),
    /// Run one core (the platform does this)
    #[command(hide = true)]
    Core(CoreArguments),
    /// How the cores are; fails if one is not ready
    Status,
    /// Subscribers
    #[command(subcommand)]
    Subscriber(SubscriberCommand),
    /// Registered UEs
    #[command(subcommand)]
    Ue(UeCommand),
    /// PDU sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// Connected gNBs
    #[command(subcommand)]
    Gnb(GnbCommand),
    /// Follow what happens in a core
    Events(EventsArguments),
    /// Network interfaces
    #[command(subcommand)]
    Nic(NicCommand),
    /// The configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Args)]
pub(crate) struct UpArguments {
    /// The program coeur-upf [default: beside this one, or in PATH]
    #[arg(long, value_name = "FILE", env = "COEUR_UPF_BINARY")]
    pub(crate) upf_binary: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct CoreArguments {
    /// Where its database and its key are
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: PathBuf,
    /// Where it serves the northbound contract
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum SubscriberCommand {
    /// Add one
    Add(Box<AddArguments>),
    /// List them, without their keys
    List(ListArguments),
    /// Show one, without its keys
    Show { supi: Supi },
    /// Remove one; its phone is deregistered
    Remove { supi: Supi },
    /// Add all of a CSV file, or none
    ///
    /// The first line names the columns: supi, k, and opc or op; besides, if wanted: amf, sqn, slices (1;1-010203), dnns
    /// (internet;ims), ue_ambr_uplink and ue_ambr_downlink (100 Mbps), ipv4.
    Import {
        /// The file; - is stdin
        file: PathBuf,
    },
}

#[derive(Args)]
#[command(group(clap::ArgGroup::new("operator_key").args(["opc", "op"]).required(true)))]
pub(crate) struct AddArguments {
    /// As imsi-001010000000001, or the digits alone
    pub(crate) supi: Supi,
    /// K, 32 hex digits. On a shared machine, rather by COEUR_K, or `subscriber import -`
    #[arg(long, value_name = "HEX", env = "COEUR_K", hide_env_values = true)]
    pub(crate) k: String,
    /// OPc, 32 hex digits
    #[arg(long, value_name = "HEX", env = "COEUR_OPC", hide_env_values = true)]
    pub(crate) opc: Option<String>,
    /// OP, 32 hex digits, in place of OPc
    #[arg(long, value_name = "HEX", env = "COEUR_OP", hide_env_values = true)]
    pub(crate) op: Option<String>,
    /// Authentication management field, 4 hex digits [default: 8000]
    #[arg(long, value_name = "HEX")]
    pub(crate) amf: Option<String>,
    /// Last sequence number used, up to 12 hex digits [default: 0]
    #[arg(long, value_name = "HEX")]
    pub(crate) sqn: Option<String>,
    /// A slice, as 1 or 1-010203; more than once for more [default: those of the core]
    #[arg(long = "slice", value_name = "S-NSSAI")]
    pub(crate) slices: Vec<Snssai>,
    /// A data network; more than once for more [default: those of the core]
    #[arg(long = "dnn", value_name = "DNN")]
    pub(crate) dnns: Vec<Dnn>,
    /// As "100 Mbps" [default: 1 Gbps]
    #[arg(long, value_name = "RATE")]
    pub(crate) ue_ambr_uplink: Option<BitRate>,
    /// As "100 Mbps" [default: 1 Gbps]
    #[arg(long, value_name = "RATE")]
    pub(crate) ue_ambr_downlink: Option<BitRate>,
    /// A fixed address in the first data network
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ipv4: Option<Ipv4Addr>,
}

#[derive(Args)]
pub(crate) struct ListArguments {
    /// At most this many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Subcommand)]
pub(crate) enum UeCommand {
    /// List them
    List(ListArguments),
    /// Show one
    Show { supi: Supi },
    /// Deregister one
    Deregister { supi: Supi },
}

#[derive(Subcommand)]
pub(crate) enum SessionCommand {
    /// List them
    List {
        /// Only those of this subscriber
        #[arg(long)]
        supi: Option<Supi>,
        #[command(flatten)]
        list: ListArguments,
    },
    /// Release one
    Release {
        supi: Supi,
        /// PDU session identity, 1 to 15
        #[arg(value_parser = session_id)]
        id: PduSessionId,
    },
}

fn session_id(text: &str) -> Result<PduSessionId, String> {
    let id = text.parse().ok().and_then(|id| PduSessionId::new(id).ok());
    id.ok_or_else(|| "expected 1 to 15".to_owned())
}

#[derive(Subcommand)]
pub(crate) enum GnbCommand {
    /// List them
    List(ListArguments),
}

#[derive(Args)]
pub(crate) struct EventsArguments {
    /// Leave out what has happened already
    #[arg(long)]
    pub(crate) live: bool,
    /// Go on after this event, as 1795482340123-42
    #[arg(long, value_name = "ID", conflicts_with = "live")]
    pub(crate) after: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum NicCommand {
    /// What the drivers of interfaces can do, and which path packets would take
    Probe {
        /// All, unless named
        interfaces: Vec<String>,
        /// The program coeur-upf [default: beside this one, or in PATH]
        #[arg(long, value_name = "FILE", env = "COEUR_UPF_BINARY")]
        upf_binary: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a file as `coeur up` would, and say what is wrong with it
    Check { file: PathBuf },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("coeur").chain(line.split(' ')))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_documented_command_is_one() {
        for line in [
            "up --config f",
            "up --config f --upf-binary u --json",
            "core --config f --state-dir d --socket s",
            "status --json --core plant",
            "subscriber add 001010000000001 --k 00 --opc 00 --slice 1 --slice 1-010203 --dnn ims",
            "subscriber add imsi-001010000000001 --k 00 --op 00",
            "subscriber list --limit 3",
            "subscriber show 001010000000001",
            "subscriber remove 001010000000001",
            "subscriber import file.csv --config f",
            "subscriber import -",
            "ue list",
            "ue deregister 001010000000001",
            "session list --supi 001010000000001 --api http://127.0.0.1:1",
            "session release 001010000000001 5",
            "gnb list",
            "events --live",
            "events --after 1-2 --json",
            "nic probe",
            "nic probe eth0 eth1 --json",
            "config check coeur.toml",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_was_expected() {
        for (line, says) in [
            ("subscriber show 12", "5 to 15 digits"),
            ("subscriber add 00101 --k 0", "--opc"),
            ("subscriber add 00101 --k 0 --opc 0 --op 0", "cannot be used with"),
            ("subscriber add 00101 --k 0 --opc 0 --slice x", "S-NSSAI"),
            ("subscriber add 00101 --k 0 --opc 0 --ue-ambr-uplink 5", "100 Mbps"),
            ("session release 001010000000001 16", "1 to 15"),
            ("events --live --after 1-2", "cannot be used with"),
            ("statsu", "status"),
            ("", "Usage"),
        ] {
            let error = parse(line).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(says), "{line}: {says:?} not in {error}");
        }
    }
}
