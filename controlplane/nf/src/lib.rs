//! The contract of a network function.
//!
//! A network function is a value. It reads no clock, opens no socket, spawns no task and draws no random number: time and
//! entropy come in with [`Env`], and all that it wants done goes out as outputs. `coeur-core` drives it with tokio, and the
//! simulator in `tests/sim` with virtual time; neither can be told apart from inside.
//!
//! ```text
//!            Input                                   Output
//!   N1/N2 message, PFCP datagram ─┐          ┌─► message to send
//!   request of another function  ─┼─► handle ┼─► request to, or answer for, another function
//!   answer, store reply, command ─┘          ├─► storage operation (commit before the peer is told)
//!                next_deadline ◄─────────────┴─► event
//! ```
//!
//! What one function offers another is in [`services`], in the terms of the service based interfaces (TS 29.5xx). Inside one
//! core these are plain values; towards another vendor's function they become HTTP/2.

pub mod event;
pub mod metric;
pub mod services;
pub mod store;
mod timer;

pub use timer::Timers;

use std::time::{Duration, Instant};

/// What a network function may know of the world while it handles one input.
pub struct Env<'a> {
    /// Monotonic time, for deadlines.
    pub now: Instant,
    /// Wall-clock time since the Unix epoch, for records and time stamps. It may step; never compute deadlines from it.
    pub unix_time: Duration,
    /// Where every key, challenge and temporary identity comes from.
    pub entropy: &'a mut dyn Entropy,
}

/// A source of random octets. In a running core it is the kernel's; in a simulation, a seed.
pub trait Entropy {
    fn fill(&mut self, octets: &mut [u8]);
}

impl dyn Entropy + '_ {
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        self.fill(&mut octets);
        octets
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.array())
    }
}

/// A network function: state, inputs in, outputs out.
pub trait NetworkFunction {
    type Input;
    type Output;

    /// Handles one input. Outputs are to be carried out in their order.
    fn handle(&mut self, env: &mut Env<'_>, input: Self::Input, out: &mut Vec<Self::Output>);

    /// Handles all timers that are due at `env.now`.
    fn handle_timeout(&mut self, env: &mut Env<'_>, out: &mut Vec<Self::Output>);

    /// When [`NetworkFunction::handle_timeout`] wants to be called next.
    fn next_deadline(&self) -> Option<Instant>;

    /// The figures of this function, named as the exposition wants them.
    fn samples(&self, out: &mut Vec<metric::Sample>);
}

/// Pairs a request between two network functions with its answer. Chosen by the one that asks, unique there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// Pairs a storage operation with its reply. Chosen by the one that asks, unique there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreToken(pub u64);

/// Pairs an operator's command with its answer. Chosen by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// One N2 association with a gNB, as the transport numbers it. Never reused while a core runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationId(pub u64);
