//! The targets, one file a way in.

pub(crate) mod config;
pub(crate) mod core;
pub(crate) mod gtpu;
pub(crate) mod udm;
