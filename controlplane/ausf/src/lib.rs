//! The AUSF: 5G-AKA in the home network (TS 33.501, 6.1.3.2; TS 29.509).
//!
//! It is a value ([`coeur_nf::NetworkFunction`]): no networking, no clock, no randomness. It knows no subscriber and no
//! long-term key: the UDM makes the vector, the AUSF keeps XRES* and KSEAF until the phone's answer comes or the context's
//! lifetime ends. Nothing survives a restart: a phone whose authentication is cut short starts again.
//!
//! What it does not do: EAP-AKA', steering of roaming, serving networks other than its own PLMN.
//!
//! ```text
//! Authenticate ─► serving network known? ─► UDM: 5G HE AV ─► context, Challenge{RAND, AUTN, HXRES*}
//! Confirm ─┬─ RES* = XRES* ─► Confirmed{SUPI, KSEAF} ─┬─► UDM: result confirmation
//!          └─ other, none  ─► AUTHENTICATION_FAILURE ─┘   the context ends either way
//! ```

mod authenticate;
mod confirm;
mod metrics;
#[cfg(test)]
mod testing;

use coeur_model::config::CoreConfig;
use coeur_model::{Secret, Supi};
use coeur_nf::metric::Sample;
use coeur_nf::services::nausf::{AusfInput, AusfOutput, AusfProblem, AusfRequest, AusfResponse, AuthContextId};
use coeur_nf::services::nudm::{UdmProblem, UdmRequest, UdmResponse};
use coeur_nf::{Env, ExchangeId, NetworkFunction, Timers};
use metrics::Metrics;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Most authentication contexts, those being made included; an attempt beyond is refused with NF_CONGESTION.
pub const CONTEXT_MAX: usize = 65_536;

/// T3560 runs out this many times before an AMF gives up on a phone (TS 24.501, 5.4.1.3.7 b).
const T3560_EXPIRIES_MAX: u32 = 5;

/// What a context outlives the AMF's last T3560 by.
const LIFETIME_MARGIN: Duration = Duration::from_secs(10);

/// The authentication server function of one core.
pub struct Ausf {
    /// The network that may ask: the own PLMN (TS 33.501, 6.1.2).
    serving_network_name: String,
    lifetime: Duration,
    contexts: HashMap<AuthContextId, AuthContext>,
    lifetimes: Timers<AuthContextId>,
    pending: HashMap<ExchangeId, Pending>,
    last_context: u64,
    last_exchange: u64,
    metrics: Metrics,
}

/// A challenge that waits for the phone's answer.
struct AuthContext {
    supi: Supi,
    xres_star: Secret<16>,
    kseaf: Secret<32>,
}

/// What a request to the UDM was for.
enum Pending {
    /// A vector, for the AMF's exchange.
    Vector(ExchangeId),
    /// The result of an authentication; the AMF has its answer already.
    Confirmation,
}

impl Ausf {
    pub fn new(config: &CoreConfig) -> Self {
        let t3560 = Duration::from_millis(config.timers.t3560_ms.into());
        Self {
            serving_network_name: config.plmn.serving_network_name(),
            lifetime: t3560 * T3560_EXPIRIES_MAX + LIFETIME_MARGIN,
            contexts: HashMap::new(),
            lifetimes: Timers::default(),
            pending: HashMap::new(),
            last_context: 0,
            last_exchange: 0,
            metrics: Metrics::default(),
        }
    }

    fn ask_udm(&mut self, pending: Pending, request: UdmRequest, out: &mut Vec<AusfOutput>) {
        self.last_exchange += 1;
        let exchange = ExchangeId(self.last_exchange);
        self.pending.insert(exchange, pending);
        out.push(AusfOutput::Udm(exchange, request));
    }

    fn answered(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        answer: Result<UdmResponse, UdmProblem>,
        out: &mut Vec<AusfOutput>,
    ) {
        match self.pending.remove(&exchange) {
            Some(Pending::Vector(asker)) => {
                let challenge = self.challenge(env, answer);
                self.respond(asker, challenge, out);
            }
            // TS 33.501, 6.1.4: the UDM's records are its own affair, the phone is authenticated without them.
            Some(Pending::Confirmation) => self.metrics.unconfirmed += u64::from(answer.is_err()),
            None => self.metrics.stray_answers += 1,
        }
    }

    fn respond(&mut self, exchange: ExchangeId, answer: Result<AusfResponse, AusfProblem>, out: &mut Vec<AusfOutput>) {
        if let Err(problem) = answer {
            self.metrics.refused(problem);
        }
        out.push(AusfOutput::Respond(exchange, answer));
    }
}

impl NetworkFunction for Ausf {
    type Input = AusfInput;
    type Output = AusfOutput;

    fn handle(&mut self, env: &mut Env<'_>, input: AusfInput, out: &mut Vec<AusfOutput>) {
        match input {
            AusfInput::Request(
                exchange,
                AusfRequest::Authenticate { identity, serving_network_name, resynchronisation },
            ) => {
                self.authenticate(exchange, identity, serving_network_name, resynchronisation, out);
            }
            AusfInput::Request(exchange, AusfRequest::Confirm { context, res_star }) => {
                self.confirm(exchange, context, res_star, out);
            }
            AusfInput::Udm(exchange, answer) => self.answered(env, exchange, answer, out),
        }
    }

    fn handle_timeout(&mut self, env: &mut Env<'_>, _out: &mut Vec<AusfOutput>) {
        while let Some(context) = self.lifetimes.expire(env.now) {
            self.contexts.remove(&context);
            self.metrics.expired += 1;
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.lifetimes.next_deadline()
    }

    fn samples(&self, out: &mut Vec<Sample>) {
        self.metrics.samples(self.contexts.len(), out);
    }
}
