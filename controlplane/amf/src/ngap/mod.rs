//! NGAP (TS 38.413): which message goes to which procedure, and what is answered to a message that is none.

mod connection;
mod context_setup;
pub(crate) mod convert;
mod error_indication;
mod nas_transport;
mod reset;
mod resource;
mod setup;
mod unsupported;

pub(crate) use context_setup::ContextSetup;
pub(crate) use resource::ResourceRequest;

use crate::limits::NGAP_MESSAGE_MAX_OCTETS;
use crate::metrics::Family;
use crate::ue::UeKey;
use crate::ue::registry::Slot;
use crate::{Amf, Cx};
use coeur_model::{AmfUeNgapId, RanUeNgapId};
use coeur_nf::AssociationId;
use coeur_nf::services::namf::N2Action;
use oxirush_ngap::ngap::{AMFUENGAPID, Cause, CauseProtocol, CauseRadioNetwork, NGAPPDU, RANUENGAPID};
use oxirush_ngap::{Deviation, Error, NgapPduKind as Kind, ie};

/// The names that a UE-associated message gives its phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) amf: AmfUeNgapId,
    pub(crate) ran: RanUeNgapId,
}

/// What is wrong with the names (TS 38.413, 10.6).
enum IdFault {
    UnknownLocal,
    InconsistentRemote(UeKey),
    /// Its release is commanded: what was sent before is of no use any more.
    Releasing,
}

impl Amf {
    pub(crate) fn ngap_message(&mut self, cx: &mut Cx<'_, '_>, association: AssociationId, octets: &[u8]) {
        if self.gnbs.get(association).is_none() {
            // The transport said Down, or was told to close: what is still in its queue is nobody's.
            self.metrics.one(Family::NgapRefused, "no association");
            return;
        }
        let pdu = match octets.len() <= NGAP_MESSAGE_MAX_OCTETS {
            true => NGAPPDU::decode_borrowed(octets).ok(),
            false => None,
        };
        // TS 38.413, 10.2
        let Some(pdu) = pdu else {
            return self.error(cx, association, None, Cause::protocol(CauseProtocol::transfer_syntax_error), None);
        };
        let Ok(deviations) = pdu.check_structure() else {
            return self.refuse(cx, association, &pdu, CauseProtocol::transfer_syntax_error, &[]);
        };
        if !self.screen(cx, association, &pdu, &deviations) {
            return;
        }
        if let Err(error) = self.dispatch(cx, association, &pdu, &deviations) {
            // An IE that this function needs is missing or does not decode (TS 38.413, 10.2, 10.3.5).
            let fault = Deviation::of(&error);
            let cause = fault.as_ref().and_then(Deviation::cause).unwrap_or(CauseProtocol::transfer_syntax_error);
            self.refuse(cx, association, &pdu, cause, fault.as_slice());
        }
    }

    /// TS 38.413, 10.3.4 and 10.3.5: whether the message may be treated. What criticality "reject" or a false
    /// construction forbids is refused here; what is to be notified is notified.
    fn screen(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
        deviations: &[Deviation],
    ) -> bool {
        use CauseProtocol::abstract_syntax_error_ignore_and_notify as notify;
        let causes = || deviations.iter().filter_map(Deviation::cause);
        if let Some(cause) = causes().find(|cause| *cause != notify) {
            self.refuse(cx, association, pdu, cause, deviations);
            return false;
        }
        if causes().next().is_some() {
            self.refuse_with_error_indication(cx, association, pdu, Cause::protocol(notify), deviations);
        }
        // An unknown procedure of criticality ignore (10.3.4.1) is left here.
        !deviations.iter().any(|deviation| matches!(deviation, Deviation::UnknownProcedure { .. }))
    }

    fn dispatch(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
        deviations: &[Deviation],
    ) -> Result<(), Error> {
        let kind = pdu.kind();
        if kind == Kind::Initiating_NGSetup {
            return self.ng_setup_request(cx, association, pdu);
        }
        if kind == Kind::Initiating_ErrorIndication {
            return self.error_indication(cx, association, pdu);
        }
        // TS 38.413, 8.7.1.1: NG Setup is the first procedure on an association.
        if !self.gnbs.is_set_up(association) {
            let cause = CauseProtocol::message_not_compatible_with_receiver_state;
            self.refuse(cx, association, pdu, cause, deviations);
            return Ok(());
        }
        match kind {
            Kind::Initiating_InitialUEMessage => self.initial_ue_message(cx, association, pdu),
            Kind::Initiating_RANConfigurationUpdate => self.ran_configuration_update(cx, association, pdu),
            Kind::Initiating_NGReset => self.ng_reset(cx, association, pdu),
            Kind::Successful_NGReset => Ok(()),
            _ => self.dispatch_ue_associated(cx, association, pdu, &kind),
        }
    }

    fn dispatch_ue_associated(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
        kind: &Kind,
    ) -> Result<(), Error> {
        match kind {
            Kind::Successful_UEContextRelease => return self.ue_context_release_complete(cx, association, pdu),
            Kind::Initiating_UplinkNASTransport
            | Kind::Initiating_NASNonDeliveryIndication
            | Kind::Initiating_UERadioCapabilityInfoIndication
            | Kind::Initiating_UEContextReleaseRequest
            | Kind::Successful_InitialContextSetup
            | Kind::Unsuccessful_InitialContextSetup
            | Kind::Successful_PDUSessionResourceSetup
            | Kind::Successful_PDUSessionResourceModify
            | Kind::Successful_PDUSessionResourceRelease
            | Kind::Initiating_PDUSessionResourceNotify
            | Kind::Initiating_RRCInactiveTransitionReport
            | Kind::Initiating_LocationReport => {}
            _ => return self.unsupported(cx, association, pdu, kind),
        }
        let Some(key) = self.resolve(cx, association, pdu)? else { return Ok(()) };
        match kind {
            Kind::Initiating_UplinkNASTransport => self.uplink_nas_transport(cx, key, pdu),
            Kind::Initiating_NASNonDeliveryIndication => self.nas_non_delivery(pdu),
            Kind::Initiating_UERadioCapabilityInfoIndication => self.radio_capability(key, pdu),
            Kind::Initiating_UEContextReleaseRequest => self.ue_context_release_request(cx, key, pdu),
            Kind::Successful_InitialContextSetup => self.context_set_up(cx, key, pdu),
            Kind::Unsuccessful_InitialContextSetup => self.context_setup_failed(cx, key, pdu),
            Kind::Successful_PDUSessionResourceSetup => self.resources_set_up(cx, key, pdu),
            Kind::Successful_PDUSessionResourceModify => self.resources_modified(cx, key, pdu),
            Kind::Successful_PDUSessionResourceRelease => self.resources_released(cx, key, pdu),
            Kind::Initiating_PDUSessionResourceNotify => self.resources_notified(cx, key, pdu),
            // Location, and inactivity below CM-CONNECTED: noted, nothing to answer (TS 38.413, 8.12.2, 8.3.5).
            _ => self.note_location(key, pdu),
        }
    }

    /// The phone that a UE-associated message is about. It must be one of the association that speaks.
    fn resolve(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<Option<UeKey>, Error> {
        let ids = read_ids(pdu)?;
        match self.find(association, ids) {
            Ok(key) => Ok(Some(key)),
            Err(IdFault::Releasing) => {
                self.metrics.one(Family::NgapRefused, "connection being released");
                Ok(None)
            }
            // TS 38.413, 10.6
            Err(IdFault::UnknownLocal) => {
                let cause = Cause::radioNetwork(CauseRadioNetwork::unknown_local_UE_NGAP_ID);
                self.error(cx, association, Some(ids), cause, None);
                Ok(None)
            }
            // TS 38.413, 10.6: and both sides give up the connection that has the erroneous name, on this association.
            Err(IdFault::InconsistentRemote(key)) => {
                let cause = Cause::radioNetwork(CauseRadioNetwork::inconsistent_remote_UE_NGAP_ID);
                self.error(cx, association, Some(ids), cause, None);
                self.connection_lost(cx, key);
                Ok(None)
            }
        }
    }

    fn find(&self, association: AssociationId, ids: Ids) -> Result<UeKey, IdFault> {
        match self.ues.slot(ids.amf) {
            Some(Slot::Ue(key)) => {
                let connection = self.ues.get(key).and_then(|ue| ue.connection.as_ref());
                match connection {
                    // An id of another association does not exist for this one.
                    Some(connection) if connection.association != association => Err(IdFault::UnknownLocal),
                    Some(connection) if connection.ran_id == ids.ran => Ok(key),
                    Some(_) => Err(IdFault::InconsistentRemote(key)),
                    None => Err(IdFault::UnknownLocal),
                }
            }
            Some(Slot::Releasing { association: of, ran_id }) if of == association && ran_id == ids.ran => {
                Err(IdFault::Releasing)
            }
            _ => Err(IdFault::UnknownLocal),
        }
    }

    /// Sends what concerns the gNB itself: stream 0 (TS 38.412, 7).
    pub(crate) fn send_gnb(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: Result<NGAPPDU<'_>, Error>,
    ) {
        self.send(cx, association, 0, pdu);
    }

    pub(crate) fn send(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        stream: u16,
        pdu: Result<NGAPPDU<'_>, Error>,
    ) {
        match pdu.and_then(|pdu| pdu.encode()) {
            Ok(octets) => cx.n2(N2Action::Send { association, stream, octets }),
            Err(_) => self.metrics.one(Family::Internal, "NGAP message does not encode"),
        }
    }

    /// Sends what concerns one phone, on the stream of its connection. Without a connection there is nobody to send to.
    pub(crate) fn send_ue<'m>(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        build: impl FnOnce(Ids) -> Result<NGAPPDU<'m>, Error>,
    ) {
        let Some(connection) = self.ues.get(key).and_then(|ue| ue.connection.as_ref()) else { return };
        let ids = Ids { amf: connection.amf_id, ran: connection.ran_id };
        let (association, stream) = (connection.association, connection.stream);
        self.send(cx, association, stream, build(ids));
    }
}

fn read_ids(pdu: &NGAPPDU<'_>) -> Result<Ids, Error> {
    let amf = pdu.ie::<ie::AMF_UE_NGAP_ID>().transpose()?;
    let ran = pdu.ie::<ie::RAN_UE_NGAP_ID>().transpose()?;
    match (amf, ran) {
        (Some(AMFUENGAPID(amf)), Some(RANUENGAPID(ran))) => Ok(Ids { amf: AmfUeNgapId(amf), ran: RanUeNgapId(ran) }),
        (amf, _) => {
            let missing = if amf.is_none() { "AMF UE NGAP ID" } else { "RAN UE NGAP ID" };
            Err(Error::missing_ie(pdu.procedure_name(), missing, "ids"))
        }
    }
}
