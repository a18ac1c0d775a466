//! One association: its socket, and how much of a message it has.

use super::PeerKey;
use super::wire::PortClaim;
use crate::sctp::{DownReason, SendError};
use coeur_usrsctp::{Notice, Received, Socket};
use std::io;
use std::net::Ipv4Addr;

pub(super) struct Association {
    pub(super) key: PeerKey,
    pub(super) socket: Socket,
    /// Of an association that was started here: its local port.
    pub(super) claim: Option<PortClaim>,
    /// None: not up yet.
    pub(super) outbound_streams: Option<u16>,
    /// The addresses that the peer listed.
    pub(super) addresses: Vec<Ipv4Addr>,
    /// Where the last packet came from, when that was not the address of the path.
    pub(super) heard_from: Option<Ipv4Addr>,
    pub(super) tag: Option<u32>,
    /// Whether it waits to be read already.
    pub(super) queued: bool,
    closing: bool,
    /// The peer has sent SHUTDOWN.
    peer_closing: bool,
    partial: Vec<u8>,
}

/// What an association has to say.
pub(super) enum Read {
    Nothing,
    Message { stream: u16, ppid: u32, octets: Vec<u8> },
    Up { outbound_streams: u16, inbound_streams: u16 },
    Restarted { outbound_streams: u16, inbound_streams: u16 },
    Down(DownReason),
}

impl Association {
    pub(super) fn new(key: PeerKey, socket: Socket, claim: Option<PortClaim>) -> Self {
        Self {
            key,
            socket,
            claim,
            outbound_streams: None,
            addresses: Vec::new(),
            heard_from: None,
            tag: None,
            queued: false,
            closing: false,
            peer_closing: false,
            partial: Vec::new(),
        }
    }

    /// Whether packets of `key` may be this association's: same ports, and an address of the peer.
    pub(super) fn answers(&self, key: &PeerKey) -> bool {
        let same = self.key.wire == key.wire && self.key.port == key.port && self.key.peer.port() == key.peer.port();
        same && (self.key.peer.ip() == key.peer.ip() || self.addresses.contains(key.peer.ip()))
    }

    pub(super) fn send(&self, stream: u16, ppid: u32, octets: &[u8]) -> Result<(), SendError> {
        let streams = self.outbound_streams.filter(|_| !self.closing).ok_or(SendError::NotUp)?;
        if stream >= streams {
            return Err(SendError::Stream);
        }
        self.socket.send(stream, ppid, octets).map_err(|error| match error.raw_os_error() {
            Some(libc::EWOULDBLOCK | libc::ENOBUFS | libc::ENOMEM) => SendError::QueueFull,
            Some(libc::EMSGSIZE) => SendError::Length,
            // It has ended; `Down` is on its way.
            _ => SendError::NotUp,
        })
    }

    /// Starts to close in order; `false`: there is nothing to close in order.
    pub(super) fn close(&mut self) -> bool {
        if !self.closing && (self.outbound_streams.is_none() || self.socket.shutdown().is_err()) {
            return false;
        }
        self.closing = true;
        true
    }

    /// What comes next; messages are whole.
    pub(super) fn read(&mut self, buffer: &mut [u8], message_octets_max: usize) -> Read {
        loop {
            let received = match self.socket.receive(buffer) {
                Ok(received) => received,
                Err(error) => return Read::Down(self.end(Some(error))),
            };
            match received {
                Received::Nothing => return Read::Nothing,
                Received::Part { octets, stream, ppid, end } => {
                    if self.partial.len() + octets > message_octets_max {
                        return Read::Down(DownReason::MessageTooLong);
                    }
                    let part = &buffer[..octets.min(buffer.len())];
                    if end && self.partial.is_empty() {
                        return Read::Message { stream, ppid, octets: part.to_vec() };
                    }
                    self.partial.extend_from_slice(part);
                    if end {
                        return Read::Message { stream, ppid, octets: std::mem::take(&mut self.partial) };
                    }
                }
                Received::Notice(Notice::Up { outbound_streams, inbound_streams }) => {
                    // An accepted association was announced when it was accepted.
                    if self.outbound_streams.replace(outbound_streams).is_none() {
                        return Read::Up { outbound_streams, inbound_streams };
                    }
                }
                Received::Notice(Notice::Restarted { outbound_streams, inbound_streams }) => {
                    self.partial.clear();
                    return Read::Restarted { outbound_streams, inbound_streams };
                }
                Received::Notice(Notice::ShuttingDown) => self.peer_closing = true,
                Received::Notice(Notice::ShutdownComplete) => {
                    return Read::Down(if self.closing { DownReason::Local } else { DownReason::Shutdown });
                }
                Received::Notice(Notice::Lost | Notice::CannotStart) => {
                    let error = self.socket.take_error();
                    return Read::Down(self.end(error));
                }
                Received::Notice(Notice::Other) => {}
                // Nothing more to read; while a SHUTDOWN is under way its completion is still to come.
                Received::End if self.closing || self.peer_closing => return Read::Nothing,
                Received::End => {
                    let error = self.socket.take_error();
                    return Read::Down(error.map_or(DownReason::Shutdown, |error| self.end(Some(error))));
                }
            }
        }
    }

    fn end(&self, error: Option<io::Error>) -> DownReason {
        DownReason::from_error(error, self.outbound_streams.is_some())
    }
}
