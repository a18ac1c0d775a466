//! The fast path of one user plane: its programs in the kernel, and the tables that they read.
//!
//! - [`probe`] says what an interface's driver can do, and which way in (native XDP, TC, generic XDP) follows.
//! - [`FastPath::start`] loads the programs, attaches them, pins maps and links, and adopts those of a predecessor.
//! - [`FastPath::apply`] writes plans of `coeur_rules`; [`FastPath::counters`] and the usage functions read back.
//! - [`FastPath::poll`] keeps the next-hop table true to the kernel's routes and neighbours.
//!
//! This crate knows no PFCP, decides no rule, answers no peer, spawns no thread and runs no async code: the daemon calls it,
//! and polls [`FastPath::netlink_fd`]. It is the only crate of the daemon that imports aya.

mod attach;
mod counters;
mod error;
mod fastpath;
mod maps;
mod netlink;
mod nexthop;
mod nic;
mod object;
mod pin;
mod sessions;
mod table;

#[cfg(test)]
mod packets;

pub use attach::{PassProgram, attach_pass};
pub use counters::{Counters, Dropped, Passed, Taken};
pub use error::{ApplyError, LoadError, ReadError, StartError};
pub use fastpath::{FastPath, InterfacePath, Settings, StartReport};
pub use nic::{NicReport, PathChoice, PathKind, VethPeer, probe};
pub use object::{Capacity, OBJECT};
pub use sessions::Usage;
