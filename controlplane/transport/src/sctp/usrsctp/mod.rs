//! SCTP in user space: usrsctp for the protocol, raw sockets of our own for the packets.
//!
//! usrsctp would open a raw socket by itself, but not bind it: it would see, and abort, the associations of every other
//! stack in the network namespace, and list all addresses of the machine to its peers. So it gets its packets from here
//! (its AF_CONN mode) and answers only what is addressed to a port of this endpoint; a packet for another port is counted
//! and left to its owner, against RFC 9260, 8.4, which knows one stack a machine.
//!
//! Several addresses of a peer: packets are accepted from each address that its INIT or INIT ACK listed, and answers go
//! where the last one came from (RFC 9260, 6.4). The other addresses are not probed: the peer's heartbeats do that.

mod association;
mod packet;
mod wire;

use super::assembly::{Assembly, Read};
use super::settings::SctpSettings;
use super::{
    DownReason, EVENTS_MAX, Implementation, SctpCounters, SctpError, SctpEvent, SendError, Stack, next_association,
};
use association::Association;
use coeur_usrsctp::{Options, Socket};
use packet::{CHUNK_COOKIE_ECHO, CHUNK_INIT, CHUNK_INIT_ACK, Header};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;
use wire::{Inbox, Incoming, PortClaim, Wire};

/// Batches that one poll reads from a wire before it lets others have the CPU.
const BATCHES_MAX: usize = 8;
/// How often timers are looked at, with and without associations.
const TICK: Duration = Duration::from_millis(10);
const TICK_IDLE: Duration = Duration::from_millis(100);
/// How often every association is read, also without a packet for it: timers end associations too.
const SWEEP: Duration = Duration::from_millis(250);
/// INITs whose addresses are remembered until their cookies come back.
const INITS_MAX: usize = 256;
/// Ephemeral ports that are tried before none is found.
const PORT_ATTEMPTS: u16 = 64;
/// A listener is for all peers.
const ANY_PATH: u64 = 0;
/// RFC 6335, 6: ports for anyone.
const PORT_EPHEMERAL: u16 = 49_152;
/// Ports of ended associations that are kept, and for how long.
const RETIRED_MAX: usize = 1_024;
const RETIRED_FOR: Duration = Duration::from_secs(10);

pub(super) struct UsrsctpStack {
    settings: SctpSettings,
    options: Options,
    wires: Vec<BoundWire>,
    listeners: Vec<Listener>,
    associations: HashMap<u64, Association>,
    /// Who a packet is for. An association has one entry.
    by_peer: HashMap<PeerKey, u64>,
    /// Who a packet from an unknown address is for, by its verification tag.
    by_tag: HashMap<u32, u64>,
    paths: Paths,
    inits: VecDeque<(PeerKey, Vec<Ipv4Addr>)>,
    /// Associations that may have something to read.
    ready: VecDeque<u64>,
    /// What was decided outside `poll_events`.
    events: VecDeque<SctpEvent>,
    inbox: Inbox,
    buffer: Vec<u8>,
    retired: VecDeque<RetiredPort>,
    tick: Pin<Box<Sleep>>,
    swept: Instant,
    counters: SctpCounters,
}

struct BoundWire {
    wire: AsyncFd<Arc<Wire>>,
    /// Port on the wire → port as usrsctp has it.
    ports: HashMap<u16, u16>,
}

struct Listener {
    /// As usrsctp has it.
    port: u16,
    socket: Socket,
    _claim: PortClaim,
}

struct Binding {
    socket: Socket,
    claim: PortClaim,
    /// As usrsctp has it.
    inner: u16,
}

/// A port of an association that ended: kept a while, so that a peer that missed the end is answered (RFC 9260, 8.4).
struct RetiredPort {
    since: Instant,
    wire: usize,
    inner: u16,
    claim: PortClaim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PeerKey {
    wire: u32,
    /// As usrsctp has it.
    port: u16,
    peer: SocketAddrV4,
}

impl UsrsctpStack {
    pub(super) fn new(settings: SctpSettings) -> Result<Self, SctpError> {
        // With the module loaded the kernel answers every packet itself, and knows none of our associations.
        if Path::new("/proc/net/sctp").exists() {
            return Err(SctpError::KernelInTheWay);
        }
        coeur_usrsctp::start(wire::output);
        let options = options(&settings);
        Ok(Self {
            buffer: vec![0; settings.message_octets_max],
            settings,
            options,
            wires: Vec::new(),
            listeners: Vec::new(),
            associations: HashMap::new(),
            by_peer: HashMap::new(),
            by_tag: HashMap::new(),
            paths: Paths::default(),
            inits: VecDeque::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            inbox: Inbox::new(),
            retired: VecDeque::new(),
            tick: Box::pin(tokio::time::sleep(TICK)),
            swept: Instant::now(),
            counters: SctpCounters::default(),
        })
    }

    /// The wire at `local`, opened when it is the first time.
    fn wire_at(&mut self, local: Ipv4Addr) -> Result<usize, SctpError> {
        if let Some(index) = self.wires.iter().position(|bound| bound.wire.get_ref().local() == local) {
            return Ok(index);
        }
        let address = SocketAddr::from((local, 0));
        let wire = Wire::open(local).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => SctpError::NoCapability,
            _ => SctpError::binding(address)(error),
        })?;
        // SAFETY: the wire owns its socket, keeps it open as long as the AsyncFd keeps the wire, and has no other.
        let wire = unsafe { AsyncFd::register(wire) }
            .map_err(|error| SctpError::system("register the raw socket")(error.into()))?;
        self.wires.push(BoundWire { wire, ports: HashMap::new() });
        Ok(self.wires.len() - 1)
    }

    /// A socket bound to a port of usrsctp that stands for `port` on the wire; `port` 0: any.
    fn bind(&mut self, wire: usize, port: u16, path: u64) -> Result<Binding, SctpError> {
        let local = self.wires[wire].wire.get_ref().local();
        let retired = self.retired.iter().position(|retired| retired.wire == wire && retired.claim.port() == port);
        let claim = match retired.and_then(|at| self.retired.remove(at)) {
            Some(retired) => {
                self.wires[wire].wire.get_ref().forget_port(retired.inner);
                retired.claim
            }
            None => claim_port(local, port)?,
        };
        let socket = Socket::new(&self.options).map_err(SctpError::system("usrsctp socket"))?;
        // Ports are one space to usrsctp, while each address has ports of its own: another one is taken inside then.
        let inner = std::iter::once(claim.port())
            .chain(ephemeral_ports())
            .find(|&inner| socket.bind(path, inner).is_ok())
            .ok_or(SctpError::AddressInUse { address: (local, claim.port()).into() })?;
        self.wires[wire].wire.get_ref().show_port(inner, claim.port());
        self.wires[wire].ports.insert(claim.port(), inner);
        Ok(Binding { socket, claim, inner })
    }

    /// Reads packets until there are none or the CPU is another's turn; whether that was so.
    fn read_wires(&mut self, context: &mut Context<'_>) -> bool {
        let mut more = false;
        for index in 0..self.wires.len() {
            let mut batches = 0;
            while let Poll::Ready(Ok(mut guard)) = self.wires[index].wire.poll_read_ready(context) {
                if batches == BATCHES_MAX {
                    more = true;
                    break;
                }
                batches += 1;
                let inbox = &mut self.inbox;
                let Ok(filled) = guard.try_io(|wire| inbox.fill(wire.get_ref())) else { continue };
                // An error of an earlier packet that this socket is told about; reading it cleared it.
                let Ok(count) = filled else { continue };
                drop(guard);
                self.dispatch(index, count);
            }
        }
        more
    }

    /// Hands the packets that were just read to usrsctp, and notes whom they may have something for.
    fn dispatch(&mut self, index: usize, count: usize) {
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut accepting = Vec::new();
        for slot in 0..count {
            self.counters.packets_received += 1;
            let Some(Incoming { source, ecn, payload }) = inbox.packet(slot) else {
                self.counters.packets_malformed += 1;
                continue;
            };
            let Some(header) = Header::checked(payload) else {
                self.counters.packets_malformed += 1;
                continue;
            };
            let bound = &self.wires[index];
            let Some(&port) = bound.ports.get(&header.destination) else {
                self.counters.packets_not_ours += 1;
                continue;
            };
            let wire = bound.wire.get_ref().id();
            let key = PeerKey { wire, port, peer: SocketAddrV4::new(source, header.source) };
            let peer = self.resolve(&key, &header, payload);
            let path = wire::path(wire, peer);
            if header.chunk == CHUNK_COOKIE_ECHO {
                // An association may come of it; if not, the path is forgotten below.
                self.paths.hold(path);
                accepting.push(path);
            }
            payload[2..4].copy_from_slice(&port.to_be_bytes());
            coeur_usrsctp::input(path, payload, ecn);
        }
        self.inbox = inbox;
        if !accepting.is_empty() {
            self.accept();
            accepting.into_iter().for_each(|path| self.paths.release(path));
        }
    }

    /// The address by which usrsctp knows the sender; the association that has it is to be read.
    fn resolve(&mut self, key: &PeerKey, header: &Header, packet: &[u8]) -> Ipv4Addr {
        let source = *key.peer.ip();
        if header.chunk == CHUNK_INIT {
            if self.inits.len() == INITS_MAX {
                self.inits.pop_front();
            }
            self.inits.push_back((*key, packet::listed_addresses(packet)));
        }
        let number = match self.by_peer.get(key) {
            Some(&number) => number,
            None => match self.by_tag.get(&header.tag) {
                Some(&number) if header.tag != 0 => number,
                _ => return source,
            },
        };
        let Some(association) = self.associations.get_mut(&number) else { return source };
        if !association.answers(key) {
            return source;
        }
        if header.chunk == CHUNK_INIT_ACK {
            association.addresses = packet::listed_addresses(packet);
        }
        let heard_from = (source != *association.key.peer.ip()).then_some(source);
        if association.heard_from != heard_from {
            association.heard_from = heard_from;
            let wire = self.wires.iter().find(|bound| bound.wire.get_ref().id() == key.wire);
            wire.into_iter().for_each(|bound| bound.wire.get_ref().detour(association.key.peer, heard_from));
        }
        let path_address = *association.key.peer.ip();
        if !association.queued {
            association.queued = true;
            self.ready.push_back(number);
        }
        path_address
    }

    /// Takes over the associations that came up at the listeners.
    fn accept(&mut self) {
        for index in 0..self.listeners.len() {
            // An error is an association that ended before it was taken over: its owner never knew it.
            for _ in 0..self.settings.backlog {
                match self.listeners[index].socket.accept() {
                    Ok(Some((socket, path, port))) => self.adopt(index, socket, path, port),
                    Ok(None) => break,
                    Err(error) => tracing::debug!(%error, "an association ended before it was accepted"),
                }
            }
        }
    }

    fn adopt(&mut self, listener: usize, socket: Socket, path: u64, port: u16) {
        if self.associations.len() >= self.settings.associations_max {
            self.counters.associations_refused += 1;
            return; // dropping the socket sends ABORT
        }
        let (wire, peer) = wire::of_path(path);
        let key = PeerKey { wire, port: self.listeners[listener].port, peer: SocketAddrV4::new(peer, port) };
        self.paths.hold(path);
        if let Some(&old) = self.by_peer.get(&key) {
            // usrsctp has given the old one up, or there could not be a new one: it has no more than its end to tell.
            self.finish(old, DownReason::Restarted);
        }
        let (outbound_streams, inbound_streams) =
            socket.streams().unwrap_or((self.settings.streams, self.settings.streams));
        let number = next_association();
        let mut association = Association::new(key, socket, None);
        association.assembly = Assembly::up(outbound_streams);
        if let Some(at) = self.inits.iter().rposition(|(init, _)| *init == key) {
            association.addresses = self.inits.remove(at).map(|(_, addresses)| addresses).unwrap_or_default();
        }
        association.queued = true;
        self.ready.push_back(number);
        self.by_peer.insert(key, number);
        self.associations.insert(number, association);
        self.learn_tag(number);
        let peer = SocketAddr::V4(key.peer);
        self.events.push_back(SctpEvent::Up { association: number, peer, outbound_streams, inbound_streams });
    }

    /// Learns the verification tag of an association that is up.
    fn learn_tag(&mut self, number: u64) {
        let Some(association) = self.associations.get_mut(&number) else { return };
        let Ok(tag) = association.socket.local_tag() else { return };
        if let Some(before) = association.tag.replace(tag) {
            self.by_tag.remove(&before);
        }
        self.by_tag.insert(tag, number);
    }

    /// Ends an association: forgets it, says so, and closes its socket, which sends ABORT when it is still up.
    fn finish(&mut self, number: u64, reason: DownReason) {
        let Some(association) = self.associations.remove(&number) else { return };
        self.by_peer.remove(&association.key);
        if let Some(tag) = association.tag {
            self.by_tag.remove(&tag);
        }
        let wire = self.wires.iter().position(|bound| bound.wire.get_ref().id() == association.key.wire);
        if let Some(wire) = wire {
            self.wires[wire].wire.get_ref().detour(association.key.peer, None);
            if let Some(claim) = association.claim {
                self.retire_port(RetiredPort { since: Instant::now(), wire, inner: association.key.port, claim });
            }
        }
        drop(association.socket);
        self.paths.release(wire::path(association.key.wire, *association.key.peer.ip()));
        self.events.push_back(SctpEvent::Down { association: number, reason });
    }

    fn retire_port(&mut self, port: RetiredPort) {
        if self.retired.len() == RETIRED_MAX {
            self.release_port();
        }
        self.retired.push_back(port);
    }

    fn release_port(&mut self) {
        let Some(RetiredPort { wire, inner, claim, .. }) = self.retired.pop_front() else { return };
        self.wires[wire].ports.remove(&claim.port());
        self.wires[wire].wire.get_ref().forget_port(inner);
    }

    /// Reads what associations have to say, up to `limit` events in all.
    fn collect(&mut self, events: &mut Vec<SctpEvent>, limit: usize) {
        while events.len() < limit {
            if let Some(event) = self.events.pop_front() {
                events.push(event);
                continue;
            }
            let Some(&number) = self.ready.front() else { return };
            match self.read(number, events, limit) {
                Progress::Full => return,
                Progress::Empty => {
                    self.ready.pop_front();
                }
            }
        }
    }

    /// Reads one association.
    fn read(&mut self, number: u64, events: &mut Vec<SctpEvent>, limit: usize) -> Progress {
        while events.len() < limit {
            let Some(association) = self.associations.get_mut(&number) else { return Progress::Empty };
            match association.read(&mut self.buffer) {
                Read::Nothing => {
                    association.queued = false;
                    return Progress::Empty;
                }
                Read::Message { stream, ppid, octets } => {
                    self.counters.messages_received += 1;
                    events.push(SctpEvent::Message { association: number, stream, ppid, octets });
                }
                Read::Up { outbound_streams, inbound_streams } => {
                    let peer = SocketAddr::V4(association.key.peer);
                    self.learn_tag(number);
                    events.push(SctpEvent::Up { association: number, peer, outbound_streams, inbound_streams });
                }
                Read::Restarted { outbound_streams, inbound_streams } => {
                    return self.restarted(number, outbound_streams, inbound_streams);
                }
                Read::Down(reason) => {
                    self.counters.messages_oversize += u64::from(reason == DownReason::MessageTooLong);
                    self.finish(number, reason);
                    return Progress::Empty;
                }
            }
        }
        Progress::Full
    }

    /// RFC 9260, 5.2: to the owner this is another association, on the same socket.
    fn restarted(&mut self, before: u64, outbound_streams: u16, inbound_streams: u16) -> Progress {
        let Some(mut association) = self.associations.remove(&before) else { return Progress::Empty };
        let number = next_association();
        let peer = SocketAddr::V4(association.key.peer);
        association.queued = true;
        self.by_peer.insert(association.key, number);
        self.associations.insert(number, association);
        self.learn_tag(number);
        self.ready.push_back(number);
        self.events.push_back(SctpEvent::Down { association: before, reason: DownReason::Restarted });
        self.events.push_back(SctpEvent::Up { association: number, peer, outbound_streams, inbound_streams });
        Progress::Empty
    }

    /// What timers do: retransmissions, and ends of associations that no packet tells of.
    fn on_tick(&mut self) {
        advance_time();
        let now = Instant::now();
        if now.duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        for (&number, association) in &mut self.associations {
            if !association.queued {
                association.queued = true;
                self.ready.push_back(number);
            }
        }
        while self.retired.front().is_some_and(|port| now.duration_since(port.since) >= RETIRED_FOR) {
            self.release_port();
        }
    }

    fn rearm(&mut self) {
        let tick = if self.associations.is_empty() { TICK_IDLE } else { TICK };
        self.tick.as_mut().reset(tokio::time::Instant::now() + tick);
    }
}

impl Stack for UsrsctpStack {
    fn implementation(&self) -> Implementation {
        Implementation::Usrsctp
    }

    fn listen(&mut self, local: SocketAddr) -> Result<SocketAddr, SctpError> {
        let address = ipv4(local)?;
        let wire = self.wire_at(*address.ip())?;
        let Binding { socket, claim, inner } = self.bind(wire, address.port(), ANY_PATH)?;
        socket.listen(self.settings.backlog).map_err(SctpError::system("listen"))?;
        let local = SocketAddr::from((*address.ip(), claim.port()));
        self.listeners.push(Listener { port: inner, socket, _claim: claim });
        Ok(local)
    }

    fn connect(&mut self, local: Option<SocketAddr>, remote: SocketAddr) -> Result<u64, SctpError> {
        if self.associations.len() >= self.settings.associations_max {
            return Err(SctpError::TooManyAssociations(self.settings.associations_max));
        }
        let peer = ipv4(remote)?;
        let local = match local {
            Some(local) => ipv4(local)?,
            None => ipv4(wire::route_source(remote).map_err(SctpError::system("find a route to the peer"))?)
                .map(|source| SocketAddrV4::new(*source.ip(), 0))?,
        };
        let wire = self.wire_at(*local.ip())?;
        let id = self.wires[wire].wire.get_ref().id();
        let path = wire::path(id, *peer.ip());
        self.paths.hold(path);
        let started = self.bind(wire, local.port(), path).and_then(|binding| {
            binding.socket.connect(path, peer.port()).map_err(SctpError::system("connect"))?;
            Ok(binding)
        });
        let Binding { socket, claim, inner } = match started {
            Ok(binding) => binding,
            Err(error) => {
                self.paths.release(path);
                return Err(error);
            }
        };
        let key = PeerKey { wire: id, port: inner, peer };
        let number = next_association();
        self.by_peer.insert(key, number);
        self.associations.insert(number, Association::new(key, socket, Some(claim)));
        self.rearm();
        Ok(number)
    }

    fn poll_events(&mut self, context: &mut Context<'_>, events: &mut Vec<SctpEvent>) -> Poll<()> {
        let before = events.len();
        let more = self.read_wires(context);
        if self.tick.as_mut().poll(context).is_ready() {
            self.on_tick();
            self.rearm();
            // A deadline in the future: it is pending, and that is what registers the waker.
            if self.tick.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
        self.collect(events, before + EVENTS_MAX);
        wire::flush_all();
        if events.len() > before {
            return Poll::Ready(());
        }
        if more {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn send(&mut self, association: u64, stream: u16, ppid: u32, octets: &[u8]) -> Result<(), SendError> {
        let known = self.associations.get(&association).ok_or(SendError::NotUp)?;
        if octets.is_empty() || octets.len() > self.settings.message_octets_max {
            return Err(SendError::Length);
        }
        let sent = known.send(stream, ppid, octets);
        match sent {
            Ok(()) => self.counters.messages_sent += 1,
            Err(SendError::QueueFull) => self.counters.messages_refused += 1,
            Err(_) => {}
        }
        sent
    }

    fn flush(&mut self) {
        wire::flush_all();
    }

    fn close(&mut self, association: u64) {
        let Some(known) = self.associations.get_mut(&association) else { return };
        if !known.close() {
            self.finish(association, DownReason::Local);
        }
    }

    fn abort(&mut self, association: u64) {
        self.finish(association, DownReason::Local);
    }

    fn close_all(&mut self) {
        let numbers: Vec<u64> = self.associations.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.close(number));
    }

    fn associations(&self) -> usize {
        self.associations.len()
    }

    fn counters(&self) -> SctpCounters {
        let mut counters = self.counters;
        for wire in self.wires.iter().map(|bound| bound.wire.get_ref()) {
            counters.packets_sent += wire.sent.load(Ordering::Relaxed);
            counters.packets_unsent += wire.unsent.load(Ordering::Relaxed);
        }
        counters
    }
}

impl Drop for UsrsctpStack {
    fn drop(&mut self) {
        // Sockets first: what is still up is aborted, and the ABORTs go out by the wires.
        self.associations.clear();
        self.listeners.clear();
        self.paths.0.drain().for_each(|(path, _)| coeur_usrsctp::deregister(path));
        self.wires.iter().for_each(|bound| bound.wire.get_ref().retire());
    }
}

/// The paths that usrsctp knows, with how many hold each.
#[derive(Default)]
struct Paths(HashMap<u64, u32>);

impl Paths {
    fn hold(&mut self, path: u64) {
        let holders = self.0.entry(path).or_default();
        if *holders == 0 {
            coeur_usrsctp::register(path);
        }
        *holders += 1;
    }

    fn release(&mut self, path: u64) {
        if let Some(holders) = self.0.get_mut(&path) {
            *holders -= 1;
            if *holders == 0 {
                self.0.remove(&path);
                coeur_usrsctp::deregister(path);
            }
        }
    }
}

/// Whether an association may have more to read.
enum Progress {
    Full,
    Empty,
}

/// Lets the time pass for usrsctp that has passed since any endpoint of the process did so.
fn advance_time() {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let now = Instant::now();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let elapsed = now.saturating_duration_since(last.unwrap_or(now));
    let elapsed_ms = u32::try_from(elapsed.as_millis()).unwrap_or(u32::MAX);
    if last.is_none() || elapsed_ms > 0 {
        // The rest of a millisecond counts next time.
        *last = Some(last.map_or(now, |last| last + Duration::from_millis(elapsed_ms.into())));
        drop(last);
        coeur_usrsctp::advance(elapsed_ms);
    }
}

fn ipv4(address: SocketAddr) -> Result<SocketAddrV4, SctpError> {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Err(SctpError::UnspecifiedAddress { address }),
        SocketAddr::V4(v4) => Ok(v4),
        SocketAddr::V6(_) => Err(SctpError::AddressFamily { address }),
    }
}

/// Claims `port` of `local`; 0: one that nobody has.
fn claim_port(local: Ipv4Addr, port: u16) -> Result<PortClaim, SctpError> {
    let mut candidates = ephemeral_ports();
    let mut wanted = if port == 0 { candidates.next() } else { Some(port) };
    let mut refusal = io::ErrorKind::AddrInUse.into();
    while let Some(candidate) = wanted {
        match PortClaim::new(SocketAddrV4::new(local, candidate)) {
            Ok(claim) => return Ok(claim),
            Err(error) => refusal = error,
        }
        wanted = if port == 0 { candidates.next() } else { None };
    }
    Err(SctpError::binding((local, port).into())(refusal))
}

/// A few ports, from one that the last caller did not get.
fn ephemeral_ports() -> impl Iterator<Item = u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() as u16);
    (0..PORT_ATTEMPTS)
        .map(move |step| PORT_EPHEMERAL + first.wrapping_add(step.wrapping_mul(257)) % (u16::MAX - PORT_EPHEMERAL))
}

fn options(settings: &SctpSettings) -> Options {
    Options {
        streams: settings.streams,
        init_attempts: settings.init_attempts_max,
        init_timeout_max_ms: settings.init_timeout_max_ms,
        rto_initial_ms: settings.rto_initial_ms,
        rto_min_ms: settings.rto_min_ms,
        rto_max_ms: settings.rto_max_ms,
        association_retransmissions_max: settings.association_retransmissions_max,
        path_retransmissions_max: settings.path_retransmissions_max,
        heartbeat_ms: settings.heartbeat_ms,
        cookie_life_ms: settings.cookie_life_ms,
        packet_octets_max: settings.packet_octets_max,
        send_buffer_octets: settings.send_queue_octets_max,
        receive_buffer_octets: settings.receive_window_octets,
    }
}
