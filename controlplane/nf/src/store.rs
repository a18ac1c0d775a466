//! Storage operations that network functions ask for, and their replies.
//!
//! `coeur-core` commits them in groups. A function that must not tell a peer before something survives (registration
//! accepted, session established, SQN used) sends the message when the reply has come, not before.

use coeur_model::{PduSessionId, Secret, SubscriptionProfile, Supi};

/// An operation on the store of one core. Operations of one function are carried out in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreOp {
    /// Reads the authentication subscription and reserves the next SQN in the same transaction: the SQN in the reply is
    /// committed, so it is never used twice even when the core dies before it is. Reply: [`StoreReply::Authentication`].
    ReserveSqn { supi: Supi },
    /// Sets SQN to the phone's SQN_MS (TS 33.102, 6.3.5), then reserves the next one as `ReserveSqn` does.
    /// Reply: [`StoreReply::Authentication`].
    ResynchroniseSqn { supi: Supi, sqn_ms: u64 },
    /// Reads the authentication subscription without reserving anything. Reply: [`StoreReply::Authentication`].
    ReadAuthentication { supi: Supi },
    /// Reads the subscription. Reply: [`StoreReply::Profile`].
    ReadProfile { supi: Supi },
    /// Writes a UE context. Reply: [`StoreReply::Done`].
    PutUe { supi: Supi, record: Vec<u8> },
    /// Removes a UE context; one that is not there is no error. Reply: [`StoreReply::Done`].
    RemoveUe { supi: Supi },
    /// Writes a PDU session. Reply: [`StoreReply::Done`].
    PutSession { supi: Supi, session: PduSessionId, record: Vec<u8> },
    /// Removes a PDU session; one that is not there is no error. Reply: [`StoreReply::Done`].
    RemoveSession { supi: Supi, session: PduSessionId },
}

#[derive(Clone, Debug, PartialEq)]
pub enum StoreReply {
    Authentication(Box<AuthenticationSubscription>),
    Profile(Box<SubscriptionProfile>),
    Done,
}

/// TS 29.505, 5.2.5: what is needed to make an authentication vector, once.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthenticationSubscription {
    pub k: Secret<16>,
    pub opc: Secret<16>,
    /// The AMF field (authentication management field, TS 33.102, annex H); its separation bit is set for 5G.
    pub amf: [u8; 2],
    /// 48 bits. After `ReserveSqn` and `ResynchroniseSqn`: reserved for the asker alone.
    pub sqn: u64,
}

/// Why an operation was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("no such subscriber")]
    NotFound,
    /// Disk full, database locked or damaged. The operator's affair, not the peer's.
    #[error("store unavailable: {0}")]
    Unavailable(String),
}

/// A UE context as it was last committed; what it holds is the AMF's affair.
#[derive(Clone, Debug, PartialEq)]
pub struct UeRecord {
    pub supi: Supi,
    pub record: Vec<u8>,
}

/// A PDU session as it was last committed; what it holds is the SMF's affair.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    pub supi: Supi,
    pub session: PduSessionId,
    pub record: Vec<u8>,
}
