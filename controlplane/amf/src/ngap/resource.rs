//! PDU session resources at the gNB (TS 38.413, 8.2): requests of the SMF out, answers of the gNB back to it.

use super::convert;
use crate::exchange::Asked;
use crate::metrics::Family;
use crate::session::SessionState;
use crate::timeout::Timer;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use coeur_model::{Ambr, PduSessionId, Snssai};
use coeur_nf::services::nsmf::SmContextUpdate;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{Error, Message, build_ngap, build_ngap_ie, ie};

/// One session that the gNB is to have resources for.
pub(crate) struct ResourceRequest {
    pub(crate) id: PduSessionId,
    pub(crate) snssai: Snssai,
    /// PDU Session Resource Setup Request Transfer.
    pub(crate) transfer: Vec<u8>,
    /// A protected NAS message for the phone.
    pub(crate) nas: Option<Vec<u8>>,
}

pub(crate) fn ue_ambr(ambr: Ambr) -> UEAggregateMaximumBitRate {
    UEAggregateMaximumBitRate::new(BitRate(ambr.downlink.bps()), BitRate(ambr.uplink.bps()), None)
}

impl Amf {
    /// TS 38.413, 8.2.1. `nas` is for the phone and not of one session.
    pub(crate) fn set_up_resources(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        sessions: &[ResourceRequest],
        nas: Option<&[u8]>,
    ) {
        let Some(ambr) = self.ues.get(key).map(|ue| ue.ambr) else { return };
        self.send_ue(cx, key, |ids| {
            let mut ies = vec![
                build_ngap_ie!(PDUSessionResourceSetupRequest, AMF_UE_NGAP_ID(ids.amf.0))?,
                build_ngap_ie!(PDUSessionResourceSetupRequest, RAN_UE_NGAP_ID(ids.ran.0))?,
            ];
            if let Some(nas) = nas {
                ies.push(build_ngap_ie!(PDUSessionResourceSetupRequest, NAS_PDU(NASPDU::from(nas)))?);
            }
            let items = sessions.iter().map(|session| {
                PDUSessionResourceSetupItemSUReq::new(
                    PDUSessionID(session.id.get()),
                    session.nas.as_ref().map(|nas| NASPDU::from(nas.as_slice())),
                    convert::to_snssai(session.snssai),
                    session.transfer.as_slice().into(),
                    None,
                )
            });
            let list = PDUSessionResourceSetupListSUReq(items.collect());
            ies.push(build_ngap_ie!(PDUSessionResourceSetupRequest, PDUSessionResourceSetupListSUReq(list))?);
            ies.push(build_ngap_ie!(PDUSessionResourceSetupRequest, UEAggregateMaximumBitRate(ue_ambr(ambr)))?);
            let message = PDUSessionResourceSetupRequest::new(ProtocolIEContainer(ies));
            NGAP_PDU::of_message(&message, PDUSessionResourceSetupRequest::CRITICALITY)
        });
        for session in sessions {
            self.await_resource(cx, key, session.id);
        }
    }

    /// TS 38.413, 8.2.3
    pub(crate) fn modify_resource(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        session: PduSessionId,
        transfer: Vec<u8>,
        nas: Option<Vec<u8>>,
    ) {
        self.send_ue(cx, key, |ids| {
            let item = PDUSessionResourceModifyItemModReq::new(
                PDUSessionID(session.get()),
                nas.map(NASPDU::from),
                transfer.into(),
                None,
            );
            build_ngap!(
                InitiatingMessage,
                PDUSessionResourceModify,
                PDUSessionResourceModifyRequest,
                AMF_UE_NGAP_ID(ids.amf.0),
                RAN_UE_NGAP_ID(ids.ran.0),
                PDUSessionResourceModifyListModReq(PDUSessionResourceModifyListModReq(vec![item])),
            )
        });
        self.await_resource(cx, key, session);
    }

    /// TS 38.413, 8.2.2
    pub(crate) fn release_resource(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        session: PduSessionId,
        transfer: Vec<u8>,
        nas: Option<Vec<u8>>,
    ) {
        self.send_ue(cx, key, |ids| {
            let mut ies = vec![
                build_ngap_ie!(PDUSessionResourceReleaseCommand, AMF_UE_NGAP_ID(ids.amf.0))?,
                build_ngap_ie!(PDUSessionResourceReleaseCommand, RAN_UE_NGAP_ID(ids.ran.0))?,
            ];
            if let Some(nas) = nas {
                ies.push(build_ngap_ie!(PDUSessionResourceReleaseCommand, NAS_PDU(nas))?);
            }
            let item = PDUSessionResourceToReleaseItemRelCmd::new(PDUSessionID(session.get()), transfer.into(), None);
            let list = PDUSessionResourceToReleaseListRelCmd(vec![item]);
            ies.push(build_ngap_ie!(PDUSessionResourceReleaseCommand, PDUSessionResourceToReleaseListRelCmd(list))?);
            let message = PDUSessionResourceReleaseCommand::new(ProtocolIEContainer(ies));
            NGAP_PDU::of_message(&message, PDUSessionResourceReleaseCommand::CRITICALITY)
        });
        self.await_resource(cx, key, session);
    }

    fn await_resource(&mut self, cx: &Cx<'_, '_>, key: UeKey, session: PduSessionId) {
        self.start(cx, Timer::Resource(key, session), self.ms(self.settings.timers.ngap_ms));
    }

    pub(crate) fn resources_set_up(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, pdu: &NGAPPDU<'_>) -> Result<(), Error> {
        let set_up = pdu.ie::<ie::PDUSessionResourceSetupListSURes>().transpose()?;
        let failed = pdu.ie::<ie::PDUSessionResourceFailedToSetupListSURes>().transpose()?;
        for item in set_up.map(|list| list.0).unwrap_or_default() {
            let transfer = item.pdu_session_resource_setup_response_transfer.into_vec();
            self.resource_set_up(cx, key, &item.pdu_session_id, transfer);
        }
        for item in failed.map(|list| list.0).unwrap_or_default() {
            let transfer = item.pdu_session_resource_setup_unsuccessful_transfer.into_vec();
            self.resource_not_set_up(cx, key, &item.pdu_session_id, transfer);
        }
        Ok(())
    }

    pub(crate) fn resource_set_up(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        session: &PDUSessionID,
        transfer: Vec<u8>,
    ) {
        self.resource_answered(cx, key, session, Some(true), SmContextUpdate::SetupResponse(transfer));
    }

    pub(crate) fn resource_not_set_up(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        session: &PDUSessionID,
        transfer: Vec<u8>,
    ) {
        self.resource_answered(cx, key, session, Some(false), SmContextUpdate::SetupUnsuccessful(transfer));
    }

    pub(crate) fn resources_released(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let released = pdu.ie::<ie::PDUSessionResourceReleasedListRelRes>().transpose()?;
        for item in released.map(|list| list.0).unwrap_or_default() {
            let transfer = item.pdu_session_resource_release_response_transfer.into_vec();
            let update = SmContextUpdate::ReleaseResponse(transfer);
            self.resource_answered(cx, key, &item.pdu_session_id, Some(false), update);
        }
        Ok(())
    }

    /// The SMF does not ask what became of a modification (`SmContextUpdate` has no such answer): counted only.
    pub(crate) fn resources_modified(
        &mut self,
        _cx: &mut Cx<'_, '_>,
        key: UeKey,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let modified = pdu.ie::<ie::PDUSessionResourceModifyListModRes>().transpose()?;
        let failed = pdu.ie::<ie::PDUSessionResourceFailedToModifyListModRes>().transpose()?;
        let modified = modified.map(|list| list.0).unwrap_or_default();
        let failed = failed.map(|list| list.0).unwrap_or_default();
        let names =
            modified.iter().map(|item| &item.pdu_session_id).chain(failed.iter().map(|item| &item.pdu_session_id));
        for id in names.filter_map(convert::session) {
            self.timers.stop(&Timer::Resource(key, id));
        }
        if !failed.is_empty() {
            self.metrics.one(Family::SessionMessages, "modification refused by the gNB");
        }
        Ok(())
    }

    /// TS 38.413, 8.2.4: the gNB gave sessions up.
    pub(crate) fn resources_notified(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let released = pdu.ie::<ie::PDUSessionResourceReleasedListNot>().transpose()?;
        for item in released.map(|list| list.0).unwrap_or_default() {
            self.resource_answered(cx, key, &item.pdu_session_id, Some(false), SmContextUpdate::Deactivate);
        }
        Ok(())
    }

    /// Tells the SMF, and notes whether the gNB has resources now. A session that the phone has not is left.
    fn resource_answered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        session: &PDUSessionID,
        at_gnb: Option<bool>,
        update: SmContextUpdate,
    ) {
        let known = convert::session(session).and_then(|id| {
            let session = self.ues.get_mut(key)?.sessions.get_mut(&id)?;
            let SessionState::Established { context, user_plane } = &mut session.state else { return None };
            *user_plane = at_gnb.unwrap_or(*user_plane);
            Some((id, *context))
        });
        match known {
            Some((id, context)) => {
                self.timers.stop(&Timer::Resource(key, id));
                self.update_session(cx, key, Asked::UpdateSession(id), context, update);
            }
            None => self.metrics.one(Family::SessionMessages, "gNB named an unknown session"),
        }
    }

    /// The gNB did not answer: whatever it was asked for, it does not carry the session.
    pub(crate) fn resource_unanswered(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, session: PduSessionId) {
        self.metrics.one(Family::SessionMessages, "unanswered by the gNB");
        let id = PDUSessionID(session.get());
        self.resource_answered(cx, key, &id, Some(false), SmContextUpdate::Deactivate);
    }
}
