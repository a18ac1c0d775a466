//! The SMF: Nsmf_PDUSession (TS 29.502), and its border with N4, the store and the operator.

use super::{namf, nudm};
use crate::event::Event;
use crate::store::{SessionRecord, StoreError, StoreOp, StoreReply};
use crate::{CommandId, ExchangeId, StoreToken};
use coeur_model::{Dnn, PduSessionId, Snssai, Supi};
use std::net::SocketAddr;

/// What an AMF asks of an SMF.
#[derive(Clone, Debug, PartialEq)]
pub enum SmfRequest {
    /// Nsmf_PDUSession_CreateSMContext (5.2.2.2.1). An SM context of the same phone and session is released first
    /// (TS 24.501, 6.4.1.7 c).
    CreateSmContext { supi: Supi, session: PduSessionId, snssai: Snssai, dnn: Option<Dnn>, n1_sm: Vec<u8> },
    /// Nsmf_PDUSession_UpdateSMContext (5.2.2.3.1).
    UpdateSmContext { context: SmContextId, update: SmContextUpdate },
    /// Nsmf_PDUSession_ReleaseSMContext (5.2.2.4.1): locally, without telling the phone.
    ReleaseSmContext { context: SmContextId },
}

/// Names an SM context. An SMF never gives the same one twice, also across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SmContextId(pub u64);

/// What happened to the session on the access side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmContextUpdate {
    /// An N1 SM message from the phone.
    N1(Vec<u8>),
    /// PDU Session Resource Setup Response Transfer (TS 38.413, 9.3.4.2).
    SetupResponse(Vec<u8>),
    /// PDU Session Resource Setup Unsuccessful Transfer (9.3.4.16).
    SetupUnsuccessful(Vec<u8>),
    /// PDU Session Resource Release Response Transfer (9.3.4.21).
    ReleaseResponse(Vec<u8>),
    /// The phone wants the user plane back (upCnxState ACTIVATING, 5.2.2.3.2.2).
    Activate,
    /// The connection to the gNB is gone (upCnxState DEACTIVATED, 5.2.2.3.2.3).
    Deactivate,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SmfResponse {
    /// The context exists; the accept follows as an N1N2MessageTransfer.
    Created {
        context: SmContextId,
    },
    /// What the AMF is to pass on.
    Updated {
        n1_sm: Option<Vec<u8>>,
        n2_sm: Option<namf::N2SmInfo>,
    },
    Released,
}

/// A refusal, with the N1 message that tells the phone why.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct SmfRefusal {
    pub problem: SmfProblem,
    /// PDU SESSION ESTABLISHMENT REJECT, or another 5GSM message, encoded.
    pub n1_sm: Option<Vec<u8>>,
}

/// Table 6.1.7.3-1 of TS 29.502.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SmfProblem {
    #[error("CONTEXT_NOT_FOUND")]
    ContextNotFound,
    #[error("N1_SM_ERROR")]
    N1SmError,
    #[error("N2_SM_ERROR")]
    N2SmError,
    #[error("SUBSCRIPTION_DENIED")]
    SubscriptionDenied,
    #[error("DNN_NOT_SUPPORTED")]
    DnnNotSupported,
    #[error("PDUTYPE_NOT_SUPPORTED")]
    PduTypeNotSupported,
    #[error("INSUFFICIENT_RESOURCES_SLICE_DNN")]
    InsufficientResources,
    /// The user plane refused, or did not answer.
    #[error("UPF_NOT_RESPONDING")]
    UpfNotResponding,
    #[error("SYSTEM_FAILURE")]
    SystemFailure,
}

/// An operator's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmfCommand {
    /// Network-requested PDU session release (TS 24.501, 6.3.3).
    Release { supi: Supi, session: PduSessionId },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmfCommandError {
    #[error("no such session")]
    NoSuchSession,
    #[error("the phone did not answer; the session was released locally")]
    NoAnswer,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SmfInput {
    /// Sessions committed by a former process of this core. Comes first, before any PFCP.
    Restore(Vec<SessionRecord>),
    /// One PFCP datagram.
    Pfcp {
        peer: SocketAddr,
        octets: Vec<u8>,
    },
    Request(ExchangeId, SmfRequest),
    Udm(ExchangeId, Result<nudm::UdmResponse, nudm::UdmProblem>),
    Amf(ExchangeId, Result<namf::AmfResponse, namf::AmfProblem>),
    Stored(StoreToken, Result<StoreReply, StoreError>),
    Command(CommandId, SmfCommand),
}

#[derive(Clone, Debug, PartialEq)]
pub enum SmfOutput {
    Pfcp { peer: SocketAddr, octets: Vec<u8> },
    Respond(ExchangeId, Result<SmfResponse, SmfRefusal>),
    Udm(ExchangeId, nudm::UdmRequest),
    Amf(ExchangeId, namf::AmfRequest),
    Store(StoreToken, StoreOp),
    CommandDone(CommandId, Result<(), SmfCommandError>),
    Event(Event),
}
