//! UE-requested PDU session establishment (TS 24.501, 6.4.1; TS 23.502, 4.3.2.2.1).

use crate::n1::{self, UplinkMessage};
use crate::n2;
use crate::n4::rules::{self, Rules};
use crate::n4::{Answer, N4Failure, NO_RESOURCES, Purpose};
use crate::release::Ending;
use crate::session::{Creation, Deletion, Downlink, Session, State, UserPlane, default_qfi};
use crate::{SESSION_MAX, Smf, Stored, Transfer, record, refuse};
use coeur_model::{Dnn, DnnSubscription, FiveQi, PduSessionId, Seid, SessionType, Snssai, Supi};
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfRequest, N2SmInfo};
use coeur_nf::services::nsmf::{SmContextId, SmfOutput, SmfProblem, SmfResponse};
use coeur_nf::services::nudm::{UdmProblem, UdmRequest, UdmResponse};
use coeur_nf::store::StoreOp;
use coeur_nf::{Env, ExchangeId};
use oxirush_nas::nas_5gs::{GsmCause, PduSessionTypeValue};
use std::net::Ipv4Addr;

/// What CreateSMContext carries.
pub(crate) struct Asked {
    pub(crate) supi: Supi,
    pub(crate) session: PduSessionId,
    pub(crate) snssai: Snssai,
    pub(crate) dnn: Option<Dnn>,
    pub(crate) n1_sm: Vec<u8>,
}

/// Why a session does not come about: what the AMF hears, and what the phone hears.
type Refusal = (SmfProblem, GsmCause);

impl Smf {
    pub(crate) fn create(&mut self, env: &mut Env<'_>, exchange: ExchangeId, asked: Asked, out: &mut Vec<SmfOutput>) {
        self.metrics.creations += 1;
        let Some(creation) = self.read_request(env, exchange, asked, out) else { return };
        // TS 24.501, 6.4.1.7 c): the phone knows nothing of a session that it has under this identity.
        if let Some(former) = self.by_ue.get(&(creation.supi.clone(), creation.session)).copied() {
            self.drop_session(env, former, Ending::Replaced, out);
        }
        if let Err(refusal) = admissible(&creation) {
            return self.refuse_creation(&creation, refusal, out);
        }
        if self.sessions.len() + self.asking.len() >= SESSION_MAX {
            let refusal = (SmfProblem::InsufficientResources, GsmCause::InsufficientResources);
            return self.refuse_creation(&creation, refusal, out);
        }
        let id = self.next_context(env);
        self.last_exchange += 1;
        let ask = ExchangeId(self.last_exchange);
        let (supi, snssai) = (creation.supi.clone(), creation.snssai);
        let dnn = creation.dnn.clone();
        self.udm.insert(ask, id);
        self.by_ue.insert((supi.clone(), creation.session), id);
        self.asking.insert(id, creation);
        out.push(SmfOutput::Udm(ask, UdmRequest::SessionData { supi, snssai, dnn }));
    }

    fn read_request(
        &mut self,
        env: &Env<'_>,
        exchange: ExchangeId,
        asked: Asked,
        out: &mut Vec<SmfOutput>,
    ) -> Option<Creation> {
        let Asked { supi, session, snssai, dnn, n1_sm } = asked;
        let read = match n1::read(&n1_sm) {
            Ok(read) => read,
            Err(unreadable) => {
                self.metrics.unreadable_n1(unreadable.clause);
                refuse(exchange, SmfProblem::N1SmError, unreadable.answer, out);
                return None;
            }
        };
        let UplinkMessage::EstablishmentRequest(request) = read.message else {
            // 7.4: nothing but an establishment request can begin a session.
            let cause = GsmCause::MessageTypeNotCompatibleWithTheProtocolState;
            self.metrics.refused(cause);
            refuse(exchange, SmfProblem::N1SmError, n1::status(read.session, read.pti, cause), out);
            return None;
        };
        let fault = if !n1::is_assigned(read.pti) {
            Some(GsmCause::InvalidPtiValue) // 7.3.1 c)
        } else if read.session != session.get() {
            Some(GsmCause::InvalidPduSessionIdentity) // 7.3.2
        } else {
            None
        };
        if let Some(cause) = fault {
            self.metrics.refused(cause);
            refuse(exchange, SmfProblem::N1SmError, n1::establishment_reject(read.session, read.pti, cause), out);
            return None;
        }
        let dnn = dnn.map(|dnn| network_identifier(&dnn));
        Some(Creation { exchange, supi, session, snssai, dnn, request, started: env.now })
    }

    /// Subscription known (TS 23.502, 4.3.2.2.1, steps 4 and 5): choose address, ask the user plane.
    pub(crate) fn subscribed(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        answer: Result<UdmResponse, UdmProblem>,
        out: &mut Vec<SmfOutput>,
    ) {
        // Given up meanwhile: another request took its place.
        let Some(creation) = self.asking.remove(&id) else { return };
        let subscription = match answer {
            Ok(UdmResponse::SessionData(subscription)) => self.allowed(subscription),
            Ok(_) => Err((SmfProblem::SystemFailure, GsmCause::NetworkFailure)),
            Err(problem) => Err(subscription_refusal(problem, creation.dnn.is_some())),
        };
        let addressed = subscription.and_then(|subscription| {
            let ipv4 = self.address(id, &subscription)?;
            Ok((subscription, ipv4))
        });
        match addressed {
            Ok((subscription, ipv4)) => self.establish(env, id, creation, subscription, ipv4, out),
            Err(refusal) => {
                self.by_ue.remove(&(creation.supi.clone(), creation.session));
                self.refuse_creation(&creation, refusal, out);
            }
        }
    }

    /// What the subscription and the configuration allow of what was asked.
    fn allowed(&self, subscription: DnnSubscription) -> Result<DnnSubscription, Refusal> {
        if !self.dnns.contains_key(&subscription.dnn) {
            return Err((SmfProblem::DnnNotSupported, GsmCause::MissingOrUnknownDnn));
        }
        // TS 24.501, 6.4.1.4.1: what the subscription would have allowed instead.
        let cause = match subscription.session_type {
            SessionType::Ipv4 | SessionType::Ipv4v6 => None,
            SessionType::Ipv6 => Some(GsmCause::PduSessionTypeIpv6OnlyAllowed),
            SessionType::Unstructured => Some(GsmCause::PduSessionTypeUnstructuredOnlyAllowed),
            SessionType::Ethernet => Some(GsmCause::PduSessionTypeEthernetOnlyAllowed),
        };
        if let Some(cause) = cause {
            return Err((SmfProblem::PduTypeNotSupported, cause));
        }
        if is_guaranteed(subscription.five_qi) {
            return Err((SmfProblem::SubscriptionDenied, GsmCause::Unsupported5QiValue));
        }
        Ok(subscription)
    }

    fn address(&mut self, id: SmContextId, subscription: &DnnSubscription) -> Result<Ipv4Addr, Refusal> {
        let exhausted = (SmfProblem::InsufficientResources, GsmCause::InsufficientResources);
        let (_, pool) = self.dnns.get_mut(&subscription.dnn).ok_or(exhausted)?;
        match subscription.ipv4 {
            Some(fixed) => {
                let sessions = &self.sessions;
                let free = pool.take_fixed(fixed, id, |holder| sessions.contains_key(&holder));
                free.then_some(fixed).ok_or(exhausted)
            }
            None => pool.take(id).ok_or(exhausted),
        }
    }

    fn establish(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        creation: Creation,
        subscription: DnnSubscription,
        ipv4: Ipv4Addr,
        out: &mut Vec<SmfOutput>,
    ) {
        let cp_seid = self.next_seid(env);
        let session = Session {
            id,
            supi: creation.supi.clone(),
            session: creation.session,
            snssai: creation.snssai,
            dnn: subscription.dnn,
            ambr: subscription.session_ambr,
            five_qi: subscription.five_qi,
            arp: subscription.arp,
            ipv4,
            cp_seid,
            since: env.unix_time,
            user_plane: UserPlane::Absent,
            downlink: Downlink::Drop,
            access: false,
            unconfirmed: None,
            waiting: Vec::new(),
            state: State::Establishing(Box::new(creation)),
        };
        self.by_seid.insert(cp_seid, id);
        self.sessions.insert(id, session);
        if let Err(failure) = self.ask_user_plane(env, id, out) {
            self.established(env, id, Err(failure), out);
        }
    }

    /// Session establishment on N4, for a new session and for one that the user plane lost.
    pub(crate) fn ask_user_plane(
        &mut self,
        env: &Env<'_>,
        id: SmContextId,
        out: &mut Vec<SmfOutput>,
    ) -> Result<(), N4Failure> {
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        let downlink = match session.downlink {
            // Nothing is known of an access network, so there is none to forward to.
            Downlink::AsIs => Downlink::Drop,
            known => known,
        };
        let rules = Rules {
            ipv4: session.ipv4,
            dnn: &session.dnn,
            snssai: session.snssai,
            ambr: session.ambr,
            qfi: default_qfi(),
            downlink,
        };
        let (node, cp_seid) = (self.n4.node(), session.cp_seid);
        let build = |sequence| rules::establishment(sequence, node, cp_seid, &rules);
        match self.n4.send(env.now, Purpose::Establish(id), build, out) {
            Ok(()) => {
                session.user_plane = UserPlane::Asked(downlink);
                Ok(())
            }
            Err((_, failure)) => Err(failure),
        }
    }

    /// The user plane answered a session establishment.
    pub(crate) fn established(
        &mut self,
        env: &mut Env<'_>,
        id: SmContextId,
        answer: Result<Answer, N4Failure>,
        out: &mut Vec<SmfOutput>,
    ) {
        if let Some((dnn, ipv4)) = self.doomed.remove(&id) {
            return self.doomed_answer(env, (id, dnn, ipv4), answer, out);
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let recovery = self.n4.is_up();
        let outcome = match (answer, recovery) {
            (Ok(Answer::Established(there)), Some(recovery)) => {
                let applied = match session.user_plane {
                    UserPlane::Asked(downlink) => Some(downlink),
                    _ => None,
                };
                match there.uplink {
                    Some(uplink) => {
                        Ok(UserPlane::There { up_seid: there.up_seid, uplink, recovery, applied, asked: None })
                    }
                    // 5.5.3: an acceptance without the F-TEID that was asked for is of no use.
                    None => Err((N4Failure::Malformed, Some((there.up_seid, recovery)))),
                }
            }
            (Err(failure), _) => Err((failure, None)),
            _ => Err((N4Failure::Malformed, None)),
        };
        session.user_plane = match &outcome {
            Ok(user_plane) => *user_plane,
            Err(_) => UserPlane::Absent,
        };
        if session.is_active() {
            return self.reestablished(env, id, outcome.map(|_| ()).map_err(|(failure, _)| failure), out);
        }
        match outcome {
            Ok(_) => self.commit(id, out),
            Err((failure, useless)) => {
                if let Some((up_seid, recovery)) = useless {
                    let (dnn, ipv4) = (session.dnn.clone(), session.ipv4);
                    self.delete(env.now, Deletion { owner: id, up_seid, recovery, dnn, ipv4 }, out);
                }
                self.metrics.user_plane_failures += 1;
                let problem = match failure {
                    N4Failure::Congestion => SmfProblem::InsufficientResources,
                    _ => SmfProblem::UpfNotResponding,
                };
                let cause = match failure {
                    N4Failure::Congestion | N4Failure::Refused(NO_RESOURCES) => GsmCause::InsufficientResources,
                    _ => GsmCause::NetworkFailure,
                };
                self.abandon(env, id, (problem, cause), out);
            }
        }
    }

    /// What must survive is committed before the phone hears of it.
    fn commit(&mut self, id: SmContextId, out: &mut Vec<SmfOutput>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let state = std::mem::replace(&mut session.state, State::Active);
        session.state = match state {
            State::Establishing(creation) => State::Committing(creation),
            other => other,
        };
        let record = record::write(session).unwrap_or_default();
        let op = StoreOp::PutSession { supi: session.supi.clone(), session: session.session, record };
        self.ask_store(Stored::Commit(id), op, out);
    }

    pub(crate) fn committed(&mut self, env: &mut Env<'_>, id: SmContextId, success: bool, out: &mut Vec<SmfOutput>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let State::Committing(creation) = std::mem::replace(&mut session.state, State::Active) else { return };
        let n1_sm = self.dnns.get(&session.dnn).and_then(|(dnn, _)| n1::accept(session, &creation.request, dnn));
        // The user plane may have restarted between its answer and the store's.
        let n2_sm = session.uplink().and_then(|uplink| n2::setup_request(session, uplink));
        let (Some(n1_sm), Some(n2_sm), true) = (n1_sm, n2_sm, success) else {
            self.metrics.store_failures += u64::from(!success);
            session.state = State::Committing(creation);
            return self.abandon(env, id, (SmfProblem::SystemFailure, GsmCause::NetworkFailure), out);
        };
        session.access = true;
        session.unconfirmed = Some(creation.request.pti);
        self.metrics.created += 1;
        self.metrics.creation_duration.observe(env.now.saturating_duration_since(creation.started));
        let (supi, number) = (session.supi.clone(), session.session);
        let event = Event::SessionEstablished {
            supi: supi.clone(),
            session: number,
            dnn: session.dnn.clone(),
            snssai: session.snssai,
            ipv4: session.ipv4,
        };
        out.push(SmfOutput::Respond(creation.exchange, Ok(SmfResponse::Created { context: id })));
        let n2_sm = Some(N2SmInfo::SetupRequest(n2_sm));
        let transfer = AmfRequest::N1N2MessageTransfer { supi, session: number, n1_sm: Some(n1_sm), n2_sm };
        self.ask_amf(id, Transfer::Accept, transfer, out);
        out.push(SmfOutput::Event(event));
    }

    /// A session that was begun and comes to nothing: nothing of it stays, and the phone hears why.
    fn abandon(&mut self, env: &mut Env<'_>, id: SmContextId, refusal: Refusal, out: &mut Vec<SmfOutput>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let state = std::mem::replace(&mut session.state, State::Active);
        if let State::Establishing(creation) | State::Committing(creation) = state {
            self.remove_session(env, id, out);
            self.refuse_creation(&creation, refusal, out);
        }
    }

    pub(crate) fn refuse_creation(&mut self, creation: &Creation, (problem, cause): Refusal, out: &mut Vec<SmfOutput>) {
        self.metrics.refused(cause);
        let n1_sm = n1::establishment_reject(creation.session.get(), creation.request.pti, cause);
        refuse(creation.exchange, problem, n1_sm, out);
        out.push(SmfOutput::Event(Event::ProcedureFailed {
            procedure: "PDU session establishment",
            supi: Some(creation.supi.clone()),
            cause: format!("5GSM cause #{} (TS 24.501, 6.4.1.4)", cause as u8),
        }));
    }

    /// Drawn, not counted: a former life of this SMF may have given any lower number, and AMFs keep them.
    fn next_context(&self, env: &mut Env<'_>) -> SmContextId {
        loop {
            let id = SmContextId(env.entropy.u64());
            if id.0 != 0 && !self.sessions.contains_key(&id) && !self.asking.contains_key(&id) {
                return id;
            }
        }
    }

    /// The top byte is the shard, of which there is one. The user plane may hold sessions of a former life: drawn, too.
    fn next_seid(&self, env: &mut Env<'_>) -> Seid {
        loop {
            let seid = Seid(env.entropy.u64() >> 8);
            if seid.0 != 0 && !self.by_seid.contains_key(&seid) {
                return seid;
            }
        }
    }
}

/// What can be said without the subscription (TS 24.501, 6.4.1.4.1).
fn admissible(creation: &Creation) -> Result<(), Refusal> {
    let cause = match creation.request.session_type {
        PduSessionTypeValue::Ipv4 | PduSessionTypeValue::Ipv4v6 => None,
        PduSessionTypeValue::Ipv6 => Some(GsmCause::PduSessionTypeIpv4OnlyAllowed),
        _ => Some(GsmCause::UnknownPduSessionType),
    };
    if let Some(cause) = cause {
        return Err((SmfProblem::PduTypeNotSupported, cause));
    }
    match creation.request.ssc_mode {
        None | Some(n1::SSC_MODE_1) => Ok(()),
        Some(_) => Err((SmfProblem::N1SmError, GsmCause::NotSupportedSscMode)),
    }
}

fn subscription_refusal(problem: UdmProblem, dnn_named: bool) -> Refusal {
    match problem {
        UdmProblem::NotSubscribed if dnn_named => {
            (SmfProblem::SubscriptionDenied, GsmCause::RequestedServiceOptionNotSubscribed)
        }
        // No DNN asked for, and no default one in this slice's subscription.
        UdmProblem::NotSubscribed => (SmfProblem::DnnNotSupported, GsmCause::MissingOrUnknownDnn),
        UdmProblem::UserNotFound | UdmProblem::DataNotFound => {
            (SmfProblem::SubscriptionDenied, GsmCause::UserAuthenticationOrAuthorizationFailed)
        }
        UdmProblem::Congestion => (SmfProblem::InsufficientResources, GsmCause::InsufficientResources),
        UdmProblem::SystemFailure | UdmProblem::AuthenticationRejected | UdmProblem::WrongAuts => {
            (SmfProblem::SystemFailure, GsmCause::NetworkFailure)
        }
    }
}

/// 5QIs with a guaranteed bit rate (TS 23.501, table 5.7.4-1): no default flow can have one (5.7.2.7).
fn is_guaranteed(five_qi: FiveQi) -> bool {
    matches!(five_qi.0, 1..=4 | 65..=67 | 71..=76 | 82..=90)
}

/// A DNN without its operator identifier, `.mncXXX.mccYYY.gprs` (TS 23.003, 9.1): that is how it is configured.
fn network_identifier(dnn: &Dnn) -> Dnn {
    let labels: Vec<&str> = dnn.as_str().split('.').collect();
    let digits = |label: &str, prefix| label.strip_prefix(prefix).is_some_and(|digits: &str| digits.len() == 3);
    match labels.split_last_chunk::<3>() {
        Some((network, [mnc, mcc, "gprs"])) if !network.is_empty() && digits(mnc, "mnc") && digits(mcc, "mcc") => {
            Dnn::new(&network.join(".")).unwrap_or_else(|_| dnn.clone())
        }
        _ => dnn.clone(),
    }
}

#[cfg(test)]
mod tests;
