//! Ways into the network functions and into the user plane's PFCP peer, with everything behind them.
//!
//! An input is a row of messages, each behind its length in two octets. Before it, two phones on two gNBs have a session;
//! what one sends is no affair of the other, and that is what is checked after it.

use coeur_ran::ue::RegistrationKind;
use coeur_sim::{Faults, Settings, World};
use std::time::Duration;

/// Messages of one input.
const MESSAGES_MAX: usize = 32;

pub(crate) fn ngap(octets: &[u8]) {
    let mut world = attached();
    for (index, message) in messages(octets).enumerate() {
        world.inject_ngap(0, index as u16 % 2, message);
        world.run_for(Duration::from_millis(10));
    }
    settle(world);
}

pub(crate) fn nas(octets: &[u8]) {
    let mut world = attached();
    for message in messages(octets) {
        world.inject_nas(0, message);
        world.run_for(Duration::from_millis(10));
    }
    settle(world);
}

pub(crate) fn nas_first(octets: &[u8]) {
    let mut world = attached();
    for message in messages(octets) {
        world.inject_nas(2, message);
        world.run_for(Duration::from_millis(10));
    }
    settle(world);
}

pub(crate) fn smf_pfcp(octets: &[u8]) {
    let mut world = attached();
    for message in messages(octets) {
        world.inject_to_smf(message);
        world.run_for(Duration::from_millis(10));
    }
    world.run_for(Duration::from_secs(60));
}

pub(crate) fn upf_pfcp(octets: &[u8]) {
    let mut world = attached();
    for message in messages(octets) {
        world.inject_to_upf(message);
        world.run_for(Duration::from_millis(10));
    }
    world.run_for(Duration::from_secs(60));
}

/// Phones 0 and 1 with a session each, on two gNBs; phone 2 on the first gNB, off.
fn attached() -> World {
    let mut world = World::new(Settings { seed: 1, gnbs: 2, ues: 3, faults: Faults::default() });
    world.run_for(Duration::from_secs(2));
    for ue in [0, 1] {
        world.register(ue, RegistrationKind::Initial);
        world.establish(ue, 1);
    }
    world.run_for(Duration::from_secs(1));
    assert!(world.sessions(0) == 1 && world.sessions(1) == 1, "the phones are attached");
    world
}

/// Lets every timer run out, then looks at the phone that had nothing to do with it.
fn settle(mut world: World) {
    world.run_for(Duration::from_secs(120));
    assert!(world.is_registered(1), "a message on one gNB deregistered a phone on another");
    assert_eq!(world.sessions(1), 1, "a message on one gNB took a session of a phone on another");
    world.request_service(1);
    world.run_for(Duration::from_secs(5));
    assert!(world.is_registered(1) && world.sessions(1) == 1, "the phone was forgotten");
}

/// The messages of an input. A length beyond the end takes what is there.
fn messages(mut octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = octets.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (message, rest) = rest.split_at(length);
        octets = rest;
        Some(message)
    })
    .take(MESSAGES_MAX)
}
