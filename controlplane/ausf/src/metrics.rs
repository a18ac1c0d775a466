//! The figures of the AUSF.

use coeur_nf::metric::Sample;
use coeur_nf::services::nausf::AusfProblem;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Metrics {
    pub(crate) requests: u64,
    pub(crate) resynchronisations: u64,
    pub(crate) expired: u64,
    pub(crate) unconfirmed: u64,
    pub(crate) stray_answers: u64,
    results: [u64; 2],
    refusals: BTreeMap<&'static str, u64>,
}

fn cause(problem: AusfProblem) -> &'static str {
    match problem {
        AusfProblem::AuthenticationFailure => "AUTHENTICATION_FAILURE",
        AusfProblem::ServingNetworkNotAuthorized => "SERVING_NETWORK_NOT_AUTHORIZED",
        AusfProblem::ContextNotFound => "CONTEXT_NOT_FOUND",
        AusfProblem::Congestion => "NF_CONGESTION",
        AusfProblem::Udm(_) => "UDM",
    }
}

impl Metrics {
    pub(crate) fn confirmed(&mut self, success: bool) {
        self.results[usize::from(success)] += 1;
    }

    pub(crate) fn refused(&mut self, problem: AusfProblem) {
        *self.refusals.entry(cause(problem)).or_default() += 1;
    }

    pub(crate) fn samples(&self, contexts: usize, out: &mut Vec<Sample>) {
        for (cause, count) in &self.refusals {
            let help = "Requests refused by the AUSF, by application error (TS 29.509, table 6.1.7.3-1).";
            out.push(Sample::counter("coeur_ausf_refusals_total", help, *count).label("cause", *cause));
        }
        for (result, count) in ["failure", "success"].into_iter().zip(self.results) {
            let help = "Answers of phones compared with XRES* (TS 33.501, 6.1.3.2).";
            out.push(Sample::counter("coeur_ausf_confirmations_total", help, count).label("result", result));
        }
        for (name, help, count) in [
            ("coeur_ausf_authentications_total", "Authentications asked for.", self.requests),
            ("coeur_ausf_resynchronisations_total", "Authentications asked for with an AUTS.", self.resynchronisations),
            ("coeur_ausf_contexts_expired_total", "Challenges that nobody answered in time.", self.expired),
            ("coeur_ausf_unconfirmed_total", "Results that the UDM did not take.", self.unconfirmed),
            ("coeur_ausf_stray_answers_total", "UDM answers that nothing waited for.", self.stray_answers),
        ] {
            out.push(Sample::counter(name, help, count));
        }
        let help = "Challenges that wait for the phone's answer.";
        out.push(Sample::gauge("coeur_ausf_contexts", help, contexts as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coeur_nf::metric::Value;

    #[test]
    fn results_and_refusals_have_their_labels() {
        let mut metrics = Metrics::default();
        metrics.confirmed(true);
        metrics.refused(AusfProblem::Congestion);
        let mut samples = Vec::new();
        metrics.samples(2, &mut samples);
        let value = |label: &str| {
            samples.iter().find(|sample| sample.labels.iter().any(|(_, value)| value == label)).unwrap().value.clone()
        };
        assert_eq!(value("success"), Value::Counter(1));
        assert_eq!(value("failure"), Value::Counter(0));
        assert_eq!(value("NF_CONGESTION"), Value::Counter(1));
        assert!(samples.iter().all(|s| s.name.starts_with("coeur_ausf_") && s.help.ends_with('.')));
    }
}
