//! The 5G NAS security contexts of a UE (TS 24.501, 4.4.2): the one in use, and the one that 5G-AKA has just made.

use crate::violation::Violation;
use oxirush_nas::nas_5gs::{
    CipheringAlgorithm, Direction, IntegrityAlgorithm, KAmf, KeySetIdentifier, Nas5gsMessage, Nas5gsSecurityHeaderType,
    NasConnection, NasCount, NasError, NasKeySetIdentifier, NasSecurityContext, Verified,
};
use oxirush_security::nas_5gs::derive_kgnb;

#[derive(Default)]
pub(super) struct Security {
    pub(super) current: Option<Native>,
    /// Partial native context: KAMF without algorithms, until a SECURITY MODE COMMAND takes it into use.
    pub(super) pending: Option<Pending>,
    /// Secure exchange of NAS messages is established on this N1 connection (TS 24.501, 4.4.2.5).
    pub(super) exchanging: bool,
}

/// Full native 5G NAS security context.
pub(super) struct Native {
    pub(super) ngksi: u8,
    pub(super) kamf: KAmf,
    pub(super) nas: NasSecurityContext,
    /// Uplink NAS COUNT of the message that starts access stratum security (TS 33.501, A.9).
    pub(super) kgnb_count: NasCount,
}

pub(super) struct Pending {
    pub(super) ngksi: u8,
    pub(super) kamf: KAmf,
    pub(super) rand: [u8; 16],
    pub(super) res_star: [u8; 16],
}

/// What came of a protected message.
pub(super) enum Unprotected {
    Message(Box<Verified<Nas5gsMessage>>),
    /// Authentic, and refused by the codec: the answer of TS 24.501 clause 7, if it has one.
    Refused(Violation, Option<Box<Nas5gsMessage>>),
    Discard(Violation),
}

impl Security {
    pub(super) fn ngksi(&self) -> NasKeySetIdentifier {
        let known =
            self.current.as_ref().map_or(KeySetIdentifier::NoKey, |native| KeySetIdentifier::Native(native.ngksi));
        // 0 to 6 by construction: what came from the network was read as `Native`.
        NasKeySetIdentifier::from_key_set_identifier(known).unwrap_or(NasKeySetIdentifier::new(7))
    }

    /// The NAS signalling connection is gone: the next one starts without secure exchange.
    pub(super) fn disconnect(&mut self) {
        self.exchanging = false;
        self.pending = None;
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Protects an initial NAS message with the current context (TS 24.501, 4.4.6), or sends its cleartext form.
    pub(super) fn protect_initial(&mut self, message: &Nas5gsMessage) -> Option<Vec<u8>> {
        let native = self.current.as_mut()?;
        let count = native.nas.nas_count(Direction::Uplink, NasConnection::ThreeGpp)?;
        let octets = native.nas.protect_initial(message).ok()?;
        native.kgnb_count = count;
        Some(octets)
    }

    /// Protects as every message after secure exchange is established is: integrity and ciphering.
    pub(super) fn protect(&mut self, message: &Nas5gsMessage) -> Option<Vec<u8>> {
        let native = self.current.as_mut()?;
        let header = Nas5gsSecurityHeaderType::IntegrityProtectedAndCiphered;
        native.nas.protect(message, header, Direction::Uplink).ok()
    }

    /// The answer to a SECURITY MODE COMMAND; its COUNT is the one that KgNB is derived with.
    pub(super) fn protect_mode_complete(&mut self, message: &Nas5gsMessage) -> Option<Vec<u8>> {
        let native = self.current.as_mut()?;
        let count = native.nas.nas_count(Direction::Uplink, NasConnection::ThreeGpp)?;
        let header = Nas5gsSecurityHeaderType::IntegrityProtectedAndCipheredWithNewFiveGNasSecurityContext;
        let octets = native.nas.protect(message, header, Direction::Uplink).ok()?;
        native.kgnb_count = count;
        Some(octets)
    }

    pub(super) fn unprotect(&mut self, octets: &[u8]) -> Unprotected {
        match &mut self.current {
            Some(native) => unprotect(&mut native.nas, octets),
            None => Unprotected::Discard(Violation::NoSecurityContext),
        }
    }

    pub(super) fn kgnb(&self) -> Option<[u8; 32]> {
        let native = self.current.as_ref()?;
        Some(*derive_kgnb(&native.kamf, native.kgnb_count).as_octets())
    }

    /// The context that a SECURITY MODE COMMAND for `ngksi` would take into use. It is not installed: its MAC is to be
    /// checked first.
    pub(super) fn candidate(
        &self,
        ngksi: u8,
        integrity: IntegrityAlgorithm,
        ciphering: CipheringAlgorithm,
    ) -> Result<Native, Violation> {
        if let Some(pending) = self.pending.as_ref().filter(|pending| pending.ngksi == ngksi) {
            let kamf = pending.kamf.clone();
            let nas = NasSecurityContext::from_fresh_kamf(&kamf, integrity, ciphering);
            let nas = nas.map_err(|_| Violation::Algorithms)?;
            return Ok(Native { ngksi, kamf, nas, kgnb_count: NasCount::ZERO });
        }
        let Some(native) = self.current.as_ref().filter(|native| native.ngksi == ngksi) else {
            return Err(Violation::NgKsiUnknown(ngksi));
        };
        // The same KAMF again, perhaps with other algorithms: the COUNTs go on (TS 33.501, 6.4.5).
        let count = |direction| native.nas.nas_count(direction, NasConnection::ThreeGpp);
        let counts = (count(Direction::Uplink), count(Direction::Downlink));
        let nas = NasSecurityContext::restore_from_kamf(&native.kamf, integrity, ciphering, counts, (None, None));
        let nas = nas.map_err(|_| Violation::Algorithms)?;
        Ok(Native { ngksi, kamf: native.kamf.clone(), nas, kgnb_count: native.kgnb_count })
    }
}

pub(super) fn unprotect(nas: &mut NasSecurityContext, octets: &[u8]) -> Unprotected {
    match nas.unprotect(octets, Direction::Downlink) {
        Ok(verified) => Unprotected::Message(Box::new(verified)),
        Err(NasError::IntegrityCheckFailed) => Unprotected::Discard(Violation::WrongMac),
        Err(error @ NasError::AuthenticMessageRefused { .. }) => {
            let answer = Nas5gsMessage::answer_to_refused(octets, &error, Direction::Downlink);
            Unprotected::Refused(Violation::UndecodableNas(error.to_string()), answer.map(Box::new))
        }
        Err(error) => Unprotected::Discard(Violation::UndecodableNas(error.to_string())),
    }
}
