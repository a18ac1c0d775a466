//! `/metrics`: the figures of all parts, as Prometheus reads them. No subscriber, address, TEID or SEID is ever a label.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use coeur_fastpath::Counters;
use coeur_session::{Discard, Figures, Outcome as PfcpOutcome, UpFunction, message_name};
use coeur_slowpath::answer::Outcome;
use coeur_slowpath::io::Port;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use crate::tables::PathTaken;

/// All figures at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub started: SystemTime,
    pub sessions: usize,
    pub session_max: u32,
    pub associations: usize,
    pub responses: usize,
    pub pfcp: Figures,
    pub pfcp_send_failures: u64,
    pub answers: [u64; Outcome::ALL.len()],
    pub end_markers: u64,
    pub slowpath_overflows: u64,
    pub slowpath_failures: u64,
    pub counters: Counters,
    pub counters_unreadable: u64,
    pub paths: Vec<PathTaken>,
    pub slowpath_driver: &'static str,
}

impl Snapshot {
    /// What the UP function and the port say for themselves.
    pub fn of(up: &UpFunction, port: &Port) -> Self {
        Self {
            started: SystemTime::UNIX_EPOCH,
            sessions: up.sessions(),
            session_max: 0,
            associations: up.associations(),
            responses: up.responses(),
            pfcp: up.figures().clone(),
            pfcp_send_failures: 0,
            answers: [0; Outcome::ALL.len()],
            end_markers: 0,
            slowpath_overflows: port.figures().overflows.load(Ordering::Relaxed),
            slowpath_failures: port.figures().failures.load(Ordering::Relaxed),
            counters: Counters::default(),
            counters_unreadable: 0,
            paths: Vec::new(),
            slowpath_driver: port.driver().0,
        }
    }

    /// The text format.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        let mut families = Families::default();
        self.node(&mut families);
        self.pfcp(&mut families);
        self.packets(&mut families);
        self.slowpath(&mut families);
        let mut text = Vec::new();
        TextEncoder::new().encode(&families.0, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn node(&self, families: &mut Families) {
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        families.gauge(
            "coeur_upf_start_time_seconds",
            "When this instance began, since 1970 (TS 29.244 8.2.65).",
            [(vec![], started.as_secs_f64())],
        );
        families.gauge("coeur_upf_sessions", "PFCP sessions.", [(vec![], self.sessions as f64)]);
        families.gauge("coeur_upf_sessions_max", "Most sessions.", [(vec![], f64::from(self.session_max))]);
        families.gauge("coeur_upf_associations", "PFCP associations.", [(vec![], self.associations as f64)]);
        families.gauge(
            "coeur_upf_rate_limits_not_enforced",
            "QERs with an MBR that are accepted and not enforced (docs/adr/0004).",
            [(vec![], self.pfcp.rate_limits_not_enforced as f64)],
        );
        let path =
            |taken: &PathTaken| (vec![("interface", taken.interface.clone()), ("path", taken.path.clone())], 1.0);
        families.gauge(
            "coeur_upf_interface_path_info",
            "Which way packets take at an interface.",
            self.paths.iter().map(path),
        );
    }

    fn pfcp(&self, families: &mut Families) {
        let named = |counts: &[u64]| {
            let message = |(kind, count): (usize, &u64)| Some((message_name(u8::try_from(kind).ok()?)?, *count));
            counts.iter().enumerate().filter_map(message).collect::<Vec<_>>()
        };
        let requests = (0..self.pfcp.requests.len()).flat_map(|kind| {
            let name = u8::try_from(kind).ok().and_then(message_name);
            let counts = self.pfcp.requests[kind];
            PfcpOutcome::ALL.into_iter().filter_map(move |outcome| {
                let labels = vec![("message", name?.to_owned()), ("outcome", outcome.name().to_owned())];
                Some((labels, counts[outcome as usize]))
            })
        });
        families.counter(
            "coeur_upf_pfcp_requests_total",
            "Requests of control planes (TS 28.552 SM.N4SessionEstabReq, by message and outcome).",
            requests.collect::<Vec<_>>(),
        );
        let refusals = self
            .pfcp
            .refusals
            .iter()
            .enumerate()
            .filter(|(cause, count)| *cause >= 64 && (*cause <= 89 || **count > 0));
        families.counter(
            "coeur_upf_pfcp_refusals_total",
            "Refused requests by cause value of TS 29.244 table 8.2.1-1 (TS 28.552 SM.N4SessionEstabFail.cause).",
            refusals.map(|(cause, count)| (vec![("cause", cause.to_string())], *count)),
        );
        families.counter(
            "coeur_upf_pfcp_discards_total",
            "PFCP messages that get no answer (TS 29.244 7.6).",
            Discard::ALL
                .map(|reason| (vec![("reason", reason.name().to_owned())], self.pfcp.discards[reason as usize])),
        );
        let ours = |counts| {
            let ours = |(name, _): &(&str, u64)| matches!(*name, "heartbeat_request" | "session_report_request");
            let rows = named(counts).into_iter().filter(ours).collect::<Vec<_>>();
            rows.into_iter().map(|(name, count)| (vec![("message", name.to_owned())], count)).collect::<Vec<_>>()
        };
        families.counter(
            "coeur_upf_pfcp_sent_requests_total",
            "Requests to control planes, without repetitions.",
            ours(&self.pfcp.sent),
        );
        families.counter(
            "coeur_upf_pfcp_unanswered_requests_total",
            "Requests to control planes that were given up (TS 29.244 6.4).",
            ours(&self.pfcp.unanswered),
        );
        families.gauge(
            "coeur_upf_pfcp_responses_held",
            "Responses kept for requests that are repeated.",
            [(vec![], self.responses as f64)],
        );
        families.counter(
            "coeur_upf_pfcp_suppressed_reports_total",
            "Session reports not sent: too many requests without an answer.",
            [(vec![], self.pfcp.reports_suppressed)],
        );
        families.counter(
            "coeur_upf_pfcp_send_failures_total",
            "PFCP messages that the socket did not take.",
            [(vec![], self.pfcp_send_failures)],
        );
        families.counter(
            "coeur_upf_table_failures_total",
            "Table writes that failed; the session was put back.",
            [(vec![], self.pfcp.apply_failures)],
        );
    }

    fn packets(&self, families: &mut Families) {
        let paths = self
            .counters
            .paths
            .iter()
            .map(|row| (vec![("path", row.path.to_owned()), ("direction", row.direction.to_owned())], row.packets));
        families.counter(
            "coeur_upf_packets_total",
            "Subscriber packets by the way they took (TS 28.552 GTP.InDataPktN3UPF, GTP.OutDataPktN3UPF).",
            paths,
        );
        let drops = self.counters.drops.iter().map(|row| (vec![("reason", row.reason.to_owned())], row.packets));
        families.counter("coeur_upf_dropped_packets_total", "Packets that the fast path dropped.", drops);
        let passes =
            self.counters.passes.iter().map(|row| {
                (vec![("reason", row.reason.to_owned()), ("direction", row.direction.to_owned())], row.packets)
            });
        families.counter("coeur_upf_passed_packets_total", "Packets that the fast path handed to the kernel.", passes);
        families.counter(
            "coeur_upf_unreadable_counters_total",
            "Failed readings of the fast path's counters; its families above are then empty.",
            [(vec![], self.counters_unreadable)],
        );
    }

    fn slowpath(&self, families: &mut Families) {
        families.counter(
            "coeur_upf_slowpath_datagrams_total",
            "GTP-U messages in the slow path, by what became of them.",
            Outcome::ALL
                .iter()
                .zip(self.answers)
                .map(|(outcome, count)| (vec![("outcome", outcome.name().to_owned())], count)),
        );
        families.counter(
            "coeur_upf_slowpath_end_markers_total",
            "End markers sent through tunnels that were left (TS 29.281 7.3.2).",
            [(vec![], self.end_markers)],
        );
        families.counter(
            "coeur_upf_slowpath_overflows_total",
            "GTP-U messages dropped because a queue of the slow path was full.",
            [(vec![], self.slowpath_overflows)],
        );
        families.counter(
            "coeur_upf_slowpath_socket_failures_total",
            "Failed receptions and transmissions of the slow path.",
            [(vec![], self.slowpath_failures)],
        );
        families.gauge(
            "coeur_upf_slowpath_driver_info",
            "What drives the slow path's socket.",
            [(vec![("driver", self.slowpath_driver.to_owned())], 1.0)],
        );
    }
}

type Labels = Vec<(&'static str, String)>;

#[derive(Default)]
struct Families(Vec<MetricFamily>);

impl Families {
    fn counter(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, u64)>) {
        let metrics = rows.into_iter().map(|(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(value as f64);
            let mut metric = labelled(labels);
            metric.set_counter(counter);
            metric
        });
        self.push(name, help, MetricType::COUNTER, metrics.collect());
    }

    fn gauge(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, f64)>) {
        let metrics = rows.into_iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = labelled(labels);
            metric.set_gauge(gauge);
            metric
        });
        self.push(name, help, MetricType::GAUGE, metrics.collect());
    }

    /// The encoder refuses families without a row.
    fn push(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }
}

fn labelled(labels: Labels) -> Metric {
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    });
    let mut metric = Metric::default();
    metric.set_label(pairs.collect());
    metric
}
