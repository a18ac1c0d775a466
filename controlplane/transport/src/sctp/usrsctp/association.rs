//! One association of usrsctp.

use super::PeerKey;
use super::wire::PortClaim;
use crate::sctp::SendError;
use crate::sctp::assembly::{Assembly, Read, Source};
use coeur_usrsctp::{Received, Socket};
use std::io;
use std::net::Ipv4Addr;

pub(super) struct Association {
    pub(super) key: PeerKey,
    pub(super) socket: Socket,
    pub(super) assembly: Assembly,
    /// Of an association that was started here: its local port.
    pub(super) claim: Option<PortClaim>,
    /// The addresses that the peer listed.
    pub(super) addresses: Vec<Ipv4Addr>,
    /// Where the last packet came from, when that was not the address of the path.
    pub(super) heard_from: Option<Ipv4Addr>,
    pub(super) tag: Option<u32>,
    /// Whether it waits to be read already.
    pub(super) queued: bool,
}

impl Association {
    pub(super) fn new(key: PeerKey, socket: Socket, claim: Option<PortClaim>) -> Self {
        Self {
            key,
            socket,
            assembly: Assembly::default(),
            claim,
            addresses: Vec::new(),
            heard_from: None,
            tag: None,
            queued: false,
        }
    }

    /// Whether packets of `key` may be this association's: same ports, and an address of the peer.
    pub(super) fn answers(&self, key: &PeerKey) -> bool {
        let same = self.key.wire == key.wire && self.key.port == key.port && self.key.peer.port() == key.peer.port();
        same && (self.key.peer.ip() == key.peer.ip() || self.addresses.contains(key.peer.ip()))
    }

    pub(super) fn send(&self, stream: u16, ppid: u32, octets: &[u8]) -> Result<(), SendError> {
        let streams = self.assembly.outbound_streams.filter(|_| !self.assembly.closing).ok_or(SendError::NotUp)?;
        if stream >= streams {
            return Err(SendError::Stream);
        }
        self.socket.send(stream, ppid, octets).map_err(|error| SendError::from_system(&error))
    }

    /// Starts to close in order; `false`: there is nothing to close in order.
    pub(super) fn close(&mut self) -> bool {
        let assembly = &mut self.assembly;
        if !assembly.closing && (assembly.outbound_streams.is_none() || self.socket.shutdown().is_err()) {
            return false;
        }
        assembly.closing = true;
        true
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        self.assembly.read(&mut self.socket, buffer)
    }
}

impl Source for Socket {
    const END_IS_LAST: bool = false;

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        Socket::receive(self, buffer)
    }

    fn take_error(&self) -> Option<io::Error> {
        Socket::take_error(self)
    }
}
