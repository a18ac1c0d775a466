//! All rules of one session, and changes to them. A change either applies as a whole or names the rule that is wrong.

use crate::model::{
    Action, BitRates, Far, Forwarding, Gate, Interface, Pdi, Pdr, Qer, RemoteTunnel, RuleId, Unsupported, Urr,
};

/// Most rules of each kind in one session.
pub const PDRS_PER_SESSION_MAX: usize = 32;
pub const FARS_PER_SESSION_MAX: usize = 32;
pub const QERS_PER_SESSION_MAX: usize = 32;
pub const URRS_PER_SESSION_MAX: usize = 32;

/// Which rule cannot be, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {reason}")]
pub struct RuleError {
    pub rule: RuleId,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("exists already")]
    Exists,
    #[error("does not exist")]
    Missing,
    #[error("refers to {0}, which does not exist")]
    Dangling(RuleId),
    #[error("too many rules of its kind in one session")]
    TooMany,
    #[error("has no FAR")]
    NoFar,
    #[error("has neither a tunnel nor a UE address to tell its packets by")]
    NothingToMatch,
    #[error("no rule of the session says which UE address may send through its tunnel")]
    NoUeAddress,
    #[error("has no outer header removal for packets that arrive in a tunnel")]
    NoOuterHeaderRemoval,
    #[error("removes an outer header from packets that have none")]
    NoTunnel,
    #[error("forwards, and does not say where to")]
    NoForwarding,
    #[error("forwards to access without creating an outer header")]
    NoOuterHeader,
    #[error("the UE address is at the wrong end of the packet for this source interface")]
    WrongEnd,
    #[error("another session has this tunnel")]
    TunnelInUse,
    #[error("another session has this UE address")]
    UeAddressInUse,
    #[error("the tunnel is not at an address of this user plane")]
    ForeignTunnel,
    #[error("the UE address differs from that of the session's other rules")]
    UeAddressDiffers,
    #[error("its QERs name different QoS flow identifiers")]
    QfisDiffer,
    #[error("{0} is not supported")]
    Unsupported(#[from] Unsupported),
}

impl RuleId {
    pub fn error(self, reason: impl Into<Reason>) -> RuleError {
        RuleError { rule: self, reason: reason.into() }
    }
}

/// The rules of one session, each kind in the order of creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    pub pdrs: Vec<Pdr>,
    pub fars: Vec<Far>,
    pub qers: Vec<Qer>,
    pub urrs: Vec<Urr>,
}

/// One step of a session establishment or modification. None in an update: unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    CreatePdr(Pdr),
    CreateFar(Far),
    CreateQer(Qer),
    CreateUrr(Urr),
    UpdatePdr(PdrUpdate),
    UpdateFar(FarUpdate),
    UpdateQer(QerUpdate),
    UpdateUrr(u32),
    RemovePdr(u16),
    RemoveFar(u32),
    RemoveQer(u32),
    RemoveUrr(u32),
}

/// TS 29.244 table 7.5.4.2-1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PdrUpdate {
    pub id: u16,
    pub precedence: Option<u32>,
    pub pdi: Option<Pdi>,
    pub outer_header_removal: Option<bool>,
    pub far: Option<u32>,
    pub qers: Option<Vec<u32>>,
    pub urrs: Option<Vec<u32>>,
}

/// TS 29.244 table 7.5.4.3-1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FarUpdate {
    pub id: u32,
    pub action: Option<Action>,
    pub destination_interface: Option<Interface>,
    pub outer_header: Option<RemoteTunnel>,
}

/// TS 29.244 table 7.5.4.5-1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QerUpdate {
    pub id: u32,
    pub gates: Option<(Gate, Gate)>,
    pub qfi: Option<u8>,
    pub mbr: Option<BitRates>,
}

impl RuleSet {
    /// Applies changes in the order given and checks the result: removals first, then creations, then updates is the order
    /// that lets a message replace a rule by another with its number.
    ///
    /// On an error `self` is half changed: work on a clone.
    pub fn change(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<(), RuleError> {
        changes.into_iter().try_for_each(|change| self.apply(change))?;
        self.check_references()
    }

    pub fn far(&self, id: u32) -> Option<&Far> {
        self.fars.iter().find(|far| far.id == id)
    }

    pub fn qer(&self, id: u32) -> Option<&Qer> {
        self.qers.iter().find(|qer| qer.id == id)
    }

    pub fn pdr(&self, id: u16) -> Option<&Pdr> {
        self.pdrs.iter().find(|pdr| pdr.id == id)
    }

    fn apply(&mut self, change: Change) -> Result<(), RuleError> {
        match change {
            Change::CreatePdr(pdr) => create(&mut self.pdrs, pdr, PDRS_PER_SESSION_MAX),
            Change::CreateFar(far) => create(&mut self.fars, far, FARS_PER_SESSION_MAX),
            Change::CreateQer(qer) => create(&mut self.qers, qer, QERS_PER_SESSION_MAX),
            Change::CreateUrr(urr) => create(&mut self.urrs, urr, URRS_PER_SESSION_MAX),
            Change::UpdatePdr(update) => find(&mut self.pdrs, RuleId::Pdr(update.id)).map(|pdr| update.apply(pdr)),
            Change::UpdateFar(update) => find(&mut self.fars, RuleId::Far(update.id)).and_then(|far| update.apply(far)),
            Change::UpdateQer(update) => find(&mut self.qers, RuleId::Qer(update.id)).map(|qer| update.apply(qer)),
            Change::UpdateUrr(id) => find(&mut self.urrs, RuleId::Urr(id)).map(|_| ()),
            Change::RemovePdr(id) => remove(&mut self.pdrs, RuleId::Pdr(id)),
            Change::RemoveFar(id) => remove(&mut self.fars, RuleId::Far(id)),
            Change::RemoveQer(id) => remove(&mut self.qers, RuleId::Qer(id)),
            Change::RemoveUrr(id) => remove(&mut self.urrs, RuleId::Urr(id)),
        }
    }

    /// Every rule that a PDR names exists.
    fn check_references(&self) -> Result<(), RuleError> {
        for pdr in &self.pdrs {
            let named = pdr.far.map(RuleId::Far).into_iter();
            let named = named.chain(pdr.qers.iter().copied().map(RuleId::Qer));
            let mut named = named.chain(pdr.urrs.iter().copied().map(RuleId::Urr));
            if let Some(missing) = named.find(|rule| !self.contains(*rule)) {
                return Err(RuleId::Pdr(pdr.id).error(Reason::Dangling(missing)));
            }
        }
        Ok(())
    }

    fn contains(&self, rule: RuleId) -> bool {
        match rule {
            RuleId::Pdr(id) => self.pdr(id).is_some(),
            RuleId::Far(id) => self.far(id).is_some(),
            RuleId::Qer(id) => self.qer(id).is_some(),
            RuleId::Urr(id) => self.urrs.iter().any(|urr| urr.id == id),
        }
    }
}

impl PdrUpdate {
    fn apply(self, pdr: &mut Pdr) {
        pdr.precedence = self.precedence.unwrap_or(pdr.precedence);
        pdr.outer_header_removal = self.outer_header_removal.unwrap_or(pdr.outer_header_removal);
        pdr.far = self.far.or(pdr.far);
        if let Some(pdi) = self.pdi {
            pdr.pdi = pdi;
        }
        if let Some(qers) = self.qers {
            pdr.qers = qers;
        }
        if let Some(urrs) = self.urrs {
            pdr.urrs = urrs;
        }
    }
}

impl FarUpdate {
    fn apply(self, far: &mut Far) -> Result<(), RuleError> {
        far.action = self.action.unwrap_or(far.action);
        match &mut far.forwarding {
            Some(forwarding) => {
                forwarding.destination_interface =
                    self.destination_interface.unwrap_or(forwarding.destination_interface);
                forwarding.outer_header = self.outer_header.or(forwarding.outer_header);
            }
            None => match (self.destination_interface, self.outer_header) {
                (Some(destination_interface), outer_header) => {
                    far.forwarding = Some(Forwarding { destination_interface, outer_header });
                }
                // An outer header, and nothing says towards which interface.
                (None, Some(_)) => return Err(RuleId::Far(far.id).error(Reason::NoForwarding)),
                (None, None) => {}
            },
        }
        Ok(())
    }
}

impl QerUpdate {
    fn apply(self, qer: &mut Qer) {
        if let Some((uplink, downlink)) = self.gates {
            (qer.uplink_gate, qer.downlink_gate) = (uplink, downlink);
        }
        qer.qfi = self.qfi.or(qer.qfi);
        qer.mbr = self.mbr.or(qer.mbr);
    }
}

trait Rule {
    fn rule_id(&self) -> RuleId;
}

impl Rule for Pdr {
    fn rule_id(&self) -> RuleId {
        RuleId::Pdr(self.id)
    }
}

impl Rule for Far {
    fn rule_id(&self) -> RuleId {
        RuleId::Far(self.id)
    }
}

impl Rule for Qer {
    fn rule_id(&self) -> RuleId {
        RuleId::Qer(self.id)
    }
}

impl Rule for Urr {
    fn rule_id(&self) -> RuleId {
        RuleId::Urr(self.id)
    }
}

fn create<R: Rule>(rules: &mut Vec<R>, rule: R, rules_max: usize) -> Result<(), RuleError> {
    let id = rule.rule_id();
    if rules.iter().any(|other| other.rule_id() == id) {
        return Err(id.error(Reason::Exists));
    }
    if rules.len() >= rules_max {
        return Err(id.error(Reason::TooMany));
    }
    rules.push(rule);
    Ok(())
}

fn find<R: Rule>(rules: &mut [R], id: RuleId) -> Result<&mut R, RuleError> {
    rules.iter_mut().find(|rule| rule.rule_id() == id).ok_or(id.error(Reason::Missing))
}

fn remove<R: Rule>(rules: &mut Vec<R>, id: RuleId) -> Result<(), RuleError> {
    let position = rules.iter().position(|rule| rule.rule_id() == id).ok_or(id.error(Reason::Missing))?;
    rules.remove(position);
    Ok(())
}
