//! Nausf_UEAuthentication (TS 29.509): consumed by the AMF (its SEAF).

use crate::ExchangeId;
use crate::services::nudm;
use coeur_model::{Secret, Suci, Supi};

/// A request of an AMF.
#[derive(Clone, Debug, PartialEq)]
pub enum AusfRequest {
    /// POST /ue-authentications (5.2.2.2.1).
    Authenticate { identity: Identity, serving_network_name: String, resynchronisation: Option<Resynchronisation> },
    /// PUT /ue-authentications/{id}/5g-aka-confirmation (5.2.2.2.2). `res_star: None` tells that the phone gave none: the
    /// attempt failed, and the context is to go.
    Confirm { context: AuthContextId, res_star: Option<[u8; 16]> },
}

/// Who is to be authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    Suci(Suci),
    Supi(Supi),
}

/// RAND of the challenge that the phone refused, and its AUTS (TS 33.102, 6.3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resynchronisation {
    pub rand: [u8; 16],
    pub auts: [u8; 14],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthContextId(pub u64);

#[derive(Clone, Debug, PartialEq)]
pub enum AusfResponse {
    /// 5G-AKA: what the SEAF needs to challenge the phone and to check its answer (TS 33.501, 6.1.3.2).
    Challenge { context: AuthContextId, rand: [u8; 16], autn: [u8; 16], hxres_star: [u8; 16] },
    /// RES* was right: who the phone is, and the anchor key.
    Confirmed { supi: Supi, kseaf: Secret<32> },
}

/// Table 6.1.7.3-1, and what the UDM refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AusfProblem {
    /// RES* was wrong: 200 with AUTHENTICATION_FAILURE.
    #[error("AUTHENTICATION_FAILURE")]
    AuthenticationFailure,
    #[error("SERVING_NETWORK_NOT_AUTHORIZED")]
    ServingNetworkNotAuthorized,
    /// No such authentication context: it ended, or never was.
    #[error("CONTEXT_NOT_FOUND")]
    ContextNotFound,
    /// Every authentication context is taken (the limit has a name in `coeur-ausf`).
    #[error("NF_CONGESTION")]
    Congestion,
    #[error(transparent)]
    Udm(#[from] nudm::UdmProblem),
}

/// What an AUSF takes.
#[derive(Clone, Debug, PartialEq)]
pub enum AusfInput {
    Request(ExchangeId, AusfRequest),
    Udm(ExchangeId, Result<nudm::UdmResponse, nudm::UdmProblem>),
}

/// What an AUSF wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum AusfOutput {
    Respond(ExchangeId, Result<AusfResponse, AusfProblem>),
    Udm(ExchangeId, nudm::UdmRequest),
}
