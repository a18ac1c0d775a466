//! The socket at the N3 address: one pair of bounded queues in front, one of two drivers behind.
//!
//! io_uring where the kernel has it and lets us (container runtimes often forbid it), plain tokio elsewhere; chosen at
//! start by trying, and it can be told. Both drivers pass the same tests.

mod plain;
mod uring;

use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

/// Most datagrams waiting in each direction. A full queue drops what comes next, and counts it.
pub const QUEUE_MAX: usize = 1024;
/// Longest datagram: what UDP over IPv4 can carry.
pub const DATAGRAM_MAX: usize = 65_507;
/// So many failures of the socket one after the other, and the driver gives up; the port then reads as closed.
pub const FAILURES_MAX: u32 = 100;

/// One datagram: where it came from, or goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub peer: SocketAddrV4,
    pub octets: Vec<u8>,
}

/// Which driver to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// io_uring if it works here, else tokio.
    #[default]
    Auto,
    Uring,
    Tokio,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "tokio" => Ok(Self::Tokio),
            other => Err(format!("{other:?} is none of auto, uring, tokio")),
        }
    }
}

/// Our side of the socket. Dropping it stops the driver.
#[derive(Debug)]
pub struct Port {
    incoming: mpsc::Receiver<Datagram>,
    outgoing: mpsc::Sender<Datagram>,
    figures: Arc<Figures>,
    driver: &'static str,
    reason: String,
}

/// What the driver counts.
#[derive(Debug, Default)]
pub struct Figures {
    /// Datagrams dropped because a queue was full.
    pub overflows: AtomicU64,
    /// Failed receptions and transmissions.
    pub failures: AtomicU64,
}

/// The driver's side of the queues.
pub(crate) struct Ends {
    pub(crate) incoming: mpsc::Sender<Datagram>,
    pub(crate) outgoing: mpsc::Receiver<Datagram>,
    pub(crate) figures: Arc<Figures>,
}

/// Moves datagrams between a socket and its queues until [`Port`] is dropped.
pub(crate) trait Driver {
    const NAME: &'static str;

    /// Returns once the driver runs, or cannot.
    fn start(socket: UdpSocket, ends: Ends) -> io::Result<()>;
}

impl Port {
    /// Binds `address` and starts a driver. Within a tokio runtime.
    pub fn open(address: SocketAddrV4, choice: Choice) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        match choice {
            Choice::Uring => Self::start::<uring::Uring>(socket, "as told".to_owned()),
            Choice::Tokio => Self::start::<plain::Plain>(socket, "as told".to_owned()),
            Choice::Auto => match Self::start::<uring::Uring>(socket.try_clone()?, "io_uring works here".to_owned()) {
                Ok(port) => Ok(port),
                Err(error) => Self::start::<plain::Plain>(socket, format!("io_uring does not work here: {error}")),
            },
        }
    }

    fn start<D: Driver>(socket: UdpSocket, reason: String) -> io::Result<Self> {
        let (incoming_sender, incoming) = mpsc::channel(QUEUE_MAX);
        let (outgoing, outgoing_receiver) = mpsc::channel(QUEUE_MAX);
        let figures = Arc::new(Figures::default());
        let ends = Ends { incoming: incoming_sender, outgoing: outgoing_receiver, figures: Arc::clone(&figures) };
        D::start(socket, ends)?;
        Ok(Self { incoming, outgoing, figures, driver: D::NAME, reason })
    }

    /// The next datagram; none: the driver has given up. May be cancelled without losing one.
    pub async fn receive(&mut self) -> Option<Datagram> {
        self.incoming.recv().await
    }

    /// Queues a datagram. Full: dropped and counted, as a network may do.
    pub fn send(&self, datagram: Datagram) {
        if self.outgoing.try_send(datagram).is_err() {
            self.figures.overflows.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Which driver runs, and why.
    pub fn driver(&self) -> (&'static str, &str) {
        (self.driver, &self.reason)
    }
}

impl Ends {
    /// False: nobody listens any more.
    fn deliver(&self, from: SocketAddr, octets: &[u8]) -> bool {
        // The socket is bound to an IPv4 address.
        let SocketAddr::V4(peer) = from else { return true };
        match self.incoming.try_send(Datagram { peer, octets: octets.to_vec() }) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.figures.overflows.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

/// Counts failures in a row.
#[derive(Default)]
struct Failures {
    in_a_row: u32,
}

impl Failures {
    fn succeeded(&mut self) {
        self.in_a_row = 0;
    }

    /// False: enough.
    fn failed(&mut self, figures: &Figures) -> bool {
        figures.failures.fetch_add(1, Ordering::Relaxed);
        self.in_a_row += 1;
        self.in_a_row < FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    /// A port on a free port of loopback, and a peer.
    async fn pair(choice: Choice) -> (Port, SocketAddrV4, tokio::net::UdpSocket) {
        let probe = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = probe.local_addr().unwrap() else { panic!("an IPv4 socket") };
        drop(probe);
        let port = Port::open(address, choice).unwrap();
        let peer = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        (port, address, peer)
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), future).await.expect("in time")
    }

    async fn carries_datagrams_both_ways(choice: Choice) {
        let (mut port, address, peer) = pair(choice).await;
        let SocketAddr::V4(peer_address) = peer.local_addr().unwrap() else { panic!("an IPv4 socket") };
        for octets in [vec![], vec![1, 2, 3], vec![7; 60_000]] {
            peer.send_to(&octets, address).await.unwrap();
            assert_eq!(within(port.receive()).await, Some(Datagram { peer: peer_address, octets: octets.clone() }));
            port.send(Datagram { peer: peer_address, octets: octets.clone() });
            let mut buffer = vec![0; DATAGRAM_MAX];
            let (length, from) = within(peer.recv_from(&mut buffer)).await.unwrap();
            assert_eq!((&buffer[..length], from), (&octets[..], SocketAddr::V4(address)));
        }
        assert_eq!(port.figures().failures.load(Ordering::Relaxed), 0);
    }

    async fn a_full_queue_drops_and_counts(choice: Choice) {
        let (port, address, peer) = pair(choice).await;
        within(async {
            while port.figures().overflows.load(Ordering::Relaxed) == 0 {
                peer.send_to(&[1], address).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(port.incoming.len(), QUEUE_MAX);
    }

    async fn a_dropped_port_frees_its_address(choice: Choice) {
        let (port, address, _peer) = pair(choice).await;
        drop(port);
        within(async {
            while UdpSocket::bind(address).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Every test with every driver. Where the kernel forbids io_uring, `auto` has to say so and take tokio.
    async fn with_each_driver<F: Future<Output = ()>>(test: impl Fn(Choice) -> F) {
        test(Choice::Tokio).await;
        let (port, ..) = pair(Choice::Auto).await;
        match port.driver() {
            ("uring", _) => test(Choice::Uring).await,
            (driver, reason) => {
                assert!(driver == "tokio" && reason.contains("io_uring does not work here"), "{reason}");
            }
        }
    }

    #[tokio::test]
    async fn both_drivers_carry_datagrams_both_ways() {
        with_each_driver(carries_datagrams_both_ways).await;
    }

    #[tokio::test]
    async fn both_drivers_drop_and_count_when_a_queue_is_full() {
        with_each_driver(a_full_queue_drops_and_counts).await;
    }

    #[tokio::test]
    async fn both_drivers_free_their_address() {
        with_each_driver(a_dropped_port_frees_its_address).await;
    }

    #[tokio::test]
    async fn an_address_that_is_not_here_is_an_error() {
        assert!(Port::open("192.0.2.77:2152".parse().unwrap(), Choice::Auto).is_err());
    }
}
