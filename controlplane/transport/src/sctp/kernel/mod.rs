//! The kernel's SCTP: a one-to-one socket per association, all in one epoll set, so that a wake-up reads many of them.

mod socket;

use super::assembly::{Assembly, Read};
use super::settings::SctpSettings;
use super::{
    DownReason, EVENTS_MAX, Implementation, SctpCounters, SctpError, SctpEvent, SendError, Stack, next_association,
};
use socket::Socket;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::task::{Context, Poll};
use tokio::io::unix::AsyncFd;

/// Sockets that one look at the epoll set gives.
const READY_MAX: usize = 64;
/// Messages that one socket gives before it is the next one's turn.
const MESSAGES_PER_TURN_MAX: usize = 32;
/// Looks at the epoll set in one poll, before others have the CPU.
const LOOKS_MAX: usize = 16;
/// Keys of the epoll set: listeners have this bit and their index, associations their number.
const LISTENER: u64 = 1 << 63;

/// Whether `socket` knows the protocol; where it is a module, asking loads it.
pub(super) fn available() -> bool {
    // SAFETY: plain values.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, libc::IPPROTO_SCTP) };
    if raw < 0 {
        return false;
    }
    // SAFETY: just opened, nobody else has it; dropping it closes it.
    drop(unsafe { OwnedFd::from_raw_fd(raw) });
    true
}

pub(super) struct KernelStack {
    settings: SctpSettings,
    ready: AsyncFd<OwnedFd>,
    listeners: Vec<Socket>,
    associations: HashMap<u64, Association>,
    /// What was decided outside `poll_events`.
    events: VecDeque<SctpEvent>,
    buffer: Vec<u8>,
    counters: SctpCounters,
}

struct Association {
    socket: Socket,
    peer: SocketAddr,
    assembly: Assembly,
}

impl KernelStack {
    pub(super) fn new(settings: SctpSettings) -> Result<Self, SctpError> {
        // SAFETY: a plain value.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if raw < 0 {
            return Err(SctpError::System { what: "epoll_create1", source: io::Error::last_os_error() });
        }
        // SAFETY: just opened, nobody else has it.
        let epoll = unsafe { OwnedFd::from_raw_fd(raw) };
        // SAFETY: the AsyncFd owns the descriptor and keeps it open until it is dropped.
        let ready = unsafe { AsyncFd::register(epoll) }
            .map_err(|error| SctpError::system("register the epoll set")(error.into()))?;
        Ok(Self {
            buffer: vec![0; settings.message_octets_max],
            settings,
            ready,
            listeners: Vec::new(),
            associations: HashMap::new(),
            events: VecDeque::new(),
            counters: SctpCounters::default(),
        })
    }

    fn watch(&self, socket: &Socket, key: u64) -> Result<(), SctpError> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: key };
        let (epoll, fd) = (self.ready.as_raw_fd(), socket.as_raw_fd());
        // SAFETY: both descriptors are open, and `event` outlives the call. Closing the socket ends the watch.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if result == 0 {
            Ok(())
        } else {
            Err(SctpError::System { what: "watch the socket", source: io::Error::last_os_error() })
        }
    }

    fn accept(&mut self, listener: usize, events: &mut Vec<SctpEvent>) {
        for _ in 0..self.settings.backlog {
            let accepted = self.listeners.get(listener).map(Socket::accept);
            match accepted {
                Some(Ok(Some((socket, peer)))) => self.adopt(socket, peer, events),
                // It ended before it was taken over: its owner never knew it.
                Some(Err(error)) => {
                    tracing::debug!(%error, "an association ended before it was accepted");
                    return;
                }
                Some(Ok(None)) | None => return,
            }
        }
    }

    fn adopt(&mut self, socket: Socket, peer: SocketAddr, events: &mut Vec<SctpEvent>) {
        if self.associations.len() >= self.settings.associations_max {
            self.counters.associations_refused += 1;
            return; // dropping the socket sends ABORT
        }
        let association = next_association();
        if let Err(error) = self.watch(&socket, association) {
            self.counters.associations_refused += 1;
            tracing::warn!(%error, "an association is refused");
            return;
        }
        let (outbound_streams, inbound_streams) =
            socket.streams().unwrap_or((self.settings.streams, self.settings.streams));
        let assembly = Assembly::up(outbound_streams);
        self.associations.insert(association, Association { socket, peer, assembly });
        events.push(SctpEvent::Up { association, peer, outbound_streams, inbound_streams });
    }

    /// Reads one association for one turn.
    fn read(&mut self, number: u64, events: &mut Vec<SctpEvent>, limit: usize) {
        for _ in 0..MESSAGES_PER_TURN_MAX {
            if events.len() >= limit {
                return;
            }
            let Some(known) = self.associations.get_mut(&number) else { return };
            let peer = known.peer;
            match known.assembly.read(&mut known.socket, &mut self.buffer) {
                Read::Nothing => return,
                Read::Message { stream, ppid, octets } => {
                    self.counters.messages_received += 1;
                    events.push(SctpEvent::Message { association: number, stream, ppid, octets });
                }
                Read::Up { outbound_streams, inbound_streams } => {
                    events.push(SctpEvent::Up { association: number, peer, outbound_streams, inbound_streams });
                }
                Read::Restarted { outbound_streams, inbound_streams } => {
                    return self.restarted(number, outbound_streams, inbound_streams);
                }
                Read::Down(reason) => {
                    self.counters.messages_oversize += u64::from(reason == DownReason::MessageTooLong);
                    self.finish(number, reason);
                    return;
                }
            }
        }
    }

    /// RFC 9260, 5.2: to the owner this is another association, on the same socket.
    fn restarted(&mut self, before: u64, outbound_streams: u16, inbound_streams: u16) {
        let Some(known) = self.associations.remove(&before) else { return };
        let association = next_association();
        let peer = known.peer;
        self.events.push_back(SctpEvent::Down { association: before, reason: DownReason::Restarted });
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: association };
        let (epoll, fd) = (self.ready.as_raw_fd(), known.socket.as_raw_fd());
        // SAFETY: both descriptors are open, and `event` outlives the call.
        if unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_MOD, fd, &raw mut event) } != 0 {
            return; // dropping the socket aborts it; nobody was told that it came up
        }
        self.associations.insert(association, known);
        self.events.push_back(SctpEvent::Up { association, peer, outbound_streams, inbound_streams });
    }

    /// Ends an association: forgets it, says so, and closes its socket.
    fn finish(&mut self, association: u64, reason: DownReason) {
        let Some(known) = self.associations.remove(&association) else { return };
        if reason == DownReason::Shutdown {
            // The kernel may still be delivering what was sent before the peer's SHUTDOWN: let it end in order.
            if let Err(error) = known.socket.abort_on_drop(false) {
                tracing::debug!(%error, "the association is aborted instead of closed");
            }
        }
        self.events.push_back(SctpEvent::Down { association, reason });
    }

    fn take_decided(&mut self, events: &mut Vec<SctpEvent>, limit: usize) {
        let room = limit.saturating_sub(events.len()).min(self.events.len());
        events.extend(self.events.drain(..room));
    }

    /// The keys of sockets that have something; none: not before the epoll set is readable again.
    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Vec<u64>> {
        loop {
            let Poll::Ready(Ok(mut guard)) = self.ready.poll_read_ready(context) else { return Poll::Pending };
            let looked = guard.try_io(|epoll| {
                let mut ready = [libc::epoll_event { events: 0, u64: 0 }; READY_MAX];
                // SAFETY: `ready` has room for as many events as are asked for.
                let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), ready.as_mut_ptr(), READY_MAX as i32, 0) };
                match usize::try_from(count) {
                    Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
                    Ok(count) => Ok(ready[..count].iter().map(|event| event.u64).collect::<Vec<u64>>()),
                    Err(_) => Err(io::Error::last_os_error()),
                }
            });
            // Otherwise look again: interrupted, or nothing there and the readiness cleared.
            if let Ok(Ok(keys)) = looked {
                return Poll::Ready(keys);
            }
        }
    }
}

impl Stack for KernelStack {
    fn implementation(&self) -> Implementation {
        Implementation::Kernel
    }

    fn listen(&mut self, local: SocketAddr) -> Result<SocketAddr, SctpError> {
        let socket = Socket::new(family(local), &self.settings).map_err(SctpError::system("SCTP socket"))?;
        socket.bind(local).map_err(SctpError::binding(local))?;
        socket.listen(self.settings.backlog).map_err(SctpError::binding(local))?;
        let bound = socket.local().map_err(SctpError::system("getsockname"))?;
        self.watch(&socket, LISTENER | self.listeners.len() as u64)?;
        self.listeners.push(socket);
        Ok(bound)
    }

    fn connect(&mut self, local: Option<SocketAddr>, remote: SocketAddr) -> Result<u64, SctpError> {
        if self.associations.len() >= self.settings.associations_max {
            return Err(SctpError::TooManyAssociations(self.settings.associations_max));
        }
        let socket = Socket::new(family(remote), &self.settings).map_err(SctpError::system("SCTP socket"))?;
        if let Some(local) = local {
            socket.bind(local).map_err(SctpError::binding(local))?;
        }
        let number = next_association();
        self.watch(&socket, number)?;
        socket.connect(remote).map_err(SctpError::system("connect"))?;
        self.associations.insert(number, Association { socket, peer: remote, assembly: Assembly::default() });
        Ok(number)
    }

    fn poll_events(&mut self, context: &mut Context<'_>, events: &mut Vec<SctpEvent>) -> Poll<()> {
        let before = events.len();
        let limit = before + EVENTS_MAX;
        self.take_decided(events, limit);
        for look in 0.. {
            if events.len() >= limit {
                break;
            }
            if look == LOOKS_MAX {
                context.waker().wake_by_ref();
                break;
            }
            let Poll::Ready(keys) = self.poll_ready(context) else { break };
            for key in keys {
                if key & LISTENER == 0 {
                    self.read(key, events, limit);
                } else if events.len() < limit {
                    self.accept((key & !LISTENER) as usize, events);
                }
                // What was decided comes in its place among what the sockets say.
                self.take_decided(events, usize::MAX);
            }
        }
        if events.len() > before { Poll::Ready(()) } else { Poll::Pending }
    }

    fn send(&mut self, association: u64, stream: u16, ppid: u32, octets: &[u8]) -> Result<(), SendError> {
        let known = self.associations.get(&association).ok_or(SendError::NotUp)?;
        if octets.is_empty() || octets.len() > self.settings.message_octets_max {
            return Err(SendError::Length);
        }
        let up = known.assembly.outbound_streams.filter(|_| !known.assembly.closing);
        if stream >= up.ok_or(SendError::NotUp)? {
            return Err(SendError::Stream);
        }
        let sent = known.socket.send(stream, ppid, octets);
        match sent {
            Ok(()) => self.counters.messages_sent += 1,
            Err(SendError::QueueFull) => self.counters.messages_refused += 1,
            Err(_) => {}
        }
        sent
    }

    /// The kernel has sent it already.
    fn flush(&mut self) {}

    fn close(&mut self, association: u64) {
        let Some(known) = self.associations.get_mut(&association) else { return };
        let up = known.assembly.outbound_streams.is_some();
        if !known.assembly.closing && (!up || known.socket.shutdown().is_err()) {
            return self.finish(association, DownReason::Local);
        }
        known.assembly.closing = true;
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
        self.counters
    }
}

fn family(address: SocketAddr) -> libc::c_int {
    if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }
}
