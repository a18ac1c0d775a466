//! One kernel socket: an association, or a listener. Nothing here waits.
//!
//! sctp-rs gives the structures and numbers of RFC 6458. Its sockets are not used, for four reasons (version 0.3.1): a read
//! takes 4,096 octets and does not tell whether the message goes on, the walk over ancillary data starts from the wrong
//! address, dropping one closes the descriptor before tokio forgets it (which may then be another's), and none shows its
//! descriptor, so that options it lacks (timers, heartbeats, no delay) could not be set beside it.

use crate::sctp::assembly::Source;
use crate::sctp::{SctpSettings, SendError};
use crate::sockaddr;
use coeur_usrsctp::{Notice, Received};
use sctp_rs::{CmsgType, Event, RcvInfo, SendInfo};
use std::io;
use std::mem::zeroed;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const SOL_SCTP: libc::c_int = libc::IPPROTO_SCTP;
// linux/sctp.h
const SCTP_RTOINFO: libc::c_int = 0;
const SCTP_ASSOCINFO: libc::c_int = 1;
const SCTP_INITMSG: libc::c_int = 2;
const SCTP_NODELAY: libc::c_int = 3;
const SCTP_PEER_ADDR_PARAMS: libc::c_int = 9;
const SCTP_STATUS: libc::c_int = 14;
const SCTP_RECVRCVINFO: libc::c_int = 32;
const SCTP_EVENT: libc::c_int = 127;
const SPP_HB_ENABLE: u32 = 1;
const MSG_NOTIFICATION: libc::c_int = 0x8000;

#[repr(C)]
struct RtoInfo {
    assoc_id: i32,
    initial_ms: u32,
    max_ms: u32,
    min_ms: u32,
}

#[repr(C)]
struct AssocParams {
    assoc_id: i32,
    max_rxt: u16,
    peer_destinations: u16,
    peer_rwnd: u32,
    local_rwnd: u32,
    cookie_life_ms: u32,
}

#[repr(C)]
struct InitMsg {
    ostreams: u16,
    instreams: u16,
    attempts: u16,
    timeout_max_ms: u16,
}

/// Packed in linux/sctp.h, with an alignment of 4.
#[repr(C, packed)]
struct PeerAddrParams {
    assoc_id: i32,
    address: libc::sockaddr_storage,
    heartbeat_ms: u32,
    path_max_rxt: u16,
    path_mtu: u32,
    sack_delay_ms: u32,
    flags: u32,
    ipv6_flowlabel: u32,
    dscp: u8,
    _padding: u8,
}

#[repr(C)]
struct EventSubscription {
    assoc_id: i32,
    kind: u16,
    on: u8,
}

const _: () = {
    assert!(size_of::<PeerAddrParams>() == 156);
    assert!(size_of::<AssocParams>() == 20);
    assert!(size_of::<RcvInfo>() == 28);
    assert!(size_of::<SendInfo>() == 16);
};

/// Room for one piece of ancillary data, aligned as its header.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    data: [u8; 40],
}

pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn new(family: libc::c_int, settings: &SctpSettings) -> io::Result<Self> {
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: plain values.
        let socket = Self::owned(unsafe { libc::socket(family, kind, libc::IPPROTO_SCTP) })?;
        socket.configure(settings)?;
        socket.prepare()?;
        Ok(socket)
    }

    pub(super) fn bind(&self, address: SocketAddr) -> io::Result<()> {
        let (name, length) = sockaddr::to_c(address);
        // SAFETY: `name` outlives the call and has `length` octets.
        checked(unsafe { libc::bind(self.as_raw_fd(), (&raw const name).cast(), length) })
    }

    pub(super) fn listen(&self, backlog: u16) -> io::Result<()> {
        // SAFETY: plain values.
        checked(unsafe { libc::listen(self.as_raw_fd(), backlog.into()) })
    }

    pub(super) fn local(&self) -> io::Result<SocketAddr> {
        // SAFETY: all zeros is a sockaddr_storage.
        let mut name: libc::sockaddr_storage = unsafe { zeroed() };
        let mut length = size_of_val(&name) as libc::socklen_t;
        // SAFETY: `name` and `length` outlive the call and describe each other.
        checked(unsafe { libc::getsockname(self.as_raw_fd(), (&raw mut name).cast(), &raw mut length) })?;
        sockaddr::from_c(&name).ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
    }

    /// Sends INIT; a notice of its outcome follows.
    pub(super) fn connect(&self, address: SocketAddr) -> io::Result<()> {
        let (name, length) = sockaddr::to_c(address);
        // SAFETY: `name` outlives the call and has `length` octets.
        let result = checked(unsafe { libc::connect(self.as_raw_fd(), (&raw const name).cast(), length) });
        match result {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            other => other,
        }
    }

    pub(super) fn accept(&self) -> io::Result<Option<(Self, SocketAddr)>> {
        // SAFETY: all zeros is a sockaddr_storage.
        let mut name: libc::sockaddr_storage = unsafe { zeroed() };
        let mut length = size_of_val(&name) as libc::socklen_t;
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: `name` and `length` outlive the call and describe each other.
        let raw = unsafe { libc::accept4(self.as_raw_fd(), (&raw mut name).cast(), &raw mut length, flags) };
        let socket = match Self::owned(raw) {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        socket.prepare()?;
        let peer = sockaddr::from_c(&name).ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))?;
        Ok(Some((socket, peer)))
    }

    /// Queues one message, whole or not at all.
    pub(super) fn send(&self, stream: u16, ppid: u32, octets: &[u8]) -> Result<(), SendError> {
        let info = SendInfo { sid: stream, ppid: ppid.to_be(), ..SendInfo::default() };
        // SAFETY: all zeros is a value of these C structures.
        let (mut control, mut message): (Control, libc::msghdr) = unsafe { zeroed() };
        let length = size_of::<libc::cmsghdr>() + size_of::<SendInfo>();
        control.header.cmsg_len = length;
        control.header.cmsg_level = SOL_SCTP;
        control.header.cmsg_type = CmsgType::SndInfo as libc::c_int;
        // SAFETY: 40 octets are room for the 16 of a SendInfo, whose octets are plain integers; no alignment is asked.
        unsafe { control.data.as_mut_ptr().cast::<SendInfo>().write_unaligned(info) };
        let mut vector = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = length;
        // SAFETY: the message header points to what lives until the call returns; the octets are only read.
        let sent = unsafe { libc::sendmsg(self.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        if sent < 0 { Err(SendError::from_system(&io::Error::last_os_error())) } else { Ok(()) }
    }

    /// Outbound and inbound streams of the association.
    pub(super) fn streams(&self) -> io::Result<(u16, u16)> {
        let mut status = [0_u8; 176];
        let mut length = size_of_val(&status) as libc::socklen_t;
        // SAFETY: `status` and `length` outlive the call and describe each other.
        checked(unsafe {
            libc::getsockopt(self.as_raw_fd(), SOL_SCTP, SCTP_STATUS, status.as_mut_ptr().cast(), &raw mut length)
        })?;
        // struct sctp_status: inbound streams at 16, outbound at 18.
        Ok((u16::from_ne_bytes([status[18], status[19]]), u16::from_ne_bytes([status[16], status[17]])))
    }

    /// Starts to close in order (RFC 9260, 9.2).
    pub(super) fn shutdown(&self) -> io::Result<()> {
        // SAFETY: plain values.
        checked(unsafe { libc::shutdown(self.as_raw_fd(), libc::SHUT_WR) })
    }

    /// Whether closing the descriptor sends ABORT, or lets the kernel end the association in order.
    pub(super) fn abort_on_drop(&self, on: bool) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: on.into(), l_linger: 0 })
    }

    fn owned(raw: RawFd) -> io::Result<Self> {
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the system call has just made it, nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(raw) }))
    }

    /// What accepted sockets have to be told as well.
    fn prepare(&self) -> io::Result<()> {
        self.abort_on_drop(true)?;
        self.set(SOL_SCTP, SCTP_NODELAY, &(1 as libc::c_int))?;
        self.set(SOL_SCTP, SCTP_RECVRCVINFO, &(1 as libc::c_int))?;
        for kind in [Event::Association, Event::Shutdown] {
            self.set(SOL_SCTP, SCTP_EVENT, &EventSubscription { assoc_id: 0, kind: kind as u16, on: 1 })?;
        }
        Ok(())
    }

    fn configure(&self, settings: &SctpSettings) -> io::Result<()> {
        let init = InitMsg {
            ostreams: settings.streams,
            instreams: settings.streams,
            attempts: settings.init_attempts_max,
            timeout_max_ms: settings.init_timeout_max_ms,
        };
        let rto = RtoInfo {
            assoc_id: 0,
            initial_ms: settings.rto_initial_ms,
            max_ms: settings.rto_max_ms,
            min_ms: settings.rto_min_ms,
        };
        let association = AssocParams {
            assoc_id: 0,
            max_rxt: settings.association_retransmissions_max,
            peer_destinations: 0,
            peer_rwnd: 0,
            local_rwnd: 0,
            cookie_life_ms: settings.cookie_life_ms,
        };
        let path = PeerAddrParams {
            assoc_id: 0,
            // SAFETY: all zeros is a sockaddr_storage: no address, so the options are the association's.
            address: unsafe { zeroed() },
            heartbeat_ms: settings.heartbeat_ms,
            path_max_rxt: settings.path_retransmissions_max,
            path_mtu: 0,
            sack_delay_ms: 0,
            flags: SPP_HB_ENABLE,
            ipv6_flowlabel: 0,
            dscp: 0,
            _padding: 0,
        };
        self.set(SOL_SCTP, SCTP_INITMSG, &init)?;
        self.set(SOL_SCTP, SCTP_RTOINFO, &rto)?;
        self.set(SOL_SCTP, SCTP_ASSOCINFO, &association)?;
        self.set(SOL_SCTP, SCTP_PEER_ADDR_PARAMS, &path)?;
        self.set_buffer(libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, settings.send_queue_octets_max)?;
        self.set_buffer(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, settings.receive_window_octets)
    }

    /// Without CAP_NET_ADMIN the system's maximum has to do.
    fn set_buffer(&self, forced: libc::c_int, plain: libc::c_int, octets: u32) -> io::Result<()> {
        let octets = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX);
        self.set(libc::SOL_SOCKET, forced, &octets).or_else(|_| self.set(libc::SOL_SOCKET, plain, &octets))
    }

    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        let (pointer, length) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
        // SAFETY: `value` outlives the call and its length is its size.
        checked(unsafe { libc::setsockopt(self.as_raw_fd(), level, option, pointer, length) })
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Source for Socket {
    const END_IS_LAST: bool = true;

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        // SAFETY: all zeros is a value of these C structures.
        let (mut control, mut message): (Control, libc::msghdr) = unsafe { zeroed() };
        let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>();
        // SAFETY: the message header points to what lives until the call returns, with the room that it states.
        let read = unsafe { libc::recvmsg(self.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        let Ok(octets) = usize::try_from(read) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Received::Nothing),
                _ => Err(error),
            };
        };
        if message.msg_flags & MSG_NOTIFICATION != 0 {
            return Ok(Received::Notice(notice(&buffer[..octets])));
        }
        if octets == 0 {
            return Ok(Received::End);
        }
        let described = message.msg_controllen >= size_of::<libc::cmsghdr>() + size_of::<RcvInfo>()
            && control.header.cmsg_level == SOL_SCTP
            && control.header.cmsg_type == CmsgType::RcvInfo as libc::c_int;
        if !described {
            return Err(io::Error::other("the kernel gave a message without its stream"));
        }
        // SAFETY: 40 octets hold the 28 of a RcvInfo, any of which are plain integers; no alignment is asked.
        let info = unsafe { control.data.as_ptr().cast::<RcvInfo>().read_unaligned() };
        let end = message.msg_flags & libc::MSG_EOR != 0;
        Ok(Received::Part { octets, stream: info.sid, ppid: u32::from_be(info.ppid), end })
    }

    fn take_error(&self) -> Option<io::Error> {
        let mut error: libc::c_int = 0;
        let mut length = size_of_val(&error) as libc::socklen_t;
        // SAFETY: `error` and `length` outlive the call and describe each other.
        let result = unsafe {
            libc::getsockopt(
                self.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                (&raw mut error).cast(),
                &raw mut length,
            )
        };
        (result == 0 && error != 0).then(|| io::Error::from_raw_os_error(error))
    }
}

/// `struct sctp_assoc_change` and its siblings: type, flags (16 bits each), length (32), then what belongs to the type.
fn notice(octets: &[u8]) -> Notice {
    let field = |at: usize| octets.get(at..at + 2).map_or(0, |field| u16::from_ne_bytes([field[0], field[1]]));
    let (outbound_streams, inbound_streams) = (field(12), field(14));
    if field(0) == Event::Shutdown as u16 {
        return Notice::ShuttingDown;
    }
    if field(0) != Event::Association as u16 {
        return Notice::Other;
    }
    // enum sctp_sac_state
    match field(8) {
        0 => Notice::Up { outbound_streams, inbound_streams },
        1 => Notice::Lost,
        2 => Notice::Restarted { outbound_streams, inbound_streams },
        3 => Notice::ShutdownComplete,
        4 => Notice::CannotStart,
        _ => Notice::Other,
    }
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
