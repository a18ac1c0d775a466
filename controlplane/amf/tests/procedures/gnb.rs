//! The gNB's side: NG Setup, configuration update, reset, error indication, contexts that fail (TS 38.413).

use crate::gmm;
use crate::network::*;
use crate::phone::Phone;
use coeur_nf::event::Event;
use coeur_nf::services::namf::*;
use coeur_nf::services::nsmf::*;
use oxirush_nas::nas_5gs::{GmmCause, RegistrationType, ServiceType};
use oxirush_ngap::NgapPduKind as Kind;
use oxirush_ngap::helpers::*;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{build_ngap, ie};
use std::time::Duration;

fn up(network: &mut Network, association: coeur_nf::AssociationId, last: u8) {
    network.input(AmfInput::N2(N2Event::Up { association, peer: ([10, 0, 0, last], 38412).into() }));
}

fn failure_cause(network: &mut Network) -> Cause {
    let failure = network.expect(Kind::Unsuccessful_NGSetup);
    failure.ie::<ie::Cause>().unwrap().unwrap()
}

#[test]
fn ng_setup_is_answered_with_what_the_core_serves() {
    let mut network = Network::without_gnb();
    network.connect_gnb(GNB, 7);
    let response = network.expect(Kind::Successful_NGSetup);
    assert_eq!(response.ie::<ie::AMFName>().unwrap().unwrap().0, "coeur");
    let plmns = response.ie::<ie::PLMNSupportList>().unwrap().unwrap();
    assert_eq!(plmns.0[0].slice_support_list.0.len(), 2);
    let gnb = network.amf.gnbs().next().unwrap();
    assert_eq!((gnb.id.id, gnb.id.bits, gnb.name.as_str(), gnb.tacs.len()), (7, 24, "gnb", 1));
    assert!(matches!(&network.events[..], [Event::GnbConnected { .. }]));
}

#[test]
fn ng_setup_refusals_have_their_causes() {
    for (plmn, tac, slices, cause) in [
        ("00102", [0, 0, 1], &[1][..], Cause::misc(CauseMisc::unknown_PLMN_or_SNPN)),
        ("00101", [0, 0, 9], &[1], Cause::misc(CauseMisc::unspecified)),
        ("00101", [0, 0, 1], &[7], Cause::radioNetwork(CauseRadioNetwork::slice_not_supported)),
    ] {
        let mut network = Network::without_gnb();
        up(&mut network, GNB, 1);
        network.gnb_sends(GNB, &setup_request(1, plmn, tac, slices));
        assert_eq!(failure_cause(&mut network), cause);
        assert!(matches!(&network.events[..], [Event::GnbRefused { .. }]));
        // It may try again with another configuration.
        network.gnb_sends(GNB, &setup_request(1, "00101", [0, 0, 1], &[1]));
        network.expect(Kind::Successful_NGSetup);
    }
}

#[test]
fn a_third_gnb_exceeds_the_limit_of_two() {
    let mut network = Network::new();
    network.connect_gnb(OTHER_GNB, 2);
    network.expect(Kind::Successful_NGSetup);
    network.connect_gnb(coeur_nf::AssociationId(3), 3);
    assert_eq!(failure_cause(&mut network), Cause::misc(CauseMisc::control_processing_overload));
}

#[test]
fn a_gnb_id_in_use_at_another_address_is_refused_and_a_restarted_gnb_is_not() {
    let mut network = Network::new();
    up(&mut network, OTHER_GNB, 99);
    network.gnb_sends(OTHER_GNB, &setup_request(1, "00101", [0, 0, 1], &[1]));
    assert_eq!(failure_cause(&mut network), Cause::misc(CauseMisc::unspecified));
    assert_eq!(network.amf.counts().gnbs, 1);

    let mut phone = Phone::new(1);
    network.register(&mut phone);
    network.connect_gnb(coeur_nf::AssociationId(3), 1);
    network.expect(Kind::Successful_NGSetup);
    assert_eq!(network.closed, [GNB]);
    assert_eq!((network.amf.counts().gnbs, network.amf.counts().connected), (1, 0));
}

#[test]
fn an_association_that_never_sets_up_is_one_of_few() {
    let mut network = Network::without_gnb();
    for number in 0..65 {
        up(&mut network, coeur_nf::AssociationId(number), 1);
    }
    assert_eq!(network.closed, [coeur_nf::AssociationId(64)]);
}

#[test]
fn ng_setup_without_its_mandatory_ies_names_them() {
    let mut network = Network::without_gnb();
    up(&mut network, GNB, 1);
    let request = build_ngap!(InitiatingMessage, NGSetup, NGSetupRequest, DefaultPagingDRX(PagingDRX::v128),);
    network.gnb_sends(GNB, &request.unwrap());
    let failure = network.expect(Kind::Unsuccessful_NGSetup);
    let cause = failure.ie::<ie::Cause>().unwrap().unwrap();
    assert_eq!(cause, Cause::protocol(CauseProtocol::abstract_syntax_error_reject));
    let diagnostics = failure.ie::<ie::CriticalityDiagnostics>().unwrap().unwrap();
    assert_eq!(diagnostics.ies_criticality_diagnostics.unwrap().0.len(), 2);
}

#[test]
fn an_optional_ie_that_does_not_decode_spoils_nothing() {
    let mut network = Network::without_gnb();
    up(&mut network, GNB, 1);
    let pdu = setup_request(1, "00101", [0, 0, 1], &[1]);
    let mut request: NGSetupRequest<'_> = pdu.decode_value().unwrap();
    // Extended-RANNodeName (IE 273) of criticality ignore, with octets that are none.
    request.protocol_ies.0.push(ProtocolIEField::new(ProtocolIEID(273), Criticality::ignore, vec![0xFF, 0xFF].into()));
    let pdu = NGAP_PDU::of_message(&request, Criticality::reject).unwrap();
    network.gnb_sends(GNB, &pdu);
    network.expect(Kind::Successful_NGSetup);
}

#[test]
fn a_configuration_update_is_taken_or_refused_whole() {
    let mut network = Network::new();
    let update = |tac: [u8; 3]| {
        let setup = setup_request(1, "00101", tac, &[1]);
        let areas = setup.ie::<ie::SupportedTAList>().unwrap().unwrap();
        build_ngap!(
            InitiatingMessage,
            RANConfigurationUpdate,
            RANConfigurationUpdate,
            RANNodeName("renamed"),
            SupportedTAList(areas),
        )
        .unwrap()
    };
    network.gnb_sends(GNB, &update([0, 0, 2]));
    network.expect(Kind::Successful_RANConfigurationUpdate);
    let gnb = network.amf.gnbs().next().unwrap();
    assert_eq!((gnb.name.as_str(), gnb.tacs[0].get()), ("renamed", 2));
    network.gnb_sends(GNB, &update([0, 0, 9]));
    network.expect(Kind::Unsuccessful_RANConfigurationUpdate);
    assert_eq!(network.amf.gnbs().next().unwrap().tacs[0].get(), 2);
}

#[test]
fn ng_reset_of_all_leaves_every_phone_idle_and_registered() {
    let mut network = Network::new();
    let (mut one, mut other) = (Phone::new(1), Phone::new(2));
    network.register(&mut one);
    network.establish(&mut one, 5);
    network.register(&mut other);
    let reset = build_ngap!(
        InitiatingMessage,
        NGReset,
        NGReset,
        Cause(Cause::misc(CauseMisc::hardware_failure)),
        ResetType(ResetType::nG_Interface(ResetAll::reset_all)),
    );
    network.gnb_sends(GNB, &reset.unwrap());
    network.expect(Kind::Successful_NGReset);
    let counts = network.amf.counts();
    assert_eq!((counts.registered, counts.connected, counts.gnbs), (2, 0, 1));
    let context = SmContextId(105);
    let update = SmContextUpdate::Deactivate;
    assert_eq!(network.to_smf.last(), Some(&SmfRequest::UpdateSmContext { context, update }));
}

#[test]
fn ng_reset_of_a_part_touches_that_part_of_that_gnb_alone() {
    let mut network = Network::new();
    network.connect_gnb(OTHER_GNB, 2);
    network.sent.clear();
    let (mut one, mut other) = (Phone::new(1), Phone::new(2));
    network.register(&mut one);
    network.register(&mut other);
    let reset = |amf: Option<u64>, ran: Option<u32>| {
        let item = UEAssociatedLogicalNGConnectionItem::new(amf.map(AMFUENGAPID), ran.map(RANUENGAPID), None);
        build_ngap!(
            InitiatingMessage,
            NGReset,
            NGReset,
            Cause(Cause::misc(CauseMisc::hardware_failure)),
            ResetType(ResetType::partOfNG_Interface(UEAssociatedLogicalNGConnectionList(vec![item]))),
        )
        .unwrap()
    };
    // Another gNB names a phone that is not its own, and one that is nobody's.
    network.gnb_sends(OTHER_GNB, &reset(one.amf_id, Some(one.ran_id)));
    network.expect(Kind::Successful_NGReset);
    network.gnb_sends(GNB, &reset(one.amf_id, Some(424_242)));
    let acknowledge = network.expect(Kind::Successful_NGReset);
    assert!(acknowledge.ie::<ie::UE_associatedLogicalNG_connectionList>().is_some());
    assert_eq!(network.amf.counts().connected, 2);
    network.gnb_sends(GNB, &reset(None, Some(one.ran_id)));
    assert_eq!(network.amf.counts().connected, 1);
    assert!(network.amf.ue(&other.supi()).unwrap().connected);
}

#[test]
fn what_is_no_ngap_is_a_transfer_syntax_error() {
    let mut network = Network::new();
    for octets in [vec![], vec![0xFF], vec![0x00, 0x15, 0x00], vec![0; 200_000]] {
        network.n2(GNB, octets);
        let cause = network.expect_error_indication();
        assert_eq!(cause, Cause::protocol(CauseProtocol::transfer_syntax_error));
    }
}

#[test]
fn nothing_comes_before_ng_setup() {
    let (mut network, mut phone) = (Network::without_gnb(), Phone::new(1));
    up(&mut network, GNB, 1);
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    let cause = network.expect_error_indication();
    assert_eq!(cause, Cause::protocol(CauseProtocol::message_not_compatible_with_receiver_state));
}

#[test]
fn a_gnb_cannot_speak_for_a_phone_of_another_gnb() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.connect_gnb(OTHER_GNB, 2);
    network.sent.clear();
    network.register(&mut phone);
    phone.association = OTHER_GNB;
    network.release_request(&phone);
    let unknown = Cause::radioNetwork(CauseRadioNetwork::unknown_local_UE_NGAP_ID);
    assert_eq!(network.expect_error_indication(), unknown);
    network.uplink(&phone, vec![0x7E, 0, 0x41]);
    assert_eq!(network.expect_error_indication(), unknown);
    assert!(network.amf.ue(&phone.supi()).unwrap().connected);
    // TS 38.413, 10.5: an Error Indication is not answered, and ends nothing of another gNB.
    let indication = build_ngap!(
        InitiatingMessage,
        ErrorIndication,
        ErrorIndication,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
        Cause(unknown),
    );
    network.gnb_sends(OTHER_GNB, &indication.unwrap());
    network.expect_nothing();
    assert!(network.amf.ue(&phone.supi()).unwrap().connected);
}

#[test]
fn an_inconsistent_pair_of_names_ends_that_connection() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    phone.ran_id += 1;
    network.release_request(&phone);
    let inconsistent = Cause::radioNetwork(CauseRadioNetwork::inconsistent_remote_UE_NGAP_ID);
    assert_eq!(network.expect_error_indication(), inconsistent);
    let view = network.amf.ue(&phone.supi()).unwrap();
    assert!(view.registered && !view.connected, "TS 38.413, 10.6");
}

#[test]
fn handover_and_path_switch_are_refused_by_their_failure_messages() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let request = build_ngap!(
        InitiatingMessage,
        HandoverPreparation,
        HandoverRequired,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
        HandoverType(HandoverType::intra5gs),
        Cause(Cause::radioNetwork(CauseRadioNetwork::handover_desirable_for_radio_reason)),
        TargetID(TargetID::targetRANNodeID(TargetRANNodeID::new(
            GlobalRANNodeID::globalGNB_ID(global_gnb_id(plmn("001", "01").unwrap(), 2, 24).unwrap()),
            tai(plmn("001", "01").unwrap(), [0, 0, 1]),
            None,
        ))),
        PDUSessionResourceListHORqd(PDUSessionResourceListHORqd(vec![PDUSessionResourceItemHORqd::new(
            PDUSessionID(5),
            vec![0].into(),
            None,
        )])),
        SourceToTarget_TransparentContainer(SourceToTargetTransparentContainer(vec![0].into())),
    );
    network.gnb_sends(GNB, &request.unwrap());
    network.expect(Kind::Unsuccessful_HandoverPreparation);

    let cell = nr_cgi(plmn("001", "01").unwrap(), 1, 24, 1).unwrap();
    let location = UserLocationInformationNR::new(cell, tai(plmn("001", "01").unwrap(), [0, 0, 1]), None, None);
    let item = PDUSessionResourceToBeSwitchedDLItem::new(PDUSessionID(5), vec![0].into(), None);
    let request = build_ngap!(
        InitiatingMessage,
        PathSwitchRequest,
        PathSwitchRequest,
        RAN_UE_NGAP_ID(9u32),
        SourceAMF_UE_NGAP_ID(AMFUENGAPID(phone.amf_id.unwrap())),
        UserLocationInformation(UserLocationInformation::userLocationInformationNR(location)),
        UESecurityCapabilities(ue_security_capabilities(0xE0, 0xE0)),
        PDUSessionResourceToBeSwitchedDLList(PDUSessionResourceToBeSwitchedDLList(vec![item])),
    );
    network.gnb_sends(GNB, &request.unwrap());
    let failure = network.expect(Kind::Unsuccessful_PathSwitchRequest);
    let sessions = failure.ie::<ie::PDUSessionResourceReleasedListPSFail>().unwrap().unwrap();
    assert_eq!(sessions.0[0].pdu_session_id, PDUSessionID(5));
}

#[test]
fn messages_that_only_an_amf_sends_are_refused() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let wrong = build_ngap!(
        InitiatingMessage,
        DownlinkNASTransport,
        DownlinkNASTransport,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
        NAS_PDU(vec![0x7E]),
    );
    network.gnb_sends(GNB, &wrong.unwrap());
    let cause = network.expect_error_indication();
    assert_eq!(cause, Cause::protocol(CauseProtocol::message_not_compatible_with_receiver_state));
}

#[test]
fn an_unknown_procedure_is_answered_by_its_criticality() {
    let mut network = Network::new();
    // Procedure code 250 in an initiating message of criticality reject, ignore and notify (TS 38.413, 10.3.4.1).
    for (criticality, expected) in [
        (0x00, Some(CauseProtocol::abstract_syntax_error_reject)),
        (0x40, None),
        (0x80, Some(CauseProtocol::abstract_syntax_error_ignore_and_notify)),
    ] {
        network.n2(GNB, vec![0x00, 250, criticality, 0x03, 0x00, 0x00, 0x00]);
        match expected {
            Some(cause) => assert_eq!(network.expect_error_indication(), Cause::protocol(cause)),
            None => network.expect_nothing(),
        }
    }
}

#[test]
fn a_lost_association_is_a_lost_gnb_and_its_phones_come_back_elsewhere() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.connect_gnb(OTHER_GNB, 2);
    network.sent.clear();
    network.register(&mut phone);
    network.input(AmfInput::N2(N2Event::Down { association: GNB }));
    assert!(network.events.iter().any(|event| matches!(event, Event::GnbLost { .. })));
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial_at(OTHER_GNB, &mut phone, request);
    gmm!(network.downlink(&mut phone), ServiceAccept);
    // What the transport still had of the lost association is nobody's.
    network.n2(GNB, vec![1, 2, 3]);
    network.expect_nothing();
}

#[test]
fn a_gnb_that_cannot_make_a_context_has_no_connection() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register_until_accept(&mut phone);
    let failure = build_ngap!(
        UnsuccessfulOutcome,
        InitialContextSetup,
        InitialContextSetupFailure,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
        Cause(Cause::radioNetwork(CauseRadioNetwork::radio_resources_not_available)),
    );
    network.gnb_sends(GNB, &failure.unwrap());
    network.expect_release(&mut phone);
    assert_eq!(network.counter("coeur_amf_initial_context_setups_total", &[("result", "failure")]), 1);
}

#[test]
fn a_gnb_that_does_not_answer_is_not_waited_for() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register_until_accept(&mut phone);
    network.pass(Duration::from_secs(6));
    gmm!(network.downlink(&mut phone), RegistrationAccept);
    network.pass(Duration::from_secs(4));
    // The release command is not answered either.
    network.expect(Kind::Initiating_UEContextRelease);
    network.pass(Duration::from_secs(10));
    assert_eq!(network.counter("coeur_amf_ue_context_releases_total", &[("cause", "command unanswered")]), 1);
    // An answer that comes after its time is refused like one that nobody asked for.
    let complete = build_ngap!(
        SuccessfulOutcome,
        UEContextRelease,
        UEContextReleaseComplete,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
    );
    network.gnb_sends(GNB, &complete.unwrap());
    network.expect_error_indication();
}

#[test]
fn radio_capabilities_come_back_with_the_next_context() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let info = build_ngap!(
        InitiatingMessage,
        UERadioCapabilityInfoIndication,
        UERadioCapabilityInfoIndication,
        AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
        RAN_UE_NGAP_ID(phone.ran_id),
        UERadioCapability(UERadioCapability(vec![1, 2, 3].into())),
    );
    network.gnb_sends(GNB, &info.unwrap());
    network.go_idle(&mut phone);
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, request);
    let setup = network.expect(Kind::Initiating_InitialContextSetup);
    assert_eq!(setup.ie::<ie::UERadioCapability>().unwrap().unwrap().0.as_slice(), [1, 2, 3]);
}

#[test]
fn a_tracking_area_that_is_not_served_is_refused_with_15() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.registration(RegistrationType::InitialRegistration);
    let cell = nr_cgi(plmn("001", "01").unwrap(), 1, 24, 1).unwrap();
    let location = UserLocationInformationNR::new(cell, tai(plmn("001", "01").unwrap(), [0, 0, 9]), None, None);
    let message = build_ngap!(
        InitiatingMessage,
        InitialUEMessage,
        InitialUEMessage,
        RAN_UE_NGAP_ID(phone.ran_id),
        NAS_PDU(Phone::plain(request)),
        UserLocationInformation(UserLocationInformation::userLocationInformationNR(location)),
        RRCEstablishmentCause(RRCEstablishmentCause::mo_Signalling),
    );
    network.gnb_sends(GNB, &message.unwrap());
    let reject = gmm!(network.downlink(&mut phone), RegistrationReject);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::NoSuitableCellsInTrackingArea));
}
