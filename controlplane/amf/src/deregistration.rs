//! Deregistration (TS 24.501, 5.5.2; TS 23.502, 4.2.2.3): by the phone, by the network with T3522, and implicitly.

use crate::exchange::{Asked, Commit};
use crate::limits::{DEREGISTERED_KEPT, NAS_TRANSMISSION_MAX};
use crate::metrics::Family;
use crate::procedure::{Arrival, Procedure};
use crate::timeout::Timer;
use crate::ue::{Rm, UeKey};
use crate::{Amf, Cx};
use coeur_model::Supi;
use coeur_nf::CommandId;
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfCommandError, AmfOutput};
use coeur_nf::services::nudm::UdmRequest;
use coeur_nf::store::StoreOp;
use oxirush_nas::nas_5gs::{
    DeregistrationAccessType, GmmCause, Nas5gsMessage, NasCount, NasDeRegistrationType,
    NasDeregistrationAcceptUeOriginating, NasDeregistrationRequestUeOriginating, NasDeregistrationRequestUeTerminated,
    NasFGmmCause,
};
use oxirush_ngap::ngap::{Cause, CauseNas};

/// Network-initiated: Deregistration Request is out, T3522 runs.
pub(crate) struct Deregistration {
    request: Nas5gsMessage,
    sent: u8,
    command: Option<CommandId>,
    /// The subscription is gone: nothing is kept.
    withdrawn: bool,
}

impl Amf {
    /// By the phone (5.5.2.2).
    pub(crate) fn deregistration_request(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        request: &NasDeregistrationRequestUeOriginating,
        verified: Option<NasCount>,
    ) {
        if verified.is_some() && !self.arrives(cx, key, Arrival::Deregistration) {
            return;
        }
        let kind = &request.de_registration_type;
        if !kind.switch_off() {
            let accept = Nas5gsMessage::new_5gmm(NasDeregistrationAcceptUeOriginating::new());
            self.send_nas(cx, key, &accept);
        }
        if verified.is_none() {
            // TS 24.501, 4.4.4.3: without proof it ends this connection, and no context of anybody.
            self.metrics.count(Family::Deregistrations, "phone", "not verified");
            return self.release_connection(cx, key, Cause::nas(CauseNas::deregister));
        }
        if kind.deregistration_access_type() == Some(DeregistrationAccessType::Non3GppAccess) {
            // There is no registration over non-3GPP access to end (5.5.2.2.2).
            return self.metrics.count(Family::Deregistrations, "phone", "non-3GPP access");
        }
        self.metrics.count(Family::Deregistrations, "phone", "success");
        self.deregister(cx, key, false);
        self.release_connection(cx, key, Cause::nas(CauseNas::deregister));
    }

    /// RM-DEREGISTERED: sessions end at the SMF, the UDM is told, the record goes.
    fn deregister(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, by_network: bool) {
        let Some(ue) = self.ues.get_mut(key) else { return };
        if ue.rm == Rm::Deregistered {
            return;
        }
        ue.rm = Rm::Deregistered;
        ue.writing = None;
        let Some(supi) = ue.supi.clone() else { return };
        self.timers.stop(&Timer::Implicit(key));
        self.release_sessions(cx, key, |_| true);
        self.ask_udm(cx, key, Asked::Nothing, UdmRequest::DeregisterAmf { supi: supi.clone() });
        self.store(cx, StoreOp::RemoveUe { supi: supi.clone() }, Commit::Nothing);
        if let Some(security) = self.ues.get_mut(key).and_then(|ue| ue.security.as_mut()) {
            security.forgotten();
        }
        cx.event(Event::UeDeregistered { supi, by_network });
    }

    /// The network has ended the registration by its answer to another procedure.
    pub(crate) fn deregister_locally(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.deregister(cx, key, true);
    }

    /// A deregistered phone without a connection: its keys are kept for a while, if they are good for anything.
    pub(crate) fn keep_or_remove(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let keep = self.ues.get(key).and_then(|ue| ue.security.as_ref()).is_some_and(|security| !security.is_worn());
        match keep {
            true => {
                // As many are kept as there is room for phones: one more makes the oldest go.
                if self.ues.named() > self.settings.ue_max as usize
                    && let Some(oldest) = self.ues.oldest_kept(cx.now())
                {
                    self.remove_ue(cx, oldest);
                }
                self.ues.kept.start(key, cx.env.now + DEREGISTERED_KEPT);
            }
            false => self.remove_ue(cx, key),
        }
    }

    pub(crate) fn remove_ue(&mut self, _cx: &mut Cx<'_, '_>, key: UeKey) {
        self.stop_timers(key);
        self.ues.remove(key);
    }

    pub(crate) fn stop_timers(&mut self, key: UeKey) {
        for timer in [Timer::Nas(key), Timer::Implicit(key), Timer::Unauthenticated(key), Timer::ContextSetup(key)] {
            self.timers.stop(&timer);
        }
        let sessions: Vec<_> = self.ues.get(key).into_iter().flat_map(|ue| ue.sessions.keys().copied()).collect();
        for session in sessions {
            self.timers.stop(&Timer::Resource(key, session));
        }
    }

    /// 5.3.7: the phone has not been heard of.
    pub(crate) fn implicit_deregistration(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.metrics.count(Family::Deregistrations, "network", "implicit");
        self.deregister(cx, key, true);
        self.keep_or_remove(cx, key);
    }

    pub(crate) fn command_deregister(&mut self, cx: &mut Cx<'_, '_>, command: CommandId, supi: &Supi) {
        let key = self.ues.by_supi(supi);
        let registered = key.and_then(|key| self.ues.get(key)).is_some_and(|ue| ue.rm == Rm::Registered);
        match key.filter(|_| registered) {
            Some(key) => self.deregister_by_network(cx, key, Some(command), false),
            None => cx.out.push(AmfOutput::CommandDone(command, Err(AmfCommandError::NotRegistered))),
        }
    }

    /// The subscription is gone (TS 23.502, 4.2.2.3.3).
    pub(crate) fn withdraw(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.deregister_by_network(cx, key, None, true);
    }

    /// By the network (5.5.2.3). A phone in CM-IDLE is not paged: it is deregistered here, and learns so with #9 or #10.
    fn deregister_by_network(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, command: Option<CommandId>, withdrawn: bool) {
        self.arrives(cx, key, Arrival::Deregistration);
        let kind = NasDeRegistrationType::new(DeregistrationAccessType::ThreeGppAccess as u8);
        let mut request = NasDeregistrationRequestUeTerminated::new(kind);
        if withdrawn {
            request = request.with_fgmm_cause(NasFGmmCause::from_cause(GmmCause::FiveGsServicesNotAllowed));
        }
        let request = Nas5gsMessage::new_5gmm(request);
        let deregistration = Deregistration { request, sent: 1, command, withdrawn };
        let reachable = self.ues.get(key).is_some_and(crate::ue::Ue::is_secure);
        match reachable && self.send_nas(cx, key, &deregistration.request) {
            true => {
                if let Some(ue) = self.ues.get_mut(key) {
                    ue.procedure = Procedure::Deregistration(Box::new(deregistration));
                }
                self.start(cx, Timer::Nas(key), self.ms(self.settings.timers.t3522_ms));
            }
            false => self.deregistered(cx, key, &deregistration, "unreachable", Ok(())),
        }
    }

    pub(crate) fn deregistration_accepted(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        match self.take_deregistration(key) {
            Some(deregistration) => {
                self.timers.stop(&Timer::Nas(key));
                self.deregistered(cx, key, &deregistration, "success", Ok(()));
            }
            None => self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState),
        }
    }

    fn take_deregistration(&mut self, key: UeKey) -> Option<Box<Deregistration>> {
        let ue = self.ues.get_mut(key)?;
        match std::mem::replace(&mut ue.procedure, Procedure::None) {
            Procedure::Deregistration(deregistration) => Some(deregistration),
            other => {
                ue.procedure = other;
                None
            }
        }
    }

    /// 5.5.2.3.5 a)
    pub(crate) fn deregistration_timer(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(mut deregistration) = self.take_deregistration(key) else { return };
        if deregistration.sent >= NAS_TRANSMISSION_MAX {
            return self.deregistered(cx, key, &deregistration, "T3522 expired", Err(AmfCommandError::NoAnswer));
        }
        self.metrics.one(Family::Retransmissions, "T3522");
        deregistration.sent += 1;
        self.send_nas(cx, key, &deregistration.request);
        if let Some(ue) = self.ues.get_mut(key) {
            ue.procedure = Procedure::Deregistration(deregistration);
        }
        self.start(cx, Timer::Nas(key), self.ms(self.settings.timers.t3522_ms));
    }

    fn deregistered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        of: &Deregistration,
        how: &'static str,
        result: Result<(), AmfCommandError>,
    ) {
        self.metrics.count(Family::Deregistrations, "network", how);
        self.deregister(cx, key, true);
        self.finish_command(cx, of, result);
        match self.ues.get(key).is_some_and(|ue| ue.connection.is_some()) {
            true => self.release_connection(cx, key, Cause::nas(CauseNas::deregister)),
            false => self.keep_or_remove(cx, key),
        }
        if of.withdrawn {
            self.remove_ue(cx, key);
        }
    }

    fn finish_command(&self, cx: &mut Cx<'_, '_>, of: &Deregistration, result: Result<(), AmfCommandError>) {
        if let Some(command) = of.command {
            cx.out.push(AmfOutput::CommandDone(command, result));
        }
    }

    /// 5.5.2.3.5 b): the phone deregisters by itself at the same time, or is back under a new context.
    pub(crate) fn deregistration_superseded(&mut self, cx: &mut Cx<'_, '_>, deregistration: &Deregistration) {
        self.metrics.count(Family::Deregistrations, "network", "superseded");
        self.finish_command(cx, deregistration, Ok(()));
    }

    /// 5.5.2.3.5 e): the connection went before the accept; the phone is deregistered all the same.
    pub(crate) fn deregistration_connection_lost(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        deregistration: &Deregistration,
    ) {
        self.metrics.count(Family::Deregistrations, "network", "connection lost");
        self.deregister(cx, key, true);
        self.finish_command(cx, deregistration, Err(AmfCommandError::NoAnswer));
        if deregistration.withdrawn {
            self.remove_ue(cx, key);
        }
    }
}
