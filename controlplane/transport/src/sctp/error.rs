//! What can go wrong, and whose affair it is.

use std::io;
use std::net::SocketAddr;

/// An endpoint, listener or association could not be made: the operator's affair.
#[derive(Debug, thiserror::Error)]
pub enum SctpError {
    #[error("this kernel has no SCTP: choose usrsctp, or load the module sctp")]
    KernelWithoutSctp,
    #[error("this kernel's own SCTP is loaded and would abort the associations of usrsctp: choose kernel")]
    KernelInTheWay,
    #[error("usrsctp needs CAP_NET_RAW for its raw socket, and this process has it not")]
    NoCapability,
    #[error("{address}: usrsctp answers for one address only, so the address of N2 has to be given, not all of them")]
    UnspecifiedAddress { address: SocketAddr },
    #[error("{address}: usrsctp carries IPv4 only; IPv6 needs a kernel with SCTP")]
    AddressFamily { address: SocketAddr },
    #[error("{address}: already in use by another SCTP endpoint")]
    AddressInUse { address: SocketAddr },
    #[error("{address}: no address of this machine")]
    AddressNotLocal { address: SocketAddr },
    #[error("{0} associations are the most of one endpoint")]
    TooManyAssociations(usize),
    #[error("SCTP setting {name}: expected {expected}")]
    Setting { name: &'static str, expected: &'static str },
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
}

impl SctpError {
    /// For `map_err`.
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// For `map_err` where an address is bound.
    pub(super) fn binding(address: SocketAddr) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { address },
            io::ErrorKind::AddrNotAvailable => Self::AddressNotLocal { address },
            _ => Self::System { what: "bind", source },
        }
    }
}

/// A message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("no such association, or it is not up")]
    NotUp,
    /// The peer takes less than it is sent. Try later, or give the association up.
    #[error("the send queue of the association is full")]
    QueueFull,
    #[error("the message is empty or longer than the limit")]
    Length,
    #[error("the association has no such stream")]
    Stream,
}

impl SendError {
    /// What a socket that did not take a message means by it.
    pub(super) fn from_system(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EWOULDBLOCK | libc::ENOBUFS | libc::ENOMEM) => Self::QueueFull,
            Some(libc::EMSGSIZE) => Self::Length,
            // It has ended; `Down` is on its way.
            _ => Self::NotUp,
        }
    }
}

/// Why an association ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DownReason {
    /// Closed or aborted from this side, by the owner of the endpoint.
    Local,
    /// The peer closed it in order (SHUTDOWN).
    Shutdown,
    /// The peer aborted it (ABORT).
    Aborted,
    /// The peer answers no more.
    Unreachable,
    /// It never came up: nobody listens there.
    Refused,
    /// The peer started anew (RFC 9260, 5.2); an [`super::SctpEvent::Up`] with a new number follows.
    Restarted,
    /// The peer sent a message longer than the limit; it was aborted.
    MessageTooLong,
}

impl DownReason {
    /// For a label of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Shutdown => "shutdown",
            Self::Aborted => "aborted",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Restarted => "restarted",
            Self::MessageTooLong => "message_too_long",
        }
    }

    /// From what a socket says of an association that ended without SHUTDOWN; `up`: it had come up before.
    pub(super) fn from_error(error: Option<io::Error>, up: bool) -> Self {
        match error.map(|error| error.kind()) {
            Some(io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                Self::Unreachable
            }
            // How usrsctp tells that it has given up by itself; an ABORT of the peer is ECONNRESET.
            Some(io::ErrorKind::ConnectionAborted) => Self::Unreachable,
            _ if up => Self::Aborted,
            Some(_) => Self::Refused,
            None => Self::Unreachable,
        }
    }
}
