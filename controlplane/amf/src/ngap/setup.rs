//! NG Setup (TS 38.413, 8.7.1) and RAN Configuration Update (8.7.2).

use super::convert;
use crate::gnb::Served;
use crate::metrics::Family;
use crate::{Amf, Cx};
use coeur_model::{GnbId, Tac, Tai};
use coeur_nf::AssociationId;
use coeur_nf::event::Event;
use coeur_nf::services::namf::N2Action;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{Error, build_ngap, ie};
use std::collections::BTreeMap;

/// Why a gNB is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Only gNBs are, no ng-eNB, N3IWF, TNGF, TWIF or W-AGF.
    NotAGnb,
    UnknownPlmn,
    NoServedTrackingArea,
    NoServedSlice,
    TooMany,
    /// Another address speaks as this gNB already.
    Duplicate,
}

impl Refusal {
    /// TS 38.413, 8.7.1.3 and 8.7.1.4; a PLMN that is not served has its own cause, a slice too.
    fn cause(self) -> Cause {
        match self {
            Self::UnknownPlmn => Cause::misc(CauseMisc::unknown_PLMN_or_SNPN),
            Self::NoServedSlice => Cause::radioNetwork(CauseRadioNetwork::slice_not_supported),
            Self::TooMany => Cause::misc(CauseMisc::control_processing_overload),
            Self::NotAGnb | Self::NoServedTrackingArea | Self::Duplicate => Cause::misc(CauseMisc::unspecified),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::NotAGnb => "not a gNB",
            Self::UnknownPlmn => "unknown PLMN",
            Self::NoServedTrackingArea => "no served tracking area",
            Self::NoServedSlice => "no served slice",
            Self::TooMany => "gNB limit reached",
            Self::Duplicate => "gNB ID in use at another address",
        }
    }
}

impl Amf {
    pub(crate) fn ng_setup_request(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let node = pdu.ie::<ie::GlobalRANNodeID>().transpose()?;
        let areas = pdu.ie::<ie::SupportedTAList>().transpose()?;
        let (Some(node), Some(areas)) = (node, areas) else {
            return Err(Error::missing_ie("NGSetupRequest", "GlobalRANNodeID", "node"));
        };
        let name = pdu.ie::<ie::RANNodeName>().and_then(Result::ok);
        let name = name.map(|name| name.0.into_owned()).unwrap_or_default();
        match self.judge(association, convert::gnb_id(&node), &areas) {
            Ok((id, tais)) => self.accept_gnb(cx, association, Served { id, name, tais }),
            Err(refusal) => self.refuse_gnb(cx, association, refusal),
        }
        Ok(())
    }

    fn judge(
        &self,
        association: AssociationId,
        id: Option<GnbId>,
        areas: &SupportedTAList,
    ) -> Result<(GnbId, BTreeMap<Tai, Vec<coeur_model::Snssai>>), Refusal> {
        let id = id.ok_or(Refusal::NotAGnb)?;
        let tais = self.served_areas(areas)?;
        match self.gnbs.by_id(id) {
            Some(holder) if holder != association => {
                // From the same address it restarted before its old association was found dead; from another one, two
                // gNBs are configured alike, and the first keeps its phones.
                let address = |association| self.gnbs.get(association).map(|gnb| gnb.peer.ip());
                match address(holder) == address(association) {
                    true => Ok((id, tais)),
                    false => Err(Refusal::Duplicate),
                }
            }
            Some(_) => Ok((id, tais)),
            None if self.gnbs.set_up() >= self.settings.gnb_max as usize => Err(Refusal::TooMany),
            None => Ok((id, tais)),
        }
    }

    /// The tracking areas that both sides serve, with the slices that both sides have there.
    fn served_areas(&self, areas: &SupportedTAList) -> Result<BTreeMap<Tai, Vec<coeur_model::Snssai>>, Refusal> {
        let plmn = self.settings.guami.plmn();
        let mut tais: BTreeMap<Tai, Vec<coeur_model::Snssai>> = BTreeMap::new();
        let mut worst = Refusal::UnknownPlmn;
        for area in &areas.0 {
            let tai = Tai { plmn, tac: Tac::from_octets(area.tac.0) };
            for broadcast in &area.broadcast_plmn_list.0 {
                if convert::plmn(&broadcast.plmn_identity) != Some(plmn) {
                    continue;
                }
                if !self.settings.serves(tai) {
                    if worst == Refusal::UnknownPlmn {
                        worst = Refusal::NoServedTrackingArea;
                    }
                    continue;
                }
                worst = Refusal::NoServedSlice;
                let offered = broadcast.tai_slice_support_list.0.iter().map(|item| convert::snssai(&item.s_nssai));
                let common: Vec<_> = offered.filter(|slice| self.settings.slices.contains(slice)).collect();
                if !common.is_empty() {
                    tais.entry(tai).or_default().extend(common);
                }
            }
        }
        if tais.is_empty() { Err(worst) } else { Ok(tais) }
    }

    fn accept_gnb(&mut self, cx: &mut Cx<'_, '_>, association: AssociationId, served: Served) {
        // TS 38.413, 8.7.1.1: NG Setup erases what there was of this gNB, on this association or on one before a restart.
        self.lose_all(cx, association);
        if let Some(before) = self.gnbs.by_id(served.id).filter(|before| *before != association) {
            self.association_down(cx, before);
            cx.n2(N2Action::Close { association: before });
        }
        let settings = &self.settings;
        let slices = settings.slices.iter().map(|slice| SliceSupportItem::new(convert::to_snssai(*slice), None));
        let plmn = convert::to_plmn(settings.guami.plmn());
        let support = PLMNSupportItem::new(plmn, SliceSupportList(slices.collect()), None);
        let answer = convert::to_guami(settings.guami).and_then(|guami| {
            build_ngap!(
                SuccessfulOutcome,
                NGSetup,
                NGSetupResponse,
                AMFName(AMFName::from(settings.name.as_str())),
                ServedGUAMIList(ServedGUAMIList(vec![ServedGUAMIItem::new(guami, None, None)])),
                RelativeAMFCapacity(RelativeAMFCapacity(settings.relative_capacity)),
                PLMNSupportList(PLMNSupportList(vec![support])),
            )
        });
        let answer = answer.and_then(|pdu| pdu.encode());
        match answer {
            Ok(octets) => cx.n2(N2Action::Send { association, stream: 0, octets }),
            Err(_) => return self.metrics.one(Family::Internal, "NGAP message does not encode"),
        }
        self.metrics.count(Family::NgSetups, "NG Setup", "success");
        cx.event(Event::GnbConnected { gnb: served.id, name: served.name.clone() });
        self.gnbs.serve(association, served);
    }

    fn refuse_gnb(&mut self, cx: &mut Cx<'_, '_>, association: AssociationId, refusal: Refusal) {
        self.metrics.count(Family::NgSetups, "NG Setup", refusal.name());
        cx.event(Event::GnbRefused { cause: format!("{} (TS 38.413, 8.7.1.3)", refusal.name()) });
        let answer = build_ngap!(
            UnsuccessfulOutcome,
            NGSetup,
            NGSetupFailure,
            Cause(refusal.cause()),
            TimeToWait(TimeToWait::v60s),
        );
        self.send_gnb(cx, association, answer);
    }

    /// TS 38.413, 8.7.2: what is not in it stays as it was.
    pub(crate) fn ran_configuration_update(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let areas = pdu.ie::<ie::SupportedTAList>().transpose()?;
        let node = pdu.ie::<ie::GlobalRANNodeID>().and_then(Result::ok);
        let name = pdu.ie::<ie::RANNodeName>().and_then(Result::ok).map(|name| name.0.into_owned());
        let Some(mut served) = self.gnbs.get(association).and_then(|gnb| gnb.served.clone()) else { return Ok(()) };
        let id = node.as_ref().map_or(Some(served.id), convert::gnb_id);
        let judged = match &areas {
            Some(areas) => self.judge(association, id, areas).map(|(_, tais)| Some(tais)),
            None => Ok(None),
        };
        let answer = match judged {
            Ok(tais) => {
                served.tais = tais.unwrap_or(served.tais);
                served.name = name.unwrap_or(served.name);
                served.id = id.unwrap_or(served.id);
                self.gnbs.serve(association, served);
                self.metrics.count(Family::NgSetups, "RAN Configuration Update", "success");
                build_ngap!(SuccessfulOutcome, RANConfigurationUpdate, RANConfigurationUpdateAcknowledge,)
            }
            Err(refusal) => {
                self.metrics.count(Family::NgSetups, "RAN Configuration Update", refusal.name());
                build_ngap!(
                    UnsuccessfulOutcome,
                    RANConfigurationUpdate,
                    RANConfigurationUpdateFailure,
                    Cause(refusal.cause()),
                    TimeToWait(TimeToWait::v60s),
                )
            }
        };
        self.send_gnb(cx, association, answer);
        Ok(())
    }
}
