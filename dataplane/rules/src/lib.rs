//! PDR, FAR, QER and URR to flat fast-path records, and from one set of records to the next.
//!
//! - [`RuleSet`] holds the rules of one session; a [`Change`] applies as a whole or names the rule that is wrong.
//! - [`compile`] turns a rule set into records, one a tunnel and one a UE address.
//! - [`plan`] turns old and new records into map writes, in an order in which no packet is forwarded wrongly in between.
//! - [`TeidAllocator`] and [`Pools`] say which slot of a table a tunnel or a UE address has.
//!
//! It does not know PFCP's encoding, does not touch a map, reads no clock. What it cannot express in one record a direction
//! (several flows, filters, limits of rate) it refuses: nothing is approximated.

mod compile;
mod model;
mod plan;
mod pool;
mod set;
mod teid;

pub use compile::{Compiled, DownlinkEntry, DownlinkSlot, UplinkEntry, UplinkSlot, compile};
pub use model::{
    Action, BitRates, End, Far, Forwarding, Gate, Interface, LocalTunnel, Pdi, Pdr, Qer, RemoteTunnel, RuleId,
    UeAddress, Unsupported, Urr,
};
pub use plan::{MapWrite, plan};
pub use pool::{POOL_ADDRESSES_MAX, POOLS_MAX, PoolError, Pools, Prefix};
pub use set::{
    Change, FARS_PER_SESSION_MAX, FarUpdate, PDRS_PER_SESSION_MAX, PdrUpdate, QERS_PER_SESSION_MAX, QerUpdate, Reason,
    RuleError, RuleSet, URRS_PER_SESSION_MAX,
};
pub use teid::TeidAllocator;
