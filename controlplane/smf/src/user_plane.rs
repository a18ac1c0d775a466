//! The user plane of a session comes and goes with the phone's connection (TS 23.502, 4.2.3.2 and 4.2.6, 4.3.2.2.1 from
//! step 14).
//!
//! Every procedure here only says what the downlink is to be; [`Smf::sync`] sees to it, one modification at a time.

use crate::n4::rules;
use crate::n4::{Answer, ERIR, N4Failure, NO_SESSION, Purpose, Report};
use crate::release::Ending;
use crate::session::{Downlink, Session, State, UserPlane, WAITING_MAX, Waiter};
use crate::{Smf, n1, n2, refuse, updated};
use coeur_nf::event::Event;
use coeur_nf::services::namf::N2SmInfo;
use coeur_nf::services::nsmf::{SmContextId, SmfOutput, SmfProblem, SmfResponse};
use coeur_nf::{Env, ExchangeId};
use oxirush_nas::nas_5gs::GsmCause;

impl Smf {
    /// PDU Session Resource Setup Response: the gNB's tunnel is there.
    pub(crate) fn set_up(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        id: SmContextId,
        octets: &[u8],
        out: &mut Vec<SmfOutput>,
    ) {
        let tunnel = match n2::setup_response(octets) {
            Ok(tunnel) => tunnel,
            Err(error) => {
                self.metrics.n2_error(error);
                return refuse(exchange, SmfProblem::N2SmError, None, out);
            }
        };
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.is_active()) else {
            // Released meanwhile: the release command to the gNB is on its way.
            return refuse(exchange, SmfProblem::ContextNotFound, None, out);
        };
        session.access = true;
        session.unconfirmed = None;
        session.downlink = Downlink::Forward(tunnel);
        self.wait_for_sync(env, id, Waiter { exchange, must_succeed: true }, out);
    }

    /// PDU Session Resource Setup Unsuccessful.
    pub(crate) fn not_set_up(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        id: SmContextId,
        octets: &[u8],
        out: &mut Vec<SmfOutput>,
    ) {
        let cause = match n2::setup_unsuccessful(octets) {
            Ok(cause) => cause,
            Err(error) => {
                self.metrics.n2_error(error);
                // Whatever it was meant to say, the gNB has no resources.
                error.to_string()
            }
        };
        self.metrics.setups_failed += 1;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.access = false;
        out.push(SmfOutput::Event(Event::ProcedureFailed {
            procedure: "PDU session resource setup",
            supi: Some(session.supi.clone()),
            cause,
        }));
        match session.unconfirmed.take() {
            // TS 23.502, 4.3.2.2.1, step 16: the phone never got the accept, which the gNB carries with its resources.
            Some(pti) if session.is_active() => {
                let n1_sm = n1::establishment_reject(session.session.get(), pti, GsmCause::InsufficientResources);
                self.metrics.refused(GsmCause::InsufficientResources);
                out.push(SmfOutput::Respond(exchange, Ok(SmfResponse::Updated { n1_sm, n2_sm: None })));
                self.drop_session(env, id, Ending::Released, out);
            }
            // 4.2.3.2: the session stays, without a user plane.
            _ => self.deactivate(env, exchange, id, out),
        }
    }

    /// The phone wants the user plane back: its gNB is given the tunnel.
    pub(crate) fn activate(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        id: SmContextId,
        out: &mut Vec<SmfOutput>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let request = session.uplink().filter(|_| session.is_active());
        match request.and_then(|uplink| n2::setup_request(session, uplink)) {
            Some(transfer) => {
                session.access = true;
                let n2_sm = Some(N2SmInfo::SetupRequest(transfer));
                out.push(SmfOutput::Respond(exchange, Ok(SmfResponse::Updated { n1_sm: None, n2_sm })));
            }
            None => {
                let lost = session.is_active() && session.user_plane == UserPlane::Absent;
                let problem = match session.is_active() {
                    true => SmfProblem::UpfNotResponding,
                    false => SmfProblem::ContextNotFound,
                };
                refuse(exchange, problem, None, out);
                if lost {
                    self.unreconciled.push_back(id);
                    self.reconcile(env, out);
                }
            }
        }
    }

    /// The connection to the gNB is gone.
    pub(crate) fn deactivate(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        id: SmContextId,
        out: &mut Vec<SmfOutput>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.access = false;
        if let State::Releasing(_) = session.state {
            return self.access_released(env, exchange, id, out);
        }
        session.downlink = Downlink::Drop;
        self.wait_for_sync(env, id, Waiter { exchange, must_succeed: false }, out);
    }

    fn wait_for_sync(&mut self, env: &mut Env<'_>, id: SmContextId, waiter: Waiter, out: &mut Vec<SmfOutput>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.waiting.len() >= WAITING_MAX {
            return refuse(waiter.exchange, SmfProblem::InsufficientResources, None, out);
        }
        session.waiting.push(waiter);
        match session.user_plane {
            UserPlane::There { applied, asked: None, .. } if applied == Some(session.downlink) => {
                answer_waiting(session, true, out);
            }
            UserPlane::There { asked: Some(_), .. } | UserPlane::Asked(_) => {}
            UserPlane::There { .. } => self.sync(env, id, out),
            UserPlane::Absent | UserPlane::Gone => answer_waiting(session, false, out),
        }
    }

    /// Makes the user plane do what it is to do, unless a modification is under way: its answer comes back here.
    pub(crate) fn sync(&mut self, env: &mut Env<'_>, id: SmContextId, out: &mut Vec<SmfOutput>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let wanted = session.downlink;
        let UserPlane::There { up_seid, asked: asked @ None, .. } = &mut session.user_plane else { return };
        let up_seid = *up_seid;
        let build = |sequence| rules::modification(sequence, up_seid, wanted);
        match self.n4.send(env.now, Purpose::Modify(id), build, out) {
            Ok(()) => *asked = Some(wanted),
            // The next association brings it up to date.
            Err(_) => answer_waiting(session, false, out),
        }
    }

    /// The user plane answered a modification.
    pub(crate) fn modified(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        answer: Result<Answer, N4Failure>,
        out: &mut Vec<SmfOutput>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let UserPlane::There { applied, asked, .. } = &mut session.user_plane else { return };
        let asked = asked.take();
        match answer {
            Ok(_) => {
                *applied = asked;
                if asked == Some(session.downlink) {
                    answer_waiting(session, true, out);
                } else {
                    self.sync(env, id, out);
                }
            }
            Err(failure) => {
                *applied = None;
                self.metrics.user_plane_failures += 1;
                match failure {
                    N4Failure::Refused(NO_SESSION) => {
                        session.user_plane = UserPlane::Absent;
                        self.unreconciled.push_back(id);
                    }
                    // Tried again at once: T1 and N1 have set the pace already.
                    N4Failure::NoAnswer => self.unreconciled.push_back(id),
                    // The next association begins with a comparison; other refusals would be repeated.
                    N4Failure::Down | N4Failure::Congestion | N4Failure::Refused(_) | N4Failure::Malformed => {}
                }
                answer_waiting(session, false, out);
            }
        }
    }

    /// The user plane reports on a session (TS 29.244, 5.2.2 and 7.5.8).
    pub(crate) fn reported(&mut self, env: &mut Env<'_>, report: &Report, out: &mut Vec<SmfOutput>) {
        let id = self.by_seid.get(&coeur_model::Seid(report.cp_seid)).copied();
        let session = id.and_then(|id| self.sessions.get_mut(&id));
        let up_seid = session.as_ref().and_then(|session| session.up_seid());
        self.n4.answer_report(report, up_seid, out);
        // TS 23.527, 5.3.3.2: what is sent down this tunnel reaches nobody.
        if let (Some(id), Some(session)) = (id, session)
            && report.kinds & ERIR != 0
            && session.is_active()
        {
            session.downlink = Downlink::Drop;
            self.sync(env, id, out);
        }
    }
}

/// Answers what waited for the downlink to be as it is to be; `done` says whether it is.
pub(crate) fn answer_waiting(session: &mut Session, done: bool, out: &mut Vec<SmfOutput>) {
    for Waiter { exchange, must_succeed } in session.waiting.drain(..) {
        match done || !must_succeed {
            true => updated(exchange, out),
            false => refuse(exchange, SmfProblem::UpfNotResponding, None, out),
        }
    }
}

#[cfg(test)]
mod tests;
