//! What anyone can send to a raw socket: nothing of it ends an association, grows without bound, or panics.
//!
//! Only for usrsctp: a kernel's SCTP is the kernel's to test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use coeur_transport::sctp::{Endpoint, Implementation, SctpChoice, SctpEvent, SctpSettings, kernel_has_sctp};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn local(host: u8) -> Ipv4Addr {
    let pid = std::process::id();
    Ipv4Addr::new(127, 16 + (pid % 200) as u8, (pid / 200 % 250) as u8, host)
}

/// A raw socket that sends from `source`.
struct Injector(OwnedFd);

impl Injector {
    fn new(source: Ipv4Addr) -> Self {
        // SAFETY: plain values, and the descriptor is checked and owned by nobody else.
        let fd = unsafe {
            let raw = libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_SCTP);
            assert!(raw >= 0, "{}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(raw)
        };
        let name = sockaddr(source);
        // SAFETY: `name` outlives the call and its length is its size.
        let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const name).cast(), size_of_val(&name) as u32) };
        assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
        Self(fd)
    }

    fn send(&self, to: Ipv4Addr, packet: &[u8]) {
        let name = sockaddr(to);
        // SAFETY: the packet and `name` outlive the call, with the lengths that are given.
        unsafe {
            let (octets, length) = (packet.as_ptr().cast(), packet.len());
            libc::sendto(self.0.as_raw_fd(), octets, length, 0, (&raw const name).cast(), size_of_val(&name) as u32);
        }
    }
}

fn sockaddr(address: Ipv4Addr) -> libc::sockaddr_in {
    // SAFETY: all zeros is a sockaddr_in.
    let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    name.sin_family = libc::AF_INET as libc::sa_family_t;
    name.sin_addr.s_addr = address.to_bits().to_be();
    name
}

/// With the right checksum, computed the slow way (RFC 9260, appendix A).
fn sealed(mut packet: Vec<u8>) -> Vec<u8> {
    if packet.len() >= 12 {
        packet[8..12].fill(0);
        let mut crc = !0_u32;
        for &octet in &packet {
            crc ^= u32::from(octet);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { 0x82f6_3b78 ^ (crc >> 1) } else { crc >> 1 };
            }
        }
        packet[8..12].copy_from_slice(&(!crc).to_le_bytes());
    }
    packet
}

/// What a kernel sends first: INIT with two addresses, ECN and FORWARD-TSN.
fn init(source: u16, destination: u16) -> Vec<u8> {
    let mut packet = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    packet.extend([0; 8]);
    packet.extend([1, 0, 0, 56]);
    packet.extend([0x11, 0x22, 0x33, 0x44, 0, 1, 0, 0, 0, 10, 0xff, 0xff, 9, 9, 9, 9]);
    packet.extend([0, 5, 0, 8, 127, 0, 0, 77, 0, 5, 0, 8, 127, 0, 0, 78]);
    packet.extend([0, 12, 0, 6, 0, 5, 0, 0]);
    packet.extend([0x80, 0, 0, 4, 0xc0, 0, 0, 4]);
    packet.extend([0, 0, 0, 4]);
    packet
}

/// A seed's worth of numbers: a failure is the same failure the next time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

async fn drive(
    sides: &mut [Endpoint; 2],
    events: &mut [Vec<SctpEvent>; 2],
    mut done: impl FnMut(&[Vec<SctpEvent>; 2]) -> bool,
) {
    let [a, b] = sides;
    let wait = async {
        while !done(events) {
            let [of_a, of_b] = events;
            tokio::select! {
                () = a.next_events(of_a) => {}
                () = b.next_events(of_b) => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("what was waited for");
}

#[test]
fn garbage_from_the_network_disturbs_no_association() {
    if kernel_has_sctp() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let make = || Endpoint::new(SctpChoice::Usrsctp, SctpSettings::default()).unwrap();
        let (mut sides, mut events) = ([make(), make()], [Vec::new(), Vec::new()]);
        assert_eq!(sides[0].implementation(), Implementation::Usrsctp);
        let server = SocketAddrV4::new(local(1), 38412);
        let client = SocketAddrV4::new(local(2), 36_412);
        sides[0].listen(server.into()).unwrap();
        let ours = sides[1].connect(Some(client.into()), server.into()).unwrap();
        drive(&mut sides, &mut events, |events| events.iter().all(|of| of.len() == 1)).await;
        let &SctpEvent::Up { association: theirs, peer, .. } = &events[0][0] else { panic!() };
        assert_eq!(peer, SocketAddr::V4(client));

        // From a stranger, and from the client's own address and port: mutations of an INIT, with right checksums
        // mostly, of all types of chunks, to the listener and beside it. 20,000 of them.
        let injectors = [Injector::new(local(3)), Injector::new(*client.ip())];
        let mut dice = Dice(0x5eed);
        for round in 0..200 {
            for number in 0..100 {
                let port = if number % 10 == 0 { 9 } else { server.port() };
                let mut packet = init(client.port(), port);
                for _ in 0..dice.below(6) {
                    let at = 12 + dice.below(packet.len() - 12);
                    packet[at] = dice.below(256) as u8;
                }
                if number % 3 == 0 {
                    packet[12] = dice.below(256) as u8;
                }
                if number % 2 == 0 {
                    // Any tag but zero is not the association's, save for one chance in 2^32.
                    packet[4..8].copy_from_slice(&(dice.below(u32::MAX as usize) as u32 | 1).to_be_bytes());
                }
                packet.truncate(packet.len() - dice.below(packet.len()) * usize::from(number % 5 == 0));
                let packet = if number % 7 == 0 { packet } else { sealed(packet) };
                // The client's own INITs are another matter: a restart, which RFC 9260, 5.2 wants answered.
                let from = if packet.get(12) == Some(&1) { 0 } else { number % 2 };
                injectors[from].send(*server.ip(), &packet);
            }
            sides[1].send(ours, 1, &[round as u8; 50]).unwrap();
            drive(&mut sides, &mut events, |events| events[0].len() == 2 + round).await;
        }
        let unharmed =
            |event: &SctpEvent| matches!(event, SctpEvent::Message { association, .. } if *association == theirs);
        assert!(events[0][1..].iter().all(unharmed), "{:?}", events[0]);
        assert_eq!(events[1].len(), 1, "{:?}", events[1]);
        let counters = sides[0].counters();
        assert!(counters.packets_malformed > 1_000 && counters.packets_not_ours > 500, "{counters:?}");
        assert_eq!(sides[0].associations(), 1);
    });
}
