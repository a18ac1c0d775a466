//! UE-associated logical NG connections: how one comes to be (Initial UE Message, TS 38.413, 8.6.1) and how it ends (UE
//! Context Release, 8.3.2 and 8.3.3; NG Reset; a lost association). Without one a phone is in CM-IDLE.

use super::error_indication::cause_name;
use super::{Ids, convert};
use crate::limits::{ASSOCIATION_WITHOUT_SETUP_MAX, RELEASING_PER_GNB_MAX, UE_STREAM_MAX};
use crate::metrics::Family;
use crate::session::SessionState;
use crate::timeout::Timer;
use crate::ue::registry::Slot;
use crate::ue::{Connection, GnbContext, Rm, UeKey};
use crate::{Amf, Cx};
use coeur_model::{AmfUeNgapId, PduSessionId, RanUeNgapId, Supi};
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfCommandError, AmfOutput, N2Action};
use coeur_nf::services::nsmf::SmContextUpdate;
use coeur_nf::{AssociationId, CommandId};
use oxirush_ngap::ngap::*;
use oxirush_ngap::{Error, build_ngap, ie};
use std::net::SocketAddr;

impl Amf {
    pub(crate) fn association_up(&mut self, cx: &mut Cx<'_, '_>, association: AssociationId, peer: SocketAddr) {
        if self.gnbs.len() - self.gnbs.set_up() >= ASSOCIATION_WITHOUT_SETUP_MAX {
            self.metrics.one(Family::NgapRefused, "associations without NG Setup");
            return cx.n2(N2Action::Close { association });
        }
        self.gnbs.insert(association, peer, cx.env.unix_time);
    }

    /// TS 38.412, 7 and TS 23.502, 4.2.6: the phones on it are in CM-IDLE, still registered.
    pub(crate) fn association_down(&mut self, cx: &mut Cx<'_, '_>, association: AssociationId) {
        self.lose_all(cx, association);
        let gone = self.gnbs.remove(association);
        if let Some(served) = gone.and_then(|gnb| gnb.served) {
            cx.event(Event::GnbLost { gnb: served.id });
        }
    }

    /// Ends every connection of an association without a word to the gNB: it knows, or is gone.
    pub(crate) fn lose_all(&mut self, cx: &mut Cx<'_, '_>, association: AssociationId) {
        let Some(gnb) = self.gnbs.get_mut(association) else { return };
        let releasing = std::mem::take(&mut gnb.releasing);
        let connected: Vec<AmfUeNgapId> = gnb.ues.values().copied().collect();
        for amf_id in releasing {
            self.timers.stop(&Timer::Release(amf_id));
            self.ues.clear_slot(amf_id);
        }
        for amf_id in connected {
            if let Some(Slot::Ue(key)) = self.ues.slot(amf_id) {
                self.connection_lost(cx, key);
            }
        }
    }

    /// TS 38.413, 8.6.1
    pub(crate) fn initial_ue_message(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let ran = pdu.ie::<ie::RAN_UE_NGAP_ID>().transpose()?;
        let nas = pdu.ie::<ie::NAS_PDU>().transpose()?;
        let location = pdu.ie::<ie::UserLocationInformation>().transpose()?;
        let (Some(ran), Some(nas)) = (ran, nas) else {
            return Err(Error::missing_ie("InitialUEMessage", "RAN UE NGAP ID", "ids"));
        };
        let ran_id = RanUeNgapId(ran.0);
        let context_requested = pdu.ie::<ie::UEContextRequest>().is_some();
        // The gNB gives a name to a new phone that it has not taken back from another: it lost that one.
        let stale = self.gnbs.get(association).and_then(|gnb| gnb.ues.get(&ran_id).copied());
        if let Some(Slot::Ue(key)) = stale.and_then(|amf_id| self.ues.slot(amf_id)) {
            self.connection_lost(cx, key);
        }
        let amf_id = self.ues.next_amf_id();
        let connection = Connection {
            association,
            stream: 1 + (amf_id.0 % u64::from(UE_STREAM_MAX)) as u16,
            amf_id,
            ran_id,
            secure: false,
            context: GnbContext::None,
            context_requested,
            unauthenticated: false,
        };
        self.initial_nas(cx, connection, location.as_ref().and_then(convert::location), nas.0.as_slice());
        Ok(())
    }

    /// Gives the phone the connection. One that it had before is given up: the phone is not there any more.
    pub(crate) fn connect(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, connection: Connection) {
        if self.ues.get(key).is_some_and(|ue| ue.connection.is_some()) {
            let cause = Cause::radioNetwork(CauseRadioNetwork::release_due_to_5gc_generated_reason);
            self.release_connection(cx, key, cause);
        }
        let Some(gnb) = self.gnbs.get_mut(connection.association) else { return };
        gnb.ues.insert(connection.ran_id, connection.amf_id);
        gnb.unauthenticated += usize::from(connection.unauthenticated);
        self.ues.set_slot(connection.amf_id, Slot::Ue(key));
        self.timers.stop(&Timer::Implicit(key));
        self.ues.kept.stop(&key);
        let unix_time = cx.env.unix_time;
        if let Some(ue) = self.ues.get_mut(key) {
            ue.connection = Some(connection);
            ue.last_activity = unix_time;
            if let Some(supi) = ue.supi.clone() {
                cx.event(Event::UeConnected { supi });
            }
        }
    }

    /// The phone proved who it is: it does not count against its gNB's limit any more.
    pub(crate) fn authenticated(&mut self, key: UeKey) {
        self.timers.stop(&Timer::Unauthenticated(key));
        let Some(connection) = self.ues.get_mut(key).and_then(|ue| ue.connection.as_mut()) else { return };
        if std::mem::take(&mut connection.unauthenticated)
            && let Some(gnb) = self.gnbs.get_mut(connection.association)
        {
            gnb.unauthenticated = gnb.unauthenticated.saturating_sub(1);
        }
    }

    /// AMF-initiated UE context release (TS 38.413, 8.3.3). The phone is in CM-IDLE from here on: it may come back through
    /// any gNB before this one has answered.
    pub(crate) fn release_connection(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, cause: Cause) {
        let Some(connection) = self.take_connection(key) else { return };
        let ids = Ids { amf: connection.amf_id, ran: connection.ran_id };
        self.metrics.one(Family::ContextReleases, cause_name(&cause));
        let pair = UENGAPIDPair::new(AMFUENGAPID(ids.amf.0), RANUENGAPID(ids.ran.0), None);
        let command = build_ngap!(
            InitiatingMessage,
            UEContextRelease,
            UEContextReleaseCommand,
            UE_NGAP_IDs(UENGAPIDs::uE_NGAP_ID_pair(pair)),
            Cause(cause),
        );
        self.send(cx, connection.association, connection.stream, command);
        if let Some(gnb) = self.gnbs.get_mut(connection.association) {
            gnb.releasing.push_back(ids.amf);
            let forgotten = match gnb.releasing.len() > RELEASING_PER_GNB_MAX {
                true => gnb.releasing.pop_front(),
                false => None,
            };
            self.ues.set_slot(ids.amf, Slot::Releasing { association: connection.association, ran_id: ids.ran });
            self.start(cx, Timer::Release(ids.amf), self.ms(self.settings.timers.ngap_ms));
            if let Some(forgotten) = forgotten {
                self.released(forgotten);
            }
        }
        self.disconnected(cx, key);
    }

    /// The connection is gone on its own.
    pub(crate) fn connection_lost(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        if self.take_connection(key).is_some() {
            self.metrics.one(Family::ContextReleases, "lost");
            self.disconnected(cx, key);
        }
    }

    fn take_connection(&mut self, key: UeKey) -> Option<Connection> {
        let connection = self.ues.get_mut(key)?.connection.take()?;
        self.ues.clear_slot(connection.amf_id);
        if let Some(gnb) = self.gnbs.get_mut(connection.association) {
            // A new phone may have the name by now.
            if gnb.ues.get(&connection.ran_id) == Some(&connection.amf_id) {
                gnb.ues.remove(&connection.ran_id);
            }
            gnb.unauthenticated = gnb.unauthenticated.saturating_sub(usize::from(connection.unauthenticated));
        }
        Some(connection)
    }

    /// CM-IDLE: the SMF stops sending to the gNB, and what needed the connection ends.
    fn disconnected(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.timers.stop(&Timer::ContextSetup(key));
        self.timers.stop(&Timer::Unauthenticated(key));
        self.deactivate_sessions(cx, key);
        self.lower_layer_failure(cx, key);
        let Some(ue) = self.ues.get_mut(key) else { return };
        ue.held.clear();
        let Some(supi) = ue.supi.clone() else {
            self.ues.remove(key);
            return;
        };
        match ue.rm {
            Rm::Registered => {
                cx.event(Event::UeIdle { supi });
                self.start_implicit_deregistration(cx, key);
                // The uplink COUNT that the next initial message must exceed, also after a restart.
                self.put_ue(cx, key);
            }
            Rm::Deregistered => self.keep_or_remove(cx, key),
        }
    }

    fn deactivate_sessions(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(ue) = self.ues.get_mut(key) else { return };
        let mut active = Vec::new();
        for (id, session) in &mut ue.sessions {
            if let SessionState::Established { context, user_plane } = &mut session.state
                && std::mem::take(user_plane)
            {
                active.push((*id, *context));
            }
        }
        let sessions: Vec<PduSessionId> = ue.sessions.keys().copied().collect();
        for id in sessions {
            self.timers.stop(&Timer::Resource(key, id));
        }
        for (_, context) in active {
            self.update_session(cx, key, crate::exchange::Asked::Nothing, context, SmContextUpdate::Deactivate);
        }
    }

    /// The gNB asks (TS 38.413, 8.3.2); TS 23.502, 4.2.6.
    pub(crate) fn ue_context_release_request(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let cause = pdu.ie::<ie::Cause>().and_then(Result::ok);
        let unspecified = Cause::radioNetwork(CauseRadioNetwork::unspecified);
        self.release_connection(cx, key, cause.unwrap_or(unspecified));
        Ok(())
    }

    pub(crate) fn ue_context_release_complete(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let ids = super::read_ids(pdu)?;
        match self.ues.slot(ids.amf) {
            Some(Slot::Releasing { association: of, ran_id }) if of == association && ran_id == ids.ran => {
                self.released(ids.amf);
            }
            // Nobody asked for it (TS 38.413, 10.4), or it comes after its time: there is nothing to release.
            _ => {
                let cause = Cause::radioNetwork(CauseRadioNetwork::unknown_local_UE_NGAP_ID);
                self.error(cx, association, Some(ids), cause, None);
            }
        }
        Ok(())
    }

    pub(crate) fn released(&mut self, amf_id: AmfUeNgapId) {
        self.timers.stop(&Timer::Release(amf_id));
        let Some(Slot::Releasing { association, .. }) = self.ues.slot(amf_id) else { return };
        self.ues.clear_slot(amf_id);
        if let Some(gnb) = self.gnbs.get_mut(association)
            && let Some(position) = gnb.releasing.iter().position(|of| *of == amf_id)
        {
            gnb.releasing.remove(position);
        }
    }

    /// The gNB did not answer the command: the connection is given up all the same.
    pub(crate) fn release_unanswered(&mut self, amf_id: AmfUeNgapId) {
        self.metrics.one(Family::ContextReleases, "command unanswered");
        self.released(amf_id);
    }

    /// Too long without proof of who it is.
    pub(crate) fn unauthenticated_too_long(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.metrics.one(Family::Authentications, "no proof in time");
        self.release_connection(cx, key, Cause::nas(CauseNas::authentication_failure));
    }

    pub(crate) fn command_release(&mut self, cx: &mut Cx<'_, '_>, command: CommandId, supi: &Supi) {
        let key = self.ues.by_supi(supi);
        let result = match key.and_then(|key| Some((key, self.ues.get(key)?))) {
            None => Err(AmfCommandError::NotRegistered),
            Some((_, ue)) if ue.rm != Rm::Registered => Err(AmfCommandError::NotRegistered),
            Some((_, ue)) if ue.connection.is_none() => Err(AmfCommandError::NotConnected),
            Some((key, _)) => {
                self.release_connection(cx, key, Cause::misc(CauseMisc::om_intervention));
                Ok(())
            }
        };
        cx.out.push(AmfOutput::CommandDone(command, result));
    }

    pub(crate) fn note_location(&mut self, key: UeKey, pdu: &NGAPPDU<'_>) -> Result<(), Error> {
        let location = pdu.ie::<ie::UserLocationInformation>().and_then(Result::ok);
        if let (Some(ue), Some(location)) = (self.ues.get_mut(key), location.as_ref().and_then(convert::location)) {
            ue.location = Some(location);
        }
        Ok(())
    }
}
