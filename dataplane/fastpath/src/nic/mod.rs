//! Network interfaces: what their drivers can do, and which way into the fast path follows.

mod choose;
mod ethtool;
mod probe;

pub use choose::{PathChoice, PathKind};
pub use probe::{NicReport, VethPeer, probe};

pub(crate) use choose::decide;
pub(crate) use ethtool::{split_merged_packets, split_sent_packets};
