//! NG Reset from a gNB (TS 38.413, 8.7.4.2.2): all of the interface, or the connections that it lists.

use super::Ids;
use crate::ue::registry::Slot;
use crate::{Amf, Cx};
use coeur_model::{AmfUeNgapId, RanUeNgapId};
use coeur_nf::AssociationId;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{Error, build_ngap, ie};

impl Amf {
    pub(crate) fn ng_reset(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let kind = pdu.ie::<ie::ResetType>().transpose()?;
        let answer = match kind {
            Some(ResetType::nG_Interface(_)) => {
                self.lose_all(cx, association);
                build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge,)
            }
            Some(ResetType::partOfNG_Interface(list)) => {
                for item in &list.0 {
                    self.reset_one(cx, association, item);
                }
                // The same list, in its order, also of connections that are unknown here.
                build_ngap!(SuccessfulOutcome, NGReset, NGResetAcknowledge, UE_associatedLogicalNG_connectionList(list),)
            }
            Some(ResetType::choice_Extensions(_)) | None => {
                let cause = CauseProtocol::abstract_syntax_error_reject;
                self.refuse(cx, association, pdu, cause, &[]);
                return Ok(());
            }
        };
        self.send_gnb(cx, association, answer);
        Ok(())
    }

    /// Either name is enough; both must fit when both are given.
    fn reset_one(
        &mut self,
        cx: &mut Cx<'_, '_>,
        association: AssociationId,
        item: &UEAssociatedLogicalNGConnectionItem,
    ) {
        let ran = item.ran_ue_ngap_id.as_ref().map(|id| RanUeNgapId(id.0));
        let listed = item.amf_ue_ngap_id.as_ref().map(|id| AmfUeNgapId(id.0));
        let by_ran = || ran.and_then(|ran| self.gnbs.get(association)?.ues.get(&ran).copied());
        let Some(amf) = listed.or_else(by_ran) else { return };
        match self.ues.slot(amf) {
            Some(Slot::Ue(key)) => {
                let Some(connection) = self.ues.get(key).and_then(|ue| ue.connection.as_ref()) else { return };
                let ids = Ids { amf, ran: ran.unwrap_or(connection.ran_id) };
                if connection.association == association && connection.ran_id == ids.ran {
                    self.connection_lost(cx, key);
                }
            }
            Some(Slot::Releasing { association: of, .. }) if of == association => self.released(amf),
            _ => {}
        }
    }
}
