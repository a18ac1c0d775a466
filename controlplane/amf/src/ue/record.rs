//! The context of a registered phone as the store keeps it. Versioned: a reader refuses what it does not know.

use super::security::Security;
use super::{Rm, Ue};
use crate::session::{Session, SessionState};
use coeur_model::{Ambr, Dnn, PduSessionId, Secret, Snssai, Tai, Tmsi};
use coeur_nf::services::nsmf::SmContextId;
use oxirush_nas::nas_5gs::NasUeSecurityCapability;
use std::time::Duration;

/// Bump on every change that an older or newer reader would misread.
const VERSION: u8 = 1;

#[derive(serde::Serialize, serde::Deserialize)]
struct Record {
    version: u8,
    tmsi: Option<Tmsi>,
    old_tmsi: Option<Tmsi>,
    kamf: String,
    ngksi: u8,
    nia: u8,
    nea: u8,
    /// The next uplink COUNT accepted.
    uplink: u32,
    /// Downlink COUNTs below may have been used.
    downlink: u32,
    capability: Vec<u8>,
    imeisv: Option<String>,
    allowed: Vec<Snssai>,
    ambr: Ambr,
    tai: Option<Tai>,
    /// Milliseconds since the Unix epoch.
    registered_ms: u64,
    sessions: Vec<SessionRecord>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct SessionRecord {
    id: PduSessionId,
    context: SmContextId,
    snssai: Snssai,
    dnn: Option<Dnn>,
}

/// Why a committed record cannot be used. The phone then registers anew; nothing else is lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("unreadable: {0}")]
    Json(#[from] serde_json::Error),
    #[error("version {0}, this function knows {VERSION}")]
    Version(u8),
    #[error("no valid security context in it")]
    Security,
}

/// The record of a phone that has a security context, and the reservation of downlink COUNTs that it makes.
pub(crate) fn write(ue: &Ue) -> Option<(Vec<u8>, u32)> {
    let security = ue.security.as_ref()?;
    let (nia, nea) = security.algorithms();
    let reservation = security.reservation();
    let record = Record {
        version: VERSION,
        tmsi: ue.tmsi,
        old_tmsi: ue.old_tmsi,
        kamf: security.kamf().expose().iter().map(|octet| format!("{octet:02x}")).collect(),
        ngksi: security.ngksi,
        nia: nia as u8,
        nea: nea as u8,
        uplink: security.uplink_count(),
        downlink: reservation,
        capability: ue.capability.as_ref().map(|capability| capability.value.to_vec()).unwrap_or_default(),
        imeisv: ue.imeisv.clone(),
        allowed: ue.allowed.clone(),
        ambr: ue.ambr,
        tai: ue.location.map(|location| location.tai),
        registered_ms: u64::try_from(ue.registered_since.as_millis()).unwrap_or(u64::MAX),
        sessions: ue.sessions.iter().filter_map(|(id, session)| session_record(*id, session)).collect(),
    };
    Some((serde_json::to_vec(&record).ok()?, reservation))
}

fn session_record(id: PduSessionId, session: &Session) -> Option<SessionRecord> {
    let SessionState::Established { context, .. } = session.state else { return None };
    Some(SessionRecord { id, context, snssai: session.snssai, dnn: session.dnn.clone() })
}

/// A phone in RM-REGISTERED and CM-IDLE.
pub(crate) fn read(record: &[u8]) -> Result<Ue, RecordError> {
    let record: Record = serde_json::from_slice(record)?;
    if record.version != VERSION {
        return Err(RecordError::Version(record.version));
    }
    let kamf = Secret::from_hex(&record.kamf).map_err(|_| RecordError::Security)?;
    let security = Security::restore(kamf, record.ngksi, (record.nia, record.nea), record.uplink, record.downlink);
    let session = |record: SessionRecord| {
        let state = SessionState::Established { context: record.context, user_plane: false };
        (record.id, Session { snssai: record.snssai, dnn: record.dnn, state, unanswered: None })
    };
    let mut ue = Ue::new(None);
    ue.rm = Rm::Registered;
    ue.security = Some(security.ok_or(RecordError::Security)?);
    ue.tmsi = record.tmsi;
    ue.old_tmsi = record.old_tmsi;
    ue.capability = Some(NasUeSecurityCapability::new(record.capability));
    ue.imeisv = record.imeisv;
    ue.allowed = record.allowed;
    ue.ambr = record.ambr;
    ue.location = record.tai.map(|tai| super::Location { tai, cell: None });
    ue.registered_since = Duration::from_millis(record.registered_ms);
    ue.sessions = record.sessions.into_iter().map(session).collect();
    Ok(ue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use coeur_model::config::{Nea, Nia};

    #[test]
    fn a_record_reads_back_and_an_unknown_version_is_refused() {
        let mut ue = Ue::new(None);
        assert!(write(&ue).is_none(), "without keys there is nothing to survive");
        ue.security = Security::fresh(Secret::new([9; 32]), 3, Nia::Nia2, Nea::Nea2).ok();
        ue.tmsi = Some(Tmsi(0x1234));
        ue.allowed = vec![Snssai::new(1, Some([1, 2, 3]))];
        let state = SessionState::Established { context: SmContextId(8), user_plane: true };
        let session = Session { snssai: Snssai::new(1, None), dnn: None, state, unanswered: None };
        ue.sessions.insert(PduSessionId::new(5).unwrap(), session);
        let (octets, reservation) = write(&ue).unwrap();
        let again = read(&octets).unwrap();
        assert_eq!((again.tmsi, again.rm, again.allowed.len()), (ue.tmsi, Rm::Registered, 1));
        assert_eq!(again.security.as_ref().unwrap().reservation(), reservation + 64);
        let SessionState::Established { user_plane, .. } = again.sessions[&PduSessionId::new(5).unwrap()].state else {
            panic!("the session is established")
        };
        assert!(!user_plane, "no gNB holds it after a restart");
        let other = String::from_utf8(octets).unwrap().replacen("\"version\":1", "\"version\":9", 1);
        assert!(matches!(read(other.as_bytes()), Err(RecordError::Version(9))));
        assert!(matches!(read(b"\x00\x01"), Err(RecordError::Json(_))));
    }
}
