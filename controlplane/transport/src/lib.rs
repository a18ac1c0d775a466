//! Sockets of a core, and of the RAN models that test one: SCTP for N2, UDP for N4.
//!
//! [`sctp`] has one type, [`sctp::Endpoint`], over the kernel's SCTP or over usrsctp and a raw socket; which one is chosen
//! at start. [`pfcp`] has a UDP socket that reads and writes in batches.
//!
//! What this crate does not do: read a message. It knows no NGAP and no PFCP, retransmits nothing that SCTP does not, has
//! no task of its own, and keeps no queue without a limit: whoever owns an endpoint drives it.

pub mod pfcp;
pub mod sctp;
mod sockaddr;
