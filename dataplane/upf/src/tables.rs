//! What the daemon needs of the fast path; in tests, tables in memory.

use std::os::fd::BorrowedFd;

use coeur_fastpath::Counters;
use coeur_rules::MapWrite;
use coeur_session::{Slot, Usage};
use serde::Serialize;

/// The tables of the fast path.
pub trait Tables {
    /// Makes the writes in their order, up to the first that fails, and reads the counters of `measure` as late as they
    /// can still be read.
    fn apply(&mut self, measure: &[Slot], writes: &[MapWrite]) -> Result<Vec<Usage>, String>;

    /// Empties tables that were adopted from a former instance. Until the first association their sessions are still
    /// somebody's, and their packets go on; then the control plane begins anew, and they are nobody's.
    fn forget_former_sessions(&mut self);

    fn counters(&self) -> Result<Counters, String>;

    /// Which way packets take at each interface, and why.
    fn paths(&self) -> Vec<PathTaken>;

    /// Readable when the kernel's routes or neighbours have changed; then [`Tables::poll`] is due.
    fn news(&self) -> Option<BorrowedFd<'_>>;

    fn poll(&mut self) -> Result<(), String>;
}

#[derive(Clone, Debug, Serialize)]
pub struct PathTaken {
    pub interface: String,
    pub path: String,
    pub reason: String,
}
