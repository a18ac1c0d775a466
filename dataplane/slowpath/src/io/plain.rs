//! The driver on tokio's own reactor.

use std::io;
use std::net::UdpSocket;

use super::{DATAGRAM_MAX, Driver, Ends, Failures};

pub(super) struct Plain;

impl Driver for Plain {
    const NAME: &'static str = "tokio";

    fn start(socket: UdpSocket, ends: Ends) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        tokio::spawn(run(socket, ends));
        Ok(())
    }
}

async fn run(socket: tokio::net::UdpSocket, mut ends: Ends) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    let mut failures = Failures::default();
    loop {
        let result = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, from)) if ends.deliver(from, &buffer[..length]) => Ok(()),
                Ok(_) => return,
                Err(error) => Err(error),
            },
            to_send = ends.outgoing.recv() => match to_send {
                Some(datagram) => socket.send_to(&datagram.octets, datagram.peer).await.map(|_| ()),
                None => return,
            },
        };
        match result {
            Ok(()) => failures.succeeded(),
            Err(error) if failures.failed(&ends.figures) => tracing::debug!(%error, "GTP-U socket"),
            Err(error) => return tracing::error!(%error, "GTP-U socket given up"),
        }
    }
}
