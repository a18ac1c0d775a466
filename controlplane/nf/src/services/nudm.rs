//! Nudm (TS 29.503): authentication vectors for the AUSF, subscriptions and registrations for AMF and SMF.

use super::nausf::{Identity, Resynchronisation};
use crate::store::{StoreError, StoreOp, StoreReply};
use crate::{ExchangeId, StoreToken};
use coeur_model::{Ambr, Dnn, DnnSubscription, Guami, Secret, Snssai, Supi};

#[derive(Clone, Debug, PartialEq)]
pub enum UdmRequest {
    /// Nudm_UEAuthentication_Get (5.4.2.2): de-conceals the SUCI, makes a 5G HE AV.
    GenerateAuthData { identity: Identity, serving_network_name: String, resynchronisation: Option<Resynchronisation> },
    /// Nudm_UEAuthentication_ResultConfirmation (5.4.2.3).
    ConfirmAuth { supi: Supi, serving_network_name: String, success: bool },
    /// Nudm_UECM_Registration of an AMF for 3GPP access (5.3.2.2.2).
    RegisterAmf { supi: Supi, guami: Guami },
    /// Nudm_UECM_Deregistration of an AMF (5.3.2.4.2).
    DeregisterAmf { supi: Supi },
    /// Nudm_SDM_Get of access and mobility, slice selection and SMF selection data in one (5.2.2.2.2 to 5.2.2.2.4).
    AccessData { supi: Supi },
    /// Nudm_SDM_Get of session management data (5.2.2.2.5). No DNN: the default one of the slice.
    SessionData { supi: Supi, snssai: Snssai, dnn: Option<Dnn> },
}

#[derive(Clone, Debug, PartialEq)]
pub enum UdmResponse {
    AuthData(Box<AuthenticationVector>),
    AccessData(AccessData),
    SessionData(DnnSubscription),
    /// The operation has no other answer.
    Done,
}

/// 5G HE AV (TS 33.501, 6.1.3.2, step 1), and who it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthenticationVector {
    pub supi: Supi,
    pub rand: [u8; 16],
    pub autn: [u8; 16],
    pub xres_star: Secret<16>,
    pub kausf: Secret<32>,
}

/// What an AMF may let the phone do.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessData {
    pub ue_ambr: Ambr,
    /// Subscribed slices; `true` marks the default ones.
    pub slices: Vec<(Snssai, bool)>,
}

/// Application errors of TS 29.503 (tables 6.3.7.3-1, 6.1.7.3-1, 6.2.7.3-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UdmProblem {
    #[error("USER_NOT_FOUND")]
    UserNotFound,
    /// The SUCI cannot be opened: unknown key identifier or scheme, wrong MAC, malformed.
    #[error("AUTHENTICATION_REJECTED")]
    AuthenticationRejected,
    /// AUTS is not what this subscriber's SIM would send.
    #[error("AUTHENTICATION_REJECTED (AUTS)")]
    WrongAuts,
    #[error("DATA_NOT_FOUND")]
    DataNotFound,
    /// The data network or slice is not in the subscription.
    #[error("DNN_NOT_SUBSCRIBED")]
    NotSubscribed,
    /// The store did not answer.
    #[error("SYSTEM_FAILURE")]
    SystemFailure,
    #[error("NF_CONGESTION")]
    Congestion,
}

/// Which function asked: AUSF, AMF and SMF number their exchanges on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UdmConsumer {
    Amf,
    Ausf,
    Smf,
}

#[derive(Clone, Debug, PartialEq)]
pub enum UdmInput {
    Request(UdmConsumer, ExchangeId, UdmRequest),
    Stored(StoreToken, Result<StoreReply, StoreError>),
    /// The operator removed the subscriber: whoever serves the phone is told.
    SubscriberRemoved(Supi),
}

#[derive(Clone, Debug, PartialEq)]
pub enum UdmOutput {
    Respond(UdmConsumer, ExchangeId, Result<UdmResponse, UdmProblem>),
    Store(StoreToken, StoreOp),
    /// Nudm_UECM_DeregistrationNotification to the AMF that registered for the phone (5.3.2.3.2).
    NotifyDeregistration(Supi),
}
