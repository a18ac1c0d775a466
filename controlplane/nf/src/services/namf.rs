//! The AMF: Namf_Communication (TS 29.518), and its border with N2, the store and the operator.

use super::{nausf, nsmf, nudm};
use crate::event::Event;
use crate::store::{StoreError, StoreOp, StoreReply, UeRecord};
use crate::{AssociationId, CommandId, ExchangeId, StoreToken};
use coeur_model::{PduSessionId, Supi};
use std::net::SocketAddr;

/// What an SMF or the UDM asks of an AMF.
#[derive(Clone, Debug, PartialEq)]
pub enum AmfRequest {
    /// Namf_Communication_N1N2MessageTransfer (5.2.2.3.1): an N1 SM message for the phone, N2 SM information for its gNB.
    N1N2MessageTransfer { supi: Supi, session: PduSessionId, n1_sm: Option<Vec<u8>>, n2_sm: Option<N2SmInfo> },
    /// Nsmf_PDUSession_SMContextStatusNotify (TS 29.502, 5.2.2.5): the SM context is gone.
    SmContextReleased { supi: Supi, session: PduSessionId },
    /// Nudm_UECM_DeregistrationNotification: the subscription was withdrawn (TS 23.502, 4.2.2.3.3).
    SubscriptionWithdrawn { supi: Supi },
}

/// The NGAP transfer IE that goes to the gNB with an N1N2MessageTransfer, encoded (TS 38.413, 9.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum N2SmInfo {
    /// PDU Session Resource Setup Request Transfer (9.3.4.1).
    SetupRequest(Vec<u8>),
    /// PDU Session Resource Modify Request Transfer (9.3.4.3).
    ModifyRequest(Vec<u8>),
    /// PDU Session Resource Release Command Transfer (9.3.4.12).
    ReleaseCommand(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmfResponse {
    /// N1_N2_TRANSFER_INITIATED: handed to the gNB.
    TransferInitiated,
    Done,
}

/// Table 6.1.7.3-1 of TS 29.518.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AmfProblem {
    #[error("CONTEXT_NOT_FOUND")]
    ContextNotFound,
    /// The phone is in CM-IDLE and is not paged.
    #[error("UE_IN_CM_IDLE_STATE")]
    UeIdle,
}

/// What happened on N2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum N2Event {
    Up {
        association: AssociationId,
        peer: SocketAddr,
    },
    /// One SCTP user message: payload protocol identifier 60 was checked by the transport.
    Message {
        association: AssociationId,
        stream: u16,
        octets: Vec<u8>,
    },
    /// Closed, aborted or lost. Every UE-associated connection on it is gone.
    Down {
        association: AssociationId,
    },
}

/// What the AMF wants done on N2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum N2Action {
    /// Streams: 0 for non-UE-associated signalling, others for phones (TS 38.412, 7). The transport folds a stream beyond
    /// what the association has into its range, never onto 0.
    Send { association: AssociationId, stream: u16, octets: Vec<u8> },
    /// Closes the association after what was sent.
    Close { association: AssociationId },
}

/// An operator's command.
#[derive(Clone, Debug, PartialEq)]
pub enum AmfCommand {
    /// Network-initiated deregistration (TS 24.501, 5.5.2.3).
    Deregister { supi: Supi },
    /// Puts the phone into CM-IDLE by AMF-initiated UE context release (TS 23.502, 4.2.6).
    ReleaseConnection { supi: Supi },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmfCommandError {
    #[error("the phone is not registered")]
    NotRegistered,
    #[error("the phone has no connection")]
    NotConnected,
    #[error("the phone did not answer; it was deregistered locally")]
    NoAnswer,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AmfInput {
    /// Contexts committed by a former process of this core. Comes first, before any N2 event.
    Restore(Vec<UeRecord>),
    N2(N2Event),
    Request(ExchangeId, AmfRequest),
    Ausf(ExchangeId, Result<nausf::AusfResponse, nausf::AusfProblem>),
    Udm(ExchangeId, Result<nudm::UdmResponse, nudm::UdmProblem>),
    Smf(ExchangeId, Result<nsmf::SmfResponse, nsmf::SmfRefusal>),
    Stored(StoreToken, Result<StoreReply, StoreError>),
    Command(CommandId, AmfCommand),
}

#[derive(Clone, Debug, PartialEq)]
pub enum AmfOutput {
    N2(N2Action),
    Respond(ExchangeId, Result<AmfResponse, AmfProblem>),
    Ausf(ExchangeId, nausf::AusfRequest),
    Udm(ExchangeId, nudm::UdmRequest),
    Smf(ExchangeId, nsmf::SmfRequest),
    Store(StoreToken, StoreOp),
    CommandDone(CommandId, Result<(), AmfCommandError>),
    Event(Event),
}
