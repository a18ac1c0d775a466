//! Identification (TS 24.501, 5.4.3), with T3570.

use super::Stage;
use crate::limits::NAS_TRANSMISSION_MAX;
use crate::metrics::Family;
use crate::timeout::Timer;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use coeur_model::Suci;
use coeur_nf::services::nausf::Identity;
use oxirush_nas::nas_5gs::{
    GmmCause, MobileIdentityType, Nas5gsMessage, NasFGsIdentityType, NasIdentityRequest, NasIdentityResponse,
};

impl Amf {
    pub(super) fn identify(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.set_stage(key, Stage::Identifying { sent: 1 });
        self.send_identity_request(cx, key);
    }

    fn send_identity_request(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        // TS 24.501, 9.11.3.3: type 001.
        let request = NasIdentityRequest::new(NasFGsIdentityType::new(MobileIdentityType::Suci as u8));
        self.send_nas(cx, key, &Nas5gsMessage::new_5gmm(request));
        self.start(cx, Timer::Nas(key), self.ms(self.settings.timers.t3570_ms));
    }

    pub(crate) fn identity_response(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, response: &NasIdentityResponse) {
        if !self.registration(key).is_some_and(|registration| matches!(registration.stage, Stage::Identifying { .. })) {
            return self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState);
        }
        self.timers.stop(&Timer::Nas(key));
        match response.mobile_identity.identity_type() {
            Some(MobileIdentityType::Suci) => {
                let suci = Suci::from_nas_octets(response.mobile_identity.value.to_vec());
                self.authenticate(cx, key, Identity::Suci(suci));
            }
            // What was asked for is not given: the phone cannot be known (5.4.3.4, 5.5.1.2.5).
            _ => self.reject_registration(cx, key, GmmCause::UeIdentityCannotBeDerivedByTheNetwork),
        }
    }

    /// 5.4.3.6 b)
    pub(super) fn identity_unanswered(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, sent: u8) {
        if sent >= NAS_TRANSMISSION_MAX {
            return self.abandon_registration(cx, key, "T3570 expired");
        }
        self.metrics.one(Family::Retransmissions, "T3570");
        self.set_stage(key, Stage::Identifying { sent: sent + 1 });
        self.send_identity_request(cx, key);
    }
}
