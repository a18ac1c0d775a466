//! Keeps the next-hop table true to the kernel's links, routes and neighbours.

mod keeper;
mod view;

pub(crate) use keeper::Keeper;
