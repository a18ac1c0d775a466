//! Between the domain and the messages of the northbound contract.

use crate::events::Numbered;
use coeur_model::{
    Ambr, Arp, BitRate, DnnSubscription, FiveQi, GnbId, SessionType, SliceSubscription, SubscriptionProfile,
};
use coeur_nf::event::Event;
use coeur_northbound::core_v1 as v1;

/// A field of a request that is not what the contract says.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub(crate) struct WrongField {
    pub(crate) field: &'static str,
    pub(crate) why: String,
}

impl WrongField {
    pub(crate) fn new(field: &'static str, why: impl ToString) -> Self {
        Self { field, why: why.to_string() }
    }
}

/// Reads a field that has a text form.
pub(crate) fn parse<T: std::str::FromStr<Err = coeur_model::Invalid>>(
    field: &'static str,
    text: &str,
) -> Result<T, WrongField> {
    text.parse().map_err(|error| WrongField::new(field, error))
}

/// Slices of one subscription (TS 24.501, 9.11.3.37: an NSSAI has eight).
const SLICES_MAX: usize = 8;
/// Data networks of one subscribed slice.
const DNNS_MAX: usize = 16;

pub(crate) fn profile(profile: &v1::SubscriptionProfile) -> Result<SubscriptionProfile, WrongField> {
    if profile.slices.is_empty() || profile.slices.len() > SLICES_MAX {
        return Err(WrongField::new("profile.slices", format!("expected 1 to {SLICES_MAX} slices")));
    }
    let slices = profile.slices.iter().map(slice).collect::<Result<Vec<_>, _>>()?;
    for (index, slice) in slices.iter().enumerate() {
        if slices[..index].iter().any(|other| other.snssai == slice.snssai) {
            return Err(WrongField::new("profile.slices", format!("expected {} once only", slice.snssai)));
        }
    }
    if !slices.iter().any(|slice| slice.default) {
        return Err(WrongField::new("profile.slices", "expected at least one default slice"));
    }
    Ok(SubscriptionProfile { ue_ambr: ambr("profile.ue_ambr", profile.ue_ambr.as_ref())?, slices })
}

fn slice(slice: &v1::SliceSubscription) -> Result<SliceSubscription, WrongField> {
    if slice.dnns.is_empty() || slice.dnns.len() > DNNS_MAX {
        return Err(WrongField::new("profile.slices.dnns", format!("expected 1 to {DNNS_MAX} data networks")));
    }
    Ok(SliceSubscription {
        snssai: parse("profile.slices.snssai", &slice.snssai)?,
        default: slice.default,
        dnns: slice.dnns.iter().map(dnn).collect::<Result<_, _>>()?,
    })
}

fn dnn(dnn: &v1::DnnSubscription) -> Result<DnnSubscription, WrongField> {
    let mut subscription = DnnSubscription::new(parse("profile.slices.dnns.dnn", &dnn.dnn)?);
    subscription.session_type = match dnn.session_type() {
        v1::SessionType::Unspecified | v1::SessionType::Ipv4 => SessionType::Ipv4,
        v1::SessionType::Ipv6 => SessionType::Ipv6,
        v1::SessionType::Ipv4v6 => SessionType::Ipv4v6,
        v1::SessionType::Unstructured => SessionType::Unstructured,
        v1::SessionType::Ethernet => SessionType::Ethernet,
    };
    subscription.session_ambr = ambr("profile.slices.dnns.session_ambr", dnn.session_ambr.as_ref())?;
    if dnn.five_qi != 0 {
        let five_qi = u8::try_from(dnn.five_qi).ok().filter(|five_qi| *five_qi < 255);
        subscription.five_qi =
            FiveQi(five_qi.ok_or_else(|| WrongField::new("profile.slices.dnns.five_qi", "expected 1 to 254"))?);
    }
    if let Some(arp) = &dnn.arp {
        let priority = u8::try_from(arp.priority).ok().filter(|priority| (1..=15).contains(priority));
        let priority =
            priority.ok_or_else(|| WrongField::new("profile.slices.dnns.arp.priority", "expected 1 to 15"))?;
        subscription.arp = Arp { priority, may_preempt: arp.may_preempt, preemptable: arp.preemptable };
    }
    if !dnn.ipv4.is_empty() {
        let wrong = || WrongField::new("profile.slices.dnns.ipv4", "expected a dotted IPv4 address");
        subscription.ipv4 = Some(dnn.ipv4.parse().map_err(|_| wrong())?);
    }
    Ok(subscription)
}

fn ambr(field: &'static str, ambr: Option<&v1::Ambr>) -> Result<Ambr, WrongField> {
    let Some(ambr) = ambr else { return Ok(Ambr::default()) };
    let rate = |bps| BitRate::from_bps(bps).map_err(|error| WrongField::new(field, error));
    Ok(Ambr { uplink: rate(ambr.uplink_bps)?, downlink: rate(ambr.downlink_bps)? })
}

pub(crate) fn profile_message(profile: &SubscriptionProfile) -> v1::SubscriptionProfile {
    let dnn = |dnn: &DnnSubscription| v1::DnnSubscription {
        dnn: dnn.dnn.to_string(),
        session_type: session_type_message(dnn.session_type).into(),
        session_ambr: Some(ambr_message(dnn.session_ambr)),
        five_qi: dnn.five_qi.0.into(),
        arp: Some(v1::Arp {
            priority: dnn.arp.priority.into(),
            may_preempt: dnn.arp.may_preempt,
            preemptable: dnn.arp.preemptable,
        }),
        ipv4: dnn.ipv4.map(|ipv4| ipv4.to_string()).unwrap_or_default(),
    };
    let slice = |slice: &SliceSubscription| v1::SliceSubscription {
        snssai: slice.snssai.to_string(),
        default: slice.default,
        dnns: slice.dnns.iter().map(dnn).collect(),
    };
    v1::SubscriptionProfile {
        ue_ambr: Some(ambr_message(profile.ue_ambr)),
        slices: profile.slices.iter().map(slice).collect(),
    }
}

pub(crate) fn ambr_message(ambr: Ambr) -> v1::Ambr {
    v1::Ambr { uplink_bps: ambr.uplink.bps(), downlink_bps: ambr.downlink.bps() }
}

fn session_type_message(session_type: SessionType) -> v1::SessionType {
    match session_type {
        SessionType::Ipv4 => v1::SessionType::Ipv4,
        SessionType::Ipv6 => v1::SessionType::Ipv6,
        SessionType::Ipv4v6 => v1::SessionType::Ipv4v6,
        SessionType::Unstructured => v1::SessionType::Unstructured,
        SessionType::Ethernet => v1::SessionType::Ethernet,
    }
}

pub(crate) fn gnb_message(gnb: GnbId) -> v1::GnbId {
    v1::GnbId { plmn: plmn_text(gnb.plmn), id: gnb.id, bits: gnb.bits.into() }
}

/// The contract writes a PLMN without a hyphen.
pub(crate) fn plmn_text(plmn: coeur_model::Plmn) -> String {
    format!("{}{}", plmn.mcc(), plmn.mnc())
}

pub(crate) fn event_message(run: u64, numbered: Numbered) -> v1::Event {
    use v1::event::What;
    let what = match numbered.event {
        Event::GnbConnected { gnb, name } => What::GnbConnected(v1::GnbConnected { gnb: Some(gnb_message(gnb)), name }),
        Event::GnbRefused { cause } => What::GnbRefused(v1::GnbRefused { cause }),
        Event::GnbLost { gnb } => What::GnbLost(v1::GnbLost { gnb: Some(gnb_message(gnb)) }),
        Event::UeRegistered { supi } => What::UeRegistered(v1::UeRegistered { supi: supi.expose() }),
        Event::UeDeregistered { supi, by_network } => {
            What::UeDeregistered(v1::UeDeregistered { supi: supi.expose(), by_network })
        }
        Event::UeConnected { supi } => What::UeConnected(v1::UeConnected { supi: supi.expose() }),
        Event::UeIdle { supi } => What::UeIdle(v1::UeIdle { supi: supi.expose() }),
        Event::SessionEstablished { supi, session, dnn, snssai, ipv4 } => {
            What::SessionEstablished(v1::SessionEstablished {
                supi: supi.expose(),
                session: session.get().into(),
                dnn: dnn.to_string(),
                snssai: snssai.to_string(),
                ipv4: ipv4.to_string(),
            })
        }
        Event::SessionReleased { supi, session } => {
            What::SessionReleased(v1::SessionReleased { supi: supi.expose(), session: session.get().into() })
        }
        Event::ProcedureFailed { procedure, supi, cause } => What::ProcedureFailed(v1::ProcedureFailed {
            procedure: procedure.to_owned(),
            supi: supi.map(|supi| supi.expose()).unwrap_or_default(),
            cause,
        }),
        Event::UpfAssociated { node } => What::UpfAssociated(v1::UpfAssociated { node }),
        Event::UpfLost { node } => What::UpfLost(v1::UpfLost { node }),
    };
    v1::Event { run, sequence: numbered.sequence, unix_ms: numbered.unix_ms, what: Some(what) }
}

/// In place of `count` events that ended before the one numbered `next`.
pub(crate) fn events_lost_message(run: u64, next: u64, count: u64, unix_ms: u64) -> v1::Event {
    let what = v1::event::What::EventsLost(v1::EventsLost { count });
    v1::Event { run, sequence: next.saturating_sub(1), unix_ms, what: Some(what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> v1::SubscriptionProfile {
        let dnn = v1::DnnSubscription { dnn: "internet".into(), ..Default::default() };
        let slice = v1::SliceSubscription { snssai: "1-010203".into(), default: true, dnns: vec![dnn] };
        v1::SubscriptionProfile { ue_ambr: None, slices: vec![slice] }
    }

    #[test]
    fn a_profile_gets_the_defaults_of_the_contract_and_reads_back() {
        let read = profile(&message()).unwrap();
        assert_eq!((read.ue_ambr, read.slices[0].dnns[0].five_qi), (Ambr::default(), FiveQi(9)));
        assert_eq!(profile(&profile_message(&read)).unwrap(), read);
    }

    #[test]
    fn what_is_wrong_in_a_profile_is_named() {
        let change = |change: &dyn Fn(&mut v1::SubscriptionProfile)| {
            let mut message = message();
            change(&mut message);
            profile(&message).unwrap_err().field
        };
        assert_eq!(change(&|m| m.slices.clear()), "profile.slices");
        assert_eq!(change(&|m| m.slices[0].default = false), "profile.slices");
        assert_eq!(change(&|m| m.slices = vec![m.slices[0].clone(), m.slices[0].clone()]), "profile.slices");
        assert_eq!(change(&|m| m.slices[0].snssai = "x".into()), "profile.slices.snssai");
        assert_eq!(change(&|m| m.slices[0].dnns.clear()), "profile.slices.dnns");
        assert_eq!(change(&|m| m.slices[0].dnns[0].five_qi = 255), "profile.slices.dnns.five_qi");
        assert_eq!(change(&|m| m.slices[0].dnns[0].ipv4 = "10.0.0".into()), "profile.slices.dnns.ipv4");
        let arp = v1::Arp { priority: 16, ..Default::default() };
        assert_eq!(change(&|m| m.slices[0].dnns[0].arp = Some(arp)), "profile.slices.dnns.arp.priority");
        let ambr = v1::Ambr { uplink_bps: u64::MAX, downlink_bps: 0 };
        assert_eq!(change(&|m| m.ue_ambr = Some(ambr)), "profile.ue_ambr");
    }
}
