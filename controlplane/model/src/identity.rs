//! Who a subscriber is, permanently (SUPI), concealed (SUCI) and for a while (5G-GUTI). TS 23.003.

use crate::{Invalid, Plmn, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// Subscription permanent identifier of type IMSI: 5 to 15 digits (TS 23.003, 2.2A and 2.2).
///
/// `Debug` and `Display` mask the subscriber's part, so that no log carries it by accident; [`Supi::expose`] does not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Supi(String);

impl Supi {
    /// From the digits of an IMSI, without the `imsi-` prefix.
    pub fn from_imsi(digits: &str) -> Result<Self, Invalid> {
        let valid = (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if valid { Ok(Self(digits.to_owned())) } else { Err(Invalid::new("SUPI", "imsi- and 5 to 15 digits", digits)) }
    }

    /// The digits of the IMSI.
    pub fn imsi(&self) -> &str {
        &self.0
    }

    /// `imsi-<digits>`: the form of TS 29.571, 5.3.2, unmasked.
    pub fn expose(&self) -> String {
        format!("imsi-{}", self.0)
    }

    pub(crate) fn to_text(&self) -> String {
        self.expose()
    }
}

impl FromStr for Supi {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::from_imsi(text.strip_prefix("imsi-").unwrap_or(text))
    }
}

impl fmt::Display for Supi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(5)];
        write!(f, "imsi-{shown}{}", "*".repeat(self.0.len() - shown.len()))
    }
}

impl fmt::Debug for Supi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Subscription concealed identifier: the value part of the 5GS mobile identity IE of type SUCI (TS 24.501, 9.11.3.4),
/// as it came from the phone. Only the UDM looks inside.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Suci(Vec<u8>);

impl Suci {
    pub fn from_nas_octets(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    pub fn nas_octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Suci {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suci({} octets)", self.0.len())
    }
}

/// Globally unique AMF identifier (TS 23.003, 2.10.1): PLMN, region (8 bits), set (10 bits), pointer (6 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guami {
    plmn: Plmn,
    region: u8,
    set: u16,
    pointer: u8,
}

impl Guami {
    pub fn new(plmn: Plmn, region: u8, set: u16, pointer: u8) -> Result<Self, Invalid> {
        if set >= 1 << 10 {
            return Err(Invalid::new("AMF set", "0 to 1023", set.to_string()));
        }
        if pointer >= 1 << 6 {
            return Err(Invalid::new("AMF pointer", "0 to 63", pointer.to_string()));
        }
        Ok(Self { plmn, region, set, pointer })
    }

    pub fn plmn(&self) -> Plmn {
        self.plmn
    }

    pub fn region(&self) -> u8 {
        self.region
    }

    pub fn set(&self) -> u16 {
        self.set
    }

    pub fn pointer(&self) -> u8 {
        self.pointer
    }
}

/// 5G-TMSI. Its top byte is the shard of the core that holds the phone's context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Tmsi(pub u32);

impl fmt::Debug for Tmsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// 5G globally unique temporary identifier (TS 23.003, 2.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guti {
    pub guami: Guami,
    pub tmsi: Tmsi,
}

serde_as_text!(Supi);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supi_masks_itself_and_reads_back() {
        let supi: Supi = "imsi-001010000000001".parse().unwrap();
        assert_eq!(supi.to_string(), "imsi-00101**********");
        assert_eq!(format!("{supi:?}"), supi.to_string());
        assert_eq!(supi.expose(), "imsi-001010000000001");
        assert_eq!("001010000000001".parse::<Supi>().unwrap(), supi);
        for wrong in ["", "imsi-", "imsi-1234", "imsi-1234567890123456", "imsi-12345a", "nai-x@y"] {
            assert!(wrong.parse::<Supi>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_guami_keeps_its_widths() {
        let plmn: Plmn = "00101".parse().unwrap();
        assert!(Guami::new(plmn, 255, 1023, 63).is_ok());
        assert!(Guami::new(plmn, 0, 1024, 0).is_err());
        assert!(Guami::new(plmn, 0, 0, 64).is_err());
    }
}
