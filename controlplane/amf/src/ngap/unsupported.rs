//! Procedures that this function does not support, and messages that no gNB may send: refused with the failure message of
//! the procedure, or with Error Indication.

use super::read_ids;
use crate::metrics::Family;
use crate::{Amf, Cx};
use coeur_nf::AssociationId;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{Error, NgapPduKind as Kind, build_ngap, ie};

impl Amf {
    pub(crate) fn unsupported(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
        kind: &Kind,
    ) -> Result<(), Error> {
        match kind {
            Kind::Initiating_HandoverPreparation => self.refuse_handover(cx, association, pdu),
            Kind::Initiating_PathSwitchRequest => self.refuse_path_switch(cx, association, pdu),
            Kind::Initiating_PDUSessionResourceModifyIndication
            | Kind::Initiating_UEContextSuspend
            | Kind::Initiating_UEContextResume
            | Kind::Initiating_HandoverCancel
            | Kind::Initiating_HandoverNotification
            | Kind::Initiating_UplinkRANStatusTransfer
            | Kind::Initiating_UplinkRANConfigurationTransfer
            | Kind::Initiating_UplinkUEAssociatedNRPPaTransport
            | Kind::Initiating_UplinkNonUEAssociatedNRPPaTransport
            | Kind::Initiating_RetrieveUEInformation
            | Kind::Initiating_RANCPRelocationIndication => {
                // TS 38.413, 10.3.4.1: not comprehended.
                let cause = Cause::protocol(CauseProtocol::abstract_syntax_error_reject);
                self.refuse_with_error_indication(cx, association, pdu, cause, &[]);
                Ok(())
            }
            // Reports that change nothing here; their procedures have no answer.
            Kind::Initiating_TraceFailureIndication
            | Kind::Initiating_CellTrafficTrace
            | Kind::Initiating_LocationReportingFailureIndication
            | Kind::Initiating_SecondaryRATDataUsageReport
            | Kind::Initiating_PWSRestartIndication
            | Kind::Initiating_PWSFailureIndication
            | Kind::Initiating_UETNLABindingRelease => {
                self.metrics.one(Family::NgapRefused, "report not used");
                Ok(())
            }
            // TS 38.413, 10.4: an answer that nobody awaits, or a message that only an AMF sends.
            _ => {
                let cause = Cause::protocol(CauseProtocol::message_not_compatible_with_receiver_state);
                self.refuse_with_error_indication(cx, association, pdu, cause, &[]);
                Ok(())
            }
        }
    }

    /// TS 38.413, 8.4.1.3
    fn refuse_handover(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        if self.resolve(cx, association, pdu)?.is_none() {
            return Ok(());
        }
        let ids = read_ids(pdu)?;
        self.metrics.one(Family::NgapRefused, "handover not supported");
        let answer = build_ngap!(
            UnsuccessfulOutcome,
            HandoverPreparation,
            HandoverPreparationFailure,
            AMF_UE_NGAP_ID(ids.amf.0),
            RAN_UE_NGAP_ID(ids.ran.0),
            Cause(Cause::radioNetwork(CauseRadioNetwork::ho_target_not_allowed)),
        );
        self.send_gnb(cx, association, answer);
        Ok(())
    }

    /// TS 38.413, 8.4.4.3: every session of the request is named with its cause.
    fn refuse_path_switch(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let source = pdu.ie::<ie::SourceAMF_UE_NGAP_ID>().transpose()?;
        let ran = pdu.ie::<ie::RAN_UE_NGAP_ID>().transpose()?;
        let sessions = pdu.ie::<ie::PDUSessionResourceToBeSwitchedDLList>().transpose()?;
        let (Some(source), Some(ran), Some(sessions)) = (source, ran, sessions) else {
            return Err(Error::missing_ie("PathSwitchRequest", "Source AMF UE NGAP ID", "ids"));
        };
        self.metrics.one(Family::NgapRefused, "path switch not supported");
        let cause = || Cause::radioNetwork(CauseRadioNetwork::ho_target_not_allowed);
        let transfer = encode_open_type(&PathSwitchRequestUnsuccessfulTransfer::new(cause(), None))?.to_vec();
        let items = sessions.0.iter().map(|session| {
            PDUSessionResourceReleasedItemPSFail::new(session.pdu_session_id, transfer.clone().into(), None)
        });
        let answer = build_ngap!(
            UnsuccessfulOutcome,
            PathSwitchRequest,
            PathSwitchRequestFailure,
            AMF_UE_NGAP_ID(source.0),
            RAN_UE_NGAP_ID(ran.0),
            PDUSessionResourceReleasedListPSFail(PDUSessionResourceReleasedListPSFail(items.collect())),
        );
        self.send_gnb(cx, association, answer);
        Ok(())
    }
}
