//! The UE contexts of a gNB.

use super::{Tunnel, UeKey};
use std::collections::HashMap;

#[derive(Debug)]
pub(super) struct Context {
    pub(super) ran_id: u32,
    /// Known from the first downlink message on.
    pub(super) amf_id: Option<u64>,
    /// The UE; none when it left for another connection, and the AMF has not released this one yet.
    pub(super) ue: Option<UeKey>,
    pub(super) tunnels: Vec<Tunnel>,
}

/// By RAN UE NGAP ID, by UE, and by AMF UE NGAP ID.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    by_ran_id: HashMap<u32, Context>,
    by_ue: HashMap<UeKey, u32>,
    by_amf_id: HashMap<u64, u32>,
    ran_id_last: u32,
}

impl Contexts {
    pub(super) fn len(&self) -> usize {
        self.by_ran_id.len()
    }

    /// A new context for a UE. An old one of the same UE stays, without a UE, until the AMF releases it.
    pub(super) fn insert(&mut self, ue: UeKey) -> u32 {
        loop {
            self.ran_id_last = self.ran_id_last.wrapping_add(1);
            if !self.by_ran_id.contains_key(&self.ran_id_last) {
                break;
            }
        }
        let ran_id = self.ran_id_last;
        if let Some(old) = self.by_ue.insert(ue, ran_id).and_then(|old| self.by_ran_id.get_mut(&old)) {
            old.ue = None;
        }
        self.by_ran_id.insert(ran_id, Context { ran_id, amf_id: None, ue: Some(ue), tunnels: Vec::new() });
        ran_id
    }

    pub(super) fn of_ue(&mut self, ue: UeKey) -> Option<&mut Context> {
        self.by_ran_id.get_mut(self.by_ue.get(&ue)?)
    }

    pub(super) fn by_ran_id(&mut self, ran_id: u32) -> Option<&mut Context> {
        self.by_ran_id.get_mut(&ran_id)
    }

    pub(super) fn ran_id_of(&self, amf_id: u64) -> Option<u32> {
        self.by_amf_id.get(&amf_id).copied()
    }

    /// The context that a downlink message names by both identities (TS 38.413, 10.6): the pair is consistent, or the AMF
    /// names its identity for the first time.
    pub(super) fn by_pair(&mut self, amf_id: u64, ran_id: u32) -> Option<&mut Context> {
        let context = self.by_ran_id.get_mut(&ran_id)?;
        match context.amf_id {
            Some(known) if known != amf_id => None,
            Some(_) => Some(context),
            None => {
                context.amf_id = Some(amf_id);
                self.by_amf_id.insert(amf_id, ran_id);
                Some(context)
            }
        }
    }

    pub(super) fn remove(&mut self, ran_id: u32) -> Option<Context> {
        let context = self.by_ran_id.remove(&ran_id)?;
        if let Some(amf_id) = context.amf_id
            && self.by_amf_id.get(&amf_id) == Some(&ran_id)
        {
            self.by_amf_id.remove(&amf_id);
        }
        if let Some(ue) = context.ue {
            self.by_ue.remove(&ue);
        }
        Some(context)
    }

    pub(super) fn drain(&mut self) -> Vec<Context> {
        self.by_ue.clear();
        self.by_amf_id.clear();
        self.by_ran_id.drain().map(|(_, context)| context).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ue_that_comes_again_leaves_its_old_context_to_the_amf() {
        let mut contexts = Contexts::default();
        let old = contexts.insert(7);
        assert!(contexts.by_pair(100, old).is_some());
        let new = contexts.insert(7);
        assert_ne!(old, new);
        assert_eq!(contexts.of_ue(7).unwrap().ran_id, new);
        assert_eq!(contexts.remove(old).unwrap().ue, None);
        assert_eq!(contexts.of_ue(7).unwrap().ran_id, new);
        assert_eq!(contexts.ran_id_of(100), None);
    }

    #[test]
    fn a_pair_must_be_consistent() {
        let mut contexts = Contexts::default();
        let ran_id = contexts.insert(1);
        assert!(contexts.by_pair(5, ran_id).is_some());
        assert!(contexts.by_pair(6, ran_id).is_none());
        assert!(contexts.by_pair(5, ran_id + 1).is_none());
    }
}
