//! The end of a PDU session: asked for by the phone (TS 24.501, 6.4.3), by the network (6.3.3), by the AMF
//! (TS 29.502, 5.2.2.4), or because nothing else is left.
//!
//! What the user plane holds and the stored record go first, so that a core that dies in between does not bring the session
//! back. Then the phone and the gNB are told; the SM context stays until both have answered, or T3592 has run out.

use crate::n4::{Answer, N4Failure};
use crate::session::{Deletion, Release, Session, State, UserPlane};
use crate::user_plane::answer_waiting;
use crate::{Smf, Stored, Transfer, n1, n2, refuse, updated};
use coeur_model::Dnn;
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfProblem, AmfRequest, AmfResponse, N2SmInfo};
use coeur_nf::services::nsmf::{SmContextId, SmfCommand, SmfCommandError, SmfOutput, SmfProblem, SmfResponse};
use coeur_nf::store::StoreOp;
use coeur_nf::{CommandId, Env, ExchangeId};
use oxirush_nas::nas_5gs::GsmCause;
use std::net::Ipv4Addr;

/// T3592 starts again this many times; the next expiry ends the procedure (TS 24.501, 6.3.3.5 a and table 10.3.2).
const T3592_RESTARTS: u8 = 4;

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The phone asks for a new session under its identity.
    Replaced,
    /// The AMF said so, and knows.
    ByAmf,
    /// Phone and network agree.
    Released,
    /// The phone did not answer, or cannot be reached.
    NoAnswer,
}

impl Smf {
    /// Begins the release procedure: what is for the phone, and what for its gNB.
    pub(crate) fn begin_release(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        (pti, cause): (u8, u8),
        command: Option<CommandId>,
        out: &mut Vec<SmfOutput>,
    ) -> (Option<Vec<u8>>, Option<N2SmInfo>) {
        self.free_user_plane(env, id, out);
        let Some(session) = self.sessions.get_mut(&id) else { return (None, None) };
        answer_waiting(session, false, out);
        let n2_sm = session.access.then(n2::release_command).flatten().map(N2SmInfo::ReleaseCommand);
        let n1_sm = n1::release_command(session.session.get(), pti, cause);
        let n2_done = n2_sm.is_none();
        session.state =
            State::Releasing(Release { pti, cause, left: T3592_RESTARTS, n1_done: false, n2_done, command });
        let op = StoreOp::RemoveSession { supi: session.supi.clone(), session: session.session };
        self.ask_store(Stored::Removal, op, out);
        self.timers.start(id, env.now + self.t3592);
        self.metrics.releases_begun += 1;
        (n1_sm, n2_sm)
    }

    /// Network-requested release (6.3.3.2).
    pub(crate) fn release_by_network(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        cause: GsmCause,
        command: Option<CommandId>,
        out: &mut Vec<SmfOutput>,
    ) {
        let (n1_sm, n2_sm) = self.begin_release(env, id, (n1::PTI_UNASSIGNED, cause as u8), command, out);
        let Some(session) = self.sessions.get(&id) else { return };
        let (supi, number) = (session.supi.clone(), session.session);
        self.ask_amf(
            id,
            Transfer::Release,
            AmfRequest::N1N2MessageTransfer { supi, session: number, n1_sm, n2_sm },
            out,
        );
    }

    pub(crate) fn command(
        &mut self,
        env: &mut Env<'_>,
        command: CommandId,
        SmfCommand::Release { supi, session }: SmfCommand,
        out: &mut Vec<SmfOutput>,
    ) {
        let id = self.by_ue.get(&(supi, session)).copied();
        let active = id.filter(|id| self.sessions.get(id).is_some_and(Session::is_active));
        match active {
            Some(id) => self.release_by_network(env, id, GsmCause::RegularDeactivation, Some(command), out),
            // One that is being made or released is no session either.
            None => out.push(SmfOutput::CommandDone(command, Err(SmfCommandError::NoSuchSession))),
        }
    }

    /// Nsmf_PDUSession_ReleaseSMContext: the phone is not told.
    pub(crate) fn release_locally(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        id: SmContextId,
        out: &mut Vec<SmfOutput>,
    ) {
        if !self.sessions.contains_key(&id) {
            return refuse(exchange, SmfProblem::ContextNotFound, None, out);
        }
        self.drop_session(env, id, Ending::ByAmf, out);
        out.push(SmfOutput::Respond(exchange, Ok(SmfResponse::Released)));
    }

    /// PDU SESSION RELEASE COMPLETE, in the procedure that it belongs to.
    pub(crate) fn release_complete(&mut self, env: &mut Env<'_>, id: SmContextId, out: &mut Vec<SmfOutput>) {
        self.advance_release(env, id, |release| release.n1_done = true, out);
    }

    /// The gNB has released its resources: PDU Session Resource Release Response, or the whole connection is gone.
    pub(crate) fn access_released(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        id: SmContextId,
        out: &mut Vec<SmfOutput>,
    ) {
        updated(exchange, out);
        self.advance_release(env, id, |release| release.n2_done = true, out);
    }

    pub(crate) fn advance_release(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        step: impl FnOnce(&mut Release),
        out: &mut Vec<SmfOutput>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let State::Releasing(release) = &mut session.state else { return };
        step(release);
        let done = release.n1_done && release.n2_done;
        if release.n2_done {
            session.access = false;
        }
        if done {
            self.drop_session(env, id, Ending::Released, out);
        }
    }

    /// 6.3.3.5 a): the command again, four times; then the session is released all the same.
    pub(crate) fn t3592_expired(&mut self, env: &mut Env<'_>, id: SmContextId, out: &mut Vec<SmfOutput>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let State::Releasing(release) = &mut session.state else { return };
        self.metrics.t3592_expiries += 1;
        if release.n1_done {
            return self.drop_session(env, id, Ending::Released, out);
        }
        let Some(left) = release.left.checked_sub(1) else {
            return self.drop_session(env, id, Ending::NoAnswer, out);
        };
        release.left = left;
        let n1_sm = n1::release_command(session.session.get(), release.pti, release.cause);
        let (supi, number) = (session.supi.clone(), session.session);
        self.timers.start(id, env.now + self.t3592);
        let again = AmfRequest::N1N2MessageTransfer { supi, session: number, n1_sm, n2_sm: None };
        self.ask_amf(id, Transfer::Release, again, out);
    }

    /// The AMF answered an N1N2MessageTransfer.
    pub(crate) fn transferred(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        transfer: Transfer,
        answer: Result<AmfResponse, AmfProblem>,
        out: &mut Vec<SmfOutput>,
    ) {
        if answer.is_ok() {
            return;
        }
        match transfer {
            // TS 23.502, 4.3.2.2.1, step 11: the phone is out of reach, so it has no session.
            Transfer::Accept | Transfer::Release => self.drop_session(env, id, Ending::NoAnswer, out),
            // The gNB is gone; the next one is given the tunnel with the phone's service request.
            Transfer::Modify | Transfer::Notice => {}
        }
    }

    /// Ends a session, or a request for one, wherever it stands. Nothing of it stays.
    pub(crate) fn drop_session(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        ending: Ending,
        out: &mut Vec<SmfOutput>,
    ) {
        if let Some(creation) = self.asking.remove(&id) {
            self.by_ue.remove(&(creation.supi, creation.session));
            return refuse(creation.exchange, SmfProblem::SystemFailure, None, out);
        }
        let Some(session) = self.remove_session(env, id, out) else { return };
        for waiter in &session.waiting {
            refuse(waiter.exchange, SmfProblem::ContextNotFound, None, out);
        }
        match session.state {
            State::Establishing(creation) | State::Committing(creation) => {
                return refuse(creation.exchange, SmfProblem::SystemFailure, None, out);
            }
            State::Releasing(Release { command: Some(command), .. }) => {
                let outcome = match ending {
                    Ending::NoAnswer => Err(SmfCommandError::NoAnswer),
                    _ => Ok(()),
                };
                out.push(SmfOutput::CommandDone(command, outcome));
            }
            State::Releasing(_) | State::Active => {}
        }
        self.metrics.released(ending);
        let (supi, number) = (session.supi, session.session);
        if matches!(ending, Ending::Released | Ending::NoAnswer) {
            let notice = AmfRequest::SmContextReleased { supi: supi.clone(), session: number };
            self.ask_amf(id, Transfer::Notice, notice, out);
        }
        out.push(SmfOutput::Event(Event::SessionReleased { supi, session: number }));
    }

    /// Takes a session out of every table, and what there is of it out of user plane and store.
    pub(crate) fn remove_session(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        out: &mut Vec<SmfOutput>,
    ) -> Option<Session> {
        self.free_user_plane(env, id, out);
        let session = self.sessions.remove(&id)?;
        self.timers.stop(&id);
        self.by_seid.remove(&session.cp_seid);
        let ue = (session.supi.clone(), session.session);
        if self.by_ue.get(&ue) == Some(&id) {
            self.by_ue.remove(&ue);
        }
        // Before the commit there is no record, and after the release began there is none any more.
        if matches!(session.state, State::Active | State::Committing(_)) {
            let (supi, session) = ue;
            self.ask_store(Stored::Removal, StoreOp::RemoveSession { supi, session }, out);
        }
        Some(session)
    }

    /// Deletes what the user plane holds, and sees to the address.
    fn free_user_plane(&mut self, env: &Env<'_>, id: SmContextId, out: &mut Vec<SmfOutput>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (dnn, ipv4) = (session.dnn.clone(), session.ipv4);
        match std::mem::replace(&mut session.user_plane, UserPlane::Gone) {
            UserPlane::Gone => {}
            UserPlane::Absent => self.give_back(&dnn, ipv4, id),
            UserPlane::Asked(_) => {
                self.doomed.insert(id, (dnn, ipv4));
            }
            UserPlane::There { up_seid, recovery, .. } => {
                self.delete(env.now, Deletion { owner: id, up_seid, recovery, dnn, ipv4 }, out);
            }
        }
    }

    /// The user plane answered for a session that ended while it was asked.
    pub(crate) fn doomed_answer(
        &mut self,
        env: &Env<'_>,
        (owner, dnn, ipv4): (SmContextId, Dnn, Ipv4Addr),
        answer: Result<Answer, N4Failure>,
        out: &mut Vec<SmfOutput>,
    ) {
        match (answer, self.n4.is_up()) {
            (Ok(Answer::Established(there)), Some(recovery)) => {
                self.delete(env.now, Deletion { owner, up_seid: there.up_seid, recovery, dnn, ipv4 }, out);
            }
            _ => self.give_back(&dnn, ipv4, owner),
        }
    }
}

#[cfg(test)]
mod tests;
