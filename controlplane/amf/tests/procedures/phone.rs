//! A phone with a SIM that every test network knows: it builds requests, keeps keys and reads answers.

use coeur_nf::AssociationId;
use oxirush_nas::common::Plmn;
use oxirush_nas::nas_5gs::*;
use oxirush_ngap::ie;
use oxirush_ngap::ngap::NGAP_PDU;
use oxirush_security::nas_5gs::{KSeaf, Supi, derive_kamf};

pub(crate) const RES_STAR: [u8; 16] = [0x55; 16];
pub(crate) const KSEAF: [u8; 32] = [0x77; 32];

pub(crate) struct Phone {
    pub(crate) imsi: String,
    pub(crate) ran_id: u32,
    pub(crate) amf_id: Option<u64>,
    pub(crate) association: AssociationId,
    pub(crate) guti: Option<Guti>,
    pub(crate) security: Option<NasSecurityContext>,
    pub(crate) ngksi: u8,
    pub(crate) capability: NasUeSecurityCapability,
}

impl Phone {
    pub(crate) fn new(number: u32) -> Self {
        Self {
            imsi: format!("00101{number:010}"),
            ran_id: number,
            amf_id: None,
            association: crate::network::GNB,
            guti: None,
            security: None,
            ngksi: 7,
            capability: NasUeSecurityCapability::from_capabilities(0xF0, 0xF0),
        }
    }

    pub(crate) fn supi(&self) -> coeur_model::Supi {
        self.imsi.parse().unwrap()
    }

    pub(crate) fn identity(&self) -> NasFGsMobileIdentity {
        self.guti.map_or_else(|| self.suci(), NasFGsMobileIdentity::from_guti)
    }

    pub(crate) fn suci(&self) -> NasFGsMobileIdentity {
        let plmn = Plmn::new("001", "01").unwrap();
        let suci = ImsiSuci::null(plmn, RoutingIndicator::default(), &self.imsi[5..]).unwrap();
        NasFGsMobileIdentity::from_suci(&Suci::Imsi(suci)).unwrap()
    }

    pub(crate) fn registration(&self, kind: RegistrationType) -> NasRegistrationRequest {
        NasRegistrationRequest::new(
            NasFGsRegistrationType::from_registration_type(kind).with_follow_on_request(true),
            NasKeySetIdentifier::new(self.ngksi),
            self.identity(),
        )
        .with_ue_security_capability(self.capability.clone())
    }

    /// An initial message: protected with its cleartext IEs when the phone has keys, plain otherwise (4.4.6).
    pub(crate) fn initial(&mut self, message: impl Into<Nas5gmmMessage>) -> Vec<u8> {
        let message = Nas5gsMessage::new_5gmm(message);
        match &mut self.security {
            Some(security) => security.protect_initial(&message).unwrap(),
            None => message.encode().unwrap(),
        }
    }

    pub(crate) fn initial_registration(&mut self) -> Vec<u8> {
        let request = self.registration(RegistrationType::InitialRegistration);
        self.initial(request)
    }

    pub(crate) fn service_request(&mut self, kind: ServiceType, with_data: &[u8]) -> Vec<u8> {
        let guti = self.guti.expect("a phone asks for service with its 5G-GUTI");
        let mut request = NasServiceRequest::new(
            NasKeySetIdentifier::new(self.ngksi),
            NasServiceType::from_service_type(kind),
            NasFGsMobileIdentity::from_s_tmsi(guti.s_tmsi()),
        );
        if !with_data.is_empty() {
            request = request
                .with_uplink_data_status(NasUplinkDataStatus::from_sessions(with_data).unwrap())
                .with_pdu_session_status(NasPduSessionStatus::from_sessions(with_data).unwrap());
        }
        self.initial(request)
    }

    pub(crate) fn deregistration(&self, switch_off: bool) -> NasDeregistrationRequestUeOriginating {
        let kind = NasDeRegistrationType::new(1).with_switch_off(switch_off);
        NasDeregistrationRequestUeOriginating::new(kind, NasKeySetIdentifier::new(self.ngksi), self.identity())
    }

    pub(crate) fn protected(&mut self, message: impl Into<Nas5gmmMessage>) -> Vec<u8> {
        let header = Nas5gsSecurityHeaderType::IntegrityProtectedAndCiphered;
        let security = self.security.as_mut().expect("the phone has keys");
        security.protect(&Nas5gsMessage::new_5gmm(message), header, Direction::Uplink).unwrap()
    }

    pub(crate) fn plain(message: impl Into<Nas5gmmMessage>) -> Vec<u8> {
        Nas5gsMessage::new_5gmm(message).encode().unwrap()
    }

    pub(crate) fn authentication_response(res_star: [u8; 16]) -> Vec<u8> {
        let parameter = NasAuthenticationResponseParameter::from_res_star(res_star);
        Self::plain(NasAuthenticationResponse::new().with_authentication_response_parameter(parameter))
    }

    /// Takes the algorithms and the ngKSI of a Security Mode Command into use, and answers it.
    pub(crate) fn take_keys(&mut self, command: &NasSecurityModeCommand, complete: &NasRegistrationRequest) -> Vec<u8> {
        assert_eq!(command.replayed_ue_security_capabilities, self.capability);
        self.ngksi = command.ngksi.value;
        let container = NasMessageContainer::from_nas_message(&Nas5gsMessage::new_5gmm(complete.clone())).unwrap();
        let complete = NasSecurityModeComplete::new()
            .with_imeisv(NasFGsMobileIdentity::from_imeisv("4901542032375101").unwrap())
            .with_nas_message_container(container);
        let header = Nas5gsSecurityHeaderType::IntegrityProtectedAndCipheredWithNewFiveGNasSecurityContext;
        let security = self.security.as_mut().expect("receive() made it");
        security.protect(&Nas5gsMessage::new_5gmm(complete), header, Direction::Uplink).unwrap()
    }

    pub(crate) fn session_request(&mut self, session: u8, kind: RequestTypeValue) -> Vec<u8> {
        let rate = NasIntegrityProtectionMaximumDataRate::new(0xFFFF);
        let request = Nas5gsMessage::new_5gsm(NasPduSessionEstablishmentRequest::new(rate), session, 1);
        let transport = self.transport(session, &request).with_request_type(NasRequestType::from_request_type(kind));
        self.protected(transport)
    }

    pub(crate) fn transport(&self, session: u8, message: &Nas5gsMessage) -> NasUlNasTransport {
        NasUlNasTransport::new(
            NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation),
            NasPayloadContainer::from_n1_sm_message(message).unwrap(),
        )
        .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(session))
    }

    /// Reads a downlink NAS message as the specification has it: a Security Mode Command makes new keys.
    pub(crate) fn receive(&mut self, octets: &[u8]) -> Nas5gsMessage {
        if octets[1] & 0x0F == 3 {
            let Ok(Nas5gsMessage::SecurityProtected(_, inner)) = Nas5gsMessage::decode(octets) else { panic!() };
            let Nas5gsMessage::Gmm(_, Nas5gmmMessage::SecurityModeCommand(command)) = &*inner else { panic!() };
            let selected = &command.selected_nas_security_algorithms;
            let identity = format!("imsi-{}", self.imsi);
            let kamf = derive_kamf(&KSeaf::new(&KSEAF), &Supi::parse(&identity).unwrap(), &[0, 0]).unwrap();
            let (nia, nea) = (selected.integrity().unwrap(), selected.ciphering().unwrap());
            let mut fresh = NasSecurityContext::from_fresh_kamf(&kamf, nia, nea).unwrap();
            // A command that is sent again has the next COUNT.
            let message = fresh.unprotect(octets, Direction::Downlink).expect("MAC of Security Mode Command").message;
            self.security = Some(fresh);
            return message;
        }
        match (octets[1] & 0x0F, &mut self.security) {
            (0, _) => Nas5gsMessage::decode(octets).unwrap(),
            (_, Some(security)) => security.unprotect(octets, Direction::Downlink).expect("MAC").message,
            (_, None) => panic!("protected, and the phone has no keys"),
        }
    }

    /// The AMF UE NGAP ID that a message gives the phone.
    pub(crate) fn notes(&mut self, pdu: &NGAP_PDU) {
        if let Some(Ok(id)) = pdu.ie::<ie::AMF_UE_NGAP_ID>() {
            self.amf_id = Some(id.0);
        }
    }
}

/// The body of a 5GMM message of the expected type.
#[macro_export]
macro_rules! gmm {
    ($message:expr, $kind:ident) => {{
        let message = $message;
        match message {
            oxirush_nas::nas_5gs::Nas5gsMessage::Gmm(_, oxirush_nas::nas_5gs::Nas5gmmMessage::$kind(body)) => *body,
            other => panic!("{} expected, got {other}", stringify!($kind)),
        }
    }};
}
