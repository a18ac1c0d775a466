//! The configuration of one hosted core, as its operator writes it (TOML).
//!
//! Pure: text in, a checked value or an error with line, field and what was expected out. The platform's own file
//! embeds one [`CoreConfig`] a core.

use crate::{Dnn, Guami, Invalid, Plmn, Secret, Snssai, Tac};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One hosted core: its identity on the air, its interfaces, its data networks.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct CoreConfig {
    /// Letters, digits and hyphens; names files, processes and metrics.
    pub name: String,
    pub plmn: Plmn,
    #[serde(default)]
    pub amf: AmfConfig,
    pub tacs: Vec<Tac>,
    pub slices: Vec<Snssai>,
    pub n2: N2Config,
    pub n4: N4Config,
    /// The user plane that the platform starts for this core; none: one that somebody else runs at `n4.upf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upf: Option<UpfConfig>,
    /// Where the core serves `/metrics`.
    #[serde(default = "core_metrics")]
    pub metrics: SocketAddr,
    #[serde(rename = "dnn")]
    pub dnns: Vec<DnnConfig>,
    #[serde(default)]
    pub security: SecurityConfig,
    #[serde(default)]
    pub timers: TimerConfig,
    /// Home network private keys for SUCI profiles A and B (TS 33.501, annex C).
    #[serde(default, rename = "suci_key")]
    pub suci_keys: Vec<SuciKeyConfig>,
}

#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AmfConfig {
    /// AMF Name (TS 38.413, 9.3.3.21) and the long network name shown on phones.
    pub name: String,
    pub region: u8,
    pub set: u16,
    pub pointer: u8,
    pub relative_capacity: u8,
    /// Most UE contexts this core keeps; a registration beyond is refused with 5GMM cause #22 (congestion).
    pub ue_max: u32,
    /// Most gNBs; an NG Setup beyond is refused.
    pub gnb_max: u32,
}

impl Default for AmfConfig {
    fn default() -> Self {
        Self {
            name: "coeur".into(),
            region: 1,
            set: 1,
            pointer: 0,
            relative_capacity: 255,
            ue_max: 1_000_000,
            gnb_max: 4_096,
        }
    }
}

#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct N2Config {
    /// Where gNBs connect. User-space SCTP binds its raw socket to this address, so it cannot be 0.0.0.0 there.
    pub address: IpAddr,
    /// SCTP port (TS 38.412, 7).
    #[serde(default = "n2_port")]
    pub port: u16,
    #[serde(default)]
    pub sctp: SctpChoice,
}

fn n2_port() -> u16 {
    38412
}

/// Which SCTP carries N2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SctpChoice {
    /// The kernel's where it has SCTP, else user space.
    #[default]
    Auto,
    Kernel,
    Usrsctp,
}

#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct N4Config {
    /// The address this core's SMF speaks PFCP from (UDP port 8805 unless told).
    pub local: SocketAddr,
    /// The user plane.
    pub upf: SocketAddr,
}

fn core_metrics() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9091))
}

/// One `coeur-upf` on this machine.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct UpfConfig {
    pub n3: N3Config,
    pub n6: N6Config,
    /// Which path forwards packets; `auto` asks each interface's driver.
    #[serde(default)]
    pub path: PathChoice,
    #[serde(default = "upf_metrics")]
    pub metrics: SocketAddr,
    /// Most sessions; sizes the tables of the fast path (about 200 octets a session).
    #[serde(default = "upf_session_max")]
    pub session_max: u32,
}

fn upf_metrics() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9092))
}

fn upf_session_max() -> u32 {
    65_536
}

/// Towards gNBs: GTP-U over UDP port 2152 (TS 29.281).
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct N3Config {
    pub interface: String,
    pub address: Ipv4Addr,
}

/// Towards the data networks.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct N6Config {
    pub interface: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PathChoice {
    /// Native XDP if the driver can transmit and redirect, TC if not, generic XDP last.
    #[default]
    Auto,
    Xdp,
    Tc,
    Generic,
}

#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct DnnConfig {
    pub name: Dnn,
    /// Addresses given to phones, `10.45.0.0/16`. The first (network) and last (broadcast) are not given.
    pub pool: Ipv4Pool,
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// IPv4 link MTU offered to phones (TS 24.008, 10.5.6.3).
    #[serde(default = "dnn_mtu")]
    pub mtu: u16,
}

fn dnn_mtu() -> u16 {
    1400
}

/// An IPv4 network that phones get their addresses from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Pool {
    network: u32,
    prefix: u8,
}

impl Ipv4Pool {
    pub fn network(&self) -> Ipv4Addr {
        self.network.into()
    }

    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// How many addresses can be given.
    pub fn size(&self) -> u32 {
        (1u32 << (32 - self.prefix)) - 2
    }

    /// The address at `index`, 0 being the first that can be given.
    pub fn address(&self, index: u32) -> Option<Ipv4Addr> {
        (index < self.size()).then(|| Ipv4Addr::from(self.network + 1 + index))
    }

    /// The inverse of [`Ipv4Pool::address`].
    pub fn index(&self, address: Ipv4Addr) -> Option<u32> {
        u32::from(address).checked_sub(self.network + 1).filter(|index| *index < self.size())
    }

    fn to_text(self) -> String {
        format!("{}/{}", self.network(), self.prefix)
    }
}

impl std::str::FromStr for Ipv4Pool {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("address pool", "a network and a prefix of 8 to 30, as 10.45.0.0/16", text);
        let (network, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let network: u32 = network.parse::<Ipv4Addr>().map_err(|_| invalid())?.into();
        let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
        let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        match (8..=30).contains(&prefix) && network & host_bits == 0 {
            true => Ok(Self { network, prefix }),
            false => Err(invalid()),
        }
    }
}

impl std::fmt::Display for Ipv4Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl std::fmt::Debug for Ipv4Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_text())
    }
}

crate::serde_as_text!(Ipv4Pool);

/// NAS algorithms, the preferred first (TS 33.501, 6.7.2).
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityConfig {
    pub integrity: Vec<Nia>,
    pub ciphering: Vec<Nea>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self { integrity: vec![Nia::Nia2, Nia::Nia1, Nia::Nia3], ciphering: vec![Nea::Nea2, Nea::Nea1, Nea::Nea3] }
    }
}

/// Integrity algorithm. NIA0 is not a choice: TS 33.501, 5.5.2 allows it for emergency calls only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Nia {
    Nia1,
    Nia2,
    Nia3,
}

/// Ciphering algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Nea {
    Nea0,
    Nea1,
    Nea2,
    Nea3,
}

/// Timers of the network side (TS 24.501, table 10.2.2 and 10.3.2; TS 29.244, 6.4), and those given to phones.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimerConfig {
    pub t3512_s: u32,
    pub t3502_s: u32,
    pub t3513_ms: u32,
    pub t3522_ms: u32,
    pub t3550_ms: u32,
    pub t3555_ms: u32,
    pub t3560_ms: u32,
    pub t3570_ms: u32,
    pub t3591_ms: u32,
    pub t3592_ms: u32,
    /// How long an NGAP request to a gNB may go unanswered.
    pub ngap_ms: u32,
    /// PFCP T1, and how often a request is sent again (N1).
    pub pfcp_t1_ms: u32,
    pub pfcp_n1: u8,
    pub pfcp_heartbeat_s: u32,
    /// Implicit deregistration: this long after T3512 ran out (TS 24.501, 5.3.7).
    pub implicit_deregistration_s: u32,
}

impl Default for TimerConfig {
    fn default() -> Self {
        Self {
            t3512_s: 3_240,
            t3502_s: 720,
            t3513_ms: 2_000,
            t3522_ms: 6_000,
            t3550_ms: 6_000,
            t3555_ms: 6_000,
            t3560_ms: 6_000,
            t3570_ms: 6_000,
            t3591_ms: 16_000,
            t3592_ms: 16_000,
            ngap_ms: 10_000,
            pfcp_t1_ms: 1_000,
            pfcp_n1: 3,
            pfcp_heartbeat_s: 10,
            implicit_deregistration_s: 240,
        }
    }
}

/// One home network key pair; phones hold the public half and its id.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct SuciKeyConfig {
    /// Home network public key identifier, as on the SIM.
    pub id: u8,
    pub profile: SuciProfile,
    /// The private key: 64 hex digits.
    pub private: KeyHex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub enum SuciProfile {
    /// X25519.
    A,
    /// secp256r1.
    B,
}

/// A 32-octet key written as hex. It serializes: the platform hands a core its configuration.
#[derive(Clone, Debug)]
pub struct KeyHex(pub Secret<32>);

impl serde::Serialize for KeyHex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.expose().iter().map(|octet| format!("{octet:02x}")).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for KeyHex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Secret::from_hex(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl CoreConfig {
    /// Reads a core's file. The error names line, field and what was expected (`toml` marks the place).
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// What single fields cannot say about themselves.
    pub fn check(&self) -> Result<(), ConfigError> {
        let name_ok = (1..=32).contains(&self.name.len())
            && self.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let wrong = |field, expected: &str| {
            Err(ConfigError::Field { core: self.name.clone(), field, expected: expected.into() })
        };
        if !name_ok {
            return wrong("name", "1 to 32 lower-case letters, digits and hyphens");
        }
        if let Err(error) = self.guami() {
            return wrong("amf", &error.to_string());
        }
        if self.tacs.is_empty() || self.tacs.len() > 16 {
            return wrong("tacs", "1 to 16 tracking area codes (TS 24.501, 9.11.3.9)");
        }
        if self.slices.is_empty() || self.slices.len() > 8 {
            return wrong("slices", "1 to 8 slices (TS 24.501, 9.11.3.37)");
        }
        if self.dnns.is_empty() {
            return wrong("dnn", "at least one [[dnn]]");
        }
        if self.security.integrity.is_empty() || self.security.ciphering.is_empty() {
            return wrong("security", "at least one integrity and one ciphering algorithm");
        }
        for (index, dnn) in self.dnns.iter().enumerate() {
            if self.dnns[..index].iter().any(|other| other.name == dnn.name) {
                return wrong("dnn", &format!("{} once only", dnn.name));
            }
            if !(1280..=65_535).contains(&dnn.mtu) {
                return wrong("dnn.mtu", "1280 to 65535");
            }
        }
        Ok(())
    }

    pub fn guami(&self) -> Result<Guami, Invalid> {
        Guami::new(self.plmn, self.amf.region, self.amf.set, self.amf.pointer)
    }

    pub fn dnn(&self, name: &Dnn) -> Option<&DnnConfig> {
        self.dnns.iter().find(|dnn| dnn.name == *name)
    }
}

/// Why a core's configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Its `Display` quotes the line and marks the place.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    #[error("core {core:?}, field {field}: expected {expected}")]
    Field { core: String, field: &'static str, expected: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
name = "plant"
plmn = "00101"
tacs = [1]
slices = ["1"]
n2 = { address = "10.0.0.1" }
n4 = { local = "127.0.0.1:8805", upf = "127.0.0.8:8805" }

[[dnn]]
name = "internet"
pool = "10.45.0.0/16"
"#;

    #[test]
    fn a_minimal_file_is_enough_and_reads_back() {
        let config = CoreConfig::from_toml(MINIMAL).unwrap();
        assert_eq!((config.n2.port, config.timers.t3512_s, config.dnns[0].pool.size()), (38412, 3240, 65_534));
        let again = CoreConfig::from_toml(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(again.guami().unwrap(), config.guami().unwrap());
    }

    #[test]
    fn an_error_names_line_field_and_expectation() {
        for (from, to, says) in [
            ("tacs = [1]", "tacs = [16777216]", &["line 4", "tacs", "0 to 16777215"][..]),
            ("slices", "slizes", &["line 5", "unknown field `slizes`"]),
            ("10.45.0.0/16", "10.45.0.1/16", &["line 11", "pool", "a network and a prefix"]),
            ("tacs = [1]", "tacs = []", &["core \"plant\"", "tacs", "1 to 16"]),
        ] {
            let error = CoreConfig::from_toml(&MINIMAL.replace(from, to)).unwrap_err().to_string();
            for part in says {
                assert!(error.contains(part), "{part:?} not in: {error}");
            }
        }
    }

    #[test]
    fn a_pool_gives_neither_network_nor_broadcast() {
        let pool: Ipv4Pool = "10.0.0.0/30".parse().unwrap();
        assert_eq!(pool.size(), 2);
        assert_eq!(
            [0, 1, 2].map(|index| pool.address(index)),
            [Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()), None]
        );
        for (address, index) in
            [([10, 0, 0, 0], None), ([10, 0, 0, 1], Some(0)), ([10, 0, 0, 2], Some(1)), ([10, 0, 0, 3], None)]
        {
            assert_eq!(pool.index(address.into()), index);
        }
    }
}
