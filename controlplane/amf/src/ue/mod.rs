//! One phone: who it is, where it is, what it has.

pub(crate) mod record;
pub(crate) mod registry;
pub(crate) mod security;

use crate::procedure::Procedure;
use crate::session::{Session, Transfer};
use coeur_model::{Ambr, AmfUeNgapId, NrCellId, PduSessionId, RanUeNgapId, Snssai, Supi, Tai, Tmsi};
use coeur_nf::{AssociationId, StoreToken};
use oxirush_nas::nas_5gs::NasUeSecurityCapability;
use security::Security;
use std::collections::BTreeMap;
use std::time::Duration;

/// Names a context inside this function. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UeKey(pub u64);

/// RM state (TS 23.501, 5.3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rm {
    Deregistered,
    Registered,
}

pub(crate) struct Ue {
    /// Proven by authentication; none while the phone only claims to be somebody.
    pub(crate) supi: Option<Supi>,
    pub(crate) rm: Rm,
    pub(crate) tmsi: Option<Tmsi>,
    /// The 5G-GUTI before a reallocation that the phone has not acknowledged: both are valid (TS 24.501, 5.5.1.2.8 c).
    pub(crate) old_tmsi: Option<Tmsi>,
    pub(crate) security: Option<Security>,
    pub(crate) capability: Option<NasUeSecurityCapability>,
    pub(crate) radio_capability: Option<Vec<u8>>,
    pub(crate) imeisv: Option<String>,
    pub(crate) allowed: Vec<Snssai>,
    pub(crate) ambr: Ambr,
    pub(crate) sessions: BTreeMap<PduSessionId, Session>,
    pub(crate) connection: Option<Connection>,
    pub(crate) location: Option<Location>,
    pub(crate) procedure: Procedure,
    pub(crate) held: Vec<Transfer>,
    /// The last PutUe that is not committed yet.
    pub(crate) writing: Option<StoreToken>,
    /// When it came to be RM-REGISTERED, since the Unix epoch.
    pub(crate) registered_since: Duration,
    /// Since the Unix epoch.
    pub(crate) last_activity: Duration,
}

/// Where the phone was heard last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) tai: Tai,
    pub(crate) cell: Option<NrCellId>,
}

/// The UE-associated logical NG connection: there is one in CM-CONNECTED.
pub(crate) struct Connection {
    pub(crate) association: AssociationId,
    pub(crate) stream: u16,
    pub(crate) amf_id: AmfUeNgapId,
    pub(crate) ran_id: RanUeNgapId,
    /// Secure exchange of NAS messages is established on it (TS 24.501, 4.4.2.5).
    pub(crate) secure: bool,
    pub(crate) context: GnbContext,
    /// The gNB asked for a context with the Initial UE Message (TS 38.413, 8.6.1.2).
    pub(crate) context_requested: bool,
    /// 5G-AKA, identification or SMC has not proven the phone yet: counted against its gNB's limit.
    pub(crate) unauthenticated: bool,
}

/// What the gNB has of the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GnbContext {
    None,
    /// Initial Context Setup Request is out.
    Pending,
    SetUp,
}

impl Ue {
    pub(crate) fn new(connection: Option<Connection>) -> Self {
        Self {
            supi: None,
            rm: Rm::Deregistered,
            tmsi: None,
            old_tmsi: None,
            security: None,
            capability: None,
            radio_capability: None,
            imeisv: None,
            allowed: Vec::new(),
            ambr: Ambr::default(),
            sessions: BTreeMap::new(),
            connection,
            location: None,
            procedure: Procedure::None,
            held: Vec::new(),
            writing: None,
            registered_since: Duration::ZERO,
            last_activity: Duration::ZERO,
        }
    }

    /// Whether NAS messages of this phone are to be protected now (TS 24.501, 4.4.2.5).
    pub(crate) fn is_secure(&self) -> bool {
        self.security.is_some() && self.connection.as_ref().is_some_and(|connection| connection.secure)
    }

    pub(crate) fn gnb_context(&self) -> GnbContext {
        self.connection.as_ref().map_or(GnbContext::None, |connection| connection.context)
    }
}
