//! Every timer of this function and what its end means.

use crate::procedure::Procedure;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use coeur_model::{AmfUeNgapId, PduSessionId};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// T3522, T3550, T3560 or T3570: the procedure that runs has one at a time.
    Nas(UeKey),
    /// Implicit deregistration (TS 24.501, 5.3.7).
    Implicit(UeKey),
    /// The phone has not proven who it is.
    Unauthenticated(UeKey),
    /// Initial Context Setup Request is unanswered.
    ContextSetup(UeKey),
    /// UE Context Release Command is unanswered.
    Release(AmfUeNgapId),
    /// A PDU Session Resource Setup, Modify or Release is unanswered.
    Resource(UeKey, PduSessionId),
}

impl Amf {
    pub(crate) fn start(&mut self, cx: &Cx<'_, '_>, timer: Timer, after: Duration) {
        self.timers.start(timer, cx.env.now + after);
    }

    pub(crate) fn expire(&mut self, cx: &mut Cx<'_, '_>) {
        // A timer that is started here is started for later than now, so this ends.
        while let Some(timer) = self.timers.expire(cx.now()) {
            match timer {
                Timer::Nas(key) => self.nas_timer(cx, key),
                Timer::Implicit(key) => self.implicit_deregistration(cx, key),
                Timer::Unauthenticated(key) => self.unauthenticated_too_long(cx, key),
                Timer::ContextSetup(key) => self.context_setup_unanswered(cx, key),
                Timer::Release(amf_id) => self.release_unanswered(amf_id),
                Timer::Resource(key, session) => self.resource_unanswered(cx, key, session),
            }
        }
        while let Some(key) = self.ues.kept.expire(cx.now()) {
            self.remove_ue(cx, key);
        }
    }

    fn nas_timer(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        match self.ues.get(key).map(|ue| &ue.procedure) {
            Some(Procedure::Registration(_)) => self.registration_timer(cx, key),
            Some(Procedure::Deregistration(_)) => self.deregistration_timer(cx, key),
            _ => {}
        }
    }

    /// This long after the phone was heard last, it is taken for gone: T3512 and a margin (TS 24.501, 5.3.7).
    pub(crate) fn start_implicit_deregistration(&mut self, cx: &Cx<'_, '_>, key: UeKey) {
        let timers = &self.settings.timers;
        let after = u64::from(timers.t3512_s) + u64::from(timers.implicit_deregistration_s);
        self.start(cx, Timer::Implicit(key), Duration::from_secs(after));
    }
}
