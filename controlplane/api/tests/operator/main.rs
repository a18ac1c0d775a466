//! Every operation of the operator API, against a core that is a value.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod auth;
mod fake;
mod lists;
mod probes;
mod procedures;
mod requests;
mod served;
mod subscribers;
