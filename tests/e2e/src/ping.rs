//! ICMP echo (RFC 792) from inside a namespace.

use crate::{Namespace, socket};
use anyhow::Context as _;
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

const ECHO_REPLY: u8 = 0;
const ECHO: u8 = 8;
/// As ping(8): 56 octets after the header.
const DATA: usize = 56;

#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    pub to: Ipv4Addr,
    /// Source address and the device to send from.
    pub from: Option<(Ipv4Addr, &'a str)>,
    pub count: u16,
    pub interval: Duration,
    /// An answer later than this is lost.
    pub wait: Duration,
}

impl Options<'_> {
    pub fn to(to: Ipv4Addr) -> Self {
        Self { to, from: None, count: 5, interval: Duration::from_millis(20), wait: Duration::from_secs(1) }
    }
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub sent: u32,
    /// One round trip time an answer.
    pub rtts: Vec<Duration>,
}

impl Report {
    pub fn lost(&self) -> u32 {
        self.sent.saturating_sub(u32::try_from(self.rtts.len()).unwrap_or(u32::MAX))
    }

    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.rtts.extend(&other.rtts);
    }
}

/// Sends `count` echo requests from `namespace`, each when the answer to the one before came or was given up.
pub fn run(namespace: &Namespace, options: &Options<'_>) -> anyhow::Result<Report> {
    namespace.enter(|| send_all(options))?.with_context(|| format!("ping {} in {}", options.to, namespace.name()))
}

/// Identifiers of echo requests: two pings of one process must not take each other's answers.
static IDENTIFIER: AtomicU16 = AtomicU16::new(1);

fn send_all(options: &Options<'_>) -> anyhow::Result<Report> {
    let socket = socket::open(libc::SOCK_RAW, libc::IPPROTO_ICMP)?;
    if let Some((address, device)) = options.from {
        socket::bind_to_device(&socket, device)?;
        socket::bind(&socket, address)?;
    }
    socket::limit(&socket, options.wait)?;
    socket::connect(&socket, SocketAddrV4::new(options.to, 0))?;
    // A connected socket has read and write; that it is no TCP socket makes no difference to them.
    let mut stream = TcpStream::from(socket);
    let identifier = IDENTIFIER.fetch_add(1, Ordering::Relaxed) ^ (std::process::id() as u16);
    let mut report = Report::default();
    for sequence in 0..options.count {
        let sent = Instant::now();
        report.sent += 1;
        // A full queue or a missing route counts as loss, as on the wire.
        if stream.write_all(&request(identifier, sequence)).is_ok()
            && let Some(rtt) = answer(&mut stream, identifier, sequence, sent, options.wait)
        {
            report.rtts.push(rtt);
        }
        std::thread::sleep(options.interval.saturating_sub(sent.elapsed()));
    }
    Ok(report)
}

/// Waits for one answer; others (to earlier requests, other identifiers) are passed over.
fn answer(stream: &mut TcpStream, id: u16, sequence: u16, sent: Instant, wait: Duration) -> Option<Duration> {
    let mut packet = [0; 2048];
    while sent.elapsed() < wait {
        let length = stream.read(&mut packet).ok()?;
        if is_answer(&packet[..length], id, sequence) {
            return Some(sent.elapsed());
        }
    }
    None
}

fn request(identifier: u16, sequence: u16) -> [u8; 8 + DATA] {
    let mut message = [0; 8 + DATA];
    message[0] = ECHO;
    message[4..6].copy_from_slice(&identifier.to_be_bytes());
    message[6..8].copy_from_slice(&sequence.to_be_bytes());
    for (index, octet) in message[8..].iter_mut().enumerate() {
        *octet = index as u8;
    }
    let checksum = checksum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// A raw socket delivers the IPv4 header too.
fn is_answer(packet: &[u8], identifier: u16, sequence: u16) -> bool {
    let header = usize::from(packet.first().copied().unwrap_or(0) & 0x0f) * 4;
    packet.get(header..).is_some_and(|message| {
        message.len() == 8 + DATA
            && message[0] == ECHO_REPLY
            && message[4..6] == identifier.to_be_bytes()
            && message[6..8] == sequence.to_be_bytes()
            && checksum(message) == 0
    })
}

/// The internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let pairs = octets.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum: u32 = pairs.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_request_with_a_good_checksum_counts() {
        let mut answer = vec![0x45; 20];
        answer.extend(request(7, 3));
        assert!(!is_answer(&answer, 7, 3), "a request is no answer");
        answer[20] = ECHO_REPLY;
        answer[22..24].fill(0);
        let sum = checksum(&answer[20..]);
        answer[22..24].copy_from_slice(&sum.to_be_bytes());
        assert!(is_answer(&answer, 7, 3));
        assert!(!is_answer(&answer, 7, 4) && !is_answer(&answer, 8, 3) && !is_answer(&answer[..40], 7, 3));
        answer[60] ^= 1;
        assert!(!is_answer(&answer, 7, 3), "changed data");
        assert!(!is_answer(&[], 7, 3) && !is_answer(&[0x4f], 7, 3));
    }
}
