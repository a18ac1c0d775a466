//! What the fast path hands up: GTP-U echo, error indication, unknown extension headers, end markers to send.
//!
//! - [`gtpu`]: GTP-U messages (TS 29.281), parsed and written. Pure.
//! - [`answer`]: what each message gets as an answer. Pure: time is an argument, nothing is sent.
//! - [`io`]: the socket at the N3 address. Two drivers, io_uring and plain tokio, behind one pair of queues.
//!
//! It does not forward user packets, not even those of a known session: it counts them with the reason why the fast path
//! could not. It does not answer ICMP and does not buffer for paging.

pub mod answer;
pub mod gtpu;
pub mod io;

/// The port of GTP-U (TS 29.281 4.4.2).
pub const GTPU_PORT: u16 = 2152;
