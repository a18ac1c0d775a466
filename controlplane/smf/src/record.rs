//! A session as it survives a restart: one JSON text a session, with its version.
//!
//! The gNB's tunnel is not part of it: it lives as long as the phone's N2 connection, which a restart of the core ends.
//! Until the AMF says what became of the access, the user plane goes on doing what it did ([`Downlink::AsIs`]).

use crate::session::{Downlink, Session, State, Tunnel, UserPlane};
use coeur_model::{Ambr, Arp, Dnn, FiveQi, Seid, Snssai};
use coeur_nf::services::nsmf::SmContextId;
use coeur_nf::store::SessionRecord;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Raised with every change that an older reader would misread.
const VERSION: u32 = 1;

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    context: SmContextId,
    snssai: Snssai,
    dnn: Dnn,
    ambr: Ambr,
    five_qi: FiveQi,
    arp: Arp,
    ipv4: Ipv4Addr,
    cp_seid: Seid,
    /// Milliseconds since the Unix epoch.
    since_ms: u64,
    up_seid: u64,
    uplink: Tunnel,
    /// The user plane's recovery time stamp, seconds since 1900.
    recovery: u32,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("version {0}, expected {VERSION}")]
    Version(u32),
}

/// None while the user plane holds nothing of the session: there is nothing to come back to.
pub(crate) fn write(session: &Session) -> Option<Vec<u8>> {
    let UserPlane::There { up_seid, uplink, recovery, .. } = session.user_plane else {
        return None;
    };
    let record = Record {
        version: VERSION,
        context: session.id,
        snssai: session.snssai,
        dnn: session.dnn.clone(),
        ambr: session.ambr,
        five_qi: session.five_qi,
        arp: session.arp,
        ipv4: session.ipv4,
        cp_seid: session.cp_seid,
        since_ms: u64::try_from(session.since.as_millis()).unwrap_or(u64::MAX),
        up_seid,
        uplink,
        recovery,
    };
    serde_json::to_vec(&record).ok()
}

pub(crate) fn read(stored: SessionRecord) -> Result<Session, RecordError> {
    let record: Record = serde_json::from_slice(&stored.record)?;
    if record.version != VERSION {
        return Err(RecordError::Version(record.version));
    }
    let Record { context, snssai, dnn, ambr, five_qi, arp, ipv4, cp_seid, since_ms, up_seid, uplink, recovery, .. } =
        record;
    Ok(Session {
        id: context,
        supi: stored.supi,
        session: stored.session,
        snssai,
        dnn,
        ambr,
        five_qi,
        arp,
        ipv4,
        cp_seid,
        since: Duration::from_millis(since_ms),
        user_plane: UserPlane::There { up_seid, uplink, recovery, applied: None, asked: None },
        downlink: Downlink::AsIs,
        access: false,
        unconfirmed: None,
        waiting: Vec::new(),
        state: State::Active,
    })
}
