//! From a decision to the tables and back: nothing half made stays.

use coeur_rules::{Compiled, MapWrite, RuleSet, plan};
use rs_pfcp::ie::cause::CauseValue;
use std::time::Instant;

use crate::event::{ApplyFailure, Event, Output, Slot, Usage};
use crate::modification::Modification;
use crate::seats::{Holdings, Session, State};
use crate::up_function::{Request, UpFunction};
use crate::wire::Refusal;

/// Sessions whose records are removed with one [`Output::Apply`], when an association goes.
const PURGE_BATCH: usize = 256;

/// Writes under way.
#[derive(Debug)]
pub(crate) struct Transaction {
    measure: Vec<Slot>,
    work: Work,
}

/// What the writes are for.
#[derive(Debug)]
pub(crate) enum Work {
    Establish {
        seat: u32,
        request: Request,
        response: Vec<u8>,
    },
    Modify(Box<Modification>),
    Delete {
        seat: u32,
        request: Request,
    },
    /// Back to what the session was.
    RollBack {
        seat: u32,
        gained: Holdings,
        leave: bool,
    },
    Purge {
        batch: Vec<u32>,
        rest: Vec<u32>,
        after: Option<AfterPurge>,
    },
}

/// The request that a purge answers.
#[derive(Debug)]
pub(crate) struct AfterPurge {
    pub(crate) request: Request,
    pub(crate) response: Vec<u8>,
}

impl UpFunction {
    /// Starts writes. Without any, they have succeeded.
    pub(crate) fn begin(&mut self, now: Instant, measure: Vec<Slot>, writes: Vec<MapWrite>, work: Work) {
        if measure.is_empty() && writes.is_empty() {
            return self.committed(now, work, &[]);
        }
        let number = self.start(measure.clone(), work);
        self.outputs.push(Output::Apply { transaction: number, measure, writes });
    }

    fn start(&mut self, measure: Vec<Slot>, work: Work) -> u64 {
        self.transactions_made += 1;
        self.transactions.insert(self.transactions_made, Transaction { measure, work });
        self.transactions_made
    }

    pub(crate) fn handle_applied(&mut self, now: Instant, number: u64, result: Result<Vec<Usage>, ApplyFailure>) {
        let Some(Transaction { measure, work }) = self.transactions.remove(&number) else { return };
        match result {
            Ok(usage) => {
                let readings: Vec<_> = measure.into_iter().zip(usage).collect();
                self.committed(now, work, &readings);
            }
            Err(failure) => {
                self.figures.apply_failures += 1;
                self.failed(now, work, failure);
            }
        }
    }

    fn committed(&mut self, now: Instant, work: Work, readings: &[(Slot, Usage)]) {
        match work {
            Work::Establish { seat, request, response } => {
                self.turn(seat, State::Settled);
                self.accept(request, response);
            }
            Work::Modify(modification) => self.modified(now, *modification, readings),
            Work::Delete { seat, request } => self.deleted(now, seat, request, readings),
            Work::RollBack { seat, gained, leave } => {
                self.seats.let_go(seat, &gained);
                if leave {
                    self.seats.leave(seat);
                } else {
                    self.turn(seat, State::Settled);
                }
            }
            Work::Purge { batch, rest, after } => {
                batch.into_iter().for_each(|seat| drop(self.leave(seat)));
                self.purge(rest, after);
            }
        }
    }

    /// TS 29.244 table 8.2.1-1: the user plane has no room for it, or cannot do it now; the session is as it was before.
    fn failed(&mut self, now: Instant, work: Work, failure: ApplyFailure) {
        let refusal = Refusal::new(CauseValue::NoResourcesAvailable);
        let detail = failure.0;
        match work {
            Work::Establish { seat, request, .. } => {
                self.event(Event::ApplyFailed { detail });
                let session = self.seats.session(seat);
                let (rules, compiled) = session.map(|session| (&session.rules, &session.compiled)).unzip();
                let gained =
                    rules.zip(compiled).map(|(rules, compiled)| Holdings::of(rules, compiled)).unwrap_or_default();
                let writes = compiled.map(|compiled| plan(compiled, &Compiled::default())).unwrap_or_default();
                self.refuse(request, &refusal);
                self.count_rate_limits(seat, &RuleSet::default());
                self.begin(now, vec![], writes, Work::RollBack { seat, gained, leave: true });
            }
            Work::Modify(modification) => {
                self.event(Event::ApplyFailed { detail });
                let back = self
                    .seats
                    .session(modification.seat)
                    .map(|session| plan(&modification.draft.compiled, &session.compiled));
                self.refuse(modification.request, &refusal);
                let work = Work::RollBack { seat: modification.seat, gained: modification.gained, leave: false };
                self.begin(now, vec![], back.unwrap_or_default(), work);
            }
            Work::Delete { seat, request } => {
                self.event(Event::ApplyFailed { detail });
                let back = self.seats.session(seat).map(|session| plan(&Compiled::default(), &session.compiled));
                self.refuse(request, &refusal);
                let work = Work::RollBack { seat, gained: Holdings::default(), leave: false };
                self.begin(now, vec![], back.unwrap_or_default(), work);
            }
            // The sessions stay where they are: their slots must not go to others.
            Work::RollBack { seat, .. } => {
                self.turn(seat, State::Stuck);
                self.event(Event::SlotsLost { detail });
            }
            Work::Purge { batch, rest, after } => {
                batch.into_iter().for_each(|seat| self.turn(seat, State::Stuck));
                self.event(Event::SlotsLost { detail });
                self.purge(rest, after);
            }
        }
    }

    /// Removes sessions without a word to their peer, some at a time, and then answers.
    pub(crate) fn purge(&mut self, mut seats: Vec<u32>, after: Option<AfterPurge>) {
        let rest = seats.split_off(seats.len().min(PURGE_BATCH));
        if seats.is_empty() {
            if let Some(AfterPurge { request, response }) = after {
                self.accept(request, response);
            }
            return;
        }
        let nothing = Compiled::default();
        let mut writes = Vec::new();
        for seat in &seats {
            if let Some(session) = self.seats.session_mut(*seat) {
                session.state = State::Busy;
                writes.extend(plan(&session.compiled, &nothing));
            }
        }
        let number = self.start(vec![], Work::Purge { batch: seats, rest, after });
        self.outputs.push(Output::Apply { transaction: number, measure: vec![], writes });
    }

    /// A session gives up its seat and all that it holds.
    pub(crate) fn leave(&mut self, seat: u32) -> Option<Box<Session>> {
        self.count_rate_limits(seat, &RuleSet::default());
        let session = self.seats.leave(seat)?;
        self.seats.let_go(seat, &Holdings::of(&session.rules, &session.compiled));
        Some(session)
    }

    fn turn(&mut self, seat: u32, state: State) {
        if let Some(session) = self.seats.session_mut(seat) {
            session.state = state;
        }
    }

    /// Keeps the number of rate limits that are accepted and not enforced, from the rules of a seat to `next`.
    pub(crate) fn count_rate_limits(&mut self, seat: u32, next: &RuleSet) {
        let limits = |rules: &RuleSet| rules.qers.iter().filter(|qer| qer.mbr.is_some()).count() as u64;
        let before = self.seats.session(seat).map_or(0, |session| limits(&session.rules));
        self.change_rate_limits(before, limits(next));
    }

    pub(crate) fn change_rate_limits(&mut self, before: u64, after: u64) {
        let count = &mut self.figures.rate_limits_not_enforced;
        *count = (*count + after).saturating_sub(before);
        if after > 0 && !std::mem::replace(&mut self.rate_limits_seen, true) {
            self.event(Event::RateLimitNotEnforced);
        }
    }
}
