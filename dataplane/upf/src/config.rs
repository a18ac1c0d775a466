//! The configuration file. An error says where: file, line, column, and what was expected.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use coeur_ebpf_abi::TEID_SLOTS_MAX;
use coeur_fastpath::PathChoice;
use coeur_rules::{Pools, Prefix};
use coeur_session::NodeId;
use coeur_slowpath::io::Choice;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names this user plane on the machine: lower case letters, digits, `-` and `_` (a folder on bpffs,
    /// where the kernel allows no dots).
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Where PFCP is served; its address stands in F-SEIDs, so it is a particular one.
    #[serde(deserialize_with = "particular")]
    pub n4: SocketAddr,
    /// Our Node ID (TS 29.244 8.2.38): an address or a domain name. Unless given, the address of `n4`.
    #[serde(default, deserialize_with = "parsed_option")]
    pub node_id: Option<NodeId>,
    /// The port that requests of ours go to (TS 29.244 6.1).
    #[serde(default = "pfcp_port")]
    pub n4_peer_port: u16,
    pub n3: N3,
    pub n6: N6,
    /// UE addresses: what is in a pool costs one array access a packet.
    #[serde(deserialize_with = "pools")]
    pub pools: Pools,
    #[serde(default = "session_max", deserialize_with = "sessions")]
    pub session_max: u32,
    #[serde(default)]
    pub path: PathChoice,
    #[serde(default = "metrics")]
    pub metrics: SocketAddr,
    /// Where programs and tables are pinned. Unless given, `/sys/fs/bpf/coeur/NAME`.
    #[serde(default)]
    pub pin_dir: Option<PathBuf>,
    #[serde(default, deserialize_with = "parsed")]
    pub slowpath_io: Choice,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N3 {
    pub interface: String,
    pub address: Ipv4Addr,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N6 {
    pub interface: String,
}

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}:{line}:{column}: {message}", path.display())]
    Content { path: PathBuf, line: usize, column: usize, message: String },
}

impl Config {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        Self::parse(path, &text)
    }

    /// `path` is for the error.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
            ConfigError::Content {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
                message: error.message().to_owned(),
            }
        })
    }

    pub fn node_id(&self) -> NodeId {
        self.node_id.clone().unwrap_or(NodeId::Address(self.n4.ip()))
    }

    pub fn pin_dir(&self) -> PathBuf {
        self.pin_dir.clone().unwrap_or_else(|| Path::new("/sys/fs/bpf/coeur").join(&self.name))
    }
}

const NAME_MAX: usize = 64;

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(plain) {
        return Ok(name);
    }
    Err(D::Error::custom(format!("name {name:?}: expected 1 to {NAME_MAX} lower case letters, digits, '-' or '_'")))
}

fn particular<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let address = SocketAddr::deserialize(deserializer)?;
    if address.ip().is_unspecified() {
        return Err(D::Error::custom(format!("n4 {address}: expected an address of this machine, not all of them")));
    }
    Ok(address)
}

fn pools<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pools, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let prefixes = texts.iter().map(|text| text.parse()).collect::<Result<Vec<Prefix>, _>>();
    prefixes.and_then(Pools::new).map_err(|error| D::Error::custom(format!("pools: {error}")))
}

fn sessions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let sessions = u32::deserialize(deserializer)?;
    if (1..=TEID_SLOTS_MAX).contains(&sessions) {
        return Ok(sessions);
    }
    Err(D::Error::custom(format!("session_max {sessions}: expected 1 to {TEID_SLOTS_MAX}")))
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn parsed_option<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    parsed(deserializer).map(Some)
}

fn pfcp_port() -> u16 {
    8805
}

fn session_max() -> u32 {
    65_536
}

fn metrics() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9092))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
name = "edge-1"
n4 = "127.0.0.8:8805"
pools = ["10.45.0.0/16"]

[n3]
interface = "n3"
address = "192.0.2.1"

[n6]
interface = "n6"
"#;

    fn error(text: &str) -> String {
        Config::parse(Path::new("upf.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn the_shortest_configuration_has_sensible_defaults() {
        let config = Config::parse(Path::new("upf.toml"), WHOLE).unwrap();
        assert_eq!(config.node_id().to_string(), "127.0.0.8");
        assert_eq!(config.pin_dir(), Path::new("/sys/fs/bpf/coeur/edge-1"));
        assert_eq!((config.session_max, config.path, config.slowpath_io), (65_536, PathChoice::Auto, Choice::Auto));
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        let at = |from: &str, to: &str| error(&WHOLE.replace(from, to));
        assert_eq!(
            at("10.45.0.0/16", "10.45.0.1/16"),
            "upf.toml:4:9: pools: 10.45.0.1/16 has bits set below its length; did you mean 10.45.0.0/16?"
        );
        assert!(at("edge-1", "Edge 1").starts_with("upf.toml:2:8: name \"Edge 1\": expected 1 to 64"));
        assert!(
            at("192.0.2.1", "192.0.2").starts_with("upf.toml:8:11: invalid IPv4 address"),
            "{}",
            at("192.0.2.1", "192.0.2")
        );
        assert!(at("127.0.0.8:8805", "0.0.0.0:8805").starts_with("upf.toml:3:6: n4 0.0.0.0:8805: expected"));
        assert!(at("[n6]", "colour = 1\n[n6]").contains("unknown field `colour`, expected"));
        assert!(at("interface = \"n6\"", "").contains("missing field `interface`"));
        let told = |line: &str| error(&format!("{line}\n{WHOLE}"));
        assert!(
            told("path = \"fast\"").contains("unknown variant `fast`, expected one of `auto`, `xdp`, `tc`, `generic`")
        );
        assert!(told("slowpath_io = \"x\"").starts_with("upf.toml:1:15: \"x\" is none of auto, uring, tokio"));
        assert!(told("session_max = 0").starts_with("upf.toml:1:15: session_max 0: expected 1 to 16777216"));
        assert!(told("node_id = \"a b\"").contains("neither an IP address nor a domain name"));
        assert!(told("name = \"x\"").contains("duplicate key"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Config::read(Path::new("/nonexistent/upf.toml")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/upf.toml: No such file"));
    }
}
