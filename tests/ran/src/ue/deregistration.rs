//! Deregistration, from both sides (TS 24.501, 5.5.2).

use super::{EstablishmentCause, Event, Failure, Mm, Output, Timer, Ue};
use oxirush_nas::nas_5gs::{
    AccessTypeValue, Nas5gsMessage, NasDeRegistrationType, NasDeregistrationAcceptUeTerminated,
    NasDeregistrationRequestUeOriginating, NasDeregistrationRequestUeTerminated, NasFGmmCause, NasFGsMobileIdentity,
};
use std::time::Instant;

impl Ue {
    /// TS 24.501 5.5.2.2.1.
    pub(super) fn deregister(&mut self, now: Instant, switch_off: bool, out: &mut Vec<Output>) {
        match &self.mm {
            // Nothing to tell the network.
            Mm::Deregistered => {
                self.timers.clear();
                return out.push(Output::Event(Event::Deregistered { failure: None, register_again: false }));
            }
            Mm::Deregistering { .. } => return,
            // TS 24.501 5.5.1.2.7 g): the registration is aborted.
            Mm::Registering(_) | Mm::RequestingService | Mm::Registered => {}
        }
        self.timers.clear();
        self.send_deregistration(switch_off, out);
        if switch_off {
            // No answer is waited for.
            return self.deregistered(None, false, out);
        }
        self.mm = Mm::Deregistering { switch_off, sent: 1 };
        self.timers.start(Timer::T3521, now, self.config.profile.timers.t3521);
    }

    fn send_deregistration(&mut self, switch_off: bool, out: &mut Vec<Output>) {
        let identity = match self.guti {
            Some(guti) => Some(NasFGsMobileIdentity::from_guti(guti)),
            None => self.config.profile.concealment.conceal(&self.config.supi, self.config.profile.plmn).ok(),
        };
        let kind =
            NasDeRegistrationType::new(0).with_access_type(AccessTypeValue::ThreeGppAccess).with_switch_off(switch_off);
        let identity = identity.unwrap_or_else(NasFGsMobileIdentity::from_no_identity);
        let request = NasDeregistrationRequestUeOriginating::new(kind, self.security.ngksi(), identity);
        if self.connected && self.security.exchanging {
            return self.send(request, out);
        }
        let request = Nas5gsMessage::new_5gmm(request);
        self.send_initial(&request, &request, EstablishmentCause::MoSignalling, out);
    }

    /// TS 24.501 5.5.2.2.3.
    pub(super) fn deregistration_accept(&mut self, out: &mut Vec<Output>) {
        match self.mm {
            Mm::Deregistering { .. } => self.deregistered(None, false, out),
            _ => self.unexpected("DEREGISTRATION ACCEPT", out),
        }
    }

    /// TS 24.501 5.5.2.2.6 c): sent again four times, then the UE is deregistered all the same.
    pub(super) fn deregistration_expired(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Mm::Deregistering { switch_off, sent } = self.mm else { return };
        out.push(Output::Event(Event::TimerExpired(Timer::T3521)));
        if sent >= self.config.profile.timers.attempts_max {
            return self.deregistered(Some(Failure::Expired(Timer::T3521)), false, out);
        }
        self.mm = Mm::Deregistering { switch_off, sent: sent + 1 };
        self.send_deregistration(switch_off, out);
        self.timers.start(Timer::T3521, now, self.config.profile.timers.t3521);
    }

    /// TS 24.501 5.5.2.3.2 and 5.5.2.3.4: accepted in every state; a registration or service request in progress ends.
    pub(super) fn network_deregisters(
        &mut self,
        request: &NasDeregistrationRequestUeTerminated,
        out: &mut Vec<Output>,
    ) {
        self.send(NasDeregistrationAcceptUeTerminated::new(), out);
        let cause = request.fgmm_cause.as_ref().map(NasFGmmCause::cause_raw);
        // #3, #6, #7: the USIM is invalid, GUTI and keys go.
        if matches!(cause, Some(3 | 6 | 7)) {
            self.guti = None;
        }
        self.deregistered(cause.map(Failure::Gmm), request.de_registration_type.re_registration_required(), out);
    }

    /// Keeps GUTI and security context, as a phone does that is switched on again (TS 24.501, annex C).
    pub(super) fn deregistered(&mut self, failure: Option<Failure>, register_again: bool, out: &mut Vec<Output>) {
        self.timers.clear();
        self.mm = Mm::Deregistered;
        self.drop_sessions(out);
        out.push(Output::Event(Event::Deregistered { failure, register_again }));
    }
}
