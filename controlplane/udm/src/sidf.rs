//! The SIDF: from a SUCI to the SUPI inside (TS 33.501, 6.12.5 and annex C.3).

use crate::UdmConfigError;
use crate::metrics::Metrics;
use coeur_model::Supi;
use coeur_model::config::{SuciKeyConfig, SuciProfile};
use coeur_nf::services::nausf::Identity;
use coeur_nf::services::nudm::UdmProblem;
use oxirush_security::nas_5gs::{HomeNetworkPrivateKey, ProtectionScheme, Suci, SuciError};

/// The home network private keys.
pub(crate) struct Sidf {
    /// Few (an operator rotates two or three): searched in order.
    keys: Vec<(u8, HomeNetworkPrivateKey)>,
}

impl Sidf {
    pub(crate) fn new(configured: &[SuciKeyConfig]) -> Result<Self, UdmConfigError> {
        let mut sidf = Self { keys: Vec::with_capacity(configured.len()) };
        for SuciKeyConfig { id, profile, private } in configured {
            let id = *id;
            if !(1..=254).contains(&id) {
                return Err(UdmConfigError::InvalidKeyId { id });
            }
            let key = match profile {
                SuciProfile::A => HomeNetworkPrivateKey::profile_a(private.0.expose()),
                SuciProfile::B => HomeNetworkPrivateKey::profile_b(private.0.expose())
                    .map_err(|_| UdmConfigError::InvalidKey { id })?,
            };
            if sidf.key(key.scheme(), id).is_some() {
                return Err(UdmConfigError::DuplicateKey { id });
            }
            sidf.keys.push((id, key));
        }
        Ok(sidf)
    }

    /// Who an identity names. Every failure is one and the same answer: how far a forged SUCI came is nobody's business.
    pub(crate) fn supi(&self, identity: Identity, metrics: &mut Metrics) -> Result<Supi, UdmProblem> {
        let suci = match identity {
            Identity::Supi(supi) => return Ok(supi),
            Identity::Suci(suci) => suci,
        };
        let result = Suci::from_nas_octets(suci.nas_octets()).and_then(|suci| self.open(&suci));
        match result {
            Ok((scheme, supi)) => {
                metrics.opened(scheme);
                Ok(supi)
            }
            Err(error) => {
                metrics.suci_refused(reason(error));
                Err(UdmProblem::AuthenticationRejected)
            }
        }
    }

    fn open(&self, suci: &Suci) -> Result<(ProtectionScheme, Supi), SuciError> {
        let scheme = suci.protection_scheme();
        let supi = suci.deconceal(self.key(scheme, suci.home_network_public_key_id()))?;
        // A SUPI that is no IMSI (a NAI, a GCI) belongs to no subscriber of this core.
        let supi = supi.to_string().parse().map_err(|_| SuciError::Plaintext)?;
        Ok((scheme, supi))
    }

    fn key(&self, scheme: ProtectionScheme, id: u8) -> Option<&HomeNetworkPrivateKey> {
        self.keys.iter().find(|(other, key)| *other == id && key.scheme() == scheme).map(|(_, key)| key)
    }
}

/// The causes of TS 29.503, 6.3.7.3, for the operator's eyes.
fn reason(error: SuciError) -> &'static str {
    match error {
        SuciError::UnknownScheme(_) | SuciError::ProprietaryScheme(_) => "UNSUPPORTED_PROTECTION_SCHEME",
        SuciError::KeyIdentifier(_) | SuciError::MissingKey | SuciError::WrongKeyType { .. } => {
            "INVALID_HN_PUBLIC_KEY_IDENTIFIER"
        }
        _ => "INVALID_SCHEME_OUTPUT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use coeur_nf::services::nudm::UdmRequest;

    /// SUCIs of IMSI 274012001002086 in the 5GS mobile identity form: TS 33.501, C.4.3 and C.4.4.
    const PROFILE_A: &str = "0172241000f0011b\
        b2e92f836055a255837debf850b528997ce0201cb82adfe4be1f587d07d8457dcb02352410cddd9e730ef3fa87";
    const PROFILE_B: &str = "0172241000f0021b\
        039aab8376597021e855679a9778ea0b67396e68c66df32c0f41e9acca2da9b9d146a33fc2716ac7dae96aa30a4d";

    fn supi_of(suci: &str) -> Result<Supi, UdmProblem> {
        let mut metrics = Metrics::default();
        let sidf = Sidf::new(&config(VECTOR_KEYS).suci_keys).unwrap();
        let suci = coeur_model::Suci::from_nas_octets(hex(suci));
        sidf.supi(Identity::Suci(suci), &mut metrics)
    }

    #[test]
    fn the_vectors_of_annex_c_4_open() {
        for suci in [PROFILE_A, PROFILE_B] {
            assert_eq!(supi_of(suci).unwrap().imsi(), "274012001002086");
        }
        // Null scheme: MSIN in BCD.
        assert_eq!(supi_of("0100f110f0ff00000000000010").unwrap().imsi(), "001010000000001");
    }

    #[test]
    fn a_changed_truncated_or_foreign_suci_is_rejected_and_never_tells_why() {
        let whole = hex(PROFILE_A);
        for len in 0..whole.len() {
            let cut: String = whole[..len].iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(supi_of(&cut), Err(UdmProblem::AuthenticationRejected), "cut to {len} octets");
        }
        for (from, to) in [
            ("fa87", "fa86"),     // MAC tag
            ("cb0235", "cb0236"), // ciphertext
            ("f0011b", "f0011c"), // key identifier not configured
            ("f0011b", "f0021b"), // the other profile
            ("f0011b", "f0031b"), // reserved scheme
            ("f0011b", "f00c1b"), // proprietary scheme
            ("0172", "0272"),     // a 5G-GUTI
            ("b2e92f836055a255837debf850b528997ce0201cb82adfe4be1f587d07d8457d", &"00".repeat(32)),
        ] {
            assert_eq!(supi_of(&PROFILE_A.replace(from, to)), Err(UdmProblem::AuthenticationRejected), "{to}");
        }
    }

    #[test]
    fn keys_are_checked_when_the_udm_is_made() {
        let key = |id: u8, profile: &str, octet: &str| {
            format!("[[suci_key]]\nid = {id}\nprofile = \"{profile}\"\nprivate = \"{}\"\n", octet.repeat(32))
        };
        let error = |keys: &str| Sidf::new(&config(keys).suci_keys).err();
        assert_eq!(error(&key(1, "B", "00")), Some(UdmConfigError::InvalidKey { id: 1 }));
        assert_eq!(error(&key(0, "A", "42")), Some(UdmConfigError::InvalidKeyId { id: 0 }));
        let twice = format!("{}{}", key(3, "A", "42"), key(3, "A", "43"));
        assert_eq!(error(&twice), Some(UdmConfigError::DuplicateKey { id: 3 }));
        let both = format!("{}{}", key(3, "A", "42"), key(3, "B", "43"));
        assert_eq!(error(&both), None);
    }

    #[test]
    fn a_refused_suci_asks_the_store_nothing() {
        let mut fixture = Fixture::new(VECTOR_KEYS);
        let identity = Identity::Suci(coeur_model::Suci::from_nas_octets(vec![0x01, 0xFF]));
        let request =
            UdmRequest::GenerateAuthData { identity, serving_network_name: SNN.into(), resynchronisation: None };
        assert_eq!(fixture.responds(request), Err(UdmProblem::AuthenticationRejected));
    }
}
