//! Where and through what: PLMN, tracking area, slice, data network, tunnel and session identifiers.

use crate::{Invalid, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// PLMN identity: MCC of three digits, MNC of two or three (TS 23.003, 2.2). Text form: `00101` or `001-01`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plmn {
    digits: [u8; 6],
    mnc_len: u8,
}

impl Plmn {
    pub fn new(mcc: &str, mnc: &str) -> Result<Self, Invalid> {
        let all_digits = mcc.bytes().chain(mnc.bytes()).all(|b| b.is_ascii_digit());
        if mcc.len() != 3 || !(2..=3).contains(&mnc.len()) || !all_digits {
            let expected = "an MCC of 3 digits and an MNC of 2 or 3";
            return Err(Invalid::new("PLMN", expected, format!("{mcc}-{mnc}")));
        }
        let mut digits = [b'0'; 6];
        digits[..3].copy_from_slice(mcc.as_bytes());
        digits[3..3 + mnc.len()].copy_from_slice(mnc.as_bytes());
        Ok(Self { digits, mnc_len: mnc.len() as u8 })
    }

    pub fn mcc(&self) -> &str {
        std::str::from_utf8(&self.digits[..3]).expect("new() took ASCII digits")
    }

    pub fn mnc(&self) -> &str {
        std::str::from_utf8(&self.digits[3..3 + usize::from(self.mnc_len)]).expect("new() took ASCII digits")
    }

    /// The three octets of TS 38.413, 9.3.3.5 (and TS 24.501): MNC digit 3 is F when the MNC has two digits.
    pub fn octets(&self) -> [u8; 3] {
        let d = self.digits.map(|digit| digit - b'0');
        let mnc3 = if self.mnc_len == 3 { d[5] } else { 0xF };
        [d[1] << 4 | d[0], mnc3 << 4 | d[2], d[4] << 4 | d[3]]
    }

    pub fn from_octets(octets: [u8; 3]) -> Result<Self, Invalid> {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 10).unwrap_or('x');
        let [a, b, c] = octets;
        let mcc: String = [a & 0xF, a >> 4, b & 0xF].map(digit).iter().collect();
        let mut mnc: String = [c & 0xF, c >> 4].map(digit).iter().collect();
        if b >> 4 != 0xF {
            mnc.push(digit(b >> 4));
        }
        Self::new(&mcc, &mnc)
    }

    /// `5G:mnc<MNC>.mcc<MCC>.3gppnetwork.org` (TS 24.501, 9.12.1): what the keys of 5G-AKA are bound to.
    pub fn serving_network_name(&self) -> String {
        format!("5G:mnc{:0>3}.mcc{}.3gppnetwork.org", self.mnc(), self.mcc())
    }

    fn to_text(self) -> String {
        format!("{}{}", self.mcc(), self.mnc())
    }
}

impl FromStr for Plmn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.replace('-', "");
        match digits.is_char_boundary(3) && digits.len() >= 3 {
            true => Self::new(&digits[..3], &digits[3..]),
            false => Err(Invalid::new("PLMN", "5 or 6 digits, as 00101 or 001-01", text)),
        }
    }
}

impl fmt::Display for Plmn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.mcc(), self.mnc())
    }
}

impl fmt::Debug for Plmn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Tracking area code, 24 bits (TS 23.003, 28.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Tac(u32);

impl Tac {
    pub fn new(code: u32) -> Result<Self, Invalid> {
        if code < 1 << 24 { Ok(Self(code)) } else { Err(Invalid::new("TAC", "0 to 16777215", code.to_string())) }
    }

    pub fn get(self) -> u32 {
        self.0
    }

    pub fn octets(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    pub fn from_octets([a, b, c]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, a, b, c]))
    }
}

impl<'de> serde::Deserialize<'de> for Tac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u32::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Tracking area identity (TS 23.003, 28.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Tai {
    pub plmn: Plmn,
    pub tac: Tac,
}

/// NR cell identity: 36 bits, with its PLMN (TS 38.413, 9.3.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct NrCellId {
    pub plmn: Plmn,
    pub cell: u64,
}

/// Global gNB identity: 22 to 32 bits, with its PLMN (TS 38.413, 9.3.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct GnbId {
    pub plmn: Plmn,
    pub id: u32,
    pub bits: u8,
}

/// S-NSSAI: slice/service type and, for some, a differentiator (TS 23.003, 28.4). Text form: `1` or `1-010203`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snssai {
    pub sst: u8,
    pub sd: Option<[u8; 3]>,
}

impl Snssai {
    /// An SD of `ffffff` means "no SD" (TS 23.003, 28.4.2), and is kept as none.
    pub fn new(sst: u8, sd: Option<[u8; 3]>) -> Self {
        Self { sst, sd: sd.filter(|sd| *sd != [0xFF; 3]) }
    }

    fn to_text(self) -> String {
        match self.sd {
            Some([a, b, c]) => format!("{}-{a:02x}{b:02x}{c:02x}", self.sst),
            None => self.sst.to_string(),
        }
    }
}

impl FromStr for Snssai {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("S-NSSAI", "SST, or SST-SD with an SD of 6 hex digits, as 1 or 1-010203", text);
        let (sst, sd) = text.split_once('-').map_or((text, None), |(sst, sd)| (sst, Some(sd)));
        let sst = sst.parse().map_err(|_| invalid())?;
        let sd = match sd {
            Some(sd) if sd.len() == 6 && sd.bytes().all(|b| b.is_ascii_hexdigit()) => {
                let [_, a, b, c] = u32::from_str_radix(sd, 16).map_err(|_| invalid())?.to_be_bytes();
                Some([a, b, c])
            }
            Some(_) => return Err(invalid()),
            None => None,
        };
        Ok(Self::new(sst, sd))
    }
}

impl fmt::Display for Snssai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for Snssai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// Data network name: labels of letters, digits and hyphens, at most 100 octets encoded (TS 23.003, 9A and 9.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dnn(String);

impl Dnn {
    pub fn new(name: &str) -> Result<Self, Invalid> {
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() < 100 && name.split('.').all(label_ok) {
            Ok(Self(name.to_ascii_lowercase()))
        } else {
            Err(Invalid::new("DNN", "labels of letters, digits and hyphens, at most 99 characters", name))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn to_text(&self) -> &str {
        &self.0
    }
}

impl FromStr for Dnn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl fmt::Display for Dnn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// PDU session identity: 1 to 15 (TS 24.007, 11.2.3.1b).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct PduSessionId(u8);

impl PduSessionId {
    pub fn new(id: u8) -> Result<Self, Invalid> {
        match id {
            1..=15 => Ok(Self(id)),
            _ => Err(Invalid::new("PDU session identity", "1 to 15", id.to_string())),
        }
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

/// AMF UE NGAP ID, 40 bits (TS 38.413, 9.3.3.1). Bits 39 to 32 are the shard of the core that holds the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AmfUeNgapId(pub u64);

/// RAN UE NGAP ID, 32 bits (TS 38.413, 9.3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RanUeNgapId(pub u32);

/// Tunnel endpoint identifier of GTP-U (TS 29.281, 5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Teid(pub u32);

impl fmt::Debug for Teid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// Session endpoint identifier of PFCP (TS 29.244, 5.6.2). The top byte is the shard of the core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Seid(pub u64);

impl fmt::Debug for Seid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

serde_as_text!(Plmn, Snssai, Dnn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plmn_has_the_octets_of_ts_38_413_9_3_3_5() {
        for (text, octets) in
            [("00101", [0x00, 0xF1, 0x10]), ("208-93", [0x02, 0xF8, 0x39]), ("310410", [0x13, 0x00, 0x14])]
        {
            let plmn: Plmn = text.parse().unwrap();
            assert_eq!(plmn.octets(), octets, "{text}");
            assert_eq!(Plmn::from_octets(octets).unwrap(), plmn);
        }
        assert!(Plmn::from_octets([0xAA, 0xFF, 0xFF]).is_err());
        for wrong in ["", "1", "0010", "0010123", "0é101", "abcde"] {
            assert!(wrong.parse::<Plmn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_serving_network_name_pads_the_mnc() {
        let plmn: Plmn = "20893".parse().unwrap();
        assert_eq!(plmn.serving_network_name(), "5G:mnc093.mcc208.3gppnetwork.org");
    }

    #[test]
    fn a_slice_reads_back() {
        for text in ["1", "1-010203", "255-00000a"] {
            assert_eq!(text.parse::<Snssai>().unwrap().to_string(), text);
        }
        assert_eq!("1-ffffff".parse::<Snssai>().unwrap(), Snssai::new(1, None));
        for wrong in ["", "256", "1-", "1-0102", "1-01020g", "1-+10203"] {
            assert!(wrong.parse::<Snssai>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dnn_is_made_of_labels() {
        assert_eq!(Dnn::new("Internet").unwrap().as_str(), "internet");
        assert!(Dnn::new("ims.mnc001.mcc001.gprs").is_ok());
        for wrong in ["", ".", "a..b", "-a", "a-", "a_b", &"a".repeat(64), &"a.".repeat(60)] {
            assert!(Dnn::new(wrong).is_err(), "{wrong}");
        }
    }
}
