//! Deregistration (TS 24.501, 5.5.2) from both sides.

use crate::gmm;
use crate::network::*;
use crate::phone::Phone;
use coeur_nf::CommandId;
use coeur_nf::event::Event;
use coeur_nf::services::namf::*;
use coeur_nf::services::nsmf::*;
use coeur_nf::services::nudm::UdmRequest;
use coeur_nf::store::StoreOp;
use oxirush_nas::nas_5gs::*;
use oxirush_ngap::ngap::{Cause, CauseNas};
use std::time::Duration;

const COMMAND: CommandId = CommandId(9);

fn registered() -> (Network, Phone) {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.establish(&mut phone, 5);
    (network, phone)
}

fn command(network: &mut Network, phone: &Phone) {
    network.input(AmfInput::Command(COMMAND, AmfCommand::Deregister { supi: phone.supi() }));
}

fn expect_gone(network: &Network, phone: &Phone, by_network: bool) {
    assert!(network.events.contains(&Event::UeDeregistered { supi: phone.supi(), by_network }));
    assert!(network.to_udm.contains(&UdmRequest::DeregisterAmf { supi: phone.supi() }));
    assert!(network.to_smf.contains(&SmfRequest::ReleaseSmContext { context: SmContextId(105) }));
    assert!(network.stored.contains(&StoreOp::RemoveUe { supi: phone.supi() }));
    assert_eq!(network.amf.counts().registered, 0);
    assert_eq!(network.amf.counts().sessions, 0);
}

#[test]
fn switching_off_is_not_answered() {
    let (mut network, mut phone) = registered();
    let request = phone.deregistration(true);
    let request = phone.protected(request);
    network.uplink(&phone, request);
    assert_eq!(network.expect_release(&mut phone), Cause::nas(CauseNas::deregister));
    expect_gone(&network, &phone, false);
}

#[test]
fn deregistration_from_idle_is_verified() {
    let (mut network, mut phone) = registered();
    network.go_idle(&mut phone);
    // Without proof it ends nothing (4.4.4.3).
    let mut forger = Phone::new(2);
    forger.guti = phone.guti;
    let forged = forger.deregistration(false);
    network.initial(&mut forger, Phone::plain(forged));
    gmm!(network.downlink(&mut forger), DeregistrationAcceptUeOriginating);
    network.expect_release(&mut forger);
    assert!(network.amf.ue(&phone.supi()).unwrap().registered);

    let request = phone.deregistration(false);
    let request = phone.initial(request);
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), DeregistrationAcceptUeOriginating);
    network.expect_release(&mut phone);
    expect_gone(&network, &phone, false);
}

#[test]
fn the_network_deregisters_a_connected_phone() {
    let (mut network, mut phone) = registered();
    command(&mut network, &phone);
    let request = gmm!(network.downlink(&mut phone), DeregistrationRequestUeTerminated);
    assert!(!request.de_registration_type.re_registration_required());
    assert!(network.commands.is_empty());
    let accept = phone.protected(NasDeregistrationAcceptUeTerminated::new());
    network.uplink(&phone, accept);
    assert_eq!(network.commands, [(COMMAND, Ok(()))]);
    network.expect_release(&mut phone);
    expect_gone(&network, &phone, true);
}

#[test]
fn a_phone_that_does_not_answer_is_deregistered_after_five_t3522() {
    let (mut network, mut phone) = registered();
    command(&mut network, &phone);
    for _ in 0..5 {
        gmm!(network.downlink(&mut phone), DeregistrationRequestUeTerminated);
        network.expect_nothing();
        network.pass(Duration::from_secs(6));
    }
    assert_eq!(network.commands, [(COMMAND, Err(AmfCommandError::NoAnswer))]);
    network.expect_release(&mut phone);
    expect_gone(&network, &phone, true);
}

#[test]
fn both_sides_at_once_end_in_deregistration() {
    let (mut network, mut phone) = registered();
    command(&mut network, &phone);
    gmm!(network.downlink(&mut phone), DeregistrationRequestUeTerminated);
    // 5.5.2.3.5 b)
    let request = phone.deregistration(false);
    let request = phone.protected(request);
    network.uplink(&phone, request);
    assert_eq!(network.commands, [(COMMAND, Ok(()))]);
    gmm!(network.downlink(&mut phone), DeregistrationAcceptUeOriginating);
    network.expect_release(&mut phone);
    expect_gone(&network, &phone, false);
}

#[test]
fn an_idle_phone_is_deregistered_without_it() {
    let (mut network, mut phone) = registered();
    network.go_idle(&mut phone);
    command(&mut network, &phone);
    assert_eq!(network.commands, [(COMMAND, Ok(()))]);
    network.expect_nothing();
    expect_gone(&network, &phone, true);
    command(&mut network, &phone);
    assert_eq!(network.commands[1], (COMMAND, Err(AmfCommandError::NotRegistered)));
}

#[test]
fn a_connection_that_goes_ends_the_procedure() {
    let (mut network, mut phone) = registered();
    command(&mut network, &phone);
    gmm!(network.downlink(&mut phone), DeregistrationRequestUeTerminated);
    network.input(AmfInput::N2(N2Event::Down { association: GNB }));
    assert_eq!(network.commands, [(COMMAND, Err(AmfCommandError::NoAnswer))]);
    expect_gone(&network, &phone, true);
}

#[test]
fn a_withdrawn_subscription_leaves_nothing() {
    for connected in [true, false] {
        let (mut network, mut phone) = registered();
        if !connected {
            network.go_idle(&mut phone);
        }
        let withdrawn = AmfRequest::SubscriptionWithdrawn { supi: phone.supi() };
        assert_eq!(network.request(withdrawn.clone()), Ok(AmfResponse::Done));
        if connected {
            let request = gmm!(network.downlink(&mut phone), DeregistrationRequestUeTerminated);
            assert_eq!(request.fgmm_cause.unwrap().cause(), Some(GmmCause::FiveGsServicesNotAllowed));
            let accept = phone.protected(NasDeregistrationAcceptUeTerminated::new());
            network.uplink(&phone, accept);
            network.expect_release(&mut phone);
        }
        expect_gone(&network, &phone, true);
        assert!(network.amf.ue(&phone.supi()).is_none(), "not even its keys");
        assert_eq!(network.request(withdrawn), Err(AmfProblem::ContextNotFound));
    }
}

#[test]
fn the_operator_may_end_a_connection() {
    let (mut network, mut phone) = registered();
    let release = |supi| AmfInput::Command(COMMAND, AmfCommand::ReleaseConnection { supi });
    network.input(release(phone.supi()));
    network.expect_release(&mut phone);
    network.input(release(phone.supi()));
    network.input(release("001019999999999".parse().unwrap()));
    let results: Vec<_> = network.commands.iter().map(|(_, result)| result.clone()).collect();
    assert_eq!(results, [Ok(()), Err(AmfCommandError::NotConnected), Err(AmfCommandError::NotRegistered)]);
    assert!(network.amf.ue(&phone.supi()).unwrap().registered);
}
