//! The network side of one UE, as far as a script needs it, and the UE under test.

use coeur_model::{Plmn, Secret, Snssai, Supi, Tac};
use coeur_ran::Violation;
use coeur_ran::ue::{Event, Input, Output, RegistrationKind, Ue, UeConfig, UeProfile};
use coeur_ran::usim::OperatorKey;
use oxirush_nas::nas_5gs::*;
use oxirush_security::milenage::{Amf, K, Milenage, Opc, Sqn};
use oxirush_security::nas_5gs::{Supi as SecuritySupi, derive_kamf, derive_kausf, derive_kseaf};
use oxirush_security::{Autn, Rand};
use std::sync::Arc;
use std::time::{Duration, Instant};

// TS 35.208, 4.3: test set 1.
pub(crate) const K_HEX: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
pub(crate) const OPC_HEX: &str = "cd63cb71954a9f4e48a5994e37a02baf";
pub(crate) const IMSI: &str = "001010000000001";
const RAND: [u8; 16] = *b"\x23\x55\x3c\xbe\x96\x37\xa8\x9d\x21\x8a\xe6\x4d\xae\x47\xbf\x35";

pub(crate) fn config() -> UeConfig {
    config_of(IMSI)
}

pub(crate) fn config_of(imsi: &str) -> UeConfig {
    let mut profile = UeProfile::new("00101".parse().unwrap(), Tac::new(1).unwrap());
    profile.slices = vec![Snssai::new(1, None)];
    let operator = OperatorKey::Opc(Secret::from_hex(OPC_HEX).unwrap());
    UeConfig::new(Arc::new(profile), Supi::from_imsi(imsi).unwrap(), Secret::from_hex(K_HEX).unwrap(), operator)
}

/// The core's half of N1.
pub(crate) struct Network {
    home: Milenage,
    pub(crate) sqn: u64,
    pub(crate) ngksi: u8,
    imsi: String,
    rand: [u8; 16],
    kamf: Option<KAmf>,
    pub(crate) res_star: Option<[u8; 16]>,
    pub(crate) context: Option<NasSecurityContext>,
    pub(crate) capability: NasUeSecurityCapability,
    pub(crate) tmsi: u32,
}

impl Network {
    pub(crate) fn new(imsi: &str) -> Self {
        let octets = |hex: &str| *Secret::<16>::from_hex(hex).unwrap().expose();
        Self {
            home: Milenage::new(&K::new(&octets(K_HEX)), &Opc::new(&octets(OPC_HEX))),
            sqn: 0,
            ngksi: 6,
            imsi: imsi.into(),
            rand: RAND,
            kamf: None,
            res_star: None,
            context: None,
            capability: NasUeSecurityCapability::from_capabilities(0xF0, 0x70),
            tmsi: 0xC000_0000,
        }
    }

    /// AUTHENTICATION REQUEST with a fresh SQN and a fresh ngKSI, and with what `change` does to AUTN.
    pub(crate) fn challenge_with(&mut self, change: impl FnOnce(&mut [u8; 16])) -> NasAuthenticationRequest {
        self.sqn += 0x21;
        self.ngksi = (self.ngksi + 1) % 7;
        self.rand[0] = self.rand[0].wrapping_add(1);
        let rand = Rand::new(&self.rand);
        let sqn = Sqn::try_from(self.sqn).unwrap();
        let vector = self.home.authentication_vector(&rand, &sqn, &Amf::new(&[0x80, 0x00]));
        let network = "5G:mnc001.mcc001.3gppnetwork.org".as_bytes();
        let mut autn = *vector.autn().as_octets();
        let kausf = derive_kausf(vector.ck(), vector.ik(), network, &Autn::new(&autn)).unwrap();
        let kseaf = derive_kseaf(&kausf, network).unwrap();
        let supi = format!("imsi-{}", self.imsi);
        self.kamf = Some(derive_kamf(&kseaf, &SecuritySupi::parse(&supi).unwrap(), &[0, 0]).unwrap());
        self.res_star = Some(*vector.xres_star(network).unwrap().as_octets());
        change(&mut autn);
        NasAuthenticationRequest::new(ngksi(self.ngksi), NasAbba::new(vec![0, 0]))
            .with_authentication_parameter_rand(NasAuthenticationParameterRand::from_rand(self.rand))
            .with_authentication_parameter_autn(NasAuthenticationParameterAutn::from_autn(autn))
    }

    pub(crate) fn kamf(&self) -> &KAmf {
        self.kamf.as_ref().unwrap()
    }

    pub(crate) fn challenge(&mut self) -> Vec<u8> {
        plain(self.challenge_with(|_| {}))
    }

    pub(crate) fn sqn_ms_of(&self, auts: &[u8]) -> u64 {
        let auts = oxirush_security::milenage::Auts::new(auts.try_into().unwrap());
        self.home.verify_auts(&Rand::new(&self.rand), &auts).unwrap().get()
    }

    /// SECURITY MODE COMMAND with a new context.
    pub(crate) fn mode_command(&mut self, nia: IntegrityAlgorithm, nea: CipheringAlgorithm) -> Vec<u8> {
        let command = self.mode_command_message(nia, nea);
        self.protect_new(command, nia, nea)
    }

    pub(crate) fn mode_command_message(
        &self,
        nia: IntegrityAlgorithm,
        nea: CipheringAlgorithm,
    ) -> NasSecurityModeCommand {
        let algorithms = NasSecurityAlgorithms::from_algorithms(nea, nia);
        let mut command = NasSecurityModeCommand::new(algorithms, ngksi(self.ngksi), self.capability.clone());
        command.set_imeisv_request(NasImeisvRequest::new(1));
        command
    }

    pub(crate) fn protect_new(
        &mut self,
        command: NasSecurityModeCommand,
        nia: IntegrityAlgorithm,
        nea: CipheringAlgorithm,
    ) -> Vec<u8> {
        let mut context = NasSecurityContext::from_fresh_kamf(self.kamf.as_ref().unwrap(), nia, nea).unwrap();
        let header = Nas5gsSecurityHeaderType::IntegrityProtectedWithNewFiveGNasSecurityContext;
        let octets = context.protect(&Nas5gsMessage::new_5gmm(command), header, Direction::Downlink).unwrap();
        self.context = Some(context);
        octets
    }

    pub(crate) fn protect(&mut self, message: impl Into<Nas5gmmMessage>) -> Vec<u8> {
        let header = Nas5gsSecurityHeaderType::IntegrityProtectedAndCiphered;
        let context = self.context.as_mut().unwrap();
        context.protect(&Nas5gsMessage::new_5gmm(message), header, Direction::Downlink).unwrap()
    }

    pub(crate) fn protect_opaque(&mut self, plain: Vec<u8>) -> Vec<u8> {
        let header = Nas5gsSecurityHeaderType::IntegrityProtectedAndCiphered;
        self.context.as_mut().unwrap().protect_opaque_payload(plain, header, Direction::Downlink).unwrap()
    }

    pub(crate) fn guti(&mut self) -> Guti {
        self.tmsi += 1;
        Guti::new(oxirush_security::Plmn::new("001", "01").unwrap(), 1, 1, 0, self.tmsi).unwrap()
    }

    pub(crate) fn accept_message(&mut self) -> NasRegistrationAccept {
        let plmn = oxirush_security::Plmn::new("001", "01").unwrap();
        let result = NasFGsRegistrationResult::from_result(RegistrationResult::ThreeGppAccess);
        NasRegistrationAccept::new(result)
            .with_fg_guti(NasFGsMobileIdentity::from_guti(self.guti()))
            .with_tai_list(NasFGsTrackingAreaIdentityList::from_plmn_tacs(&plmn, &[1]).unwrap())
            .with_allowed_nssai(NasNssai::from_snssais(&[NasSNssai::from_sst_sd(1, None)]).unwrap())
            .with_t3512_value(NasT3512Value::from_seconds(600).unwrap())
    }

    pub(crate) fn accept(&mut self) -> Vec<u8> {
        let accept = self.accept_message();
        self.protect(accept)
    }

    /// A 5GSM message in a DL NAS TRANSPORT.
    pub(crate) fn session_message(&mut self, message: impl Into<Nas5gsmMessage>, psi: u8, pti: u8) -> Vec<u8> {
        let message = Nas5gsMessage::new_5gsm(message, psi, pti);
        let container = NasPayloadContainer::from_n1_sm_message(&message).unwrap();
        let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
        let identity = NasPduSessionIdentity2::from_pdu_session_id(psi);
        self.protect(NasDlNasTransport::new(kind, container).with_pdu_session_id(identity))
    }

    /// An uplink message, unprotected if it was protected.
    pub(crate) fn read(&mut self, octets: &[u8]) -> Nas5gmmMessage {
        let message = match is_security_protected(octets) {
            true => self.context.as_mut().unwrap().unprotect(octets, Direction::Uplink).unwrap().message,
            false => Nas5gsMessage::decode(octets).unwrap(),
        };
        match message {
            Nas5gsMessage::Gmm(_, message) => message,
            other => panic!("{other}"),
        }
    }
}

pub(crate) fn establishment_accept(ipv4: [u8; 4]) -> NasPduSessionEstablishmentAccept {
    // TS 24.501 9.11.4.13: rule 1, create, default, one match-all filter, precedence 255, QFI 1.
    let rules = NasQosRules::new(vec![0x01, 0x00, 0x06, 0x31, 0x31, 0x01, 0x01, 0xFF, 0x01]);
    NasPduSessionEstablishmentAccept::new(
        NasPduSessionType::from_session_type(PduSessionTypeValue::Ipv4),
        NasSscMode::from_mode(SscModeValue::Ssc1),
        rules,
        NasSessionAmbr::from_kbps(1_000_000, 1_000_000).unwrap(),
    )
    .with_pdu_address(NasPduAddress::from_ipv4(ipv4))
    .with_extended_protocol_configuration_options(NasExtendedProtocolConfigurationOptions::new(vec![
        0x80, 0x00, 0x0D, 0x04, 8, 8, 8, 8, 0x00, 0x10, 0x02, 0x05, 0x78,
    ]))
}

pub(crate) fn ngksi(value: u8) -> NasKeySetIdentifier {
    NasKeySetIdentifier::from_key_set_identifier(KeySetIdentifier::Native(value)).unwrap()
}

pub(crate) fn plain(message: impl Into<Nas5gmmMessage>) -> Vec<u8> {
    Nas5gsMessage::new_5gmm(message).encode().unwrap()
}

/// A UE, its network, and the time.
pub(crate) struct Script {
    pub(crate) ue: Ue,
    pub(crate) network: Network,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    /// What the UE sent, in order, not yet looked at.
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) connections: u32,
    pub(crate) local_releases: u32,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::of(config())
    }

    pub(crate) fn of(config: UeConfig) -> Self {
        let network = Network::new(config.supi.imsi());
        Self {
            ue: Ue::new(config),
            network,
            now: Instant::now(),
            events: Vec::new(),
            sent: Vec::new(),
            connections: 0,
            local_releases: 0,
        }
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.ue.handle(self.now, input, &mut out);
        self.take(out);
    }

    pub(crate) fn receive(&mut self, octets: &[u8]) {
        self.handle(Input::Nas(octets));
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Initial { nas, .. } => {
                    self.connections += 1;
                    self.sent.push(nas);
                }
                Output::Uplink { nas } => self.sent.push(nas),
                Output::LocalRelease => self.local_releases += 1,
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// The one message that the UE sent since the last look.
    pub(crate) fn one(&mut self) -> Vec<u8> {
        assert_eq!(self.sent.len(), 1, "{:?} {:?}", self.sent, self.events);
        self.sent.remove(0)
    }

    pub(crate) fn read_one(&mut self) -> Nas5gmmMessage {
        let octets = self.one();
        self.network.read(&octets)
    }

    /// Lets time pass until the next timer of the UE, which is to be `after` from now.
    pub(crate) fn wait(&mut self, after: Duration) {
        assert_eq!(self.ue.next_deadline(), Some(self.now + after));
        self.now += after;
        let mut out = Vec::new();
        self.ue.handle_timeout(self.now, &mut out);
        self.take(out);
    }

    pub(crate) fn register(&mut self) {
        self.handle(Input::Register(RegistrationKind::Initial));
        self.sent.clear();
        let challenge = self.network.challenge();
        self.receive(&challenge);
        self.sent.clear();
        let command = self.network.mode_command(IntegrityAlgorithm::NIA2, CipheringAlgorithm::NEA2);
        self.receive(&command);
        self.read_one();
        let accept = self.network.accept();
        self.receive(&accept);
        self.read_one();
        assert!(matches!(self.events[..], [Event::Registered { guti: Some(_) }]), "{:?}", self.events);
        self.events.clear();
    }

    pub(crate) fn establish(&mut self, psi: u8) -> u8 {
        self.handle(Input::EstablishSession(coeur_ran::ue::SessionRequest { psi, dnn: None, slice: None }));
        let (_, pti, _) = self.read_session();
        let accept = self.network.session_message(establishment_accept([10, 45, 0, psi]), psi, pti);
        self.receive(&accept);
        assert!(matches!(self.events[..], [Event::SessionEstablished(_)]), "{:?}", self.events);
        self.events.clear();
        pti
    }

    /// The 5GSM message in the one UL NAS TRANSPORT that the UE sent.
    pub(crate) fn read_session(&mut self) -> (u8, u8, Nas5gsmMessage) {
        let Nas5gmmMessage::UlNasTransport(transport) = self.read_one() else { panic!("no UL NAS TRANSPORT") };
        match transport.payload_container.decode_as_n1_sm_message().unwrap() {
            Nas5gsMessage::Gsm(header, message) => {
                assert_eq!(transport.pdu_session_id.unwrap().pdu_session_id(), header.pdu_session_identity);
                (header.pdu_session_identity, header.procedure_transaction_identity, message)
            }
            other => panic!("{other}"),
        }
    }

    pub(crate) fn violations(&mut self) -> Vec<Violation> {
        let violations = self.events.iter().filter_map(|event| match event {
            Event::Violation(violation) => Some(violation.clone()),
            _ => None,
        });
        let violations = violations.collect();
        self.events.retain(|event| !matches!(event, Event::Violation(_)));
        violations
    }
}

pub(crate) fn plmn() -> Plmn {
    "00101".parse().unwrap()
}
