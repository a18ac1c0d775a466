//! The PFCP peer of a user plane (TS 29.244): associations, sessions, reports.
//!
//! [`UpFunction`] is a value: it opens no socket, reads no clock, touches no table, draws no random number. A datagram or
//! the result of a write goes in with the time, what is to be done comes out:
//!
//! ```text
//!  handle(now, Input) -> Vec<Output>      Input:   datagram, tables written, tunnel lost
//!  handle_timeout(now) -> Vec<Output>     Output:  datagram to send, tables to write, event for the log
//!  next_deadline() -> Option<Instant>
//! ```
//!
//! A session request is answered when its records are in the tables, never before:
//!
//! ```text
//!  request ──decode, check, compile──► Output::Apply ──Input::Applied(Ok)───► response, rules kept
//!                     │                                └─Input::Applied(Err)─► Output::Apply(back), refusal
//!                     └─► refusal with cause, offending IE, failed rule
//! ```
//!
//! It does not keep sessions over a restart, does not buffer, and announces nothing that it does not do.

mod association;
mod config;
mod deletion;
mod establishment;
mod event;
mod figures;
mod heartbeat;
mod memory;
mod modification;
mod report;
mod request;
mod seats;
mod transaction;
mod up_function;
mod usage;
mod wire;

pub use config::{Config, Limits, Timers};
pub use event::{ApplyFailure, Discard, Event, Input, Output, Slot, Usage};
pub use figures::{Figures, MESSAGE_KINDS, Outcome, message_name};
pub use up_function::UpFunction;
pub use wire::node_id::NodeId;
