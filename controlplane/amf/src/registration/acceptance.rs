//! The end of a registration (TS 24.501, 5.5.1.2.4, 5.5.1.3.4): commit, Registration Accept with T3550, Registration Complete.

use super::{Kind, Registration, Stage, nssai};
use crate::limits::NAS_TRANSMISSION_MAX;
use crate::metrics::Family;
use crate::ngap::ContextSetup;
use crate::session::Reactivation;
use crate::timeout::Timer;
use crate::ue::{GnbContext, Rm, UeKey};
use crate::{Amf, Cx};
use coeur_nf::StoreToken;
use coeur_nf::event::Event;
use oxirush_nas::common::Plmn;
use oxirush_nas::nas_5gs::{
    GmmCause, Guti, Nas5gsMessage, NasConfigurationUpdateCommand, NasFGsMobileIdentity, NasFGsNetworkFeatureSupport,
    NasFGsRegistrationResult, NasFGsTrackingAreaIdentityList, NasGprsTimer2, NasNetworkName,
    NasPduSessionReactivationResult, NasPduSessionReactivationResultErrorCause, NasPduSessionStatus,
    NasRegistrationAccept, NasT3512Value, NasUplinkDataStatus, RegistrationResult,
};
use oxirush_ngap::ngap::{Cause, CauseNas};

/// Registration Accept is out, its Complete awaited.
pub(super) struct Acceptance {
    accept: Nas5gsMessage,
    sent: u8,
    /// The phone was not registered before.
    fresh: bool,
    /// A follow-on request, or user data: the connection stays.
    stays: bool,
}

impl Amf {
    /// A new 5G-GUTI each time (TS 33.501, 6.12.3), and the record that holds it, before the phone hears of either.
    pub(super) fn commit_registration(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        if self.ues.reallocate_tmsi(key, cx.env.entropy).is_none() {
            return;
        }
        match self.put_ue(cx, key) {
            Some(token) => self.set_stage(key, Stage::Committing { token }),
            None => {
                self.metrics.one(Family::Internal, "UE record does not encode");
                self.reject_registration(cx, key, GmmCause::Congestion);
            }
        }
    }

    pub(crate) fn registration_committed(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        committed: StoreToken,
        success: bool,
    ) {
        let Some(registration) = self.registration(key) else { return };
        if !matches!(registration.stage, Stage::Committing { token } if token == committed) {
            return;
        }
        if !success {
            return self.reject_registration(cx, key, GmmCause::Congestion);
        }
        let wanted = registration.request.uplink_data_status.as_ref();
        let wanted = wanted.map(NasUplinkDataStatus::sessions_with_data).unwrap_or_default();
        let reactivation = self.reactivate(cx, key, &wanted);
        self.set_stage(key, Stage::Activating(reactivation));
        self.registration_reactivated(cx, key);
    }

    /// Goes on when every SMF has answered.
    pub(crate) fn registration_reactivated(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(mut registration) = self.take_registration(key) else { return };
        match std::mem::replace(&mut registration.stage, Stage::Passing) {
            Stage::Activating(reactivation) if reactivation.is_complete() => {
                self.put_registration(key, registration);
                self.accept_registration(cx, key, reactivation);
            }
            other => {
                registration.stage = other;
                self.put_registration(key, registration);
            }
        }
    }

    pub(crate) fn registration_reactivation(&mut self, key: UeKey) -> Option<&mut Reactivation> {
        match &mut self.ues.get_mut(key)?.procedure {
            crate::procedure::Procedure::Registration(registration) => match &mut registration.stage {
                Stage::Activating(reactivation) => Some(reactivation),
                _ => None,
            },
            _ => None,
        }
    }

    fn accept_registration(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, reactivation: Reactivation) {
        let Some(accept) = self.registration_accept(key, &reactivation) else {
            self.metrics.one(Family::Internal, "Registration Accept does not encode");
            return self.reject_registration(cx, key, GmmCause::Congestion);
        };
        let accept = Nas5gsMessage::new_5gmm(accept);
        let Some(nas) = self.seal(key, &accept) else {
            return self.abandon_registration(cx, key, "Registration Accept cannot be protected");
        };
        let Some(registration) = self.registration(key) else { return };
        let kind = registration.kind;
        let follow_on = registration.request.fgs_registration_type.follow_on_request();
        let uplink = registration.uplink;
        let Some(ue) = self.ues.get_mut(key) else { return };
        let fresh = std::mem::replace(&mut ue.rm, Rm::Registered) == Rm::Deregistered;
        if fresh {
            ue.registered_since = cx.env.unix_time;
        }
        let context = ue.gnb_context();
        let requested = ue.connection.as_ref().is_some_and(|connection| connection.context_requested);
        let kgnb = uplink.zip(ue.security.as_ref()).map(|(uplink, security)| security.kgnb(uplink));
        let stays = kind == Kind::Initial || follow_on || !reactivation.setups.is_empty();
        self.set_stage(key, Stage::Accepted(Acceptance { accept, sent: 1, fresh, stays }));
        match (context, kgnb) {
            (GnbContext::None, Some(kgnb)) if requested || stays => {
                self.set_up_context(cx, key, &ContextSetup { kgnb, nas, sessions: reactivation.setups });
            }
            (GnbContext::SetUp, _) if !reactivation.setups.is_empty() => {
                self.set_up_resources(cx, key, &reactivation.setups, Some(&nas));
            }
            _ => self.downlink_nas(cx, key, nas),
        }
        self.start(cx, Timer::Nas(key), self.ms(self.settings.timers.t3550_ms));
    }

    fn registration_accept(&self, key: UeKey, reactivation: &Reactivation) -> Option<NasRegistrationAccept> {
        let settings = &self.settings;
        let registration = self.registration(key)?;
        let ue = self.ues.get(key)?;
        let plmn = settings.guami.plmn();
        let nas_plmn = Plmn::new(plmn.mcc(), plmn.mnc()).ok()?;
        let tacs: Vec<u32> = settings.tacs.iter().map(|tac| tac.get()).collect();
        let guti =
            Guti::new(nas_plmn, settings.guami.region(), settings.guami.set(), settings.guami.pointer(), ue.tmsi?.0);
        let result = NasFGsRegistrationResult::from_result(RegistrationResult::ThreeGppAccess);
        let mut accept = NasRegistrationAccept::new(result)
            .with_fg_guti(NasFGsMobileIdentity::from_guti(guti.ok()?))
            .with_tai_list(NasFGsTrackingAreaIdentityList::from_plmn_tacs(&nas_plmn, &tacs).ok()?)
            .with_allowed_nssai(nssai::to_nssai(&ue.allowed)?)
            // Nothing of it is there: no IMS voice, no emergency, no N26.
            .with_fgs_network_feature_support(NasFGsNetworkFeatureSupport::new(vec![0, 0]))
            .with_t3512_value(NasT3512Value::from_seconds(settings.timers.t3512_s.into()).ok()?)
            .with_t3502_value(NasGprsTimer2::from_seconds(settings.timers.t3502_s.into()).ok()?);
        let requested = nssai::requested(&registration.request);
        let rejected: Vec<_> = requested
            .into_iter()
            .filter(|slice| !ue.allowed.contains(slice))
            .map(|slice| (self.rejected_cause(key, slice), slice))
            .collect();
        if let Some(rejected) = nssai::to_rejected(&rejected[..rejected.len().min(8)]) {
            accept = accept.with_rejected_nssai(rejected);
        }
        // TS 24.501, 5.5.1.3.4: the status that the phone sent is answered with ours.
        if registration.request.pdu_session_status.is_some() {
            accept = accept.with_pdu_session_status(self.session_status(key)?);
        }
        if registration.request.uplink_data_status.is_some() {
            let (result, causes) = reactivation.results()?;
            accept = accept.with_pdu_session_reactivation_result(result);
            if let Some(causes) = causes {
                accept = accept.with_pdu_session_reactivation_result_error_cause(causes);
            }
        }
        Some(accept)
    }

    fn rejected_cause(&self, key: UeKey, slice: coeur_model::Snssai) -> nssai::RejectedCause {
        let here = self.offered_slices(key).contains(&slice);
        match self.settings.slices.contains(&slice) && !here {
            true => nssai::RejectedCause::Area,
            false => nssai::RejectedCause::Plmn,
        }
    }

    pub(crate) fn session_status(&self, key: UeKey) -> Option<NasPduSessionStatus> {
        let sessions: Vec<u8> = self.ues.get(key)?.sessions.keys().map(|id| id.get()).collect();
        NasPduSessionStatus::from_sessions(&sessions).ok()
    }

    pub(crate) fn registration_complete(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        if !self.registration(key).is_some_and(Registration::is_accepted) {
            return self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState);
        }
        self.timers.stop(&Timer::Nas(key));
        let Some(registration) = self.take_registration(key) else { return };
        self.ues.acknowledge_tmsi(key);
        self.registered(cx, key, &registration, "success");
        let Stage::Accepted(acceptance) = &registration.stage else { return };
        if !acceptance.stays && !self.has_user_plane(key) {
            // TS 24.501, 5.3.1.3: nothing is pending, the connection goes.
            return self.release_connection(cx, key, Cause::nas(CauseNas::normal_release));
        }
        if registration.kind == Kind::Initial {
            self.send_network_name(cx, key);
        }
    }

    /// The registration ended in RM-REGISTERED.
    pub(super) fn registered(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, of: &Registration, how: &'static str) {
        self.metrics.count(Family::Registrations, of.kind.name(), how);
        self.metrics.registered_in(cx.now().saturating_duration_since(of.started));
        let fresh = matches!(&of.stage, Stage::Accepted(acceptance) if acceptance.fresh);
        if let Some(supi) = self.supi_of(key).filter(|_| fresh) {
            cx.event(Event::UeRegistered { supi });
        }
    }

    /// Generic UE configuration update without acknowledgement (TS 24.501, 5.4.4): the name that the phone shows.
    fn send_network_name(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let name = NasNetworkName::from_name(&self.settings.name, !self.settings.name.is_ascii());
        let command = NasConfigurationUpdateCommand::new().with_full_name_for_network(name);
        self.send_nas(cx, key, &Nas5gsMessage::new_5gmm(command));
    }

    /// 5.5.1.2.8 c): at the fifth expiry the phone is registered, with both 5G-GUTIs valid.
    pub(super) fn accept_unanswered(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, acceptance: Acceptance) {
        if acceptance.sent >= NAS_TRANSMISSION_MAX {
            let Some(mut registration) = self.take_registration(key) else { return };
            registration.stage = Stage::Accepted(acceptance);
            return self.registered(cx, key, &registration, "T3550 expired");
        }
        self.metrics.one(Family::Retransmissions, "T3550");
        let accept = acceptance.accept.clone();
        self.set_stage(key, Stage::Accepted(Acceptance { sent: acceptance.sent + 1, ..acceptance }));
        self.send_nas(cx, key, &accept);
        self.start(cx, Timer::Nas(key), self.ms(self.settings.timers.t3550_ms));
    }

    /// 5.5.1.2.8 d) 2): the same request again; T3550 starts again, the count of transmissions stays.
    pub(crate) fn repeat_registration_accept(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let accept = match self.registration(key).map(|registration| &registration.stage) {
            Some(Stage::Accepted(acceptance)) => acceptance.accept.clone(),
            _ => return,
        };
        self.send_nas(cx, key, &accept);
        self.start(cx, Timer::Nas(key), self.ms(self.settings.timers.t3550_ms));
    }
}

/// What the answer says of sessions that were to be brought back (TS 24.501, 9.11.3.42, 9.11.3.43).
impl Reactivation {
    pub(crate) fn results(
        &self,
    ) -> Option<(NasPduSessionReactivationResult, Option<NasPduSessionReactivationResultErrorCause>)> {
        let failed: Vec<u8> = self.failed.iter().map(|(session, _)| session.get()).collect();
        let result = NasPduSessionReactivationResult::from_failed_sessions(&failed).ok()?;
        let causes: Vec<(u8, GmmCause)> =
            self.failed.iter().filter_map(|(session, cause)| Some((session.get(), (*cause)?))).collect();
        let causes = match causes.is_empty() {
            true => None,
            false => NasPduSessionReactivationResultErrorCause::from_entries(&causes).ok(),
        };
        Some((result, causes))
    }
}
