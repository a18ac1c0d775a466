//! Every NGAP message from the AMF comes in here; what is wrong with one is answered as TS 38.413 clause 10 asks.

use super::interface::cause_text;
use super::{Event, Gnb, Interface, Output, ReleaseCause, UeKey, violation};
use crate::ue::EstablishmentCause;
use crate::violation::Violation;
use oxirush_nas::nas_5gs::STmsi;
use oxirush_ngap::aper::{Bits, Error};
use oxirush_ngap::helpers;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{NgapPduKind, build_ngap, extract_ngap_ies};
use std::time::Instant;

/// Why a message from the AMF was not carried out.
pub(super) enum Fault {
    /// It does not decode, or lacks what it must have.
    Codec(Error),
    /// An answer that nobody asked for, or a request before NG setup.
    Unasked,
    /// It names a UE that there is not (TS 38.413, 10.6).
    UnknownUe { amf_id: u64, ran_id: Option<u32> },
    /// Not implemented here, though the AMF may send it.
    Unsupported,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Codec(error)
    }
}

impl Gnb {
    pub(super) fn receive(&mut self, now: Instant, octets: &[u8], out: &mut Vec<Output>) {
        let pdu = match NGAPPDU::decode_borrowed(octets) {
            Ok(pdu) => pdu,
            Err(error) => {
                out.push(violation(Violation::UndecodableNgap(error.to_string())));
                // TS 38.413 10.2
                let cause = Cause::protocol(CauseProtocol::transfer_syntax_error);
                return self.indicate_error(None, None, Some(cause), out);
            }
        };
        if let Err(fault) = self.dispatch(now, &pdu, out) {
            self.answer_fault(&pdu, &fault, out);
        }
    }

    fn dispatch(&mut self, now: Instant, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        use NgapPduKind as Kind;
        let kind = pdu.kind();
        match kind {
            Kind::Successful_NGSetup => return self.set_up_response(pdu, out),
            Kind::Unsuccessful_NGSetup => return self.set_up_failure(now, pdu, out),
            Kind::Initiating_ErrorIndication => return self.error_indicated(pdu, out),
            _ => {}
        }
        // TS 38.413 8.7.1.1: NG setup is the first procedure.
        if self.interface != Interface::Ready {
            return Err(Fault::Unasked);
        }
        match kind {
            Kind::Initiating_DownlinkNASTransport => self.downlink_nas(pdu, out),
            Kind::Initiating_InitialContextSetup => self.initial_context_setup(pdu, out),
            Kind::Initiating_PDUSessionResourceSetup => self.session_setup(pdu, out),
            Kind::Initiating_PDUSessionResourceModify => self.session_modify(pdu, out),
            Kind::Initiating_PDUSessionResourceRelease => self.session_release(pdu, out),
            Kind::Initiating_UEContextRelease => self.release_command(pdu, out),
            Kind::Initiating_UEContextModification => self.context_modification(pdu, out),
            Kind::Initiating_Paging => paging(pdu, out),
            Kind::Initiating_NGReset => self.reset_by_amf(pdu, out),
            Kind::Successful_NGReset => {
                out.push(Output::Event(Event::Reset));
                Ok(())
            }
            Kind::Initiating_AMFConfigurationUpdate => {
                self.amf_configuration_update(out);
                Ok(())
            }
            Kind::Successful_RANConfigurationUpdate => {
                out.push(Output::Event(Event::ConfigurationUpdated));
                Ok(())
            }
            Kind::Unsuccessful_RANConfigurationUpdate => configuration_update_failure(pdu, out),
            Kind::Initiating_OverloadStart | Kind::Initiating_OverloadStop => {
                out.push(Output::Event(Event::Overload { start: kind == Kind::Initiating_OverloadStart }));
                Ok(())
            }
            // Told for our information, and nothing follows (TS 38.413, 8.7.6, 8.11).
            Kind::Initiating_AMFStatusIndication | Kind::Initiating_DeactivateTrace | Kind::Initiating_TraceStart => {
                Ok(())
            }
            _ => Err(Fault::Unsupported),
        }
    }

    fn answer_fault(&mut self, pdu: &NGAPPDU<'_>, fault: &Fault, out: &mut Vec<Output>) {
        let message = pdu.procedure_name().to_string();
        let reported = match fault {
            Fault::Codec(error) => Violation::Ngap { message, reason: error.to_string() },
            Fault::Unasked => {
                Violation::Ngap { message, reason: "not compatible with the state of the interface".into() }
            }
            Fault::UnknownUe { .. } => Violation::UnknownUe { message },
            Fault::Unsupported => Violation::Ngap { message, reason: "not implemented by this gNB".into() },
        };
        out.push(violation(reported));
        let (amf_id, ran_id, cause) = match fault {
            // TS 38.413 10.3.5
            Fault::Codec(_) => (None, None, Cause::protocol(CauseProtocol::abstract_syntax_error_reject)),
            // TS 38.413 10.4
            Fault::Unasked => {
                let cause = CauseProtocol::message_not_compatible_with_receiver_state;
                (None, None, Cause::protocol(cause))
            }
            // TS 38.413 10.6
            Fault::UnknownUe { amf_id, ran_id } => {
                let cause = CauseRadioNetwork::inconsistent_remote_UE_NGAP_ID;
                (Some(*amf_id), *ran_id, Cause::radioNetwork(cause))
            }
            // TS 38.413 10.3.4.1
            Fault::Unsupported => (None, None, Cause::protocol(CauseProtocol::abstract_syntax_error_reject)),
        };
        self.indicate_error(amf_id, ran_id, Some(cause), out);
    }

    pub(super) fn initial(
        &mut self,
        ue: UeKey,
        nas: Vec<u8>,
        cause: EstablishmentCause,
        identity: Option<STmsi>,
        out: &mut Vec<Output>,
    ) {
        let refused = |reason| Output::Event(Event::Refused { ue, reason });
        if self.interface != Interface::Ready {
            return out.extend([refused("NG setup is not done"), Output::Released { ue }]);
        }
        if self.contexts.len() >= self.config.ue_max as usize {
            return out.extend([refused("the cell is full"), Output::Released { ue }]);
        }
        let ran_id = self.contexts.insert(ue);
        let message = self.initial_message(ran_id, nas, cause, identity);
        self.send_for(ran_id, message, out);
    }

    fn initial_message(
        &self,
        ran_id: u32,
        nas: Vec<u8>,
        cause: EstablishmentCause,
        identity: Option<STmsi>,
    ) -> Result<NGAPPDU<'static>, Error> {
        let cause = match cause {
            EstablishmentCause::MoSignalling => RRCEstablishmentCause::mo_Signalling,
            EstablishmentCause::MoData => RRCEstablishmentCause::mo_Data,
            EstablishmentCause::MtAccess => RRCEstablishmentCause::mt_Access,
        };
        let location = self.location()?;
        match identity {
            Some(identity) => {
                let identity = FiveGSTMSI::new(
                    AMFSetID(Bits::new(identity.amf_set_id().into(), 10)?),
                    AMFPointer(Bits::new(identity.amf_pointer().into(), 6)?),
                    FiveGTMSI(identity.tmsi().to_be_bytes()),
                    None,
                );
                build_ngap!(
                    InitiatingMessage,
                    InitialUEMessage,
                    InitialUEMessage,
                    RAN_UE_NGAP_ID(ran_id),
                    NAS_PDU(nas),
                    UserLocationInformation(location),
                    RRCEstablishmentCause(cause),
                    FiveG_S_TMSI(identity),
                    UEContextRequest(UEContextRequest::requested),
                )
            }
            None => build_ngap!(
                InitiatingMessage,
                InitialUEMessage,
                InitialUEMessage,
                RAN_UE_NGAP_ID(ran_id),
                NAS_PDU(nas),
                UserLocationInformation(location),
                RRCEstablishmentCause(cause),
                UEContextRequest(UEContextRequest::requested),
            ),
        }
    }

    pub(super) fn uplink(&mut self, ue: UeKey, nas: Vec<u8>, out: &mut Vec<Output>) {
        // TS 38.413 8.6.3: only in an established UE-associated connection, whose AMF UE NGAP ID is known.
        let ids = self.contexts.of_ue(ue).and_then(|context| Some((context.amf_id?, context.ran_id)));
        let Some((amf_id, ran_id)) = ids else {
            return out.push(Output::Event(Event::Refused { ue, reason: "no UE-associated connection" }));
        };
        let amf_id = if self.wrong_ids { amf_id ^ 0xFF_FFFF } else { amf_id };
        let message = self.location().and_then(|location| {
            build_ngap!(
                InitiatingMessage,
                UplinkNASTransport,
                UplinkNASTransport,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                NAS_PDU(nas),
                UserLocationInformation(location),
            )
        });
        self.send_for(ran_id, message, out);
    }

    pub(super) fn location(&self) -> Result<UserLocationInformation<'static>, Error> {
        let plmn = self.plmn()?;
        let cell = helpers::nr_cgi(plmn, self.config.id, self.config.id_bits.into(), 1)?;
        let area = helpers::tai(plmn, self.config.tac.octets());
        let location = UserLocationInformationNR::new(cell, area, None, None);
        Ok(UserLocationInformation::userLocationInformationNR(location))
    }

    fn downlink_nas(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, DownlinkNASTransport,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
        );
        let ue = self.ue_of(amf_id, ran_id)?;
        if let Some(ue) = ue {
            out.push(Output::Downlink { ue, nas });
        }
        Ok(())
    }

    /// TS 38.413 8.3.1: security first, then sessions, then the NAS message that came along.
    fn initial_context_setup(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, InitialContextSetupRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
            req key: SecurityKey<'_> = SecurityKey(key) => key,
            req _guami: GUAMI = GUAMI(guami) => guami,
            req _slices: AllowedNSSAI = AllowedNSSAI(slices) => slices,
            req _capabilities: UESecurityCapabilities<'_> = UESecurityCapabilities(capabilities) => capabilities,
            opt nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
            opt sessions: PDUSessionResourceSetupListCxtReq<'_> = PDUSessionResourceSetupListCxtReq(list) => list,
        );
        let ue = self.ue_of(amf_id, ran_id)?;
        let mut octets = [0; 32];
        let key_ok = key.0.len() == 256;
        if key_ok {
            octets.copy_from_slice(&key.0.as_octets()[..32]);
        }
        if let (Some(ue), true) = (ue, key_ok) {
            out.push(Output::Kgnb { ue, key: octets });
        }
        let mut delivered: Vec<Vec<u8>> = nas.into_iter().collect();
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for item in sessions.map(|list| list.0).unwrap_or_default() {
            let psi = item.pdu_session_id;
            match self.set_up_tunnel(ran_id, psi.0, &item.pdu_session_resource_setup_request_transfer, out)? {
                Ok(transfer) => done.push(PDUSessionResourceSetupItemCxtRes::new(psi, transfer, None)),
                Err(transfer) => failed.push(PDUSessionResourceFailedToSetupItemCxtRes::new(psi, transfer, None)),
            }
            delivered.extend(item.nas_pdu.map(|nas| nas.0.to_vec()));
        }
        let response = context_setup_response(amf_id, ran_id, done, failed);
        self.send_for(ran_id, response, out);
        if let Some(ue) = ue {
            out.extend(delivered.into_iter().map(|nas| Output::Downlink { ue, nas }));
        }
        Ok(())
    }

    fn context_modification(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, UEContextModificationRequest,
            req amf_id: u64 = AMF_UE_NGAP_ID(id),
            req ran_id: u32 = RAN_UE_NGAP_ID(id),
        );
        self.ue_of(amf_id, ran_id)?;
        let response = build_ngap!(
            SuccessfulOutcome,
            UEContextModification,
            UEContextModificationResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
        );
        self.send_for(ran_id, response, out);
        Ok(())
    }

    /// The UE of a downlink message; `None`: it left for another connection.
    pub(super) fn ue_of(&mut self, amf_id: u64, ran_id: u32) -> Result<Option<UeKey>, Fault> {
        match self.contexts.by_pair(amf_id, ran_id) {
            Some(context) => Ok(context.ue),
            None => Err(Fault::UnknownUe { amf_id, ran_id: Some(ran_id) }),
        }
    }
}

fn context_setup_response<'a>(
    amf_id: u64,
    ran_id: u32,
    done: Vec<PDUSessionResourceSetupItemCxtRes<'a>>,
    failed: Vec<PDUSessionResourceFailedToSetupItemCxtRes<'a>>,
) -> Result<NGAPPDU<'a>, Error> {
    let done = (!done.is_empty()).then_some(PDUSessionResourceSetupListCxtRes(done));
    let failed = (!failed.is_empty()).then_some(PDUSessionResourceFailedToSetupListCxtRes(failed));
    match (done, failed) {
        (None, None) => build_ngap!(
            SuccessfulOutcome,
            InitialContextSetup,
            InitialContextSetupResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
        ),
        (Some(done), None) => build_ngap!(
            SuccessfulOutcome,
            InitialContextSetup,
            InitialContextSetupResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceSetupListCxtRes(done),
        ),
        (None, Some(failed)) => build_ngap!(
            SuccessfulOutcome,
            InitialContextSetup,
            InitialContextSetupResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceFailedToSetupListCxtRes(failed),
        ),
        (Some(done), Some(failed)) => build_ngap!(
            SuccessfulOutcome,
            InitialContextSetup,
            InitialContextSetupResponse,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceSetupListCxtRes(done),
            PDUSessionResourceFailedToSetupListCxtRes(failed),
        ),
    }
}

fn paging(pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
    extract_ngap_ies!(pdu, Paging,
        req identity: UEPagingIdentity = UEPagingIdentity(identity) => identity,
        req _areas: TAIListForPaging = TAIListForPaging(areas) => areas,
    );
    if let UEPagingIdentity::fiveG_S_TMSI(identity) = identity {
        let set = identity.amf_set_id.0.value() as u16;
        let pointer = identity.amf_pointer.0.value() as u8;
        if let Ok(identity) = STmsi::new(set, pointer, u32::from_be_bytes(identity.five_g_tmsi.0)) {
            out.push(Output::Page { identity });
        }
    }
    Ok(())
}

fn configuration_update_failure(pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
    extract_ngap_ies!(pdu, RANConfigurationUpdateFailure,
        lax cause: Cause = Cause(cause) => cause,
    );
    let cause = cause.map_or_else(|| "no cause".into(), |cause| cause_text(&cause));
    out.push(Output::Event(Event::ConfigurationUpdateFailed { cause }));
    Ok(())
}

impl ReleaseCause {
    pub(super) fn on_the_wire(self) -> Cause {
        Cause::radioNetwork(match self {
            Self::UserInactivity => CauseRadioNetwork::user_inactivity,
            Self::ConnectionLost => CauseRadioNetwork::radio_connection_with_ue_lost,
        })
    }
}
