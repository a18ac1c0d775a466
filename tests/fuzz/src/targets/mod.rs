//! The targets, one file a network function or parser.

pub(crate) mod udm;
