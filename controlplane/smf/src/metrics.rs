//! The figures of the SMF.

use crate::Smf;
use crate::n2::TransferError;
use crate::release::Ending;
use crate::session::State;
use coeur_nf::metric::{Histogram, Sample};
use oxirush_nas::nas_5gs::GsmCause;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Metrics {
    pub(crate) creations: u64,
    pub(crate) created: u64,
    pub(crate) creation_duration: Histogram,
    pub(crate) releases_begun: u64,
    pub(crate) t3592_expiries: u64,
    pub(crate) setups_failed: u64,
    pub(crate) user_plane_failures: u64,
    pub(crate) store_failures: u64,
    pub(crate) stray_answers: u64,
    pub(crate) associations: u64,
    pub(crate) associations_lost: u64,
    pub(crate) lost: u64,
    pub(crate) reestablished: u64,
    pub(crate) not_restored: u64,
    /// By 5GSM cause.
    refusals: BTreeMap<u8, u64>,
    statuses: BTreeMap<u8, u64>,
    endings: BTreeMap<&'static str, u64>,
    unreadable_n1: BTreeMap<&'static str, u64>,
    n2_errors: BTreeMap<&'static str, u64>,
}

impl Metrics {
    pub(crate) fn refused(&mut self, cause: GsmCause) {
        *self.refusals.entry(cause as u8).or_default() += 1;
    }

    pub(crate) fn status_received(&mut self, cause: u8) {
        *self.statuses.entry(cause).or_default() += 1;
    }

    pub(crate) fn released(&mut self, ending: Ending) {
        let ending = match ending {
            Ending::Replaced => "replaced",
            Ending::ByAmf => "amf",
            Ending::Released => "released",
            Ending::NoAnswer => "no_answer",
        };
        *self.endings.entry(ending).or_default() += 1;
    }

    pub(crate) fn unreadable_n1(&mut self, clause: &'static str) {
        *self.unreadable_n1.entry(clause).or_default() += 1;
    }

    pub(crate) fn n2_error(&mut self, error: TransferError) {
        let error = match error {
            TransferError::Syntax => "syntax",
            TransferError::Address => "address",
            TransferError::QosFlow => "qos_flow",
        };
        *self.n2_errors.entry(error).or_default() += 1;
    }

    fn counters(&self) -> [(&'static str, &'static str, u64); 13] {
        [
            (
                "coeur_smf_session_creations_total",
                "PDU session creations asked for (TS 28.552: SM.PduSessionCreationReq).",
                self.creations,
            ),
            (
                "coeur_smf_sessions_created_total",
                "PDU sessions accepted (TS 28.552: SM.PduSessionCreationSucc).",
                self.created,
            ),
            (
                "coeur_smf_session_releases_total",
                "PDU session release procedures (TS 28.552: SM.PduSessionRelReq).",
                self.releases_begun,
            ),
            ("coeur_smf_t3592_expiries_total", "T3592 ran out (TS 24.501, 6.3.3.5).", self.t3592_expiries),
            ("coeur_smf_access_setups_failed_total", "Resource setups that a gNB refused.", self.setups_failed),
            (
                "coeur_smf_user_plane_failures_total",
                "Session requests on N4 that came to nothing.",
                self.user_plane_failures,
            ),
            ("coeur_smf_store_failures_total", "Storage operations that were not carried out.", self.store_failures),
            ("coeur_smf_stray_answers_total", "Answers that nothing waited for.", self.stray_answers),
            ("coeur_smf_associations_total", "PFCP associations that came up.", self.associations),
            ("coeur_smf_associations_lost_total", "PFCP associations that went down.", self.associations_lost),
            ("coeur_smf_sessions_lost_total", "Sessions that a restarted user plane had forgotten.", self.lost),
            (
                "coeur_smf_sessions_reestablished_total",
                "Sessions established again on the user plane.",
                self.reestablished,
            ),
            ("coeur_smf_sessions_not_restored_total", "Stored sessions that did not come back.", self.not_restored),
        ]
    }
}

impl Smf {
    pub(crate) fn metrics_samples(&self, out: &mut Vec<Sample>) {
        let metrics = &self.metrics;
        for (name, help, value) in metrics.counters() {
            out.push(Sample::counter(name, help, value));
        }
        let help = "From the request to the accept.";
        out.push(Sample::histogram("coeur_smf_session_creation_seconds", help, metrics.creation_duration.clone()));
        for (name, help, counts) in [
            (
                "coeur_smf_refusals_total",
                "5GSM refusals by cause (TS 24.501, 9.11.4.2; TS 28.552: SM.PduSessionCreationFail).",
                &metrics.refusals,
            ),
            ("coeur_smf_statuses_received_total", "5GSM STATUS messages of phones, by cause.", &metrics.statuses),
            (
                "coeur_smf_pfcp_refusals_total",
                "PFCP requests refused by the user plane, by cause.",
                &self.n4.figures.refused,
            ),
        ] {
            for (cause, count) in counts {
                out.push(Sample::counter(name, help, *count).label("cause", cause.to_string()));
            }
        }
        for (name, help, label, counts) in [
            ("coeur_smf_sessions_ended_total", "PDU sessions that ended.", "by", &metrics.endings),
            (
                "coeur_smf_n1_unreadable_total",
                "N1 messages refused unread (TS 24.501, 7).",
                "clause",
                &metrics.unreadable_n1,
            ),
            ("coeur_smf_n2_unusable_total", "N2 transfers of no use (TS 38.413, 9.3.4).", "reason", &metrics.n2_errors),
            (
                "coeur_smf_pfcp_discards_total",
                "PFCP messages discarded (TS 29.244).",
                "clause",
                &self.n4.figures.discarded,
            ),
            ("coeur_smf_pfcp_reports_total", "Reports of the user plane.", "kind", &self.n4.figures.reports),
        ] {
            for (value, count) in counts {
                out.push(Sample::counter(name, help, *count).label(label, *value));
            }
        }
        for (name, help, value) in [
            ("coeur_smf_pfcp_retransmissions_total", "PFCP requests sent again.", self.n4.figures.retransmissions),
            ("coeur_smf_pfcp_unanswered_total", "PFCP requests given up.", self.n4.figures.unanswered),
            ("coeur_smf_pfcp_repetitions_total", "PFCP requests answered from memory.", self.n4.figures.repeated),
        ] {
            out.push(Sample::counter(name, help, value));
        }
        self.gauges(out);
    }

    fn gauges(&self, out: &mut Vec<Sample>) {
        let (mut establishing, mut active, mut releasing) = (self.asking.len(), 0usize, 0usize);
        for session in self.sessions.values() {
            match session.state {
                State::Establishing(_) | State::Committing(_) => establishing += 1,
                State::Active => active += 1,
                State::Releasing(_) => releasing += 1,
            }
        }
        for (state, count) in [("establishing", establishing), ("active", active), ("releasing", releasing)] {
            let help = "PDU sessions by state (TS 28.552: SM.SessionNbrMean).";
            out.push(Sample::gauge("coeur_smf_sessions", help, count as f64).label("state", state));
        }
        for (dnn, (_, pool)) in &self.dnns {
            let (taken, size) = (pool.taken() as f64, f64::from(pool.size()));
            let help = "Addresses taken, by data network.";
            out.push(Sample::gauge("coeur_smf_addresses_taken", help, taken).label("dnn", dnn.as_str()));
            let help = "Addresses there are, by data network.";
            out.push(Sample::gauge("coeur_smf_addresses", help, size).label("dnn", dnn.as_str()));
        }
        let up = f64::from(u8::from(self.n4.is_up().is_some()));
        out.push(Sample::gauge("coeur_smf_upf_associated", "1 while the user plane is associated.", up));
        let pending = self.n4.pending() as f64;
        out.push(Sample::gauge("coeur_smf_pfcp_pending", "PFCP requests that wait for an answer.", pending));
        let waiting = self.unreconciled.len() as f64;
        let help = "Sessions to be compared with the user plane.";
        out.push(Sample::gauge("coeur_smf_sessions_unreconciled", help, waiting));
        let doomed = (self.undeleted.len() + self.doomed.len()) as f64;
        let help = "Sessions gone here that the user plane may hold still.";
        out.push(Sample::gauge("coeur_smf_sessions_undeleted", help, doomed));
    }
}
