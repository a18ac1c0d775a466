//! Rates and quality of service (TS 23.501, 5.7).

use crate::{Invalid, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// A bit rate in bits per second. Text form as in TS 29.571: `100 Mbps`, `1 Gbps`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(u64);

impl BitRate {
    /// The largest rate NGAP can carry (TS 38.413, 9.3.1.4).
    pub const MAX: Self = Self(4_000_000_000_000);

    pub fn from_bps(bps: u64) -> Result<Self, Invalid> {
        if bps <= Self::MAX.0 {
            Ok(Self(bps))
        } else {
            Err(Invalid::new("bit rate", "at most 4 Tbps", bps.to_string()))
        }
    }

    pub fn bps(self) -> u64 {
        self.0
    }

    fn to_text(self) -> String {
        let units = [(1_000_000_000_000, "Tbps"), (1_000_000_000, "Gbps"), (1_000_000, "Mbps"), (1_000, "Kbps")];
        let fits = units.iter().find(|(factor, _)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        fits.map_or_else(|| format!("{} bps", self.0), |(factor, unit)| format!("{} {unit}", self.0 / factor))
    }
}

impl FromStr for BitRate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("bit rate", "a number and bps, Kbps, Mbps, Gbps or Tbps, as 100 Mbps", text);
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let number: u64 = text[..digits].parse().map_err(|_| invalid())?;
        let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "bps" => 1,
            "kbps" => 1_000,
            "mbps" => 1_000_000,
            "gbps" => 1_000_000_000,
            "tbps" => 1_000_000_000_000,
            _ => return Err(invalid()),
        };
        Self::from_bps(number.checked_mul(factor).ok_or_else(invalid)?)
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// Aggregate maximum bit rate of a phone or of a session (TS 23.501, 5.7.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ambr {
    pub uplink: BitRate,
    pub downlink: BitRate,
}

impl Default for Ambr {
    /// 1 Gbps both ways.
    fn default() -> Self {
        Self { uplink: BitRate(1_000_000_000), downlink: BitRate(1_000_000_000) }
    }
}

/// QoS flow identifier: 0 to 63 (TS 38.415, 5.5.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Qfi(u8);

impl Qfi {
    pub fn new(qfi: u8) -> Result<Self, Invalid> {
        if qfi < 64 { Ok(Self(qfi)) } else { Err(Invalid::new("QFI", "0 to 63", qfi.to_string())) }
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

/// 5G QoS identifier (TS 23.501, 5.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct FiveQi(pub u8);

/// Allocation and retention priority (TS 23.501, 5.7.2.2): level 1 is the highest, 15 the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arp {
    pub priority: u8,
    #[serde(default)]
    pub may_preempt: bool,
    #[serde(default)]
    pub preemptable: bool,
}

impl Default for Arp {
    fn default() -> Self {
        Self { priority: 8, may_preempt: false, preemptable: false }
    }
}

serde_as_text!(BitRate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_back_in_the_form_of_ts_29_571() {
        for text in ["0 bps", "1500 bps", "100 Mbps", "1 Gbps", "4 Tbps"] {
            assert_eq!(text.parse::<BitRate>().unwrap().to_string(), text);
        }
        assert_eq!("1000Mbps".parse::<BitRate>().unwrap().to_string(), "1 Gbps");
        for wrong in
            ["", "100", "Mbps", "-1 bps", "1.5 Gbps", "5 Tbps", "99999999999999999999 bps", "18446744073709551615 Tbps"]
        {
            assert!(wrong.parse::<BitRate>().is_err(), "{wrong}");
        }
    }
}
