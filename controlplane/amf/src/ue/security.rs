//! A 5G NAS security context (TS 33.501, 6.3.2), with the rule that no downlink NAS COUNT is used twice, also across `kill -9`.
//!
//! ```text
//!   COUNTs   0 ........ next ............ limit ............
//!            used       free to use      needs a commit first
//! ```
//! A committed record says "below `limit` anything may have been used". After a restart counting starts at that limit.

use crate::limits::{DOWNLINK_COUNT_RESERVE, DOWNLINK_COUNT_RESERVE_LOW, NAS_COUNT_HIGH};
use coeur_model::Secret;
use coeur_model::config::{Nea, Nia};
use oxirush_nas::nas_5gs::{
    CipheringAlgorithm, Direction, IntegrityAlgorithm, KAmf, Nas5gsMessage, Nas5gsSecurityHeaderType, NasConnection,
    NasCount, NasError, NasSecurityContext, NasUeSecurityCapability, Verified,
};
use oxirush_security::nas_5gs::derive_kgnb;

pub(crate) struct Security {
    kamf: Secret<32>,
    /// ngKSI, 0 to 6 (TS 24.501, 9.11.3.32).
    pub(crate) ngksi: u8,
    nas: NasSecurityContext,
    /// The first downlink COUNT that no record reserves; none while no record holds this KAMF.
    limit: Option<u32>,
}

/// Why a downlink message cannot be protected now.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum ProtectError {
    #[error("the reserved NAS COUNTs are used, and the store has not committed more")]
    NotReserved,
    #[error(transparent)]
    Nas(#[from] NasError),
}

impl Security {
    pub(crate) fn fresh(kamf: Secret<32>, ngksi: u8, nia: Nia, nea: Nea) -> Result<Self, NasError> {
        let nas = NasSecurityContext::from_fresh_kamf(&KAmf::new(kamf.expose()), integrity(nia), ciphering(nea))?;
        Ok(Self { kamf, ngksi, nas, limit: None })
    }

    /// From a record; `downlink` is the limit that it reserved.
    pub(crate) fn restore(
        kamf: Secret<32>,
        ngksi: u8,
        (nia, nea): (u8, u8),
        uplink: u32,
        downlink: u32,
    ) -> Option<Self> {
        let nia = IntegrityAlgorithm::from_u8(nia)?;
        let nea = CipheringAlgorithm::from_u8(nea)?;
        let counts = (NasCount::new(uplink).ok(), NasCount::new(downlink).ok());
        let key = KAmf::new(kamf.expose());
        let nas = NasSecurityContext::restore_from_kamf(&key, nia, nea, counts, (None, None)).ok()?;
        Some(Self { kamf, ngksi, nas, limit: Some(downlink) })
    }

    pub(crate) fn protect(
        &mut self,
        message: &Nas5gsMessage,
        header: Nas5gsSecurityHeaderType,
    ) -> Result<Vec<u8>, ProtectError> {
        if self.limit.is_some_and(|limit| self.downlink_count() >= limit) {
            return Err(ProtectError::NotReserved);
        }
        Ok(self.nas.protect(message, header, Direction::Downlink)?)
    }

    pub(crate) fn unprotect(&mut self, octets: &[u8]) -> Result<Verified<Nas5gsMessage>, NasError> {
        self.nas.unprotect(octets, Direction::Uplink)
    }

    pub(crate) fn kgnb(&self, uplink: NasCount) -> [u8; 32] {
        *derive_kgnb(&KAmf::new(self.kamf.expose()), uplink).as_octets()
    }

    pub(crate) fn kamf(&self) -> &Secret<32> {
        &self.kamf
    }

    pub(crate) fn algorithms(&self) -> (IntegrityAlgorithm, CipheringAlgorithm) {
        (self.nas.integrity_algorithm(), self.nas.ciphering_algorithm())
    }

    /// The next uplink COUNT that is accepted; one past the end when all are used.
    pub(crate) fn uplink_count(&self) -> u32 {
        self.count(Direction::Uplink)
    }

    fn downlink_count(&self) -> u32 {
        self.count(Direction::Downlink)
    }

    fn count(&self, direction: Direction) -> u32 {
        self.nas.nas_count(direction, NasConnection::ThreeGpp).map_or(1 << 24, NasCount::get)
    }

    /// The limit that the next record is to reserve.
    pub(crate) fn reservation(&self) -> u32 {
        (self.downlink_count() + DOWNLINK_COUNT_RESERVE).max(self.limit.unwrap_or(0)).min(1 << 24)
    }

    /// A record with this reservation was handed to the store. Without an older record of this KAMF it limits at once:
    /// it is not known whether it lands.
    pub(crate) fn reserving(&mut self, reservation: u32) {
        self.limit.get_or_insert(reservation);
    }

    /// The record with this reservation is committed.
    pub(crate) fn reserved(&mut self, reservation: u32) {
        self.limit = self.limit.max(Some(reservation));
    }

    /// The record is gone: nothing to run into after a restart.
    pub(crate) fn forgotten(&mut self) {
        self.limit = None;
    }

    pub(crate) fn reserve_is_low(&self) -> bool {
        self.limit.is_some_and(|limit| limit.saturating_sub(self.downlink_count()) < DOWNLINK_COUNT_RESERVE_LOW)
    }

    /// TS 24.501, 4.4.3.5: a new 5G-AKA is due before a COUNT wraps.
    pub(crate) fn is_worn(&self) -> bool {
        self.uplink_count() >= NAS_COUNT_HIGH || self.downlink_count() >= NAS_COUNT_HIGH
    }
}

/// The first algorithms of the operator's order that the phone has (TS 33.501, 6.7.2). None: #23. NIA0 is no choice.
pub(crate) fn select(integrity: &[Nia], ciphering: &[Nea], capability: &NasUeSecurityCapability) -> Option<(Nia, Nea)> {
    let nia = integrity.iter().find(|nia| capability.supports_ia(nia_code(**nia)))?;
    let nea = ciphering.iter().find(|nea| capability.supports_ea(nea_code(**nea)))?;
    Some((*nia, *nea))
}

fn nia_code(nia: Nia) -> u8 {
    match nia {
        Nia::Nia1 => 1,
        Nia::Nia2 => 2,
        Nia::Nia3 => 3,
    }
}

fn nea_code(nea: Nea) -> u8 {
    match nea {
        Nea::Nea0 => 0,
        Nea::Nea1 => 1,
        Nea::Nea2 => 2,
        Nea::Nea3 => 3,
    }
}

pub(crate) fn integrity(nia: Nia) -> IntegrityAlgorithm {
    match nia {
        Nia::Nia1 => IntegrityAlgorithm::NIA1,
        Nia::Nia2 => IntegrityAlgorithm::NIA2,
        Nia::Nia3 => IntegrityAlgorithm::NIA3,
    }
}

pub(crate) fn ciphering(nea: Nea) -> CipheringAlgorithm {
    match nea {
        Nea::Nea0 => CipheringAlgorithm::NEA0,
        Nea::Nea1 => CipheringAlgorithm::NEA1,
        Nea::Nea2 => CipheringAlgorithm::NEA2,
        Nea::Nea3 => CipheringAlgorithm::NEA3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxirush_nas::nas_5gs::{GmmCause, NasFGmmCause, NasFGmmStatus};

    const CIPHERED: Nas5gsSecurityHeaderType = Nas5gsSecurityHeaderType::IntegrityProtectedAndCiphered;

    fn status() -> Nas5gsMessage {
        Nas5gsMessage::new_5gmm(NasFGmmStatus::new(NasFGmmCause::from_cause(GmmCause::Congestion)))
    }

    #[test]
    fn no_count_is_used_twice_across_a_restart() {
        let kamf = || Secret::new([7; 32]);
        let mut before = Security::fresh(kamf(), 0, Nia::Nia2, Nea::Nea2).unwrap();
        let reservation = before.reservation();
        before.reserving(reservation);
        let mut used = 0;
        while before.protect(&status(), CIPHERED).is_ok() {
            used += 1;
        }
        assert_eq!(used, reservation, "everything reserved, nothing beyond");
        // Killed here: only the record is left.
        let mut after = Security::restore(kamf(), 0, (2, 2), 0, reservation).unwrap();
        assert_eq!(after.protect(&status(), CIPHERED), Err(ProtectError::NotReserved));
        let again = after.reservation();
        assert_eq!(again, reservation + DOWNLINK_COUNT_RESERVE);
        after.reserving(again);
        assert_eq!(after.protect(&status(), CIPHERED), Err(ProtectError::NotReserved), "not before the commit");
        after.reserved(again);
        assert!(after.protect(&status(), CIPHERED).is_ok());
    }

    #[test]
    fn algorithms_follow_the_operators_order_and_never_nia0() {
        let both = NasUeSecurityCapability::from_capabilities(0xF0, 0xF0);
        let order = [Nia::Nia3, Nia::Nia2];
        assert_eq!(select(&order, &[Nea::Nea1], &both), Some((Nia::Nia3, Nea::Nea1)));
        let only_nia0 = NasUeSecurityCapability::from_capabilities(0xF0, 0x80);
        assert_eq!(select(&order, &[Nea::Nea1], &only_nia0), None);
    }
}
