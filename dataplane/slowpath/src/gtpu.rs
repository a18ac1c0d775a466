//! GTP-U messages (TS 29.281 5 and 7): a parser that never looks past what it was given, and the few messages sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Message types (TS 29.281 table 6.1-1).
pub mod kind {
    pub const ECHO_REQUEST: u8 = 1;
    pub const ECHO_RESPONSE: u8 = 2;
    pub const ERROR_INDICATION: u8 = 26;
    pub const SUPPORTED_EXTENSION_HEADERS_NOTIFICATION: u8 = 31;
    pub const TUNNEL_STATUS: u8 = 253;
    pub const END_MARKER: u8 = 254;
    pub const G_PDU: u8 = 255;
}

/// Next extension header types (TS 29.281 figure 5.2.1-3).
pub mod extension {
    pub const NONE: u8 = 0x00;
    pub const UDP_PORT: u8 = 0x40;
    pub const PDU_SESSION_CONTAINER: u8 = 0x85;

    /// Those that the fast path and this crate understand.
    pub const SUPPORTED: [u8; 2] = [UDP_PORT, PDU_SESSION_CONTAINER];

    /// TS 29.281 5.2.1: the two highest bits say who must understand it; 10 and 11 name the receiving end point.
    pub const fn must_be_understood(kind: u8) -> bool {
        kind & 0x80 != 0
    }
}

/// Information elements (TS 29.281 table 8.1-1).
mod element {
    pub(super) const RECOVERY: u8 = 14;
    pub(super) const TEID_DATA_I: u8 = 16;
    pub(super) const GTPU_PEER_ADDRESS: u8 = 133;
    pub(super) const EXTENSION_HEADER_TYPE_LIST: u8 = 141;
}

/// Most extension headers that are followed in one packet.
pub const EXTENSION_HEADERS_MAX: usize = 8;

/// A message with its header taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: u8,
    pub teid: u32,
    /// Only with the S flag.
    pub sequence_number: Option<u16>,
    /// The first extension header that must be understood and is not.
    pub unsupported_extension: Option<u8>,
    /// What follows the header: information elements, or the user packet of a G-PDU.
    pub payload: &'a [u8],
}

/// Why octets are no GTP-U message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("shorter than its header")]
    Truncated,
    #[error("GTP version {0}")]
    Version(u8),
    #[error("GTP', which is for charging")]
    Prime,
    #[error("its length field says more than there is")]
    Length,
    #[error("an extension header of length 0")]
    EmptyExtension,
    #[error("more than {EXTENSION_HEADERS_MAX} extension headers")]
    TooManyExtensions,
}

const FLAG_PN: u8 = 0x01;
const FLAG_S: u8 = 0x02;
const FLAG_E: u8 = 0x04;
const FLAG_PT: u8 = 0x10;
const VERSION_1: u8 = 0x20;
const HEADER: usize = 8;

impl<'a> Message<'a> {
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = datagram.split_first_chunk::<HEADER>().ok_or(Malformed::Truncated)?;
        let [flags, kind, length_high, length_low, teid @ ..] = *header;
        if flags >> 5 != 1 {
            return Err(Malformed::Version(flags >> 5));
        }
        if flags & FLAG_PT == 0 {
            return Err(Malformed::Prime);
        }
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        // Octets after the end are not the message's: UDP may be padded.
        let body = rest.get(..length).ok_or(Malformed::Length)?;
        let mut message = Self {
            kind,
            teid: u32::from_be_bytes(teid),
            sequence_number: None,
            unsupported_extension: None,
            payload: body,
        };
        // TS 29.281 5.1: the four optional octets are there if any of the three flags is set.
        if flags & (FLAG_E | FLAG_S | FLAG_PN) != 0 {
            let ([high, low, _n_pdu, next], body) = body.split_first_chunk::<4>().ok_or(Malformed::Truncated)?;
            message.sequence_number = (flags & FLAG_S != 0).then(|| u16::from_be_bytes([*high, *low]));
            message.payload = body;
            if flags & FLAG_E != 0 {
                message.skip_extensions(*next)?;
            }
        }
        Ok(message)
    }

    fn skip_extensions(&mut self, first: u8) -> Result<(), Malformed> {
        let mut next = first;
        for _ in 0..EXTENSION_HEADERS_MAX {
            if next == extension::NONE {
                return Ok(());
            }
            if extension::must_be_understood(next) && !extension::SUPPORTED.contains(&next) {
                self.unsupported_extension.get_or_insert(next);
            }
            let units = *self.payload.first().ok_or(Malformed::Truncated)?;
            let octets = usize::from(units) * 4;
            if octets == 0 {
                return Err(Malformed::EmptyExtension);
            }
            let (header, rest) = self.payload.split_at_checked(octets).ok_or(Malformed::Truncated)?;
            next = header[octets - 1];
            self.payload = rest;
        }
        if next == extension::NONE { Ok(()) } else { Err(Malformed::TooManyExtensions) }
    }
}

/// What an error indication says (TS 29.281 7.3.1): this tunnel end point does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorIndication {
    pub teid: u32,
    pub peer: IpAddr,
}

impl ErrorIndication {
    /// None: one of its two mandatory elements is missing or has a wrong length.
    pub fn parse(elements: &[u8]) -> Option<Self> {
        let (mut teid, mut peer) = (None, None);
        let mut rest = elements;
        while let Some((&kind, after)) = rest.split_first() {
            // TS 29.281 8.1: below 128 the length is the type's, from 128 on it is written.
            let (value, after) = match kind {
                element::RECOVERY => after.split_at_checked(1)?,
                element::TEID_DATA_I => after.split_at_checked(4)?,
                128.. => {
                    let (length, after) = after.split_first_chunk::<2>()?;
                    after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?
                }
                // A type whose length nobody knows: nothing after it can be read.
                _ => break,
            };
            match kind {
                element::TEID_DATA_I if teid.is_none() => teid = Some(u32::from_be_bytes(value.try_into().ok()?)),
                element::GTPU_PEER_ADDRESS if peer.is_none() => peer = Some(address(value)?),
                _ => {}
            }
            rest = after;
        }
        Some(Self { teid: teid?, peer: peer? })
    }

    /// `source_port` is that of the G-PDU answered: it goes into the UDP port extension header (TS 29.281 5.2.2.1), by
    /// which the peer finds the sender of the packet.
    pub fn write(&self, source_port: u16) -> Vec<u8> {
        let mut body = vec![element::TEID_DATA_I];
        body.extend(self.teid.to_be_bytes());
        body.push(element::GTPU_PEER_ADDRESS);
        match self.peer {
            IpAddr::V4(address) => body.extend([0, 4].into_iter().chain(address.octets())),
            IpAddr::V6(address) => body.extend([0, 16].into_iter().chain(address.octets())),
        }
        let [high, low] = source_port.to_be_bytes();
        write(kind::ERROR_INDICATION, 0, Some(0), &[(extension::UDP_PORT, [high, low])], &body)
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into()),
        _ => None,
    }
}

/// TS 29.281 7.2.2: the recovery element is mandatory and its value is 0.
pub fn echo_response(sequence_number: u16) -> Vec<u8> {
    write(kind::ECHO_RESPONSE, 0, Some(sequence_number), &[], &[element::RECOVERY, 0])
}

pub fn echo_request(sequence_number: u16) -> Vec<u8> {
    write(kind::ECHO_REQUEST, 0, Some(sequence_number), &[], &[])
}

/// TS 29.281 7.2.3.
pub fn supported_extension_headers_notification() -> Vec<u8> {
    let count = extension::SUPPORTED.len() as u8;
    let mut body = vec![element::EXTENSION_HEADER_TYPE_LIST, count];
    body.extend(extension::SUPPORTED);
    write(kind::SUPPORTED_EXTENSION_HEADERS_NOTIFICATION, 0, Some(0), &[], &body)
}

/// TS 29.281 7.3.2: no more G-PDUs come through this tunnel.
pub fn end_marker(teid: u32) -> Vec<u8> {
    write(kind::END_MARKER, teid, None, &[], &[])
}

/// Extension headers are those with two octets of content.
fn write(kind: u8, teid: u32, sequence_number: Option<u16>, extensions: &[(u8, [u8; 2])], body: &[u8]) -> Vec<u8> {
    let long = sequence_number.is_some() || !extensions.is_empty();
    let length = usize::from(long) * 4 + extensions.len() * 4 + body.len();
    let mut octets = Vec::with_capacity(HEADER + length);
    let s = if sequence_number.is_some() { FLAG_S } else { 0 };
    let e = if extensions.is_empty() { 0 } else { FLAG_E };
    octets.extend([VERSION_1 | FLAG_PT | s | e, kind]);
    // Messages written here are a few dozen octets long.
    octets.extend((length as u16).to_be_bytes());
    octets.extend(teid.to_be_bytes());
    if long {
        octets.extend(sequence_number.unwrap_or(0).to_be_bytes());
        octets.push(0);
        octets.push(extensions.first().map_or(extension::NONE, |(kind, _)| *kind));
    }
    for (position, (_, [a, b])) in extensions.iter().enumerate() {
        let next = extensions.get(position + 1).map_or(extension::NONE, |(kind, _)| *kind);
        octets.extend([1, *a, *b, next]);
    }
    octets.extend(body);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_of_a_gnb_is_read() {
        // Sequence number 0x002a, no extension header.
        let message = Message::parse(&[0x32, 1, 0, 4, 0, 0, 0, 0, 0x00, 0x2a, 0, 0]).unwrap();
        assert_eq!((message.kind, message.teid, message.sequence_number), (1, 0, Some(0x2a)));
        assert!(message.payload.is_empty());
    }

    #[test]
    fn a_g_pdu_with_a_pdu_session_container_is_read() {
        let octets = [0x34, 255, 0, 9, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0x85, 1, 0x10, 0x09, 0, 0x45];
        let message = Message::parse(&octets).unwrap();
        assert_eq!((message.teid, message.sequence_number), (0x1234_5678, None));
        assert_eq!((message.unsupported_extension, message.payload), (None, &[0x45][..]));
    }

    #[test]
    fn an_extension_header_that_must_be_understood_is_named() {
        let octets = [0x34, 255, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0xc0, 1, 0, 0, 0x81, 1, 0, 0, 0];
        assert_eq!(Message::parse(&octets).unwrap().unsupported_extension, Some(0xc0));
        // 0x20, service class indicator: not required.
        let octets = [0x34, 255, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0x20, 1, 0, 0, 0];
        assert_eq!(Message::parse(&octets).unwrap().unsupported_extension, None);
    }

    #[test]
    fn malformed_messages_are_told_apart() {
        let cases: [(&[u8], Malformed); 8] = [
            (&[], Malformed::Truncated),
            (&[0x30, 255, 0, 0, 0, 0, 0], Malformed::Truncated),
            (&[0x50, 255, 0, 0, 0, 0, 0, 0], Malformed::Version(2)),
            (&[0x20, 255, 0, 0, 0, 0, 0, 0], Malformed::Prime),
            (&[0x30, 255, 0, 1, 0, 0, 0, 0], Malformed::Length),
            (&[0x32, 255, 0, 3, 0, 0, 0, 0, 0, 0, 0], Malformed::Truncated),
            (&[0x34, 255, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0x85, 0, 0, 0, 0], Malformed::EmptyExtension),
            (&[0x34, 255, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0x85, 2, 0, 0, 0], Malformed::Truncated),
        ];
        for (octets, expected) in cases {
            assert_eq!(Message::parse(octets), Err(expected), "{octets:02x?}");
        }
        let mut many = vec![0x34, 255, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0x40];
        many.extend([1, 0, 0, 0x40].repeat(9));
        assert_eq!(Message::parse(&many), Err(Malformed::TooManyExtensions));
    }

    #[test]
    fn an_error_indication_is_written_as_the_clause_says() {
        let indication = ErrorIndication { teid: 0x0102_0304, peer: IpAddr::from([192, 0, 2, 1]) };
        let octets = indication.write(0xd431);
        assert_eq!(
            octets,
            [
                0x36, 26, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0x40, // S and E, UDP port next
                1, 0xd4, 0x31, 0, // the port
                16, 1, 2, 3, 4, // TEID data I
                133, 0, 4, 192, 0, 2, 1 // GTP-U peer address
            ]
        );
        let message = Message::parse(&octets).unwrap();
        assert_eq!(ErrorIndication::parse(message.payload), Some(indication));
    }

    #[test]
    fn an_error_indication_with_a_private_extension_is_read() {
        let mut elements = vec![255, 0, 3, 0, 1, 9];
        elements.extend([16, 0, 0, 0, 5, 133, 0, 4, 10, 0, 0, 1]);
        assert_eq!(
            ErrorIndication::parse(&elements),
            Some(ErrorIndication { teid: 5, peer: IpAddr::from([10, 0, 0, 1]) })
        );
        for cut in 0..elements.len() {
            assert_eq!(ErrorIndication::parse(&elements[..cut]), None, "{cut}");
        }
        assert_eq!(ErrorIndication::parse(&[16, 0, 0, 0, 5, 133, 0, 3, 10, 0, 0]), None);
    }

    #[test]
    fn the_other_answers() {
        assert_eq!(echo_response(0x2a), [0x32, 2, 0, 6, 0, 0, 0, 0, 0, 0x2a, 0, 0, 14, 0]);
        assert_eq!(
            supported_extension_headers_notification(),
            [0x32, 31, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 141, 2, 0x40, 0x85]
        );
        assert_eq!(end_marker(7), [0x30, 254, 0, 0, 0, 0, 0, 7]);
    }

    /// Every prefix and every one-octet change of a message with all that a header can have: no panic, no read beyond.
    #[test]
    fn damaged_messages_never_panic() {
        let whole = ErrorIndication { teid: 1, peer: IpAddr::from([1, 2, 3, 4]) }.write(9);
        for cut in 0..whole.len() {
            let _ = Message::parse(&whole[..cut]).map(|message| ErrorIndication::parse(message.payload));
        }
        for position in 0..whole.len() {
            for value in 0..=255 {
                let mut damaged = whole.clone();
                damaged[position] = value;
                let _ = Message::parse(&damaged).map(|message| ErrorIndication::parse(message.payload));
            }
        }
    }
}
