//! Figures of the platform process.

use crate::plan::{ChildId, ProcessKind};
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use std::time::Duration;

const LABELS: [&str; 2] = ["core", "process"];

pub(crate) struct Metrics {
    up: IntGaugeVec,
    restarts: IntCounterVec,
    ready_after_s: GaugeVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            up: IntGaugeVec::new(
                Opts::new("coeur_platform_process_up", "1 if the process runs and is ready."),
                &LABELS,
            )?,
            restarts: IntCounterVec::new(
                Opts::new("coeur_platform_process_restarts_total", "Starts of a process after it had ended by itself."),
                &LABELS,
            )?,
            ready_after_s: GaugeVec::new(
                Opts::new(
                    "coeur_platform_process_ready_seconds",
                    "From the last start of a process until it was ready.",
                ),
                &LABELS,
            )?,
        };
        let build =
            IntGaugeVec::new(Opts::new("coeur_platform_build_info", "1; the version is a label."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(metrics.up.clone()))?;
        registry.register(Box::new(metrics.restarts.clone()))?;
        registry.register(Box::new(metrics.ready_after_s.clone()))?;
        Ok(metrics)
    }

    /// Makes a child's figures exist, at 0.
    pub(crate) fn add(&self, id: &ChildId) {
        self.set_up(id, false);
        self.restarts.with_label_values(&labels(id));
    }

    pub(crate) fn set_up(&self, id: &ChildId, up: bool) {
        self.up.with_label_values(&labels(id)).set(up.into());
    }

    pub(crate) fn restarted(&self, id: &ChildId) {
        self.restarts.with_label_values(&labels(id)).inc();
    }

    pub(crate) fn ready_after(&self, id: &ChildId, after: Duration) {
        self.ready_after_s.with_label_values(&labels(id)).set(after.as_secs_f64());
    }
}

fn labels(id: &ChildId) -> [&str; 2] {
    let process = match id.kind {
        ProcessKind::Core => "core",
        ProcessKind::UserPlane => "user-plane",
    };
    [&id.core, process]
}
