//! Carries plans out, and tells what became of it.

use super::child::{self, Handle, Report, Signal};
use super::log::LogSink;
use crate::desired::{Specs, desired};
use crate::plan::{Action, ChildId, Desired, Observed, Phase, plan};
use crate::state::State;
use coeur_api::types::ProcessState;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Reports that wait for the supervisor; a child's task waits when there are more.
const REPORTS_MAX: usize = 256;

pub(crate) struct Supervisor {
    specs: Specs,
    desired: Desired,
    observed: Observed,
    handles: BTreeMap<ChildId, Handle>,
    sink: LogSink,
    state: Arc<State>,
    reports: mpsc::Receiver<(ChildId, Report)>,
    reporter: mpsc::Sender<(ChildId, Report)>,
}

impl Supervisor {
    pub(crate) fn new(specs: Specs, sink: LogSink, state: Arc<State>) -> Self {
        let (reporter, reports) = mpsc::channel(REPORTS_MAX);
        let desired = desired(&specs);
        Self { specs, desired, observed: Observed::new(), handles: BTreeMap::new(), sink, state, reports, reporter }
    }

    /// Runs the children until `stop`, then stops them, the cores first; at `hurry`, at once. Ends when none is left.
    ///
    /// To be run on the thread that stays until the process ends: the kernel ties a child's life to the thread that made it
    /// (PR_SET_PDEATHSIG, prctl(2)).
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>, hurry: impl Future<Output = ()>) {
        let (mut stop, mut hurry) = (std::pin::pin!(stop), std::pin::pin!(hurry));
        let (mut stopping, mut hurrying) = (false, false);
        loop {
            let wake = self.carry_out();
            if stopping && self.observed.is_empty() {
                return;
            }
            let sleep = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((id, report)) = self.reports.recv() => self.take(&id, report),
                () = sleep => {}
                () = &mut stop, if !stopping => {
                    stopping = true;
                    self.desired.clear();
                }
                () = &mut hurry, if stopping && !hurrying => {
                    hurrying = true;
                    self.handles.values().for_each(|handle| handle.signal(Signal::Kill));
                }
            }
        }
    }

    /// Does what is to be done now; tells when to do so again.
    fn carry_out(&mut self) -> Option<Instant> {
        let now = Instant::now();
        for action in plan(&self.desired, &self.observed, now).actions {
            self.act(action, now);
        }
        // What was done has set limits of its own: when to start again, when to kill.
        plan(&self.desired, &self.observed, now).wake
    }

    fn act(&mut self, action: Action, now: Instant) {
        match action {
            Action::Start(id) => self.start(&id, now),
            Action::Stop(id) => {
                self.signal(&id, Signal::Terminate);
                self.observed.insert(id.clone(), Phase::Stopping { since: now, killed: false });
                self.state.change(&id, |child| child.state = ProcessState::Stopping);
            }
            Action::Kill(id) => {
                tracing::warn!(child = %id, "did not end in time: killed");
                self.signal(&id, Signal::Kill);
                self.observed.insert(id, Phase::Stopping { since: now, killed: true });
            }
            Action::Forget(id) => {
                self.observed.remove(&id);
                self.state.change(&id, |child| child.state = ProcessState::Stopped);
            }
        }
    }

    fn signal(&self, id: &ChildId, signal: Signal) {
        if let Some(handle) = self.handles.get(id) {
            handle.signal(signal);
        }
    }

    fn start(&mut self, id: &ChildId, now: Instant) {
        let Some(spec) = self.specs.get(id) else { return };
        let phase = Phase::started(self.observed.get(id).copied(), spec.version(), now);
        let again = self.observed.contains_key(id);
        match child::start(id, spec, &self.sink, self.reporter.clone()) {
            Ok(handle) => {
                tracing::info!(child = %id, pid = handle.pid, again, "started");
                self.state.started(id, handle.pid, again, now);
                self.handles.insert(id.clone(), handle);
                self.observed.insert(id.clone(), phase);
            }
            Err(error) => self.ended(id, phase, &format!("not started: {error}"), now),
        }
    }

    fn take(&mut self, id: &ChildId, report: Report) {
        let now = Instant::now();
        match report {
            Report::Ready(line) => self.state.ready(id, line, now),
            Report::Ended(how) => {
                self.handles.remove(id);
                if let Some(phase) = self.observed.get(id).copied() {
                    self.ended(id, phase, &how, now);
                }
            }
        }
    }

    fn ended(&mut self, id: &ChildId, phase: Phase, how: &str, now: Instant) {
        match phase.ended(now) {
            Some(waiting) => {
                let Phase::Waiting { until, failures } = waiting else { return };
                let pause_ms = until.saturating_duration_since(now).as_millis();
                tracing::error!(child = %id, how, failures, pause_ms, "ended by itself: is started again after a pause");
                self.observed.insert(id.clone(), waiting);
                self.state.ended(id, how, ProcessState::Waiting);
            }
            None => {
                tracing::info!(child = %id, how, "stopped");
                self.observed.remove(id);
                self.state.ended(id, how, ProcessState::Stopped);
            }
        }
    }
}
