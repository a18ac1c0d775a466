//! The command line of `coeur-ran run`.

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use coeur_model::{Dnn, Plmn, Secret, Snssai, Tac};
use coeur_ran::gnb::GnbConfig;
use coeur_ran::misbehave::{Knob, Misbehaviour};
use coeur_ran::suci::Concealment;
use coeur_ran::ue::UeProfile;
use coeur_transport::sctp::SctpChoice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// TEIDs of one gNB: what is left of 32 bits for 256 gNBs.
const TEIDS_PER_GNB: u32 = 1 << 24;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// N2 address of the core.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) amf: SocketAddr,
    /// N2 address of the gNBs.
    #[arg(long, value_name = "ADDR")]
    pub(crate) gnb_n2: IpAddr,
    /// N3 address of the gNBs.
    #[arg(long, value_name = "ADDR")]
    pub(crate) gnb_n3: Ipv4Addr,
    #[arg(long)]
    pub(crate) plmn: Plmn,
    /// Tracking area code.
    #[arg(long, default_value_t = 1)]
    tac: u32,
    /// Slices of the gNBs, requested by the UEs; the first is that of the sessions: SST or SST-SD.
    #[arg(long, default_value = "1")]
    slice: Vec<Snssai>,
    /// Data network of the sessions; none: what the subscription says.
    #[arg(long)]
    dnn: Option<String>,
    /// Sessions of each UE (PDU session identities from 1); 0: the UEs only register.
    #[arg(long, default_value_t = 1)]
    pub(crate) sessions: u8,

    /// SUPI of the first UE; the others count on from it.
    #[arg(long, value_name = "imsi-DIGITS", conflicts_with = "subscribers")]
    pub(crate) supi: Option<String>,
    /// How many UEs; with a file, all that it has unless given.
    #[arg(long, visible_alias = "ues")]
    pub(crate) count: Option<u32>,
    /// K of all UEs.
    #[arg(long, value_name = "HEX", requires = "supi")]
    pub(crate) k: Option<String>,
    /// OPc of all UEs.
    #[arg(long, value_name = "HEX", requires = "supi", conflicts_with = "op")]
    pub(crate) opc: Option<String>,
    /// OP of all UEs, instead of OPc.
    #[arg(long, value_name = "HEX", requires = "supi")]
    pub(crate) op: Option<String>,
    /// UEs from a file: columns supi, k and opc (or op), as `coeur subscriber import` takes it.
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) subscribers: Option<PathBuf>,

    /// How SUPIs are concealed.
    #[arg(long, value_enum, default_value_t = Scheme::Null, ignore_case = true)]
    suci: Scheme,
    /// Home network public key identifier, 1 to 254.
    #[arg(long, default_value_t = 1)]
    suci_key_id: u8,
    /// Home network public key.
    #[arg(long, value_name = "HEX")]
    suci_public: Option<String>,
    /// Ciphering algorithms of the UEs: digits 0 to 3.
    #[arg(long, default_value = "0123")]
    nea: String,
    /// Integrity algorithms of the UEs: digits 1 to 3.
    #[arg(long, default_value = "123")]
    nia: String,

    /// How many gNBs; the UEs are spread over them in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) gnbs: u16,
    /// gNB identity of the first.
    #[arg(long, default_value_t = 1)]
    gnb_id: u32,
    #[arg(long, value_enum, default_value_t = Sctp::Auto)]
    sctp: Sctp,

    /// Attaches started per second; unset: as many as are answered.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Most UEs that attach at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) parallel: u32,
    /// A TUN interface for each session, with the UE's address.
    #[arg(long)]
    pub(crate) tun: bool,
    /// Names of TUN interfaces; a number follows. At most 10 characters.
    #[arg(long)]
    pub(crate) tun_prefix: Option<String>,
    /// Sends UDP packets through every session, to this echoing address behind N6.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "tun")]
    pub(crate) inject: Option<std::net::SocketAddrV4>,
    /// Packets per second, all sessions together.
    #[arg(long, default_value_t = 1_000, requires = "inject")]
    pub(crate) inject_pps: u32,
    #[arg(long, default_value_t = 10, requires = "inject")]
    pub(crate) inject_seconds: u32,
    /// Octets of an injected packet, from its IP header on.
    #[arg(long, default_value_t = 64, requires = "inject", value_parser = clap::value_parser!(u16).range(44..=1400))]
    pub(crate) inject_octets: u16,

    /// After attaching, so many times: release to CM-IDLE, service request.
    #[arg(long, default_value_t = 0)]
    pub(crate) cycle: u32,
    /// Stay until SIGTERM, SIGINT or `quit` on stdin; commands on stdin are answered by events.
    #[arg(long)]
    pub(crate) hold: bool,
    /// Deregister all UEs at the end.
    #[arg(long)]
    pub(crate) deregister: bool,
    /// How long one UE may take for one step.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    timeout_s: u32,
    /// Misbehave: KIND or KIND=PROBABILITY; may be given several times.
    #[arg(long, value_name = "KIND[=PROB]")]
    misbehave: Vec<Knob>,
    /// Seed of misbehaviour.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events as JSON lines into a file, `-` for stdout.
    #[arg(long, value_name = "FILE|-")]
    pub(crate) json: Option<PathBuf>,
    /// Only the summary as JSON, not an event for each UE: for load.
    #[arg(long)]
    pub(crate) summary_only: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scheme {
    Null,
    A,
    B,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sctp {
    Auto,
    Kernel,
    Usrsctp,
}

impl Options {
    pub(crate) fn sctp(&self) -> SctpChoice {
        match self.sctp {
            Sctp::Auto => SctpChoice::Auto,
            Sctp::Kernel => SctpChoice::Kernel,
            Sctp::Usrsctp => SctpChoice::Usrsctp,
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.into())
    }

    pub(crate) fn misbehaviour(&self) -> Misbehaviour {
        Misbehaviour::new(self.misbehave.clone(), self.seed)
    }

    pub(crate) fn session_slice(&self) -> Option<Snssai> {
        self.slice.first().copied()
    }

    pub(crate) fn dnn(&self) -> anyhow::Result<Option<Dnn>> {
        Ok(self.dnn.as_deref().map(Dnn::new).transpose()?)
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.sessions <= 15, "--sessions: at most 15 (TS 24.007, 11.2.3.1b)");
        ensure!(self.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0), "--rate: a number above 0");
        let prefix = self.tun_prefix.as_deref().unwrap_or("cran");
        let fits = (1..=10).contains(&prefix.len())
            && prefix.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        ensure!(fits, "--tun-prefix: 1 to 10 letters, digits and hyphens");
        Ok(())
    }

    pub(crate) fn profile(&self) -> anyhow::Result<UeProfile> {
        let mut profile = UeProfile::new(self.plmn, Tac::new(self.tac)?);
        profile.slices = self.slice.clone();
        profile.ciphering = algorithms(&self.nea, "0123").context("--nea")?;
        profile.integrity = algorithms(&self.nia, "123").context("--nia")?;
        profile.concealment = match (self.suci, &self.suci_public) {
            (Scheme::Null, _) => Concealment::Null,
            (_, None) => bail!("--suci A and B need --suci-public"),
            (Scheme::A, Some(key)) => Concealment::profile_a(self.suci_key_id, &hex(key)?)?,
            (Scheme::B, Some(key)) => Concealment::profile_b(self.suci_key_id, &hex(key)?)?,
        };
        Ok(profile)
    }

    pub(crate) fn gnb(&self, index: u16) -> anyhow::Result<GnbConfig> {
        let id = self.gnb_id.checked_add(index.into()).filter(|id| *id < 1 << 24).context("--gnb-id: 24 bits")?;
        Ok(GnbConfig {
            plmn: self.plmn,
            id,
            id_bits: 24,
            name: format!("coeur-ran-{id}"),
            tac: Tac::new(self.tac)?,
            slices: self.slice.clone(),
            n3: self.gnb_n3,
            teid_base: (u32::from(index) * TEIDS_PER_GNB).max(1),
            ue_max: u32::MAX,
        })
    }
}

/// The octet of a UE security capability: algorithm 0 is the highest bit (TS 24.501, 9.11.3.54).
fn algorithms(digits: &str, allowed: &str) -> anyhow::Result<u8> {
    ensure!(!digits.is_empty() && digits.chars().all(|digit| allowed.contains(digit)), "expected some of {allowed}");
    Ok(digits.bytes().fold(0, |octet, digit| octet | 0x80 >> (digit - b'0')))
}

fn hex(text: &str) -> anyhow::Result<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        pair.filter(|pair| pair.len() == 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    pairs.collect::<Option<_>>().context("expected hex digits, two an octet")
}

pub(super) fn key(text: &str, what: &str) -> anyhow::Result<Secret<16>> {
    Secret::from_hex(text.trim()).with_context(|| what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_bits_from_the_left() {
        assert_eq!(algorithms("0123", "0123").unwrap(), 0xF0);
        assert_eq!(algorithms("2", "123").unwrap(), 0x20);
        assert!(algorithms("0", "123").is_err() && algorithms("", "123").is_err());
    }

    #[test]
    fn hex_is_pairs_of_digits() {
        assert_eq!(hex("00fF").unwrap(), [0x00, 0xFF]);
        for wrong in ["0", "0g", "+1", "é0"] {
            assert!(hex(wrong).is_err(), "{wrong}");
        }
    }
}
