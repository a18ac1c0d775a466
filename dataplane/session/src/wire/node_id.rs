//! Node ID (TS 29.244 8.2.38).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Who a PFCP entity is, whatever address it sends from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NodeId {
    Address(IpAddr),
    /// Lower case, without the final dot.
    Fqdn(String),
}

/// Longest name (RFC 1035 2.3.4), and longest label.
const FQDN_MAX: usize = 253;
const LABEL_MAX: usize = 63;

impl NodeId {
    /// None: it is neither an address nor a name.
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let (kind, rest) = value.split_first()?;
        match kind & 0x0f {
            0 => Some(Self::Address(Ipv4Addr::from(*rest.first_chunk::<4>()?).into())),
            1 => Some(Self::Address(Ipv6Addr::from(*rest.first_chunk::<16>()?).into())),
            2 => name(&labels(rest).or_else(|| String::from_utf8(rest.to_vec()).ok())?),
            _ => None,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Address(IpAddr::V4(address)) => [&[0], &address.octets()[..]].concat(),
            Self::Address(IpAddr::V6(address)) => [&[1], &address.octets()[..]].concat(),
            Self::Fqdn(name) => {
                let mut octets = vec![2];
                for label in name.split('.') {
                    // `name()` lets no label above 63 pass.
                    octets.push(label.len() as u8);
                    octets.extend(label.bytes());
                }
                octets
            }
        }
    }
}

/// RFC 1035 3.1 without the zero octet at the end, as the clause wants it. Some peers write plain text instead.
fn labels(mut octets: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while let Some((&length, rest)) = octets.split_first() {
        if length == 0 && rest.is_empty() {
            break;
        }
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        parts.push(str::from_utf8(label).ok()?);
        octets = rest;
    }
    Some(parts.join("."))
}

fn name(text: &str) -> Option<NodeId> {
    let text = text.trim_end_matches('.').to_ascii_lowercase();
    let label = |part: &str| {
        (1..=LABEL_MAX).contains(&part.len())
            && part.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
    };
    (text.len() <= FQDN_MAX && text.split('.').all(label)).then_some(NodeId::Fqdn(text))
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Fqdn(name) => f.write_str(name),
        }
    }
}

impl FromStr for NodeId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        name(text).ok_or_else(|| format!("{text:?} is neither an IP address nor a domain name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_on_the_wire_and_text_is_understood() {
        let id: NodeId = "SMF.Example.org".parse().unwrap();
        let octets = id.encode();
        assert_eq!(octets, b"\x02\x03smf\x07example\x03org");
        assert_eq!(NodeId::decode(&octets), Some(id.clone()));
        assert_eq!(NodeId::decode(b"\x02\x03smf\x07example\x03org\x00"), Some(id.clone()));
        assert_eq!(NodeId::decode(b"\x02smf.example.org"), Some(id));
    }

    #[test]
    fn addresses_are_read_and_written() {
        for text in ["192.0.2.1", "2001:db8::1"] {
            let id: NodeId = text.parse().unwrap();
            assert_eq!(NodeId::decode(&id.encode()), Some(id));
        }
    }

    #[test]
    fn what_is_no_node_id_is_none() {
        for octets in [&[][..], &[0, 1, 2, 3], &[1, 0], &[2], &[3, 1, 2, 3, 4], &[2, 0xff], b"\x02a b", b"\x02a..b"] {
            assert_eq!(NodeId::decode(octets), None, "{octets:02x?}");
        }
        assert!("".parse::<NodeId>().is_err());
        assert!("a/b".parse::<NodeId>().is_err());
    }
}
