//! SCTP associations (RFC 9260, TS 38.412), from the kernel or from user space.
//!
//! An [`Endpoint`] listens, connects, or both, and holds any number of associations. It has no task: [`Endpoint::next_events`]
//! is what reads packets, fires timers and puts out what was sent, so its owner has to be waiting there whenever it has
//! nothing else to do. Every association that was announced by [`SctpEvent::Up`], or asked for by [`Endpoint::connect`],
//! ends with exactly one [`SctpEvent::Down`]. Numbers of associations are never used again while the process lives.
//!
//! ```text
//!              Endpoint ── dyn Stack ─┬─ kernel   one-to-one sockets in an epoll set
//!                                     └─ usrsctp  raw socket per local address ─► usrsctp, without threads
//! ```

mod assembly;
mod error;
mod kernel;
mod settings;
mod usrsctp;

pub use error::{DownReason, SctpError, SendError};
pub use settings::SctpSettings;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// SCTP payload protocol identifier of NGAP (TS 38.412, 7).
pub const PPID_NGAP: u32 = 60;
/// Port of NGAP (TS 38.412, 7).
pub const PORT_NGAP: u16 = 38412;
/// Most events that one call of [`Endpoint::next_events`] adds.
pub const EVENTS_MAX: usize = 256;

/// Which implementation to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SctpChoice {
    /// The kernel's where the kernel has it, else usrsctp.
    #[default]
    Auto,
    Kernel,
    Usrsctp,
}

/// Which implementation is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    Kernel,
    Usrsctp,
}

impl Implementation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Usrsctp => "usrsctp",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SctpEvent {
    Up {
        association: u64,
        peer: SocketAddr,
        outbound_streams: u16,
        inbound_streams: u16,
    },
    /// A whole message. Messages of one stream are in the order in which the peer sent them.
    Message {
        association: u64,
        stream: u16,
        ppid: u32,
        octets: Vec<u8>,
    },
    Down {
        association: u64,
        reason: DownReason,
    },
}

/// What was seen since the endpoint was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SctpCounters {
    pub messages_received: u64,
    pub messages_sent: u64,
    /// Messages longer than `message_octets_max`; their associations were aborted.
    pub messages_oversize: u64,
    /// Messages that the send queue had no room for.
    pub messages_refused: u64,
    /// Associations beyond `associations_max`, aborted at once.
    pub associations_refused: u64,
    /// usrsctp only, as all below: packets of the raw socket.
    pub packets_received: u64,
    pub packets_sent: u64,
    /// Too short, fragmentary, or with a wrong CRC32c (RFC 9260, 6.8).
    pub packets_malformed: u64,
    /// For a port that this endpoint does not have: another stack's, so not answered.
    pub packets_not_ours: u64,
    /// Not taken by the network; SCTP retransmits.
    pub packets_unsent: u64,
}

/// What both implementations can do. Nothing here waits but `poll_events`.
trait Stack: Send {
    fn implementation(&self) -> Implementation;
    fn listen(&mut self, local: SocketAddr) -> Result<SocketAddr, SctpError>;
    fn connect(&mut self, local: Option<SocketAddr>, remote: SocketAddr) -> Result<u64, SctpError>;
    /// Adds at most `EVENTS_MAX` events; ready when it added one at least.
    fn poll_events(&mut self, context: &mut Context<'_>, events: &mut Vec<SctpEvent>) -> Poll<()>;
    fn send(&mut self, association: u64, stream: u16, ppid: u32, octets: &[u8]) -> Result<(), SendError>;
    fn flush(&mut self);
    fn close(&mut self, association: u64);
    fn abort(&mut self, association: u64);
    fn close_all(&mut self);
    fn associations(&self) -> usize;
    fn counters(&self) -> SctpCounters;
}

/// Associations in both roles, and what they say. Dropped, it aborts the associations that are still up.
pub struct Endpoint {
    stack: Box<dyn Stack>,
}

/// An endpoint that accepts associations at `local`.
pub fn listen(choice: SctpChoice, local: SocketAddr) -> Result<Endpoint, SctpError> {
    let mut endpoint = Endpoint::new(choice, SctpSettings::default())?;
    endpoint.listen(local)?;
    Ok(endpoint)
}

/// An endpoint with one association to `remote` on the way; [`SctpEvent::Up`] or [`SctpEvent::Down`] tells how it went.
/// Port 0 in `local`: any. No `local`: the address that routes to `remote`.
pub fn connect(choice: SctpChoice, local: Option<SocketAddr>, remote: SocketAddr) -> Result<Endpoint, SctpError> {
    let mut endpoint = Endpoint::new(choice, SctpSettings::default())?;
    endpoint.connect(local, remote)?;
    Ok(endpoint)
}

/// Whether this kernel has SCTP; where it is a module, asking loads it.
pub fn kernel_has_sctp() -> bool {
    kernel::available()
}

impl Endpoint {
    /// To be called inside a tokio runtime with IO and time enabled.
    pub fn new(choice: SctpChoice, settings: SctpSettings) -> Result<Self, SctpError> {
        settings.validate()?;
        let kernel = match choice {
            SctpChoice::Auto => kernel::available(),
            SctpChoice::Kernel if kernel::available() => true,
            SctpChoice::Kernel => return Err(SctpError::KernelWithoutSctp),
            SctpChoice::Usrsctp => false,
        };
        let stack: Box<dyn Stack> = if kernel {
            Box::new(kernel::KernelStack::new(settings)?)
        } else {
            Box::new(usrsctp::UsrsctpStack::new(settings)?)
        };
        Ok(Self { stack })
    }

    pub fn implementation(&self) -> Implementation {
        self.stack.implementation()
    }

    /// Accepts associations at `local`; port 0: any. The address that was bound.
    pub fn listen(&mut self, local: SocketAddr) -> Result<SocketAddr, SctpError> {
        self.stack.listen(local)
    }

    /// Starts an association; its number. It is up when [`SctpEvent::Up`] says so.
    pub fn connect(&mut self, local: Option<SocketAddr>, remote: SocketAddr) -> Result<u64, SctpError> {
        self.stack.connect(local, remote)
    }

    /// Waits until something happened and adds it to `events`, at most [`EVENTS_MAX`] at a time. Safe to cancel.
    pub async fn next_events(&mut self, events: &mut Vec<SctpEvent>) {
        poll_fn(|context| self.poll_events(context, events)).await;
    }

    /// As [`Endpoint::next_events`], for those who poll by hand.
    pub fn poll_events(&mut self, context: &mut Context<'_>, events: &mut Vec<SctpEvent>) -> Poll<()> {
        self.stack.poll_events(context, events)
    }

    /// Queues one NGAP message. It leaves when [`Endpoint::next_events`] or [`Endpoint::flush`] is called, or before.
    pub fn send(&mut self, association: u64, stream: u16, octets: &[u8]) -> Result<(), SendError> {
        self.stack.send(association, stream, PPID_NGAP, octets)
    }

    /// As [`Endpoint::send`], with another payload protocol identifier.
    pub fn send_as(&mut self, association: u64, stream: u16, ppid: u32, octets: &[u8]) -> Result<(), SendError> {
        self.stack.send(association, stream, ppid, octets)
    }

    /// Puts out what was queued, for an owner that will not be in [`Endpoint::next_events`] soon.
    pub fn flush(&mut self) {
        self.stack.flush();
    }

    /// Closes in order: what is queued is delivered first. [`SctpEvent::Down`] follows. Unknown numbers are ignored.
    pub fn close(&mut self, association: u64) {
        self.stack.close(association);
    }

    /// Ends at once, by ABORT. [`SctpEvent::Down`] follows. Unknown numbers are ignored.
    pub fn abort(&mut self, association: u64) {
        self.stack.abort(association);
    }

    /// Associations that are up or on the way.
    pub fn associations(&self) -> usize {
        self.stack.associations()
    }

    pub fn counters(&self) -> SctpCounters {
        self.stack.counters()
    }

    /// Closes all associations in order, waits for the peers' answers but not longer than `within`, and aborts the rest.
    pub async fn shutdown(mut self, within: Duration) {
        self.stack.close_all();
        let closed = async {
            let mut events = Vec::new();
            while self.stack.associations() > 0 {
                self.next_events(&mut events).await;
                events.clear();
            }
        };
        // Either all are down, or time is up and dropping the endpoint aborts what is left.
        let _ = tokio::time::timeout(within, closed).await;
    }
}

/// The next number of an association, in this process.
fn next_association() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
