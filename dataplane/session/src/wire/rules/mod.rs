//! Create, update and remove rules, from their encoding to the types of `coeur-rules`.
//!
//! An element that the user plane understands and cannot serve is a refusal that names the rule. One that it does not know
//! at all is ignored (TS 29.244 7.6.9).

mod far;
mod pdr;
mod qer;
mod urr;

use std::net::Ipv4Addr;

use coeur_rules::{Change, RuleId, Unsupported};
use rs_pfcp::ie::IeType;

use super::Refusal;
use super::reader::{Element, Elements};

pub(crate) use pdr::TunnelWish;

/// A change, and the tunnel end point that it asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) change: Change,
    pub(crate) tunnel: Option<TunnelWish>,
    /// An end marker closes the tunnel that a FAR leaves (TS 29.244 8.2.32, SNDEM).
    pub(crate) end_marker: bool,
}

impl From<Change> for Wanted {
    fn from(change: Change) -> Self {
        Self { change, tunnel: None, end_marker: false }
    }
}

/// None: the element is not about a rule.
pub(crate) fn decode(element: Element<'_>) -> Option<Result<Wanted, Refusal>> {
    let group = Elements::of(element);
    Some(match element.kind {
        IeType::CreatePdr => pdr::create(&group),
        IeType::UpdatePdr => pdr::update(&group),
        IeType::RemovePdr => pdr_id(&group).map(|id| Change::RemovePdr(id).into()),
        IeType::CreateFar => far::create(&group).map(Wanted::from),
        IeType::UpdateFar => far::update(&group),
        IeType::RemoveFar => id(&group, IeType::FarId).map(|id| Change::RemoveFar(id).into()),
        IeType::CreateQer => qer::create(&group).map(Wanted::from),
        IeType::UpdateQer => qer::update(&group).map(Wanted::from),
        IeType::RemoveQer => id(&group, IeType::QerId).map(|id| Change::RemoveQer(id).into()),
        IeType::CreateUrr => urr::create(&group).map(Wanted::from),
        IeType::UpdateUrr => urr::update(&group).map(Wanted::from),
        IeType::RemoveUrr => id(&group, IeType::UrrId).map(|id| Change::RemoveUrr(id).into()),
        _ => return None,
    })
}

/// TS 29.244 5.2: removals make room before creations, and updates find what was created.
pub(crate) fn rank(change: &Change) -> u8 {
    match change {
        Change::RemovePdr(_) | Change::RemoveFar(_) | Change::RemoveQer(_) | Change::RemoveUrr(_) => 0,
        Change::CreatePdr(_) | Change::CreateFar(_) | Change::CreateQer(_) | Change::CreateUrr(_) => 1,
        Change::UpdatePdr(_) | Change::UpdateFar(_) | Change::UpdateQer(_) | Change::UpdateUrr(_) => 2,
    }
}

fn id(group: &Elements<'_>, kind: IeType) -> Result<u32, Refusal> {
    group.first(kind)?.ok_or(Refusal::missing(kind))?.u32()
}

pub(crate) fn urr_id(group: &Elements<'_>) -> Result<u32, Refusal> {
    id(group, IeType::UrrId)
}

fn pdr_id(group: &Elements<'_>) -> Result<u16, Refusal> {
    group.first(IeType::PdrId)?.ok_or(Refusal::missing(IeType::PdrId))?.u16()
}

fn unsupported(rule: RuleId, what: Unsupported) -> Refusal {
    rule.error(what).into()
}

/// An address that one host may have.
fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast())
}

/// TS 29.244 7.6.10: where one element is expected, the first counts.
fn keep_first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}
