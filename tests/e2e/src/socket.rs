//! The few socket options that std does not have.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::Duration,
};

pub(crate) fn open(kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a descriptor that is not negative is open and nobody else's.
    unsafe {
        match libc::socket(libc::AF_INET, kind | libc::SOCK_CLOEXEC, protocol) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn set(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are those of one slice.
    check(unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), value.len() as libc::socklen_t)
    })
}

pub(crate) fn bind_to_device(socket: &OwnedFd, device: &str) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device.as_bytes())
}

/// Bounds every later connect, send and receive.
pub(crate) fn limit(socket: &OwnedFd, limit: Duration) -> io::Result<()> {
    let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX).to_ne_bytes();
    let micros = i64::from(limit.subsec_micros()).to_ne_bytes();
    // struct timeval: two 64-bit fields on the machines this runs on.
    let value = [seconds, micros].concat();
    set(socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &value)?;
    set(socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO, &value)
}

pub(crate) fn bind(socket: &OwnedFd, address: Ipv4Addr) -> io::Result<()> {
    let (address, length) = raw(SocketAddrV4::new(address, 0));
    // SAFETY: pointer and length are those of one sockaddr_in.
    check(unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), length) })
}

pub(crate) fn connect(socket: &OwnedFd, to: SocketAddrV4) -> io::Result<()> {
    let (address, length) = raw(to);
    // SAFETY: pointer and length are those of one sockaddr_in.
    check(unsafe { libc::connect(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), length) })
}

fn raw(address: SocketAddrV4) -> (libc::sockaddr_in, libc::socklen_t) {
    let raw = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    };
    (raw, size_of::<libc::sockaddr_in>() as libc::socklen_t)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
