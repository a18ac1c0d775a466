//! Initial Context Setup (TS 38.413, 8.3.1): the gNB gets keys, capabilities and slices of a phone, and its sessions.

use super::resource::{self, ResourceRequest};
use super::{Ids, convert};
use crate::metrics::Family;
use crate::timeout::Timer;
use crate::ue::{GnbContext, Ue, UeKey};
use crate::{Amf, Cx};
use coeur_model::Guami;
use oxirush_nas::nas_5gs::NasUeSecurityCapability;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{Error, Message, build_ngap_ie, ie};

/// What goes to the gNB along with what the context holds anyway.
pub(crate) struct ContextSetup {
    pub(crate) kgnb: [u8; 32],
    /// Registration Accept or Service Accept, protected.
    pub(crate) nas: Vec<u8>,
    pub(crate) sessions: Vec<ResourceRequest>,
}

impl Amf {
    pub(crate) fn set_up_context(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, setup: &ContextSetup) {
        let guami = self.settings.guami;
        let Some(ue) = self.ues.get(key) else { return };
        let Some(connection) = &ue.connection else { return };
        let ids = Ids { amf: connection.amf_id, ran: connection.ran_id };
        let (association, stream) = (connection.association, connection.stream);
        let request = request(ids, ue, guami, setup);
        self.send(cx, association, stream, request);
        if let Some(connection) = self.ues.get_mut(key).and_then(|ue| ue.connection.as_mut()) {
            connection.context = GnbContext::Pending;
        }
        self.start(cx, Timer::ContextSetup(key), self.ms(self.settings.timers.ngap_ms));
    }

    pub(crate) fn context_set_up(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, pdu: &NGAPPDU<'_>) -> Result<(), Error> {
        let set_up = pdu.ie::<ie::PDUSessionResourceSetupListCxtRes>().transpose()?;
        let failed = pdu.ie::<ie::PDUSessionResourceFailedToSetupListCxtRes>().transpose()?;
        if !self.context_answered(key) {
            return Ok(());
        }
        self.metrics.one(Family::ContextSetups, "success");
        if let Some(connection) = self.ues.get_mut(key).and_then(|ue| ue.connection.as_mut()) {
            connection.context = GnbContext::SetUp;
        }
        for item in set_up.map(|list| list.0).unwrap_or_default() {
            let transfer = item.pdu_session_resource_setup_response_transfer.into_vec();
            self.resource_set_up(cx, key, &item.pdu_session_id, transfer);
        }
        for item in failed.map(|list| list.0).unwrap_or_default() {
            let transfer = item.pdu_session_resource_setup_unsuccessful_transfer.into_vec();
            self.resource_not_set_up(cx, key, &item.pdu_session_id, transfer);
        }
        self.flush_held(cx, key);
        Ok(())
    }

    /// TS 38.413, 8.3.1.3: the gNB has no context, and the NAS message in the request did not reach the phone.
    pub(crate) fn context_setup_failed(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let failed = pdu.ie::<ie::PDUSessionResourceFailedToSetupListCxtFail>().transpose()?;
        let cause = pdu.ie::<ie::Cause>().and_then(Result::ok);
        if !self.context_answered(key) {
            return Ok(());
        }
        self.metrics.one(Family::ContextSetups, "failure");
        for item in failed.map(|list| list.0).unwrap_or_default() {
            let transfer = item.pdu_session_resource_setup_unsuccessful_transfer.into_vec();
            self.resource_not_set_up(cx, key, &item.pdu_session_id, transfer);
        }
        let unspecified = Cause::radioNetwork(CauseRadioNetwork::unspecified);
        self.release_connection(cx, key, cause.unwrap_or(unspecified));
        Ok(())
    }

    pub(crate) fn context_setup_unanswered(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.metrics.one(Family::ContextSetups, "unanswered");
        let cause = Cause::radioNetwork(CauseRadioNetwork::release_due_to_5gc_generated_reason);
        self.release_connection(cx, key, cause);
    }

    /// Whether an answer is awaited. One that is not is counted and left: the state that it tells of is known.
    fn context_answered(&mut self, key: UeKey) -> bool {
        let awaited = self.timers.stop(&Timer::ContextSetup(key));
        if !awaited {
            self.metrics.one(Family::NgapRefused, "unexpected Initial Context Setup answer");
        }
        awaited
    }
}

fn request(ids: Ids, ue: &Ue, guami: Guami, setup: &ContextSetup) -> Result<NGAPPDU<'static>, Error> {
    let mut ies = vec![
        build_ngap_ie!(InitialContextSetupRequest, AMF_UE_NGAP_ID(ids.amf.0))?,
        build_ngap_ie!(InitialContextSetupRequest, RAN_UE_NGAP_ID(ids.ran.0))?,
    ];
    // Conditional: there exactly when a session is (9.2.2.1).
    if !setup.sessions.is_empty() {
        ies.push(build_ngap_ie!(InitialContextSetupRequest, UEAggregateMaximumBitRate(resource::ue_ambr(ue.ambr)))?);
    }
    ies.push(build_ngap_ie!(InitialContextSetupRequest, GUAMI(convert::to_guami(guami)?))?);
    if !setup.sessions.is_empty() {
        let items = setup.sessions.iter().map(|session| {
            PDUSessionResourceSetupItemCxtReq::new(
                PDUSessionID(session.id.get()),
                session.nas.as_ref().map(|nas| NASPDU::from(nas.as_slice())),
                convert::to_snssai(session.snssai),
                session.transfer.as_slice().into(),
                None,
            )
        });
        let list = PDUSessionResourceSetupListCxtReq(items.collect());
        ies.push(build_ngap_ie!(InitialContextSetupRequest, PDUSessionResourceSetupListCxtReq(list))?);
    }
    let allowed = ue.allowed.iter().map(|slice| AllowedNSSAIItem::new(convert::to_snssai(*slice), None)).collect();
    ies.push(build_ngap_ie!(InitialContextSetupRequest, AllowedNSSAI(AllowedNSSAI(allowed)))?);
    let capabilities = security_capabilities(ue.capability.as_ref());
    ies.push(build_ngap_ie!(InitialContextSetupRequest, UESecurityCapabilities(capabilities))?);
    ies.push(build_ngap_ie!(InitialContextSetupRequest, SecurityKey(setup.kgnb))?);
    if let Some(radio) = &ue.radio_capability {
        ies.push(build_ngap_ie!(
            InitialContextSetupRequest,
            UERadioCapability(UERadioCapability(radio.as_slice().into()))
        )?);
    }
    ies.push(build_ngap_ie!(InitialContextSetupRequest, NAS_PDU(NASPDU::from(setup.nas.as_slice())))?);
    let message = InitialContextSetupRequest::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, InitialContextSetupRequest::CRITICALITY)
}

/// TS 38.413, 9.3.1.86: the bits of TS 24.501, 9.11.3.54 without the one of the null algorithm.
fn security_capabilities(capability: Option<&NasUeSecurityCapability>) -> UESecurityCapabilities<'static> {
    let bits = |octet: u8| oxirush_ngap::aper::BitString::from([octet << 1, 0]);
    let of = |read: fn(&NasUeSecurityCapability) -> u8| bits(capability.map_or(0, read));
    UESecurityCapabilities::new(
        NRencryptionAlgorithms(of(NasUeSecurityCapability::ea_byte)),
        NRintegrityProtectionAlgorithms(of(NasUeSecurityCapability::ia_byte)),
        EUTRAencryptionAlgorithms(of(NasUeSecurityCapability::eea_byte)),
        EUTRAintegrityProtectionAlgorithms(of(NasUeSecurityCapability::eia_byte)),
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_lose_the_null_algorithm_on_the_way_to_the_gnb() {
        let nas = NasUeSecurityCapability::from_capabilities(0b1110_0000, 0b0110_0000);
        let ngap = security_capabilities(Some(&nas));
        assert_eq!(ngap.nr_encryption_algorithms.0.as_octets(), [0b1100_0000, 0]);
        assert_eq!(ngap.nr_integrity_protection_algorithms.0.as_octets(), [0b1100_0000, 0]);
        assert_eq!(ngap.eutra_encryption_algorithms.0.as_octets(), [0, 0]);
    }
}
