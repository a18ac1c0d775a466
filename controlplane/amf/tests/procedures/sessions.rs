//! 5GSM messages between phone and SMF, and PDU session resources at the gNB.

use crate::gmm;
use crate::network::*;
use crate::phone::Phone;
use coeur_model::PduSessionId;
use coeur_nf::services::namf::*;
use coeur_nf::services::nsmf::*;
use oxirush_nas::nas_5gs::*;
use oxirush_ngap::NgapPduKind as Kind;
use oxirush_ngap::ngap::{
    PDUSessionID, PDUSessionResourceFailedToSetupItemSURes, PDUSessionResourceFailedToSetupListSURes,
    PDUSessionResourceReleasedItemRelRes, PDUSessionResourceReleasedListRelRes,
};
use oxirush_ngap::{build_ngap, ie};
use std::time::Duration;

const CONTEXT: SmContextId = SmContextId(105);

fn psi() -> PduSessionId {
    PduSessionId::new(5).unwrap()
}

fn registered() -> (Network, Phone) {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    (network, phone)
}

fn request(phone: &Phone) -> NasUlNasTransport {
    let rate = NasIntegrityProtectionMaximumDataRate::new(0xFFFF);
    let message = Nas5gsMessage::new_5gsm(NasPduSessionEstablishmentRequest::new(rate), 5, 1);
    phone.transport(5, &message).with_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest))
}

/// The phone's own message comes back with this cause (TS 24.501, 5.4.5.3.1 c).
fn expect_back(network: &mut Network, phone: &mut Phone, cause: GmmCause) {
    let transport = gmm!(network.downlink(phone), DlNasTransport);
    assert_eq!(transport.fgmm_cause.unwrap().cause(), Some(cause));
    assert_eq!(transport.pdu_session_id.unwrap().pdu_session_id(), 5);
    assert_eq!(transport.payload_container.value.as_slice()[0], 0x2E);
}

#[test]
fn slice_and_dnn_of_the_phone_reach_the_smf() {
    let (mut network, mut phone) = registered();
    let transport = request(&phone)
        .with_s_nssai(NasSNssai::from_sst_sd(1, None))
        .with_dnn(NasDnn::from_string("internet").unwrap());
    let nas = phone.protected(transport);
    network.uplink(&phone, nas);
    let SmfRequest::CreateSmContext { snssai, dnn, n1_sm, .. } = &network.to_smf[0] else { panic!() };
    assert_eq!((snssai.sst, dnn.as_ref().unwrap().as_str()), (1, "internet"));
    assert_eq!(n1_sm[..4], [0x2E, 5, 1, 0xC1]);
}

#[test]
fn what_is_not_forwarded_comes_back_with_its_cause() {
    let not_allowed = |phone: &Phone| request(phone).with_s_nssai(NasSNssai::from_sst_sd(2, None));
    let unknown_dnn = |phone: &Phone| request(phone).with_dnn(NasDnn::from_string("nowhere").unwrap());
    let of_kind = |phone: &Phone, kind| request(phone).with_request_type(NasRequestType::from_request_type(kind));
    let (mut network, mut phone) = registered();
    let unasked = {
        let mut transport = request(&phone);
        transport.clear_request_type();
        transport
    };
    for (transport, cause) in [
        (not_allowed(&phone), GmmCause::PayloadWasNotForwarded),
        (unknown_dnn(&phone), GmmCause::DnnNotSupportedOrNotSubscribedInTheSlice),
        (of_kind(&phone, RequestTypeValue::InitialEmergencyRequest), GmmCause::PayloadWasNotForwarded),
        (of_kind(&phone, RequestTypeValue::MaPduRequest), GmmCause::PayloadWasNotForwarded),
        (of_kind(&phone, RequestTypeValue::ExistingPduSession), GmmCause::PayloadWasNotForwarded),
        (unasked, GmmCause::PayloadWasNotForwarded),
    ] {
        let nas = phone.protected(transport);
        network.uplink(&phone, nas);
        expect_back(&mut network, &mut phone, cause);
    }
    assert!(network.to_smf.is_empty());
}

#[test]
fn payloads_without_a_session_or_of_another_kind_are_answered_with_status() {
    let (mut network, mut phone) = registered();
    let mut nameless = request(&phone);
    nameless.clear_pdu_session_id();
    let mut sms = request(&phone);
    sms.payload_container_type = NasPayloadContainerType::from_kind(PayloadContainerKind::Sms);
    for (transport, cause) in
        [(nameless, GmmCause::InvalidMandatoryInformation), (sms, GmmCause::PayloadWasNotForwarded)]
    {
        let nas = phone.protected(transport);
        network.uplink(&phone, nas);
        let status = gmm!(network.downlink(&mut phone), FiveGmmStatus);
        assert_eq!(status.fgmm_cause.cause(), Some(cause));
    }
}

#[test]
fn a_refusal_of_the_smf_reaches_the_phone() {
    for (problem, n1_sm, cause) in [
        (SmfProblem::SubscriptionDenied, Some(vec![0x2E, 5, 1, 0xC3, 29]), None),
        (SmfProblem::DnnNotSupported, None, Some(GmmCause::DnnNotSupportedOrNotSubscribedInTheSlice)),
        (SmfProblem::InsufficientResources, None, Some(GmmCause::InsufficientResourcesForSpecificSliceAndDnn)),
        (SmfProblem::SystemFailure, None, Some(GmmCause::PayloadWasNotForwarded)),
    ] {
        let (mut network, mut phone) = registered();
        network.smf.push_back(Err(SmfRefusal { problem, n1_sm: n1_sm.clone() }));
        let nas = phone.session_request(5, RequestTypeValue::InitialRequest);
        network.uplink(&phone, nas);
        match (n1_sm, cause) {
            (Some(n1_sm), _) => {
                let transport = gmm!(network.downlink(&mut phone), DlNasTransport);
                assert_eq!(transport.payload_container.value.as_slice(), n1_sm);
                assert!(transport.fgmm_cause.is_none());
            }
            (None, cause) => expect_back(&mut network, &mut phone, cause.unwrap()),
        }
        assert!(network.amf.ue(&phone.supi()).unwrap().sessions.is_empty());
    }
}

#[test]
fn a_session_is_in_the_record_before_the_phone_has_it() {
    let (mut network, mut phone) = registered();
    network.hold_store = true;
    let nas = phone.session_request(5, RequestTypeValue::InitialRequest);
    network.uplink(&phone, nas);
    let transfer = AmfRequest::N1N2MessageTransfer {
        supi: phone.supi(),
        session: psi(),
        n1_sm: Some(vec![0x2E, 5, 1, 0xC2]),
        n2_sm: Some(N2SmInfo::SetupRequest(vec![0xAA])),
    };
    assert_eq!(network.request(transfer), Ok(AmfResponse::TransferInitiated));
    network.expect_nothing();
    let token = network.held.remove(0);
    network.commit(token);
    let setup = network.expect(Kind::Initiating_PDUSessionResourceSetup);
    assert!(setup.ie::<ie::UEAggregateMaximumBitRate>().is_some());
}

#[test]
fn a_session_that_cannot_be_recorded_ends_before_the_phone_has_it() {
    let (mut network, mut phone) = registered();
    network.hold_store = true;
    let nas = phone.session_request(5, RequestTypeValue::InitialRequest);
    network.uplink(&phone, nas);
    let n2_sm = Some(N2SmInfo::SetupRequest(vec![0xAA]));
    let transfer = AmfRequest::N1N2MessageTransfer { supi: phone.supi(), session: psi(), n1_sm: None, n2_sm };
    assert_eq!(network.request(transfer), Ok(AmfResponse::TransferInitiated));
    network.store_fails = true;
    let token = network.held.remove(0);
    network.commit(token);
    network.expect_nothing();
    assert_eq!(network.to_smf.last(), Some(&SmfRequest::ReleaseSmContext { context: CONTEXT }));
    assert!(network.amf.ue(&phone.supi()).unwrap().sessions.is_empty());
}

#[test]
fn a_transfer_waits_for_the_context_of_the_gnb() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register_until_accept(&mut phone);
    let complete = phone.protected(NasRegistrationComplete::new());
    network.uplink(&phone, complete);
    gmm!(network.downlink(&mut phone), ConfigurationUpdateCommand);
    let nas = phone.session_request(5, RequestTypeValue::InitialRequest);
    network.uplink(&phone, nas);
    let setup = || Some(N2SmInfo::SetupRequest(vec![0xAA]));
    let transfer = |supi| AmfRequest::N1N2MessageTransfer { supi, session: psi(), n1_sm: None, n2_sm: setup() };
    for _ in 0..16 {
        assert_eq!(network.request(transfer(phone.supi())), Ok(AmfResponse::TransferInitiated));
    }
    assert_eq!(network.request(transfer(phone.supi())), Err(AmfProblem::UeIdle), "the queue has a limit");
    network.expect_nothing();
    network.context_set_up(&phone);
    network.expect(Kind::Initiating_PDUSessionResourceSetup);
}

#[test]
fn a_session_is_released_at_phone_gnb_and_smf() {
    let (mut network, mut phone) = registered();
    network.establish(&mut phone, 5);
    let command = Nas5gsMessage::new_5gsm(NasPduSessionReleaseRequest::new(), 5, 2);
    network.smf.push_back(Ok(SmfResponse::Updated {
        n1_sm: Some(vec![0x2E, 5, 2, 0xD3, 36]),
        n2_sm: Some(N2SmInfo::ReleaseCommand(vec![0x10])),
    }));
    let transport = phone.transport(5, &command);
    let nas = phone.protected(transport);
    network.uplink(&phone, nas);
    let (_, _, release) = &network.sent[0];
    assert_eq!(release.kind(), Kind::Initiating_PDUSessionResourceRelease);
    gmm!(network.downlink(&mut phone), DlNasTransport);
    let item = PDUSessionResourceReleasedItemRelRes::new(PDUSessionID(5), vec![0x00].into(), None);
    let response = build_ngap!(
        SuccessfulOutcome,
        PDUSessionResourceRelease,
        PDUSessionResourceReleaseResponse,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
        PDUSessionResourceReleasedListRelRes(PDUSessionResourceReleasedListRelRes(vec![item])),
    );
    network.gnb_sends(GNB, &response.unwrap());
    let update = SmContextUpdate::ReleaseResponse(vec![0x00]);
    assert_eq!(network.to_smf.last(), Some(&SmfRequest::UpdateSmContext { context: CONTEXT, update }));
    let gone = AmfRequest::SmContextReleased { supi: phone.supi(), session: psi() };
    assert_eq!(network.request(gone), Ok(AmfResponse::Done));
    assert!(network.amf.ue(&phone.supi()).unwrap().sessions.is_empty());
    network.go_idle(&mut phone);
    assert_eq!(
        network.to_smf.last(),
        Some(&SmfRequest::UpdateSmContext { context: CONTEXT, update: SmContextUpdate::ReleaseResponse(vec![0x00]) })
    );
}

#[test]
fn a_gnb_that_refuses_or_ignores_a_session_is_reported_to_the_smf() {
    let (mut network, mut phone) = registered();
    let nas = phone.session_request(5, RequestTypeValue::InitialRequest);
    network.uplink(&phone, nas);
    let transfer = || AmfRequest::N1N2MessageTransfer {
        supi: "001010000000001".parse().unwrap(),
        session: psi(),
        n1_sm: None,
        n2_sm: Some(N2SmInfo::SetupRequest(vec![0xAA])),
    };
    network.request(transfer()).unwrap();
    network.expect(Kind::Initiating_PDUSessionResourceSetup);
    let item = PDUSessionResourceFailedToSetupItemSURes::new(PDUSessionID(5), vec![0xEE].into(), None);
    let response = build_ngap!(
        SuccessfulOutcome,
        PDUSessionResourceSetup,
        PDUSessionResourceSetupResponse,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
        PDUSessionResourceFailedToSetupListSURes(PDUSessionResourceFailedToSetupListSURes(vec![item])),
    );
    network.gnb_sends(GNB, &response.unwrap());
    let update = SmContextUpdate::SetupUnsuccessful(vec![0xEE]);
    assert_eq!(network.to_smf.last(), Some(&SmfRequest::UpdateSmContext { context: CONTEXT, update }));
    network.request(transfer()).unwrap();
    network.pass(Duration::from_secs(10));
    let update = SmContextUpdate::Deactivate;
    assert_eq!(network.to_smf.last(), Some(&SmfRequest::UpdateSmContext { context: CONTEXT, update }));
}

#[test]
fn transfers_for_strangers_are_refused() {
    let (mut network, phone) = registered();
    let transfer = |supi| AmfRequest::N1N2MessageTransfer { supi, session: psi(), n1_sm: None, n2_sm: None };
    assert_eq!(network.request(transfer("001019999999999".parse().unwrap())), Err(AmfProblem::ContextNotFound));
    assert_eq!(network.request(transfer(phone.supi())), Err(AmfProblem::ContextNotFound), "no such session");
}

#[test]
fn a_context_that_the_smf_lost_comes_back_as_not_forwarded() {
    let (mut network, mut phone) = registered();
    network.establish(&mut phone, 5);
    network.smf.push_back(Err(SmfRefusal { problem: SmfProblem::ContextNotFound, n1_sm: None }));
    let command = Nas5gsMessage::new_5gsm(NasPduSessionReleaseRequest::new(), 5, 2);
    let transport = phone.transport(5, &command);
    let nas = phone.protected(transport);
    network.uplink(&phone, nas);
    expect_back(&mut network, &mut phone, GmmCause::PayloadWasNotForwarded);
    assert!(network.amf.ue(&phone.supi()).unwrap().sessions.is_empty());
}
