//! Parts of call flows that tests share.

use crate::gmm;
use crate::network::*;
use crate::phone::Phone;
use coeur_model::PduSessionId;
use coeur_nf::services::namf::*;
use oxirush_nas::nas_5gs::*;
use oxirush_ngap::build_ngap;
use oxirush_ngap::ngap::*;

impl Network {
    /// Initial registration with a SUCI up to Registration Accept.
    pub(crate) fn register_until_accept(&mut self, phone: &mut Phone) -> NasRegistrationAccept {
        let request = phone.registration(RegistrationType::InitialRegistration);
        let nas = phone.initial(request.clone());
        self.initial(phone, nas);
        self.authenticate(phone, &request)
    }

    /// From Authentication Request to Registration Accept.
    pub(crate) fn authenticate(
        &mut self,
        phone: &mut Phone,
        request: &NasRegistrationRequest,
    ) -> NasRegistrationAccept {
        let challenge = gmm!(self.downlink(phone), AuthenticationRequest);
        assert_ne!(challenge.ngksi.value, phone.ngksi, "an ngKSI that the phone does not hold");
        self.uplink(phone, Phone::authentication_response(crate::phone::RES_STAR));
        let command = gmm!(self.downlink(phone), SecurityModeCommand);
        let complete = phone.take_keys(&command, request);
        self.uplink(phone, complete);
        let accept = gmm!(self.downlink(phone), RegistrationAccept);
        phone.guti = accept.fg_guti.as_ref().and_then(NasFGsMobileIdentity::as_guti);
        accept
    }

    pub(crate) fn complete(&mut self, phone: &mut Phone) {
        self.context_set_up(phone);
        let complete = phone.protected(NasRegistrationComplete::new());
        self.uplink(phone, complete);
        gmm!(self.downlink(phone), ConfigurationUpdateCommand);
    }

    pub(crate) fn register(&mut self, phone: &mut Phone) -> NasRegistrationAccept {
        let accept = self.register_until_accept(phone);
        self.complete(phone);
        accept
    }

    /// A PDU session that the gNB carries.
    pub(crate) fn establish(&mut self, phone: &mut Phone, session: u8) {
        let request = phone.session_request(session, RequestTypeValue::InitialRequest);
        self.uplink(phone, request);
        let transfer = AmfRequest::N1N2MessageTransfer {
            supi: phone.supi(),
            session: PduSessionId::new(session).unwrap(),
            n1_sm: Some(vec![0x2E, session, 1, 0xC2, 0x11]),
            n2_sm: Some(N2SmInfo::SetupRequest(vec![0xAA])),
        };
        assert_eq!(self.request(transfer), Ok(AmfResponse::TransferInitiated));
        gmm!(self.downlink(phone), DlNasTransport);
        let item = PDUSessionResourceSetupItemSURes::new(PDUSessionID(session), vec![0xBB].into(), None);
        let response = build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceSetup,
            PDUSessionResourceSetupResponse,
            AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
            RAN_UE_NGAP_ID(phone.ran_id),
            PDUSessionResourceSetupListSURes(PDUSessionResourceSetupListSURes(vec![item])),
        );
        self.gnb_sends(phone.association, &response.unwrap());
    }

    pub(crate) fn go_idle(&mut self, phone: &mut Phone) {
        self.release_request(phone);
        self.expect_release(phone);
    }
}
