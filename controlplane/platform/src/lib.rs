//! The platform process: which cores are to run (desired state), what to do about it (plan), and doing it on this machine
//! (driver); the connections to the cores that the operator API needs.
//!
//! What this crate does not do: anything of a core's work. It holds no subscriber, opens no database, speaks no 3GPP
//! protocol, and schedules nothing across machines.
//!
//! ```text
//!   coeur.toml ──► config ──► desired ──┐
//!                                       ├──► plan (pure) ──► driver ──► coeur core, coeur-upf   one of each a core
//!                  what runs ◄──────────┘                       │
//!                                                               ▼
//!   operator API ──► northbound: a gRPC client a core ──► its Unix socket
//! ```

pub mod config;
mod desired;
mod driver;
mod metrics;
mod northbound;
pub mod plan;
mod state;
mod up;

pub use driver::binaries::{BinaryError, find_user_plane};
pub use up::{Report, UpError, UpOptions, up};
