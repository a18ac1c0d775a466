//! One TCP transfer between two namespaces, measured where it arrives.

use crate::{Namespace, socket};
use anyhow::{Context as _, ensure};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// Longest silence of a transfer before it is given up.
const STALL_MAX: Duration = Duration::from_secs(5);
const BLOCK: usize = 64 * 1024;

/// The two ends. The phone always opens the connection, as phones do.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    pub phone: &'a Namespace,
    pub source: Source<'a>,
    pub network: &'a Namespace,
    pub server: Ipv4Addr,
}

/// Where the phone's socket is bound.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub address: Ipv4Addr,
    pub device: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Phone to network.
    Up,
    Down,
}

/// What arrived.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    pub octets: u64,
    pub time: Duration,
}

impl Transfer {
    /// Megabit a second of TCP payload.
    pub fn mbps(&self) -> f64 {
        self.octets as f64 * 8.0 / 1e6 / self.time.as_secs_f64().max(1e-9)
    }
}

/// Sends for `duration`, then waits until everything arrived.
pub fn transfer(ends: &Ends<'_>, direction: Direction, duration: Duration) -> anyhow::Result<Transfer> {
    let what = || format!("TCP {direction:?} between {} and {}", ends.source.address, ends.server);
    let listener = ends.network.enter(|| TcpListener::bind(SocketAddr::from((ends.server, 0))))?.with_context(what)?;
    let SocketAddr::V4(server) = listener.local_addr()? else { unreachable!("bound to an IPv4 address") };
    let phone = ends.phone.enter(|| connect(&ends.source, server))?.with_context(what)?;
    let (network, peer) = listener.accept()?;
    ensure!(peer.ip() == ends.source.address, "{}: the network saw {peer}: addresses were changed", what());
    network.set_read_timeout(Some(STALL_MAX))?;
    network.set_write_timeout(Some(STALL_MAX))?;
    let (from, to) = if direction == Direction::Up { (phone, network) } else { (network, phone) };
    let (sent, arrived) = thread::scope(|scope| {
        let sender = scope.spawn(|| send(from, duration));
        let arrived = receive(to);
        (sender.join().expect("send does not panic"), arrived)
    });
    let (sent, arrived) = (sent.with_context(what)?, arrived.with_context(what)?);
    ensure!(sent == arrived.octets, "{}: sent {sent} octets, {} arrived", what(), arrived.octets);
    Ok(arrived)
}

fn connect(source: &Source<'_>, server: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = socket::open(libc::SOCK_STREAM, 0)?;
    socket::bind_to_device(&socket, source.device)?;
    socket::bind(&socket, source.address)?;
    socket::limit(&socket, STALL_MAX)?;
    socket::connect(&socket, server)?;
    Ok(TcpStream::from(socket))
}

fn send(mut to: TcpStream, duration: Duration) -> io::Result<u64> {
    let block = [0x5a; BLOCK];
    let end = Instant::now() + duration;
    let mut octets = 0;
    while Instant::now() < end {
        to.write_all(&block)?;
        octets += block.len() as u64;
    }
    // Closing sends the end of the stream; the receiver waits for it.
    to.shutdown(std::net::Shutdown::Write)?;
    Ok(octets)
}

fn receive(mut from: TcpStream) -> io::Result<Transfer> {
    let mut block = vec![0; BLOCK];
    let start = Instant::now();
    let mut octets = 0;
    loop {
        match from.read(&mut block)? {
            0 => return Ok(Transfer { octets, time: start.elapsed() }),
            length => octets += length as u64,
        }
    }
}
