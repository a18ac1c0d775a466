//! Nudm_UEAuthentication_Get: the 5G home environment authentication vector (TS 33.501, 6.1.3.2, step 1), and the
//! resynchronisation of the SIM's sequence number (6.1.3.3.2; TS 33.102, 6.3.5).

use crate::{Asker, Step, Udm};
use coeur_model::{Secret, Supi};
use coeur_nf::Env;
use coeur_nf::services::nausf::Resynchronisation;
use coeur_nf::services::nudm::{AuthenticationVector, UdmOutput, UdmProblem, UdmResponse};
use coeur_nf::store::{AuthenticationSubscription, StoreOp};
use oxirush_security::milenage::{Amf, Auts, K, Milenage, Opc, Sqn};
use oxirush_security::nas_5gs::derive_kausf;
use oxirush_security::{Rand, SecurityError};

/// Whom a vector is for, and the network that it is bound to.
pub(crate) struct VectorRequest {
    pub(crate) supi: Supi,
    pub(crate) serving_network_name: String,
}

/// The AMF field says "5G" with its separation bit, its most significant one (TS 33.501, 6.1.3.2; TS 33.102, annex H).
const SEPARATION_BIT: u8 = 0x80;

impl Udm {
    pub(crate) fn generate_auth_data(
        &mut self,
        asker: Asker,
        vector: VectorRequest,
        resynchronisation: Option<Resynchronisation>,
        out: &mut Vec<UdmOutput>,
    ) {
        let supi = vector.supi.clone();
        match resynchronisation {
            None => self.ask_store(asker, Step::Vector(vector), StoreOp::ReserveSqn { supi }, out),
            Some(auts) => {
                self.ask_store(asker, Step::CheckAuts(vector, auts), StoreOp::ReadAuthentication { supi }, out);
            }
        }
    }

    /// TS 33.102, 6.3.5: SQN_MS counts only when MAC-S says that this very SIM sent it, for this very RAND.
    pub(crate) fn check_auts(
        &mut self,
        asker: Asker,
        vector: VectorRequest,
        Resynchronisation { rand, auts }: &Resynchronisation,
        subscription: &AuthenticationSubscription,
        out: &mut Vec<UdmOutput>,
    ) {
        match milenage(subscription).verify_auts(&Rand::new(rand), &Auts::new(auts)) {
            Ok(sqn_ms) => {
                self.metrics.resynchronised += 1;
                let op = StoreOp::ResynchroniseSqn { supi: vector.supi.clone(), sqn_ms: sqn_ms.get() };
                self.ask_store(asker, Step::Vector(vector), op, out);
            }
            Err(_) => self.respond(asker, Err(UdmProblem::WrongAuts), out),
        }
    }

    /// The SQN of `subscription` is committed: it is this vector's alone.
    pub(crate) fn make_vector(
        &mut self,
        env: &mut Env<'_>,
        request: VectorRequest,
        subscription: &AuthenticationSubscription,
    ) -> Result<UdmResponse, UdmProblem> {
        let rand = env.entropy.array();
        let vector = vector(request, rand, subscription).map_err(|_| UdmProblem::SystemFailure)?;
        self.metrics.vectors += 1;
        Ok(UdmResponse::AuthData(Box::new(vector)))
    }
}

/// Fails only for an SQN of more than 48 bits or a serving network name of more than 65,535 octets.
fn vector(
    request: VectorRequest,
    rand: [u8; 16],
    subscription: &AuthenticationSubscription,
) -> Result<AuthenticationVector, SecurityError> {
    let [amf_high, amf_low] = subscription.amf;
    let amf = Amf::new(&[amf_high | SEPARATION_BIT, amf_low]);
    let sqn = Sqn::try_from(subscription.sqn)?;
    let network = request.serving_network_name.as_bytes();
    let av = milenage(subscription).authentication_vector(&Rand::new(&rand), &sqn, &amf);
    let kausf = derive_kausf(av.ck(), av.ik(), network, av.autn())?;
    let xres_star = av.xres_star(network)?;
    Ok(AuthenticationVector {
        supi: request.supi,
        rand,
        autn: *av.autn().as_octets(),
        xres_star: Secret::new(*xres_star.as_octets()),
        kausf: Secret::new(*kausf.as_octets()),
    })
}

fn milenage(subscription: &AuthenticationSubscription) -> Milenage {
    Milenage::new(&K::new(subscription.k.expose()), &Opc::new(subscription.opc.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use coeur_nf::store::StoreReply;

    #[test]
    fn the_vector_is_that_of_ts_35_208_set_1() {
        // K, OPc, RAND, SQN and AMF of the set; KAUSF and XRES* follow with the network name 5G:mnc093.mcc208….
        let request = VectorRequest { supi: supi(), serving_network_name: "5G:mnc093.mcc208.3gppnetwork.org".into() };
        let rand = hex("23553cbe9637a89d218ae64dae47bf35").try_into().unwrap();
        let av = vector(request, rand, &set_1(0xff9b_b4d0_b607)).unwrap();
        assert_eq!(av.autn.to_vec(), hex("55f328b43577b9b94a9ffac354dfafb3"));
        assert_eq!(av.xres_star.expose().to_vec(), hex("5cc9527f4d21c43bee83a15443acf1c4"));
        let kausf = hex("f2e35260f85194d4f891504d02111e56689ac23dd393bee3abbcc5bfbc013ef9");
        assert_eq!(av.kausf.expose().to_vec(), kausf);
    }

    #[test]
    fn a_vector_uses_a_reserved_sqn_fresh_rand_and_the_separation_bit() {
        let mut fixture = Fixture::new("");
        let mut seen = Vec::new();
        for sqn in [32, 64] {
            let (token, op) = fixture.stores(auth_request(None));
            assert_eq!(op, StoreOp::ReserveSqn { supi: supi() });
            let subscription = AuthenticationSubscription { amf: [0, 0], ..set_1(sqn) };
            let answer = fixture.stored(token, Ok(StoreReply::Authentication(Box::new(subscription))));
            let Ok(UdmResponse::AuthData(av)) = answer else { panic!("{answer:?}") };
            let sim = milenage(&set_1(0));
            let response = sim.check_autn(&Rand::new(&av.rand), &oxirush_security::Autn::new(&av.autn)).unwrap();
            assert_eq!((response.sqn().get(), response.amf().separation_bit()), (sqn, true));
            assert_eq!(response.res_star(SNN.as_bytes()).unwrap().as_octets(), av.xres_star.expose());
            seen.push(av.rand);
        }
        assert_ne!(seen[0], seen[1]);
    }

    #[test]
    fn an_sqn_beyond_48_bits_is_a_system_failure() {
        let mut fixture = Fixture::new("");
        let (token, _) = fixture.stores(auth_request(None));
        let reply = Ok(StoreReply::Authentication(Box::new(set_1(1 << 48))));
        assert_eq!(fixture.stored(token, reply), Err(UdmProblem::SystemFailure));
    }

    #[test]
    fn auts_of_the_sim_sets_the_sqn_and_gives_a_new_vector() {
        let mut fixture = Fixture::new("");
        let rand = [0x23; 16];
        let auts = *milenage(&set_1(0)).auts(&Rand::new(&rand), &Sqn::try_from(4096).unwrap()).as_octets();
        let (token, op) = fixture.stores(auth_request(Some(Resynchronisation { rand, auts })));
        assert_eq!(op, StoreOp::ReadAuthentication { supi: supi() });

        let reply = Ok(StoreReply::Authentication(Box::new(set_1(32))));
        let outputs = fixture.handle(coeur_nf::services::nudm::UdmInput::Stored(token, reply));
        let [UdmOutput::Store(token, op)] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(*op, StoreOp::ResynchroniseSqn { supi: supi(), sqn_ms: 4096 });

        let answer = fixture.stored(*token, Ok(StoreReply::Authentication(Box::new(set_1(4128)))));
        assert!(matches!(answer, Ok(UdmResponse::AuthData(_))), "{answer:?}");
    }

    #[test]
    fn a_forged_auts_changes_no_sqn() {
        let rand = [0x23; 16];
        let genuine = *milenage(&set_1(0)).auts(&Rand::new(&rand), &Sqn::try_from(4096).unwrap()).as_octets();
        let mut changed = genuine;
        changed[0] ^= 1;
        for (rand, auts) in [(rand, changed), ([0x24; 16], genuine)] {
            let mut fixture = Fixture::new("");
            let (token, _) = fixture.stores(auth_request(Some(Resynchronisation { rand, auts })));
            let reply = Ok(StoreReply::Authentication(Box::new(set_1(32))));
            assert_eq!(fixture.stored(token, reply), Err(UdmProblem::WrongAuts));
        }
    }
}
