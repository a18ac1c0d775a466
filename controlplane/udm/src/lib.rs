//! The UDM: opens SUCIs, makes 5G home environment authentication vectors, answers with subscriptions (TS 29.503).
//!
//! It is a value ([`coeur_nf::NetworkFunction`]): no networking, no clock, no randomness of its own, and no data of its
//! own either. What a subscriber is stands in the store; every request ends with the reply of one or two operations, so
//! nothing here survives a restart, and nothing has to. It keeps no register of the AMFs that serve phones: a core has one
//! AMF, which is told of every withdrawn subscription and knows itself whether it serves the phone.
//!
//! What it does not do: EAP-AKA', TUAK, SUPIs that are not IMSIs, several AMFs a core.
//!
//! ```text
//! GenerateAuthData ─► open SUCI ─┬─ no AUTS ──────────────────────────────────► ReserveSqn ───┬─► 5G HE AV
//!                                └─ AUTS ─► ReadAuthentication ─► MAC-S right ─► Resynchronise ┘
//! AccessData, SessionData, RegisterAmf ─► ReadProfile ─► answer
//! ```

mod authentication;
mod metrics;
mod sidf;
mod subscription;
#[cfg(test)]
mod testing;

use authentication::VectorRequest;
use coeur_model::Dnn;
use coeur_model::Snssai;
use coeur_model::config::CoreConfig;
use coeur_nf::metric::Sample;
use coeur_nf::services::nudm::{UdmConsumer, UdmInput, UdmOutput, UdmProblem, UdmRequest, UdmResponse};
use coeur_nf::store::{StoreError, StoreOp, StoreReply};
use coeur_nf::{Env, ExchangeId, NetworkFunction, StoreToken};
use metrics::Metrics;
use sidf::Sidf;
use std::collections::HashMap;
use std::time::Instant;

/// Most requests that wait for the store; one beyond is refused with NF_CONGESTION.
pub const PENDING_MAX: usize = 65_536;

/// The unified data management of one core.
pub struct Udm {
    sidf: Sidf,
    pending: HashMap<StoreToken, Pending>,
    last_token: u64,
    metrics: Metrics,
}

/// A request that waits for the store.
struct Pending {
    asker: Asker,
    step: Step,
}

/// Where the answer goes.
#[derive(Clone, Copy)]
struct Asker {
    consumer: UdmConsumer,
    exchange: ExchangeId,
    operation: &'static str,
}

/// What the reply of the store is for.
enum Step {
    /// The SQN in the reply is reserved: make the vector.
    Vector(VectorRequest),
    /// The keys in the reply tell whether AUTS is genuine.
    CheckAuts(VectorRequest, coeur_nf::services::nausf::Resynchronisation),
    AccessData,
    SessionData {
        snssai: Snssai,
        dnn: Option<Dnn>,
    },
    /// Only whether there is such a subscriber.
    Existence,
}

/// Why a UDM cannot be made of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UdmConfigError {
    /// Zero, or not below the order of the curve.
    #[error("suci_key {id}: not a private key of its profile")]
    InvalidKey { id: u8 },
    /// A SUCI names its key by profile and identifier.
    #[error("suci_key {id}: given twice for one profile")]
    DuplicateKey { id: u8 },
    /// Key identifiers are 1 to 254; 0 is that of the null scheme, 255 is reserved (TS 24.501, 9.11.3.4).
    #[error("suci_key {id}: expected an id of 1 to 254")]
    InvalidKeyId { id: u8 },
}

impl Udm {
    pub fn new(config: &CoreConfig) -> Result<Self, UdmConfigError> {
        Ok(Self {
            sidf: Sidf::new(&config.suci_keys)?,
            pending: HashMap::new(),
            last_token: 0,
            metrics: Metrics::default(),
        })
    }

    fn request(&mut self, asker: Asker, request: UdmRequest, out: &mut Vec<UdmOutput>) {
        self.metrics.requested(asker.operation);
        if self.pending.len() >= PENDING_MAX {
            return self.respond(asker, Err(UdmProblem::Congestion), out);
        }
        match request {
            UdmRequest::GenerateAuthData { identity, serving_network_name, resynchronisation } => {
                match self.sidf.supi(identity, &mut self.metrics) {
                    Ok(supi) => {
                        let vector = VectorRequest { supi, serving_network_name };
                        self.generate_auth_data(asker, vector, resynchronisation, out);
                    }
                    Err(problem) => self.respond(asker, Err(problem), out),
                }
            }
            UdmRequest::ConfirmAuth { success, .. } => {
                // TS 33.501, 6.1.4.1a: for the home network's records. What the operator sees of them is the counter.
                self.metrics.authenticated(success);
                self.respond(asker, Ok(UdmResponse::Done), out);
            }
            UdmRequest::RegisterAmf { supi, .. } => {
                self.ask_store(asker, Step::Existence, StoreOp::ReadProfile { supi }, out);
            }
            UdmRequest::DeregisterAmf { .. } => self.respond(asker, Ok(UdmResponse::Done), out),
            UdmRequest::AccessData { supi } => {
                self.ask_store(asker, Step::AccessData, StoreOp::ReadProfile { supi }, out);
            }
            UdmRequest::SessionData { supi, snssai, dnn } => {
                self.ask_store(asker, Step::SessionData { snssai, dnn }, StoreOp::ReadProfile { supi }, out);
            }
        }
    }

    fn stored(
        &mut self,
        env: &mut Env<'_>,
        token: StoreToken,
        reply: Result<StoreReply, StoreError>,
        out: &mut Vec<UdmOutput>,
    ) {
        let Some(Pending { asker, step }) = self.pending.remove(&token) else {
            self.metrics.stray_replies += 1;
            return;
        };
        let answer = match (step, reply) {
            (_, Err(StoreError::NotFound)) => Err(UdmProblem::UserNotFound),
            (Step::CheckAuts(vector, auts), Ok(StoreReply::Authentication(subscription))) => {
                return self.check_auts(asker, vector, &auts, &subscription, out);
            }
            (Step::Vector(vector), Ok(StoreReply::Authentication(subscription))) => {
                self.make_vector(env, vector, &subscription)
            }
            (Step::AccessData, Ok(StoreReply::Profile(profile))) => subscription::access_data(&profile),
            (Step::SessionData { snssai, dnn }, Ok(StoreReply::Profile(profile))) => {
                subscription::session_data(*profile, snssai, dnn.as_ref())
            }
            (Step::Existence, Ok(StoreReply::Profile(_))) => Ok(UdmResponse::Done),
            // A reply of another kind than was asked for is a fault of this machine, as is a store that fails.
            (_, Err(StoreError::Unavailable(_)) | Ok(_)) => Err(UdmProblem::SystemFailure),
        };
        self.respond(asker, answer, out);
    }

    fn ask_store(&mut self, asker: Asker, step: Step, op: StoreOp, out: &mut Vec<UdmOutput>) {
        self.last_token += 1;
        let token = StoreToken(self.last_token);
        self.pending.insert(token, Pending { asker, step });
        out.push(UdmOutput::Store(token, op));
    }

    fn respond(&mut self, asker: Asker, answer: Result<UdmResponse, UdmProblem>, out: &mut Vec<UdmOutput>) {
        if let Err(problem) = answer {
            self.metrics.refused(asker.operation, problem);
        }
        out.push(UdmOutput::Respond(asker.consumer, asker.exchange, answer));
    }
}

impl NetworkFunction for Udm {
    type Input = UdmInput;
    type Output = UdmOutput;

    fn handle(&mut self, env: &mut Env<'_>, input: UdmInput, out: &mut Vec<UdmOutput>) {
        match input {
            UdmInput::Request(consumer, exchange, request) => {
                let operation = metrics::operation(&request);
                self.request(Asker { consumer, exchange, operation }, request, out);
            }
            UdmInput::Stored(token, reply) => self.stored(env, token, reply, out),
            UdmInput::SubscriberRemoved(supi) => {
                self.metrics.withdrawn += 1;
                out.push(UdmOutput::NotifyDeregistration(supi));
            }
        }
    }

    /// A UDM has no timer: it waits for nobody but the store, which always answers.
    fn handle_timeout(&mut self, _env: &mut Env<'_>, _out: &mut Vec<UdmOutput>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn samples(&self, out: &mut Vec<Sample>) {
        self.metrics.samples(self.pending.len(), out);
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn an_unknown_subscriber_is_user_not_found_in_every_operation() {
        let guami = config("").guami().unwrap();
        let (supi, snssai) = (supi(), "1".parse().unwrap());
        for request in [
            UdmRequest::RegisterAmf { supi: supi.clone(), guami },
            UdmRequest::AccessData { supi: supi.clone() },
            UdmRequest::SessionData { supi, snssai, dnn: None },
            auth_request(None),
        ] {
            let mut fixture = Fixture::new("");
            let (token, _) = fixture.stores(request);
            assert_eq!(fixture.stored(token, Err(StoreError::NotFound)), Err(UdmProblem::UserNotFound));
        }
    }

    #[test]
    fn a_failing_or_confused_store_is_a_system_failure() {
        for reply in [Err(StoreError::Unavailable("disk full".into())), Ok(StoreReply::Done)] {
            let mut fixture = Fixture::new("");
            let (token, _) = fixture.stores(auth_request(None));
            assert_eq!(fixture.stored(token, reply), Err(UdmProblem::SystemFailure));
        }
    }

    #[test]
    fn requests_beyond_the_limit_are_refused_and_a_stray_reply_changes_nothing() {
        let mut fixture = Fixture::new("");
        for _ in 0..PENDING_MAX {
            fixture.stores(UdmRequest::AccessData { supi: supi() });
        }
        let refused = fixture.responds(UdmRequest::AccessData { supi: supi() });
        assert_eq!(refused, Err(UdmProblem::Congestion));
        let stray = fixture.handle(UdmInput::Stored(StoreToken(u64::MAX), Ok(StoreReply::Done)));
        assert!(stray.is_empty());
        assert_eq!(fixture.udm.pending.len(), PENDING_MAX);
    }

    #[test]
    fn a_removed_subscriber_is_told_to_the_amf() {
        let mut fixture = Fixture::new("");
        let outputs = fixture.handle(UdmInput::SubscriberRemoved(supi()));
        assert_eq!(outputs, [UdmOutput::NotifyDeregistration(supi())]);
    }

    #[test]
    fn registering_an_amf_needs_a_subscriber_and_leaving_needs_nothing() {
        let mut fixture = Fixture::new("");
        let guami = config("").guami().unwrap();
        let (token, op) = fixture.stores(UdmRequest::RegisterAmf { supi: supi(), guami });
        assert_eq!(op, StoreOp::ReadProfile { supi: supi() });
        let profile = coeur_model::SubscriptionProfile { ue_ambr: Default::default(), slices: vec![] };
        assert_eq!(fixture.stored(token, Ok(StoreReply::Profile(Box::new(profile)))), Ok(UdmResponse::Done));
        assert_eq!(fixture.responds(UdmRequest::DeregisterAmf { supi: supi() }), Ok(UdmResponse::Done));
    }
}
