//! One hosted core as a process: the only async loop of the control plane.
//!
//! `coeur-mesh` is pure: it holds the network functions and carries what they say to one another. [`run`] gives it sockets,
//! a store and a clock: SCTP towards gNBs, PFCP towards the user plane, SQL, the northbound gRPC contract, `/metrics`.
//!
//! What this crate does not do: decide anything about a phone. There is no procedure here, no cause and no codec.

mod ask;
mod convert;
mod entropy;
mod events;
mod exposition;
mod http;
mod northbound;
mod run;
mod views;

pub use entropy::KernelEntropy;
pub use run::{Options, run};
