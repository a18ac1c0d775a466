//! SCTP in user space: a safe binding to the part of usrsctp that Coeur uses.
//!
//! usrsctp is run without a thread and without a socket of its own. Packets come in by [`input`] and leave through the
//! function given to [`start`]; time comes in by [`advance`]. A peer is a *path*: a number that the caller chooses, which
//! usrsctp only compares (its address family AF_CONN) and has to be told of by [`register`]. One socket is one association, or one listener.
//!
//! What it does not do: open a raw socket, compute or check the CRC32c of a packet (the caller does both), know an IP
//! address, wait. There is one stack a process: usrsctp keeps its state in globals, behind its own locks.

mod ffi;
mod socket;
mod stack;

pub use socket::{Notice, Options, Received, Socket};
pub use stack::{Output, advance, crc32c, deregister, input, register, start};
