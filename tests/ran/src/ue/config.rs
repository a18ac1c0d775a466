//! What a UE is: shared by many UEs ([`UeProfile`]), and its own ([`UeConfig`]).

use crate::suci::Concealment;
use crate::usim::OperatorKey;
use coeur_model::{Dnn, Plmn, Secret, Snssai, Supi};
use std::sync::Arc;
use std::time::Duration;

/// What many UEs have in common. One value behind an [`Arc`], however many UEs there are.
#[derive(Clone, Debug)]
pub struct UeProfile {
    /// Home and serving network: roaming is not modelled.
    pub plmn: Plmn,
    pub tac: coeur_model::Tac,
    pub concealment: Concealment,
    /// 5G-EA0 to 5G-EA7 from the highest bit (TS 24.501, 9.11.3.54).
    pub ciphering: u8,
    /// 5G-IA0 to 5G-IA7 from the highest bit.
    pub integrity: u8,
    /// Requested NSSAI; empty: none is requested, and the network gives the default slices.
    pub slices: Vec<Snssai>,
    pub timers: UeTimers,
}

impl UeProfile {
    /// A UE with every algorithm, the null scheme and the timers of the specification.
    pub fn new(plmn: Plmn, tac: coeur_model::Tac) -> Self {
        Self {
            plmn,
            tac,
            concealment: Concealment::Null,
            ciphering: 0xF0,
            integrity: 0x70,
            slices: Vec::new(),
            timers: UeTimers::default(),
        }
    }
}

/// One UE and its USIM.
#[derive(Clone, Debug)]
pub struct UeConfig {
    pub profile: Arc<UeProfile>,
    pub supi: Supi,
    pub k: Secret<16>,
    pub operator: OperatorKey,
    /// SQNMS to start from; 0 is an unused USIM.
    pub sqn: u64,
    /// 16 digits (TS 23.003, 6.2.2).
    pub imeisv: String,
}

impl UeConfig {
    pub fn new(profile: Arc<UeProfile>, supi: Supi, k: Secret<16>, operator: OperatorKey) -> Self {
        // A type allocation code of test equipment, and a serial number from the IMSI, so that no two UEs share one.
        let digits = supi.imsi();
        let serial = &digits[digits.len().saturating_sub(6)..];
        let imeisv = format!("35609204{serial:0>6}01");
        Self { profile, supi, k, operator, sqn: 0, imeisv }
    }
}

/// The data network a session goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// PDU session identity, 1 to 15.
    pub psi: u8,
    pub dnn: Option<Dnn>,
    pub slice: Option<Snssai>,
}

/// Timers of the UE (TS 24.501, table 10.2.1 and 10.3.1), and how often they restart a procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UeTimers {
    pub t3502: Duration,
    pub t3510: Duration,
    pub t3511: Duration,
    /// Only if the network gives none.
    pub t3512: Duration,
    pub t3516: Duration,
    pub t3517: Duration,
    pub t3520: Duration,
    pub t3521: Duration,
    pub t3580: Duration,
    pub t3582: Duration,
    /// Registration attempts before T3502 (TS 24.501, 5.5.1.2.7), and sendings of a session request (6.4.1.6).
    pub attempts_max: u8,
}

impl Default for UeTimers {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            t3502: seconds(720),
            t3510: seconds(15),
            t3511: seconds(10),
            t3512: seconds(3_240),
            t3516: seconds(30),
            t3517: seconds(15),
            t3520: seconds(15),
            t3521: seconds(15),
            t3580: seconds(16),
            t3582: seconds(16),
            attempts_max: 5,
        }
    }
}
