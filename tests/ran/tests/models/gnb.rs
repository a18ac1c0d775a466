//! TS 38.413: what a gNB sends by itself, and how it answers what is wrong.

use crate::amf::gnb_config;
use crate::core::{downlink, release, set_up_response};
use coeur_ran::Violation;
use coeur_ran::gnb::{Event, Gnb, Input, Output};
use coeur_ran::ue::EstablishmentCause;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{NgapPduKind, build_ngap, extract_ngap_ies};
use std::time::{Duration, Instant};

struct Script {
    gnb: Gnb,
    now: Instant,
    events: Vec<Event>,
    sent: Vec<(u16, Vec<u8>)>,
    others: Vec<Output>,
}

impl Script {
    fn new() -> Self {
        let (gnb, now) = (Gnb::new(gnb_config(1)), Instant::now());
        let mut script = Self { gnb, now, events: Vec::new(), sent: Vec::new(), others: Vec::new() };
        script.handle(Input::Up { streams: 4 });
        script
    }

    fn ready() -> Self {
        let mut script = Self::new();
        script.handle(Input::Ngap(&set_up_response().unwrap()));
        assert_eq!(script.events, [Event::SetupDone { amf: "amf".into() }]);
        script.events.clear();
        script.sent.clear();
        script
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.gnb.handle(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Ngap { stream, octets } => self.sent.push((stream, octets)),
                Output::Event(event) => self.events.push(event),
                other => self.others.push(other),
            }
        }
    }

    fn kinds(&self) -> Vec<NgapPduKind> {
        self.sent.iter().map(|(_, octets)| NGAP_PDU::decode(octets).unwrap().kind()).collect()
    }

    fn connect(&mut self, ue: u32) {
        let cause = EstablishmentCause::MoSignalling;
        self.handle(Input::Initial { ue, nas: vec![0x7E], cause, identity: None });
    }
}

fn encoded(pdu: Result<NGAP_PDU, oxirush_ngap::aper::Error>) -> Vec<u8> {
    pdu.unwrap().encode().unwrap()
}

#[test]
fn ng_setup_says_what_the_gnb_is_and_has_no_deviation() {
    let script = Script::new();
    let [(0, octets)] = &script.sent[..] else { panic!("{:?}", script.sent) };
    let pdu = NGAP_PDU::decode(octets).unwrap();
    assert_eq!(pdu.check().unwrap().len(), 0);
    let read = || -> Result<(String, usize), oxirush_ngap::aper::Error> {
        extract_ngap_ies!(pdu, NGSetupRequest,
            req name: String = RANNodeName(name) => name.0.into_owned(),
            req areas: usize = SupportedTAList(areas) => areas.0.len(),
        );
        Ok((name, areas))
    };
    assert_eq!(read().unwrap(), ("gnb-1".into(), 1));
}

#[test]
fn a_refused_setup_is_tried_again_after_time_to_wait_only() {
    let mut script = Script::new();
    let unknown = || Cause::misc(CauseMisc::unknown_PLMN_or_SNPN);
    let failure =
        build_ngap!(UnsuccessfulOutcome, NGSetup, NGSetupFailure, Cause(unknown()), TimeToWait(TimeToWait::v5s),);
    script.handle(Input::Ngap(&encoded(failure)));
    assert!(matches!(&script.events[..], [Event::SetupFailed { retry: true, .. }]));
    assert_eq!(script.gnb.next_deadline(), Some(script.now + Duration::from_secs(5)));
    let mut out = Vec::new();
    script.gnb.handle_timeout(script.now + Duration::from_secs(5), &mut out);
    assert!(matches!(out[..], [Output::Ngap { stream: 0, .. }]));

    let failure = build_ngap!(UnsuccessfulOutcome, NGSetup, NGSetupFailure, Cause(unknown()),);
    script.handle(Input::Ngap(&encoded(failure)));
    assert!(matches!(script.events.last(), Some(Event::SetupFailed { retry: false, .. })));
    assert_eq!(script.gnb.next_deadline(), None);
}

#[test]
fn ue_associated_signalling_is_never_on_stream_0() {
    let mut script = Script::ready();
    for ue in 0..8 {
        script.connect(ue);
    }
    let streams: Vec<_> = script.sent.iter().map(|(stream, _)| *stream).collect();
    assert_eq!(streams, [2, 3, 1, 2, 3, 1, 2, 3]);
}

#[test]
fn messages_before_setup_and_for_nobody_are_indicated() {
    let mut script = Script::new();
    script.sent.clear();
    script.handle(Input::Ngap(&downlink(1, 1, vec![0x7E]).unwrap()));
    assert_eq!(script.kinds(), [NgapPduKind::Initiating_ErrorIndication]);

    let mut script = Script::ready();
    for octets in [downlink(1, 1, vec![0x7E]).unwrap(), release(1, 1).unwrap()] {
        script.handle(Input::Ngap(&octets));
    }
    assert_eq!(script.kinds(), [const { NgapPduKind::Initiating_ErrorIndication }; 2]);
    assert!(script.events.iter().all(|event| matches!(event, Event::Violation(Violation::UnknownUe { .. }))));
}

#[test]
fn octets_that_are_no_ngap_are_a_transfer_syntax_error() {
    let mut script = Script::ready();
    script.handle(Input::Ngap(&[0xFF; 3]));
    let (_, octets) = &script.sent[0];
    let pdu = NGAP_PDU::decode(octets).unwrap();
    let cause = pdu.ie::<oxirush_ngap::ie::Cause>().transpose().unwrap();
    assert_eq!(cause, Some(Cause::protocol(CauseProtocol::transfer_syntax_error)));
}

#[test]
fn what_is_not_implemented_is_indicated_and_not_passed_over() {
    let mut script = Script::ready();
    script.connect(0);
    script.sent.clear();
    let check = build_ngap!(
        InitiatingMessage,
        UERadioCapabilityCheck,
        UERadioCapabilityCheckRequest,
        AMF_UE_NGAP_ID(1u64),
        RAN_UE_NGAP_ID(1u32),
    );
    script.handle(Input::Ngap(&encoded(check)));
    assert_eq!(script.kinds(), [NgapPduKind::Initiating_ErrorIndication]);
}

#[test]
fn a_reset_of_some_releases_those_and_lists_them() {
    let mut script = Script::ready();
    for ue in 0..3 {
        script.connect(ue);
    }
    script.sent.clear();
    let item = UEAssociatedLogicalNGConnectionItem::new(None, Some(RANUENGAPID(2)), None);
    let reset = build_ngap!(
        InitiatingMessage,
        NGReset,
        NGReset,
        Cause(Cause::misc(CauseMisc::om_intervention)),
        ResetType(ResetType::partOfNG_Interface(UEAssociatedLogicalNGConnectionList(vec![item]))),
    );
    script.handle(Input::Ngap(&encoded(reset)));
    assert_eq!(script.kinds(), [NgapPduKind::Successful_NGReset]);
    assert!(matches!(script.others[..], [Output::Released { ue: 1 }]));
    assert_eq!(script.gnb.ues(), 2);
    script.handle(Input::Reset);
    assert_eq!(script.gnb.ues(), 0);
}

#[test]
fn a_ue_that_the_amf_never_answered_is_dropped_without_a_message() {
    let mut script = Script::ready();
    script.connect(0);
    script.sent.clear();
    script.handle(Input::RequestRelease { ue: 0, cause: coeur_ran::gnb::ReleaseCause::ConnectionLost });
    assert!(script.sent.is_empty());
    assert!(matches!(script.others[..], [Output::Released { ue: 0 }]));
}

#[test]
fn the_gnb_speaks_for_itself() {
    let mut script = Script::ready();
    script.handle(Input::UpdateConfiguration);
    script.handle(Input::IndicateError);
    script.handle(Input::Reset);
    let expected = [
        NgapPduKind::Initiating_RANConfigurationUpdate,
        NgapPduKind::Initiating_ErrorIndication,
        NgapPduKind::Initiating_NGReset,
    ];
    assert_eq!(script.kinds(), expected);
    for (_, octets) in &script.sent {
        let deviations = NGAP_PDU::decode(octets).unwrap().check().unwrap();
        assert_eq!(deviations.len(), 0, "{deviations:?}");
    }
}
