//! Octets that nobody asked for, at every socket of a running core.

use crate::{core_with_phones, lost_pings};
use coeur_e2e::{Path, Running};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

/// Datagrams at each socket.
const DATAGRAMS: u32 = 300;

/// xorshift: the same octets every time.
struct Octets(u64);

impl Octets {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Up to 600 octets behind a beginning that gets past the first check.
    fn datagram(&mut self, beginning: &[u8]) -> Vec<u8> {
        let length = (self.next() % 600) as usize;
        let mut octets = beginning.to_vec();
        octets.extend((0..length).map(|_| self.next() as u8));
        octets
    }
}

fn send(to: SocketAddr, beginnings: &[&[u8]], seed: u64) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let mut octets = Octets(seed);
    for index in 0..DATAGRAMS {
        let beginning = beginnings[index as usize % beginnings.len()];
        // A full queue drops it, which is as good.
        let _ = socket.send_to(&octets.datagram(beginning), to);
    }
}

/// Packets of protocol 132 with an SCTP header that may or may not be one.
fn send_sctp(from: Ipv4Addr, to: Ipv4Addr) {
    // SAFETY: plain system calls on a descriptor of our own and on values that outlive them.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 132);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        let address = |ip: Ipv4Addr| libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
            sin_zero: [0; 8],
        };
        let length = size_of::<libc::sockaddr_in>() as u32;
        let (from, to) = (address(from), address(to));
        assert_eq!(libc::bind(fd, std::ptr::from_ref(&from).cast(), length), 0);
        let mut octets = Octets(0x5C7F);
        for _ in 0..DATAGRAMS {
            // Ports, verification tag 0, no checksum, and a chunk that says INIT.
            let packet = octets.datagram(&[0x96, 0x0c, 0x96, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20]);
            let _ = libc::sendto(fd, packet.as_ptr().cast(), packet.len(), 0, std::ptr::from_ref(&to).cast(), length);
        }
        libc::close(fd);
    }
}

fn children(running: &Running) -> [u32; 2] {
    [running.child(&["coeur", "core"]).unwrap(), running.child(&["coeur-upf"]).unwrap()]
}

#[test]
fn garbage_at_every_socket_kills_nothing_and_disturbs_no_phone() {
    packets_or_return!();
    let (phones, running) = core_with_phones(Path::Auto, 2);
    let before = children(&running);
    let (lab, a) = (&running.lab, running.lab.addresses);

    // PFCP: version 1, heartbeat and session messages. Both ends of N4 hear it.
    let pfcp: &[&[u8]] = &[&[], &[0x20, 0x01], &[0x21, 0x32], &[0x21, 0x33], &[0x21, 0x34], &[0x20, 0x05]];
    lab.core.enter(|| [[127, 0, 0, 1], [127, 0, 0, 8]].map(|ip| send(SocketAddr::from((ip, 8805)), pfcp, 1))).unwrap();
    // GTP-U: version 1, echo request, error indication, G-PDU, with and without options.
    let gtpu: &[&[u8]] =
        &[&[], &[0x30, 0x01], &[0x32, 0x01], &[0x30, 0x1a], &[0x30, 0xff], &[0x34, 0xff], &[0x36, 0xff]];
    lab.ran.enter(|| send(SocketAddr::from((a.core_n3, 2152)), gtpu, 2)).unwrap();
    // Packets from the data network to phones that are there and that are not.
    let phone = phones.sessions[0].address;
    lab.dn
        .enter(|| [phone, Ipv4Addr::new(10, 45, 200, 200)].map(|ip| send(SocketAddr::from((ip, 9)), &[&[]], 3)))
        .unwrap();
    lab.ran.enter(|| send_sctp(a.gnb, a.core_n3)).unwrap();
    // HTTP that is none.
    for port in [8080, 9091, 9092] {
        let garble = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            std::io::Write::write_all(&mut stream, &Octets(4).datagram(b"\x16\x03\x01")).ok()
        };
        lab.core.enter(garble).unwrap();
    }

    assert_eq!(lost_pings(&running, &phones, 3), 0);
    assert_eq!(children(&running), before, "nothing was started again:\n{}", running.up.tail());
    assert_eq!(running.coeur_json(&["session", "list"]).unwrap().to_string().matches("10.45.").count(), 2);
}
