//! The end of a UE's connection (TS 38.413, 8.3.2 and 8.3.3).

use super::context::Context;
use super::receive::Fault;
use super::{Gnb, Output, ReleaseCause, UeKey};
use oxirush_ngap::aper::Error;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{build_ngap, extract_ngap_ies};

impl Gnb {
    /// AN release. The AMF answers with a release command; a UE that the AMF never answered has nothing to release there.
    pub(super) fn request_release(&mut self, ue: UeKey, cause: ReleaseCause, out: &mut Vec<Output>) {
        let Some(context) = self.contexts.of_ue(ue) else { return };
        let ran_id = context.ran_id;
        let Some(amf_id) = context.amf_id else { return self.drop_context(ran_id, out) };
        let sessions =
            context.tunnels.iter().map(|tunnel| PDUSessionResourceItemCxtRelReq::new(PDUSessionID(tunnel.psi), None));
        let sessions: Vec<_> = sessions.collect();
        let cause = cause.on_the_wire();
        let request = match sessions.is_empty() {
            true => build_ngap!(
                InitiatingMessage,
                UEContextReleaseRequest,
                UEContextReleaseRequest,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                Cause(cause),
            ),
            false => build_ngap!(
                InitiatingMessage,
                UEContextReleaseRequest,
                UEContextReleaseRequest,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                PDUSessionResourceListCxtRelReq(PDUSessionResourceListCxtRelReq(sessions)),
                Cause(cause),
            ),
        };
        self.send_for(ran_id, request, out);
    }

    pub(super) fn release_command(&mut self, pdu: &NGAPPDU<'_>, out: &mut Vec<Output>) -> Result<(), Fault> {
        extract_ngap_ies!(pdu, UEContextReleaseCommand,
            req ids: UENGAPIDs = UE_NGAP_IDs(ids) => ids,
            lax _cause: Cause = Cause(cause) => cause,
        );
        let (amf_id, ran_id) = match ids {
            UENGAPIDs::uE_NGAP_ID_pair(pair) => {
                let (amf_id, ran_id) = (pair.amf_ue_ngap_id.0, pair.ran_ue_ngap_id.0);
                self.ue_of(amf_id, ran_id)?;
                (amf_id, ran_id)
            }
            UENGAPIDs::aMF_UE_NGAP_ID(id) => {
                let unknown = Fault::UnknownUe { amf_id: id.0, ran_id: None };
                (id.0, self.contexts.ran_id_of(id.0).ok_or(unknown)?)
            }
            UENGAPIDs::choice_Extensions(_) => return Err(Fault::Unsupported),
        };
        let Some(context) = self.contexts.remove(ran_id) else {
            return Err(Fault::UnknownUe { amf_id, ran_id: Some(ran_id) });
        };
        let complete = self.release_complete(amf_id, &context);
        self.send_for(ran_id, complete, out);
        Self::forget(&context, out);
        Ok(())
    }

    fn release_complete(&self, amf_id: u64, context: &Context) -> Result<NGAPPDU<'static>, Error> {
        let sessions =
            context.tunnels.iter().map(|tunnel| PDUSessionResourceItemCxtRelCpl::new(PDUSessionID(tunnel.psi), None));
        let sessions: Vec<_> = sessions.collect();
        let location = self.location()?;
        match sessions.is_empty() {
            true => build_ngap!(
                SuccessfulOutcome,
                UEContextRelease,
                UEContextReleaseComplete,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(context.ran_id),
                UserLocationInformation(location),
            ),
            false => build_ngap!(
                SuccessfulOutcome,
                UEContextRelease,
                UEContextReleaseComplete,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(context.ran_id),
                UserLocationInformation(location),
                PDUSessionResourceListCxtRelCpl(PDUSessionResourceListCxtRelCpl(sessions)),
            ),
        }
    }

    /// Tells the UE and the user plane that a context is gone.
    pub(super) fn forget(context: &Context, out: &mut Vec<Output>) {
        for tunnel in &context.tunnels {
            out.push(Output::TunnelDown { ue: tunnel.ue, psi: tunnel.psi, teid: tunnel.local });
        }
        if let Some(ue) = context.ue {
            out.push(Output::Released { ue });
        }
    }
}
