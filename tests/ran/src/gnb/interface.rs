//! Interface management (TS 38.413, 8.7): NG setup, RAN configuration update, reset, error indication.

use super::receive::Fault;
use super::{Event, Gnb, Interface, Output, violation};
use crate::violation::Violation;
use oxirush_ngap::aper::Error;
use oxirush_ngap::helpers;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{build_ngap, extract_ngap_ies};
use std::time::{Duration, Instant};

impl Gnb {
    pub(super) fn up(&mut self, streams: u16, out: &mut Vec<Output>) {
        self.streams = streams;
        self.set_up(out);
    }

    /// The association is gone, and with it all UE contexts (TS 38.413, 8.7.1.1).
    pub(super) fn down(&mut self, out: &mut Vec<Output>) {
        self.interface = Interface::Down;
        self.drop_contexts(out);
    }

    pub(super) fn set_up(&mut self, out: &mut Vec<Output>) {
        self.interface = Interface::SettingUp;
        let request = self.set_up_request();
        self.send(request, out);
    }

    fn set_up_request(&self) -> Result<NGAPPDU<'static>, Error> {
        let config = &self.config;
        let plmn = self.plmn()?;
        let gnb = GlobalRANNodeID::globalGNB_ID(helpers::global_gnb_id(plmn, config.id, config.id_bits.into())?);
        build_ngap!(
            InitiatingMessage,
            NGSetup,
            NGSetupRequest,
            GlobalRANNodeID(gnb),
            RANNodeName(config.name.clone()),
            SupportedTAList(self.supported_areas()?),
            DefaultPagingDRX(PagingDRX::v128),
        )
    }

    pub(super) fn update_configuration(&mut self, out: &mut Vec<Output>) {
        let update = self.supported_areas().and_then(|areas| {
            build_ngap!(
                InitiatingMessage,
                RANConfigurationUpdate,
                RANConfigurationUpdate,
                RANNodeName(self.config.name.clone()),
                SupportedTAList(areas),
                DefaultPagingDRX(PagingDRX::v128),
            )
        });
        self.send(update, out);
    }

    pub(super) fn plmn(&self) -> Result<PLMNIdentity, Error> {
        helpers::plmn(self.config.plmn.mcc(), self.config.plmn.mnc())
    }

    fn supported_areas(&self) -> Result<SupportedTAList, Error> {
        let slices = self.config.slices.iter();
        let slices = slices.map(|slice| SliceSupportItem::new(helpers::s_nssai(slice.sst, slice.sd), None)).collect();
        let plmns = BroadcastPLMNList(vec![BroadcastPLMNItem::new(self.plmn()?, SliceSupportList(slices), None)]);
        Ok(SupportedTAList(vec![SupportedTAItem::new(TAC(self.config.tac.octets()), plmns, None)]))
    }

    pub(super) fn set_up_response(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        if self.interface != Interface::SettingUp {
            return Err(Fault::Unasked);
        }
        extract_ngap_ies!(pdu, NGSetupResponse,
            req name: String = AMFName(name) => name.0.into_owned(),
            req guamis: ServedGUAMIList<'_> = ServedGUAMIList(list) => list,
            req plmns: PLMNSupportList = PLMNSupportList(list) => list,
        );
        let plmn = self.plmn()?;
        let ours = plmns.0.iter().any(|item| item.plmn_identity == plmn);
        if !ours || guamis.0.iter().all(|item| item.guami.plmn_identity != plmn) {
            let reason = "neither GUAMI nor PLMN support is of the gNB's PLMN".into();
            out.push(violation(Violation::Ngap { message: "NGSetupResponse".into(), reason }));
        }
        self.interface = Interface::Ready;
        out.push(Output::Event(Event::SetupDone { amf: name }));
        Ok(())
    }

    /// TS 38.413 8.7.1.3: after Time to Wait, once more.
    pub(super) fn set_up_failure(
        &mut self,
        now: Instant,
        pdu: &NGAPPDU<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Fault> {
        if self.interface != Interface::SettingUp {
            return Err(Fault::Unasked);
        }
        extract_ngap_ies!(pdu, NGSetupFailure,
            lax cause: Cause = Cause(cause) => cause,
            lax wait: TimeToWait = TimeToWait(wait) => wait,
        );
        let wait = wait.map(|wait| Duration::from_secs(seconds(&wait)));
        self.interface = wait.map_or(Interface::Refused, |wait| Interface::Waiting(now + wait));
        let cause = cause.map_or_else(|| "no cause".into(), |cause| cause_text(&cause));
        out.push(Output::Event(Event::SetupFailed { cause, retry: wait.is_some() }));
        Ok(())
    }

    pub(super) fn reset(&mut self, out: &mut Vec<Output>) {
        let reset = build_ngap!(
            InitiatingMessage,
            NGReset,
            NGReset,
            Cause(Cause::misc(CauseMisc::om_intervention)),
            ResetType(ResetType::nG_Interface(ResetAll::reset_all)),
        );
        self.send(reset, out);
        self.drop_contexts(out);
    }

    /// TS 38.413 8.7.4.2.1: the AMF lost its contexts, all or some.
    pub(super) fn reset_by_amf(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, NGReset,
            req kind: ResetType = ResetType(kind) => kind,
        );
        let acknowledge = match kind {
            ResetType::partOfNG_Interface(list) => {
                for item in &list.0 {
                    let by_amf = item.amf_ue_ngap_id.as_ref().and_then(|id| self.contexts.ran_id_of(id.0));
                    if let Some(ran_id) = item.ran_ue_ngap_id.as_ref().map(|id| id.0).or(by_amf) {
                        self.drop_context(ran_id, out);
                    }
                }
                build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge, UEAssociatedLogicalNGConnectionList(list),)
            }
            _ => {
                self.drop_contexts(out);
                build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge,)
            }
        };
        self.send(acknowledge, out);
        out.push(Output::Event(Event::Reset));
        Ok(())
    }

    /// TS 38.413 8.7.3: what the AMF changes needs no effect here.
    pub(super) fn amf_configuration_update(&mut self, out: &mut Vec<Output>) {
        let acknowledge = build_ngap!(SuccessfulOutcome, AMFConfigurationUpdate, AMFConfigurationUpdateAcknowledge,);
        self.send(acknowledge, out);
    }

    pub(super) fn error_indicated(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, ErrorIndication,
            lax cause: Cause = Cause(cause) => cause,
            lax diagnostics: CriticalityDiagnostics = CriticalityDiagnostics(diagnostics) => diagnostics,
        );
        let cause = cause.map(|cause| cause_text(&cause));
        let procedure = diagnostics.and_then(|diagnostics| diagnostics.procedure_code);
        let procedure = procedure.map(|code| format!("procedure {}", code.0));
        let text = [cause, procedure].into_iter().flatten().collect::<Vec<_>>().join(", ");
        out.push(violation(Violation::ErrorIndication(text)));
        Ok(())
    }

    pub(super) fn indicate_error(
        &mut self,
        amf_id: Option<u64>,
        ran_id: Option<u32>,
        cause: Option<Cause>,
        out: &mut Vec<Output>,
    ) {
        let cause = cause.unwrap_or(Cause::protocol(CauseProtocol::unspecified));
        let indication = match (amf_id, ran_id) {
            (Some(amf_id), Some(ran_id)) => build_ngap!(
                InitiatingMessage,
                ErrorIndication,
                ErrorIndication,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                Cause(cause),
            ),
            (Some(amf_id), None) => {
                build_ngap!(InitiatingMessage, ErrorIndication, ErrorIndication, AMF_UE_NGAP_ID(amf_id), Cause(cause),)
            }
            _ => build_ngap!(InitiatingMessage, ErrorIndication, ErrorIndication, Cause(cause),),
        };
        self.send(indication, out);
    }

    fn drop_contexts(&mut self, out: &mut Vec<Output>) {
        for context in self.contexts.drain() {
            Self::forget(&context, out);
        }
    }

    pub(super) fn drop_context(&mut self, ran_id: u32, out: &mut Vec<Output>) {
        if let Some(context) = self.contexts.remove(ran_id) {
            Self::forget(&context, out);
        }
    }
}

pub(super) fn cause_text(cause: &Cause) -> String {
    format!("{cause:?}")
}

/// TS 38.413, 9.3.1.56.
fn seconds(wait: &TimeToWait) -> u64 {
    match wait {
        TimeToWait::v1s => 1,
        TimeToWait::v2s => 2,
        TimeToWait::v5s => 5,
        TimeToWait::v10s => 10,
        TimeToWait::v20s => 20,
        _ => 60,
    }
}
