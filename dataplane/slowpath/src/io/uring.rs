//! The driver on io_uring, on a thread of its own: tokio-uring has a reactor that it shares with nobody.

use std::cell::Cell;
use std::io;
use std::net::{Shutdown, UdpSocket};
use std::rc::Rc;
use std::sync::mpsc as handshake;

use super::{DATAGRAM_MAX, Driver, Ends, Failures};

pub(super) struct Uring;

/// Receptions and transmissions in flight are few: one of each.
const RING_ENTRIES: u32 = 16;

impl Driver for Uring {
    const NAME: &'static str = "uring";

    fn start(socket: UdpSocket, ends: Ends) -> io::Result<()> {
        let (started, start) = handshake::sync_channel(1);
        std::thread::Builder::new().name("gtpu-uring".to_owned()).spawn(move || {
            let mut builder = tokio_uring::builder();
            let runtime = match tokio_uring::Runtime::new(builder.entries(RING_ENTRIES)) {
                Ok(runtime) => runtime,
                // Nobody to tell only if the starter is gone, and then nobody cares.
                Err(error) => return drop(started.send(Err(error))),
            };
            runtime.block_on(async {
                match tokio_uring::no_op().await {
                    Ok(()) => {
                        let _ = started.send(Ok(()));
                        run(tokio_uring::net::UdpSocket::from_std(socket), ends).await;
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            });
        })?;
        start.recv().map_err(|_| io::Error::other("its thread ended at once"))?
    }
}

async fn run(socket: tokio_uring::net::UdpSocket, mut ends: Ends) {
    let socket = Rc::new(socket);
    let stopping = Rc::new(Cell::new(false));
    let figures = ends.figures.clone();
    let (_, nothing) = tokio::sync::mpsc::channel(1);
    let mut outgoing = std::mem::replace(&mut ends.outgoing, nothing);
    let receiver = tokio_uring::spawn(receive(Rc::clone(&socket), ends, Rc::clone(&stopping)));
    let mut failures = Failures::default();
    while let Some(datagram) = outgoing.recv().await {
        let (result, _) = socket.send_to(datagram.octets, datagram.peer.into()).await;
        match result {
            Ok(_) => failures.succeeded(),
            Err(error) if failures.failed(&figures) => tracing::debug!(%error, "GTP-U socket"),
            Err(error) => {
                tracing::error!(%error, "GTP-U socket given up");
                break;
            }
        }
    }
    // A reception is in flight, and the ring waits for it: shutting down ends it. On a socket without a peer that reports
    // ENOTCONN, and does it all the same.
    stopping.set(true);
    let _ = socket.shutdown(Shutdown::Both);
    let _ = receiver.await;
}

async fn receive(socket: Rc<tokio_uring::net::UdpSocket>, ends: Ends, stopping: Rc<Cell<bool>>) {
    let mut buffer = Vec::with_capacity(DATAGRAM_MAX);
    let mut failures = Failures::default();
    loop {
        // The driver writes into the capacity and sets the length.
        buffer.clear();
        let (result, returned) = socket.recv_from(buffer).await;
        buffer = returned;
        if stopping.get() {
            return;
        }
        match result {
            Ok((length, from)) if ends.deliver(from, &buffer[..length.min(buffer.len())]) => failures.succeeded(),
            Ok(_) => return,
            Err(error) if failures.failed(&ends.figures) => tracing::debug!(%error, "GTP-U socket"),
            Err(error) => return tracing::error!(%error, "GTP-U socket given up"),
        }
    }
}
