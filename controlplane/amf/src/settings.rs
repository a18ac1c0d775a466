//! What the AMF takes from the configuration of its core.

use coeur_model::config::{CoreConfig, Nea, Nia, TimerConfig};
use coeur_model::{Dnn, Guami, Invalid, Snssai, Tac, Tai};

/// Everything an [`crate::Amf`] is told once.
#[derive(Clone, Debug)]
pub struct AmfSettings {
    pub name: String,
    pub guami: Guami,
    pub relative_capacity: u8,
    pub tacs: Vec<Tac>,
    pub slices: Vec<Snssai>,
    pub dnns: Vec<Dnn>,
    /// The preferred first.
    pub integrity: Vec<Nia>,
    pub ciphering: Vec<Nea>,
    pub timers: TimerConfig,
    pub ue_max: u32,
    pub gnb_max: u32,
}

/// Units of GPRS timer 3 (TS 24.008, 10.5.7.4a), which T3512 is sent in, and of GPRS timer 2 (10.5.7.4), for T3502; each times
/// at most 31.
const GPRS_TIMER_3_UNITS_S: [u32; 7] = [2, 30, 60, 600, 3_600, 36_000, 1_152_000];
const GPRS_TIMER_2_UNITS_S: [u32; 3] = [2, 60, 360];

/// Durations that the phone is told, rounded up to what the wire can say: both sides must count alike (5.3.7).
fn on_the_air(timers: &TimerConfig) -> TimerConfig {
    let round = |seconds: u32, units: &[u32]| {
        let unit = units.iter().find(|unit| seconds.div_ceil(**unit) <= 31);
        unit.or(units.last()).map_or(seconds, |unit| seconds.div_ceil(*unit).min(31) * unit)
    };
    TimerConfig {
        t3512_s: round(timers.t3512_s, &GPRS_TIMER_3_UNITS_S),
        t3502_s: round(timers.t3502_s, &GPRS_TIMER_2_UNITS_S),
        ..timers.clone()
    }
}

impl AmfSettings {
    /// The AMF's part of a core's configuration. Fails where the GUAMI exceeds its widths, which `CoreConfig::check` refuses too.
    pub fn new(config: &CoreConfig) -> Result<Self, Invalid> {
        Ok(Self {
            name: config.amf.name.clone(),
            guami: config.guami()?,
            relative_capacity: config.amf.relative_capacity,
            tacs: config.tacs.clone(),
            slices: config.slices.clone(),
            dnns: config.dnns.iter().map(|dnn| dnn.name.clone()).collect(),
            integrity: config.security.integrity.clone(),
            ciphering: config.security.ciphering.clone(),
            timers: on_the_air(&config.timers),
            ue_max: config.amf.ue_max,
            gnb_max: config.amf.gnb_max,
        })
    }

    pub(crate) fn serves(&self, tai: Tai) -> bool {
        tai.plmn == self.guami.plmn() && self.tacs.contains(&tai.tac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_rounded_up_to_what_the_wire_can_say() {
        for (t3512_s, sent) in
            [(3_240, 3_600), (60, 60), (61, 62), (63, 90), (1_860, 1_860), (u32::MAX, 31 * 1_152_000)]
        {
            assert_eq!(on_the_air(&TimerConfig { t3512_s, ..TimerConfig::default() }).t3512_s, sent);
        }
        assert_eq!(on_the_air(&TimerConfig { t3502_s: 721, ..TimerConfig::default() }).t3502_s, 780);
    }
}
