//! What network functions ask of each other: the service based interfaces as values.
//!
//! One file a producer. Operation names are those of the specifications; a refusal is the application error that the
//! specification defines for the operation, so that the consumer can put the right cause on its own wire.

pub mod namf;
pub mod nausf;
pub mod nsmf;
pub mod nudm;
