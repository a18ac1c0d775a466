//! The figures of the UDM.

use coeur_nf::metric::Sample;
use coeur_nf::services::nudm::{UdmProblem, UdmRequest};
use oxirush_security::nas_5gs::ProtectionScheme;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Metrics {
    pub(crate) vectors: u64,
    pub(crate) resynchronised: u64,
    pub(crate) withdrawn: u64,
    pub(crate) stray_replies: u64,
    confirmed: [u64; 2],
    requests: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<(&'static str, &'static str), u64>,
    /// By protection scheme identifier: null, profile A, profile B.
    opened: [u64; 3],
    suci_refusals: BTreeMap<&'static str, u64>,
}

/// The operation's name, as a label.
pub(crate) fn operation(request: &UdmRequest) -> &'static str {
    match request {
        UdmRequest::GenerateAuthData { .. } => "ueau_get",
        UdmRequest::ConfirmAuth { .. } => "ueau_result_confirmation",
        UdmRequest::RegisterAmf { .. } => "uecm_registration",
        UdmRequest::DeregisterAmf { .. } => "uecm_deregistration",
        UdmRequest::AccessData { .. } => "sdm_get_access",
        UdmRequest::SessionData { .. } => "sdm_get_session",
    }
}

fn cause(problem: UdmProblem) -> &'static str {
    match problem {
        UdmProblem::UserNotFound => "USER_NOT_FOUND",
        UdmProblem::AuthenticationRejected => "AUTHENTICATION_REJECTED",
        UdmProblem::WrongAuts => "AUTHENTICATION_REJECTED_AUTS",
        UdmProblem::DataNotFound => "DATA_NOT_FOUND",
        UdmProblem::NotSubscribed => "DNN_NOT_SUBSCRIBED",
        UdmProblem::SystemFailure => "SYSTEM_FAILURE",
        UdmProblem::Congestion => "NF_CONGESTION",
    }
}

impl Metrics {
    pub(crate) fn requested(&mut self, operation: &'static str) {
        *self.requests.entry(operation).or_default() += 1;
    }

    pub(crate) fn refused(&mut self, operation: &'static str, problem: UdmProblem) {
        *self.refusals.entry((operation, cause(problem))).or_default() += 1;
    }

    pub(crate) fn authenticated(&mut self, success: bool) {
        self.confirmed[usize::from(success)] += 1;
    }

    pub(crate) fn opened(&mut self, scheme: ProtectionScheme) {
        if let Some(count) = self.opened.get_mut(usize::from(scheme.identifier())) {
            *count += 1;
        }
    }

    pub(crate) fn suci_refused(&mut self, reason: &'static str) {
        *self.suci_refusals.entry(reason).or_default() += 1;
    }

    pub(crate) fn samples(&self, pending: usize, out: &mut Vec<Sample>) {
        for (operation, count) in &self.requests {
            let help = "Requests to the UDM by operation (TS 29.503).";
            out.push(Sample::counter("coeur_udm_requests_total", help, *count).label("operation", *operation));
        }
        for ((operation, cause), count) in &self.refusals {
            let help = "Requests refused by the UDM, by operation and application error (TS 29.503).";
            let sample = Sample::counter("coeur_udm_refusals_total", help, *count);
            out.push(sample.label("operation", *operation).label("cause", *cause));
        }
        for (scheme, count) in ["null", "profile_a", "profile_b"].into_iter().zip(self.opened) {
            let help = "SUCIs de-concealed, by protection scheme (TS 33.501, annex C).";
            out.push(Sample::counter("coeur_udm_sucis_opened_total", help, count).label("scheme", scheme));
        }
        for (reason, count) in &self.suci_refusals {
            let help = "SUCIs that could not be de-concealed, by cause (TS 29.503, 6.3.7.3).";
            out.push(Sample::counter("coeur_udm_suci_refusals_total", help, *count).label("cause", *reason));
        }
        for (result, count) in ["failure", "success"].into_iter().zip(self.confirmed) {
            let help = "Authentication results confirmed by the AUSF (TS 28.552: UDM.AuthReq).";
            out.push(Sample::counter("coeur_udm_authentications_total", help, count).label("result", result));
        }
        for (name, help, count) in [
            ("coeur_udm_vectors_total", "5G home environment authentication vectors made.", self.vectors),
            ("coeur_udm_resynchronisations_total", "Sequence numbers set to a SIM's own.", self.resynchronised),
            ("coeur_udm_withdrawals_total", "Subscriptions withdrawn by the operator.", self.withdrawn),
            ("coeur_udm_stray_replies_total", "Store replies that nothing waited for.", self.stray_replies),
        ] {
            out.push(Sample::counter(name, help, count));
        }
        out.push(Sample::gauge("coeur_udm_pending", "Requests that wait for the store.", pending as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_and_scheme_has_its_label() {
        let mut metrics = Metrics::default();
        metrics.refused("ueau_get", UdmProblem::UserNotFound);
        metrics.opened(ProtectionScheme::PROFILE_B);
        let mut samples = Vec::new();
        metrics.samples(3, &mut samples);
        let with = |key: &str, value: &str| {
            samples.iter().find(|s| s.labels.iter().any(|(k, v)| *k == key && v == value)).unwrap().value.clone()
        };
        assert_eq!(with("cause", "USER_NOT_FOUND"), coeur_nf::metric::Value::Counter(1));
        assert_eq!(with("scheme", "profile_b"), coeur_nf::metric::Value::Counter(1));
        assert!(samples.iter().all(|s| s.name.starts_with("coeur_udm_") && s.help.ends_with('.')));
    }
}
