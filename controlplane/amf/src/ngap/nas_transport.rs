//! NAS messages through N2 (TS 38.413, 8.6), and what the gNB tells of the phone's radio (8.14.1).

use crate::limits::RADIO_CAPABILITY_MAX_OCTETS;
use crate::metrics::Family;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use oxirush_ngap::ngap::*;
use oxirush_ngap::{Error, build_ngap, ie};

impl Amf {
    pub(crate) fn uplink_nas_transport(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        pdu: &NGAPPDU<'_>,
    ) -> Result<(), Error> {
        let Some(nas) = pdu.ie::<ie::NAS_PDU>().transpose()? else {
            return Err(Error::missing_ie("UplinkNASTransport", "NAS-PDU", "nas"));
        };
        self.note_location(key, pdu)?;
        if let Some(ue) = self.ues.get_mut(key) {
            ue.last_activity = cx.env.unix_time;
        }
        self.uplink_nas(cx, key, nas.0.as_slice());
        Ok(())
    }

    pub(crate) fn downlink_nas(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, nas: Vec<u8>) {
        self.send_ue(cx, key, |ids| {
            build_ngap!(
                InitiatingMessage,
                DownlinkNASTransport,
                DownlinkNASTransport,
                AMF_UE_NGAP_ID(ids.amf.0),
                RAN_UE_NGAP_ID(ids.ran.0),
                NAS_PDU(nas),
            )
        });
    }

    /// TS 38.413, 8.6.4: the message did not reach the phone. What has a timer goes out again with it; what has none
    /// (5GMM STATUS, DL NAS TRANSPORT) is the affair of its sender's own timers (TS 24.501, 5.4.5.3.6).
    pub(crate) fn nas_non_delivery(&mut self, pdu: &NGAPPDU<'_>) -> Result<(), Error> {
        pdu.ie::<ie::NAS_PDU>().transpose()?;
        self.metrics.one(Family::NasDiscarded, "not delivered by the gNB (TS 38.413, 8.6.4)");
        Ok(())
    }

    /// TS 38.413, 8.14.1: kept for the next Initial Context Setup.
    pub(crate) fn radio_capability(&mut self, key: UeKey, pdu: &NGAPPDU<'_>) -> Result<(), Error> {
        let capability = pdu.ie::<ie::UERadioCapability>().transpose()?;
        if let (Some(ue), Some(capability)) = (self.ues.get_mut(key), capability)
            && capability.0.len() <= RADIO_CAPABILITY_MAX_OCTETS
        {
            ue.radio_capability = Some(capability.0.into_vec());
        }
        Ok(())
    }
}
