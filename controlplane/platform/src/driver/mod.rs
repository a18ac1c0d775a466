//! Children as processes of this machine.

pub(crate) mod binaries;
pub(crate) mod capabilities;
mod child;
pub(crate) mod confine;
pub(crate) mod log;
mod supervisor;

pub(crate) use supervisor::Supervisor;

#[cfg(test)]
mod tests;
