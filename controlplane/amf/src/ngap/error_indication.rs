//! Error Indication (TS 38.413, 8.7.4 and 10), out and in.

use super::Ids;
use crate::metrics::Family;
use crate::ue::registry::Slot;
use crate::{Amf, Cx};
use coeur_model::{AmfUeNgapId, RanUeNgapId};
use coeur_nf::AssociationId;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{Deviation, Error, Message, NgapPduKind as Kind, build_ngap, build_ngap_ie, ie};

impl Amf {
    /// Answers a message that cannot be treated: the failure message of its procedure where it has one, else
    /// Error Indication (TS 38.413, 10.3.4.2, 10.3.5, 10.4).
    pub(crate) fn refuse(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
        cause: CauseProtocol,
        deviations: &[Deviation],
    ) {
        let diagnostics = || pdu.criticality_diagnostics_for_response(deviations);
        let answer = match pdu.kind() {
            Kind::Initiating_NGSetup => build_ngap!(
                UnsuccessfulOutcome,
                NGSetup,
                NGSetupFailure,
                Cause(Cause::protocol(cause)),
                CriticalityDiagnostics(diagnostics()),
            ),
            Kind::Initiating_RANConfigurationUpdate => {
                build_ngap!(
                    UnsuccessfulOutcome,
                    RANConfigurationUpdate,
                    RANConfigurationUpdateFailure,
                    Cause(Cause::protocol(cause)),
                    CriticalityDiagnostics(diagnostics()),
                )
            }
            _ => {
                let cause = Cause::protocol(cause);
                return self.refuse_with_error_indication(cx, association, pdu, cause, deviations);
            }
        };
        self.metrics.one(Family::NgapRefused, protocol_cause_name(cause));
        self.send_gnb(cx, association, answer);
    }

    pub(crate) fn refuse_with_error_indication(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
        cause: Cause,
        deviations: &[Deviation],
    ) {
        // TS 38.413, 10.5: an Error Indication is never answered with one.
        if pdu.kind() == Kind::Initiating_ErrorIndication {
            self.metrics.one(Family::NgapRefused, "faulty Error Indication");
            return;
        }
        let amf = pdu.ie::<ie::AMF_UE_NGAP_ID>().and_then(Result::ok);
        let ran = pdu.ie::<ie::RAN_UE_NGAP_ID>().and_then(Result::ok);
        let ids = amf.zip(ran).map(|(amf, ran)| Ids { amf: AmfUeNgapId(amf.0), ran: RanUeNgapId(ran.0) });
        self.error(cx, association, ids, cause, Some(pdu.criticality_diagnostics(deviations)));
    }

    /// Sends Error Indication: on stream 0 when no phone is concerned.
    pub(crate) fn error(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        ids: Option<Ids>,
        cause: Cause,
        diagnostics: Option<CriticalityDiagnostics>,
    ) {
        self.metrics.one(Family::NgapRefused, cause_name(&cause));
        let stream = match ids.and_then(|ids| self.ues.slot(ids.amf)) {
            Some(Slot::Ue(key)) => {
                let connection = self.ues.get(key).and_then(|ue| ue.connection.as_ref());
                connection.filter(|connection| connection.association == association).map_or(0, |on| on.stream)
            }
            _ => 0,
        };
        self.send(cx, association, stream, error_indication(ids, cause, diagnostics));
    }

    /// From a gNB. It is never answered (TS 38.413, 10.5); an unknown UE NGAP ID ends the connection (10.6).
    pub(crate) fn error_indication(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let cause = pdu.ie::<ie::Cause>().and_then(Result::ok);
        self.metrics.one(Family::NgapRefused, "Error Indication received");
        let lost = matches!(
            cause,
            Some(Cause::radioNetwork(
                CauseRadioNetwork::unknown_local_UE_NGAP_ID | CauseRadioNetwork::inconsistent_remote_UE_NGAP_ID
            ))
        );
        let amf = pdu.ie::<ie::AMF_UE_NGAP_ID>().and_then(Result::ok);
        let Some(amf) = amf.filter(|_| lost) else { return Ok(()) };
        match self.ues.slot(AmfUeNgapId(amf.0)) {
            Some(Slot::Ue(key)) => {
                let connection = self.ues.get(key).and_then(|ue| ue.connection.as_ref());
                if connection.is_some_and(|connection| connection.association == association) {
                    self.connection_lost(cx, key);
                }
            }
            Some(Slot::Releasing { association: of, .. }) if of == association => self.released(AmfUeNgapId(amf.0)),
            _ => {}
        }
        Ok(())
    }
}

fn error_indication(
    ids: Option<Ids>,
    cause: Cause,
    diagnostics: Option<CriticalityDiagnostics>,
) -> Result<NGAPPDU<'static>, Error> {
    let mut ies = Vec::with_capacity(4);
    if let Some(ids) = ids {
        ies.push(build_ngap_ie!(ErrorIndication, AMF_UE_NGAP_ID(ids.amf.0))?);
        ies.push(build_ngap_ie!(ErrorIndication, RAN_UE_NGAP_ID(ids.ran.0))?);
    }
    ies.push(build_ngap_ie!(ErrorIndication, Cause(cause))?);
    if let Some(diagnostics) = diagnostics {
        ies.push(build_ngap_ie!(ErrorIndication, CriticalityDiagnostics(diagnostics))?);
    }
    let message = ErrorIndication::new(ProtocolIEContainer(ies));
    NGAP_PDU::of_message(&message, ErrorIndication::CRITICALITY)
}

pub(crate) fn cause_name(cause: &Cause) -> &'static str {
    match cause {
        Cause::protocol(cause) => protocol_cause_name(*cause),
        Cause::radioNetwork(CauseRadioNetwork::unknown_local_UE_NGAP_ID) => "unknown local UE NGAP ID",
        Cause::radioNetwork(CauseRadioNetwork::inconsistent_remote_UE_NGAP_ID) => "inconsistent remote UE NGAP ID",
        Cause::radioNetwork(CauseRadioNetwork::user_inactivity) => "user inactivity",
        Cause::radioNetwork(CauseRadioNetwork::radio_connection_with_ue_lost) => "radio connection with UE lost",
        Cause::radioNetwork(_) => "radio network",
        Cause::transport(_) => "transport",
        Cause::nas(CauseNas::normal_release) => "NAS normal release",
        Cause::nas(CauseNas::authentication_failure) => "NAS authentication failure",
        Cause::nas(CauseNas::deregister) => "NAS deregister",
        Cause::nas(_) => "NAS",
        Cause::misc(_) => "miscellaneous",
        Cause::choice_Extensions(_) => "extension",
    }
}

fn protocol_cause_name(cause: CauseProtocol) -> &'static str {
    match cause {
        CauseProtocol::transfer_syntax_error => "transfer syntax error",
        CauseProtocol::abstract_syntax_error_reject => "abstract syntax error (reject)",
        CauseProtocol::abstract_syntax_error_ignore_and_notify => "abstract syntax error (ignore and notify)",
        CauseProtocol::message_not_compatible_with_receiver_state => "message not compatible with receiver state",
        CauseProtocol::semantic_error => "semantic error",
        CauseProtocol::abstract_syntax_error_falsely_constructed_message => {
            "abstract syntax error (falsely constructed message)"
        }
        _ => "protocol, unspecified",
    }
}
