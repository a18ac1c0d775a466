//! What no peer can do: make the SMF panic, leave its tables at odds with each other, or touch another phone's session.

use crate::testing::*;
use crate::{SessionState, SessionView};
use coeur_nf::Entropy;
use coeur_nf::services::nsmf::{SmContextId, SmContextUpdate, SmfInput, SmfRequest, SmfResponse};
use std::net::SocketAddr;
use std::time::Duration;

const ROUNDS: usize = 4_000;

/// Changes an octet or two, cuts, repeats or lengthens.
fn mutate(seed: &mut Seeded, octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    let entropy: &mut dyn Entropy = seed;
    let [kind, value, high, low, more] = entropy.array();
    let at = usize::from(u16::from_be_bytes([high, low])) % octets.len().max(1);
    match kind % 4 {
        0 => octets.truncate(at),
        1 => octets.extend(octets.clone().get(at..).unwrap_or_default()),
        _ => {
            for (place, value) in [(at, value), (at + usize::from(more % 8), more)] {
                if let Some(octet) = octets.get_mut(place).filter(|_| kind & 0x80 != 0 || place == at) {
                    *octet = value;
                }
            }
        }
    }
    octets
}

fn other(world: &mut World) -> SessionView {
    let request = SmfRequest::CreateSmContext {
        supi: "001010000000002".parse().unwrap(),
        session: session_id(),
        snssai: "1".parse().unwrap(),
        dnn: None,
        n1_sm: establishment_request(""),
    };
    assert!(matches!(world.request(request), Ok(SmfResponse::Created { .. })));
    view_of_other(world).unwrap()
}

fn view_of_other(world: &World) -> Option<SessionView> {
    world.smf.sessions().find(|view| view.supi != supi())
}

fn assert_consistent(world: &World) {
    let smf = &world.smf;
    assert_eq!(smf.by_seid.len(), smf.sessions.len());
    assert_eq!(smf.by_ue.len(), smf.sessions.len() + smf.asking.len());
    for session in smf.sessions.values() {
        assert_eq!(smf.by_seid.get(&session.cp_seid), Some(&session.id));
        assert_eq!(smf.by_ue.get(&(session.supi.clone(), session.session)), Some(&session.id));
    }
    let held: usize = smf.dnns.values().map(|(_, pool)| pool.taken()).sum();
    assert!(held >= smf.sessions().filter(|view| view.state == SessionState::Active).count());
}

#[test]
fn mutated_pfcp_neither_panics_nor_confuses() {
    let mut seed = Seeded(0xF00D);
    let (mut world, _) = World::with_session();
    let requests = world.pfcp.clone();
    // What the user plane answered, and what it may ask.
    let mut corpus: Vec<_> = requests.clone();
    world.upf.silent = true;
    for round in 0..ROUNDS {
        let octets = mutate(&mut seed, &corpus[round % corpus.len()]);
        let sent = world.upf_says(octets.clone());
        if corpus.len() < 64 {
            corpus.extend(sent);
        }
        if round % 50 == 0 {
            world.pass(Duration::from_millis(700));
            let request = World::create_request(None, establishment_request(""));
            world.handle(SmfInput::Request(coeur_nf::ExchangeId(1_000 + round as u64), request));
        }
        assert_consistent(&world);
    }
}

#[test]
fn a_foreigners_pfcp_changes_nothing() {
    let mut seed = Seeded(0xBAD);
    let (mut world, context) = World::with_session();
    let peer: SocketAddr = "192.0.2.66:8805".parse().unwrap();
    let (upf, views) = (world.smf.upf(), world.smf.sessions().collect::<Vec<_>>());
    for octets in world.pfcp.clone() {
        for _ in 0..200 {
            let octets = mutate(&mut seed, &octets);
            world.handle_unsettled(SmfInput::Pfcp { peer, octets });
        }
    }
    assert_eq!((world.smf.upf(), world.smf.sessions().collect::<Vec<_>>()), (upf, views));
    assert!(world.update(context, SmContextUpdate::Deactivate).is_ok());
}

#[test]
fn mutated_n1_and_n2_touch_no_other_phones_session() {
    let mut seed = Seeded(0xCAFE);
    let (mut world, mut context) = World::with_session();
    let before = other(&mut world);
    let n1: Vec<_> =
        ["2e0502d1", "2e0502d4", "2e0502c9 7b000480000d00", "2e0502d62b", "2e0501c1ffff93a17b000480000d00"]
            .map(hex)
            .to_vec();
    for round in 0..ROUNDS {
        let octets = mutate(&mut seed, &n1[round % n1.len()]);
        let update = match round % 5 {
            0 => SmContextUpdate::SetupResponse(mutate(&mut seed, &setup_response())),
            1 => SmContextUpdate::SetupUnsuccessful(octets),
            2 => SmContextUpdate::ReleaseResponse(octets),
            _ => SmContextUpdate::N1(octets),
        };
        let _ = world.update(context, update);
        let begin = mutate(&mut seed, &establishment_request("93a1b17b000780000d0000100000"));
        if let Ok(SmfResponse::Created { context: new }) = world.create_with(begin) {
            context = new;
        }
        assert_consistent(&world);
        if round % 100 == 0 {
            world.pass(Duration::from_secs(90));
        }
    }
    assert_eq!(view_of_other(&world), Some(before));
    assert!(world.update(SmContextId(0), SmContextUpdate::Activate).is_err());
}

#[test]
fn answers_to_nothing_change_nothing() {
    let (mut world, _) = World::with_session();
    let views: Vec<_> = world.smf.sessions().collect();
    let exchange = coeur_nf::ExchangeId(u64::MAX);
    for input in [
        SmfInput::Udm(exchange, Ok(coeur_nf::services::nudm::UdmResponse::Done)),
        SmfInput::Amf(exchange, Err(coeur_nf::services::namf::AmfProblem::ContextNotFound)),
        SmfInput::Stored(coeur_nf::StoreToken(u64::MAX), Ok(coeur_nf::store::StoreReply::Done)),
    ] {
        assert!(world.handle_unsettled(input).is_empty());
    }
    assert_eq!(world.counter("coeur_smf_stray_answers_total", None), 3);
    assert_eq!(world.smf.sessions().collect::<Vec<_>>(), views);
}

#[test]
fn names_and_helps_of_figures_are_those_of_the_house() {
    let (world, _) = World::with_session();
    let mut samples = Vec::new();
    coeur_nf::NetworkFunction::samples(&world.smf, &mut samples);
    assert!(samples.len() > 20);
    for sample in &samples {
        assert!(sample.name.starts_with("coeur_smf_") && sample.help.ends_with('.'), "{sample:?}");
        let counter = matches!(sample.value, coeur_nf::metric::Value::Counter(_));
        assert_eq!(counter, sample.name.ends_with("_total"), "{}", sample.name);
    }
}
