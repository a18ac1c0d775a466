//! Requests of ours: repeated until they are answered or given up (TS 29.244 6.4).

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Instant;

use rs_pfcp::message::MsgType;
use rs_pfcp::message::header::Header;

use crate::event::Discard;
use crate::up_function::UpFunction;

/// Requests without an answer.
#[derive(Debug)]
pub(crate) struct Requests {
    by_number: HashMap<u32, Outstanding>,
    by_deadline: BTreeSet<(Instant, u32)>,
    requests_max: usize,
    next_number: u32,
}

/// What a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Heartbeat { association: u32 },
    SessionReport { seid: u64 },
}

#[derive(Debug)]
struct Outstanding {
    about: About,
    to: SocketAddr,
    octets: Vec<u8>,
    repetitions_left: u32,
    deadline: Instant,
}

/// Sequence numbers have 24 bits.
const NUMBER_MASK: u32 = 0x00ff_ffff;

impl Requests {
    pub(crate) fn new(requests_max: usize) -> Self {
        Self { by_number: HashMap::new(), by_deadline: BTreeSet::new(), requests_max, next_number: 1 }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// A number for the next request. None: too many are without an answer.
    fn number(&mut self) -> Option<u32> {
        if self.by_number.len() >= self.requests_max {
            return None;
        }
        // There are fewer requests than numbers, so one is free.
        while self.by_number.contains_key(&self.next_number) {
            self.next_number = (self.next_number + 1) & NUMBER_MASK;
        }
        let number = self.next_number;
        self.next_number = (number + 1) & NUMBER_MASK;
        Some(number)
    }

    fn insert(&mut self, number: u32, outstanding: Outstanding) {
        self.by_deadline.insert((outstanding.deadline, number));
        self.by_number.insert(number, outstanding);
    }

    fn remove(&mut self, number: u32) -> Option<Outstanding> {
        let outstanding = self.by_number.remove(&number)?;
        self.by_deadline.remove(&(outstanding.deadline, number));
        Some(outstanding)
    }

    fn due(&mut self, now: Instant) -> Option<(u32, Outstanding)> {
        let (deadline, number) = *self.by_deadline.first()?;
        if deadline > now {
            return None;
        }
        self.remove(number).map(|outstanding| (number, outstanding))
    }
}

impl About {
    fn kind(self) -> MsgType {
        match self {
            Self::Heartbeat { .. } => MsgType::HeartbeatRequest,
            Self::SessionReport { .. } => MsgType::SessionReportRequest,
        }
    }
}

impl UpFunction {
    /// Sends a request. False: there are too many without an answer.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        to: SocketAddr,
        about: About,
        write: impl FnOnce(u32) -> Vec<u8>,
    ) -> bool {
        let Some(number) = self.requests.number() else { return false };
        let octets = write(number);
        self.figures.sent[about.kind() as usize] += 1;
        self.send(to, octets.clone());
        let (deadline, repetitions_left) = (now + self.config.timers.t1(), self.config.timers.n1);
        self.requests.insert(number, Outstanding { about, to, octets, repetitions_left, deadline });
        true
    }

    pub(crate) fn repeat_requests(&mut self, now: Instant) {
        // Each one is due once: its next deadline is later than now.
        while let Some((number, mut outstanding)) = self.requests.due(now) {
            match outstanding.repetitions_left.checked_sub(1) {
                Some(left) => {
                    outstanding.repetitions_left = left;
                    outstanding.deadline = now + self.config.timers.t1().max(std::time::Duration::from_millis(1));
                    self.send(outstanding.to, outstanding.octets.clone());
                    self.requests.insert(number, outstanding);
                }
                None => {
                    self.figures.unanswered[outstanding.about.kind() as usize] += 1;
                    match outstanding.about {
                        About::Heartbeat { association } => self.heartbeat_unanswered(association),
                        About::SessionReport { seid } => self.report_unanswered(seid),
                    }
                }
            }
        }
    }

    pub(crate) fn handle_response(&mut self, now: Instant, from: SocketAddr, header: &Header, body: Option<&[u8]>) {
        let number = header.sequence_number.0;
        let ours = self.requests.by_number.get(&number).is_some_and(|outstanding| {
            outstanding.to.ip() == from.ip() && header.message_type as u8 == outstanding.about.kind() as u8 + 1
        });
        // TS 29.244 7.6.5.
        let Some(outstanding) = ours.then(|| self.requests.remove(number)).flatten() else {
            return self.figures.discard(Discard::UnexpectedResponse);
        };
        match outstanding.about {
            About::Heartbeat { association } => self.heartbeat_answered(now, association, body),
            // Whatever it says: there is nothing more to report about this tunnel.
            About::SessionReport { .. } => {}
        }
    }
}
