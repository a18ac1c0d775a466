//! What was answered to the user plane's requests: one that is repeated gets the same octets again and is not carried out
//! twice (TS 29.244, 6.4).

use std::collections::{HashMap, VecDeque};

/// Most answers kept; the oldest goes first. A repetition comes within N1 times T1, and user planes ask little.
const ANSWERED_MAX: usize = 1_024;

#[derive(Default)]
pub(super) struct Memory {
    answers: HashMap<u32, Exchange>,
    order: VecDeque<u32>,
}

struct Exchange {
    /// Whole, because a restarted user plane counts from the start again: the same number then is another request.
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Memory {
    pub(super) fn recall(&self, sequence: u32, request: &[u8]) -> Option<&[u8]> {
        let exchange = self.answers.get(&sequence)?;
        (exchange.request == request).then_some(&exchange.answer)
    }

    pub(super) fn keep(&mut self, sequence: u32, request: &[u8], answer: &[u8]) {
        let exchange = Exchange { request: request.to_vec(), answer: answer.to_vec() };
        if self.answers.insert(sequence, exchange).is_some() {
            return;
        }
        self.order.push_back(sequence);
        if self.order.len() > ANSWERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_same_request_is_recalled_and_the_oldest_is_forgotten() {
        let mut memory = Memory::default();
        memory.keep(1, b"request", b"answer");
        assert_eq!(memory.recall(1, b"request"), Some(&b"answer"[..]));
        assert_eq!(memory.recall(1, b"another"), None);
        assert_eq!(memory.recall(2, b"request"), None);
        memory.keep(1, b"another", b"second");
        assert_eq!(memory.recall(1, b"another"), Some(&b"second"[..]));
        for sequence in 2..=ANSWERED_MAX as u32 + 1 {
            memory.keep(sequence, b"r", b"a");
        }
        assert_eq!(memory.recall(1, b"another"), None);
        assert_eq!((memory.answers.len(), memory.order.len()), (ANSWERED_MAX, ANSWERED_MAX));
    }
}
