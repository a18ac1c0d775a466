//! The driver of the models: sockets, interfaces, the clock, and what is asked of the UEs.
//!
//! ```text
//!   n2 (SCTP) ─┐                        ┌─► report: JSON lines, latency table
//!   n3 (UDP) ──┼─► engine ◄─► Ran       │
//!   tun ───────┤     │ (the models)     │
//!   stdin ─────┘     └──────────────────┘
//! ```

mod ask;
mod command;
mod engine;
mod events;
mod inject;
mod n2;
mod n3;
mod options;
mod plan;
mod report;
mod subscribers;
mod tun;

pub(crate) use options::Options;

use anyhow::Context as _;

/// Whether all that was asked for happened.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("tokio runtime")?;
    runtime.block_on(engine::drive(options))
}
