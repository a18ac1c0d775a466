//! The figures of this function. Names of TS 28.552 stand in the help texts.

use crate::Amf;
use coeur_nf::metric::{Histogram, Sample};
use std::collections::BTreeMap;
use std::time::Duration;

/// A family of counters; each has its own label names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// type, result
    RegistrationRequests,
    Registrations,
    Authentications,
    SecurityModes,
    ServiceRequests,
    Deregistrations,
    NgSetups,
    ContextSetups,
    ContextReleases,
    SessionMessages,
    /// clause of the silent discard
    NasDiscarded,
    NasRefused,
    NgapRefused,
    Retransmissions,
    Internal,
}

impl Family {
    fn describe(self) -> (&'static str, &'static str, [&'static str; 2]) {
        match self {
            Self::RegistrationRequests => (
                "coeur_amf_registration_requests_total",
                "Registration requests (RM.RegInitReq, RM.RegMobReq, RM.RegPeriodReq).",
                ["type", ""],
            ),
            Self::Registrations => (
                "coeur_amf_registrations_total",
                "Registrations ended, by 5GMM cause (RM.RegInitSucc, RM.RegInitFail.Cause, RM.RegMobSucc, RM.RegMobFail.Cause, RM.RegPeriodSucc, RM.RegPeriodFail.Cause).",
                ["type", "result"],
            ),
            Self::Authentications => (
                "coeur_amf_authentications_total",
                "Authentications by outcome (AMF.AuthReq, AMF.AuthFail.Cause, AMF.AuthReject).",
                ["result", ""],
            ),
            Self::SecurityModes => {
                ("coeur_amf_security_modes_total", "NAS security mode control by outcome.", ["result", ""])
            }
            Self::ServiceRequests => (
                "coeur_amf_service_requests_total",
                "Service requests ended, by 5GMM cause (MM.ServiceReqAtt, MM.ServiceReqSucc).",
                ["type", "result"],
            ),
            Self::Deregistrations => {
                ("coeur_amf_deregistrations_total", "Deregistrations by initiator and outcome.", ["by", "result"])
            }
            Self::NgSetups => (
                "coeur_amf_ng_setups_total",
                "NG Setup and RAN Configuration Update by outcome.",
                ["procedure", "result"],
            ),
            Self::ContextSetups => {
                ("coeur_amf_initial_context_setups_total", "Initial Context Setup by outcome.", ["result", ""])
            }
            Self::ContextReleases => {
                ("coeur_amf_ue_context_releases_total", "UE contexts released at the gNB, by cause.", ["cause", ""])
            }
            Self::SessionMessages => (
                "coeur_amf_session_messages_total",
                "5GSM messages forwarded to the SMF or refused, by reason.",
                ["result", ""],
            ),
            Self::NasDiscarded => (
                "coeur_amf_nas_discarded_total",
                "NAS messages discarded silently, with the clause that says so.",
                ["reason", ""],
            ),
            Self::NasRefused => {
                ("coeur_amf_nas_refused_total", "NAS messages answered with 5GMM STATUS, by cause.", ["cause", ""])
            }
            Self::NgapRefused => (
                "coeur_amf_ngap_refused_total",
                "NGAP messages answered with Error Indication or a failure, by cause.",
                ["cause", ""],
            ),
            Self::Retransmissions => {
                ("coeur_amf_nas_retransmissions_total", "NAS messages sent again, by timer.", ["timer", ""])
            }
            Self::Internal => (
                "coeur_amf_internal_failures_total",
                "What should not happen: outputs that do not encode, records that cannot be read, a store that refuses.",
                ["what", ""],
            ),
        }
    }
}

#[derive(Default)]
pub(crate) struct Metrics {
    counters: BTreeMap<(Family, &'static str, String), u64>,
    registration_duration: Histogram,
}

impl Metrics {
    pub(crate) fn count(&mut self, family: Family, first: &'static str, second: impl Into<String>) {
        *self.counters.entry((family, first, second.into())).or_default() += 1;
    }

    pub(crate) fn one(&mut self, family: Family, label: &'static str) {
        self.count(family, label, String::new());
    }

    pub(crate) fn registered_in(&mut self, duration: Duration) {
        self.registration_duration.observe(duration);
    }
}

impl Amf {
    pub(crate) fn collect(&self, out: &mut Vec<Sample>) {
        for ((family, first, second), value) in &self.metrics.counters {
            let (name, help, labels) = family.describe();
            let mut sample = Sample::counter(name, help, *value).label(labels[0], *first);
            if !labels[1].is_empty() {
                sample = sample.label(labels[1], second.clone());
            }
            out.push(sample);
        }
        let counts = self.counts();
        let gauges = [
            ("coeur_amf_gnbs", "gNBs that did NG Setup.", counts.gnbs),
            ("coeur_amf_registered_ues", "Phones in RM-REGISTERED (RM.RegisteredSubNbrMean).", counts.registered),
            ("coeur_amf_connected_ues", "Phones in CM-CONNECTED.", counts.connected),
            ("coeur_amf_ue_contexts", "UE contexts, also of phones that have not proven who they are.", self.ues.len()),
        ];
        for (name, help, value) in gauges {
            out.push(Sample::gauge(name, help, value as f64));
        }
        out.push(Sample::histogram(
            "coeur_amf_registration_duration_seconds",
            "From Registration Request to Registration Complete (RM.RegTimeMean).",
            self.metrics.registration_duration.clone(),
        ));
    }
}
