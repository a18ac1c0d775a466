//! Nothing that a network sends makes a model panic, or breaks what it can do afterwards.

use crate::amf::{Amf, gnb_config};
use crate::network::{Script, establishment_accept};
use coeur_ran::gnb::{self, Gnb};
use coeur_ran::ue::{Event, Input, RegistrationKind};
use oxirush_nas::nas_5gs::*;
use proptest::prelude::*;
use std::time::Instant;

/// How far a UE has come.
fn at(stage: u8) -> Script {
    let mut script = Script::new();
    if stage == 0 {
        script.handle(Input::Register(RegistrationKind::Initial));
    } else {
        script.register();
        if stage > 1 {
            script.establish(1);
        }
        if stage > 2 {
            let session = coeur_ran::ue::SessionRequest { psi: 2, dnn: None, slice: None };
            script.handle(Input::EstablishSession(session));
        }
    }
    script
}

/// Messages of the network that something can be changed in.
fn messages() -> Vec<Vec<u8>> {
    let mut network = crate::network::Network::new(crate::network::IMSI);
    let sm = |message: Nas5gsMessage| {
        let container = NasPayloadContainer::from_n1_sm_message(&message).unwrap();
        let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
        crate::network::plain(NasDlNasTransport::new(kind, container))
    };
    let cause = NasFGsmCause::from_cause(GsmCause::NetworkFailure);
    vec![
        network.challenge(),
        crate::network::plain(network.accept_message()),
        crate::network::plain(NasRegistrationReject::new(NasFGmmCause::new(22))),
        crate::network::plain(NasServiceAccept::new()),
        crate::network::plain(NasConfigurationUpdateCommand::new()),
        crate::network::plain(NasDeregistrationRequestUeTerminated::new(NasDeRegistrationType::new(1))),
        sm(Nas5gsMessage::new_5gsm(establishment_accept([10, 45, 0, 2]), 2, 2)),
        sm(Nas5gsMessage::new_5gsm(NasPduSessionReleaseCommand::new(cause), 1, 0)),
        sm(Nas5gsMessage::new_5gsm(NasPduSessionModificationCommand::new(), 1, 0)),
    ]
}

fn change(octets: &mut Vec<u8>, changes: &[(u16, u8)], cut: Option<u16>) {
    for (at, with) in changes {
        let at = usize::from(*at) % octets.len();
        octets[at] ^= with;
    }
    if let Some(cut) = cut {
        octets.truncate(usize::from(cut) % octets.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn octets_to_a_ue(stage in 0u8..4, octets in proptest::collection::vec(any::<u8>(), 0..128), epd in any::<bool>()) {
        let mut script = at(stage);
        let mut octets = octets;
        if epd && octets.len() > 1 {
            octets[0] = 0x7E;
            octets[1] &= 0x07;
        }
        script.receive(&octets);
        let registered = script.events.iter().any(|event| matches!(event, Event::Registered { .. }));
        prop_assert!(!registered);
    }

    /// The same under a right MAC: a core with a fault of its own.
    #[test]
    fn authentic_octets_to_a_ue(
        stage in 1u8..4,
        which in 0usize..9,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<u16>()),
    ) {
        let mut script = at(stage);
        let mut octets = messages().swap_remove(which);
        change(&mut octets, &changes, cut);
        let octets = script.network.protect_opaque(octets);
        script.receive(&octets);
        // Whatever it was, the UE answers what comes next.
        let suci = NasFGsIdentityType::from_identity_type(MobileIdentityType::Suci).unwrap();
        let request = script.network.protect(NasIdentityRequest::new(suci));
        script.sent.clear();
        if script.ue.is_connected() {
            script.receive(&request);
            prop_assert_eq!(script.sent.len(), 1);
        }
    }

    #[test]
    fn octets_to_a_gnb(octets in proptest::collection::vec(any::<u8>(), 0..256)) {
        let mut gnb = Gnb::new(gnb_config(1));
        let now = Instant::now();
        let mut out = Vec::new();
        gnb.handle(now, gnb::Input::Up { streams: 8 }, &mut out);
        gnb.handle(now, gnb::Input::Ngap(&octets), &mut out);
        prop_assert!(!gnb.is_ready());
    }

    /// What a real AMF says, changed in a few octets.
    #[test]
    fn changed_ngap_to_a_ran(
        nth in 0u32..8,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..5),
        cut in proptest::option::of(any::<u16>()),
    ) {
        let mut amf = Amf::new();
        amf.tamper = Some(Box::new(move |count, octets| {
            if count == nth {
                change(octets, &changes, cut);
            }
        }));
        amf.attach_one();
    }
}
