//! What the northbound interface may see of phones and gNBs. No key is in it.

use crate::Amf;
use crate::session::SessionState;
use crate::ue::{Rm, Ue};
use coeur_model::{Dnn, GnbId, Guti, NrCellId, PduSessionId, Snssai, Supi, Tac, Tai};
use std::net::SocketAddr;
use std::time::Duration;

/// A phone that proved who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct UeView {
    pub supi: Supi,
    pub guti: Option<Guti>,
    /// RM-REGISTERED (TS 23.501, 5.3.2.2).
    pub registered: bool,
    /// CM-CONNECTED (TS 23.501, 5.3.3.2).
    pub connected: bool,
    pub gnb: Option<GnbId>,
    pub tai: Option<Tai>,
    pub cell: Option<NrCellId>,
    pub allowed_nssai: Vec<Snssai>,
    pub sessions: Vec<UeSessionView>,
    /// `NIA2`, `NEA2`: the NAS algorithms in use.
    pub integrity: Option<String>,
    pub ciphering: Option<String>,
    pub imeisv: Option<String>,
    /// Both since the Unix epoch.
    pub registered_since: Duration,
    pub last_activity: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct UeSessionView {
    pub id: PduSessionId,
    pub snssai: Snssai,
    pub dnn: Option<Dnn>,
    /// The gNB holds resources for it.
    pub user_plane: bool,
}

/// A gNB that did NG Setup.
#[derive(Clone, Debug, PartialEq)]
pub struct GnbView {
    pub id: GnbId,
    pub name: String,
    pub peer: SocketAddr,
    /// When its association came up, since the Unix epoch.
    pub since: Duration,
    pub tacs: Vec<Tac>,
    pub slices: Vec<Snssai>,
    /// Phones in CM-CONNECTED on it.
    pub ues: usize,
}

/// How many of what; for a status line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub gnbs: usize,
    pub registered: usize,
    pub connected: usize,
    pub sessions: usize,
}

impl Amf {
    pub fn ues(&self) -> impl Iterator<Item = UeView> + '_ {
        self.ues.iter().filter_map(|ue| self.view_of(ue))
    }

    pub fn ue(&self, supi: &Supi) -> Option<UeView> {
        self.ues.by_supi(supi).and_then(|key| self.ues.get(key)).and_then(|ue| self.view_of(ue))
    }

    pub fn gnbs(&self) -> impl Iterator<Item = GnbView> + '_ {
        self.gnbs.iter().filter_map(|gnb| {
            let served = gnb.served.as_ref()?;
            let mut slices: Vec<Snssai> = served.tais.values().flatten().copied().collect();
            slices.sort_unstable();
            slices.dedup();
            Some(GnbView {
                id: served.id,
                name: served.name.clone(),
                peer: gnb.peer,
                since: gnb.since,
                tacs: served.tais.keys().map(|tai| tai.tac).collect(),
                slices,
                ues: gnb.ues.len(),
            })
        })
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts { gnbs: self.gnbs.set_up(), ..Counts::default() };
        for ue in self.ues.iter() {
            counts.registered += usize::from(ue.rm == Rm::Registered);
            counts.connected += usize::from(ue.connection.is_some());
            counts.sessions += ue.sessions.len();
        }
        counts
    }

    fn view_of(&self, ue: &Ue) -> Option<UeView> {
        let gnb = ue.connection.as_ref().and_then(|connection| self.gnbs.get(connection.association));
        let algorithms = ue.security.as_ref().map(crate::ue::security::Security::algorithms);
        Some(UeView {
            supi: ue.supi.clone()?,
            guti: ue.tmsi.map(|tmsi| Guti { guami: self.settings.guami, tmsi }),
            registered: ue.rm == Rm::Registered,
            connected: ue.connection.is_some(),
            gnb: gnb.and_then(|gnb| gnb.served.as_ref()).map(|served| served.id),
            tai: ue.location.map(|location| location.tai),
            cell: ue.location.and_then(|location| location.cell),
            allowed_nssai: ue.allowed.clone(),
            sessions: ue
                .sessions
                .iter()
                .map(|(id, session)| UeSessionView {
                    id: *id,
                    snssai: session.snssai,
                    dnn: session.dnn.clone(),
                    user_plane: matches!(session.state, SessionState::Established { user_plane: true, .. }),
                })
                .collect(),
            integrity: algorithms.map(|(nia, _)| format!("{nia:?}")),
            ciphering: algorithms.map(|(_, nea)| format!("{nea:?}")),
            imeisv: ue.imeisv.clone(),
            registered_since: ue.registered_since,
            last_activity: ue.last_activity,
        })
    }
}
