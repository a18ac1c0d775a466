//! N3: one UDP socket for all gNBs, the tunnels, and the interfaces behind them.

use super::tun::{Tun, Tuns};
use anyhow::Context as _;
use coeur_ran::gnb::{Tunnel, UeKey};
use coeur_ran::gtpu::{self, Container, Packet};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tokio::net::UdpSocket;

/// Packets read from the socket before the rest of the loop has its turn.
const BURST: usize = 256;
/// Phones noted at a time as having something to send; the others send again.
const WAKE_MAX: usize = 1_024;
/// What one socket buffers: a burst of a load run.
const SOCKET_BUFFER: libc::c_int = 8 << 20;

pub(super) struct N3 {
    socket: UdpSocket,
    local: Ipv4Addr,
    by_teid: HashMap<u32, (UeKey, u8)>,
    sessions: HashMap<(UeKey, u8), Session>,
    tuns: Option<Tuns>,
    by_tun: HashMap<usize, (UeKey, u8)>,
    buffer: Vec<u8>,
    received: Vec<u8>,
    /// Phones that have something to send and no tunnel: they leave CM-IDLE for it (TS 24.501, 5.6.1.1 c).
    wake: Vec<UeKey>,
    pub(super) counters: Counters,
}

#[derive(Default)]
struct Session {
    tunnel: Option<Tunnel>,
    tun: Option<usize>,
}

/// What went through, and what did not.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Counters {
    pub(super) uplink_packets: u64,
    pub(super) uplink_octets: u64,
    pub(super) downlink_packets: u64,
    pub(super) downlink_octets: u64,
    /// The socket's queue was full.
    pub(super) uplink_lost: u64,
    /// Packets of a phone whose session has no tunnel (CM-IDLE), or no IPv4.
    pub(super) uplink_unroutable: u64,
    pub(super) unknown_teid: u64,
    pub(super) malformed: u64,
    pub(super) echo_requests: u64,
    pub(super) error_indications: u64,
    pub(super) end_markers: u64,
}

impl N3 {
    pub(super) fn bind(local: Ipv4Addr, tun: bool) -> anyhow::Result<Self> {
        let socket = std::net::UdpSocket::bind((local, gtpu::PORT))
            .with_context(|| format!("N3: UDP {local}:{}", gtpu::PORT))?;
        socket.set_nonblocking(true)?;
        widen(&socket);
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            local,
            by_teid: HashMap::new(),
            sessions: HashMap::new(),
            tuns: tun.then(Tuns::new).transpose().context("epoll")?,
            by_tun: HashMap::new(),
            buffer: Vec::with_capacity(2_048),
            received: vec![0; 65_536],
            wake: Vec::new(),
            counters: Counters::default(),
        })
    }

    pub(super) fn tunnel_up(&mut self, tunnel: Tunnel) {
        let key = (tunnel.ue, tunnel.psi);
        self.by_teid.insert(tunnel.local, key);
        self.sessions.entry(key).or_default().tunnel = Some(tunnel);
    }

    /// The interface stays: a phone in CM-IDLE keeps its address.
    pub(super) fn tunnel_down(&mut self, ue: UeKey, psi: u8, teid: u32) {
        self.by_teid.remove(&teid);
        if let Some(session) = self.sessions.get_mut(&(ue, psi))
            && session.tunnel.as_ref().is_some_and(|tunnel| tunnel.local == teid)
        {
            session.tunnel = None;
        }
    }

    /// Gives a session its interface, if interfaces were asked for.
    pub(super) fn add_tun(&mut self, ue: UeKey, psi: u8, name: &str, ip: Ipv4Addr, mtu: u16) -> anyhow::Result<bool> {
        let Some(tuns) = &mut self.tuns else { return Ok(false) };
        let session = self.sessions.entry((ue, psi)).or_default();
        if let Some(old) = session.tun.take() {
            self.by_tun.remove(&old);
            tuns.remove(old);
        }
        let index = tuns.insert(Tun::create(name, ip, mtu)?).with_context(|| format!("epoll: {name}"))?;
        session.tun = Some(index);
        self.by_tun.insert(index, (ue, psi));
        Ok(true)
    }

    pub(super) fn tun_name(&self, ue: UeKey, psi: u8) -> Option<&str> {
        let index = self.sessions.get(&(ue, psi))?.tun?;
        Some(&self.tuns.as_ref()?.get(index)?.name)
    }

    /// The session is gone, and its interface with it.
    pub(super) fn session_gone(&mut self, ue: UeKey, psi: u8) {
        let Some(session) = self.sessions.remove(&(ue, psi)) else { return };
        if let Some(tunnel) = session.tunnel {
            self.by_teid.remove(&tunnel.local);
        }
        if let (Some(index), Some(tuns)) = (session.tun, &mut self.tuns) {
            self.by_tun.remove(&index);
            tuns.remove(index);
        }
    }

    pub(super) fn send(&mut self, ue: UeKey, psi: u8, packet: &[u8]) {
        // IPv4 sessions only: what else the kernel sends into an interface (router solicitations) has no way.
        if packet.first().map(|octet| octet >> 4) != Some(0x4) {
            self.counters.uplink_unroutable += 1;
            return;
        }
        let tunnel = self.sessions.get(&(ue, psi)).and_then(|session| session.tunnel.as_ref());
        let Some(tunnel) = tunnel else {
            self.counters.uplink_unroutable += 1;
            if self.wake.len() < WAKE_MAX {
                self.wake.push(ue);
            }
            return;
        };
        let container = Some(Container::Uplink { qfi: tunnel.qfi });
        if !gtpu::encode_g_pdu(&mut self.buffer, tunnel.remote_teid, container, packet) {
            self.counters.uplink_unroutable += 1;
            return;
        }
        let to = SocketAddr::V4(SocketAddrV4::new(tunnel.remote, gtpu::PORT));
        match self.socket.try_send_to(&self.buffer, to) {
            Ok(_) => {
                self.counters.uplink_packets += 1;
                self.counters.uplink_octets += packet.len() as u64;
            }
            Err(_) => self.counters.uplink_lost += 1,
        }
    }

    pub(super) fn take_wake(&mut self) -> Vec<UeKey> {
        std::mem::take(&mut self.wake)
    }

    /// Waits until the socket or an interface has something. Safe to cancel.
    pub(super) async fn readable(&self) {
        // An error shows itself where the socket is read.
        match &self.tuns {
            Some(tuns) => tokio::select! {
                _ = self.socket.readable() => {}
                _ = tuns.readable() => {}
            },
            None => {
                let _ = self.socket.readable().await;
            }
        }
    }

    /// Carries a burst in both directions. `to_phone` gets what has no interface to go to.
    pub(super) async fn carry(&mut self, mut to_phone: impl FnMut(UeKey, u8, &[u8])) {
        let mut received = std::mem::take(&mut self.received);
        for _ in 0..BURST {
            match self.socket.try_recv_from(&mut received[..]) {
                Ok((length, from)) => self.downlink(&received[..length], from, &mut to_phone),
                Err(_) => break,
            }
        }
        self.received = received;
        self.uplink().await;
    }

    async fn uplink(&mut self) {
        let Some(mut tuns) = self.tuns.take() else { return };
        // Only if there is something: `drain` would wait.
        let ready = std::future::poll_fn(|context| {
            let mut readable = std::pin::pin!(tuns.readable());
            std::task::Poll::Ready(readable.as_mut().poll(context).is_ready())
        });
        if ready.await {
            let mut packets = 0;
            let by_tun = std::mem::take(&mut self.by_tun);
            let drained = tuns.drain(|index, packet| {
                packets += 1;
                if let Some(&(ue, psi)) = by_tun.get(&index) {
                    self.send(ue, psi, packet);
                }
            });
            if let Err(error) = drained.await {
                tracing::warn!(%error, packets, "reading interfaces");
            }
            self.by_tun = by_tun;
        }
        self.tuns = Some(tuns);
    }

    fn downlink(&mut self, octets: &[u8], from: SocketAddr, to_phone: &mut impl FnMut(UeKey, u8, &[u8])) {
        let Ok(packet) = Packet::decode(octets) else {
            self.counters.malformed += 1;
            return;
        };
        match packet.message_type {
            gtpu::G_PDU => self.deliver(&packet, from, to_phone),
            gtpu::ECHO_REQUEST => {
                self.counters.echo_requests += 1;
                gtpu::encode_echo(&mut self.buffer, gtpu::ECHO_RESPONSE, packet.sequence.unwrap_or_default());
                self.answer(from);
            }
            gtpu::ERROR_INDICATION => self.counters.error_indications += 1,
            gtpu::END_MARKER => self.counters.end_markers += 1,
            gtpu::ECHO_RESPONSE | gtpu::SUPPORTED_EXTENSION_HEADERS => {}
            _ => self.counters.malformed += 1,
        }
    }

    fn deliver(&mut self, packet: &Packet<'_>, from: SocketAddr, to_phone: &mut impl FnMut(UeKey, u8, &[u8])) {
        let Some(&(ue, psi)) = self.by_teid.get(&packet.teid) else {
            self.counters.unknown_teid += 1;
            // TS 29.281 7.3.1
            gtpu::encode_error_indication(&mut self.buffer, packet.teid, self.local);
            return self.answer(SocketAddr::new(from.ip(), gtpu::PORT));
        };
        self.counters.downlink_packets += 1;
        self.counters.downlink_octets += packet.payload.len() as u64;
        let tun = self.sessions.get(&(ue, psi)).and_then(|session| session.tun);
        match (tun, &self.tuns) {
            (Some(index), Some(tuns)) => {
                if let Some(tun) = tuns.get(index) {
                    // A full queue drops, as an interface does.
                    let _ = tun.write(packet.payload);
                }
            }
            _ => to_phone(ue, psi, packet.payload),
        }
    }

    fn answer(&mut self, to: SocketAddr) {
        if self.socket.try_send_to(&self.buffer, to).is_err() {
            self.counters.uplink_lost += 1;
        }
    }
}

/// Larger socket buffers, as far as the kernel allows.
fn widen(socket: &std::net::UdpSocket) {
    use std::os::fd::AsRawFd as _;
    for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE] {
        let size = SOCKET_BUFFER;
        // SAFETY: the descriptor is open, and the value lives across the call and is as long as is said. Without the
        // capability the default stays, which is slower and not wrong.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const size).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
}
