//! Load on the user plane without interfaces: UDP packets of the phones, to an echoing sink behind N6.

use coeur_ran::gnb::UeKey;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

/// How often packets are put out.
const TICK: Duration = Duration::from_millis(1);
/// Most packets of one tick; what is behind is not caught up, and shows as a lower rate.
const BURST_MAX: u64 = 4_096;
const SOURCE_PORT: u16 = 40_000;
/// IPv4 and UDP.
const HEADERS: usize = 28;
/// Round trips kept for the figures.
const SAMPLES_MAX: usize = 1 << 20;

pub(super) struct Inject {
    to: SocketAddrV4,
    octets: usize,
    pps: u64,
    begun: Instant,
    until: Instant,
    next: Instant,
    sessions: Vec<(UeKey, u8, Ipv4Addr)>,
    turn: usize,
    sent: u64,
    received: u64,
    foreign: u64,
    round_trips_us: Vec<u32>,
    packet: Vec<u8>,
}

impl Inject {
    pub(super) fn new(
        to: SocketAddrV4,
        octets: u16,
        pps: u32,
        seconds: u32,
        sessions: Vec<(UeKey, u8, Ipv4Addr)>,
        now: Instant,
    ) -> Self {
        Self {
            to,
            octets: octets.into(),
            pps: pps.into(),
            begun: now,
            until: now + Duration::from_secs(seconds.into()),
            next: now,
            sessions,
            turn: 0,
            sent: 0,
            received: 0,
            foreign: 0,
            round_trips_us: Vec::new(),
            packet: Vec::new(),
        }
    }

    /// When the next packets are due; half a second after the last ones, the echoes are no longer waited for.
    pub(super) fn next_deadline(&self) -> Instant {
        self.next
    }

    /// Puts out what is due. `false`: over.
    pub(super) fn tick(&mut self, now: Instant, mut send: impl FnMut(UeKey, u8, &[u8])) -> bool {
        if self.sessions.is_empty() || now >= self.until + Duration::from_millis(500) {
            return false;
        }
        self.next = now + TICK;
        if now >= self.until {
            return true;
        }
        let due = (now - self.begun).as_micros() as u64 * self.pps / 1_000_000 + 1;
        for _ in 0..due.saturating_sub(self.sent).min(BURST_MAX) {
            let (ue, psi, from) = self.sessions[self.turn];
            self.turn = (self.turn + 1) % self.sessions.len();
            self.build(now, from);
            send(ue, psi, &self.packet);
            self.sent += 1;
        }
        true
    }

    fn build(&mut self, now: Instant, from: Ipv4Addr) {
        let length = self.octets as u16;
        let packet = &mut self.packet;
        packet.clear();
        packet.extend_from_slice(&[0x45, 0x00]);
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
        packet.extend_from_slice(&from.octets());
        packet.extend_from_slice(&self.to.ip().octets());
        let checksum = checksum(packet);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet.extend_from_slice(&SOURCE_PORT.to_be_bytes());
        packet.extend_from_slice(&self.to.port().to_be_bytes());
        packet.extend_from_slice(&(length - 20).to_be_bytes());
        // No UDP checksum, which IPv4 allows (RFC 768).
        packet.extend_from_slice(&[0, 0]);
        packet.extend_from_slice(&self.sent.to_be_bytes());
        packet.extend_from_slice(&((now - self.begun).as_micros() as u64).to_be_bytes());
        packet.resize(self.octets, 0);
    }

    /// A packet that came down a tunnel.
    pub(super) fn receive(&mut self, now: Instant, packet: &[u8]) {
        let stamp = packet.get(HEADERS + 8..HEADERS + 16).and_then(|octets| octets.try_into().ok());
        let ours = packet.first() == Some(&0x45) && packet.get(22..24) == Some(&SOURCE_PORT.to_be_bytes()[..]);
        let Some(stamp) = stamp.filter(|_| ours).map(u64::from_be_bytes) else {
            self.foreign += 1;
            return;
        };
        self.received += 1;
        let round_trip = ((now - self.begun).as_micros() as u64).saturating_sub(stamp);
        if self.round_trips_us.len() < SAMPLES_MAX {
            self.round_trips_us.push(u32::try_from(round_trip).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn result(&mut self) -> Value {
        self.round_trips_us.sort_unstable();
        let rank = |percent: usize| {
            let index = (self.round_trips_us.len() * percent).div_ceil(100).max(1) - 1;
            self.round_trips_us.get(index).map(|micros| f64::from(*micros) / 1e3)
        };
        json!({
            "event": "inject",
            "sessions": self.sessions.len(),
            "sent": self.sent,
            "received": self.received,
            "foreign": self.foreign,
            "seconds": (self.until - self.begun).as_secs_f64(),
            "rtt_ms": { "p50": rank(50), "p99": rank(99), "max": rank(100) },
        })
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }
}

/// RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_due_by_rate_and_come_back_counted() {
        let (now, ms) = (Instant::now(), Duration::from_millis);
        let sessions = vec![(0, 1, [10, 45, 0, 1].into()), (1, 1, [10, 45, 0, 2].into())];
        let mut inject = Inject::new("10.0.0.1:7".parse().unwrap(), 64, 1_000, 1, sessions, now);
        let mut sent = Vec::new();
        assert!(inject.tick(now + ms(9), |ue, _, packet| sent.push((ue, packet.to_vec()))));
        assert_eq!(sent.len(), 10);
        assert_eq!(sent.iter().filter(|(ue, _)| *ue == 1).count(), 5);
        let (_, packet) = &sent[0];
        assert_eq!((packet.len(), checksum(&packet[..20])), (64, 0));
        // An echo swaps addresses and ports.
        let mut echo = packet.clone();
        echo[20..24].rotate_left(2);
        inject.receive(now + ms(12), &echo);
        inject.receive(now + ms(12), b"something else");
        let result = inject.result();
        assert_eq!((&result["received"], &result["foreign"]), (&json!(1), &json!(1)));
        assert_eq!(result["rtt_ms"]["p50"], json!(3.0));
        assert!(!inject.tick(now + ms(1_500), |_, _, _| {}));
    }
}
