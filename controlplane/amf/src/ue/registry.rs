//! All phones, found by what they are called on each interface.

use super::{Ue, UeKey};
use coeur_model::{AmfUeNgapId, RanUeNgapId, Supi, Tmsi};
use coeur_nf::{AssociationId, Entropy, Timers};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Bits 39 to 32 of the AMF UE NGAP ID and the top byte of the 5G-TMSI.
const SHARD: u8 = 0;

#[derive(Default)]
pub(crate) struct Ues {
    contexts: HashMap<UeKey, Ue>,
    by_supi: HashMap<Supi, UeKey>,
    by_tmsi: HashMap<Tmsi, UeKey>,
    connections: HashMap<AmfUeNgapId, Slot>,
    /// Deregistered phones whose security context is kept for a while.
    pub(crate) kept: Timers<UeKey>,
    next_key: u64,
    next_amf_id: u32,
}

/// Who an AMF UE NGAP ID stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Ue(UeKey),
    /// UE Context Release Command is out, its Complete awaited. The phone may be connected elsewhere by now.
    Releasing {
        association: AssociationId,
        ran_id: RanUeNgapId,
    },
}

impl Ues {
    pub(crate) fn insert(&mut self, ue: Ue) -> UeKey {
        let key = UeKey(self.next_key);
        self.next_key += 1;
        self.index(key, &ue);
        self.contexts.insert(key, ue);
        key
    }

    fn index(&mut self, key: UeKey, ue: &Ue) {
        if let Some(supi) = &ue.supi {
            self.by_supi.insert(supi.clone(), key);
        }
        for tmsi in [ue.tmsi, ue.old_tmsi].into_iter().flatten() {
            self.by_tmsi.insert(tmsi, key);
        }
        if let Some(connection) = &ue.connection {
            self.connections.insert(connection.amf_id, Slot::Ue(key));
        }
    }

    /// Takes the context out, and every name that leads to it.
    pub(crate) fn remove(&mut self, key: UeKey) -> Option<Ue> {
        let ue = self.contexts.remove(&key)?;
        if let Some(supi) = &ue.supi
            && self.by_supi.get(supi) == Some(&key)
        {
            self.by_supi.remove(supi);
        }
        for tmsi in [ue.tmsi, ue.old_tmsi].into_iter().flatten() {
            self.forget_tmsi(tmsi, key);
        }
        if let Some(connection) = &ue.connection {
            self.connections.remove(&connection.amf_id);
        }
        self.kept.stop(&key);
        Some(ue)
    }

    pub(crate) fn get(&self, key: UeKey) -> Option<&Ue> {
        self.contexts.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: UeKey) -> Option<&mut Ue> {
        self.contexts.get_mut(&key)
    }

    pub(crate) fn by_supi(&self, supi: &Supi) -> Option<UeKey> {
        self.by_supi.get(supi).copied()
    }

    pub(crate) fn by_tmsi(&self, tmsi: Tmsi) -> Option<UeKey> {
        self.by_tmsi.get(&tmsi).copied()
    }

    pub(crate) fn slot(&self, amf_id: AmfUeNgapId) -> Option<Slot> {
        self.connections.get(&amf_id).copied()
    }

    pub(crate) fn set_slot(&mut self, amf_id: AmfUeNgapId, slot: Slot) {
        self.connections.insert(amf_id, slot);
    }

    pub(crate) fn clear_slot(&mut self, amf_id: AmfUeNgapId) {
        self.connections.remove(&amf_id);
    }

    /// The phone proved who it is.
    pub(crate) fn name(&mut self, key: UeKey, supi: Supi) {
        if let Some(ue) = self.contexts.get_mut(&key) {
            ue.supi = Some(supi.clone());
            self.by_supi.insert(supi, key);
        }
    }

    /// Gives the phone a new 5G-TMSI; the one before stays valid until [`Ues::acknowledge_tmsi`].
    pub(crate) fn reallocate_tmsi(&mut self, key: UeKey, entropy: &mut dyn Entropy) -> Option<Tmsi> {
        let tmsi = self.free_tmsi(entropy);
        let ue = self.contexts.get_mut(&key)?;
        // At most two are valid. Once the current one has been given out without an acknowledgement, the phone may hold
        // that or the one before it; the older one is kept, as TS 24.501, 5.5.1.2.8 c) has it.
        let superseded = match ue.old_tmsi {
            Some(_) => ue.tmsi.replace(tmsi),
            None => {
                ue.old_tmsi = ue.tmsi.replace(tmsi);
                None
            }
        };
        self.by_tmsi.insert(tmsi, key);
        if let Some(superseded) = superseded {
            self.forget_tmsi(superseded, key);
        }
        Some(tmsi)
    }

    /// Registration Complete: only the new 5G-GUTI is valid now (TS 24.501, 5.5.1.2.4).
    pub(crate) fn acknowledge_tmsi(&mut self, key: UeKey) {
        if let Some(old) = self.contexts.get_mut(&key).and_then(|ue| ue.old_tmsi.take()) {
            self.forget_tmsi(old, key);
        }
    }

    /// Makes `key` the owner of 5G-TMSIs that another context of the same phone had.
    pub(crate) fn inherit_tmsi(&mut self, key: UeKey, tmsi: Tmsi) {
        if let Some(ue) = self.contexts.get_mut(&key) {
            ue.tmsi = Some(tmsi);
            self.by_tmsi.insert(tmsi, key);
        }
    }

    fn forget_tmsi(&mut self, tmsi: Tmsi, key: UeKey) {
        if self.by_tmsi.get(&tmsi) == Some(&key) {
            self.by_tmsi.remove(&tmsi);
        }
    }

    /// Random, so that it tells nothing about the phone (TS 33.501, 6.12.3), and unused. 24 bits below the shard byte are
    /// drawn; from a draw that is taken the search goes on upwards, so it ends even when almost all are in use.
    fn free_tmsi(&self, entropy: &mut dyn Entropy) -> Tmsi {
        let shard = u32::from(SHARD) << 24;
        let mut draw = entropy.u32() & 0x00FF_FFFF;
        while self.by_tmsi.contains_key(&Tmsi(shard | draw)) {
            draw = (draw + 1) & 0x00FF_FFFF;
        }
        Tmsi(shard | draw)
    }

    /// Never one that is in use; one that was is not given again for 2^32 connections.
    pub(crate) fn next_amf_id(&mut self) -> AmfUeNgapId {
        loop {
            let id = AmfUeNgapId(u64::from(SHARD) << 32 | u64::from(self.next_amf_id));
            self.next_amf_id = self.next_amf_id.wrapping_add(1);
            // Never 0: a gNB in the field (UERANSIM 3.3) repeats it in a form that is not aligned PER.
            if id.0 & 0xFFFF_FFFF != 0 && !self.connections.contains_key(&id) {
                return id;
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ue> {
        self.contexts.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.contexts.len()
    }

    /// How many proved who they are.
    pub(crate) fn named(&self) -> usize {
        self.by_supi.len()
    }

    /// The deregistered context that has been kept longest, if there is one.
    pub(crate) fn oldest_kept(&mut self, now: Instant) -> Option<UeKey> {
        self.kept.expire(now + 2 * crate::limits::DEREGISTERED_KEPT + Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(u8);

    impl Entropy for Constant {
        fn fill(&mut self, octets: &mut [u8]) {
            octets.fill(self.0);
        }
    }

    #[test]
    fn a_tmsi_is_unique_also_when_the_source_repeats_itself() {
        let mut ues = Ues::default();
        let (one, other) = (ues.insert(Ue::new(None)), ues.insert(Ue::new(None)));
        let first = ues.reallocate_tmsi(one, &mut Constant(0xAB)).unwrap();
        let second = ues.reallocate_tmsi(other, &mut Constant(0xAB)).unwrap();
        assert_eq!((first, second), (Tmsi(0x00AB_ABAB), Tmsi(0x00AB_ABAC)));
        assert_eq!((ues.by_tmsi(first), ues.by_tmsi(second)), (Some(one), Some(other)));
    }

    #[test]
    fn both_gutis_are_valid_until_the_new_one_is_acknowledged() {
        let mut ues = Ues::default();
        let key = ues.insert(Ue::new(None));
        let old = ues.reallocate_tmsi(key, &mut Constant(1)).unwrap();
        let lost = ues.reallocate_tmsi(key, &mut Constant(2)).unwrap();
        let new = ues.reallocate_tmsi(key, &mut Constant(3)).unwrap();
        assert_eq!((ues.by_tmsi(old), ues.by_tmsi(lost), ues.by_tmsi(new)), (Some(key), None, Some(key)));
        ues.acknowledge_tmsi(key);
        assert_eq!((ues.by_tmsi(old), ues.by_tmsi(new)), (None, Some(key)));
        ues.remove(key);
        assert_eq!(ues.by_tmsi(new), None);
    }
}
