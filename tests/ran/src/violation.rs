//! What the network did that the specifications forbid: the models check as well as generate.

/// One thing that the network did wrong, with the clause that says so. The message at fault was discarded or refused as the
/// clause asks, and the model goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("{message} came without integrity protection (TS 24.501, 4.4.4.2)")]
    Unprotected { message: String },
    #[error("a protected NAS message has a wrong MAC, or is a replay (TS 24.501, 4.4.3.2 and 4.4.3.3)")]
    WrongMac,
    #[error("a protected NAS message came, and there is no security context (TS 24.501, 4.4.2.1)")]
    NoSecurityContext,
    #[error("a NAS message does not decode: {0} (TS 24.501, 7)")]
    UndecodableNas(String),
    #[error("{message} in state {state} (TS 24.501, 7.4)")]
    UnexpectedNas { message: String, state: &'static str },
    #[error("the network sent {0}, which only a UE sends (TS 24.501, 8.2)")]
    WrongDirection(String),
    #[error("AUTHENTICATION REQUEST without RAND or AUTN (TS 24.501, 8.2.1)")]
    ChallengeIncomplete,
    #[error("AUTN has a wrong MAC (TS 24.501, 5.4.1.3.6 a)")]
    AutnMac,
    #[error("the AMF field of AUTN has no separation bit (TS 24.501, 5.4.1.3.6 b)")]
    SeparationBit,
    #[error("ngKSI {0} is in use already (TS 24.501, 5.4.1.3.6 d)")]
    NgKsiInUse(u8),
    #[error("SECURITY MODE COMMAND names ngKSI {0}, of which there is no context (TS 24.501, 5.4.2.3)")]
    NgKsiUnknown(u8),
    #[error("SECURITY MODE COMMAND replays other UE security capabilities than were sent (TS 24.501, 5.4.2.3)")]
    ReplayedCapabilities,
    #[error("SECURITY MODE COMMAND selects an algorithm that the UE does not have, or NIA0 (TS 24.501, 5.4.2.3)")]
    Algorithms,
    #[error("SECURITY MODE COMMAND with security header type {0:#03x} (TS 24.501, 4.4.4.2)")]
    SecurityHeader(u8),
    #[error("{0} has no 5G-GUTI, or none that can be read (TS 24.501, 5.5.1.2.4)")]
    Guti(&'static str),
    #[error("REGISTRATION ACCEPT has no TAI list with the current TAI (TS 24.501, 5.5.1.2.4)")]
    TaiList,
    #[error("REGISTRATION ACCEPT allows a slice that was not asked for, or none (TS 24.501, 4.6.2.2)")]
    AllowedNssai,
    #[error("{message} answers PTI {pti}, which is not in use (TS 24.501, 7.3.1)")]
    Pti { message: String, pti: u8 },
    #[error("{message} names PDU session {psi}, which there is not (TS 24.501, 7.3.2)")]
    PduSession { message: String, psi: u8 },
    #[error("PDU SESSION ESTABLISHMENT ACCEPT for session {psi}: {what} (TS 24.501, 6.4.1.3)")]
    SessionAccept { psi: u8, what: &'static str },
    #[error("KgNB is not the one that the UE derives (TS 33.501, A.9)")]
    Kgnb,
    #[error("an NGAP message does not decode: {0} (TS 38.413, 10.2)")]
    UndecodableNgap(String),
    #[error("{message}: {reason} (TS 38.413, 10.3)")]
    Ngap { message: String, reason: String },
    #[error("{message} names a UE that there is not (TS 38.413, 10.6)")]
    UnknownUe { message: String },
    #[error("the AMF reports an error: {0} (TS 38.413, 8.7.4)")]
    ErrorIndication(String),
    #[error("a UE was paged that is not in CM-IDLE here, or whose 5G-S-TMSI is unknown (TS 24.501, 5.6.2)")]
    Paging,
}
