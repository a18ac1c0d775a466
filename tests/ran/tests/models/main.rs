//! The models against a scripted network: what they send, what they refuse, and that nothing makes them panic; and
//! `coeur-ran` on real sockets.

// Helpers are not in `#[test]` functions, where clippy.toml allows these.
#![allow(clippy::unwrap_used, clippy::panic)]

mod amf;
mod core;
mod garbage;
mod gnb;
mod misbehaviour;
mod network;
mod registration;
mod security;
mod session;
mod whole;
mod wire;
