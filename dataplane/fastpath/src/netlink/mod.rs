//! The little of netlink that this crate needs: links, routes and neighbours of IPv4, and XDP features of devices.

pub(crate) mod genl;
pub(crate) mod message;
pub(crate) mod rt;
mod socket;

pub(crate) use socket::Socket;
