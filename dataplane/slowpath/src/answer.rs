//! What each GTP-U message gets as an answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::GTPU_PORT;
use crate::gtpu::{self, ErrorIndication, Malformed, Message, kind};

/// Error indications and notifications of extension headers: a peer that lost its mind, or a forged source address, must
/// not make this node send more than that.
pub const INDICATIONS_PER_SECOND_MAX: u32 = 100;

/// What became of one datagram; each is a label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    EchoAnswered,
    EchoResponse,
    ErrorIndicationSent,
    /// An unknown tunnel, and the limit of error indications is reached.
    ErrorIndicationSuppressed,
    ErrorIndicationReceived,
    ExtensionHeadersNotified,
    ExtensionHeadersSuppressed,
    ExtensionHeadersNotification,
    EndMarker,
    /// A user packet of a known tunnel that the fast path could not forward: its user packet is no IPv4.
    UserPacketNotIpv4,
    /// Its TTL ends here; there is no ICMP answer yet.
    UserPacketTtl,
    /// It came in fragments of the outer packet, or the fast path had no next hop for it.
    UserPacketNotForwarded,
    Truncated,
    /// TS 29.281 5.1: this is version 1; there is no message to answer another with.
    Version,
    Prime,
    Length,
    ExtensionHeader,
    /// A mandatory information element is missing or wrong; such signalling is discarded (TS 29.281 11).
    InformationElement,
    UnknownMessage,
    /// From a peer that has no IPv4 address, or port 0.
    Source,
}

impl Outcome {
    pub const ALL: [Self; 20] = [
        Self::EchoAnswered,
        Self::EchoResponse,
        Self::ErrorIndicationSent,
        Self::ErrorIndicationSuppressed,
        Self::ErrorIndicationReceived,
        Self::ExtensionHeadersNotified,
        Self::ExtensionHeadersSuppressed,
        Self::ExtensionHeadersNotification,
        Self::EndMarker,
        Self::UserPacketNotIpv4,
        Self::UserPacketTtl,
        Self::UserPacketNotForwarded,
        Self::Truncated,
        Self::Version,
        Self::Prime,
        Self::Length,
        Self::ExtensionHeader,
        Self::InformationElement,
        Self::UnknownMessage,
        Self::Source,
    ];

    /// The label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EchoAnswered => "echo_answered",
            Self::EchoResponse => "echo_response",
            Self::ErrorIndicationSent => "error_indication_sent",
            Self::ErrorIndicationSuppressed => "error_indication_suppressed",
            Self::ErrorIndicationReceived => "error_indication_received",
            Self::ExtensionHeadersNotified => "extension_headers_notified",
            Self::ExtensionHeadersSuppressed => "extension_headers_suppressed",
            Self::ExtensionHeadersNotification => "extension_headers_notification",
            Self::EndMarker => "end_marker",
            Self::UserPacketNotIpv4 => "user_packet_not_ipv4",
            Self::UserPacketTtl => "user_packet_ttl",
            Self::UserPacketNotForwarded => "user_packet_not_forwarded",
            Self::Truncated => "malformed_truncated",
            Self::Version => "malformed_version",
            Self::Prime => "malformed_gtp_prime",
            Self::Length => "malformed_length",
            Self::ExtensionHeader => "malformed_extension_header",
            Self::InformationElement => "malformed_information_element",
            Self::UnknownMessage => "unknown_message",
            Self::Source => "bad_source",
        }
    }
}

impl From<Malformed> for Outcome {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Truncated => Self::Truncated,
            Malformed::Version(_) => Self::Version,
            Malformed::Prime => Self::Prime,
            Malformed::Length => Self::Length,
            Malformed::EmptyExtension | Malformed::TooManyExtensions => Self::ExtensionHeader,
        }
    }
}

/// What to do about one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub outcome: Outcome,
    /// To send from the N3 address, if anything.
    pub reply: Option<(SocketAddrV4, Vec<u8>)>,
    /// The peer says that this tunnel end point of its does not exist.
    pub lost_tunnel: Option<ErrorIndication>,
}

impl Answer {
    fn silent(outcome: Outcome) -> Self {
        Self { outcome, reply: None, lost_tunnel: None }
    }

    fn reply(outcome: Outcome, to: SocketAddrV4, octets: Vec<u8>) -> Self {
        Self { outcome, reply: Some((to, octets)), lost_tunnel: None }
    }
}

/// Answers messages that arrive at one N3 address.
#[derive(Debug)]
pub struct Answerer {
    address: Ipv4Addr,
    limiter: Limiter,
}

impl Answerer {
    pub fn new(address: Ipv4Addr, now: Instant) -> Self {
        Self { address, limiter: Limiter { tokens: INDICATIONS_PER_SECOND_MAX, filled: now } }
    }

    /// `is_tunnel` tells whether a local TEID belongs to a session.
    pub fn handle(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        datagram: &[u8],
        is_tunnel: impl FnOnce(u32) -> bool,
    ) -> Answer {
        if from.port() == 0 || from.ip().is_unspecified() || from.ip().is_broadcast() || from.ip().is_multicast() {
            return Answer::silent(Outcome::Source);
        }
        let message = match Message::parse(datagram) {
            Ok(message) => message,
            Err(malformed) => return Answer::silent(malformed.into()),
        };
        if message.unsupported_extension.is_some() {
            return self.notify_extension_headers(now, from);
        }
        match message.kind {
            // TS 29.281 7.2.1, 7.2.2; 4.4.2.2: back to the port it came from.
            kind::ECHO_REQUEST => match message.sequence_number {
                Some(number) => Answer::reply(Outcome::EchoAnswered, from, gtpu::echo_response(number)),
                // TS 29.281 5.1: an echo request has the S flag.
                None => Answer::silent(Outcome::InformationElement),
            },
            // Nothing here sends echo requests yet.
            kind::ECHO_RESPONSE => Answer::silent(Outcome::EchoResponse),
            kind::ERROR_INDICATION => match ErrorIndication::parse(message.payload) {
                Some(lost) => {
                    Answer { outcome: Outcome::ErrorIndicationReceived, reply: None, lost_tunnel: Some(lost) }
                }
                None => Answer::silent(Outcome::InformationElement),
            },
            kind::SUPPORTED_EXTENSION_HEADERS_NOTIFICATION => Answer::silent(Outcome::ExtensionHeadersNotification),
            kind::END_MARKER => Answer::silent(Outcome::EndMarker),
            kind::G_PDU if is_tunnel(message.teid) => Answer::silent(why_not_forwarded(message.payload)),
            kind::G_PDU => self.indicate_error(now, from, message.teid),
            // TS 29.281 7.2.4: tunnel status is between the nodes of a RAN and an AMF; nothing to do with it here either.
            _ => Answer::silent(Outcome::UnknownMessage),
        }
    }

    /// TS 29.281 7.3.1; 4.4.2.3: to the GTP-U port, wherever the G-PDU came from.
    fn indicate_error(&mut self, now: Instant, from: SocketAddrV4, teid: u32) -> Answer {
        if !self.limiter.take(now) {
            return Answer::silent(Outcome::ErrorIndicationSuppressed);
        }
        let indication = ErrorIndication { teid, peer: IpAddr::V4(self.address) };
        let to = SocketAddrV4::new(*from.ip(), GTPU_PORT);
        Answer::reply(Outcome::ErrorIndicationSent, to, indication.write(from.port()))
    }

    /// TS 29.281 7.2.3, and 5.2.1: the message itself is discarded.
    fn notify_extension_headers(&mut self, now: Instant, from: SocketAddrV4) -> Answer {
        if !self.limiter.take(now) {
            return Answer::silent(Outcome::ExtensionHeadersSuppressed);
        }
        let to = SocketAddrV4::new(*from.ip(), GTPU_PORT);
        Answer::reply(Outcome::ExtensionHeadersNotified, to, gtpu::supported_extension_headers_notification())
    }
}

fn why_not_forwarded(packet: &[u8]) -> Outcome {
    match packet {
        [first, _, _, _, _, _, _, _, ttl, ..] if first >> 4 == 4 => {
            if *ttl <= 1 {
                Outcome::UserPacketTtl
            } else {
                Outcome::UserPacketNotForwarded
            }
        }
        _ => Outcome::UserPacketNotIpv4,
    }
}

/// As many at once as in a second, and as many a second.
#[derive(Debug)]
struct Limiter {
    tokens: u32,
    filled: Instant,
}

impl Limiter {
    fn take(&mut self, now: Instant) -> bool {
        let per_token = Duration::from_secs(1) / INDICATIONS_PER_SECOND_MAX;
        let earned = now.saturating_duration_since(self.filled).as_nanos() / per_token.as_nanos();
        if earned >= u128::from(INDICATIONS_PER_SECOND_MAX) {
            (self.tokens, self.filled) = (INDICATIONS_PER_SECOND_MAX, now);
        } else {
            // Below the maximum, so it fits; and the remainder of time stays earned.
            let earned = earned as u32;
            self.tokens = (self.tokens + earned).min(INDICATIONS_PER_SECOND_MAX);
            self.filled += per_token * earned;
        }
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N3: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const GNB: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 40_000);

    fn g_pdu(teid: u32, packet: &[u8]) -> Vec<u8> {
        let mut octets = vec![0x30, 255, 0, packet.len() as u8];
        octets.extend(teid.to_be_bytes());
        octets.extend(packet);
        octets
    }

    fn answer(datagram: &[u8]) -> Answer {
        let now = Instant::now();
        Answerer::new(N3, now).handle(now, GNB, datagram, |teid| teid == 0x11)
    }

    #[test]
    fn ts_29_281_7_2_1_an_echo_request_is_answered_where_it_came_from() {
        let answer = answer(&gtpu::echo_request(0x77));
        assert_eq!(answer.outcome, Outcome::EchoAnswered);
        assert_eq!(answer.reply, Some((GNB, gtpu::echo_response(0x77))));
    }

    #[test]
    fn ts_29_281_7_3_1_a_g_pdu_without_a_session_gets_an_error_indication() {
        let answer = answer(&g_pdu(0x12, &[0x45; 20]));
        let (to, octets) = answer.reply.unwrap();
        assert_eq!(to, SocketAddrV4::new(*GNB.ip(), GTPU_PORT));
        let message = Message::parse(&octets).unwrap();
        assert_eq!(ErrorIndication::parse(message.payload), Some(ErrorIndication { teid: 0x12, peer: IpAddr::V4(N3) }));
        assert_eq!(octets[12..16], [1, 0x9c, 0x40, 0], "the port of the G-PDU in the extension header");
    }

    #[test]
    fn ts_29_281_7_2_3_an_unknown_extension_header_is_notified_and_its_packet_discarded() {
        let octets = [0x34, 255, 0, 8, 0, 0, 0, 0x11, 0, 0, 0, 0xc0, 1, 0, 0, 0];
        let answer = answer(&octets);
        assert_eq!(answer.outcome, Outcome::ExtensionHeadersNotified);
        assert_eq!(answer.reply.unwrap().1, gtpu::supported_extension_headers_notification());
    }

    #[test]
    fn a_packet_of_a_known_session_is_counted_with_its_reason() {
        let mut packet = [0x45; 20];
        packet[8] = 1;
        assert_eq!(answer(&g_pdu(0x11, &packet)), Answer::silent(Outcome::UserPacketTtl));
        packet[8] = 64;
        assert_eq!(answer(&g_pdu(0x11, &packet)), Answer::silent(Outcome::UserPacketNotForwarded));
        assert_eq!(answer(&g_pdu(0x11, &[0x60; 40])), Answer::silent(Outcome::UserPacketNotIpv4));
        assert_eq!(answer(&g_pdu(0x11, &[])), Answer::silent(Outcome::UserPacketNotIpv4));
    }

    #[test]
    fn a_received_error_indication_is_an_event() {
        let lost = ErrorIndication { teid: 9, peer: IpAddr::V4(*GNB.ip()) };
        let answer = answer(&lost.write(2152));
        assert_eq!((answer.lost_tunnel, answer.reply), (Some(lost), None));
    }

    #[test]
    fn error_indications_have_a_limit_that_time_lifts() {
        let start = Instant::now();
        let mut answerer = Answerer::new(N3, start);
        let mut sent = |now| answerer.handle(now, GNB, &g_pdu(1, &[]), |_| false).reply.is_some();
        let burst = (0..300).filter(|_| sent(start)).count();
        assert_eq!(burst, INDICATIONS_PER_SECOND_MAX as usize);
        assert!(!sent(start + Duration::from_millis(9)));
        assert!(sent(start + Duration::from_millis(10)));
        assert!(!sent(start + Duration::from_millis(11)));
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..300).filter(|_| sent(later)).count(), INDICATIONS_PER_SECOND_MAX as usize);
    }

    #[test]
    fn what_no_answer_is_laid_down_for_gets_none() {
        assert_eq!(answer(&[]).outcome, Outcome::Truncated);
        assert_eq!(answer(&[0x50, 1, 0, 0, 0, 0, 0, 0]).outcome, Outcome::Version);
        assert_eq!(answer(&[0x30, 1, 0, 0, 0, 0, 0, 0]).outcome, Outcome::InformationElement);
        assert_eq!(answer(&[0x30, 99, 0, 0, 0, 0, 0, 0]).outcome, Outcome::UnknownMessage);
        assert_eq!(answer(&gtpu::end_marker(0x12)).outcome, Outcome::EndMarker);
        assert_eq!(answer(&gtpu::echo_response(1)).outcome, Outcome::EchoResponse);
        let now = Instant::now();
        let from = SocketAddrV4::new(Ipv4Addr::BROADCAST, 2152);
        assert_eq!(Answerer::new(N3, now).handle(now, from, &g_pdu(1, &[]), |_| false).outcome, Outcome::Source);
    }

    #[test]
    fn every_outcome_has_its_own_name() {
        let names: std::collections::HashSet<_> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
        assert_eq!(names.len(), Outcome::ALL.len());
    }
}
