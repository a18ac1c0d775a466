//! Nausf_UEAuthentication_Authenticate, confirmation: RES* against XRES* (TS 33.501, 6.1.3.2, steps 10 to 12).

use crate::{Ausf, AuthContext, Pending};
use coeur_nf::ExchangeId;
use coeur_nf::services::nausf::{AusfOutput, AusfProblem, AusfResponse, AuthContextId};
use coeur_nf::services::nudm::UdmRequest;
use oxirush_security::nas_5gs::{ResStar, XresStar};

impl Ausf {
    /// A context is for one answer: whatever the outcome, it ends here, so nobody guesses twice.
    pub(crate) fn confirm(
        &mut self,
        exchange: ExchangeId,
        context: AuthContextId,
        res_star: Option<[u8; 16]>,
        out: &mut Vec<AusfOutput>,
    ) {
        self.lifetimes.stop(&context);
        let Some(AuthContext { supi, xres_star, kseaf }) = self.contexts.remove(&context) else {
            return self.respond(exchange, Err(AusfProblem::ContextNotFound), out);
        };
        let xres_star = XresStar::new(xres_star.expose());
        // In a time that does not tell where the two differ.
        let success = res_star.is_some_and(|res_star| xres_star.accepts(&ResStar::new(&res_star)));
        self.metrics.confirmed(success);
        let answer = match success {
            true => Ok(AusfResponse::Confirmed { supi: supi.clone(), kseaf }),
            false => Err(AusfProblem::AuthenticationFailure),
        };
        self.respond(exchange, answer, out);
        let serving_network_name = self.serving_network_name.clone();
        self.ask_udm(Pending::Confirmation, UdmRequest::ConfirmAuth { supi, serving_network_name, success }, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::*;

    fn confirm(context: AuthContextId, res_star: Option<&str>) -> AusfRequest {
        AusfRequest::Confirm { context, res_star: res_star.map(|text| hex(text).try_into().unwrap()) }
    }

    fn context(challenge: &AusfResponse) -> AuthContextId {
        let AusfResponse::Challenge { context, .. } = challenge else { panic!("{challenge:?}") };
        *context
    }

    #[test]
    fn the_right_res_star_gives_supi_and_kseaf_once() {
        let mut fixture = Fixture::new();
        let context = context(&fixture.challenged());
        let outputs = fixture.request(confirm(context, Some(XRES_STAR)));
        let kseaf = Secret::from_hex(KSEAF).unwrap();
        let confirmed = AusfOutput::Respond(ASKED, Ok(AusfResponse::Confirmed { supi: supi(), kseaf }));
        assert_eq!(outputs[0], confirmed);
        let AusfOutput::Udm(exchange, UdmRequest::ConfirmAuth { success: true, .. }) = &outputs[1] else {
            panic!("{outputs:?}")
        };
        assert!(fixture.udm_answers(*exchange, Ok(UdmResponse::Done)).is_empty());

        let again = fixture.responds(confirm(context, Some(XRES_STAR)));
        assert_eq!(again, Err(AusfProblem::ContextNotFound));
        assert!(fixture.ausf.pending.is_empty() && fixture.ausf.next_deadline().is_none());
    }

    #[test]
    fn a_wrong_or_missing_res_star_fails_and_ends_the_context() {
        let wrong = XRES_STAR.replace("5cc9", "5cc8");
        for res_star in [Some(wrong.as_str()), None] {
            let mut fixture = Fixture::new();
            let context = context(&fixture.challenged());
            let outputs = fixture.request(confirm(context, res_star));
            assert_eq!(outputs[0], AusfOutput::Respond(ASKED, Err(AusfProblem::AuthenticationFailure)));
            let told = UdmRequest::ConfirmAuth { supi: supi(), serving_network_name: SNN.into(), success: false };
            assert!(matches!(&outputs[1], AusfOutput::Udm(_, request) if *request == told));
            assert_eq!(fixture.responds(confirm(context, Some(XRES_STAR))), Err(AusfProblem::ContextNotFound));
        }
    }

    #[test]
    fn a_context_ends_when_the_amf_must_have_given_up() {
        let mut fixture = Fixture::new();
        let context = context(&fixture.challenged());
        // T3560 of 6 s, five times, and the margin.
        assert_eq!(fixture.ausf.next_deadline(), Some(fixture.now + Duration::from_secs(40)));
        fixture.pass(Duration::from_secs(40));
        assert_eq!(fixture.responds(confirm(context, Some(XRES_STAR))), Err(AusfProblem::ContextNotFound));
    }

    #[test]
    fn contexts_do_not_touch_each_other() {
        let mut fixture = Fixture::new();
        let (first, second) = (context(&fixture.challenged()), context(&fixture.challenged()));
        fixture.request(confirm(first, None));
        let outputs = fixture.request(confirm(second, Some(XRES_STAR)));
        assert!(matches!(outputs[0], AusfOutput::Respond(_, Ok(AusfResponse::Confirmed { .. }))));
    }
}
