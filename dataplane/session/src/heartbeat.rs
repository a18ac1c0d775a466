//! Heartbeats, both ways (TS 29.244 6.2.2): a path that is alive, and a peer that has not lost its memory.

use std::time::Instant;

use rs_pfcp::ie::IeType;
use rs_pfcp::message::MsgType;

use crate::association::Association;
use crate::event::{Discard, Event};
use crate::figures::Outcome;
use crate::memory::RequestKey;
use crate::request::About;
use crate::up_function::UpFunction;
use crate::wire::reader::Elements;
use crate::wire::writer::Writer;

impl UpFunction {
    /// TS 29.244 6.2.2.2: answered at any time, also to strangers.
    pub(crate) fn handle_heartbeat_request(&mut self, now: Instant, key: RequestKey, body: Option<&[u8]>) {
        let Some(stamp) = body.and_then(recovery_time_stamp) else {
            // The response has no cause to say it with.
            return self.figures.discard(Discard::Malformed);
        };
        self.figures.request(MsgType::HeartbeatRequest, Outcome::Accepted);
        let mut response = Writer::node(MsgType::HeartbeatResponse, key.sequence_number);
        response.ie(IeType::RecoveryTimeStamp, &self.recovery_time_stamp());
        self.send(key.from, response.finish());
        // The request does not say whose it is: an address tells, unless two control planes share it.
        let mut there = self.associations.iter().filter(|association| association.peer.ip() == key.from.ip());
        if let (Some(association), None) = (there.next().map(|association| association.number), there.next()) {
            self.compare_recovery_time_stamp(now, association, stamp);
        }
    }

    pub(crate) fn send_heartbeats(&mut self, now: Instant) {
        let stamp = self.recovery_time_stamp();
        for position in 0..self.associations.len() {
            let association = &mut self.associations[position];
            if association.heartbeat_due > now {
                continue;
            }
            // The next one is due when this one is answered or given up; meanwhile repetitions go out.
            let timers = self.config.timers;
            association.heartbeat_due = now + timers.heartbeat() + timers.t1() * (timers.n1 + 1);
            let (to, association) = (association.peer, association.number);
            self.request(now, to, About::Heartbeat { association }, |number| {
                let mut request = Writer::node(MsgType::HeartbeatRequest, number);
                request.ie(IeType::RecoveryTimeStamp, &stamp);
                request.finish()
            });
        }
    }

    pub(crate) fn heartbeat_answered(&mut self, now: Instant, number: u32, body: Option<&[u8]>) {
        let pause = self.config.timers.heartbeat();
        let Some(association) = self.associations.iter_mut().find(|association| association.number == number) else {
            return;
        };
        association.heartbeat_due = now + pause;
        let spoke_again = std::mem::take(&mut association.silent);
        let node = association.node.clone();
        if spoke_again {
            self.event(Event::PeerAnswers { node });
        }
        match body.and_then(recovery_time_stamp) {
            Some(stamp) => self.compare_recovery_time_stamp(now, number, stamp),
            None => self.figures.discard(Discard::Malformed),
        }
    }

    /// TS 23.527 4.4: traffic goes on; whether to give up is the control plane's to say.
    pub(crate) fn heartbeat_unanswered(&mut self, number: u32) {
        let Some(association) = self.associations.iter_mut().find(|association| association.number == number) else {
            return;
        };
        if !std::mem::replace(&mut association.silent, true) {
            let node = association.node.clone();
            self.event(Event::PeerSilent { node });
        }
    }

    /// TS 23.527 4.3.2: a peer with another recovery time stamp has restarted. Traffic goes on for a while: its association
    /// setup may retain the sessions.
    fn compare_recovery_time_stamp(&mut self, now: Instant, number: u32, stamp: u32) {
        let gone_at = now + self.config.timers.restart_grace();
        let Some(association) = self.associations.iter_mut().find(|association| association.number == number) else {
            return;
        };
        // TS 29.244 8.2.65: an older one is a late message of its former life.
        if stamp <= association.recovery_time_stamp || association.gone_at.is_some() {
            return;
        }
        association.gone_at = Some(gone_at);
        let node = association.node.clone();
        let sessions = self.seats.of_association(number).len();
        self.event(Event::PeerRestarted { node, sessions });
    }

    /// Peers that restarted and did not come back.
    pub(crate) fn end_waiting(&mut self, now: Instant) {
        let gone = |association: &&Association| association.gone_at.is_some_and(|gone_at| gone_at <= now);
        let gone: Vec<_> = self.associations.iter().filter(gone).map(|gone| (gone.number, gone.node.clone())).collect();
        for (number, node) in gone {
            // Sessions at work settle first; the next heartbeat brings us here again.
            if self.seats.any_busy(&self.seats.of_association(number)) {
                let later = now + self.config.timers.heartbeat();
                let known = self.associations.iter_mut().find(|association| association.number == number);
                known.into_iter().for_each(|association| association.gone_at = Some(later));
                continue;
            }
            let sessions = self.drop_association(number);
            self.event(Event::PeerGone { node, sessions: sessions.len() });
            self.purge(sessions, None);
        }
    }
}

fn recovery_time_stamp(body: &[u8]) -> Option<u32> {
    Elements::new(body).first(IeType::RecoveryTimeStamp).ok()??.u32().ok()
}
