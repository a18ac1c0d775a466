//! GTP-U on N3 (TS 29.281), with the PDU session container (TS 38.415).
//!
//! Packets are read in place and written into a buffer of the caller's: nothing here allocates but that buffer.

/// UDP port of GTP-U (TS 29.281, 4.4.2).
pub const PORT: u16 = 2152;

/// Message types (TS 29.281, table 6.1-1).
pub const ECHO_REQUEST: u8 = 0x01;
pub const ECHO_RESPONSE: u8 = 0x02;
pub const ERROR_INDICATION: u8 = 0x1A;
pub const SUPPORTED_EXTENSION_HEADERS: u8 = 0x1F;
pub const END_MARKER: u8 = 0xFE;
pub const G_PDU: u8 = 0xFF;

/// Extension header type of the PDU session container (TS 29.281, figure 5.2.1-3).
pub const PDU_SESSION_CONTAINER: u8 = 0x85;

/// Most extension headers that a packet may have here. TS 29.281 names none; a dozen are defined.
pub const EXTENSIONS_MAX: usize = 16;

const VERSION_1_PT: u8 = 0x30;
const E_FLAG: u8 = 0x04;
const S_FLAG: u8 = 0x02;
const PN_FLAG: u8 = 0x01;
/// Information elements (TS 29.281, table 8.1-1).
const IE_RECOVERY: u8 = 14;
const IE_TEID_DATA_I: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GtpuError {
    #[error("the packet ends before its header does")]
    Truncated,
    #[error("version {0}, not 1")]
    Version(u8),
    #[error("protocol type 0: GTP'")]
    NotGtp,
    #[error("the length says {said} octets, there are {are}")]
    Length { said: usize, are: usize },
    #[error("an extension header of length 0")]
    EmptyExtension,
    #[error("more than {EXTENSIONS_MAX} extension headers")]
    TooManyExtensions,
    #[error("extension header {0:#04x} is not known, and must be understood")]
    UnknownExtension(u8),
    #[error("the PDU session container cannot be read")]
    Container,
}

/// A packet, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub message_type: u8,
    pub teid: u32,
    pub sequence: Option<u16>,
    pub container: Option<Container>,
    /// What follows the headers: an IP packet in a G-PDU, information elements in the others.
    pub payload: &'a [u8],
}

/// PDU session container (TS 38.415, 5.5.2.1 and 5.5.2.2), without its optional fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    Downlink { qfi: u8, reflective: bool },
    Uplink { qfi: u8 },
}

impl<'a> Packet<'a> {
    pub fn decode(octets: &'a [u8]) -> Result<Self, GtpuError> {
        let header: &[u8; 8] = octets.first_chunk().ok_or(GtpuError::Truncated)?;
        let flags = header[0];
        if flags >> 5 != 1 {
            return Err(GtpuError::Version(flags >> 5));
        }
        if flags & 0x10 == 0 {
            return Err(GtpuError::NotGtp);
        }
        let said = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let body = &octets[8..];
        // Octets after the length are no part of the message: a short IP packet in an Ethernet frame has padding.
        let body = body.get(..said).ok_or(GtpuError::Length { said, are: body.len() })?;
        let mut packet = Packet {
            message_type: header[1],
            teid: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            sequence: None,
            container: None,
            payload: body,
        };
        if flags & (E_FLAG | S_FLAG | PN_FLAG) == 0 {
            return Ok(packet);
        }
        // TS 29.281 5.1: one flag of the three makes all of the optional fields present.
        let (&optional, rest) = body.split_first_chunk::<4>().ok_or(GtpuError::Truncated)?;
        packet.sequence = (flags & S_FLAG != 0).then(|| u16::from_be_bytes([optional[0], optional[1]]));
        packet.payload = rest;
        if flags & E_FLAG != 0 {
            packet.read_extensions(optional[3])?;
        }
        Ok(packet)
    }

    fn read_extensions(&mut self, mut next: u8) -> Result<(), GtpuError> {
        for _ in 0..EXTENSIONS_MAX {
            if next == 0 {
                return Ok(());
            }
            let length = usize::from(*self.payload.first().ok_or(GtpuError::Truncated)?) * 4;
            if length == 0 {
                return Err(GtpuError::EmptyExtension);
            }
            let (header, rest) = self.payload.split_at_checked(length).ok_or(GtpuError::Truncated)?;
            match next {
                PDU_SESSION_CONTAINER => self.container = Some(Container::read(&header[1..length - 1])?),
                // TS 29.281 5.2.1: bits 8 and 7 say whether an endpoint must understand it.
                unknown if unknown & 0xC0 == 0xC0 => return Err(GtpuError::UnknownExtension(unknown)),
                unknown if unknown & 0xC0 == 0x80 => return Err(GtpuError::UnknownExtension(unknown)),
                _ => {}
            }
            next = header[length - 1];
            self.payload = rest;
        }
        match next {
            0 => Ok(()),
            _ => Err(GtpuError::TooManyExtensions),
        }
    }

    /// The TEID that an error indication is about (TS 29.281, 7.3.1): the one that we sent to.
    pub fn teid_in_error(&self) -> Option<u32> {
        match (self.message_type, self.payload) {
            (ERROR_INDICATION, [IE_TEID_DATA_I, a, b, c, d, ..]) => Some(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => None,
        }
    }
}

impl Container {
    fn read(content: &[u8]) -> Result<Self, GtpuError> {
        match *content {
            [first, second, ..] if first >> 4 == 0 => {
                Ok(Self::Downlink { qfi: second & 0x3F, reflective: second & 0x40 != 0 })
            }
            [first, second, ..] if first >> 4 == 1 => Ok(Self::Uplink { qfi: second & 0x3F }),
            _ => Err(GtpuError::Container),
        }
    }

    fn octets(self) -> [u8; 2] {
        match self {
            Self::Downlink { qfi, reflective } => [0x00, (u8::from(reflective) << 6) | (qfi & 0x3F)],
            Self::Uplink { qfi } => [0x10, qfi & 0x3F],
        }
    }
}

/// Writes a G-PDU, replacing what is in `buffer`. A payload too long for the length field is cut by nobody: `false`.
#[must_use]
pub fn encode_g_pdu(buffer: &mut Vec<u8>, teid: u32, container: Option<Container>, payload: &[u8]) -> bool {
    let extra = if container.is_some() { 8 } else { 0 };
    let Ok(length) = u16::try_from(payload.len() + extra) else { return false };
    buffer.clear();
    let flags = VERSION_1_PT | if container.is_some() { E_FLAG } else { 0 };
    buffer.extend_from_slice(&[flags, G_PDU]);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(&teid.to_be_bytes());
    if let Some(container) = container {
        let [first, second] = container.octets();
        buffer.extend_from_slice(&[0, 0, 0, PDU_SESSION_CONTAINER, 1, first, second, 0]);
    }
    buffer.extend_from_slice(payload);
    true
}

/// Writes an echo request, or the response to one (TS 29.281, 7.2.1 and 7.2.2).
pub fn encode_echo(buffer: &mut Vec<u8>, message_type: u8, sequence: u16) {
    buffer.clear();
    let recovery: &[u8] = if message_type == ECHO_RESPONSE { &[IE_RECOVERY, 0] } else { &[] };
    buffer.extend_from_slice(&[VERSION_1_PT | S_FLAG, message_type, 0, 4 + recovery.len() as u8, 0, 0, 0, 0]);
    buffer.extend_from_slice(&sequence.to_be_bytes());
    buffer.extend_from_slice(&[0, 0]);
    buffer.extend_from_slice(recovery);
}

/// Writes an error indication about `teid`, which `local` does not know (TS 29.281, 7.3.1).
pub fn encode_error_indication(buffer: &mut Vec<u8>, teid: u32, local: std::net::Ipv4Addr) {
    buffer.clear();
    buffer.extend_from_slice(&[VERSION_1_PT | S_FLAG, ERROR_INDICATION, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, IE_TEID_DATA_I]);
    buffer.extend_from_slice(&teid.to_be_bytes());
    // GSN address: type 133, TLV (8.4).
    buffer.extend_from_slice(&[133, 0, 4]);
    buffer.extend_from_slice(&local.octets());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IP: &[u8] = &[0x45, 0x00];

    fn packet(message_type: u8, teid: u32, container: Option<Container>, payload: &[u8]) -> Packet<'_> {
        Packet { message_type, teid, sequence: None, container, payload }
    }

    #[test]
    fn packets_are_read_as_ts_29_281_has_them() {
        let up = Some(Container::Uplink { qfi: 9 });
        let down = Some(Container::Downlink { qfi: 1, reflective: true });
        #[rustfmt::skip]
        let table: &[(&str, &[u8], Result<Packet<'_>, GtpuError>)] = &[
            ("plain", b"\x30\xff\x00\x02\x00\x00\x00\x01\x45\x00", Ok(packet(G_PDU, 1, None, IP))),
            ("padding after the length", b"\x30\xff\x00\x02\x00\x00\x00\x01\x45\x00\x00\x00", Ok(packet(G_PDU, 1, None, IP))),
            ("sequence", b"\x32\xff\x00\x06\x00\x00\x00\x01\x12\x34\x00\x00\x45\x00",
                Ok(Packet { sequence: Some(0x1234), ..packet(G_PDU, 1, None, IP) })),
            ("uplink container", b"\x34\xff\x00\x0a\xde\xad\xbe\xef\x00\x00\x00\x85\x01\x10\x09\x00\x45\x00", Ok(packet(G_PDU, 0xdead_beef, up, IP))),
            ("downlink container with RQI", b"\x34\xff\x00\x0a\x00\x00\x00\x01\x00\x00\x00\x85\x01\x00\x41\x00\x45\x00", Ok(packet(G_PDU, 1, down, IP))),
            ("two headers, one unknown but optional", b"\x34\xff\x00\x0e\x00\x00\x00\x01\x00\x00\x00\x40\x01\x11\x22\x85\x01\x10\x09\x00\x45\x00", Ok(packet(G_PDU, 1, up, IP))),
            ("unknown, must be understood", b"\x34\xff\x00\x08\x00\x00\x00\x01\x00\x00\x00\xc5\x01\x11\x22\x00", Err(GtpuError::UnknownExtension(0xc5))),
            ("E flag, no next header", b"\x34\xff\x00\x06\x00\x00\x00\x01\x00\x00\x00\x00\x45\x00", Ok(packet(G_PDU, 1, None, IP))),
            ("extension of length 0", b"\x34\xff\x00\x08\x00\x00\x00\x01\x00\x00\x00\x85\x00\x10\x09\x00", Err(GtpuError::EmptyExtension)),
            ("extension beyond the end", b"\x34\xff\x00\x08\x00\x00\x00\x01\x00\x00\x00\x85\x02\x10\x09\x00", Err(GtpuError::Truncated)),
            ("length beyond the end", b"\x30\xff\x00\x03\x00\x00\x00\x01\x45\x00", Err(GtpuError::Length { said: 3, are: 2 })),
            ("end marker", b"\x30\xfe\x00\x00\x00\x00\x00\x01", Ok(packet(END_MARKER, 1, None, &[]))),
            ("version 2", b"\x50\xff\x00\x00\x00\x00\x00\x01", Err(GtpuError::Version(2))),
            ("GTP'", b"\x20\xff\x00\x00\x00\x00\x00\x01", Err(GtpuError::NotGtp)),
            ("seven octets", b"\x30\xff\x00\x00\x00\x00\x00", Err(GtpuError::Truncated)),
            ("container of a later type", b"\x34\xff\x00\x08\x00\x00\x00\x01\x00\x00\x00\x85\x01\x20\x09\x00", Err(GtpuError::Container)),
        ];
        for (what, octets, expected) in table {
            assert_eq!(&Packet::decode(octets), expected, "{what}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut buffer = Vec::new();
        for container in
            [None, Some(Container::Uplink { qfi: 63 }), Some(Container::Downlink { qfi: 5, reflective: false })]
        {
            assert!(encode_g_pdu(&mut buffer, 0x0102_0304, container, IP));
            assert_eq!(Packet::decode(&buffer), Ok(packet(G_PDU, 0x0102_0304, container, IP)));
        }
        assert!(!encode_g_pdu(&mut buffer, 1, None, &[0; 65_536]));
        encode_echo(&mut buffer, ECHO_RESPONSE, 7);
        let echo = Packet::decode(&buffer).unwrap();
        assert_eq!((echo.message_type, echo.sequence, echo.payload), (ECHO_RESPONSE, Some(7), &[14, 0][..]));
        encode_error_indication(&mut buffer, 0xabcd, [10, 0, 0, 1].into());
        assert_eq!(Packet::decode(&buffer).unwrap().teid_in_error(), Some(0xabcd));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..96)) {
            if let Ok(packet) = Packet::decode(&octets) {
                prop_assert!(packet.payload.len() <= octets.len());
                let _ = packet.teid_in_error();
            }
        }
    }
}
