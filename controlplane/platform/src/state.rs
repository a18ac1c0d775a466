//! What is known about each child: written by the supervisor; read by the operator API, the figures and the ready line.

use crate::metrics::Metrics;
use crate::plan::{ChildId, ProcessKind};
use coeur_api::types::{CoreState, CoreSummary, Process, ProcessState};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// One child.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) state: ProcessState,
    pid: Option<u32>,
    restarts: u64,
    started: Option<Instant>,
    pub(crate) ready_after_ms: Option<u64>,
    pub(crate) ready_line: Option<serde_json::Value>,
    pub(crate) last_end: Option<String>,
}

pub(crate) struct State {
    children: Mutex<BTreeMap<ChildId, Child>>,
    changed: watch::Sender<()>,
    metrics: Metrics,
}

impl State {
    pub(crate) fn new(children: impl Iterator<Item = ChildId>, metrics: Metrics) -> Self {
        let child = Child {
            state: ProcessState::Starting,
            pid: None,
            restarts: 0,
            started: None,
            ready_after_ms: None,
            ready_line: None,
            last_end: None,
        };
        let children: BTreeMap<_, _> = children.map(|id| (id, child.clone())).collect();
        children.keys().for_each(|id| metrics.add(id));
        Self { children: Mutex::new(children), changed: watch::Sender::new(()), metrics }
    }

    /// Resolves when something has changed since the last time.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn children(&self) -> BTreeMap<ChildId, Child> {
        self.lock().clone()
    }

    pub(crate) fn child(&self, id: &ChildId) -> Option<Child> {
        self.lock().get(id).cloned()
    }

    pub(crate) fn change(&self, id: &ChildId, change: impl FnOnce(&mut Child)) {
        if let Some(child) = self.lock().get_mut(id) {
            change(child);
            self.metrics.set_up(id, child.state == ProcessState::Ready);
        }
        self.changed.send_replace(());
    }

    pub(crate) fn started(&self, id: &ChildId, pid: Option<u32>, again: bool, now: Instant) {
        if again {
            self.metrics.restarted(id);
        }
        self.change(id, |child| {
            child.state = ProcessState::Starting;
            child.pid = pid;
            child.started = Some(now);
            child.restarts += u64::from(again);
            (child.ready_after_ms, child.ready_line) = (None, None);
        });
    }

    pub(crate) fn ready(&self, id: &ChildId, line: serde_json::Value, now: Instant) {
        self.change(id, |child| {
            if child.state != ProcessState::Starting {
                return;
            }
            let after = child.started.map(|started| now.saturating_duration_since(started)).unwrap_or_default();
            self.metrics.ready_after(id, after);
            child.state = ProcessState::Ready;
            child.ready_after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            child.ready_line = Some(line);
        });
    }

    pub(crate) fn ended(&self, id: &ChildId, how: &str, state: ProcessState) {
        self.change(id, |child| {
            child.state = state;
            child.pid = None;
            child.last_end = Some(how.to_owned());
        });
    }

    /// A core and its processes, as the operator API has them.
    pub(crate) fn summary(&self, name: &str, plmn: String) -> CoreSummary {
        let process = |(id, child): (&ChildId, &Child)| Process {
            kind: id.kind,
            state: child.state,
            pid: child.pid,
            restarts: child.restarts,
            ready_after_ms: child.ready_after_ms,
            last_end: child.last_end.clone(),
        };
        let children = self.lock();
        let processes: Vec<_> = children.iter().filter(|(id, _)| id.core == name).map(process).collect();
        let state = summarize(processes.iter().map(|process| process.state));
        CoreSummary { name: name.to_owned(), plmn, state, processes }
    }

    /// Nothing panics while it holds the lock; if something did, what is there is still what was last known.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChildId, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worst of its processes is what a core is.
fn summarize(states: impl Iterator<Item = ProcessState>) -> CoreState {
    states.fold(CoreState::Ready, |worst, state| match (worst, state) {
        (CoreState::Stopping, _) | (_, ProcessState::Stopping | ProcessState::Stopped) => CoreState::Stopping,
        (CoreState::Down, _) | (_, ProcessState::Waiting) => CoreState::Down,
        (CoreState::Starting, _) | (_, ProcessState::Starting) => CoreState::Starting,
        (CoreState::Ready, ProcessState::Ready) => CoreState::Ready,
    })
}

/// The core process of a hosted core.
pub(crate) fn core_id(name: &str) -> ChildId {
    ChildId { core: name.to_owned(), kind: ProcessKind::Core }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_as_well_as_the_worst_of_its_processes() {
        use ProcessState::*;
        for (states, expected) in [
            (&[Ready, Ready][..], CoreState::Ready),
            (&[Ready, Starting], CoreState::Starting),
            (&[Waiting, Starting], CoreState::Down),
            (&[Stopping, Waiting], CoreState::Stopping),
            (&[Ready, Stopped], CoreState::Stopping),
        ] {
            assert_eq!(summarize(states.iter().copied()), expected, "{states:?}");
        }
    }
}
