//! A wire: the raw socket of one local address, with the packets that wait to be put out by it.
//!
//! A path of usrsctp is a wire and a peer's IPv4 address in one number, so that answering an INIT needs no memory of the
//! peer (RFC 9260, 5.1.3: no state before the cookie comes back). The number never means anything else: wires are not
//! numbered twice.

use super::packet;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Packets per system call, each way.
pub(super) const BATCH: usize = 32;
/// Packets that wait at most: then they are put out without being asked.
const QUEUE_MAX: usize = BATCH;
/// A packet on loopback may be this long.
const PACKET_OCTETS_MAX: usize = 65_536;
/// What the kernel is asked to hold for us while we are busy.
const SOCKET_BUFFER_OCTETS: libc::c_int = 8 << 20;

/// All wires of the process: usrsctp hands out packets by path alone.
static WIRES: RwLock<BTreeMap<u32, Arc<Wire>>> = RwLock::new(BTreeMap::new());

pub(super) struct Wire {
    id: u32,
    local: Ipv4Addr,
    socket: OwnedFd,
    out: Mutex<Queue>,
    pub(super) sent: AtomicU64,
    pub(super) unsent: AtomicU64,
}

#[derive(Default)]
struct Queue {
    octets: Vec<u8>,
    packets: Vec<Packet>,
    /// Port as usrsctp has it → port on the wire, where they differ.
    ports: HashMap<u16, u16>,
    /// Peers that were last heard from another of their addresses than the path's: (path's, port) → to be used.
    detours: HashMap<(Ipv4Addr, u16), Ipv4Addr>,
}

struct Packet {
    end: usize,
    peer: Ipv4Addr,
    tos: u8,
}

/// The path to `peer` by wire `id`.
pub(super) fn path(id: u32, peer: Ipv4Addr) -> u64 {
    u64::from(id) << 32 | u64::from(peer.to_bits())
}

/// The wire of a path, and the peer.
pub(super) fn of_path(path: u64) -> (u32, Ipv4Addr) {
    ((path >> 32) as u32, Ipv4Addr::from_bits(path as u32))
}

/// What usrsctp calls to send; its locks are held.
pub(super) fn output(path: u64, packet: &mut [u8], tos: u8) -> bool {
    let (id, peer) = of_path(path);
    let wire = WIRES.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
    wire.is_some_and(|wire| wire.queue(peer, packet, tos))
}

/// Puts out what waits on any wire: timers of one endpoint may have made packets of another.
pub(super) fn flush_all() {
    let wires = WIRES.read().unwrap_or_else(PoisonError::into_inner);
    wires.values().for_each(|wire| wire.flush());
}

impl Wire {
    /// Opens a raw socket bound to `local`: what is addressed to others never gets here.
    pub(super) fn open(local: Ipv4Addr) -> io::Result<Arc<Self>> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: plain values.
        let raw = unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_SCTP) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(raw) };
        for (forced, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            // Without CAP_NET_ADMIN the system's maximum has to do.
            if set_option(raw, forced, SOCKET_BUFFER_OCTETS).is_err() {
                set_option(raw, plain, SOCKET_BUFFER_OCTETS)?;
            }
        }
        let address = sockaddr(local);
        // SAFETY: `address` outlives the call, and its length is its size.
        let bound = unsafe { libc::bind(raw, (&raw const address).cast(), size_of_val(&address) as libc::socklen_t) };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        let id = u32::try_from(LAST.fetch_add(1, Ordering::Relaxed) + 1)
            .map_err(|_| io::Error::other("no number is left for another raw socket"))?;
        let (sent, unsent) = (AtomicU64::new(0), AtomicU64::new(0));
        let wire = Arc::new(Self { id, local, socket, out: Mutex::default(), sent, unsent });
        WIRES.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&wire));
        Ok(wire)
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn local(&self) -> Ipv4Addr {
        self.local
    }

    /// Puts out what waits, and takes no packet of usrsctp from now on.
    pub(super) fn retire(&self) {
        self.flush();
        WIRES.write().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }

    /// Shows usrsctp's port `inner` as `outer`.
    pub(super) fn show_port(&self, inner: u16, outer: u16) {
        if inner != outer {
            self.lock().ports.insert(inner, outer);
        }
    }

    pub(super) fn forget_port(&self, inner: u16) {
        self.lock().ports.remove(&inner);
    }

    /// Sends packets for the peer at `address` to `instead`.
    pub(super) fn detour(&self, address: SocketAddrV4, instead: Option<Ipv4Addr>) {
        let key = (*address.ip(), address.port());
        match instead {
            Some(instead) => self.lock().detours.insert(key, instead),
            None => self.lock().detours.remove(&key),
        };
    }

    fn queue(&self, peer: Ipv4Addr, packet: &mut [u8], tos: u8) -> bool {
        if packet.len() < packet::PACKET_OCTETS_MIN {
            return false;
        }
        let mut queue = self.lock();
        if let Some(outer) = queue.ports.get(&u16::from_be_bytes([packet[0], packet[1]])) {
            packet[..2].copy_from_slice(&outer.to_be_bytes());
        }
        let port = u16::from_be_bytes([packet[2], packet[3]]);
        let peer = queue.detours.get(&(peer, port)).copied().unwrap_or(peer);
        let checksum = packet::checksum(packet);
        packet[8..12].copy_from_slice(&checksum);
        queue.octets.extend_from_slice(packet);
        let end = queue.octets.len();
        queue.packets.push(Packet { end, peer, tos });
        if queue.packets.len() >= QUEUE_MAX {
            self.put_out(&mut queue);
        }
        true
    }

    pub(super) fn flush(&self) {
        self.put_out(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_out(&self, queue: &mut Queue) {
        let mut first = 0;
        while first < queue.packets.len() {
            let sent = self.send_batch(queue, first);
            match sent {
                Ok(count) => {
                    self.sent.fetch_add(count as u64, Ordering::Relaxed);
                    first += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // No room anywhere: SCTP retransmits what is lost, as it would on any wire.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // This one cannot be sent (no route, a firewall): the others may.
                Err(_) => {
                    self.unsent.fetch_add(1, Ordering::Relaxed);
                    first += 1;
                }
            }
        }
        self.unsent.fetch_add((queue.packets.len() - first.min(queue.packets.len())) as u64, Ordering::Relaxed);
        queue.packets.clear();
        queue.octets.clear();
    }

    /// Sends packets from `first` on; how many went out, one at least.
    fn send_batch(&self, queue: &Queue, first: usize) -> io::Result<usize> {
        let count = (queue.packets.len() - first).min(BATCH);
        let mut start = first.checked_sub(1).map_or(0, |before| queue.packets[before].end);
        // SAFETY: all zeros is a value of each of these C structures.
        let (mut addresses, mut vectors, mut headers, mut controls): (
            [libc::sockaddr_in; BATCH],
            [libc::iovec; BATCH],
            [libc::mmsghdr; BATCH],
            [TosControl; BATCH],
        ) = unsafe { zeroed() };
        for (slot, packet) in queue.packets[first..first + count].iter().enumerate() {
            addresses[slot] = sockaddr(packet.peer);
            vectors[slot].iov_base = queue.octets[start..packet.end].as_ptr().cast_mut().cast();
            vectors[slot].iov_len = packet.end - start;
            start = packet.end;
            let header = &mut headers[slot].msg_hdr;
            header.msg_name = (&raw mut addresses[slot]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = &raw mut vectors[slot];
            header.msg_iovlen = 1;
            if packet.tos != 0 {
                controls[slot] = TosControl::new(packet.tos);
                header.msg_control = (&raw mut controls[slot]).cast();
                header.msg_controllen = size_of::<TosControl>();
            }
        }
        // SAFETY: the first `count` headers are filled in, and point to what lives until the call returns.
        let sent = unsafe { libc::sendmmsg(self.socket.as_raw_fd(), headers.as_mut_ptr(), count as libc::c_uint, 0) };
        if sent > 0 { Ok(sent as usize) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsRawFd for Wire {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// `IP_TOS` as ancillary data: how ECN reaches the IP header (RFC 9260, appendix A of RFC 4960).
#[repr(C)]
struct TosControl {
    header: libc::cmsghdr,
    tos: libc::c_int,
    _padding: libc::c_int,
}

impl TosControl {
    fn new(tos: u8) -> Self {
        // SAFETY: all zeros is a cmsghdr; it may have fields of padding on other C libraries.
        let mut header: libc::cmsghdr = unsafe { zeroed() };
        header.cmsg_len = size_of::<libc::cmsghdr>() + size_of::<libc::c_int>();
        header.cmsg_level = libc::IPPROTO_IP;
        header.cmsg_type = libc::IP_TOS;
        Self { header, tos: tos.into(), _padding: 0 }
    }
}

/// Where received packets land; one for all wires of an endpoint. The default one has no room.
#[derive(Default)]
pub(super) struct Inbox {
    octets: Vec<MaybeUninit<u8>>,
    lengths: [usize; BATCH],
}

/// An IP packet's payload, and what its header said.
pub(super) struct Incoming<'a> {
    pub(super) source: Ipv4Addr,
    pub(super) ecn: u8,
    pub(super) payload: &'a mut [u8],
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { octets: vec![MaybeUninit::uninit(); BATCH * PACKET_OCTETS_MAX], lengths: [0; BATCH] }
    }

    /// Reads up to `BATCH` packets; how many.
    pub(super) fn fill(&mut self, wire: &Wire) -> io::Result<usize> {
        // SAFETY: all zeros is a value of both C structures.
        let (mut vectors, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) = unsafe { zeroed() };
        for ((vector, header), room) in
            vectors.iter_mut().zip(&mut headers).zip(self.octets.chunks_exact_mut(PACKET_OCTETS_MAX))
        {
            vector.iov_base = room.as_mut_ptr().cast();
            vector.iov_len = PACKET_OCTETS_MAX;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: every header points to a vector, and every vector to room of its own that lives until the call returns.
        let read = unsafe {
            libc::recvmmsg(
                wire.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..read]) {
            let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            *length = if whole { header.msg_len as usize } else { 0 };
        }
        Ok(read)
    }

    /// Packet `slot` of the last `fill`; none when it is not a whole IPv4 packet.
    pub(super) fn packet(&mut self, slot: usize) -> Option<Incoming<'_>> {
        let room = &mut self.octets[slot * PACKET_OCTETS_MAX..][..self.lengths[slot]];
        // SAFETY: the kernel wrote this many octets there.
        let packet = unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u8>(), room.len()) };
        // The kernel has checked and reassembled it (raw(7)); what is read is what it left in the header.
        let header_octets = usize::from(packet.first()? & 0x0f) * 4;
        if header_octets < 20 || packet.len() < header_octets {
            return None;
        }
        let source = Ipv4Addr::new(packet[12], packet[13], packet[14], packet[15]);
        let ecn = packet[1] & 0x03;
        Some(Incoming { source, ecn, payload: &mut packet[header_octets..] })
    }
}

/// The local address that the system would take towards `remote`.
pub(super) fn route_source(remote: SocketAddr) -> io::Result<SocketAddr> {
    let probe = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    probe.connect((remote.ip(), 9))?;
    probe.local_addr()
}

/// Holds a port of an address for this process, so that a second stack in the network namespace is refused it instead of
/// having its associations aborted by this one. A name in the abstract namespace of UNIX sockets goes with its owner.
pub(super) struct PortClaim {
    port: u16,
    _name: std::os::unix::net::UnixDatagram,
}

impl PortClaim {
    pub(super) fn new(address: SocketAddrV4) -> io::Result<Self> {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("coeur-sctp/{address}");
        let name = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        let name = std::os::unix::net::UnixDatagram::bind_addr(&name)?;
        Ok(Self { port: address.port(), _name: name })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

fn sockaddr(address: Ipv4Addr) -> libc::sockaddr_in {
    // SAFETY: all zeros is a sockaddr_in.
    let mut name: libc::sockaddr_in = unsafe { zeroed() };
    name.sin_family = libc::AF_INET as libc::sa_family_t;
    name.sin_addr.s_addr = address.to_bits().to_be();
    name
}

fn set_option(socket: RawFd, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` outlives the call, and its length is its size.
    let result = unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
