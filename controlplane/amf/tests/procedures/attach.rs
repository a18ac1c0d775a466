//! The whole way of a phone: registration, session, release, service request, deregistration.

use crate::gmm;
use crate::network::*;
use crate::phone::Phone;
use coeur_model::PduSessionId;
use coeur_nf::event::Event;
use coeur_nf::services::namf::*;
use coeur_nf::services::nsmf::*;
use coeur_nf::store::StoreOp;
use oxirush_nas::nas_5gs::ServiceType;
use oxirush_ngap::NgapPduKind as Kind;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{build_ngap, ie};

#[test]
fn a_phone_registers_talks_sleeps_comes_back_and_leaves() {
    let mut network = Network::new();
    let mut phone = Phone::new(1);

    let accept = network.register(&mut phone);
    assert_eq!(accept.allowed_nssai.unwrap().parse_all()[0].sst, 1);
    assert_eq!(accept.t3512_value.unwrap().to_seconds(), Some(3600));
    assert!(matches!(&network.stored[0], StoreOp::PutUe { supi, .. } if *supi == phone.supi()));
    assert!(network.events.contains(&Event::UeRegistered { supi: phone.supi() }));

    network.establish(&mut phone, 5);
    let psi = PduSessionId::new(5).unwrap();
    let context = SmContextId(105);
    assert!(matches!(&network.to_smf[0], SmfRequest::CreateSmContext { session, dnn: None, .. } if *session == psi));
    let update = SmContextUpdate::SetupResponse(vec![0xBB]);
    assert_eq!(network.to_smf[1], SmfRequest::UpdateSmContext { context, update });
    let view = network.amf.ue(&phone.supi()).unwrap();
    assert!(view.connected && view.registered && view.sessions[0].user_plane);
    assert_eq!(view.imeisv.as_deref(), Some("4901542032375101"));

    network.go_idle(&mut phone);
    let update = SmContextUpdate::Deactivate;
    assert_eq!(network.to_smf[2], SmfRequest::UpdateSmContext { context, update });
    assert!(network.events.contains(&Event::UeIdle { supi: phone.supi() }));
    let transfer = AmfRequest::N1N2MessageTransfer { supi: phone.supi(), session: psi, n1_sm: None, n2_sm: None };
    assert_eq!(network.request(transfer), Err(AmfProblem::UeIdle));

    let request = phone.service_request(ServiceType::Data, &[5]);
    network.initial(&mut phone, request);
    let (_, _, setup) = &network.sent[0];
    assert_eq!(setup.kind(), Kind::Initiating_InitialContextSetup);
    let sessions = setup.ie::<ie::PDUSessionResourceSetupListCxtReq>().unwrap().unwrap();
    assert_eq!(sessions.0[0].pdu_session_id, PDUSessionID(5));
    let accept = gmm!(network.downlink(&mut phone), ServiceAccept);
    assert_eq!(accept.pdu_session_status.unwrap().active_sessions(), [5]);
    assert_eq!(accept.pdu_session_reactivation_result.unwrap().failed_sessions(), [0u8; 0]);
    let item = PDUSessionResourceSetupItemCxtRes::new(PDUSessionID(5), vec![0xCC].into(), None);
    let response = build_ngap!(
        SuccessfulOutcome,
        InitialContextSetup,
        InitialContextSetupResponse,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
        PDUSessionResourceSetupListCxtRes(PDUSessionResourceSetupListCxtRes(vec![item])),
    );
    network.gnb_sends(GNB, &response.unwrap());
    let update = SmContextUpdate::SetupResponse(vec![0xCC]);
    assert_eq!(network.to_smf.last(), Some(&SmfRequest::UpdateSmContext { context, update }));

    let request = phone.deregistration(false);
    let request = phone.protected(request);
    network.uplink(&phone, request);
    gmm!(network.downlink(&mut phone), DeregistrationAcceptUeOriginating);
    assert_eq!(network.expect_release(&mut phone), Cause::nas(CauseNas::deregister));
    assert!(network.to_smf.contains(&SmfRequest::ReleaseSmContext { context }));
    assert_eq!(network.stored.last(), Some(&StoreOp::RemoveUe { supi: phone.supi() }));
    assert!(network.events.contains(&Event::UeDeregistered { supi: phone.supi(), by_network: false }));
    assert!(!network.amf.ue(&phone.supi()).unwrap().registered);
}
