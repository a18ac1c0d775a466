//! The outermost shell of PFCP: the header (TS 29.244, 7.2.2) and the sequence of information elements (8.1.1).
//!
//! Received messages are read here and not by the codec's typed parser: a response needs three or four of its elements,
//! and an octet string from outside is best read by the shortest code. Values inside an element, and everything that is
//! sent, are the codec's.

use rs_pfcp::ie::fseid::Fseid;
use rs_pfcp::ie::node_id::NodeId;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use rs_pfcp::message::header::Header;
use std::net::IpAddr;

/// Octets of a header without SEID, from the version to the spare octet after the sequence number.
const NODE_HEADER: usize = 8;
const SESSION_HEADER: usize = 16;

/// The only version there is.
const VERSION: u8 = 1;

/// A received message, still in its octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: MsgType,
    /// The receiver's SEID, in a session related message.
    pub(crate) seid: Option<u64>,
    pub(crate) sequence: u32,
    ies: &'a [u8],
}

/// Why a datagram is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Shorter than its header, or than its header says: discarded (TS 29.244, 7.6.3).
    Length,
    /// To be answered with Version Not Supported (7.6.2).
    Version { sequence: u32 },
}

impl<'a> Message<'a> {
    pub(crate) fn read(octets: &'a [u8]) -> Result<Self, Malformed> {
        let [flags, kind, length_high, length_low, ..] = *octets else {
            return Err(Malformed::Length);
        };
        let with_seid = flags & 0x01 != 0;
        let header = if with_seid { SESSION_HEADER } else { NODE_HEADER };
        let sequence_at = header - 4;
        let &[a, b, c] =
            octets.get(sequence_at..sequence_at + 3).and_then(<[u8]>::first_chunk).ok_or(Malformed::Length)?;
        let sequence = u32::from_be_bytes([0, a, b, c]);
        if flags >> 5 != VERSION {
            return Err(Malformed::Version { sequence });
        }
        // 7.2.2.1: the length counts what follows the first four octets. More octets than that are another message
        // bundled behind (5.26): the feature BUNDL is not announced, so there is none to be expected.
        let length = 4 + usize::from(u16::from_be_bytes([length_high, length_low]));
        let ies = octets.get(header..length).ok_or(Malformed::Length)?;
        let seid = octets.get(4..12).and_then(<[u8]>::first_chunk).filter(|_| with_seid);
        Ok(Self { kind: kind.into(), seid: seid.map(|seid| u64::from_be_bytes(*seid)), sequence, ies })
    }

    pub(crate) fn ies(&self) -> Ies<'a> {
        Ies(self.ies)
    }

    pub(crate) fn ie(&self, wanted: IeType) -> Option<&'a [u8]> {
        self.ies().find_map(|(kind, value)| (kind == wanted as u16).then_some(value))
    }

    pub(crate) fn is_session_related(&self) -> bool {
        self.kind as u8 >= MsgType::SessionEstablishmentRequest as u8
    }

    /// Requests are odd up to the association messages and even in the session ones (table 7.3-1): by name, then.
    pub(crate) fn is_response(&self) -> bool {
        matches!(
            self.kind,
            MsgType::HeartbeatResponse
                | MsgType::PfdManagementResponse
                | MsgType::AssociationSetupResponse
                | MsgType::AssociationUpdateResponse
                | MsgType::AssociationReleaseResponse
                | MsgType::VersionNotSupportedResponse
                | MsgType::NodeReportResponse
                | MsgType::SessionSetDeletionResponse
                | MsgType::SessionSetModificationResponse
                | MsgType::SessionEstablishmentResponse
                | MsgType::SessionModificationResponse
                | MsgType::SessionDeletionResponse
                | MsgType::SessionReportResponse
        )
    }
}

/// Information elements in the order of the message. A last one that is cut short is not there (7.6.6).
pub(crate) struct Ies<'a>(&'a [u8]);

impl<'a> Ies<'a> {
    /// The elements inside a grouped one.
    pub(crate) fn grouped(value: &'a [u8]) -> Self {
        Self(value)
    }
}

impl<'a> Iterator for Ies<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[kind_high, kind_low, length_high, length_low], rest) = self.0.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((u16::from_be_bytes([kind_high, kind_low]), value))
    }
}

/// A message to send. Session related ones have a SEID, that of the receiver.
pub(crate) fn encode(kind: MsgType, seid: Option<u64>, sequence: u32, ies: &[Ie]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(512);
    Header::new(kind, seid.is_some(), seid.unwrap_or(0), sequence).marshal_into(&mut octets);
    for ie in ies {
        ie.marshal_into(&mut octets);
    }
    // What this function sends stays far below 64 KiB; a longer message would name no length that is true.
    let length = u16::try_from(octets.len() - 4).unwrap_or(u16::MAX);
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    octets
}

pub(crate) fn node_id(node: IpAddr) -> Ie {
    match node {
        IpAddr::V4(v4) => NodeId::new_ipv4(v4).to_ie(),
        IpAddr::V6(v6) => NodeId::new_ipv6(v6).to_ie(),
    }
}

pub(crate) fn cp_fseid(seid: u64, node: IpAddr) -> Ie {
    let fseid = match node {
        IpAddr::V4(v4) => Fseid::new(seid, Some(v4), None),
        IpAddr::V6(v6) => Fseid::new(seid, None, Some(v6)),
    };
    Ie::new(IeType::Fseid, fseid.marshal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_request_reads() {
        // TS 29.244, 7.4.2.1: Recovery Time Stamp, 4 octets.
        let octets = [0x20, 0x01, 0x00, 0x0C, 0x00, 0x00, 0x07, 0x00, 0x00, 0x60, 0x00, 0x04, 0xE0, 0x01, 0x02, 0x03];
        let message = Message::read(&octets).unwrap();
        assert_eq!((message.kind, message.seid, message.sequence), (MsgType::HeartbeatRequest, None, 7));
        assert_eq!(message.ie(IeType::RecoveryTimeStamp), Some(&[0xE0, 0x01, 0x02, 0x03][..]));
        assert!(!message.is_response() && !message.is_session_related());
    }

    #[test]
    fn a_session_message_has_a_seid_and_may_be_followed_by_padding() {
        let mut octets = vec![0x21, 0x35, 0x00, 0x11, 0, 0, 0, 0, 0, 0, 0, 9, 0x00, 0x01, 0x02, 0x00];
        octets.extend([0x00, 0x13, 0x00, 0x01, 0x01]);
        octets.extend([0xFF; 3]);
        let message = Message::read(&octets).unwrap();
        assert_eq!((message.kind, message.seid), (MsgType::SessionModificationResponse, Some(9)));
        assert_eq!((message.sequence, message.ie(IeType::Cause)), (0x0102, Some(&[1][..])));
        assert_eq!(message.ies().count(), 1);
    }

    #[test]
    fn every_truncation_is_refused_or_lacks_its_last_element() {
        let mut octets = vec![0x21, 0x35, 0x00, 0x11, 0, 0, 0, 0, 0, 0, 0, 9, 0x00, 0x01, 0x02, 0x00];
        octets.extend([0x00, 0x13, 0x00, 0x01, 0x01]);
        for len in 0..octets.len() {
            assert!(matches!(Message::read(&octets[..len]), Err(Malformed::Length)), "{len}");
        }
        octets[3] -= 1; // The header now ends within the element.
        assert_eq!(Message::read(&octets).unwrap().ies().count(), 0);
    }

    #[test]
    fn another_version_names_its_sequence_number() {
        let octets = [0x40, 0x01, 0x00, 0x04, 0x00, 0x00, 0x2A, 0x00];
        assert_eq!(Message::read(&octets).unwrap_err(), Malformed::Version { sequence: 42 });
    }
}
