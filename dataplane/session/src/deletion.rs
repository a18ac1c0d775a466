//! PFCP session deletion (TS 29.244 6.3.4, 7.5.6, 7.5.7).

use std::time::Instant;

use coeur_rules::{Compiled, plan};
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::cause::CauseValue;

use crate::event::{Slot, Usage};
use crate::seats::State;
use crate::transaction::Work;
use crate::up_function::{Progress, Request, UpFunction};
use crate::usage::Trigger;
use crate::wire::Refusal;

impl UpFunction {
    pub(crate) fn delete(&mut self, now: Instant, request: &mut Request, seid: u64) -> Result<Progress, Refusal> {
        let seat = self.seats.find(seid).ok_or(Refusal::new(CauseValue::SessionContextNotFound))?;
        let session = self.seats.session_mut(seat).ok_or(Refusal::new(CauseValue::SessionContextNotFound))?;
        request.cp_seid = session.cp_seid;
        match session.state {
            State::Settled => session.state = State::Busy,
            State::Busy => return Ok(Progress::Busy),
            State::Stuck => return Err(Refusal::new(CauseValue::SystemFailure)),
        }
        let measure = session.meter.slots(&session.rules, &session.compiled);
        let writes = plan(&session.compiled, &Compiled::default());
        self.begin(now, measure, writes, Work::Delete { seat, request: *request });
        Ok(Progress::Pending)
    }

    pub(crate) fn deleted(&mut self, now: Instant, seat: u32, request: Request, readings: &[(Slot, Usage)]) {
        let date = self.date(now);
        let Some(mut session) = self.leave(seat) else { return };
        let mut response = self.response(request);
        response.ie(IeType::Cause, &[CauseValue::RequestAccepted as u8]);
        session.meter.attribute(&session.rules, &session.compiled, readings);
        // TS 29.244 table 7.5.7.1-1: what every URR has counted to the end.
        for urr in &session.rules.urrs {
            let kind = IeType::UsageReportWithinSessionDeletionResponse;
            session.meter.report(&mut response, kind, urr.id, Trigger::Termination, date);
        }
        self.accept(request, response.finish());
    }
}
