//! What the northbound contract and `/metrics` show of a running core.

use crate::convert::{ambr_message, gnb_message, plmn_text};
use crate::run::Core;
use coeur_amf::{Amf, GnbView, UeView};
use coeur_model::{PduSessionId, Supi};
use coeur_nf::metric::Sample;
use coeur_northbound::core_v1 as v1;
use coeur_smf::{SessionState, SessionView, Smf};
use coeur_transport::sctp::Implementation;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) fn status(core: &Core) -> v1::Status {
    let counts = core.mesh.amf.counts();
    let upf = core.mesh.smf.upf();
    let state = match (upf.associated, core.upf_was_associated) {
        (true, _) => v1::UpfState::Associated,
        (false, true) => v1::UpfState::Lost,
        (false, false) => v1::UpfState::Associating,
    };
    let sctp = match core.n2.implementation() {
        Implementation::Kernel => v1::SctpImplementation::Kernel,
        Implementation::Usrsctp => v1::SctpImplementation::Usrsctp,
    };
    let mut gnbs: Vec<_> = core.mesh.amf.gnbs().collect();
    gnbs.sort_unstable_by_key(|gnb| gnb.id);
    v1::Status {
        name: core.config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        plmn: plmn_text(core.config.plmn),
        started_unix_ms: unix_ms(core.started_unix),
        uptime_ms: unix_ms(core.started.elapsed()),
        ready: core.ready_after.is_some(),
        sctp: sctp.into(),
        n2: core.n2_address.map(|address| address.to_string()).unwrap_or_default(),
        upf: Some(v1::Upf {
            node: upf.address.to_string(),
            state: state.into(),
            since_unix_ms: unix_ms(core.upf_since),
        }),
        gnbs: gnbs.into_iter().map(gnb).collect(),
        ues_registered: counts.registered as u64,
        ues_connected: counts.connected as u64,
        sessions: core.mesh.smf.sessions().count() as u64,
        // The store knows; the service adds it.
        subscribers: 0,
        ready_after_ms: core.ready_after.map(unix_ms).unwrap_or_default(),
    }
}

fn gnb(view: GnbView) -> v1::Gnb {
    let plmn = plmn_text(view.id.plmn);
    v1::Gnb {
        id: Some(gnb_message(view.id)),
        name: view.name,
        address: view.peer.to_string(),
        tais: view.tacs.iter().map(|tac| v1::Tai { plmn: plmn.clone(), tac: tac.get() }).collect(),
        connected_unix_ms: unix_ms(view.since),
        ues_connected: view.ues as u64,
    }
}

/// Registered UEs after `after`, in the order of their SUPI.
pub(crate) fn ues(amf: &Amf, after: Option<&Supi>, limit: usize) -> Vec<v1::Ue> {
    let views = amf.ues().filter(|view| view.registered && after.is_none_or(|after| view.supi > *after));
    first(views.map(|view| (view.supi.clone(), view)), limit).into_values().map(ue_message).collect()
}

pub(crate) fn ue(amf: &Amf, supi: &Supi) -> Option<v1::Ue> {
    amf.ue(supi).filter(|view| view.registered).map(ue_message)
}

fn ue_message(view: UeView) -> v1::Ue {
    let cm_state = if view.connected { v1::CmState::Connected } else { v1::CmState::Idle };
    v1::Ue {
        supi: view.supi.expose(),
        cm_state: cm_state.into(),
        tmsi: view.guti.map(|guti| guti.tmsi.0).unwrap_or_default(),
        gnb: view.gnb.map(gnb_message),
        tai: view.tai.map(|tai| v1::Tai { plmn: plmn_text(tai.plmn), tac: tai.tac.get() }),
        allowed_slices: view.allowed_nssai.iter().map(ToString::to_string).collect(),
        sessions: view.sessions.len() as u32,
        registered_unix_ms: unix_ms(view.registered_since),
    }
}

/// Sessions after `after`, in the order of SUPI and identity; of one subscriber only, if `supi` names it.
pub(crate) fn sessions(
    smf: &Smf,
    after: Option<&(Supi, PduSessionId)>,
    supi: Option<&Supi>,
    limit: usize,
) -> Vec<v1::Session> {
    let beyond = smf.sessions().filter(|view| supi.is_none_or(|supi| view.supi == *supi));
    let keyed = beyond.map(|view| ((view.supi.clone(), view.session), view));
    let page = first(keyed.filter(|(key, _)| after.is_none_or(|after| key > after)), limit);
    page.into_values().map(session_message).collect()
}

fn session_message(view: SessionView) -> v1::Session {
    let state = match (view.state, view.gnb) {
        (SessionState::Establishing | SessionState::Releasing, _) => v1::SessionState::Changing,
        (SessionState::Active, Some(_)) => v1::SessionState::Active,
        (SessionState::Active, None) => v1::SessionState::Inactive,
    };
    v1::Session {
        supi: view.supi.expose(),
        id: view.session.get().into(),
        dnn: view.dnn.to_string(),
        snssai: view.snssai.to_string(),
        ipv4: view.ipv4.to_string(),
        state: state.into(),
        established_unix_ms: unix_ms(view.since),
        session_ambr: Some(ambr_message(view.ambr)),
        five_qi: view.five_qi.0.into(),
    }
}

/// The `limit` smallest, without sorting the others.
fn first<K: Ord, V>(items: impl Iterator<Item = (K, V)>, limit: usize) -> BTreeMap<K, V> {
    let mut page = BTreeMap::new();
    for (key, value) in items {
        if page.len() < limit || page.last_key_value().is_some_and(|(last, _)| key < *last) {
            page.insert(key, value);
            if page.len() > limit {
                page.pop_last();
            }
        }
    }
    page
}

/// Everything for `/metrics`.
pub(crate) fn samples(core: &Core) -> Vec<Sample> {
    let mut samples = Vec::new();
    core.mesh.samples(&mut samples);
    let sctp = core.n2.counters();
    let figures = &core.figures;
    let counters = [
        ("coeur_core_inputs_total", "Messages, replies and commands handled by the loop.", figures.inputs),
        ("coeur_core_turns_total", "Turns of the loop; inputs by turns is the mean batch.", figures.turns),
        ("coeur_core_n2_messages_received_total", "SCTP messages received on N2.", sctp.messages_received),
        ("coeur_core_n2_messages_sent_total", "SCTP messages sent on N2.", sctp.messages_sent),
        (
            "coeur_core_n2_foreign_messages_total",
            "SCTP messages of another payload protocol than NGAP, discarded (TS 38.412, 7).",
            figures.foreign_messages,
        ),
        (
            "coeur_core_n2_unsent_messages_total",
            "NGAP messages that an association had no room for; it was aborted.",
            figures.unsendable_messages,
        ),
        (
            "coeur_core_n2_oversize_messages_total",
            "SCTP messages longer than the limit; their associations were aborted.",
            sctp.messages_oversize,
        ),
        (
            "coeur_core_n2_malformed_packets_total",
            "SCTP packets with a wrong length or checksum, discarded (RFC 9260, 6.8). User space SCTP only.",
            sctp.packets_malformed,
        ),
        (
            "coeur_core_n4_unsent_datagrams_total",
            "PFCP datagrams that the socket did not take.",
            figures.unsendable_datagrams,
        ),
    ];
    samples.extend(counters.map(|(name, help, value)| Sample::counter(name, help, value)));
    let uptime = core.started.elapsed().as_secs_f64();
    samples.push(Sample::gauge("coeur_core_uptime_seconds", "Since the process started.", uptime));
    let outstanding = core.writer.outstanding() as f64;
    let help = "Storage operations that are queued or being committed.";
    samples.push(Sample::gauge("coeur_core_store_operations_outstanding", help, outstanding));
    samples
}

fn unix_ms(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_smallest_in_order() {
        let page =
            |limit| first([5, 1, 4, 2, 3].into_iter().map(|n| (n, n * 10)), limit).into_iter().collect::<Vec<_>>();
        assert_eq!(page(0), []);
        assert_eq!(page(2), [(1, 10), (2, 20)]);
        assert_eq!(page(9).len(), 5);
    }
}
