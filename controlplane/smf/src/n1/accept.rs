//! PDU SESSION ESTABLISHMENT ACCEPT (TS 24.501, 8.3.2).

use crate::n1::EstablishmentRequest;
use crate::session::{Session, default_qfi};
use coeur_model::config::DnnConfig;
use coeur_model::{Ambr, BitRate};
use oxirush_nas::nas_5gs::{
    GsmCause, Nas5gsMessage, NasAlwaysOnPduSessionIndication, NasDnn, NasFGsmCause, NasPduAddress,
    NasPduSessionEstablishmentAccept, NasPduSessionType, NasQosFlowDescriptions, NasQosRules, NasSNssai,
    NasSessionAmbr, NasSscMode, PduSessionTypeValue, QosFlowDescription, QosFlowOpCode, QosFlowParameter,
    QosPacketFilter, QosPacketFilterComponent, QosPacketFilterDirection, QosRule, QosRuleOpCode, SscModeValue,
};

/// The default QoS rule: everything, after all others (TS 23.501, 5.7.1.4).
const DEFAULT_RULE: u8 = 1;
const LOWEST_PRECEDENCE: u8 = 255;

/// None only if the codec refuses a value that the domain model allows, which the tests rule out.
pub(crate) fn accept(session: &Session, request: &EstablishmentRequest, dnn: &DnnConfig) -> Option<Vec<u8>> {
    let qfi = default_qfi().get();
    let filter = QosPacketFilter::Match {
        direction: QosPacketFilterDirection::Bidirectional,
        identifier: 1,
        components: vec![QosPacketFilterComponent::MatchAll],
    };
    let rule = QosRule::new(DEFAULT_RULE, QosRuleOpCode::Create)
        .with_default_rule(true)
        .with_packet_filters(vec![filter])
        .with_precedence(LOWEST_PRECEDENCE)
        .with_qfi(qfi);
    let five_qi = vec![QosFlowParameter::FiveQi(session.five_qi.0)];
    let flow = QosFlowDescription::new(qfi, QosFlowOpCode::Create, true, five_qi);
    let mut accept = NasPduSessionEstablishmentAccept::new(
        NasPduSessionType::from_session_type(PduSessionTypeValue::Ipv4),
        NasSscMode::from_mode(SscModeValue::Ssc1),
        NasQosRules::from_rules(&[rule]).ok()?,
        session_ambr(session.ambr),
    )
    .with_pdu_address(NasPduAddress::from_ipv4(session.ipv4.octets()))
    .with_s_nssai(NasSNssai::from_sst_sd(session.snssai.sst, session.snssai.sd))
    .with_authorized_qos_flow_descriptions(NasQosFlowDescriptions::from_descriptions(&[flow]).ok()?)
    .with_dnn(NasDnn::from_string(session.dnn.as_str()).ok()?);
    // 6.4.1.3: the phone asked for both, and gets the one that there is.
    if request.session_type == PduSessionTypeValue::Ipv4v6 {
        accept = accept.with_fgsm_cause(NasFGsmCause::from_cause(GsmCause::PduSessionTypeIpv4OnlyAllowed));
    }
    // 6.4.1.3: asked for, so answered; no session of this core is always on.
    if request.always_on {
        accept = accept.with_always_on_pdu_session_indication(NasAlwaysOnPduSessionIndication::from_apsi(false));
    }
    if let Some(options) = request.asked.and_then(|asked| asked.answer(dnn)) {
        accept = accept.with_extended_protocol_configuration_options(options);
    }
    Nas5gsMessage::new_5gsm(accept, session.session.get(), request.pti).encode().ok()
}

/// 9.11.4.14. A rate that no unit expresses exactly is rounded up: what was subscribed is not cut off.
fn session_ambr(ambr: Ambr) -> NasSessionAmbr {
    let (downlink_unit, downlink) = coded(ambr.downlink);
    let (uplink_unit, uplink) = coded(ambr.uplink);
    NasSessionAmbr::from_raw_fields(downlink_unit, downlink, uplink_unit, uplink)
}

/// Units of 9.11.4.14, five to each factor of a thousand: 1, 4, 16, 64 and 256 kbps, then Mbps, Gbps and so on.
fn coded(rate: BitRate) -> (u8, u16) {
    let kbps = rate.bps().div_ceil(1_000);
    for unit in 1..=25u8 {
        let (thousands, fours) = ((unit - 1) / 5, (unit - 1) % 5);
        let step = 1_000u64.pow(thousands.into()) << (2 * fours);
        if let Ok(value) = u16::try_from(kbps.div_ceil(step)) {
            return (unit, value);
        }
    }
    (25, u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_takes_the_smallest_unit_that_holds_it_and_is_never_less() {
        for (bps, coding) in [
            (0, (1, 0)),
            (1, (1, 1)),
            (65_535_000, (1, 65_535)),
            (65_536_000, (2, 16_384)),
            (1_000_000_000, (3, 62_500)),
            (123_456_789, (2, 30_865)),
            (4_000_000_000_000, (6 + 3, 62_500)),
        ] {
            assert_eq!(coded(BitRate::from_bps(bps).unwrap()), coding, "{bps}");
        }
    }
}
