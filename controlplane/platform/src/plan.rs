//! What is to be done about the processes, from what is wanted and what is there.
//!
//! Pure: no clock, no process. One child never matters to a child of another core.
//!
//! ```text
//!              start                    ended by itself
//!   (none) ───────────► Running ───────────────────────────► Waiting
//!      ▲                  │  ▲                                  │
//!      │ ended            │  └── start, when the pause is over ─┤
//!      │                  │ stop: not wanted, or other than it is│
//!      └── Stopping ◄─────┘        (kill, when it takes too long) │
//!      ▲                                                        │
//!      └───────────────────── forget: not wanted ───────────────┘
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use coeur_api::types::ProcessKind;

/// How long a child may take to end after SIGTERM. A core waits up to 5 s for its gNBs' associations to close.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Pause before a child that ended is started again, the first time; it doubles from time to time.
pub const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A child that ran this long is stable: the pause begins anew.
pub const STABLE: Duration = Duration::from_secs(60);

/// Names a child.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId {
    pub core: String,
    pub kind: ProcessKind,
}

impl std::fmt::Display for ChildId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            ProcessKind::Core => "core",
            ProcessKind::UserPlane => "user-plane",
        };
        write!(f, "{}/{kind}", self.core)
    }
}

/// Stands for how a child is to be run. Another one means: run otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u64);

/// The children that are wanted.
pub type Desired = BTreeMap<ChildId, Version>;
/// The children that are there, or will be again.
pub type Observed = BTreeMap<ChildId, Phase>;

/// Where a child is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `failures`: how often in a row it ended before it was stable.
    Running {
        version: Version,
        since: Instant,
        failures: u32,
    },
    Waiting {
        until: Instant,
        failures: u32,
    },
    /// SIGTERM was sent; SIGKILL too, if `killed`.
    Stopping {
        since: Instant,
        killed: bool,
    },
}

impl Phase {
    /// A child was started.
    pub fn started(before: Option<Self>, version: Version, now: Instant) -> Self {
        let failures = match before {
            Some(Self::Waiting { failures, .. }) => failures,
            _ => 0,
        };
        Self::Running { version, since: now, failures }
    }

    /// A child ended, or could not be started. None: that was wanted.
    pub fn ended(self, now: Instant) -> Option<Self> {
        match self {
            Self::Stopping { .. } => None,
            Self::Waiting { failures, .. } => Some(Self::waiting(failures + 1, now)),
            Self::Running { since, failures, .. } => {
                let stable = now.saturating_duration_since(since) >= STABLE;
                Some(Self::waiting(if stable { 1 } else { failures.saturating_add(1) }, now))
            }
        }
    }

    fn waiting(failures: u32, now: Instant) -> Self {
        Self::Waiting { until: now + pause(failures), failures }
    }
}

/// Pause after the n-th failure in a row.
pub fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (PAUSE_MIN * 2u32.pow(doublings)).min(PAUSE_MAX)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Start(ChildId),
    /// SIGTERM.
    Stop(ChildId),
    /// SIGKILL.
    Kill(ChildId),
    /// It does not run, and is not to run again.
    Forget(ChildId),
}

/// What to do now, and when to ask again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub actions: Vec<Action>,
    pub wake: Option<Instant>,
}

/// What is to be done at `now`.
pub fn plan(desired: &Desired, observed: &Observed, now: Instant) -> Plan {
    let mut plan = Plan::default();
    for id in desired.keys().filter(|id| !observed.contains_key(id)) {
        plan.actions.push(Action::Start(id.clone()));
    }
    for (id, phase) in observed {
        let wanted = desired.get(id);
        match *phase {
            Phase::Running { version, .. } if wanted == Some(&version) => {}
            Phase::Running { .. } if wanted.is_none() && core_is_leaving(id, desired, observed) => {}
            Phase::Running { .. } => plan.actions.push(Action::Stop(id.clone())),
            Phase::Waiting { .. } if wanted.is_none() => plan.actions.push(Action::Forget(id.clone())),
            Phase::Waiting { until, .. } if until <= now => plan.actions.push(Action::Start(id.clone())),
            Phase::Waiting { until, .. } => plan.wake_at(until),
            Phase::Stopping { killed: true, .. } => {}
            Phase::Stopping { since, .. } if since + STOP_LIMIT <= now => plan.actions.push(Action::Kill(id.clone())),
            Phase::Stopping { since, .. } => plan.wake_at(since + STOP_LIMIT),
        }
    }
    plan
}

impl Plan {
    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// A user plane stays until its core has gone, so that the core can release its association with it.
fn core_is_leaving(id: &ChildId, desired: &Desired, observed: &Observed) -> bool {
    let core = ChildId { core: id.core.clone(), kind: ProcessKind::Core };
    let runs = matches!(observed.get(&core), Some(Phase::Running { .. } | Phase::Stopping { .. }));
    id.kind == ProcessKind::UserPlane && runs && !desired.contains_key(&core)
}

#[cfg(test)]
mod tests;
