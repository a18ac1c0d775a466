//! Responses, kept for requests that are repeated (TS 29.244 6.4): a request is applied once and answered as often as it comes.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A request of a peer: TS 29.244 6.4, address, port and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestKey {
    pub(crate) from: SocketAddr,
    pub(crate) sequence_number: u32,
}

#[derive(Debug)]
pub(crate) struct Memory {
    entries: HashMap<RequestKey, Entry>,
    /// Oldest first; may name entries that were replaced.
    order: VecDeque<(Instant, RequestKey)>,
    responses_max: usize,
    age_max: Duration,
}

#[derive(Debug)]
struct Entry {
    /// A peer that restarted begins its sequence numbers anew: only the same octets are the same request.
    digest: u64,
    received: Instant,
    /// None while it is being worked on.
    response: Option<Vec<u8>>,
}

/// What a request is to the memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recall<'a> {
    New,
    InProgress,
    Answered(&'a [u8]),
}

impl Memory {
    pub(crate) fn new(responses_max: usize, age_max: Duration) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), responses_max: responses_max.max(1), age_max }
    }

    /// Looks a request up, and notes it if it is new.
    pub(crate) fn recall(&mut self, now: Instant, key: RequestKey, request: &[u8]) -> Recall<'_> {
        self.forget_old(now);
        let digest = digest(request);
        let known = self.entries.get(&key).is_some_and(|entry| entry.digest == digest);
        if !known {
            self.entries.insert(key, Entry { digest, received: now, response: None });
            self.order.push_back((now, key));
            return Recall::New;
        }
        match self.entries.get(&key).and_then(|entry| entry.response.as_deref()) {
            Some(response) => Recall::Answered(response),
            None => Recall::InProgress,
        }
    }

    pub(crate) fn answered(&mut self, key: RequestKey, response: &[u8]) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.response = Some(response.to_vec());
        }
    }

    /// The request was not worked on: its repetition is new.
    pub(crate) fn forget(&mut self, key: RequestKey) {
        self.entries.remove(&key);
    }

    /// Everything from a peer that restarted, but for the request that says so.
    pub(crate) fn forget_peer(&mut self, address: IpAddr, but: RequestKey) {
        self.entries.retain(|key, _| key.from.ip() != address || *key == but);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((received, key)) = self.order.front().copied() {
            let old = now.saturating_duration_since(received) >= self.age_max;
            if !old && self.order.len() < self.responses_max {
                return;
            }
            self.order.pop_front();
            // A later request may have taken its place.
            if self.entries.get(&key).is_some_and(|entry| entry.received == received) {
                self.entries.remove(&key);
            }
        }
    }
}

fn digest(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    octets.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(30);

    fn key(sequence_number: u32) -> RequestKey {
        RequestKey { from: SocketAddr::from(([127, 0, 0, 1], 8805)), sequence_number }
    }

    #[test]
    fn the_same_octets_are_answered_from_memory_until_they_are_old() {
        let start = Instant::now();
        let mut memory = Memory::new(10, AGE);
        assert_eq!(memory.recall(start, key(1), b"request"), Recall::New);
        assert_eq!(memory.recall(start, key(1), b"request"), Recall::InProgress);
        memory.answered(key(1), b"response");
        assert_eq!(memory.recall(start + AGE / 2, key(1), b"request"), Recall::Answered(b"response"));
        assert_eq!(memory.recall(start + AGE / 2, key(2), b"request"), Recall::New, "another sequence number");
        assert_eq!(memory.recall(start + AGE, key(1), b"request"), Recall::New, "too old");
    }

    #[test]
    fn a_restarted_peer_gets_no_answer_of_its_former_life() {
        let now = Instant::now();
        let mut memory = Memory::new(10, AGE);
        memory.recall(now, key(1), b"setup, recovery time 1");
        memory.answered(key(1), b"response");
        assert_eq!(memory.recall(now, key(1), b"setup, recovery time 2"), Recall::New);
    }

    #[test]
    fn the_memory_is_bounded() {
        let now = Instant::now();
        let mut memory = Memory::new(3, AGE);
        for number in 0..100 {
            assert_eq!(memory.recall(now, key(number), b"request"), Recall::New);
            assert!(memory.len() <= 3 && memory.order.len() <= 3);
        }
        assert_eq!(memory.recall(now, key(99), b"request"), Recall::InProgress, "the youngest stay");
    }
}
