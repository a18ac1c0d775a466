//! Deadlines with names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Timers keyed by `K`: a key has at most one deadline. Due keys come out in the order of their deadlines.
///
/// Bounded by the number of keys its owner uses: one a procedure, as the specifications have one timer a procedure.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    deadlines: BTreeMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { deadlines: BTreeMap::new(), order: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Starts the timer, or starts it again.
    pub fn start(&mut self, key: K, deadline: Instant) {
        if let Some(before) = self.deadlines.insert(key.clone(), deadline) {
            self.order.remove(&(before, key.clone()));
        }
        self.order.insert((deadline, key));
    }

    /// Stops the timer; says whether it ran.
    pub fn stop(&mut self, key: &K) -> bool {
        match self.deadlines.remove(key) {
            Some(deadline) => self.order.remove(&(deadline, key.clone())),
            None => false,
        }
    }

    pub fn is_running(&self, key: &K) -> bool {
        self.deadlines.contains_key(key)
    }

    /// Takes one timer that is due.
    pub fn expire(&mut self, now: Instant) -> Option<K> {
        let (deadline, _) = self.order.first()?;
        if *deadline > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.deadlines.remove(&key);
        Some(key)
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.order.first().map(|(deadline, _)| *deadline)
    }

    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test has a clock")]
    fn timers_expire_once_and_in_order() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.start("b", at(20));
        timers.start("a", at(10));
        timers.start("c", at(5));
        timers.start("c", at(30));
        assert!(timers.stop(&"b") && !timers.stop(&"b"));
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert_eq!(timers.expire(at(9)), None);
        assert_eq!((timers.expire(at(40)), timers.expire(at(40)), timers.expire(at(40))), (Some("a"), Some("c"), None));
        assert!(timers.is_empty());
    }
}
