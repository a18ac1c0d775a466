//! A namespace with two veth pairs (`n3`–`gnb` and `n6`–`dn`), and raw ports on their far ends.

use std::{
    io,
    net::Ipv4Addr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process::Command,
    time::{Duration, Instant},
};

pub(crate) const N3: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const GNB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 20);
pub(crate) const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 7);
pub(crate) const GNB_MAC: [u8; 6] = [2, 0, 0, 0, 3, 20];
pub(crate) const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 6, 1];
const N3_MAC: [u8; 6] = [2, 0, 0, 0, 3, 1];
const N6_MAC: [u8; 6] = [2, 0, 0, 0, 6, 2];

/// Runs a test on a thread in a network and a mount namespace of its own; both end with it.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    // SAFETY: reads a number.
    if unsafe { libc::geteuid() } != 0 {
        println!("SKIPPED: network namespaces and eBPF need root");
        return;
    }
    let thread = std::thread::spawn(move || {
        // SAFETY: concerns this thread only.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
        assert_eq!(done, 0, "unshare: {}", io::Error::last_os_error());
        run("mount --make-rprivate /");
        run("mount -t sysfs sysfs /sys");
        run("mkdir -p /run/netns");
        run("mount -t tmpfs tmpfs /run/netns");
        for line in [
            "link set lo up",
            "link add n3 address 02:00:00:00:03:01 type veth peer name gnb address 02:00:00:00:03:20",
            "link add n6 address 02:00:00:00:06:02 type veth peer name dn",
            "address add 192.0.2.1/24 dev n3",
            "address add 203.0.113.2/24 dev n6",
            "link set n3 up",
            "link set gnb up",
            "link set n6 up",
            "link set dn up",
            "neigh add 192.0.2.20 lladdr 02:00:00:00:03:14 dev n3 nud permanent",
            "neigh add 203.0.113.1 lladdr 02:00:00:00:06:01 dev n6 nud permanent",
            "route add default via 203.0.113.1 dev n6",
        ] {
            ip(line);
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn ip(arguments: &str) {
    run(&format!("ip {arguments}"));
}

fn run(line: &str) {
    let mut words = line.split(' ');
    let program = words.next().expect("a command");
    let output = Command::new(program).args(words).output().expect("iproute2 and mount are installed");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A raw socket at an interface.
pub(crate) struct Port(OwnedFd);

impl Port {
    pub(crate) fn open(interface: &str) -> Self {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a system call without pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(protocol)) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: just opened.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let name = std::ffi::CString::new(interface).expect("no zero in it");
        // SAFETY: all zeros is a valid address; the name ends in zero; options and addresses have their lengths.
        unsafe {
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = protocol;
            address.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
            let length = size_of::<libc::sockaddr_ll>() as u32;
            assert_eq!(libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length), 0);
            let timeout = libc::timeval { tv_sec: 0, tv_usec: 100_000 };
            let length = size_of::<libc::timeval>() as u32;
            let option = (&raw const timeout).cast();
            assert_eq!(libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, option, length), 0);
            let room: libc::c_int = 16 << 20;
            let option = (&raw const room).cast();
            libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, option, 4);
        }
        Self(fd)
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: octets of the slice.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }

    /// The first frame that fits, or none for a tenth of a second.
    fn receive(&self, fits: &impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 2048];
        loop {
            // SAFETY: a buffer of its length.
            let received = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let length = usize::try_from(received).ok()?;
            if fits(&buffer[..length]) {
                buffer.truncate(length);
                return Some(buffer);
            }
        }
    }

    pub(crate) fn expect(&self, fits: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            if let Some(frame) = self.receive(&fits) {
                return frame;
            }
        }
        panic!("no such frame arrived");
    }

    /// How many frames that fit arrive until none does for half a second after the first.
    pub(crate) fn count_until_quiet(&self, fits: impl Fn(&[u8]) -> bool) -> u32 {
        let (mut count, mut quiet) = (0, 0);
        while quiet < 20 {
            match self.receive(&fits) {
                Some(_) => (count, quiet) = (count + 1, 0),
                None => quiet += 1,
            }
        }
        count
    }
}

/// A G-PDU with PDU session container from the gNB, whose T-PDU carries a mark.
pub(crate) fn uplink(teid: u32, source: Ipv4Addr, destination: Ipv4Addr, mark: u32) -> Vec<u8> {
    let tpdu = udp(source, destination, 53, &padded(mark));
    let mut message = vec![0x34, 0xff];
    message.extend((tpdu.len() as u16 + 8).to_be_bytes());
    message.extend(teid.to_be_bytes());
    message.extend([0, 0, 0, 0x85, 1, 0x10, 1, 0]);
    message.extend(tpdu);
    ethernet(N3_MAC, GNB_MAC, &udp(GNB, N3, 2152, &message))
}

/// A packet from the data network.
pub(crate) fn downlink(source: Ipv4Addr, destination: Ipv4Addr, mark: u32) -> Vec<u8> {
    ethernet(N6_MAC, GATEWAY_MAC, &udp(source, destination, 53, &padded(mark)))
}

/// Eight octets, of which the last four are the mark.
fn padded(mark: u32) -> [u8; 8] {
    u64::from(mark).to_be_bytes()
}

pub(crate) fn mark(frame: &[u8]) -> u32 {
    frame.get(46..50).map_or(0, |octets| u32::from_be_bytes(octets.try_into().expect("four octets")))
}

/// IPv4, UDP, from this address.
pub(crate) fn is_udp_from(frame: &[u8], source: Ipv4Addr) -> bool {
    frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&17) && frame.get(26..30) == Some(&source.octets()[..])
}

fn ethernet(destination: [u8; 6], source: [u8; 6], payload: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &[8, 0], payload].concat()
}

fn udp(source: Ipv4Addr, destination: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(port.to_be_bytes());
    datagram.extend(port.to_be_bytes());
    datagram.extend((payload.len() as u16 + 8).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let mut header = etherparse::Ipv4Header::new(
        datagram.len() as u16,
        64,
        etherparse::IpNumber::UDP,
        source.octets(),
        destination.octets(),
    )
    .expect("short payload");
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes()[..], &datagram].concat()
}
