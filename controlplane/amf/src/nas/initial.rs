//! The first NAS message of a connection (TS 24.501, 4.4.6, 4.4.4.3): whose it is, and whether its keys prove it.
//!
//! A stored context is touched only when the message verifies with it. Everybody else starts as nobody, and becomes
//! somebody by 5G-AKA.

use super::Received;
use crate::limits::{UNAUTHENTICATED_MAX, UNAUTHENTICATED_PER_GNB_MAX};
use crate::timeout::Timer;
use crate::ue::{Connection, Location, Ue, UeKey};
use crate::{Amf, Cx};
use coeur_model::Tmsi;
use oxirush_nas::nas_5gs::{
    Direction, GmmCause, Nas5gmmMessage, Nas5gsMessage, NasError, NasFGmmCause, NasFGmmStatus, NasFGsMobileIdentity,
};
use oxirush_ngap::ngap::{Cause, CauseNas};

impl Amf {
    pub(crate) fn initial_nas(
        &mut self,
        cx: &mut Cx<'_, '_>,
        connection: Connection,
        location: Option<Location>,
        octets: &[u8],
    ) {
        let read = Nas5gsMessage::decode(octets);
        let inner = match &read {
            Ok(Nas5gsMessage::SecurityProtected(_, inner)) => Some(&**inner),
            Ok(plain) => Some(plain),
            Err(_) => None,
        };
        let identity = inner.and_then(identity);
        let claimed = identity.and_then(|identity| self.claimed(identity));
        let protected = matches!(read, Ok(Nas5gsMessage::SecurityProtected(..)));
        if let Some(key) = claimed.filter(|_| protected)
            && let Some((message, count)) = self.verify(key, octets)
        {
            self.connect(cx, key, connection);
            if let Some(ue) = self.ues.get_mut(key) {
                ue.location = location.or(ue.location);
                if let Some(connection) = &mut ue.connection {
                    // TS 24.501, 4.4.2.5: established by the first message whose integrity is checked.
                    connection.secure = true;
                }
            }
            return self.gmm(cx, key, Received { message, octets, verified: Some(count) });
        }
        self.nobody(cx, connection, location, octets, read);
    }

    /// The context that the phone says is its own.
    fn claimed(&self, identity: &NasFGsMobileIdentity) -> Option<UeKey> {
        let guami = self.settings.guami;
        let tmsi = match (identity.as_guti(), identity.as_s_tmsi()) {
            (Some(guti), _) => {
                let ours = guti.plmn().to_nas_octets() == guami.plmn().octets()
                    && guti.amf_region_id() == guami.region()
                    && (guti.amf_set_id(), guti.amf_pointer()) == (guami.set(), guami.pointer());
                ours.then(|| guti.tmsi())
            }
            (None, Some(short)) => {
                let ours = (short.amf_set_id(), short.amf_pointer()) == (guami.set(), guami.pointer());
                ours.then(|| short.tmsi())
            }
            (None, None) => None,
        };
        self.ues.by_tmsi(Tmsi(tmsi?))
    }

    /// The complete message, when the stored keys verify it and are not worn out.
    fn verify(&mut self, key: UeKey, octets: &[u8]) -> Option<(Nas5gmmMessage, oxirush_nas::nas_5gs::NasCount)> {
        let security = self.ues.get_mut(key)?.security.as_mut()?;
        if security.is_worn() {
            return None;
        }
        match security.unprotect(octets) {
            Ok(verified) => match verified.message {
                Nas5gsMessage::Gmm(_, message) if is_initial(&message) => Some((message, verified.count)),
                _ => None,
            },
            Err(error) => {
                if matches!(error, NasError::IntegrityCheckFailed) {
                    self.discard("initial message not verified, treated as unprotected (TS 24.501, 4.4.4.3)");
                }
                None
            }
        }
    }

    /// A phone that has proven nothing.
    fn nobody(
        &mut self,
        cx: &mut Cx<'_, '_>,
        mut connection: Connection,
        location: Option<Location>,
        octets: &[u8],
        read: Result<Nas5gsMessage, NasError>,
    ) {
        connection.unauthenticated = true;
        let gnb = self.gnbs.get(connection.association);
        let full = gnb.is_none_or(|gnb| gnb.unauthenticated >= UNAUTHENTICATED_PER_GNB_MAX) || !self.has_room(cx);
        let key = self.ues.insert(Ue::new(None));
        self.connect(cx, key, connection);
        if let Some(ue) = self.ues.get_mut(key) {
            ue.location = location;
        }
        self.start(cx, Timer::Unauthenticated(key), UNAUTHENTICATED_MAX);
        let answer = Nas5gsMessage::answer_to(octets, &read, Direction::Uplink);
        if let Some(answer) = answer.filter(|answer| matches!(answer, Nas5gsMessage::Gmm(..))) {
            self.answer_faulty(cx, key, octets, &answer);
            return self.release_connection(cx, key, Cause::nas(CauseNas::unspecified));
        }
        let message = match read {
            Ok(Nas5gsMessage::Gmm(_, message)) => Some(message),
            Ok(Nas5gsMessage::SecurityProtected(_, inner)) => match *inner {
                Nas5gsMessage::Gmm(_, message) => Some(message),
                _ => None,
            },
            _ => None,
        };
        match message.filter(is_initial) {
            Some(Nas5gmmMessage::RegistrationRequest(request)) if full => {
                self.refuse_for_congestion(cx, key, &request);
            }
            Some(message) => self.gmm(cx, key, Received { message, octets, verified: None }),
            None => {
                self.discard("not an initial NAS message (TS 24.501, 4.4.4.3, 5.3.1.1)");
                self.status_and_release(cx, key);
            }
        }
    }

    /// Whether one more context fits; contexts of deregistered phones make room.
    fn has_room(&mut self, cx: &mut Cx<'_, '_>) -> bool {
        let limit = self.settings.ue_max as usize;
        if self.ues.len() < limit {
            return true;
        }
        if let Some(oldest) = self.ues.oldest_kept(cx.now()) {
            self.remove_ue(cx, oldest);
        }
        self.ues.len() < limit
    }

    fn status_and_release(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let cause = NasFGmmCause::from_cause(GmmCause::MessageNotCompatibleWithTheProtocolState);
        let status = Nas5gsMessage::new_5gmm(NasFGmmStatus::new(cause));
        self.send_nas(cx, key, &status);
        self.release_connection(cx, key, Cause::nas(CauseNas::unspecified));
    }

    /// The owner of the 5G-GUTI in a request that proved nothing: whom to authenticate.
    pub(crate) fn claimed_supi(&self, identity: &NasFGsMobileIdentity) -> Option<coeur_model::Supi> {
        self.claimed(identity).and_then(|key| self.supi_of(key))
    }
}

fn is_initial(message: &Nas5gmmMessage) -> bool {
    matches!(
        message,
        Nas5gmmMessage::RegistrationRequest(_)
            | Nas5gmmMessage::ServiceRequest(_)
            | Nas5gmmMessage::DeregistrationRequestUeOriginating(_)
    )
}

fn identity(message: &Nas5gsMessage) -> Option<&NasFGsMobileIdentity> {
    match message {
        Nas5gsMessage::Gmm(_, Nas5gmmMessage::RegistrationRequest(request)) => Some(&request.fgs_mobile_identity),
        Nas5gsMessage::Gmm(_, Nas5gmmMessage::ServiceRequest(request)) => Some(&request.fg_s_tmsi),
        Nas5gsMessage::Gmm(_, Nas5gmmMessage::DeregistrationRequestUeOriginating(request)) => {
            Some(&request.fgs_mobile_identity)
        }
        _ => None,
    }
}
