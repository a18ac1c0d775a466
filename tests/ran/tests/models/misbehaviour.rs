//! Each knob does what it says, and only that.

use crate::amf::Amf;
use coeur_ran::Output;
use coeur_ran::misbehave::{Kind, Knob, Misbehaviour};
use coeur_ran::ue::Event;
use oxirush_ngap::NgapPduKind;
use oxirush_ngap::ngap::*;

fn attach(knobs: &[&str], seed: u64) -> Amf {
    let knobs = knobs.iter().map(|knob| knob.parse().unwrap()).collect();
    let mut amf = Amf::misbehaving(Misbehaviour::new(knobs, seed));
    amf.attach_one();
    amf
}

fn kinds(amf: &Amf) -> Vec<Option<NgapPduKind>> {
    amf.uplinks.iter().map(|octets| NGAP_PDU::decode(octets).ok().map(|pdu| pdu.kind())).collect()
}

fn is_registered(amf: &Amf) -> bool {
    amf.ran.ue(0).unwrap().is_registered()
}

#[test]
fn lost_is_lost() {
    let amf = attach(&["lost"], 1);
    assert_eq!(kinds(&amf), [Some(NgapPduKind::Initiating_NGSetup)]);
}

#[test]
fn duplicates_come_twice() {
    let amf = attach(&["duplicate"], 1);
    let initial = Some(NgapPduKind::Initiating_InitialUEMessage);
    assert_eq!(kinds(&amf).into_iter().filter(|kind| *kind == initial).count(), 2);
}

#[test]
fn late_comes_later() {
    let mut amf = attach(&["late"], 1);
    assert_eq!(amf.uplinks.len(), 1);
    amf.wait();
    assert_eq!(kinds(&amf)[1..], [Some(NgapPduKind::Initiating_InitialUEMessage)]);
    // Authentication response, security mode complete; REGISTRATION COMPLETE is on its way when the UE is registered.
    amf.wait();
    amf.wait();
    assert!(is_registered(&amf), "late, and not lost");
}

#[test]
fn a_wrong_mac_and_a_wrong_res_are_wrong_at_the_network() {
    let amf = attach(&["wrong-mac"], 1);
    assert!(amf.errors > 0 && !is_registered(&amf));
    // The scripted AMF does not compare RES*: its keys are right, and those of the UE too.
    let amf = attach(&["wrong-res"], 1);
    assert_eq!(amf.ran.misbehaviour().counts().next().map(|(kind, _)| kind), Some(Kind::WrongResStar));
}

#[test]
fn garbage_truncation_and_unknown_ids_reach_the_network() {
    for knob in ["garbage-nas", "truncated-ngap", "unknown-ids"] {
        let amf = attach(&[knob], 1);
        assert!(!is_registered(&amf), "{knob}");
        assert!(amf.ran.misbehaviour().counts().any(|(kind, _)| kind.name() == knob));
    }
}

#[test]
fn a_ran_that_misbehaves_now_and_then_still_gets_there() {
    let knobs = ["lost=0.1", "duplicate=0.1", "late=0.1", "wrong-mac=0.1", "garbage-nas=0.05"];
    for seed in 0..20 {
        let mut amf = attach(&knobs, seed);
        for _ in 0..200 {
            if is_registered(&amf) {
                break;
            }
            amf.wait();
        }
        let registered =
            amf.outputs.iter().any(|output| matches!(output, Output::Ue { event: Event::Registered { .. }, .. }));
        assert!(registered, "seed {seed}");
    }
}

#[test]
fn the_same_seed_sends_the_same() {
    let knobs = ["lost=0.2", "duplicate=0.3", "out-of-order=0.3", "replay=0.3"];
    assert_eq!(attach(&knobs, 9).uplinks, attach(&knobs, 9).uplinks);
}

#[test]
fn every_kind_can_be_named() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse::<Knob>().unwrap().kind, kind);
    }
}
