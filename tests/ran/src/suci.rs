//! Concealment of the SUPI (TS 33.501, 6.12 and annex C).

use coeur_model::{Plmn, Supi};
use oxirush_nas::nas_5gs::NasFGsMobileIdentity;
use oxirush_security::nas_5gs::{HomeNetworkPublicKey, Protection, RoutingIndicator, Suci};
use std::sync::Arc;

/// How UEs conceal their SUPI.
///
/// Profiles A and B draw the ephemeral key inside the cryptographic library, which is the one place of this crate where
/// entropy is no argument: a simulation that must repeat octet for octet uses `Null`.
#[derive(Clone, Debug, Default)]
pub enum Concealment {
    /// The null scheme: not at all (TS 33.501, C.2).
    #[default]
    Null,
    /// ECIES, profile A or B by the kind of the key (TS 33.501, C.3).
    Ecies { key_id: u8, key: Arc<HomeNetworkPublicKey> },
}

/// Why a SUCI cannot be made: a matter of configuration, never of the network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("no SUCI can be made: {0}")]
pub struct ConcealmentError(String);

impl Concealment {
    /// Profile A: an X25519 public key of 32 octets.
    pub fn profile_a(key_id: u8, public: &[u8]) -> Result<Self, ConcealmentError> {
        let octets: &[u8; 32] =
            public.try_into().map_err(|_| ConcealmentError(format!("{} octets of key, not 32", public.len())))?;
        Self::ecies(key_id, HomeNetworkPublicKey::profile_a(octets))
    }

    /// Profile B: a secp256r1 public key in SEC 1 form, compressed (33 octets) or not (65).
    pub fn profile_b(key_id: u8, public: &[u8]) -> Result<Self, ConcealmentError> {
        let key = HomeNetworkPublicKey::profile_b(public).map_err(|error| ConcealmentError(error.to_string()))?;
        Self::ecies(key_id, key)
    }

    fn ecies(key_id: u8, key: HomeNetworkPublicKey) -> Result<Self, ConcealmentError> {
        // TS 24.501 9.11.3.4: 0 goes with the null scheme, 255 is reserved.
        match key_id {
            1..=254 => Ok(Self::Ecies { key_id, key: Arc::new(key) }),
            _ => Err(ConcealmentError(format!("key identifier {key_id}, not 1 to 254"))),
        }
    }

    /// A new SUCI, as the 5GS mobile identity that carries it.
    pub fn conceal(&self, supi: &Supi, home: Plmn) -> Result<NasFGsMobileIdentity, ConcealmentError> {
        let wrong = |error: &dyn std::fmt::Display| ConcealmentError(error.to_string());
        let imsi = supi.imsi();
        let prefix = home.mcc().len() + home.mnc().len();
        if !imsi.starts_with(home.mcc()) || imsi.len() <= prefix {
            return Err(ConcealmentError(format!("{supi} is not of {}{}", home.mcc(), home.mnc())));
        }
        let plmn = oxirush_security::Plmn::new(home.mcc(), home.mnc()).map_err(|error| wrong(&error))?;
        let protection = match self {
            Self::Null => Protection::Null,
            Self::Ecies { key_id, key } => Protection::Ecies { key_id: *key_id, key },
        };
        let suci = Suci::conceal_imsi(plmn, &imsi[prefix..], RoutingIndicator::default(), protection)
            .map_err(|error| wrong(&error))?;
        suci.to_nas_octets().map(NasFGsMobileIdentity::new).map_err(|error| wrong(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxirush_security::nas_5gs::HomeNetworkPrivateKey;

    fn supi() -> Supi {
        Supi::from_imsi("001010000000001").unwrap()
    }

    fn deconceal(identity: &NasFGsMobileIdentity, key: Option<&HomeNetworkPrivateKey>) -> String {
        Suci::from_nas_octets(&identity.value).unwrap().deconceal(key).unwrap().to_string()
    }

    #[test]
    fn each_scheme_reads_back_and_ecies_never_twice_the_same() {
        let home: Plmn = "00101".parse().unwrap();
        let a = HomeNetworkPrivateKey::profile_a(&[0x11; 32]);
        let b = HomeNetworkPrivateKey::profile_b(&[0x22; 32]).unwrap();
        let null = Concealment::Null.conceal(&supi(), home).unwrap();
        assert_eq!(deconceal(&null, None), "imsi-001010000000001");
        for (scheme, key) in [
            (Concealment::profile_a(1, &a.public_key().to_octets()).unwrap(), a),
            (Concealment::profile_b(2, &b.public_key().to_octets()).unwrap(), b),
        ] {
            let (one, two) = (scheme.conceal(&supi(), home).unwrap(), scheme.conceal(&supi(), home).unwrap());
            assert_ne!(one, two);
            assert_eq!(deconceal(&one, Some(&key)), "imsi-001010000000001");
        }
    }

    #[test]
    fn what_cannot_be_concealed_is_an_error() {
        assert!(Concealment::profile_a(0, &[0x11; 32]).is_err());
        assert!(Concealment::profile_a(1, &[0x11; 31]).is_err());
        assert!(Concealment::profile_b(1, &[0x11; 33]).is_err());
        assert!(Concealment::Null.conceal(&supi(), "20893".parse().unwrap()).is_err());
    }
}
