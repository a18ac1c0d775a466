//! Extended protocol configuration options: what phones ask, and what a data network answers (TS 24.008, 10.5.6.3).

use coeur_model::config::DnnConfig;
use oxirush_nas::nas_5gs::{NasExtendedProtocolConfigurationOptions, Pco, PcoDirection, PcoEntry};

/// Container identifiers (table 10.5.154).
const IP_ALLOCATION_BY_NAS: u16 = 0x000A;
const DNS_SERVER_IPV4: u16 = 0x000D;
const LINK_MTU_IPV4: u16 = 0x0010;
/// IPCP, in which phones ask for DNS servers the older way (RFC 1877).
const IPCP: u16 = 0x8021;

const CONFIGURE_REQUEST: u8 = 1;
const CONFIGURE_NAK: u8 = 3;
const PRIMARY_DNS: u8 = 129;
const SECONDARY_DNS: u8 = 131;

/// What the phone asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) dns: bool,
    pub(crate) mtu: bool,
    /// Identifier of an IPCP Configure-Request for DNS servers.
    pub(crate) ipcp: Option<u8>,
}

impl Asked {
    /// What is not understood is not answered (6.2.4.2 and TS 24.008). Address allocation is always by NAS, as
    /// [`IP_ALLOCATION_BY_NAS`] asks, and has no answer of its own.
    pub(crate) fn read(options: &NasExtendedProtocolConfigurationOptions) -> Self {
        let Some(options) = options.pco(PcoDirection::Uplink) else {
            return Self::default();
        };
        let mut asked = Self::default();
        for PcoEntry { identifier, contents } in &options.entries {
            match *identifier {
                DNS_SERVER_IPV4 => asked.dns = true,
                LINK_MTU_IPV4 => asked.mtu = true,
                IPCP => asked.ipcp = dns_request(contents),
                IP_ALLOCATION_BY_NAS => {}
                _ => {}
            }
        }
        asked
    }

    pub(crate) fn answer(self, dnn: &DnnConfig) -> Option<NasExtendedProtocolConfigurationOptions> {
        let mut entries = Vec::new();
        if let Some(identifier) = self.ipcp.filter(|_| !dnn.dns.is_empty()) {
            entries.push(PcoEntry { identifier: IPCP, contents: dns_nak(identifier, dnn) });
        }
        if self.dns {
            let servers = dnn.dns.iter().take(DNS_MAX);
            entries.extend(
                servers.map(|server| PcoEntry { identifier: DNS_SERVER_IPV4, contents: server.octets().to_vec() }),
            );
        }
        if self.mtu {
            entries.push(PcoEntry { identifier: LINK_MTU_IPV4, contents: dnn.mtu.to_be_bytes().to_vec() });
        }
        if entries.is_empty() {
            return None;
        }
        NasExtendedProtocolConfigurationOptions::from_pco(&Pco::new(0, entries), PcoDirection::Downlink).ok()
    }
}

/// Most DNS servers given to a phone, whatever the configuration lists.
const DNS_MAX: usize = 4;

/// The identifier of a Configure-Request with a DNS option in it (RFC 1332, RFC 1661, 5.1).
fn dns_request(packet: &[u8]) -> Option<u8> {
    let (&[code, identifier, high, low], _) = packet.split_first_chunk()?;
    let mut options = packet.get(4..usize::from(u16::from_be_bytes([high, low])))?;
    while let [kind, length, ..] = *options {
        if code == CONFIGURE_REQUEST && matches!(kind, PRIMARY_DNS | SECONDARY_DNS) {
            return Some(identifier);
        }
        // An option is at least its own two octets long: every turn gets nearer to the end.
        options = options.get(usize::from(length.max(2))..)?;
    }
    None
}

fn dns_nak(identifier: u8, dnn: &DnnConfig) -> Vec<u8> {
    let mut packet = vec![CONFIGURE_NAK, identifier, 0, 0];
    for (kind, server) in [PRIMARY_DNS, SECONDARY_DNS].into_iter().zip(&dnn.dns) {
        packet.extend([kind, 6]);
        packet.extend(server.octets());
    }
    packet[3] = packet.len() as u8; // At most 4 + 2 × 6.
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dnn(dns: &[[u8; 4]]) -> DnnConfig {
        DnnConfig {
            name: "internet".parse().unwrap(),
            pool: "10.45.0.0/16".parse().unwrap(),
            dns: dns.iter().map(|server| (*server).into()).collect(),
            mtu: 1400,
        }
    }

    fn asked(value: &[u8]) -> Asked {
        Asked::read(&NasExtendedProtocolConfigurationOptions::new(value.to_vec()))
    }

    #[test]
    fn dns_and_mtu_are_answered_when_asked() {
        let asked = asked(&[0x80, 0x00, 0x0A, 0, 0x00, 0x0D, 0, 0x00, 0x10, 0]);
        assert_eq!(asked, Asked { dns: true, mtu: true, ipcp: None });
        let answer = asked.answer(&dnn(&[[8, 8, 8, 8], [1, 1, 1, 1]])).unwrap();
        let expected = [0x80, 0x00, 0x0D, 4, 8, 8, 8, 8, 0x00, 0x0D, 4, 1, 1, 1, 1, 0x00, 0x10, 2, 0x05, 0x78];
        assert_eq!(answer.value, expected);
    }

    #[test]
    fn ipcp_gets_a_configure_nak() {
        let request = [1, 7, 0, 16, 129, 6, 0, 0, 0, 0, 131, 6, 0, 0, 0, 0];
        let asked = asked(&[&[0x80, 0x80, 0x21, 16][..], &request].concat());
        assert_eq!(asked.ipcp, Some(7));
        let answer = asked.answer(&dnn(&[[8, 8, 4, 4]])).unwrap();
        assert_eq!(answer.value, [0x80, 0x80, 0x21, 10, 3, 7, 0, 10, 129, 6, 8, 8, 4, 4]);
        assert!(asked.answer(&dnn(&[])).is_none());
    }

    #[test]
    fn nonsense_asks_for_nothing() {
        for value in [&[0x80][..], &[0x80, 0x00], &[0x80, 0x80, 0x21, 200, 1], &[0x80, 0x80, 0x21, 5, 1, 7, 0, 5, 9]] {
            assert_eq!(asked(value), Asked::default());
        }
        assert_eq!(dns_request(&[1, 7, 0, 8, 3, 0, 0, 0]), None);
        assert!(Asked::default().answer(&dnn(&[])).is_none());
    }
}
