//! PFCP session establishment (TS 29.244 6.3.2, 7.5.2, 7.5.3).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use coeur_rules::{Change, Compiled, LocalTunnel, Pdr, Reason, RemoteTunnel, RuleId, RuleSet, compile, plan};
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::f_teid::Fteid;
use rs_pfcp::ie::fseid::Fseid;

use crate::association::node_id;
use crate::seats::{Holdings, Session, State};
use crate::transaction::Work;
use crate::up_function::{Progress, Request, UpFunction};
use crate::usage::Meter;
use crate::wire::Refusal;
use crate::wire::reader::{Element, Elements};
use crate::wire::rules::{TunnelWish, Wanted, decode, rank};
use crate::wire::writer::Writer;

/// The rules of a session after a message, and their records; nothing is written yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) rules: RuleSet,
    pub(crate) compiled: Compiled,
    /// PDR and TEID of each tunnel chosen for it.
    pub(crate) chosen: Vec<(u16, u32)>,
    /// Tunnels that FARs leave, and that end markers close.
    pub(crate) closed: Vec<RemoteTunnel>,
}

impl UpFunction {
    pub(crate) fn establish(&mut self, now: Instant, request: &mut Request, body: &[u8]) -> Result<Progress, Refusal> {
        let elements = Elements::new(body);
        // First of all: the response is addressed by it.
        let cp_fseid = elements.first(IeType::Fseid)?.ok_or(Refusal::missing(IeType::Fseid)).and_then(fseid)?;
        request.cp_seid = cp_fseid.seid.0;
        let association = self.association_of(&node_id(&elements)?)?;
        let wanted = wanted_rules(&elements)?;
        for kind in [IeType::CreatePdr, IeType::CreateFar] {
            elements.first(kind)?.ok_or(Refusal::missing(kind))?;
        }
        if self.seats.len() >= self.config.limits.sessions_max as usize {
            return Err(Refusal::new(CauseValue::NoResourcesAvailable));
        }
        let draft = self.draft(wanted, &RuleSet::default(), None)?;
        self.seat(now, *request, association, &cp_fseid, draft)
    }

    fn seat(
        &mut self,
        now: Instant,
        request: Request,
        association: u32,
        cp_fseid: &Fseid,
        draft: Draft,
    ) -> Result<Progress, Refusal> {
        let Draft { rules, compiled, chosen, .. } = draft;
        let holdings = Holdings::of(&rules, &compiled);
        let writes = plan(&Compiled::default(), &compiled);
        let limits = rules.qers.iter().filter(|qer| qer.mbr.is_some()).count() as u64;
        let mut meter = Meter::default();
        let date = self.date(now);
        rules.urrs.iter().for_each(|urr| meter.start(urr.id, date));
        let session = |up_seid| Session {
            up_seid,
            cp_seid: request.cp_seid,
            cp_address: address(cp_fseid).unwrap_or(request.key.from.ip()),
            association,
            rules,
            compiled,
            meter,
            state: State::Busy,
            reported: None,
        };
        // The limit was checked, and is the number of seats.
        let Some((seat, up_seid)) = self.seats.take(session) else {
            self.seats.release_teids(&chosen);
            return Err(Refusal::new(CauseValue::NoResourcesAvailable));
        };
        self.seats.hold(seat, &holdings);
        self.change_rate_limits(0, limits);
        let mut response = self.response(request);
        response.ie(IeType::NodeId, &self.config.node_id.encode());
        response.ie(IeType::Cause, &[CauseValue::RequestAccepted as u8]);
        response.ie(IeType::Fseid, &self.up_fseid(up_seid));
        self.created_pdrs(&mut response, &chosen);
        self.begin(now, vec![], writes, Work::Establish { seat, request, response: response.finish() });
        Ok(Progress::Pending)
    }

    fn up_fseid(&self, seid: u64) -> Vec<u8> {
        match self.config.n4_address {
            IpAddr::V4(address) => Fseid::new(seid, Some(address), None).marshal(),
            IpAddr::V6(address) => Fseid::new(seid, None, Some(address)).marshal(),
        }
    }

    /// What a session becomes by a message. The tunnels in it are held; a refusal has given them back.
    pub(crate) fn draft(
        &mut self,
        mut wanted: Vec<Wanted>,
        old: &RuleSet,
        seat: Option<u32>,
    ) -> Result<Draft, Refusal> {
        let mut chosen = Vec::new();
        let marked: Vec<u32> = wanted.iter().filter(|wanted| wanted.end_marker).filter_map(far_updated).collect();
        let built = self.choose_tunnels(&mut wanted, old, &mut chosen).and_then(|()| self.build(wanted, old, seat));
        match built {
            Ok((rules, compiled)) => {
                let outer_header = |rules: &RuleSet, far| {
                    rules.far(far).and_then(|far| far.forwarding).and_then(|forwarding| forwarding.outer_header)
                };
                let left = |far: &u32| outer_header(old, *far).filter(|was| outer_header(&rules, *far) != Some(*was));
                let closed = marked.iter().filter_map(left).collect();
                Ok(Draft { rules, compiled, chosen, closed })
            }
            Err(refusal) => {
                self.seats.release_teids(&chosen);
                Err(refusal)
            }
        }
    }

    fn build(&self, mut wanted: Vec<Wanted>, old: &RuleSet, seat: Option<u32>) -> Result<(RuleSet, Compiled), Refusal> {
        wanted.sort_by_key(|wanted| rank(&wanted.change));
        let mut rules = old.clone();
        rules.change(wanted.into_iter().map(|wanted| wanted.change))?;
        let compiled = compile(&rules, &self.config.pools)?;
        self.seats.check(seat, &Holdings::of(&rules, &compiled))?;
        Ok((rules, compiled))
    }

    /// Gives each rule the tunnel end point that it asks for. `chosen` gets the new ones, also when this fails.
    fn choose_tunnels(
        &mut self,
        wanted: &mut [Wanted],
        old: &RuleSet,
        chosen: &mut Vec<(u16, u32)>,
    ) -> Result<(), Refusal> {
        let mut by_choose_id: Vec<(u8, u32)> = Vec::new();
        let mut here: Vec<LocalTunnel> = Vec::new();
        for wanted in wanted {
            let (Some(wish), Some((pdr, pdi))) = (wanted.tunnel, pdi_of(&mut wanted.change)) else { continue };
            let tunnel = match wish {
                TunnelWish::Given { teid, address } => self.given_tunnel(pdr, teid, address, old)?,
                TunnelWish::Choose(id) => {
                    let same = by_choose_id.iter().find(|(known, _)| id == Some(*known)).map(|(_, teid)| *teid);
                    let teid = match same {
                        Some(teid) => teid,
                        None => {
                            let teid = self.new_teid().ok_or(Refusal::new(CauseValue::NoResourcesAvailable))?;
                            by_choose_id.extend(id.map(|id| (id, teid)));
                            teid
                        }
                    };
                    chosen.push((pdr, teid));
                    LocalTunnel::Chosen(teid)
                }
            };
            // TS 29.244 table 8.2.1-1, invalid F-TEID allocation option: one session, one way of choosing.
            let others = old.pdrs.iter().filter(|other| other.id != pdr).filter_map(|other| other.pdi.local_tunnel);
            let mixed = |other: &LocalTunnel| std::mem::discriminant(other) != std::mem::discriminant(&tunnel);
            if others.chain(here.iter().copied()).any(|other| mixed(&other)) {
                return Err(Refusal::naming(CauseValue::InvalidFteidAllocationOption, IeType::Fteid));
            }
            here.push(tunnel);
            pdi.local_tunnel = Some(tunnel);
        }
        Ok(())
    }

    /// A peer names a tunnel: one that it chose, or the one that we chose for this session before.
    fn given_tunnel(&self, pdr: u16, teid: u32, address: Ipv4Addr, old: &RuleSet) -> Result<LocalTunnel, Refusal> {
        if address != self.config.n3_address {
            return Err(RuleId::Pdr(pdr).error(Reason::ForeignTunnel).into());
        }
        let known = |other: &Pdr| other.pdi.local_tunnel.filter(|tunnel| tunnel.teid() == teid);
        Ok(old.pdrs.iter().find_map(known).unwrap_or(LocalTunnel::Given(teid)))
    }

    /// A TEID that no peer has given meanwhile.
    fn new_teid(&mut self) -> Option<u32> {
        // Each turn passes over one TEID that a peer gave; there are no more of those than seats.
        for _ in 0..=self.seats.teids.slots() {
            let teid = self.seats.teids.allocate()?;
            if !self.seats.is_given(teid) {
                return Some(teid);
            }
            self.seats.teids.release(teid);
        }
        None
    }

    /// TS 29.244 table 7.5.3.2-1.
    pub(crate) fn created_pdrs(&self, response: &mut Writer, chosen: &[(u16, u32)]) {
        for (pdr, teid) in chosen {
            response.group(IeType::CreatedPdr, |created| {
                created.ie(IeType::PdrId, &pdr.to_be_bytes());
                let fteid = Fteid::new(true, false, *teid, Some(self.config.n3_address), None, 0);
                created.ie(IeType::Fteid, &fteid.marshal());
            });
        }
    }
}

fn far_updated(wanted: &Wanted) -> Option<u32> {
    match &wanted.change {
        Change::UpdateFar(update) => Some(update.id),
        _ => None,
    }
}

fn pdi_of(change: &mut Change) -> Option<(u16, &mut coeur_rules::Pdi)> {
    match change {
        Change::CreatePdr(pdr) => Some((pdr.id, &mut pdr.pdi)),
        Change::UpdatePdr(update) => update.pdi.as_mut().map(|pdi| (update.id, pdi)),
        _ => None,
    }
}

pub(crate) fn address(fseid: &Fseid) -> Option<IpAddr> {
    fseid.ipv4_address.map(IpAddr::V4).or(fseid.ipv6_address.map(IpAddr::V6))
}

pub(crate) fn fseid(element: Element<'_>) -> Result<Fseid, Refusal> {
    let fseid = element.decode(Fseid::unmarshal)?;
    // TS 29.244 8.2.37: at least one address.
    if fseid.v4 || fseid.v6 { Ok(fseid) } else { Err(Refusal::incorrect(IeType::Fseid)) }
}

/// All changes of rules in a message; what it asks for besides is refused.
pub(crate) fn wanted_rules(elements: &Elements<'_>) -> Result<Vec<Wanted>, Refusal> {
    let mut wanted = Vec::new();
    for element in elements.clone() {
        let element = element?;
        if let Some(rule) = decode(element) {
            wanted.push(rule?);
            continue;
        }
        match element.kind {
            // TS 29.244 8.2.79: IPv4, and IPv4v6 as far as its rules are IPv4.
            IeType::PdnType if !matches!(element.u8()? & 0x07, 1 | 3) => {
                return Err(Refusal::not_supported(IeType::PdnType));
            }
            // TS 29.244 8.2.132: RESTI, the SEID that the session had before.
            IeType::PfcpseReqFlags if element.u8()? & 0x01 != 0 => {
                return Err(Refusal::not_supported(IeType::PfcpseReqFlags));
            }
            kind if is_not_served(kind) => return Err(Refusal::not_supported(kind)),
            _ => {}
        }
    }
    Ok(wanted)
}

/// Elements that ask for something. The others (user ID, DNN, S-NSSAI, RAT type, ...) inform, and change nothing.
fn is_not_served(kind: IeType) -> bool {
    matches!(
        kind,
        IeType::CreateBar
            | IeType::UpdateBar
            | IeType::RemoveBar
            | IeType::CreateTrafficEndpoint
            | IeType::UpdateTrafficEndpoint
            | IeType::RemoveTrafficEndpoint
            | IeType::CreateMar
            | IeType::UpdateMar
            | IeType::RemoveMar
            | IeType::CreateSrr
            | IeType::UpdateSrr
            | IeType::RemoveSrr
            | IeType::CreateBridgeInfoForTsc
            | IeType::TscManagementInformationWithinSessionModificationRequest
            | IeType::ProvideAtsssControlInformation
            | IeType::ProvideRdsConfigurationInformation
            | IeType::EthernetContextInformation
            | IeType::AccessAvailabilityInformation
            | IeType::QueryPacketRateStatusWithinSessionModificationRequest
            | IeType::L2tpTunnelInformation
            | IeType::L2tpSessionInformation
            | IeType::UserPlaneInactivityTimer
            | IeType::TraceInformation
    )
}
