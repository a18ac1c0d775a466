//! The gNBs: one N2 association each.

use coeur_model::{AmfUeNgapId, GnbId, RanUeNgapId, Snssai, Tai};
use coeur_nf::AssociationId;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) struct Gnb {
    pub(crate) peer: SocketAddr,
    /// When its association came up, since the Unix epoch.
    pub(crate) since: Duration,
    /// After NG Setup.
    pub(crate) served: Option<Served>,
    /// The phones on it, by the gNB's own name for them.
    pub(crate) ues: HashMap<RanUeNgapId, AmfUeNgapId>,
    /// Connections whose release is commanded, oldest first.
    pub(crate) releasing: VecDeque<AmfUeNgapId>,
    pub(crate) unauthenticated: usize,
}

/// What NG Setup and RAN Configuration Update said.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) id: GnbId,
    pub(crate) name: String,
    /// Tracking areas that this core serves too, with the slices that the gNB has there.
    pub(crate) tais: BTreeMap<Tai, Vec<Snssai>>,
}

#[derive(Default)]
pub(crate) struct Gnbs {
    by_association: HashMap<AssociationId, Gnb>,
    by_id: HashMap<GnbId, AssociationId>,
}

impl Gnbs {
    pub(crate) fn insert(&mut self, association: AssociationId, peer: SocketAddr, since: Duration) {
        let gnb =
            Gnb { peer, since, served: None, ues: HashMap::new(), releasing: VecDeque::new(), unauthenticated: 0 };
        self.by_association.insert(association, gnb);
    }

    pub(crate) fn remove(&mut self, association: AssociationId) -> Option<Gnb> {
        let gnb = self.by_association.remove(&association)?;
        self.unname(association, &gnb);
        Some(gnb)
    }

    fn unname(&mut self, association: AssociationId, gnb: &Gnb) {
        if let Some(served) = &gnb.served
            && self.by_id.get(&served.id) == Some(&association)
        {
            self.by_id.remove(&served.id);
        }
    }

    pub(crate) fn get(&self, association: AssociationId) -> Option<&Gnb> {
        self.by_association.get(&association)
    }

    pub(crate) fn get_mut(&mut self, association: AssociationId) -> Option<&mut Gnb> {
        self.by_association.get_mut(&association)
    }

    pub(crate) fn by_id(&self, id: GnbId) -> Option<AssociationId> {
        self.by_id.get(&id).copied()
    }

    /// NG Setup or RAN Configuration Update succeeded.
    pub(crate) fn serve(&mut self, association: AssociationId, served: Served) {
        let before = self.by_association.get(&association).and_then(|gnb| gnb.served.as_ref()).map(|before| before.id);
        if let Some(before) = before
            && self.by_id.get(&before) == Some(&association)
        {
            self.by_id.remove(&before);
        }
        if let Some(gnb) = self.by_association.get_mut(&association) {
            self.by_id.insert(served.id, association);
            gnb.served = Some(served);
        }
    }

    pub(crate) fn is_set_up(&self, association: AssociationId) -> bool {
        self.get(association).is_some_and(|gnb| gnb.served.is_some())
    }

    /// How many did NG Setup.
    pub(crate) fn set_up(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_association.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Gnb> {
        self.by_association.values()
    }
}
