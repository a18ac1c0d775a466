//! Ways into the UDM: what a phone sends before anybody knows who it is.

use crate::world::{Clock, Seeded, config};
use coeur_model::{Secret, Suci, Supi};
use coeur_nf::services::nausf::{Identity, Resynchronisation};
use coeur_nf::services::nudm::{UdmConsumer, UdmInput, UdmOutput, UdmRequest};
use coeur_nf::store::{AuthenticationSubscription, StoreOp, StoreReply};
use coeur_nf::{ExchangeId, NetworkFunction};
use coeur_udm::Udm;

pub(crate) fn suci(octets: &[u8]) {
    ask(Identity::Suci(Suci::from_nas_octets(octets.to_vec())), None);
}

pub(crate) fn auts(octets: &[u8]) {
    let mut rand = [0; 16];
    let mut auts = [0; 14];
    for (to, from) in rand.iter_mut().chain(&mut auts).zip(octets) {
        *to = *from;
    }
    let supi = Supi::from_imsi("001010000000001").expect("fifteen digits");
    ask(Identity::Supi(supi), Some(Resynchronisation { rand, auts }));
}

/// One request, with a store that knows everybody: it must end in exactly one answer.
fn ask(identity: Identity, resynchronisation: Option<Resynchronisation>) {
    let (clock, mut entropy) = (Clock::default(), Seeded::default());
    let mut udm = Udm::new(&config()).expect("the configuration has usable keys");
    let serving_network_name = config().plmn.serving_network_name();
    let request = UdmRequest::GenerateAuthData { identity, serving_network_name, resynchronisation };
    let mut inputs = vec![UdmInput::Request(UdmConsumer::Ausf, ExchangeId(1), request)];
    let mut answers = 0;
    while let Some(input) = inputs.pop() {
        let mut out = Vec::new();
        udm.handle(&mut clock.env(&mut entropy), input, &mut out);
        for output in out {
            match output {
                UdmOutput::Respond(..) => answers += 1,
                UdmOutput::Store(token, op) => inputs.push(UdmInput::Stored(token, Ok(stored(&op)))),
                UdmOutput::NotifyDeregistration(_) => unreachable!("nobody was removed"),
            }
        }
    }
    assert_eq!(answers, 1, "a request has one answer");
}

fn stored(op: &StoreOp) -> StoreReply {
    match op {
        StoreOp::ReserveSqn { .. } | StoreOp::ResynchroniseSqn { .. } | StoreOp::ReadAuthentication { .. } => {
            let subscription = AuthenticationSubscription {
                k: Secret::new([1; 16]),
                opc: Secret::new([2; 16]),
                amf: [0x80, 0],
                sqn: 32,
            };
            StoreReply::Authentication(Box::new(subscription))
        }
        _ => StoreReply::Done,
    }
}
