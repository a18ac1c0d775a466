//! An AMF and SMF for well-behaved UEs, as a value: NGAP in, NGAP out. It checks nothing that unprotecting does not check.

use crate::network::{Network, establishment_accept};
use anyhow::{Context as _, bail};
use oxirush_nas::nas_5gs::{
    CipheringAlgorithm, Direction, Guti, IntegrityAlgorithm, Nas5gmmMessage, Nas5gsMessage, Nas5gsmMessage,
    NasConnection, NasDeregistrationAcceptUeOriginating, NasFGsMobileIdentity, NasServiceAccept, STmsi, Suci,
    is_security_protected,
};
use oxirush_ngap::aper::{BitString, Octets};
use oxirush_ngap::helpers::*;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{NgapPduKind, build_ngap, build_ngap_ie, extract_ngap_ies};
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// Where uplink packets go to, unless told.
pub(crate) const UPF: Ipv4Addr = Ipv4Addr::new(10, 0, 3, 2);
pub(crate) const UPLINK_TEID: u32 = 0xAABB_CC00;

pub(crate) struct Core {
    pub(crate) upf: Ipv4Addr,
    networks: HashMap<u64, Network>,
    by_tmsi: HashMap<u32, u64>,
    /// UE and session of an uplink TEID.
    tunnels: HashMap<u32, (u64, u8)>,
    /// Where a session's downlink packets go.
    pub(crate) downlink: HashMap<(u64, u8), (Ipv4Addr, u32)>,
}

type Answers = anyhow::Result<Vec<Vec<u8>>>;

impl Core {
    pub(crate) fn new() -> Self {
        Self {
            upf: UPF,
            networks: HashMap::new(),
            by_tmsi: HashMap::new(),
            tunnels: HashMap::new(),
            downlink: HashMap::new(),
        }
    }

    /// The downlink tunnel of the session that an uplink TEID belongs to.
    pub(crate) fn back(&self, uplink_teid: u32) -> Option<(Ipv4Addr, u32)> {
        self.downlink.get(self.tunnels.get(&uplink_teid)?).copied()
    }

    pub(crate) fn receive(&mut self, octets: &[u8]) -> Answers {
        let pdu = NGAP_PDU::decode(octets)?;
        match pdu.kind() {
            NgapPduKind::Initiating_NGSetup => Ok(vec![set_up_response()?]),
            NgapPduKind::Initiating_InitialUEMessage => {
                extract_ngap_ies!(pdu, InitialUEMessage,
                    req ran_id: u32 = RAN_UE_NGAP_ID(id),
                    req nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
                );
                self.initial(ran_id, &nas)
            }
            NgapPduKind::Initiating_UplinkNASTransport => {
                extract_ngap_ies!(pdu, UplinkNASTransport,
                    req amf_id: u64 = AMF_UE_NGAP_ID(id),
                    req ran_id: u32 = RAN_UE_NGAP_ID(id),
                    req nas: Vec<u8> = NAS_PDU(nas) => nas.0.to_vec(),
                );
                self.uplink(amf_id, ran_id, &nas)
            }
            NgapPduKind::Initiating_UEContextReleaseRequest => {
                extract_ngap_ies!(pdu, UEContextReleaseRequest,
                    req amf_id: u64 = AMF_UE_NGAP_ID(id),
                    req ran_id: u32 = RAN_UE_NGAP_ID(id),
                );
                Ok(vec![release(amf_id, ran_id)?])
            }
            NgapPduKind::Successful_PDUSessionResourceSetup => {
                extract_ngap_ies!(pdu, PDUSessionResourceSetupResponse,
                    req amf_id: u64 = AMF_UE_NGAP_ID(id),
                    req done: PDUSessionResourceSetupListSURes<'_> = PDUSessionResourceSetupListSURes(list) => list,
                );
                for item in done.0 {
                    self.session_is_up(
                        amf_id,
                        item.pdu_session_id.0,
                        &item.pdu_session_resource_setup_response_transfer,
                    )?;
                }
                Ok(Vec::new())
            }
            NgapPduKind::Successful_InitialContextSetup => {
                extract_ngap_ies!(pdu, InitialContextSetupResponse,
                    req amf_id: u64 = AMF_UE_NGAP_ID(id),
                    opt done: PDUSessionResourceSetupListCxtRes<'_> = PDUSessionResourceSetupListCxtRes(list) => list,
                );
                for item in done.map(|list| list.0).unwrap_or_default() {
                    self.session_is_up(
                        amf_id,
                        item.pdu_session_id.0,
                        &item.pdu_session_resource_setup_response_transfer,
                    )?;
                }
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn session_is_up(&mut self, amf_id: u64, psi: u8, transfer: &Octets<'_>) -> anyhow::Result<()> {
        let transfer: PDUSessionResourceSetupResponseTransfer<'_> = decode_open_type(transfer)?;
        let tunnel = transfer.dl_qos_flow_per_tnl_information.up_transport_layer_information;
        let UPTransportLayerInformation::gTPTunnel(tunnel) = tunnel else { bail!("no tunnel") };
        let address: [u8; 4] = tunnel.transport_layer_address.0.as_octets().try_into()?;
        self.downlink.insert((amf_id, psi), (address.into(), u32::from_be_bytes(tunnel.gtp_teid.0)));
        Ok(())
    }

    fn initial(&mut self, ran_id: u32, nas: &[u8]) -> Answers {
        let message = Nas5gsMessage::decode(nas)?;
        let inner = match message {
            Nas5gsMessage::SecurityProtected(_, inner) => *inner,
            plain => plain,
        };
        let Nas5gsMessage::Gmm(_, inner) = inner else { bail!("not 5GMM") };
        let identity = match &inner {
            Nas5gmmMessage::RegistrationRequest(request) => &request.fgs_mobile_identity,
            Nas5gmmMessage::ServiceRequest(request) => &request.fg_s_tmsi,
            Nas5gmmMessage::DeregistrationRequestUeOriginating(request) => &request.fgs_mobile_identity,
            _ => bail!("no initial message"),
        };
        let amf_id = self.identify(identity)?;
        let network = self.networks.get_mut(&amf_id).context("no such UE")?;
        if !is_security_protected(nas) {
            return Ok(vec![downlink(amf_id, ran_id, network.challenge())?]);
        }
        let context = network.context.as_mut().context("no context")?;
        let Nas5gsMessage::Gmm(_, message) = context.unprotect(nas, Direction::Uplink)?.message else {
            bail!("not 5GMM")
        };
        match message {
            Nas5gmmMessage::ServiceRequest(_) => {
                let accept = network.protect(NasServiceAccept::new());
                Ok(vec![self.context_setup(amf_id, ran_id, accept, true)?])
            }
            Nas5gmmMessage::RegistrationRequest(_) => self.accept(amf_id, ran_id),
            _ => self.uplink_message(amf_id, ran_id, message),
        }
    }

    /// A known UE by its TMSI, a new one by its IMSI.
    fn identify(&mut self, identity: &NasFGsMobileIdentity) -> anyhow::Result<u64> {
        let tmsi = identity.as_guti().as_ref().map(Guti::tmsi).or(identity.as_s_tmsi().as_ref().map(STmsi::tmsi));
        if let Some(tmsi) = tmsi {
            return self.by_tmsi.get(&tmsi).copied().context("unknown TMSI");
        }
        let Some(Suci::Imsi(suci)) = identity.as_suci() else { bail!("neither GUTI nor SUCI") };
        let imsi = suci.imsi().context("concealed")?.to_string();
        let digits: String = imsi.chars().filter(char::is_ascii_digit).collect();
        let amf_id = digits.parse::<u64>()? % (1 << 40);
        self.networks.entry(amf_id).or_insert_with(|| Network::new(&digits));
        Ok(amf_id)
    }

    fn uplink(&mut self, amf_id: u64, ran_id: u32, nas: &[u8]) -> Answers {
        let network = self.networks.get_mut(&amf_id).context("unknown UE")?;
        let message = match is_security_protected(nas) {
            true => network.context.as_mut().context("no context")?.unprotect(nas, Direction::Uplink)?.message,
            false => Nas5gsMessage::decode(nas)?,
        };
        let Nas5gsMessage::Gmm(_, message) = message else { bail!("not 5GMM") };
        self.uplink_message(amf_id, ran_id, message)
    }

    fn uplink_message(&mut self, amf_id: u64, ran_id: u32, message: Nas5gmmMessage) -> Answers {
        let network = self.networks.get_mut(&amf_id).context("unknown UE")?;
        match message {
            Nas5gmmMessage::AuthenticationResponse(_) => {
                let command = network.mode_command(IntegrityAlgorithm::NIA2, CipheringAlgorithm::NEA2);
                Ok(vec![downlink(amf_id, ran_id, command)?])
            }
            Nas5gmmMessage::SecurityModeComplete(_) => self.accept(amf_id, ran_id),
            Nas5gmmMessage::UlNasTransport(transport) => {
                let Ok(Nas5gsMessage::Gsm(header, Nas5gsmMessage::PduSessionEstablishmentRequest(_))) =
                    transport.payload_container.decode_as_n1_sm_message()
                else {
                    return Ok(Vec::new());
                };
                let (psi, pti) = (header.pdu_session_identity, header.procedure_transaction_identity);
                let accept = establishment_accept(address(amf_id).octets());
                let accept = network.session_message(accept, psi, pti);
                Ok(vec![self.session_setup(amf_id, ran_id, psi, accept)?])
            }
            Nas5gmmMessage::DeregistrationRequestUeOriginating(_) => {
                let accept = network.protect(NasDeregistrationAcceptUeOriginating::new());
                Ok(vec![downlink(amf_id, ran_id, accept)?, release(amf_id, ran_id)?])
            }
            _ => Ok(Vec::new()),
        }
    }

    fn accept(&mut self, amf_id: u64, ran_id: u32) -> Answers {
        let network = self.networks.get_mut(&amf_id).context("unknown UE")?;
        // A TMSI for each UE: its low bits are those of the IMSI.
        network.tmsi = 0xC000_0000 | ((amf_id as u32 & 0xFFFF) << 8) | (network.tmsi & 0xFF);
        let accept = network.accept();
        self.by_tmsi.insert(network.tmsi, amf_id);
        Ok(vec![self.context_setup(amf_id, ran_id, accept, false)?])
    }

    fn context_setup(&mut self, amf_id: u64, ran_id: u32, nas: Vec<u8>, sessions: bool) -> anyhow::Result<Vec<u8>> {
        let network = &self.networks[&amf_id];
        // The last uplink message read: KgNB is derived with its COUNT (TS 33.501, A.9).
        let context = network.context.as_ref().context("no context")?;
        let next = context.nas_count(Direction::Uplink, NasConnection::ThreeGpp).context("no COUNT")?;
        let count = oxirush_security::NasCount::new(next.get() - 1)?;
        let kgnb = oxirush_security::nas_5gs::derive_kgnb(network.kamf(), count);
        let allowed = AllowedNSSAI(vec![AllowedNSSAIItem::new(s_nssai(1, None), None)]);
        let capabilities = ue_security_capabilities(0xE0, 0xE0);
        let pdu = if sessions && self.downlink.contains_key(&(amf_id, 1)) {
            let transfer = self.transfer(amf_id, 1)?;
            let item = PDUSessionResourceSetupItemCxtReq::new(PDUSessionID(1), None, s_nssai(1, None), transfer, None);
            build_ngap!(
                InitiatingMessage,
                InitialContextSetup,
                InitialContextSetupRequest,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                GUAMI(guami(plmn_identity(), 1, 1, 0)?),
                PDUSessionResourceSetupListCxtReq(PDUSessionResourceSetupListCxtReq(vec![item])),
                AllowedNSSAI(allowed),
                UESecurityCapabilities(capabilities),
                SecurityKey(*kgnb.as_octets()),
                NAS_PDU(nas),
            )?
        } else {
            build_ngap!(
                InitiatingMessage,
                InitialContextSetup,
                InitialContextSetupRequest,
                AMF_UE_NGAP_ID(amf_id),
                RAN_UE_NGAP_ID(ran_id),
                GUAMI(guami(plmn_identity(), 1, 1, 0)?),
                AllowedNSSAI(allowed),
                UESecurityCapabilities(capabilities),
                SecurityKey(*kgnb.as_octets()),
                NAS_PDU(nas),
            )?
        };
        Ok(pdu.encode()?)
    }

    fn session_setup(&mut self, amf_id: u64, ran_id: u32, psi: u8, nas: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let transfer = self.transfer(amf_id, psi)?;
        let item = PDUSessionResourceSetupItemSUReq::new(
            PDUSessionID(psi),
            Some(NASPDU(nas.into())),
            s_nssai(1, None),
            transfer,
            None,
        );
        let pdu = build_ngap!(
            InitiatingMessage,
            PDUSessionResourceSetup,
            PDUSessionResourceSetupRequest,
            AMF_UE_NGAP_ID(amf_id),
            RAN_UE_NGAP_ID(ran_id),
            PDUSessionResourceSetupListSUReq(PDUSessionResourceSetupListSUReq(vec![item])),
        )?;
        Ok(pdu.encode()?)
    }

    fn transfer(&mut self, amf_id: u64, psi: u8) -> anyhow::Result<Octets<'static>> {
        let known = self.tunnels.iter().find(|(_, session)| **session == (amf_id, psi)).map(|(teid, _)| *teid);
        let teid = known.unwrap_or(UPLINK_TEID + self.tunnels.len() as u32);
        self.tunnels.insert(teid, (amf_id, psi));
        setup_transfer(self.upf, teid)
    }
}

/// The address of a UE's sessions.
fn address(amf_id: u64) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 45, 0, 0)) + (amf_id as u32 & 0xFFFF))
}

pub(crate) fn plmn_identity() -> PLMNIdentity {
    oxirush_ngap::helpers::plmn("001", "01").unwrap()
}

pub(crate) fn set_up_response() -> anyhow::Result<Vec<u8>> {
    let slices = SliceSupportList(vec![SliceSupportItem::new(s_nssai(1, None), None)]);
    let guami = ServedGUAMIItem::new(guami(plmn_identity(), 1, 1, 0)?, None, None);
    let pdu = build_ngap!(
        SuccessfulOutcome,
        NGSetup,
        NGSetupResponse,
        AMFName("amf"),
        ServedGUAMIList(ServedGUAMIList(vec![guami])),
        RelativeAMFCapacity(RelativeAMFCapacity(255)),
        PLMNSupportList(PLMNSupportList(vec![PLMNSupportItem::new(plmn_identity(), slices, None)])),
    )?;
    Ok(pdu.encode()?)
}

pub(crate) fn downlink(amf_id: u64, ran_id: u32, nas: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let pdu = build_ngap!(
        InitiatingMessage,
        DownlinkNASTransport,
        DownlinkNASTransport,
        AMF_UE_NGAP_ID(amf_id),
        RAN_UE_NGAP_ID(ran_id),
        NAS_PDU(nas),
    )?;
    Ok(pdu.encode()?)
}

pub(crate) fn release(amf_id: u64, ran_id: u32) -> anyhow::Result<Vec<u8>> {
    let pair = UENGAPIDPair::new(AMFUENGAPID(amf_id), RANUENGAPID(ran_id), None);
    let pdu = build_ngap!(
        InitiatingMessage,
        UEContextRelease,
        UEContextReleaseCommand,
        UE_NGAP_IDs(UENGAPIDs::uE_NGAP_ID_pair(pair)),
        Cause(Cause::nas(CauseNas::normal_release)),
    )?;
    Ok(pdu.encode()?)
}

fn setup_transfer(upf: Ipv4Addr, teid: u32) -> anyhow::Result<Octets<'static>> {
    let address = TransportLayerAddress(BitString::from(upf.octets()));
    let tunnel = GTPTunnel::new(address, GTPTEID(teid.to_be_bytes()), None);
    let priority = AllocationAndRetentionPriority::new(
        PriorityLevelARP(8),
        PreEmptionCapability::shall_not_trigger_pre_emption,
        PreEmptionVulnerability::not_pre_emptable,
        None,
    );
    let characteristics = NonDynamic5QIDescriptor::new(FiveQI(9), None, None, None, None);
    let characteristics = QosCharacteristics::nonDynamic5QI(characteristics);
    let parameters = QosFlowLevelQosParameters::new(characteristics, priority, None, None, None, None);
    let flow = QosFlowSetupRequestItem::new(QosFlowIdentifier(1), parameters, None, None);
    let transfer = PDUSessionResourceSetupRequestTransfer::new(ProtocolIEContainer(vec![
        build_ngap_ie!(
            PDUSessionResourceSetupRequestTransfer,
            UL_NGU_UP_TNLInformation(UPTransportLayerInformation::gTPTunnel(tunnel))
        )?,
        build_ngap_ie!(PDUSessionResourceSetupRequestTransfer, PDUSessionType(PDUSessionType::ipv4))?,
        build_ngap_ie!(
            PDUSessionResourceSetupRequestTransfer,
            QosFlowSetupRequestList(QosFlowSetupRequestList(vec![flow]))
        )?,
    ]));
    Ok(encode_open_type(&transfer)?.into_owned())
}
