//! The user plane daemon: one loop between the N4 socket, the slow path's socket, the tables of the fast path, and
//! `/metrics`.
//!
//! ```text
//!   N4 ──► coeur_session::UpFunction ──Apply──► Tables (coeur_fastpath, or memory in tests)
//!   N3 ──► coeur_slowpath::Answerer  ──lost tunnel──► UpFunction
//! ```
//!
//! It decides nothing about sessions or packets itself, and it forwards nothing: after SIGTERM, and after a crash, the
//! pinned programs go on forwarding for the sessions that they know.

pub mod config;
pub mod daemon;
mod event_log;
pub mod exposition;
pub mod kernel;
pub mod privileges;
pub mod serve;
pub mod tables;
