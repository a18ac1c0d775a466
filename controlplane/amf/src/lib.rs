//! The access and mobility management function of one core, as a value.
//!
//! It speaks NGAP with gNBs and 5GMM with phones: NG Setup, registration, authentication (as SEAF), NAS security, service
//! request, deregistration, and the transport of 5GSM messages between phones and the SMF.
//!
//! What it does not do: it opens no socket, reads no clock and draws no random number (see `coeur-nf`); it does not look
//! into a SUCI, a 5GSM message or an NGAP transfer, which are the UDM's, the SMF's and the gNB's. Handover, paging, emergency
//! services, SMS, location services and non-3GPP access are not supported and are refused with their cause.
//!
//! ```text
//!   N2 message ──► ngap/ ──► nas/ ──► registration/ service_request, deregistration, session/
//!                                          │  (a procedure's state is a struct in `procedure::Procedure`)
//!                 timers, answers ────────►│
//!                                          ▼
//!                        messages, requests to AUSF/UDM/SMF, PutUe, events
//! ```
//!
//! Invariants: a phone is another phone's business never: an AMF UE NGAP ID counts only on the association it was given
//! to, and a context is touched only by a message that its keys verify. A record is committed before Registration Accept.

mod deregistration;
mod exchange;
mod gnb;
mod limits;
mod metrics;
mod nas;
mod ngap;
mod procedure;
mod registration;
mod service_request;
mod session;
mod settings;
mod timeout;
mod ue;
mod view;

pub use settings::AmfSettings;
pub use view::{Counts, GnbView, UeSessionView, UeView};

use coeur_nf::event::Event;
use coeur_nf::metric::Sample;
use coeur_nf::services::namf::{
    AmfCommand, AmfInput, AmfOutput, AmfProblem, AmfRequest, AmfResponse, N2Action, N2Event,
};
use coeur_nf::store::{StoreOp, UeRecord};
use coeur_nf::{Env, ExchangeId, NetworkFunction, StoreToken, Timers};
use exchange::{Commit, Exchange};
use gnb::Gnbs;
use metrics::{Family, Metrics};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use timeout::Timer;
use ue::UeKey;
use ue::registry::Ues;

/// The AMF of one core.
pub struct Amf {
    settings: AmfSettings,
    gnbs: Gnbs,
    ues: Ues,
    timers: Timers<Timer>,
    exchanges: HashMap<ExchangeId, Exchange>,
    next_exchange: u64,
    commits: HashMap<StoreToken, Commit>,
    next_token: u64,
    metrics: Metrics,
}

/// What one call of `handle` may know and say.
pub(crate) struct Cx<'a, 'e> {
    pub(crate) env: &'a mut Env<'e>,
    pub(crate) out: &'a mut Vec<AmfOutput>,
}

impl Cx<'_, '_> {
    pub(crate) fn now(&self) -> Instant {
        self.env.now
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push(AmfOutput::Event(event));
    }

    pub(crate) fn n2(&mut self, action: N2Action) {
        self.out.push(AmfOutput::N2(action));
    }
}

impl Amf {
    pub fn new(settings: AmfSettings) -> Self {
        Self {
            settings,
            gnbs: Gnbs::default(),
            ues: Ues::default(),
            timers: Timers::default(),
            exchanges: HashMap::new(),
            next_exchange: 0,
            commits: HashMap::new(),
            next_token: 0,
            metrics: Metrics::default(),
        }
    }

    /// Brings phones back as RM-REGISTERED and CM-IDLE. Their implicit deregistration timers start anew: nobody knows how
    /// long this function was away.
    fn restore(&mut self, cx: &mut Cx<'_, '_>, records: Vec<UeRecord>) {
        for UeRecord { supi, record } in records {
            match ue::record::read(&record) {
                Ok(mut ue) => {
                    ue.supi = Some(supi);
                    ue.last_activity = cx.env.unix_time;
                    let key = self.ues.insert(ue);
                    self.start_implicit_deregistration(cx, key);
                }
                // The phone is unknown from here on: its next message is answered with #9, and it registers anew.
                Err(error) => {
                    self.metrics.one(Family::Internal, "unreadable UE record");
                    let cause = error.to_string();
                    cx.event(Event::ProcedureFailed { procedure: "restore", supi: Some(supi.clone()), cause });
                    self.store(cx, StoreOp::RemoveUe { supi }, Commit::Nothing);
                }
            }
        }
    }

    fn serve(&mut self, cx: &mut Cx<'_, '_>, exchange: ExchangeId, request: AmfRequest) {
        let answer = match request {
            AmfRequest::N1N2MessageTransfer { supi, session, n1_sm, n2_sm } => match self.ues.by_supi(&supi) {
                Some(key) => self.transfer(cx, key, session::Transfer { session, n1_sm, n2_sm }),
                None => Err(AmfProblem::ContextNotFound),
            },
            AmfRequest::SmContextReleased { supi, session } => match self.ues.by_supi(&supi) {
                Some(key) => {
                    self.session_gone(cx, key, session);
                    Ok(AmfResponse::Done)
                }
                None => Err(AmfProblem::ContextNotFound),
            },
            AmfRequest::SubscriptionWithdrawn { supi } => match self.ues.by_supi(&supi) {
                Some(key) => {
                    self.withdraw(cx, key);
                    Ok(AmfResponse::Done)
                }
                None => Err(AmfProblem::ContextNotFound),
            },
        };
        cx.out.push(AmfOutput::Respond(exchange, answer));
    }

    pub(crate) fn ms(&self, ms: u32) -> Duration {
        Duration::from_millis(ms.into())
    }

    pub(crate) fn supi_of(&self, key: UeKey) -> Option<coeur_model::Supi> {
        self.ues.get(key).and_then(|ue| ue.supi.clone())
    }
}

impl NetworkFunction for Amf {
    type Input = AmfInput;
    type Output = AmfOutput;

    fn handle(&mut self, env: &mut Env<'_>, input: AmfInput, out: &mut Vec<AmfOutput>) {
        let cx = &mut Cx { env, out };
        match input {
            AmfInput::Restore(records) => self.restore(cx, records),
            AmfInput::N2(N2Event::Up { association, peer }) => self.association_up(cx, association, peer),
            AmfInput::N2(N2Event::Message { association, octets, .. }) => self.ngap_message(cx, association, &octets),
            AmfInput::N2(N2Event::Down { association }) => self.association_down(cx, association),
            AmfInput::Request(exchange, request) => self.serve(cx, exchange, request),
            AmfInput::Ausf(exchange, answer) => self.ausf_answered(cx, exchange, answer),
            AmfInput::Udm(exchange, answer) => self.udm_answered(cx, exchange, answer),
            AmfInput::Smf(exchange, answer) => self.smf_answered(cx, exchange, answer),
            AmfInput::Stored(token, result) => self.stored(cx, token, result.is_ok()),
            AmfInput::Command(command, AmfCommand::Deregister { supi }) => self.command_deregister(cx, command, &supi),
            AmfInput::Command(command, AmfCommand::ReleaseConnection { supi }) => {
                self.command_release(cx, command, &supi);
            }
        }
    }

    fn handle_timeout(&mut self, env: &mut Env<'_>, out: &mut Vec<AmfOutput>) {
        self.expire(&mut Cx { env, out });
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.timers.next_deadline(), self.ues.kept.next_deadline()].into_iter().flatten().min()
    }

    fn samples(&self, out: &mut Vec<Sample>) {
        self.collect(out);
    }
}
