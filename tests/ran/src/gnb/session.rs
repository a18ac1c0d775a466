//! PDU session resources (TS 38.413, 8.2) and their tunnels.

use super::receive::Fault;
use super::{Gnb, Output, UeKey};
use oxirush_ngap::aper::{BitString, Error, Octets};
use oxirush_ngap::ngap::*;
use oxirush_ngap::{build_ngap, extract_ngap_ies};
use std::net::Ipv4Addr;

/// Both ends of one session's GTP-U tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    pub ue: UeKey,
    pub psi: u8,
    /// TEID that the user plane sends to.
    pub local: u32,
    /// Where the UE's packets go.
    pub remote: Ipv4Addr,
    pub remote_teid: u32,
    /// QFI of the first QoS flow: what uplink packets are marked with.
    pub qfi: u8,
}

/// What a transfer of the AMF asks for.
struct Wanted {
    remote: Ipv4Addr,
    remote_teid: u32,
    flows: Vec<u64>,
}

/// The encoded answer of one session: to the success list, or to the failure list.
type Answer = Result<Octets<'static>, Octets<'static>>;

impl Gnb {
    /// Sets up one session. A fault of the transfer fails the session, not the message (TS 38.413, 8.2.1.3).
    pub(super) fn set_up_tunnel(
        &mut self,
        ran_id: u32,
        psi: u8,
        transfer: &Octets<'_>,
        out: &mut Vec<Output>,
    ) -> Result<Answer, Error> {
        let wanted = match read_setup(transfer) {
            Ok(Some(wanted)) => wanted,
            Ok(None) | Err(_) => return Ok(Err(unsuccessful(CauseRadioNetwork::unspecified)?)),
        };
        let local = self.next_teid();
        let n3 = self.config.n3;
        let Some(context) = self.contexts.by_ran_id(ran_id) else {
            return Ok(Err(unsuccessful(CauseRadioNetwork::unknown_local_UE_NGAP_ID)?));
        };
        // TS 38.413 8.2.1.4
        if context.tunnels.iter().any(|tunnel| tunnel.psi == psi) {
            return Ok(Err(unsuccessful(CauseRadioNetwork::multiple_PDU_session_ID_instances)?));
        }
        if let Some(ue) = context.ue {
            let Wanted { remote, remote_teid, ref flows } = wanted;
            // 0 to 63 on N3 (TS 38.415, 5.5.3.3); the type of NGAP is extensible.
            let qfi = flows.first().map_or(0, |qfi| (qfi & 0x3F) as u8);
            let tunnel = Tunnel { ue, psi, local, remote, remote_teid, qfi };
            context.tunnels.push(tunnel.clone());
            out.push(Output::TunnelUp(tunnel));
        }
        let flows = wanted.flows.iter().map(|qfi| AssociatedQosFlowItem::new(QosFlowIdentifier(*qfi), None, None));
        let flows = AssociatedQosFlowList(flows.collect());
        let tunnel = UPTransportLayerInformation::gTPTunnel(gtp_tunnel(n3, local));
        let flows = QosFlowPerTNLInformation::new(tunnel, flows, None);
        let transfer = PDUSessionResourceSetupResponseTransfer::new(flows, None, None, None, None);
        Ok(Ok(encode_open_type(&transfer)?.into_owned()))
    }

    pub(super) fn session_setup(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, PDUSessionResourceSetupRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
            req sessions: PDUSessionResourceSetupListSUReq<'_> = PDUSessionResourceSetupListSUReq(list) => list,
        );
        let ue = self.ue_of(amf_id, ran_id)?;
        let mut delivered: Vec<Vec<u8>> = nas.into_iter().collect();
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for item in sessions.0 {
            let psi = item.pdu_session_id;
            match self.set_up_tunnel(ran_id, psi.0, &item.pdu_session_resource_setup_request_transfer, out)? {
                Ok(transfer) => {
                    done.push(PDUSessionResourceSetupItemSURes::new(psi, transfer, None));
                    // TS 38.413 8.2.1.2: the NAS message of a session that failed is not delivered.
                    delivered.extend(item.pdu_session_nas_pdu.map(|nas| nas.0.to_vec()));
                }
                Err(transfer) => failed.push(PDUSessionResourceFailedToSetupItemSURes::new(psi, transfer, None)),
            }
        }
        let response = setup_response(amf_id, ran_id, done, failed);
        self.send_for(ran_id, response, out);
        if let Some(ue) = ue {
            out.extend(delivered.into_iter().map(|nas| Output::Downlink { ue, nas }));
        }
        Ok(())
    }

    pub(super) fn session_modify(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, PDUSessionResourceModifyRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req sessions: PDUSessionResourceModifyListModReq<'_> = PDUSessionResourceModifyListModReq(list) => list,
        );
        let ue = self.ue_of(amf_id, ran_id)?;
        let (mut done, mut failed, mut delivered) = (Vec::new(), Vec::new(), Vec::new());
        for item in sessions.0 {
            let psi = item.pdu_session_id;
            let known = self
                .contexts
                .by_ran_id(ran_id)
                .and_then(|context| context.tunnels.iter_mut().find(|tunnel| tunnel.psi == psi.0));
            let Some(tunnel) = known else {
                // TS 38.413 8.2.3.4
                let cause = Cause::radioNetwork(CauseRadioNetwork::unknown_PDU_session_ID);
                let transfer = PDUSessionResourceModifyUnsuccessfulTransfer::new(cause, None, None);
                let transfer = encode_open_type(&transfer)?.into_owned();
                failed.push(PDUSessionResourceFailedToModifyItemModRes::new(psi, transfer, None));
                continue;
            };
            let (moved, flows) = read_modify(&item.pdu_session_resource_modify_request_transfer)?;
            if let Some((remote, remote_teid)) = moved {
                (tunnel.remote, tunnel.remote_teid) = (remote, remote_teid);
                out.push(Output::TunnelUp(tunnel.clone()));
            }
            let flows = flows.iter().map(|qfi| QosFlowAddOrModifyResponseItem::new(QosFlowIdentifier(*qfi), None));
            let flows: Vec<_> = flows.collect();
            let flows = (!flows.is_empty()).then_some(QosFlowAddOrModifyResponseList(flows));
            let transfer = PDUSessionResourceModifyResponseTransfer::new(None, None, flows, None, None, None);
            let transfer = encode_open_type(&transfer)?.into_owned();
            done.push(PDUSessionResourceModifyItemModRes::new(psi, transfer, None));
            delivered.extend(item.nas_pdu.map(|nas| nas.0.to_vec()));
        }
        self.send_for(ran_id, modify_response(amf_id, ran_id, done, failed), out);
        if let Some(ue) = ue {
            out.extend(delivered.into_iter().map(|nas| Output::Downlink { ue, nas }));
        }
        Ok(())
    }

    pub(super) fn session_release(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, PDUSessionResourceReleaseCommand,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            opt nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
            req sessions: PDUSessionResourceToReleaseListRelCmd<'_> = PDUSessionResourceToReleaseListRelCmd(list) => list,
        );
        let ue = self.ue_of(amf_id, ran_id)?;
        let transfer = encode_open_type(&PDUSessionResourceReleaseResponseTransfer::new(None))?.into_owned();
        let mut released = Vec::new();
        for item in sessions.0 {
            let psi = item.pdu_session_id;
            if let Some(context) = self.contexts.by_ran_id(ran_id) {
                let gone = context.tunnels.iter().position(|tunnel| tunnel.psi == psi.0);
                if let Some(tunnel) = gone.map(|index| context.tunnels.swap_remove(index)) {
                    out.push(Output::TunnelDown { ue: tunnel.ue, psi: psi.0, teid: tunnel.local });
                }
            }
            // A session that is not there is released already (TS 38.413, 8.2.2.4).
            released.push(PDUSessionResourceReleasedItemRelRes::new(psi, transfer.clone(), None));
        }
        let response = build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceRelease,
            PDUSessionResourceReleaseResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceReleasedListRelRes(PDUSessionResourceReleasedListRelRes(released)),
        );
        self.send_for(ran_id, response, out);
        if let (Some(ue), Some(nas)) = (ue, nas) {
            out.push(Output::Downlink { ue, nas });
        }
        Ok(())
    }

    fn next_teid(&mut self) -> u32 {
        let teid = self.teid_next;
        // TEID 0 is for signalling (TS 29.281, 5.1).
        self.teid_next = self.teid_next.checked_add(1).unwrap_or(self.config.teid_base.max(1));
        teid
    }
}

/// `None`: the transfer asks for what this gNB does not have.
fn read_setup(transfer: &Octets<'_>) -> Result<Option<Wanted>, Error> {
    let transfer: PDUSessionResourceSetupRequestTransfer<'_> = decode_open_type(transfer)?;
    extract_ngap_ies!(transfer, PDUSessionResourceSetupRequestTransfer,
        req tunnel: UPTransportLayerInformation<'_> = UL_NGU_UP_TNLInformation(tunnel) => tunnel,
        req _kind: PDUSessionType = PDUSessionType(kind) => kind,
        req flows: QosFlowSetupRequestList = QosFlowSetupRequestList(flows) => flows,
    );
    let flows = flows.0.iter().map(|flow| flow.qos_flow_identifier.0).collect();
    Ok(endpoint(&tunnel).map(|(remote, remote_teid)| Wanted { remote, remote_teid, flows }))
}

type Endpoint = (Ipv4Addr, u32);

fn read_modify(transfer: &Octets<'_>) -> Result<(Option<Endpoint>, Vec<u64>), Error> {
    let transfer: PDUSessionResourceModifyRequestTransfer<'_> = decode_open_type(transfer)?;
    extract_ngap_ies!(transfer, PDUSessionResourceModifyRequestTransfer,
        opt tunnels: ULNGUUPTNLModifyList<'_> = UL_NGU_UP_TNLModifyList(list) => list,
        opt flows: QosFlowAddOrModifyRequestList = QosFlowAddOrModifyRequestList(flows) => flows,
    );
    let first = tunnels.as_ref().and_then(|list| list.0.first());
    let moved = first.and_then(|item| endpoint(&item.ul_ngu_up_tnl_information));
    let flows = flows.map(|flows| flows.0).unwrap_or_default();
    Ok((moved, flows.iter().map(|flow| flow.qos_flow_identifier.0).collect()))
}

/// An IPv4 endpoint; of one with both families, the IPv4 half (TS 38.413, 9.3.2.4: IPv4 comes first).
fn endpoint(tunnel: &UPTransportLayerInformation<'_>) -> Option<Endpoint> {
    let UPTransportLayerInformation::gTPTunnel(tunnel) = tunnel else { return None };
    let address = &tunnel.transport_layer_address.0;
    let octets: [u8; 4] = match address.len() {
        32 | 160 => address.as_octets().get(..4)?.try_into().ok()?,
        _ => return None,
    };
    Some((octets.into(), u32::from_be_bytes(tunnel.gtp_teid.0)))
}

fn gtp_tunnel(address: Ipv4Addr, teid: u32) -> GTPTunnel<'static> {
    let address = TransportLayerAddress(BitString::from(address.octets()));
    GTPTunnel::new(address, GTPTEID(teid.to_be_bytes()), None)
}

fn unsuccessful(cause: CauseRadioNetwork) -> Result<Octets<'static>, Error> {
    let transfer = PDUSessionResourceSetupUnsuccessfulTransfer::new(Cause::radioNetwork(cause), None, None);
    Ok(encode_open_type(&transfer)?.into_owned())
}

fn setup_response<'a>(
    amf_id: u64,
    ran_id: u32,
    done: Vec<PDUSessionResourceSetupItemSURes<'a>>,
    failed: Vec<PDUSessionResourceFailedToSetupItemSURes<'a>>,
) -> Result<NGAPPDU<'a>, Error> {
    let done = (!done.is_empty()).then_some(PDUSessionResourceSetupListSURes(done));
    let failed = (!failed.is_empty()).then_some(PDUSessionResourceFailedToSetupListSURes(failed));
    match (done, failed) {
        (None, None) => build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceSetup,
            PDUSessionResourceSetupResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
        ),
        (Some(done), None) => build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceSetup,
            PDUSessionResourceSetupResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceSetupListSURes(done),
        ),
        (None, Some(failed)) => build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceSetup,
            PDUSessionResourceSetupResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceFailedToSetupListSURes(failed),
        ),
        (Some(done), Some(failed)) => {
            build_ngap!(
                SuccessfulOutcome,
                PDUSessionResourceSetup,
                PDUSessionResourceSetupResponse,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                PDUSessionResourceSetupListSURes(done),
                PDUSessionResourceFailedToSetupListSURes(failed),
            )
        }
    }
}

fn modify_response<'a>(
    amf_id: u64,
    ran_id: u32,
    done: Vec<PDUSessionResourceModifyItemModRes<'a>>,
    failed: Vec<PDUSessionResourceFailedToModifyItemModRes<'a>>,
) -> Result<NGAPPDU<'a>, Error> {
    match (done.is_empty(), failed.is_empty()) {
        (_, true) => build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceModify,
            PDUSessionResourceModifyResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceModifyListModRes(PDUSessionResourceModifyListModRes(done)),
        ),
        (true, false) => build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceModify,
            PDUSessionResourceModifyResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceFailedToModifyListModRes(PDUSessionResourceFailedToModifyListModRes(failed)),
        ),
        (false, false) => build_ngap!(
            SuccessfulOutcome,
            PDUSessionResourceModify,
            PDUSessionResourceModifyResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceModifyListModRes(PDUSessionResourceModifyListModRes(done)),
            PDUSessionResourceFailedToModifyListModRes(PDUSessionResourceFailedToModifyListModRes(failed)),
        ),
    }
}
