//! Identification procedure (TS 24.501, 5.4.3).

use super::{Output, Ue};
use oxirush_nas::nas_5gs::{MobileIdentityType, NasFGsMobileIdentity, NasIdentityRequest, NasIdentityResponse};

impl Ue {
    pub(super) fn identity_request(&mut self, request: &NasIdentityRequest, out: &mut Vec<Output>) {
        // TS 24.501 9.11.3.3: a receiver reads any other value as SUCI; `identity_type` does.
        let kind = request.identity_type.identity_type().unwrap_or(MobileIdentityType::Suci);
        let imeisv = &self.config.imeisv;
        let identity = match kind {
            MobileIdentityType::Suci => {
                self.config.profile.concealment.conceal(&self.config.supi, self.config.profile.plmn).ok()
            }
            MobileIdentityType::Guti => self.guti.map(NasFGsMobileIdentity::from_guti),
            MobileIdentityType::STmsi => self.guti.map(|guti| NasFGsMobileIdentity::from_s_tmsi(guti.s_tmsi())),
            MobileIdentityType::Imei => imeisv.get(..14).and_then(|d| NasFGsMobileIdentity::from_imei_tac_snr(d).ok()),
            MobileIdentityType::Imeisv => NasFGsMobileIdentity::from_imeisv(imeisv).ok(),
            _ => None,
        };
        // TS 24.501 5.4.3.3 and 9.11.3.4: "no identity" where there is none of that type.
        let identity = identity.unwrap_or_else(NasFGsMobileIdentity::from_no_identity);
        self.send(NasIdentityResponse::new(identity), out);
    }
}
