//! The whole core in virtual time: the network functions, the PFCP peer of a user plane, gNBs and phones on one thread.
//!
//! Everything here is the code that runs in production, but for what touches the world: time is a number, the network is a
//! queue, the store is a map, and what goes wrong comes from a seed. A run that fails prints its seed, and the same seed
//! fails the same way again.
//!
//! ```text
//!   Ue ◄──► Gnb ◄── N2, in order ──► Mesh ◄── N4, may lose, repeat, reorder ──► UpFunction ──► tables
//!                                     ▲
//!                                     └── store: commits after a while; what was not committed dies with the core
//! ```
//!
//! What it does not do: packets. The tables of the user plane are compared with what the session management believes.

#![allow(clippy::panic, reason = "a simulation fails by panicking: it is a test's")]

mod check;
mod random;
mod store;
mod world;

pub use random::Random;
pub use world::{Faults, Settings, World};
