//! Nausf_UEAuthentication_Authenticate: the challenge (TS 33.501, 6.1.3.2, steps 1 to 6).

use crate::{Ausf, AuthContext, CONTEXT_MAX, Pending};
use coeur_model::Secret;
use coeur_nf::services::nausf::{AusfOutput, AusfProblem, AusfResponse, AuthContextId, Identity, Resynchronisation};
use coeur_nf::services::nudm::{AuthenticationVector, UdmProblem, UdmRequest, UdmResponse};
use coeur_nf::{Env, ExchangeId};
use oxirush_security::Rand;
use oxirush_security::nas_5gs::{KAusf, XresStar, compute_hxres_star, derive_kseaf};

impl Ausf {
    pub(crate) fn authenticate(
        &mut self,
        exchange: ExchangeId,
        identity: Identity,
        serving_network_name: String,
        resynchronisation: Option<Resynchronisation>,
        out: &mut Vec<AusfOutput>,
    ) {
        self.metrics.requests += 1;
        self.metrics.resynchronisations += u64::from(resynchronisation.is_some());
        // TS 33.501, 6.1.2: the requesting SEAF is entitled to use this serving network name.
        if serving_network_name != self.serving_network_name {
            return self.respond(exchange, Err(AusfProblem::ServingNetworkNotAuthorized), out);
        }
        if self.contexts.len() + self.pending.len() >= CONTEXT_MAX {
            return self.respond(exchange, Err(AusfProblem::Congestion), out);
        }
        let request = UdmRequest::GenerateAuthData { identity, serving_network_name, resynchronisation };
        self.ask_udm(Pending::Vector(exchange), request, out);
    }

    /// Keeps XRES* and KSEAF, gives the SEAF what it may know (6.1.3.2, steps 3 to 5).
    pub(crate) fn challenge(
        &mut self,
        env: &Env<'_>,
        answer: Result<UdmResponse, UdmProblem>,
    ) -> Result<AusfResponse, AusfProblem> {
        let UdmResponse::AuthData(vector) = answer? else {
            return Err(UdmProblem::SystemFailure.into());
        };
        let AuthenticationVector { supi, rand, autn, xres_star, kausf } = *vector;
        let hxres_star = compute_hxres_star(&Rand::new(&rand), &XresStar::new(xres_star.expose()));
        let kseaf = derive_kseaf(&KAusf::new(kausf.expose()), self.serving_network_name.as_bytes())
            .map_err(|_| UdmProblem::SystemFailure)?;
        let kseaf = Secret::new(*kseaf.as_octets());

        self.last_context += 1;
        let context = AuthContextId(self.last_context);
        self.contexts.insert(context, AuthContext { supi, xres_star, kseaf });
        self.lifetimes.start(context, env.now + self.lifetime);
        Ok(AusfResponse::Challenge { context, rand, autn, hxres_star: *hxres_star.as_octets() })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::*;
    use coeur_nf::services::nausf::{Identity, Resynchronisation};

    #[test]
    fn the_challenge_has_hxres_star_and_neither_xres_star_nor_a_key() {
        let mut fixture = Fixture::new();
        let AusfResponse::Challenge { rand, autn, hxres_star, .. } = fixture.challenged() else { panic!() };
        assert_eq!((rand.to_vec(), autn.to_vec()), (hex(RAND), hex(AUTN)));
        assert_eq!(hxres_star.to_vec(), hex(HXRES_STAR));
    }

    #[test]
    fn a_foreign_serving_network_is_not_authorised() {
        for name in ["", "5G:mnc001.mcc001.3gppnetwork.org", "5G:mnc093.mcc208.3gppnetwork.org:", "WLAN"] {
            let mut fixture = Fixture::new();
            let answer = fixture.responds(authenticate(name, None));
            assert_eq!(answer, Err(AusfProblem::ServingNetworkNotAuthorized), "{name:?}");
        }
    }

    #[test]
    fn what_the_udm_refuses_the_amf_learns() {
        for problem in [UdmProblem::UserNotFound, UdmProblem::AuthenticationRejected, UdmProblem::WrongAuts] {
            let mut fixture = Fixture::new();
            let (exchange, _) = fixture.asks_udm(authenticate(SNN, None));
            let answer = fixture.udm_answers(exchange, Err(problem));
            assert_eq!(answer, [AusfOutput::Respond(ASKED, Err(AusfProblem::Udm(problem)))]);
            assert_eq!(fixture.ausf.next_deadline(), None);
        }
    }

    #[test]
    fn resynchronisation_passes_through() {
        let mut fixture = Fixture::new();
        let resynchronisation = Some(Resynchronisation { rand: [1; 16], auts: [2; 14] });
        let (_, request) = fixture.asks_udm(authenticate(SNN, resynchronisation.clone()));
        let (identity, serving_network_name) = (Identity::Supi(supi()), SNN.into());
        assert_eq!(request, UdmRequest::GenerateAuthData { identity, serving_network_name, resynchronisation });
    }

    #[test]
    fn an_answer_of_the_wrong_kind_or_to_nothing_makes_no_context() {
        let mut fixture = Fixture::new();
        let (exchange, _) = fixture.asks_udm(authenticate(SNN, None));
        let answer = fixture.udm_answers(exchange, Ok(UdmResponse::Done));
        let failure = AusfProblem::Udm(UdmProblem::SystemFailure);
        assert_eq!(answer, [AusfOutput::Respond(ASKED, Err(failure))]);
        assert!(fixture.udm_answers(exchange, Ok(vector())).is_empty());
        assert!(fixture.ausf.contexts.is_empty());
    }

    #[test]
    fn attempts_beyond_the_limit_are_congestion_until_one_ends() {
        let mut fixture = Fixture::new();
        let mut last = None;
        for _ in 0..CONTEXT_MAX {
            last = Some(fixture.asks_udm(authenticate(SNN, None)).0);
        }
        assert_eq!(fixture.responds(authenticate(SNN, None)), Err(AusfProblem::Congestion));
        fixture.udm_answers(last.unwrap(), Err(UdmProblem::UserNotFound));
        fixture.asks_udm(authenticate(SNN, None));
    }
}
