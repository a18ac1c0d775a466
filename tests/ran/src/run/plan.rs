//! Where each UE stands in what was asked of it.
//!
//! ```text
//!   Waiting ─► Registering ─► Establishing ─► (ToIdle ─► Servicing)* ─► Attached ─► Deregistering ─► Done
//!                   └──────────────┴──────────────┴──────────► Failed ◄────────────────┘
//! ```

use coeur_ran::gnb::UeKey;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    Registering,
    Establishing { up: u8 },
    ToIdle { left: u32 },
    Servicing { left: u32 },
    Attached,
    Deregistering,
    Done,
    Failed,
}

impl Stage {
    /// Nothing is waited for.
    fn is_settled(self) -> bool {
        matches!(self, Self::Attached | Self::Done | Self::Failed)
    }

    /// One of those that `--parallel` counts.
    fn is_attaching(self) -> bool {
        matches!(self, Self::Registering | Self::Establishing { .. })
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Phone {
    stage: Stage,
    /// Of the stage.
    pub(super) since: Instant,
    /// Of the attach.
    pub(super) begun: Instant,
    /// Tells a deadline of this stage from one of an earlier stage.
    serial: u32,
}

pub(super) struct Plan {
    phones: Vec<Phone>,
    next: usize,
    unsettled: usize,
    attaching: u32,
    parallel: u32,
    /// Between two starts.
    interval: Duration,
    start_at: Instant,
    timeout: Duration,
    /// In order of time, as all stages have the same timeout.
    deadlines: VecDeque<(Instant, UeKey, u32)>,
}

impl Plan {
    pub(super) fn new(ues: usize, parallel: u32, rate: Option<f64>, timeout: Duration, now: Instant) -> Self {
        let phone = Phone { stage: Stage::Waiting, since: now, begun: now, serial: 0 };
        Self {
            phones: vec![phone; ues],
            next: 0,
            unsettled: ues,
            attaching: 0,
            parallel,
            interval: rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)),
            start_at: now,
            timeout,
            deadlines: VecDeque::new(),
        }
    }

    /// The next UE to attach, if one is due.
    pub(super) fn start(&mut self, now: Instant) -> Option<UeKey> {
        if self.attaching >= self.parallel || self.start_at > now || self.next >= self.phones.len() {
            return None;
        }
        let ue = self.next as UeKey;
        self.next += 1;
        // A core that was slow is not punished by a burst afterwards: at most one second is caught up.
        self.start_at = (self.start_at + self.interval).max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
        self.enter(ue, Stage::Registering, now);
        self.phones[ue as usize].begun = now;
        Some(ue)
    }

    /// No UE that waits is started any more; they have failed. How many.
    pub(super) fn give_up_waiting(&mut self, now: Instant) -> usize {
        let waiting = self.next..self.phones.len();
        for ue in waiting.clone() {
            self.enter(ue as UeKey, Stage::Failed, now);
        }
        self.next = self.phones.len();
        waiting.len()
    }

    pub(super) fn phone(&self, ue: UeKey) -> Option<&Phone> {
        self.phones.get(ue as usize)
    }

    pub(super) fn stage(&self, ue: UeKey) -> Stage {
        self.phone(ue).map_or(Stage::Failed, |phone| phone.stage)
    }

    pub(super) fn enter(&mut self, ue: UeKey, stage: Stage, now: Instant) {
        let Some(phone) = self.phones.get_mut(ue as usize) else { return };
        let before = std::mem::replace(&mut phone.stage, stage);
        (phone.since, phone.serial) = (now, phone.serial.wrapping_add(1));
        if !stage.is_settled() {
            self.deadlines.push_back((now + self.timeout, ue, phone.serial));
        }
        match (before.is_settled(), stage.is_settled()) {
            (false, true) => self.unsettled -= 1,
            (true, false) => self.unsettled += 1,
            _ => {}
        }
        match (before.is_attaching(), stage.is_attaching()) {
            (false, true) => self.attaching += 1,
            (true, false) => self.attaching -= 1,
            _ => {}
        }
    }

    /// Keeps the time a stage began in a step within it.
    pub(super) fn advance(&mut self, ue: UeKey, stage: Stage) {
        if let Some(phone) = self.phones.get_mut(ue as usize) {
            phone.stage = stage;
        }
    }

    /// A UE whose stage took too long.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(UeKey, Stage)> {
        while let Some(&(at, ue, serial)) = self.deadlines.front() {
            let current = self.phones.get(ue as usize).is_some_and(|phone| phone.serial == serial);
            if current && at > now {
                return None;
            }
            self.deadlines.pop_front();
            if current {
                return Some((ue, self.stage(ue)));
            }
        }
        None
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    pub(super) fn count(&self, is: impl Fn(Stage) -> bool) -> usize {
        self.phones.iter().filter(|phone| is(phone.stage)).count()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let starts = self.next < self.phones.len() && self.attaching < self.parallel;
        let deadline = self.deadlines.front().map(|(at, ..)| *at);
        starts.then_some(self.start_at).into_iter().chain(deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_keep_rate_and_parallelism() {
        let now = Instant::now();
        let mut plan = Plan::new(3, 2, Some(10.0), Duration::from_secs(1), now);
        assert_eq!((plan.start(now), plan.start(now)), (Some(0), None));
        let later = now + Duration::from_millis(100);
        assert_eq!((plan.start(later), plan.start(later + Duration::from_secs(5))), (Some(1), None));
        plan.enter(0, Stage::Attached, later);
        assert_eq!(plan.start(later + Duration::from_millis(100)), Some(2));
    }

    #[test]
    fn only_the_deadline_of_the_current_stage_counts() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut plan = Plan::new(1, 1, None, second, now);
        plan.start(now);
        plan.enter(0, Stage::Establishing { up: 0 }, now + second / 2);
        assert_eq!(plan.overdue(now + second), None);
        assert_eq!(plan.overdue(now + second * 2), Some((0, Stage::Establishing { up: 0 })));
        plan.enter(0, Stage::Failed, now + second * 2);
        assert!(plan.is_settled());
        assert_eq!(plan.overdue(now + second * 9), None);
    }
}
