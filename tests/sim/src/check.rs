//! What must be true of a world in which nothing more happens by itself.

use crate::World;
use coeur_model::{DnnSubscription, SliceSubscription, SubscriptionProfile};
use coeur_ran::Violation;
use coeur_ran::ue;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// What every simulated subscriber may use.
pub(crate) fn subscription() -> SubscriptionProfile {
    let dnns = vec![DnnSubscription::new("internet".parse().expect("a DNN"))];
    let slice = SliceSubscription { snssai: "1".parse().expect("a slice"), default: true, dnns };
    SubscriptionProfile { ue_ambr: Default::default(), slices: vec![slice] }
}

impl World {
    /// Panics, with the seed in the caller's message, where phone, core and user plane do not agree.
    pub fn check(&self) {
        self.check_violations(|_| false);
        self.check_sessions();
        self.check_user_plane();
        let (uplinks, smf) = (self.uplink_addresses(), self.smf_addresses());
        assert_eq!(uplinks, smf, "the uplink records are not those of the sessions");
        assert_eq!(self.upf.sessions(), smf.len(), "the user plane has sessions that the SMF does not have");
    }

    /// As [`World::check`], after answers of the user plane were lost, on the way or with a core that was killed. A session
    /// establishment whose answers never arrived leaves a session in the user plane that the SMF has no SEID for
    /// (TS 29.244, 6.4 has no more to offer): it may be there. And a release command may be repeated to a phone that has
    /// gone on in the meantime, which answers with #81 (TS 24.501, 7.3.1).
    pub fn check_after_loss(&self) {
        self.check_violations(|event| matches!(event, ue::Event::Violation(Violation::Pti { .. })));
        self.check_sessions();
        self.check_user_plane();
    }

    /// Nothing that the core sent was against the specifications, but for what `excused` says.
    fn check_violations(&self, excused: impl Fn(&ue::Event) -> bool) {
        let violation = |event: &ue::Event| matches!(event, ue::Event::Violation(_)) && !excused(event);
        let said: Vec<_> = self.ue_events.iter().filter(|(_, event)| violation(event)).collect();
        assert!(said.is_empty(), "UEs found violations: {said:?}");
        let said: Vec<_> =
            self.gnb_events.iter().filter(|event| matches!(event, coeur_ran::gnb::Event::Violation(_))).collect();
        assert!(said.is_empty(), "gNBs found violations: {said:?}");
    }

    /// Registered phones are registered phones of the AMF, their sessions are sessions of the SMF, no address is used twice.
    fn check_sessions(&self) {
        let mesh = self.mesh.as_ref().expect("a world is checked while its core runs");
        let mut addresses = BTreeSet::new();
        for ue in &self.ues {
            let supi = &ue.config().supi;
            let view = mesh.amf.ue(supi);
            if ue.is_registered() {
                assert!(view.is_some_and(|view| view.registered), "{supi:?} is registered, the AMF does not know it");
            }
            for session in ue.sessions() {
                assert!(addresses.insert(session.ipv4), "{} was given to two phones", session.ipv4);
                let found = mesh.smf.sessions().find(|at| at.supi == *supi && at.session.get() == session.psi);
                let found = found.unwrap_or_else(|| panic!("session {} of {supi:?} is none of the SMF's", session.psi));
                assert_eq!(found.ipv4, session.ipv4, "the SMF believes in another address of {supi:?}");
            }
        }
    }

    /// The user plane has what the SMF believes, and an address never has two uplinks.
    fn check_user_plane(&self) {
        let (uplinks, smf) = (self.uplink_addresses(), self.smf_addresses());
        assert!(uplinks.is_superset(&smf), "sessions without an uplink record: {:?}", smf.difference(&uplinks));
        assert_eq!(self.uplinks.len(), uplinks.len(), "an address has more than one uplink record");
    }

    fn smf_addresses(&self) -> BTreeSet<Ipv4Addr> {
        let mesh = self.mesh.as_ref().expect("a world is checked while its core runs");
        mesh.smf.sessions().map(|session| session.ipv4).collect()
    }

    fn uplink_addresses(&self) -> BTreeSet<Ipv4Addr> {
        self.uplinks.values().map(|record| record.ue_address.into()).collect()
    }
}
