//! A netlink socket: requests that wait for their answer, and notifications that do not.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use super::message::{Message, NLMSG_DONE, NLMSG_ERROR, messages};

/// A datagram of a dump is at most 32 KiB; the kernel fits them to what is offered.
const DATAGRAM_MAX: usize = 65_536;
/// Room for notifications until the daemon polls: a table of routes that changes at once.
const RECEIVE_BUFFER: libc::c_int = 4 << 20;
/// An answer that takes longer does not come.
const ANSWER_TIMEOUT_S: libc::time_t = 5;

pub(crate) struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// `groups` is the mask of the multicast groups to hear.
    pub(crate) fn open(protocol: libc::c_int, groups: u32) -> io::Result<Self> {
        // SAFETY: a system call without pointers.
        let raw = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let timeout = libc::timeval { tv_sec: ANSWER_TIMEOUT_S, tv_usec: 0 };
        // SAFETY: options are values of the types that the options have.
        unsafe {
            set_option(&fd, libc::SO_RCVTIMEO, &timeout)?;
            // Best effort: an unprivileged process gets less.
            let _ = set_option(&fd, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER);
        }
        // SAFETY: all zeros is a valid address.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = groups;
        let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: an address of its length.
        if unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { fd, buffer: vec![0; DATAGRAM_MAX] })
    }

    pub(crate) fn send(&self, request: &[u8]) -> io::Result<()> {
        // SAFETY: octets of the slice.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Sends a request and hands each message of the answer on, until it is done or acknowledged. A dump that was
    /// disturbed by changes is not told apart: its caller hears of the changes by notification.
    pub(crate) fn ask(&mut self, request: &[u8], sequence: u32, mut each: impl FnMut(Message<'_>)) -> io::Result<()> {
        self.send(request)?;
        loop {
            let length = self.receive(0)?;
            for message in messages(&self.buffer[..length]) {
                if message.sequence != sequence {
                    continue;
                }
                match message.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        return match message.error() {
                            Some(0) => Ok(()),
                            Some(number) => Err(io::Error::from_raw_os_error(number.wrapping_neg())),
                            None => Err(io::ErrorKind::InvalidData.into()),
                        };
                    }
                    _ => each(message),
                }
            }
        }
    }

    /// One waiting datagram of notifications; false if none waits. `ENOBUFS` says that some were lost.
    pub(crate) fn notifications(&mut self, mut each: impl FnMut(Message<'_>)) -> io::Result<bool> {
        let length = match self.receive(libc::MSG_DONTWAIT) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        messages(&self.buffer[..length]).for_each(&mut each);
        Ok(true)
    }

    fn receive(&mut self, flags: libc::c_int) -> io::Result<usize> {
        loop {
            let (buffer, length) = (self.buffer.as_mut_ptr().cast(), self.buffer.len());
            // SAFETY: a buffer of that length.
            let received = unsafe { libc::recv(self.fd.as_raw_fd(), buffer, length, flags) };
            match usize::try_from(received) {
                Ok(length) => return Ok(length),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// # Safety
/// `T` is the type that the option has.
unsafe fn set_option<T>(fd: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: a value of its length.
    let done = unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, value, length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
