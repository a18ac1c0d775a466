//! One association, or one listener. Nothing here waits.

use crate::ffi;
use libc::{c_int, c_void, socklen_t};
use std::io;
use std::ptr::NonNull;

/// How associations of a socket behave; those accepted inherit it from the listener.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub streams: u16,
    pub init_attempts: u16,
    pub init_timeout_max_ms: u16,
    pub rto_initial_ms: u32,
    pub rto_min_ms: u32,
    pub rto_max_ms: u32,
    pub association_retransmissions_max: u16,
    pub path_retransmissions_max: u16,
    pub heartbeat_ms: u32,
    pub cookie_life_ms: u32,
    /// Largest IP payload that a path carries in one packet.
    pub packet_octets_max: u32,
    pub send_buffer_octets: u32,
    pub receive_buffer_octets: u32,
}

/// What a read of a socket gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// `octets` of a message; `end`: its last ones.
    Part {
        octets: usize,
        stream: u16,
        ppid: u32,
        end: bool,
    },
    Notice(Notice),
    /// The peer has nothing more to say.
    End,
    Nothing,
}

/// What became of the association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    Up {
        outbound_streams: u16,
        inbound_streams: u16,
    },
    Restarted {
        outbound_streams: u16,
        inbound_streams: u16,
    },
    /// The peer is closing in order.
    ShuttingDown,
    ShutdownComplete,
    Lost,
    CannotStart,
    /// Nothing that concerns a user.
    Other,
}

/// A socket of the stack. Dropped, it closes: an association that is still up is aborted.
pub struct Socket(NonNull<ffi::RawSocket>);

// SAFETY: usrsctp guards its sockets with its own locks; a `Socket` has one owner and is not shared.
unsafe impl Send for Socket {}

impl Socket {
    pub fn new(options: &Options) -> io::Result<Self> {
        // SAFETY: plain values; no callbacks.
        let raw = unsafe {
            ffi::usrsctp_socket(
                ffi::AF_CONN,
                libc::SOCK_STREAM,
                ffi::IPPROTO_SCTP,
                std::ptr::null(),
                std::ptr::null(),
                0,
                std::ptr::null_mut(),
            )
        };
        let socket = Self(NonNull::new(raw).ok_or_else(io::Error::last_os_error)?);
        socket.prepare()?;
        socket.configure(options)?;
        Ok(socket)
    }

    /// Binds to a port of one registered path, or of all when `path` is 0. A port that another socket has is refused.
    pub fn bind(&self, path: u64, port: u16) -> io::Result<()> {
        let mut name = conn_address(path, port);
        // SAFETY: `name` outlives the call, and its length is its size.
        checked(unsafe { ffi::usrsctp_bind(self.0.as_ptr(), &raw mut name, length_of(&name)) })
    }

    pub fn listen(&self, backlog: u16) -> io::Result<()> {
        // SAFETY: a plain call on a live socket.
        checked(unsafe { ffi::usrsctp_listen(self.0.as_ptr(), backlog.into()) })
    }

    /// The next association that is up, with its path and the peer's port.
    pub fn accept(&self) -> io::Result<Option<(Self, u64, u16)>> {
        let mut name = conn_address(0, 0);
        let mut length = length_of(&name);
        // SAFETY: `name` and `length` outlive the call and describe each other.
        let raw = unsafe { ffi::usrsctp_accept(self.0.as_ptr(), &raw mut name, &raw mut length) };
        let Some(raw) = NonNull::new(raw) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        };
        let socket = Self(raw);
        socket.prepare()?;
        Ok(Some((socket, name.addr as usize as u64, u16::from_be(name.port))))
    }

    /// Sends INIT; [`Notice::Up`] or [`Notice::CannotStart`] follows.
    pub fn connect(&self, path: u64, port: u16) -> io::Result<()> {
        let mut name = conn_address(path, port);
        // SAFETY: `name` outlives the call, and its length is its size.
        let result = checked(unsafe { ffi::usrsctp_connect(self.0.as_ptr(), &raw mut name, length_of(&name)) });
        match result {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            other => other,
        }
    }

    /// Queues one message, whole or not at all: `WouldBlock` when the send buffer has no room for it.
    pub fn send(&self, stream: u16, ppid: u32, octets: &[u8]) -> io::Result<()> {
        let mut info = ffi::SndInfo { sid: stream, flags: 0, ppid: ppid.to_be(), context: 0, assoc_id: 0 };
        // SAFETY: the message is copied before the call returns; `info` is what `SCTP_SENDV_SNDINFO` announces.
        let sent = unsafe {
            ffi::usrsctp_sendv(
                self.0.as_ptr(),
                octets.as_ptr().cast(),
                octets.len(),
                std::ptr::null_mut(),
                0,
                (&raw mut info).cast(),
                length_of(&info),
                ffi::SCTP_SENDV_SNDINFO,
                0,
            )
        };
        match usize::try_from(sent) {
            Ok(sent) if sent == octets.len() => Ok(()),
            Ok(_) => Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// Reads what came next into `buffer`.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut info = ffi::RcvInfo::default();
        let mut info_length = length_of(&info);
        let mut info_kind = 0;
        // SAFETY: all zeros is a sockaddr_storage.
        let mut from: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let mut from_length = length_of(&from);
        let mut flags: c_int = 0;
        // SAFETY: every pointer outlives the call and is as large as its length says.
        let read = unsafe {
            ffi::usrsctp_recvv(
                self.0.as_ptr(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &raw mut from,
                &raw mut from_length,
                (&raw mut info).cast(),
                &raw mut info_length,
                &raw mut info_kind,
                &raw mut flags,
            )
        };
        let Ok(octets) = usize::try_from(read) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(Received::Nothing) } else { Err(error) };
        };
        if flags & ffi::MSG_NOTIFICATION != 0 {
            return Ok(Received::Notice(notice(&buffer[..octets.min(buffer.len())])));
        }
        if octets == 0 {
            return Ok(Received::End);
        }
        if info_kind != ffi::SCTP_RECVV_RCVINFO {
            return Err(io::Error::other("usrsctp gave a message without its stream"));
        }
        let end = flags & libc::MSG_EOR != 0;
        Ok(Received::Part { octets, stream: info.sid, ppid: u32::from_be(info.ppid), end })
    }

    /// Outbound and inbound streams of the association.
    pub fn streams(&self) -> io::Result<(u16, u16)> {
        let status: ffi::Status = self.option(ffi::SCTP_STATUS)?;
        Ok((status.outstreams, status.instreams))
    }

    /// The verification tag that the peer puts into its packets.
    pub fn local_tag(&self) -> io::Result<u32> {
        Ok(self.option::<ffi::NonceValues>(ffi::SCTP_GET_NONCE_VALUES)?.local_tag)
    }

    /// Why the association ended, once.
    pub fn take_error(&self) -> Option<io::Error> {
        let mut error: c_int = 0;
        let mut length = length_of(&error);
        // SAFETY: `error` and `length` outlive the call and describe each other.
        let result = unsafe {
            ffi::usrsctp_getsockopt(
                self.0.as_ptr(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                (&raw mut error).cast(),
                &raw mut length,
            )
        };
        (result == 0 && error != 0).then(|| io::Error::from_raw_os_error(error))
    }

    /// Closes in order: what is queued is sent first, then SHUTDOWN (RFC 9260, 9.2).
    pub fn shutdown(&self) -> io::Result<()> {
        // SAFETY: a plain call on a live socket.
        checked(unsafe { ffi::usrsctp_shutdown(self.0.as_ptr(), libc::SHUT_WR) })
    }

    /// Every socket: reads that do not wait, notices, ABORT when it is dropped with an association still up.
    fn prepare(&self) -> io::Result<()> {
        // SAFETY: a plain call on a live socket.
        checked(unsafe { ffi::usrsctp_set_non_blocking(self.0.as_ptr(), 1) })?;
        self.set(libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: 1, l_linger: 0 })?;
        self.set(ffi::IPPROTO_SCTP, ffi::SCTP_RECVRCVINFO, &(1 as c_int))?;
        self.set(ffi::IPPROTO_SCTP, ffi::SCTP_NODELAY, &(1 as c_int))?;
        for kind in [ffi::SCTP_ASSOC_CHANGE, ffi::SCTP_SHUTDOWN_EVENT] {
            // SCTP_CURRENT_ASSOC is for one-to-many sockets: on one-to-one sockets the identifier is ignored.
            let event = ffi::Event { assoc_id: ffi::SCTP_FUTURE_ASSOC, kind, on: 1 };
            self.set(ffi::IPPROTO_SCTP, ffi::SCTP_EVENT, &event)?;
        }
        Ok(())
    }

    fn configure(&self, options: &Options) -> io::Result<()> {
        let init = ffi::InitMsg {
            ostreams: options.streams,
            instreams: options.streams,
            attempts: options.init_attempts,
            init_timeout_ms: options.init_timeout_max_ms,
        };
        let rto = ffi::RtoInfo {
            assoc_id: ffi::SCTP_FUTURE_ASSOC,
            initial_ms: options.rto_initial_ms,
            max_ms: options.rto_max_ms,
            min_ms: options.rto_min_ms,
        };
        let association = ffi::AssocParams {
            assoc_id: ffi::SCTP_FUTURE_ASSOC,
            peer_rwnd: 0,
            local_rwnd: 0,
            cookie_life_ms: options.cookie_life_ms,
            max_rxt: options.association_retransmissions_max,
            peer_destinations: 0,
        };
        let path = ffi::PeerAddrParams {
            // SAFETY: all zeros is a sockaddr_storage: no address, so the options are the association's.
            address: unsafe { std::mem::zeroed() },
            assoc_id: ffi::SCTP_FUTURE_ASSOC,
            heartbeat_ms: options.heartbeat_ms,
            // usrsctp adds the common header to it again.
            path_mtu: options.packet_octets_max.saturating_sub(12),
            flags: ffi::SPP_HB_ENABLE | ffi::SPP_PMTUD_DISABLE,
            ipv6_flowlabel: 0,
            path_max_rxt: options.path_retransmissions_max,
            dscp: 0,
        };
        let buffer = |octets: u32| c_int::try_from(octets).unwrap_or(c_int::MAX);
        self.set(libc::SOL_SOCKET, libc::SO_SNDBUF, &buffer(options.send_buffer_octets))?;
        self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &buffer(options.receive_buffer_octets))?;
        self.set(ffi::IPPROTO_SCTP, ffi::SCTP_INITMSG, &init)?;
        self.set(ffi::IPPROTO_SCTP, ffi::SCTP_RTOINFO, &rto)?;
        self.set(ffi::IPPROTO_SCTP, ffi::SCTP_ASSOCINFO, &association)?;
        self.set(ffi::IPPROTO_SCTP, ffi::SCTP_PEER_ADDR_PARAMS, &path)
    }

    fn set<T>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        let value_ptr = std::ptr::from_ref(value).cast::<c_void>();
        // SAFETY: `value` outlives the call and its length is its size.
        checked(unsafe { ffi::usrsctp_setsockopt(self.0.as_ptr(), level, option, value_ptr, length_of(value)) })
    }

    /// `T`: plain integers only, so that zeros are a value of it.
    fn option<T: Plain>(&self, option: c_int) -> io::Result<T> {
        // SAFETY: `Plain` is implemented for structures of integers alone.
        let mut value: T = unsafe { std::mem::zeroed() };
        let mut length = length_of(&value);
        // SAFETY: `value` and `length` outlive the call and describe each other.
        checked(unsafe {
            ffi::usrsctp_getsockopt(
                self.0.as_ptr(),
                ffi::IPPROTO_SCTP,
                option,
                (&raw mut value).cast(),
                &raw mut length,
            )
        })?;
        Ok(value)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the socket is live until here, and nobody can use it afterwards.
        unsafe { ffi::usrsctp_close(self.0.as_ptr()) };
    }
}

trait Plain {}
impl Plain for ffi::Status {}
impl Plain for ffi::NonceValues {}

/// `struct sctp_assoc_change` and its siblings: type, flags (16 bits each), length (32), then what belongs to the type.
fn notice(octets: &[u8]) -> Notice {
    let field = |at: usize| octets.get(at..at + 2).map_or(0, |field| u16::from_ne_bytes([field[0], field[1]]));
    let (outbound_streams, inbound_streams) = (field(12), field(14));
    match (field(0), field(8)) {
        (ffi::SCTP_SHUTDOWN_EVENT, _) => Notice::ShuttingDown,
        (ffi::SCTP_ASSOC_CHANGE, ffi::SCTP_COMM_UP) => Notice::Up { outbound_streams, inbound_streams },
        (ffi::SCTP_ASSOC_CHANGE, ffi::SCTP_RESTART) => Notice::Restarted { outbound_streams, inbound_streams },
        (ffi::SCTP_ASSOC_CHANGE, ffi::SCTP_COMM_LOST) => Notice::Lost,
        (ffi::SCTP_ASSOC_CHANGE, ffi::SCTP_SHUTDOWN_COMP) => Notice::ShutdownComplete,
        (ffi::SCTP_ASSOC_CHANGE, ffi::SCTP_CANT_STR_ASSOC) => Notice::CannotStart,
        _ => Notice::Other,
    }
}

fn conn_address(path: u64, port: u16) -> ffi::SockaddrConn {
    ffi::SockaddrConn { family: ffi::AF_CONN as u16, port: port.to_be(), addr: path as usize as *mut c_void }
}

fn length_of<T>(_: &T) -> socklen_t {
    size_of::<T>() as socklen_t
}

fn checked(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
