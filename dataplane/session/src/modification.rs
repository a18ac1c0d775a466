//! PFCP session modification (TS 29.244 6.3.3, 7.5.4, 7.5.5).

use std::time::Instant;

use coeur_rules::{Reason, RuleId, RuleSet, plan};
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::fseid::Fseid;

use crate::establishment::{Draft, address, fseid, wanted_rules};
use crate::event::{Output, Slot, Usage};
use crate::seats::{Holdings, State};
use crate::transaction::Work;
use crate::up_function::{Progress, Request, UpFunction};
use crate::usage::Trigger;
use crate::wire::Refusal;
use crate::wire::reader::Elements;
use crate::wire::rules::urr_id;

/// A session on its way from one set of rules to another.
#[derive(Debug)]
pub(crate) struct Modification {
    pub(crate) seat: u32,
    pub(crate) request: Request,
    pub(crate) draft: Draft,
    pub(crate) gained: Holdings,
    lost: Holdings,
    cp_fseid: Option<Fseid>,
    /// URRs whose usage is asked for.
    queried: Vec<u32>,
}

impl UpFunction {
    pub(crate) fn modify(
        &mut self,
        now: Instant,
        request: &mut Request,
        seid: u64,
        body: &[u8],
    ) -> Result<Progress, Refusal> {
        let seat = self.seats.find(seid).ok_or(Refusal::new(CauseValue::SessionContextNotFound))?;
        let session = self.seats.session(seat).ok_or(Refusal::new(CauseValue::SessionContextNotFound))?;
        request.cp_seid = session.cp_seid;
        match session.state {
            State::Settled => {}
            State::Busy => return Ok(Progress::Busy),
            State::Stuck => return Err(Refusal::new(CauseValue::SystemFailure)),
        }
        let old = session.rules.clone();
        let elements = Elements::new(body);
        let cp_fseid = elements.first(IeType::Fseid)?.map(fseid).transpose()?;
        let queried = queried_urrs(&elements, &old)?;
        let draft = self.draft(wanted_rules(&elements)?, &old, Some(seat))?;
        let Some(session) = self.seats.session_mut(seat) else {
            return Err(Refusal::new(CauseValue::SessionContextNotFound));
        };
        session.state = State::Busy;
        let had = Holdings::of(&session.rules, &session.compiled);
        let has = Holdings::of(&draft.rules, &draft.compiled);
        let measure = session.meter.slots(&session.rules, &session.compiled);
        let writes = plan(&session.compiled, &draft.compiled);
        let (gained, lost) = (has.without(&had), had.without(&has));
        self.seats.hold(seat, &gained);
        let modification = Modification { seat, request: *request, draft, gained, lost, cp_fseid, queried };
        self.begin(now, measure, writes, Work::Modify(Box::new(modification)));
        Ok(Progress::Pending)
    }

    pub(crate) fn modified(&mut self, now: Instant, modification: Modification, readings: &[(Slot, Usage)]) {
        let Modification { seat, request, draft, lost, cp_fseid, queried, .. } = modification;
        let Draft { rules, compiled, chosen, closed } = draft;
        self.count_rate_limits(seat, &rules);
        let date = self.date(now);
        let mut response = self.response(request);
        response.ie(IeType::Cause, &[CauseValue::RequestAccepted as u8]);
        self.created_pdrs(&mut response, &chosen);
        let Some(session) = self.seats.session_mut(seat) else { return };
        session.meter.attribute(&session.rules, &session.compiled, readings);
        let kind = IeType::UsageReportWithinSessionModificationResponse;
        for urr in &session.rules.urrs {
            // TS 29.244 7.5.5.2: removed, or asked for.
            if !rules.urrs.contains(urr) {
                session.meter.report(&mut response, kind, urr.id, Trigger::Termination, date);
            } else if queried.contains(&urr.id) {
                session.meter.report(&mut response, kind, urr.id, Trigger::Immediate, date);
            }
        }
        rules.urrs.iter().for_each(|urr| session.meter.start(urr.id, date));
        session.meter.keep_slots(&compiled);
        (session.rules, session.compiled) = (rules, compiled);
        (session.state, session.reported) = (State::Settled, None);
        // TS 29.244 table 7.5.4.1-1: another end point for what is sent from now on, this response still to the old one.
        if let Some(fseid) = cp_fseid {
            session.cp_seid = fseid.seid.0;
            session.cp_address = address(&fseid).unwrap_or(session.cp_address);
        }
        self.seats.let_go(seat, &lost);
        // TS 23.501 5.8.2.9: after the last packet of the old tunnel, which the tables have stopped.
        self.outputs.extend(closed.into_iter().map(Output::EndMarker));
        self.accept(request, response.finish());
    }
}

/// Query URR (TS 29.244 table 7.5.4.10-1), and QAURR of the PFCPSMReq-Flags (8.2.32): all.
fn queried_urrs(elements: &Elements<'_>, rules: &RuleSet) -> Result<Vec<u32>, Refusal> {
    const QAURR: u8 = 0x04;
    let mut queried = Vec::new();
    for element in elements.clone() {
        let element = element?;
        match element.kind {
            IeType::QueryUrr => {
                let id = urr_id(&Elements::of(element))?;
                if !rules.urrs.iter().any(|urr| urr.id == id) {
                    return Err(RuleId::Urr(id).error(Reason::Missing).into());
                }
                queried.push(id);
            }
            IeType::PfcpsmReqFlags if element.u8()? & QAURR != 0 => queried.extend(rules.urrs.iter().map(|urr| urr.id)),
            _ => {}
        }
    }
    Ok(queried)
}
