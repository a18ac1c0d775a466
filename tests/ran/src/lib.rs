//! A radio access network to test a core with: UEs and gNBs as values, and what they say over N1, N2 and N3.
//!
//! The models have no IO: no clock, no socket, no task. `handle(now, input, &mut outputs)` and `next_deadline` are all there
//! is, so that the same models run over real SCTP in `coeur-ran`, and in virtual time in `tests/sim`. They generate and
//! they check: whatever a core sends that the specifications forbid is a [`Violation`], and nothing it sends can panic.
//!
//! Not modelled: radio (there is no RRC, PDCP or RLC: a UE's NAS messages reach its gNB at once), handover, NG-eNB, non-3GPP
//! access, and what the modules exclude in their first lines.

pub mod gnb;
pub mod gtpu;
pub mod misbehave;
mod ran;
pub mod suci;
pub mod ue;
pub mod usim;
mod violation;

pub use ran::{GnbKey, Input, Output, Ran};
pub use violation::Violation;
