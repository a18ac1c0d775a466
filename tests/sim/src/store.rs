//! The store of a simulated core: what is in it has survived.

use coeur_model::{PduSessionId, Secret, SubscriptionProfile, Supi};
use coeur_nf::store::{AuthenticationSubscription, SessionRecord, StoreError, StoreOp, StoreReply, UeRecord};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Row {
    k: Secret<16>,
    opc: Secret<16>,
    sqn: u64,
    profile: SubscriptionProfile,
}

/// Does what `coeur-store` does, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimStore {
    subscribers: BTreeMap<Supi, Row>,
    ues: BTreeMap<Supi, Vec<u8>>,
    sessions: BTreeMap<(Supi, PduSessionId), Vec<u8>>,
}

impl SimStore {
    pub(crate) fn add(&mut self, supi: Supi, k: Secret<16>, opc: Secret<16>, profile: SubscriptionProfile) {
        self.subscribers.insert(supi, Row { k, opc, sqn: 0, profile });
    }

    pub(crate) fn remove(&mut self, supi: &Supi) {
        self.subscribers.remove(supi);
    }

    pub(crate) fn ues(&self) -> Vec<UeRecord> {
        self.ues.iter().map(|(supi, record)| UeRecord { supi: supi.clone(), record: record.clone() }).collect()
    }

    pub(crate) fn sessions(&self) -> Vec<SessionRecord> {
        let record = |((supi, session), record): (&(Supi, PduSessionId), &Vec<u8>)| SessionRecord {
            supi: supi.clone(),
            session: *session,
            record: record.clone(),
        };
        self.sessions.iter().map(record).collect()
    }

    pub(crate) fn carry_out(&mut self, operation: StoreOp) -> Result<StoreReply, StoreError> {
        match operation {
            StoreOp::ReserveSqn { supi } => self.reserve(&supi, None),
            StoreOp::ResynchroniseSqn { supi, sqn_ms } => self.reserve(&supi, Some(sqn_ms)),
            StoreOp::ReadAuthentication { supi } => Ok(authentication(self.row(&supi)?)),
            StoreOp::ReadProfile { supi } => Ok(StoreReply::Profile(Box::new(self.row(&supi)?.profile.clone()))),
            StoreOp::PutUe { supi, record } => done(self.ues.insert(supi, record)),
            StoreOp::RemoveUe { supi } => done(self.ues.remove(&supi)),
            StoreOp::PutSession { supi, session, record } => done(self.sessions.insert((supi, session), record)),
            StoreOp::RemoveSession { supi, session } => done(self.sessions.remove(&(supi, session))),
        }
    }

    fn row(&mut self, supi: &Supi) -> Result<&mut Row, StoreError> {
        self.subscribers.get_mut(supi).ok_or(StoreError::NotFound)
    }

    fn reserve(&mut self, supi: &Supi, sqn_ms: Option<u64>) -> Result<StoreReply, StoreError> {
        let row = self.row(supi)?;
        let last = sqn_ms.unwrap_or(row.sqn);
        row.sqn = (((last >> 5) + 1) << 5 | ((last + 1) & 31)) & 0xFFFF_FFFF_FFFF;
        Ok(authentication(row))
    }
}

fn authentication(row: &mut Row) -> StoreReply {
    let (k, opc) = (row.k.clone(), row.opc.clone());
    StoreReply::Authentication(Box::new(AuthenticationSubscription { k, opc, amf: [0x80, 0x00], sqn: row.sqn }))
}

fn done<T>(_before: Option<T>) -> Result<StoreReply, StoreError> {
    Ok(StoreReply::Done)
}
