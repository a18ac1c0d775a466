//! The messages of N2 and N4, read off the wire by raw sockets: NGAP from SCTP's DATA chunks, PFCP from UDP.

use anyhow::{Context as _, ensure};
use coeur_e2e::{Lab, Namespace};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    os::fd::FromRawFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// IP protocol 132 (RFC 9260).
const SCTP: i32 = 132;
/// Payload protocol identifier of NGAP (TS 38.412, 7).
const NGAP_PPID: u32 = 60;
const PFCP_PORT: u16 = 8805;
/// How long a socket waits before it looks whether to stop.
const POLL_US: i64 = 50_000;
/// One attach is two dozen messages.
const PACKETS_MAX: usize = 10_000;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// gNB to core.
    Up,
    /// Core to gNB.
    Down,
}

/// The messages of one attach, in their order within each of the two.
#[derive(Debug, Default)]
pub(super) struct Attach {
    pub(super) ngap: Vec<(Way, Vec<u8>)>,
    pub(super) pfcp: Vec<Vec<u8>>,
}

/// Raw sockets that listen.
pub(super) struct Capture {
    stop: Arc<AtomicBool>,
    ups: JoinHandle<Vec<Packet>>,
    downs: JoinHandle<Vec<Packet>>,
    pfcp: JoinHandle<Vec<Packet>>,
}

/// When, and the IPv4 packet.
type Packet = (std::time::Instant, Vec<u8>);

impl Capture {
    pub(super) fn start(lab: &Lab) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let listen = |namespace: &Namespace, protocol: i32| {
            let socket = namespace.enter(|| raw_socket(protocol))?.context("raw socket")?;
            let stop = Arc::clone(&stop);
            anyhow::Ok(std::thread::spawn(move || collect(socket, &stop)))
        };
        // A raw socket hears what arrives: uplink at the core, downlink at the gNB; N4 is the core's loopback.
        let ups = listen(&lab.core, SCTP)?;
        let downs = listen(&lab.ran, SCTP)?;
        let pfcp = listen(&lab.core, libc::IPPROTO_UDP)?;
        Ok(Self { stop, ups, downs, pfcp })
    }

    pub(super) fn stop(self) -> anyhow::Result<Attach> {
        self.stop.store(true, Ordering::Relaxed);
        let join = |thread: JoinHandle<_>| thread.join().ok().context("a capture thread panicked");
        let mut ngap: Vec<_> = messages(&join(self.ups)?).map(|(at, octets)| (at, Way::Up, octets)).collect();
        ngap.extend(messages(&join(self.downs)?).map(|(at, octets)| (at, Way::Down, octets)));
        ngap.sort_by_key(|(at, ..)| *at);
        let ngap: Vec<_> = ngap.into_iter().map(|(_, way, octets)| (way, octets)).collect();
        let pfcp: Vec<_> = join(self.pfcp)?.iter().filter_map(|(_, packet)| pfcp(packet)).collect();
        ensure!(!ngap.is_empty(), "no NGAP message was seen on N2");
        ensure!(!pfcp.is_empty(), "no PFCP message was seen on N4");
        Ok(Attach { ngap, pfcp })
    }
}

fn raw_socket(protocol: i32) -> io::Result<File> {
    let timeout = libc::timeval { tv_sec: 0, tv_usec: POLL_US };
    // SAFETY: a descriptor that is not negative is open and ours alone; the option's value outlives the call.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = File::from_raw_fd(fd);
        let (value, length) = (std::ptr::from_ref(&timeout).cast(), size_of::<libc::timeval>() as libc::socklen_t);
        match libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, length) {
            0 => Ok(socket),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn collect(mut socket: File, stop: &AtomicBool) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut octets = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) && packets.len() < PACKETS_MAX {
        // A timeout is only a reason to look whether to stop.
        if let Ok(length) = socket.read(&mut octets) {
            packets.push((std::time::Instant::now(), octets[..length].to_vec()));
        }
    }
    packets
}

/// What is behind the IPv4 header.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    packet.get(usize::from(packet.first()? & 0x0f) * 4..)
}

/// The user messages of NGAP, each once: a retransmission has the same TSN.
fn messages(packets: &[Packet]) -> impl Iterator<Item = (std::time::Instant, Vec<u8>)> + '_ {
    let mut seen = BTreeSet::new();
    let chunks = packets.iter().flat_map(|(at, packet)| chunks(packet).map(|chunk| (*at, chunk)));
    chunks.filter_map(move |(at, chunk)| {
        let (tsn, message) = ngap(chunk)?;
        seen.insert(tsn).then(|| (at, message.to_vec()))
    })
}

/// The chunks of an SCTP packet (RFC 9260, 3): behind twelve octets of header, each padded to four.
fn chunks(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload(packet).and_then(|sctp| sctp.get(12..)).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        let chunk = rest.get(..length).filter(|chunk| chunk.len() >= 4)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(chunk)
    })
}

/// TSN and message of a DATA chunk (RFC 9260, 3.3.1) that holds a whole message of NGAP.
fn ngap(chunk: &[u8]) -> Option<(u32, &[u8])> {
    let word = |at: usize| Some(u32::from_be_bytes(chunk.get(at..at + 4)?.try_into().ok()?));
    let whole = chunk[0] == 0 && chunk[1] & 0x03 == 0x03;
    (whole && word(12)? == NGAP_PPID).then_some((word(4)?, chunk.get(16..)?))
}

fn pfcp(packet: &[u8]) -> Option<Vec<u8>> {
    let udp = payload(packet)?;
    let port = |at: usize| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
    (port(0)? == PFCP_PORT || port(2)? == PFCP_PORT).then(|| udp.get(8..).map(<[u8]>::to_vec))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(tsn: u8, flags: u8, ppid: u8, message: &[u8]) -> Vec<u8> {
        let mut chunk = vec![0, flags, 0, (16 + message.len()) as u8, 0, 0, 0, tsn, 0, 0, 0, 0, 0, 0, 0, ppid];
        chunk.extend(message);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    fn packet(chunks: &[Vec<u8>]) -> Packet {
        let mut octets = vec![0x45; 20];
        octets.extend([0; 12]);
        octets.extend(chunks.concat());
        (std::time::Instant::now(), octets)
    }

    #[test]
    fn each_whole_ngap_message_is_taken_once() {
        let sack = vec![3, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let packets = [
            packet(&[sack, data(1, 3, 60, b"first"), data(2, 3, 60, b"second")]),
            packet(&[data(1, 3, 60, b"first")]),
            packet(&[data(3, 2, 60, b"a piece"), data(4, 3, 0, b"not NGAP")]),
        ];
        let found: Vec<_> = messages(&packets).map(|(_, message)| message).collect();
        assert_eq!(found, [b"first".to_vec(), b"second".to_vec()]);
    }

    #[test]
    fn what_is_cut_short_is_passed_over() {
        for octets in [vec![], vec![0x4f; 4], vec![0x45; 20], vec![0x45; 33]] {
            assert_eq!(chunks(&octets).count(), 0);
            assert_eq!(pfcp(&octets[..octets.len().min(21)]), None);
        }
        let (_, mut octets) = packet(&[data(1, 3, 60, b"first")]);
        octets.truncate(40);
        assert_eq!(chunks(&octets).count(), 0);
    }

    #[test]
    fn pfcp_is_told_by_its_port() {
        let udp =
            |from: u16, to: u16| [&[0x45; 20][..], &from.to_be_bytes(), &to.to_be_bytes(), &[0; 4], b"pfcp"].concat();
        assert_eq!(pfcp(&udp(8805, 40000)), Some(b"pfcp".to_vec()));
        assert_eq!(pfcp(&udp(2152, 2152)), None);
    }
}
