//! Between the messages of the northbound contract and the types of the operator API.

use coeur_api::types as api;
use coeur_api::types::Timestamp;
use coeur_api::{CoreError, NewSubscriber};
use coeur_model::{self as model, BitRate, SubscriptionProfile};
use coeur_northbound::core_v1 as v1;

/// A core that says what the contract does not allow: its bug.
fn wrong(field: &'static str) -> CoreError {
    CoreError::Internal(format!("the core answered with a wrong {field}"))
}

fn time(unix_ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(unix_ms)
}

/// Absent if empty.
fn text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn status(status: v1::Status) -> Result<(api::CoreStatus, Vec<api::Gnb>), CoreError> {
    let sctp = match status.sctp() {
        v1::SctpImplementation::Unspecified => None,
        v1::SctpImplementation::Kernel => Some(api::SctpImplementation::Kernel),
        v1::SctpImplementation::Usrsctp => Some(api::SctpImplementation::Usrsctp),
    };
    let upf = status.upf.ok_or_else(|| wrong("upf"))?;
    let user_plane = api::UserPlane {
        state: match upf.state() {
            v1::UpfState::Unspecified | v1::UpfState::Associating => api::UserPlaneState::Associating,
            v1::UpfState::Associated => api::UserPlaneState::Associated,
            v1::UpfState::Lost => api::UserPlaneState::Lost,
        },
        node: upf.node,
        since: time(upf.since_unix_ms),
    };
    let gnbs = status.gnbs.into_iter().map(gnb).collect::<Result<Vec<_>, _>>()?;
    let status = api::CoreStatus {
        name: status.name,
        version: status.version,
        plmn: status.plmn,
        started: time(status.started_unix_ms),
        uptime_ms: status.uptime_ms,
        ready: status.ready,
        ready_after_ms: Some(status.ready_after_ms).filter(|_| status.ready),
        sctp,
        n2: text(status.n2),
        user_plane,
        gnbs: gnbs.len() as u64,
        ues_registered: status.ues_registered,
        ues_connected: status.ues_connected,
        sessions: status.sessions,
        subscribers: status.subscribers,
    };
    Ok((status, gnbs))
}

fn gnb(gnb: v1::Gnb) -> Result<api::Gnb, CoreError> {
    Ok(api::Gnb {
        id: gnb_id(gnb.id)?,
        name: text(gnb.name),
        address: gnb.address,
        tais: gnb.tais.into_iter().map(tai).collect(),
        connected: time(gnb.connected_unix_ms),
        ues_connected: gnb.ues_connected,
    })
}

fn gnb_id(id: Option<v1::GnbId>) -> Result<api::GnbId, CoreError> {
    let id = id.ok_or_else(|| wrong("gNB identity"))?;
    let bits = u8::try_from(id.bits).map_err(|_| wrong("gNB identity"))?;
    Ok(api::GnbId { plmn: id.plmn, id: id.id, bits })
}

fn tai(tai: v1::Tai) -> api::Tai {
    api::Tai { plmn: tai.plmn, tac: tai.tac }
}

pub(super) fn ue(ue: v1::Ue) -> Result<api::Ue, CoreError> {
    let cm_state = match ue.cm_state() {
        v1::CmState::Unspecified => return Err(wrong("CM state")),
        v1::CmState::Idle => api::CmState::Idle,
        v1::CmState::Connected => api::CmState::Connected,
    };
    Ok(api::Ue {
        supi: ue.supi,
        cm_state,
        tmsi: format!("{:08x}", ue.tmsi),
        gnb: ue.gnb.map(|id| gnb_id(Some(id))).transpose()?,
        tai: ue.tai.map(tai),
        allowed_slices: ue.allowed_slices,
        sessions: ue.sessions,
        registered: time(ue.registered_unix_ms),
    })
}

pub(super) fn session(session: v1::Session) -> Result<api::Session, CoreError> {
    let state = match session.state() {
        v1::SessionState::Unspecified => return Err(wrong("session state")),
        v1::SessionState::Changing => api::SessionState::Changing,
        v1::SessionState::Active => api::SessionState::Active,
        v1::SessionState::Inactive => api::SessionState::Inactive,
    };
    let ipv4 = text(session.ipv4).map(|text| text.parse().map_err(|_| wrong("IPv4 address"))).transpose()?;
    Ok(api::Session {
        supi: session.supi,
        id: u8::try_from(session.id).map_err(|_| wrong("PDU session identity"))?,
        dnn: session.dnn,
        snssai: session.snssai,
        ipv4,
        state,
        established: time(session.established_unix_ms),
        session_ambr: session.session_ambr.map(ambr).transpose()?.map(api::Ambr),
        five_qi: u8::try_from(session.five_qi).map_err(|_| wrong("5QI"))?,
    })
}

fn ambr(ambr: v1::Ambr) -> Result<model::Ambr, CoreError> {
    let rate = |bps| BitRate::from_bps(bps).map_err(|_| wrong("bit rate"));
    Ok(model::Ambr { uplink: rate(ambr.uplink_bps)?, downlink: rate(ambr.downlink_bps)? })
}

pub(super) fn subscriber(subscriber: v1::Subscriber) -> Result<api::Subscriber, CoreError> {
    let profile = subscriber.profile.ok_or_else(|| wrong("profile"))?;
    Ok(api::Subscriber {
        supi: subscriber.supi,
        profile: profile_of(profile)?.into(),
        created: time(subscriber.created_unix_ms),
        updated: time(subscriber.updated_unix_ms),
    })
}

fn profile_of(profile: v1::SubscriptionProfile) -> Result<SubscriptionProfile, CoreError> {
    let slice = |slice: v1::SliceSubscription| {
        Ok(model::SliceSubscription {
            snssai: slice.snssai.parse().map_err(|_| wrong("S-NSSAI"))?,
            default: slice.default,
            dnns: slice.dnns.into_iter().map(dnn_of).collect::<Result<_, _>>()?,
        })
    };
    Ok(SubscriptionProfile {
        ue_ambr: profile.ue_ambr.map(ambr).transpose()?.unwrap_or_default(),
        slices: profile.slices.into_iter().map(slice).collect::<Result<_, _>>()?,
    })
}

fn dnn_of(dnn: v1::DnnSubscription) -> Result<model::DnnSubscription, CoreError> {
    let session_type = match dnn.session_type() {
        v1::SessionType::Unspecified | v1::SessionType::Ipv4 => model::SessionType::Ipv4,
        v1::SessionType::Ipv6 => model::SessionType::Ipv6,
        v1::SessionType::Ipv4v6 => model::SessionType::Ipv4v6,
        v1::SessionType::Unstructured => model::SessionType::Unstructured,
        v1::SessionType::Ethernet => model::SessionType::Ethernet,
    };
    let mut subscription = model::DnnSubscription::new(dnn.dnn.parse().map_err(|_| wrong("DNN"))?);
    subscription.session_type = session_type;
    subscription.session_ambr = dnn.session_ambr.map(ambr).transpose()?.unwrap_or_default();
    if dnn.five_qi != 0 {
        subscription.five_qi = model::FiveQi(u8::try_from(dnn.five_qi).map_err(|_| wrong("5QI"))?);
    }
    if let Some(arp) = dnn.arp {
        let priority = u8::try_from(arp.priority).map_err(|_| wrong("ARP priority"))?;
        subscription.arp = model::Arp { priority, may_preempt: arp.may_preempt, preemptable: arp.preemptable };
    }
    subscription.ipv4 = text(dnn.ipv4).map(|text| text.parse().map_err(|_| wrong("IPv4 address"))).transpose()?;
    Ok(subscription)
}

pub(super) fn new_subscriber(new: NewSubscriber) -> v1::AddSubscriberRequest {
    v1::AddSubscriberRequest {
        supi: new.supi.expose(),
        k: new.k.expose().to_vec(),
        opc: new.opc.expose().to_vec(),
        amf: new.amf.to_vec(),
        sqn: new.sqn,
        profile: Some(profile_message(new.profile)),
    }
}

pub(super) fn profile_message(profile: SubscriptionProfile) -> v1::SubscriptionProfile {
    let slice = |slice: model::SliceSubscription| v1::SliceSubscription {
        snssai: slice.snssai.to_string(),
        default: slice.default,
        dnns: slice.dnns.iter().map(dnn_message).collect(),
    };
    v1::SubscriptionProfile {
        ue_ambr: Some(ambr_message(profile.ue_ambr)),
        slices: profile.slices.into_iter().map(slice).collect(),
    }
}

fn dnn_message(dnn: &model::DnnSubscription) -> v1::DnnSubscription {
    let session_type = match dnn.session_type {
        model::SessionType::Ipv4 => v1::SessionType::Ipv4,
        model::SessionType::Ipv6 => v1::SessionType::Ipv6,
        model::SessionType::Ipv4v6 => v1::SessionType::Ipv4v6,
        model::SessionType::Unstructured => v1::SessionType::Unstructured,
        model::SessionType::Ethernet => v1::SessionType::Ethernet,
    };
    v1::DnnSubscription {
        dnn: dnn.dnn.to_string(),
        session_type: session_type.into(),
        session_ambr: Some(ambr_message(dnn.session_ambr)),
        five_qi: dnn.five_qi.0.into(),
        arp: Some(v1::Arp {
            priority: dnn.arp.priority.into(),
            may_preempt: dnn.arp.may_preempt,
            preemptable: dnn.arp.preemptable,
        }),
        ipv4: dnn.ipv4.map(|address| address.to_string()).unwrap_or_default(),
    }
}

fn ambr_message(ambr: model::Ambr) -> v1::Ambr {
    v1::Ambr { uplink_bps: ambr.uplink.bps(), downlink_bps: ambr.downlink.bps() }
}

/// None: of a kind that is not known here, or not what the contract says.
pub(super) fn event(event: v1::Event) -> Option<api::Event> {
    use api::What;
    use v1::event::What as Message;
    let session_id = |id| u8::try_from(id).ok();
    let what = match event.what? {
        Message::GnbConnected(e) => What::GnbConnected { gnb: gnb_id(e.gnb).ok()?, name: e.name },
        Message::GnbRefused(e) => What::GnbRefused { cause: e.cause },
        Message::GnbLost(e) => What::GnbLost { gnb: gnb_id(e.gnb).ok()? },
        Message::UeRegistered(e) => What::UeRegistered { supi: e.supi },
        Message::UeDeregistered(e) => What::UeDeregistered { supi: e.supi, by_network: e.by_network },
        Message::UeConnected(e) => What::UeConnected { supi: e.supi },
        Message::UeIdle(e) => What::UeIdle { supi: e.supi },
        Message::SessionEstablished(e) => What::SessionEstablished {
            supi: e.supi,
            session: session_id(e.session)?,
            dnn: e.dnn,
            snssai: e.snssai,
            ipv4: e.ipv4.parse().ok()?,
        },
        Message::SessionReleased(e) => What::SessionReleased { supi: e.supi, session: session_id(e.session)? },
        Message::ProcedureFailed(e) => {
            What::ProcedureFailed { procedure: e.procedure, supi: text(e.supi), cause: e.cause }
        }
        Message::UpfAssociated(e) => What::UserPlaneAssociated { node: e.node },
        Message::UpfLost(e) => What::UserPlaneLost { node: e.node },
        Message::EventsLost(e) => What::EventsLost { count: e.count },
    };
    Some(api::Event { run: event.run, sequence: event.sequence, time: time(event.unix_ms), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_survives_the_contract() {
        let mut dnn = model::DnnSubscription::new("ims".parse().unwrap());
        dnn.session_type = model::SessionType::Ipv4v6;
        dnn.five_qi = model::FiveQi(5);
        dnn.arp = model::Arp { priority: 1, may_preempt: true, preemptable: true };
        dnn.ipv4 = Some([10, 45, 0, 9].into());
        let slice = model::SliceSubscription { snssai: "1-010203".parse().unwrap(), default: true, dnns: vec![dnn] };
        let rate = |text: &str| text.parse().unwrap();
        let ue_ambr = model::Ambr { uplink: rate("10 Mbps"), downlink: rate("4 Tbps") };
        let profile = SubscriptionProfile { ue_ambr, slices: vec![slice] };
        assert_eq!(profile_of(profile_message(profile.clone())).unwrap(), profile);
    }

    #[test]
    fn a_core_that_answers_nonsense_is_at_fault() {
        for result in [
            ue(v1::Ue::default()).map(|_| ()),
            session(v1::Session { state: 2, id: 300, ..Default::default() }).map(|_| ()),
            session(v1::Session { state: 2, id: 3, ipv4: "x".into(), ..Default::default() }).map(|_| ()),
            subscriber(v1::Subscriber::default()).map(|_| ()),
            status(v1::Status::default()).map(|_| ()),
        ] {
            assert!(matches!(result, Err(CoreError::Internal(_))), "{result:?}");
        }
    }

    #[test]
    fn an_event_of_an_unknown_kind_is_left_out() {
        assert_eq!(event(v1::Event::default()), None);
        let what = v1::event::What::UpfLost(v1::UpfLost { node: "n".into() });
        let known = v1::Event { run: 1, sequence: 2, unix_ms: 3, what: Some(what) };
        assert_eq!(event(known).unwrap().what.kind(), "user-plane-lost");
    }
}
