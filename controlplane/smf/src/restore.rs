//! Sessions outlive this process and the user plane (TS 23.527, 4.2; TS 23.007, 19A).
//!
//! After a restart of the core the sessions come from the store; after every association setup they are compared with the
//! user plane: the same recovery time stamp means that it may have kept them (it says so, or is asked one by one), another
//! one that it lost them all. What is lost is established again, with the same address. A limited number of requests is
//! under way at any time, so that a million sessions do not drown the answers to new ones.

use crate::n4::N4Failure;
use crate::session::{Downlink, UserPlane};
use crate::user_plane::answer_waiting;
use crate::{Smf, Stored, Transfer, n2, record};
use coeur_nf::Env;
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfRequest, N2SmInfo};
use coeur_nf::services::nsmf::{SmContextId, SmfOutput};
use coeur_nf::store::{SessionRecord, StoreOp};
use oxirush_nas::nas_5gs::GsmCause;

/// Most requests to the user plane under way while sessions are compared or brought back.
const RECONCILE_WINDOW: usize = 256;

impl Smf {
    pub(crate) fn restore(&mut self, records: Vec<SessionRecord>, out: &mut Vec<SmfOutput>) {
        for stored in records {
            let supi = stored.supi.clone();
            match record::read(stored) {
                Ok(session) => {
                    let id = session.id;
                    let ue = (session.supi.clone(), session.session);
                    if self.sessions.contains_key(&id) || self.by_seid.contains_key(&session.cp_seid) {
                        self.not_restored(supi, "its SM context or SEID is another session's", out);
                        continue;
                    }
                    let taken =
                        self.dnns.get_mut(&session.dnn).map(|(_, pool)| pool.take_fixed(session.ipv4, id, |_| true));
                    if taken != Some(true) {
                        self.not_restored(supi, "its data network is gone, or its address is another session's", out);
                        continue;
                    }
                    self.by_ue.insert(ue, id);
                    self.by_seid.insert(session.cp_seid, id);
                    self.sessions.insert(id, session);
                }
                Err(error) => self.not_restored(supi, &format!("its record: {error}"), out),
            }
        }
    }

    fn not_restored(&mut self, supi: coeur_model::Supi, why: &str, out: &mut Vec<SmfOutput>) {
        self.metrics.not_restored += 1;
        let event =
            Event::ProcedureFailed { procedure: "PDU session restoration", supi: Some(supi), cause: why.into() };
        out.push(SmfOutput::Event(event));
    }

    /// The association is there. `retained`: the user plane says that it kept its sessions.
    pub(crate) fn associated(&mut self, env: &mut Env<'_>, recovery: u32, retained: bool, out: &mut Vec<SmfOutput>) {
        self.metrics.associations += 1;
        out.push(SmfOutput::Event(Event::UpfAssociated { node: self.n4.upf().to_string() }));
        for deletion in std::mem::take(&mut self.undeleted) {
            match deletion.recovery == recovery {
                true => self.delete(env.now, deletion, out),
                false => self.give_back(&deletion.dnn, deletion.ipv4, deletion.owner),
            }
        }
        self.unreconciled.clear();
        for (id, session) in &mut self.sessions {
            let active = session.is_active();
            match &mut session.user_plane {
                UserPlane::There { recovery: life, applied, asked, .. } if *life == recovery => {
                    *asked = None;
                    if !retained || (*applied != Some(session.downlink) && session.downlink != Downlink::AsIs) {
                        self.unreconciled.push_back(*id);
                    }
                }
                there @ UserPlane::There { .. } => {
                    *there = UserPlane::Absent;
                    self.metrics.lost += 1;
                    if active {
                        self.unreconciled.push_back(*id);
                    }
                }
                UserPlane::Absent if active => self.unreconciled.push_back(*id),
                UserPlane::Absent | UserPlane::Asked(_) | UserPlane::Gone => {}
            }
        }
    }

    /// Goes on comparing, as far as the window allows. Called after whatever made room in it.
    pub(crate) fn reconcile(&mut self, env: &mut Env<'_>, out: &mut Vec<SmfOutput>) {
        while self.n4.is_up().is_some() && self.n4.pending() < RECONCILE_WINDOW {
            let Some(id) = self.unreconciled.pop_front() else { return };
            let Some(session) = self.sessions.get(&id).filter(|session| session.is_active()) else { continue };
            match session.user_plane {
                UserPlane::There { .. } => self.sync(env, id, out),
                UserPlane::Absent => {
                    // Fails only without an association, whose return begins all this again.
                    let _ = self.ask_user_plane(env, id, out);
                }
                UserPlane::Asked(_) | UserPlane::Gone => {}
            }
        }
    }

    /// The user plane answered for a session that it had lost.
    pub(crate) fn reestablished(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        outcome: Result<(), N4Failure>,
        out: &mut Vec<SmfOutput>,
    ) {
        if let (Err(_), Some(session)) = (outcome, self.sessions.get_mut(&id)) {
            answer_waiting(session, false, out);
        }
        match outcome {
            Ok(()) => {
                self.metrics.reestablished += 1;
                self.announce_uplink(id, out);
                let Some(session) = self.sessions.get_mut(&id) else { return };
                let gap = match session.user_plane {
                    UserPlane::There { applied, .. } => {
                        session.downlink != Downlink::AsIs && applied != Some(session.downlink)
                    }
                    _ => false,
                };
                let record = record::write(session);
                let (supi, number) = (session.supi.clone(), session.session);
                if !gap {
                    answer_waiting(session, true, out);
                }
                if let Some(record) = record {
                    let op = StoreOp::PutSession { supi, session: number, record };
                    self.ask_store(Stored::Update, op, out);
                }
                if gap {
                    self.sync(env, id, out);
                }
            }
            // The association will be back, and this session be tried again then.
            Err(N4Failure::Down | N4Failure::Congestion) => {}
            // Tried again at once: T1 and N1 have set the pace already.
            Err(N4Failure::NoAnswer) => self.unreconciled.push_back(id),
            // TS 24.501, 6.3.3.2: the phone is to ask for it anew.
            Err(N4Failure::Refused(_) | N4Failure::Malformed) => {
                self.release_by_network(env, id, GsmCause::ReactivationRequested, None, out);
            }
        }
    }

    /// The gNB that forwards for this session learns the new uplink tunnel.
    fn announce_uplink(&mut self, id: SmContextId, out: &mut Vec<SmfOutput>) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (Some(uplink), Downlink::Forward(downlink)) = (session.uplink(), session.downlink) else { return };
        let Some(transfer) = n2::modify_request(uplink, downlink) else { return };
        let (supi, number) = (session.supi.clone(), session.session);
        let n2_sm = Some(N2SmInfo::ModifyRequest(transfer));
        let request = AmfRequest::N1N2MessageTransfer { supi, session: number, n1_sm: None, n2_sm };
        self.ask_amf(id, Transfer::Modify, request, out);
    }
}

#[cfg(test)]
mod tests;
