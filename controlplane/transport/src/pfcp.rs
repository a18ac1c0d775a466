//! The UDP socket of N4 (TS 29.244, 6.1): datagrams in batches, one system call for many.
//!
//! What it does not do: read a message, retransmit, remember a peer.

use crate::sockaddr;
use std::collections::VecDeque;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// UDP port of PFCP (TS 29.244, 4.2.2).
pub const PORT_PFCP: u16 = 8805;
/// Datagrams per system call, each way.
pub const BATCH: usize = 32;
/// A longer datagram is not delivered, and counted: no PFCP message of a user plane comes near it.
pub const DATAGRAM_OCTETS_MAX: usize = 16 * 1024;
/// Datagrams that wait to be sent at most: one more is refused with [`io::ErrorKind::WouldBlock`].
pub const SEND_QUEUE_MAX: usize = 4_096;
/// What the kernel is asked to hold for us while we are busy.
const SOCKET_BUFFER_OCTETS: libc::c_int = 4 << 20;

/// A UDP socket that reads and writes in batches. What was sent leaves when the batch is full, at [`UdpEndpoint::flush`],
/// or with the next [`UdpEndpoint::recv_batch`].
pub struct UdpEndpoint {
    socket: UdpSocket,
    room: Vec<MaybeUninit<u8>>,
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
    counters: UdpCounters,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpCounters {
    pub received: u64,
    pub sent: u64,
    /// Longer than [`DATAGRAM_OCTETS_MAX`].
    pub too_long: u64,
    /// Refused because the send queue was full.
    pub refused: u64,
    /// Not taken by the network (no route, a firewall, too long for the path).
    pub unsent: u64,
}

impl UdpEndpoint {
    /// To be called inside a tokio runtime with IO enabled.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        for (forced, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            // Without CAP_NET_ADMIN the system's maximum has to do.
            set_option(&socket, forced).or_else(|_| set_option(&socket, plain))?;
        }
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            room: vec![MaybeUninit::uninit(); BATCH * DATAGRAM_OCTETS_MAX],
            queue: VecDeque::new(),
            counters: UdpCounters::default(),
        })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub fn counters(&self) -> UdpCounters {
        self.counters
    }

    /// Puts out what was queued, waits for datagrams, and adds up to [`BATCH`] to `datagrams`. Safe to cancel.
    pub async fn recv_batch(&mut self, datagrams: &mut Vec<(SocketAddr, Vec<u8>)>) -> io::Result<()> {
        loop {
            self.flush();
            // What the network could not take yet has to be tried again when it can.
            let interest =
                if self.queue.is_empty() { Interest::READABLE } else { Interest::READABLE.add(Interest::WRITABLE) };
            let ready = self.socket.ready(interest).await?;
            if !ready.is_readable() && !ready.is_error() {
                continue;
            }
            let (socket, room, counters) = (&self.socket, &mut self.room, &mut self.counters);
            match socket.try_io(Interest::READABLE, || receive(socket, room, counters, datagrams)) {
                Ok(0) => {}
                Ok(_) => return Ok(()),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Queues a datagram.
    pub fn send(&mut self, to: SocketAddr, octets: Vec<u8>) -> io::Result<()> {
        if self.queue.len() >= SEND_QUEUE_MAX {
            self.counters.refused += 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.queue.push_back((to, octets));
        if self.queue.len().is_multiple_of(BATCH) {
            self.flush();
        }
        Ok(())
    }

    /// Puts out what was queued, as far as the network takes it now.
    pub fn flush(&mut self) {
        while !self.queue.is_empty() {
            let (socket, queue) = (&self.socket, &mut self.queue);
            // First without asking tokio, which takes a socket that it has not looked at yet for a full one; through it
            // when the socket is full, so that it notes that.
            let queued = queue.make_contiguous();
            let sent = match transmit(socket, queued) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.try_io(Interest::WRITABLE, || transmit(socket, queued))
                }
                other => other,
            };
            match sent {
                Ok(count) => {
                    self.counters.sent += count as u64;
                    self.queue.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The first one cannot be sent: the others may. (Or it is the echo of an ICMP error, and costs one
                // datagram that PFCP sends again.)
                Err(_) => {
                    self.counters.unsent += 1;
                    self.queue.pop_front();
                }
            }
        }
    }
}

/// An ICMP error about an earlier datagram, or nothing there after all: the socket is as good as before.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

fn receive(
    socket: &UdpSocket,
    room: &mut [MaybeUninit<u8>],
    counters: &mut UdpCounters,
    datagrams: &mut Vec<(SocketAddr, Vec<u8>)>,
) -> io::Result<usize> {
    // SAFETY: all zeros is a value of each of these C structures.
    let (mut names, mut vectors, mut headers): (
        [libc::sockaddr_storage; BATCH],
        [libc::iovec; BATCH],
        [libc::mmsghdr; BATCH],
    ) = unsafe { zeroed() };
    for (slot, room) in room.chunks_exact_mut(DATAGRAM_OCTETS_MAX).enumerate() {
        vectors[slot] = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: DATAGRAM_OCTETS_MAX };
        let header = &mut headers[slot].msg_hdr;
        header.msg_name = (&raw mut names[slot]).cast();
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_iov = &raw mut vectors[slot];
        header.msg_iovlen = 1;
    }
    let (fd, flags) = (socket.as_raw_fd(), libc::MSG_DONTWAIT as _);
    // SAFETY: every header points to a name and a vector, and every vector to room of its own, alive until the return.
    let read = unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), BATCH as libc::c_uint, flags, std::ptr::null_mut()) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    let before = datagrams.len();
    for (slot, header) in headers[..read].iter().enumerate() {
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            counters.too_long += 1;
            continue;
        }
        let Some(from) = sockaddr::from_c(&names[slot]) else { continue };
        let octets = &room[slot * DATAGRAM_OCTETS_MAX..][..header.msg_len as usize];
        // SAFETY: the kernel wrote this many octets there.
        let octets = unsafe { std::slice::from_raw_parts(octets.as_ptr().cast::<u8>(), octets.len()) };
        counters.received += 1;
        datagrams.push((from, octets.to_vec()));
    }
    Ok(datagrams.len() - before)
}

/// Sends the first datagrams of `queue`; how many, one at least.
fn transmit(socket: &UdpSocket, queue: &[(SocketAddr, Vec<u8>)]) -> io::Result<usize> {
    let count = queue.len().min(BATCH);
    // SAFETY: all zeros is a value of each of these C structures.
    let (mut names, mut vectors, mut headers): (
        [libc::sockaddr_storage; BATCH],
        [libc::iovec; BATCH],
        [libc::mmsghdr; BATCH],
    ) = unsafe { zeroed() };
    for (slot, (to, octets)) in queue[..count].iter().enumerate() {
        let (name, length) = sockaddr::to_c(*to);
        names[slot] = name;
        vectors[slot] = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        let header = &mut headers[slot].msg_hdr;
        header.msg_name = (&raw mut names[slot]).cast();
        header.msg_namelen = length;
        header.msg_iov = &raw mut vectors[slot];
        header.msg_iovlen = 1;
    }
    // SAFETY: the first `count` headers are filled in, and point to what lives until the call returns.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count as libc::c_uint, 0) };
    if sent > 0 { Ok(sent as usize) } else { Err(io::Error::last_os_error()) }
}

fn set_option(socket: &std::net::UdpSocket, option: libc::c_int) -> io::Result<()> {
    let (value, length) = (SOCKET_BUFFER_OCTETS, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: `value` outlives the call, and its length is its size.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn endpoint() -> (UdpEndpoint, SocketAddr) {
        let endpoint = UdpEndpoint::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = endpoint.local_addr().unwrap();
        (endpoint, address)
    }

    #[tokio::test]
    async fn datagrams_arrive_whole_with_their_sender() {
        let ((mut a, a_at), (mut b, b_at)) = (endpoint(), endpoint());
        for number in 0..100_u8 {
            a.send(b_at, vec![number; usize::from(number)]).unwrap();
        }
        a.flush();
        let mut datagrams = Vec::new();
        while datagrams.len() < 100 {
            tokio::time::timeout(PATIENCE, b.recv_batch(&mut datagrams)).await.unwrap().unwrap();
        }
        for (number, (from, octets)) in datagrams.iter().enumerate() {
            assert_eq!((*from, octets.len()), (a_at, number));
        }
        assert_eq!((a.counters().sent, b.counters().received), (100, 100));
    }

    #[tokio::test]
    async fn too_long_a_datagram_is_counted_and_the_next_one_read() {
        let ((mut a, _), (mut b, b_at)) = (endpoint(), endpoint());
        a.send(b_at, vec![1; DATAGRAM_OCTETS_MAX + 1]).unwrap();
        a.send(b_at, vec![2; DATAGRAM_OCTETS_MAX]).unwrap();
        a.flush();
        let mut datagrams = Vec::new();
        tokio::time::timeout(PATIENCE, b.recv_batch(&mut datagrams)).await.unwrap().unwrap();
        assert_eq!((datagrams.len(), datagrams[0].1[0]), (1, 2));
        assert_eq!(b.counters().too_long, 1);
    }

    #[tokio::test]
    async fn a_peer_that_is_not_there_does_not_end_the_socket() {
        let ((mut a, a_at), (b, b_at)) = (endpoint(), endpoint());
        drop(b);
        a.send(b_at, vec![1]).unwrap();
        a.flush();
        tokio::time::sleep(Duration::from_millis(20)).await;
        // 70,000 octets fit no datagram.
        a.send(a_at, vec![2; 70_000]).unwrap();
        a.send(a_at, vec![3]).unwrap();
        let mut datagrams = Vec::new();
        tokio::time::timeout(PATIENCE, a.recv_batch(&mut datagrams)).await.unwrap().unwrap();
        assert_eq!(datagrams, [(a_at, vec![3])]);
        assert!(a.counters().unsent >= 1);
    }
}
