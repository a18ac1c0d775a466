//! The events of one run of a core: the last ones are kept, so that a reader that lost its connection misses nothing.

use coeur_nf::event::Event;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// How many events are kept for readers that come late or come back.
pub(crate) const EVENTS_KEPT_MAX: usize = 8_192;

/// An event with its place in this run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Numbered {
    /// From 1, without gaps.
    pub(crate) sequence: u64,
    pub(crate) unix_ms: u64,
    pub(crate) event: Event,
}

/// What a reader gets next.
#[derive(Debug, PartialEq)]
pub(crate) struct Read {
    /// How many events the reader can no longer have, before those of `events`.
    pub(crate) lost: u64,
    pub(crate) events: Vec<Numbered>,
}

#[derive(Debug)]
pub(crate) struct EventLog {
    /// Names this run: its start, in milliseconds since the Unix epoch.
    pub(crate) run: u64,
    kept: Mutex<VecDeque<Numbered>>,
    /// The sequence number of the newest event.
    newest: watch::Sender<u64>,
}

impl EventLog {
    pub(crate) fn new(run: u64) -> Self {
        Self { run, kept: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Appends events that happened at `unix_ms`, and wakes readers once.
    pub(crate) fn append(&self, unix_ms: u64, events: impl IntoIterator<Item = Event>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *self.newest.borrow();
        let mut sequence = before;
        for event in events {
            sequence += 1;
            if kept.len() == EVENTS_KEPT_MAX {
                kept.pop_front();
            }
            kept.push_back(Numbered { sequence, unix_ms, event });
        }
        drop(kept);
        if sequence != before {
            self.newest.send_replace(sequence);
        }
    }

    /// At most `limit` events after the one numbered `after`.
    pub(crate) fn read(&self, after: u64, limit: usize) -> Read {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(oldest) = kept.front().map(|first| first.sequence) else {
            return Read { lost: 0, events: Vec::new() };
        };
        let lost = oldest.saturating_sub(after.saturating_add(1));
        let skip = usize::try_from(after.saturating_add(1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        Read { lost, events: kept.iter().skip(skip).take(limit).cloned().collect() }
    }

    /// Changes whenever there is something new to read.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(n: usize) -> impl Iterator<Item = Event> {
        (0..n).map(|i| Event::UpfLost { node: i.to_string() })
    }

    #[test]
    fn a_reader_goes_on_where_it_was_and_is_told_what_it_missed() {
        let log = EventLog::new(7);
        assert_eq!(log.read(0, 10), Read { lost: 0, events: Vec::new() });
        log.append(1, lost(3));
        let sequences = |read: Read| read.events.iter().map(|event| event.sequence).collect::<Vec<_>>();
        assert_eq!(sequences(log.read(0, 2)), [1, 2]);
        assert_eq!(sequences(log.read(2, 2)), [3]);
        assert_eq!(sequences(log.read(u64::MAX, 2)), [0; 0]);
        log.append(2, lost(EVENTS_KEPT_MAX));
        let read = log.read(1, 1);
        assert_eq!((read.lost, read.events[0].sequence), (2, 4));
        assert_eq!(*log.watch().borrow(), 3 + EVENTS_KEPT_MAX as u64);
    }
}
