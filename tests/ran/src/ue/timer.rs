//! The timers of one UE: a handful at a time, so a list beats any tree.

use std::time::{Duration, Instant};

/// TS 24.501, table 10.2.1 and 10.3.1. Session timers carry their PDU session identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    T3346,
    T3502,
    T3510,
    T3511,
    T3512,
    T3516,
    T3517,
    T3520,
    T3521,
    T3580(u8),
    T3582(u8),
}

#[derive(Debug, Default)]
pub(super) struct Timers(Vec<(Timer, Instant)>);

impl Timers {
    /// Starts, or starts again.
    pub(super) fn start(&mut self, timer: Timer, now: Instant, duration: Duration) {
        self.stop(timer);
        self.0.push((timer, now + duration));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0.retain(|(running, _)| *running != timer);
    }

    pub(super) fn is_running(&self, timer: Timer) -> bool {
        self.0.iter().any(|(running, _)| *running == timer)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|(_, at)| *at).min()
    }

    /// Takes the earliest timer that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let due = self.0.iter().enumerate().filter(|(_, (_, at))| *at <= now);
        let index = due.min_by_key(|(_, (_, at))| *at)?.0;
        Some(self.0.swap_remove(index).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fall_due_in_their_order_and_once() {
        let now = Instant::now();
        let (ms, mut timers) = (Duration::from_millis, Timers::default());
        timers.start(Timer::T3510, now, ms(20));
        timers.start(Timer::T3580(1), now, ms(10));
        timers.start(Timer::T3580(2), now, ms(30));
        timers.start(Timer::T3580(2), now, ms(15));
        assert_eq!(timers.next_deadline(), Some(now + ms(10)));
        assert_eq!(timers.pop_due(now + ms(9)), None);
        let order: Vec<_> = std::iter::from_fn(|| timers.pop_due(now + ms(40))).collect();
        assert_eq!(order, [Timer::T3580(1), Timer::T3580(2), Timer::T3510]);
        assert_eq!(timers.next_deadline(), None);
    }
}
