//! The SMF: PDU sessions of phones and the rules of the user plane that carries them (TS 23.502, 4.3; TS 24.501, 6;
//! TS 29.244).
//!
//! It is a value ([`coeur_nf::NetworkFunction`]): no networking, no clock, no randomness. N1 and N2 come and go through
//! the AMF, PFCP datagrams through the transport, subscriptions through the UDM; a session is committed to the store before
//! its phone hears of it, and comes back from there after a restart, with its address, its tunnel and its SM context.
//!
//! What it does not do: IPv6, unstructured and Ethernet sessions, SSC modes 2 and 3, secondary authentication, dedicated
//! QoS flows and session modification, charging, paging on downlink data (the downlink of an idle phone drops), several user
//! planes. Each is refused with its cause where a phone can ask for it.
//!
//! After the user plane restarts, its sessions are established again with the same address. The F-TEID is chosen anew by
//! the user plane (CHOOSE, as always); where it differs from the former one, the gNB of a connected phone is told by a PDU
//! Session Resource Modify Request, and an idle phone's next gNB gets the new one with its service request.
//!
//! ```text
//!  AMF ──SmContext requests, N1, N2──► establishment  release  user_plane  uplink ──► n1, n2 (codecs)
//!  UDM, store ──answers─────────────►        │           │         │
//!  UPF ──PFCP───────────► n4 ──events─► restore ─────────┴─────────┴───► n4::rules ──► PFCP
//! ```

mod establishment;
mod metrics;
mod n1;
mod n2;
mod n4;
mod pool;
mod record;
mod release;
mod restore;
#[cfg(test)]
mod robustness;
mod session;
#[cfg(test)]
mod testing;
mod uplink;
mod user_plane;
mod view;

pub use n4::REQUEST_MAX;
pub use session::Tunnel;
pub use view::{SessionState, SessionView, UpfView};

use coeur_model::config::{CoreConfig, DnnConfig};
use coeur_model::{Dnn, PduSessionId, Seid, Supi};
use coeur_nf::event::Event;
use coeur_nf::metric::Sample;
use coeur_nf::services::namf::AmfRequest;
use coeur_nf::services::nsmf::{
    SmContextId, SmContextUpdate, SmfInput, SmfOutput, SmfProblem, SmfRefusal, SmfRequest, SmfResponse,
};
use coeur_nf::store::{StoreError, StoreOp, StoreReply};
use coeur_nf::{Env, ExchangeId, NetworkFunction, StoreToken, Timers};
use metrics::Metrics;
use n4::{N4, N4Event, N4Failure, Purpose};
use pool::Pool;
use session::{Creation, Deletion, Session};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

/// Most PDU sessions, those being made included; one beyond is refused with 5GSM cause #26.
pub const SESSION_MAX: usize = 2_000_000;

/// The session management function of one core.
pub struct Smf {
    dnns: HashMap<Dnn, (DnnConfig, Pool)>,
    t3592: Duration,
    n4: N4,
    asking: HashMap<SmContextId, Creation>,
    sessions: HashMap<SmContextId, Session>,
    by_ue: HashMap<(Supi, PduSessionId), SmContextId>,
    by_seid: HashMap<Seid, SmContextId>,
    /// Sessions that ended while the user plane was being asked for them: what it grants is deleted.
    doomed: HashMap<SmContextId, (Dnn, std::net::Ipv4Addr)>,
    /// Sessions that the user plane did not hear are to be deleted: with its next sign of life it is told again.
    undeleted: VecDeque<Deletion>,
    /// Sessions to be compared with, or brought back to, the user plane.
    unreconciled: VecDeque<SmContextId>,
    udm: HashMap<ExchangeId, SmContextId>,
    amf: HashMap<ExchangeId, (SmContextId, Transfer)>,
    stores: HashMap<StoreToken, Stored>,
    /// T3592, one a session.
    timers: Timers<SmContextId>,
    last_exchange: u64,
    last_token: u64,
    metrics: Metrics,
}

/// What an N1N2MessageTransfer carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Accept,
    Release,
    Modify,
    /// The AMF is told that a session is gone.
    Notice,
}

/// What a storage operation was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    /// The session may be announced when this is committed.
    Commit(SmContextId),
    /// Nobody waits for it.
    Update,
    Removal,
}

impl Smf {
    /// A new SMF, which begins at once to set up its association. `env` gives the recovery time stamp and what makes this
    /// life's identifiers different from those of former ones.
    pub fn new(config: &CoreConfig, env: &mut Env<'_>) -> Self {
        let dnns = config.dnns.iter().map(|dnn| (dnn.name.clone(), (dnn.clone(), Pool::new(dnn.pool))));
        let recovery = SystemTime::UNIX_EPOCH + env.unix_time;
        let sequence = env.entropy.u32();
        Self {
            dnns: dnns.collect(),
            t3592: Duration::from_millis(config.timers.t3592_ms.into()),
            n4: N4::new(&config.n4, &config.timers, recovery, sequence, env.now),
            asking: HashMap::new(),
            sessions: HashMap::new(),
            by_ue: HashMap::new(),
            by_seid: HashMap::new(),
            doomed: HashMap::new(),
            undeleted: VecDeque::new(),
            unreconciled: VecDeque::new(),
            udm: HashMap::new(),
            amf: HashMap::new(),
            stores: HashMap::new(),
            timers: Timers::default(),
            last_exchange: 0,
            last_token: 0,
            metrics: Metrics::default(),
        }
    }

    fn request(&mut self, env: &mut Env<'_>, exchange: ExchangeId, request: SmfRequest, out: &mut Vec<SmfOutput>) {
        match request {
            SmfRequest::CreateSmContext { supi, session, snssai, dnn, n1_sm } => {
                let asked = establishment::Asked { supi, session, snssai, dnn, n1_sm };
                self.create(env, exchange, asked, out);
            }
            SmfRequest::UpdateSmContext { context, update } => {
                // One that is being made has not been announced.
                let known =
                    self.sessions.get(&context).is_some_and(|session| session.is_active() || session.is_releasing());
                if !known {
                    return refuse(exchange, SmfProblem::ContextNotFound, None, out);
                }
                match update {
                    SmContextUpdate::N1(octets) => self.uplink(env, exchange, context, &octets, out),
                    SmContextUpdate::SetupResponse(octets) => self.set_up(env, exchange, context, &octets, out),
                    SmContextUpdate::SetupUnsuccessful(octets) => {
                        self.not_set_up(env, exchange, context, &octets, out);
                    }
                    SmContextUpdate::ReleaseResponse(_) => self.access_released(env, exchange, context, out),
                    SmContextUpdate::Activate => self.activate(env, exchange, context, out),
                    SmContextUpdate::Deactivate => self.deactivate(env, exchange, context, out),
                }
            }
            SmfRequest::ReleaseSmContext { context } => self.release_locally(env, exchange, context, out),
        }
    }

    fn n4_events(&mut self, env: &mut Env<'_>, events: Vec<N4Event>, out: &mut Vec<SmfOutput>) {
        for event in events {
            match event {
                N4Event::Up { recovery, retained } => self.associated(env, recovery, retained, out),
                N4Event::Down => {
                    self.unreconciled.clear();
                    self.metrics.associations_lost += 1;
                    out.push(SmfOutput::Event(Event::UpfLost { node: self.n4.upf().to_string() }));
                }
                N4Event::Alive => self.delete_again(env.now, out),
                N4Event::Answered(Purpose::Establish(id), answer) => self.established(env, id, answer, out),
                N4Event::Answered(Purpose::Modify(id), answer) => self.modified(env, id, answer, out),
                N4Event::Answered(Purpose::Delete(deletion), answer) => self.deleted(deletion, answer),
                N4Event::Reported(report) => self.reported(env, &report, out),
            }
        }
        self.reconcile(env, out);
    }

    fn stored(
        &mut self,
        env: &mut Env<'_>,
        token: StoreToken,
        reply: &Result<StoreReply, StoreError>,
        out: &mut Vec<SmfOutput>,
    ) {
        let success = matches!(reply, Ok(StoreReply::Done));
        match self.stores.remove(&token) {
            Some(Stored::Commit(id)) => self.committed(env, id, success, out),
            // A removal that failed leaves a record that comes back after a restart; the AMF then knows no such session,
            // or the phone says so in its next PDU session status.
            Some(Stored::Update | Stored::Removal) => self.metrics.store_failures += u64::from(!success),
            None => self.metrics.stray_answers += 1,
        }
    }

    fn ask_store(&mut self, purpose: Stored, op: StoreOp, out: &mut Vec<SmfOutput>) {
        self.last_token += 1;
        let token = StoreToken(self.last_token);
        self.stores.insert(token, purpose);
        out.push(SmfOutput::Store(token, op));
    }

    fn ask_amf(&mut self, id: SmContextId, transfer: Transfer, request: AmfRequest, out: &mut Vec<SmfOutput>) {
        self.last_exchange += 1;
        let exchange = ExchangeId(self.last_exchange);
        self.amf.insert(exchange, (id, transfer));
        out.push(SmfOutput::Amf(exchange, request));
    }

    /// Deletes what the user plane holds of a session that is gone; its address is free when that is done.
    fn delete(&mut self, now: Instant, deletion: Deletion, out: &mut Vec<SmfOutput>) {
        let up_seid = deletion.up_seid;
        let build = |sequence| n4::rules::deletion(sequence, up_seid);
        if let Err((Purpose::Delete(deletion), failure)) = self.n4.send(now, Purpose::Delete(deletion), build, out) {
            self.deleted(deletion, Err(failure));
        }
    }

    fn deleted(&mut self, deletion: Deletion, answer: Result<n4::Answer, N4Failure>) {
        match answer {
            // Not heard of is not deleted: a user plane that is there after all may forward to the address still.
            Err(N4Failure::Down | N4Failure::NoAnswer | N4Failure::Congestion)
                if self.undeleted.len() < REQUEST_MAX =>
            {
                self.undeleted.push_back(deletion);
            }
            // Deleted, unknown to the user plane, or refused for a reason that trying again does not mend.
            _ => self.give_back(&deletion.dnn, deletion.ipv4, deletion.owner),
        }
    }

    /// Tries what went unanswered once more.
    fn delete_again(&mut self, now: Instant, out: &mut Vec<SmfOutput>) {
        for deletion in std::mem::take(&mut self.undeleted) {
            self.delete(now, deletion, out);
        }
    }

    fn give_back(&mut self, dnn: &Dnn, ipv4: std::net::Ipv4Addr, owner: SmContextId) {
        if let Some((_, pool)) = self.dnns.get_mut(dnn) {
            pool.give_back(ipv4, owner);
        }
    }
}

fn refuse(exchange: ExchangeId, problem: SmfProblem, n1_sm: Option<Vec<u8>>, out: &mut Vec<SmfOutput>) {
    out.push(SmfOutput::Respond(exchange, Err(SmfRefusal { problem, n1_sm })));
}

fn updated(exchange: ExchangeId, out: &mut Vec<SmfOutput>) {
    out.push(SmfOutput::Respond(exchange, Ok(SmfResponse::Updated { n1_sm: None, n2_sm: None })));
}

impl NetworkFunction for Smf {
    type Input = SmfInput;
    type Output = SmfOutput;

    fn handle(&mut self, env: &mut Env<'_>, input: SmfInput, out: &mut Vec<SmfOutput>) {
        match input {
            SmfInput::Restore(records) => self.restore(records, out),
            SmfInput::Pfcp { peer, octets } => {
                let mut events = Vec::new();
                self.n4.receive(env.now, peer, &octets, &mut events, out);
                self.n4_events(env, events, out);
            }
            SmfInput::Request(exchange, request) => self.request(env, exchange, request, out),
            SmfInput::Udm(exchange, answer) => match self.udm.remove(&exchange) {
                Some(id) => self.subscribed(env, id, answer, out),
                None => self.metrics.stray_answers += 1,
            },
            SmfInput::Amf(exchange, answer) => match self.amf.remove(&exchange) {
                Some((id, transfer)) => self.transferred(env, id, transfer, answer, out),
                None => self.metrics.stray_answers += 1,
            },
            SmfInput::Stored(token, reply) => self.stored(env, token, &reply, out),
            SmfInput::Command(command, request) => self.command(env, command, request, out),
        }
    }

    fn handle_timeout(&mut self, env: &mut Env<'_>, out: &mut Vec<SmfOutput>) {
        let mut events = Vec::new();
        self.n4.handle_timeout(env.now, !self.sessions.is_empty(), &mut events, out);
        self.n4_events(env, events, out);
        while let Some(id) = self.timers.expire(env.now) {
            self.t3592_expired(env, id, out);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.n4.next_deadline(), self.timers.next_deadline()].into_iter().flatten().min()
    }

    fn samples(&self, out: &mut Vec<Sample>) {
        self.metrics_samples(out);
    }
}
