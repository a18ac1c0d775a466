//! What codec and cryptography of one attach cost alone: the messages that were captured, decoded and encoded, protected
//! and unprotected again, with the keys that they were sent with.
//!
//! Decoding is what a receiver cannot do without: the PDU, the structure of its elements, the NAS message. What the core
//! does with it, its procedures, its storage and its sockets, is not here.

use super::{
    capture::{Attach, Way},
    keys,
};
use anyhow::{Context as _, ensure};
use coeur_e2e::{CoreFile, Subscriber};
use oxirush_nas::nas_5gs::{
    CipheringAlgorithm, Direction, IntegrityAlgorithm, KAmf, Nas5gmmMessage, Nas5gsMessage, Nas5gsSecurityHeaderType,
    NasSecurityContext,
};
use oxirush_ngap::{
    ie,
    ngap::{Criticality, DownlinkNASTransport, InitialContextSetupRequest, NGAP_PDU, PDUSessionResourceSetupRequest},
};
use oxirush_security::{
    Autn, NasCount, Rand,
    milenage::{Amf, K, Milenage, Opc, Sqn},
    nas_5gs::{Supi, compute_hxres_star, derive_kamf, derive_kausf, derive_kgnb, derive_kseaf},
};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// An attach takes some hundred microseconds: a trial is long enough for the clock and short enough for the scheduler.
const ROUNDS: u32 = 200;
const TRIALS: usize = 15;
/// ABBA of Release 15 and 16 (TS 33.501, A.7.1).
const ABBA: [u8; 2] = [0, 0];
/// A protected message: security header, MAC and sequence number before the message (TS 24.501, 9.1.1).
const EPD_5GMM: u8 = 0x7e;

/// The median of what one attach costs.
pub(super) fn measure(attach: &Attach, subscriber: &Subscriber) -> anyhow::Result<Duration> {
    let mut sim = Sim::new(subscriber)?;
    let work = plan(attach, &mut sim)?;
    let mut trials: Vec<Duration> = Vec::with_capacity(TRIALS);
    for _ in 0..TRIALS {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            sim.round(&work)?;
        }
        trials.push(start.elapsed() / ROUNDS);
    }
    trials.sort_unstable();
    Ok(trials[TRIALS / 2])
}

/// One piece of the core's work.
enum Work {
    DecodeNgap(Vec<u8>),
    EncodeNgap(Downlink),
    DecodeNas(Vec<u8>),
    EncodeNas(Box<Nas5gsMessage>),
    Unprotect(Vec<u8>),
    Protect(Box<Nas5gsMessage>, Nas5gsSecurityHeaderType),
    /// The vector, and the keys down to KAMF.
    Authenticate,
    DecodePfcp(Vec<u8>),
    EncodePfcp(Box<dyn rs_pfcp::message::Message>),
}

/// The messages that the core sends to a gNB in an attach, decoded.
enum Downlink {
    Nas(DownlinkNASTransport<'static>, Criticality),
    Context(InitialContextSetupRequest<'static>, Criticality),
    Session(PDUSessionResourceSetupRequest<'static>, Criticality),
}

impl Downlink {
    /// Decodes for good: a message borrows from its octets, and a bench ends soon.
    fn decode(octets: &[u8]) -> anyhow::Result<Option<Self>> {
        let pdu: &'static NGAP_PDU = Box::leak(Box::new(NGAP_PDU::decode(octets)?));
        let criticality = pdu.criticality();
        Ok(match pdu.procedure_name() {
            "DownlinkNASTransport" => Some(Self::Nas(pdu.decode_value()?, criticality)),
            "InitialContextSetup" | "InitialContextSetupRequest" => {
                Some(Self::Context(pdu.decode_value()?, criticality))
            }
            "PDUSessionResourceSetup" | "PDUSessionResourceSetupRequest" => {
                Some(Self::Session(pdu.decode_value()?, criticality))
            }
            _ => None,
        })
    }

    fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let pdu = match self {
            Self::Nas(message, criticality) => NGAP_PDU::of_message(message, *criticality),
            Self::Context(message, criticality) => NGAP_PDU::of_message(message, *criticality),
            Self::Session(message, criticality) => NGAP_PDU::of_message(message, *criticality),
        };
        Ok(pdu?.encode()?)
    }
}

/// The NAS message inside an NGAP message: an element of its own, or in the first session to be set up.
fn nas_of(pdu: &NGAP_PDU) -> Option<Vec<u8>> {
    if let Some(Ok(nas)) = pdu.ie::<ie::NAS_PDU>() {
        return Some(nas.0.as_slice().to_vec());
    }
    let list = pdu.ie::<ie::PDUSessionResourceSetupListSUReq>()?.ok()?;
    Some(list.0.first()?.pdu_session_nas_pdu.as_ref()?.0.as_slice().to_vec())
}

/// What has to be done for the messages of an attach, in their order.
fn plan(attach: &Attach, sim: &mut Sim) -> anyhow::Result<Vec<Work>> {
    let mut work = Vec::new();
    for (way, octets) in &attach.ngap {
        let pdu = NGAP_PDU::decode(octets)?;
        let nas = nas_of(&pdu);
        match way {
            Way::Up => {
                work.push(Work::DecodeNgap(octets.clone()));
                if let Some(nas) = nas {
                    work.push(sim.uplink(nas)?);
                }
            }
            Way::Down => {
                if let Some(nas) = nas {
                    sim.downlink(&nas, &mut work)?;
                }
                work.extend(Downlink::decode(octets)?.map(Work::EncodeNgap));
            }
        }
    }
    for octets in &attach.pfcp {
        let message = rs_pfcp::message::parse(octets).map_err(|error| anyhow::anyhow!("PFCP: {error}"))?;
        // TS 29.244, 7.3: session messages; the establishment and each modification.
        match octets.get(1) {
            Some(50 | 52) => work.push(Work::EncodePfcp(message)),
            Some(51 | 53) => work.push(Work::DecodePfcp(octets.clone())),
            _ => {}
        }
    }
    let complete = sim.context.is_some() && work.iter().any(|work| matches!(work, Work::EncodePfcp(_)));
    ensure!(complete, "what was captured is not a whole attach: {} NGAP messages", attach.ngap.len());
    Ok(work)
}

/// What the core knows of the phone.
struct Sim {
    milenage: Milenage,
    supi: String,
    network: String,
    /// Of the captured challenge, so that the vector computed here is the one that the messages were protected with.
    rand: [u8; 16],
    sqn: Sqn,
    amf: Amf,
    algorithms: Option<(IntegrityAlgorithm, CipheringAlgorithm)>,
    /// Follows the captured messages, while the work is planned.
    context: Option<NasSecurityContext>,
}

impl Sim {
    fn new(subscriber: &Subscriber) -> anyhow::Result<Self> {
        let (k, opc) = keys(subscriber)?;
        let (mcc, mnc) = CoreFile::PLMN.split_at(3);
        Ok(Self {
            milenage: Milenage::new(&K::new(&k), &Opc::new(&opc)),
            supi: subscriber.supi.clone(),
            network: format!("5G:mnc{mnc:0>3}.mcc{mcc}.3gppnetwork.org"),
            rand: [0; 16],
            sqn: Sqn::new(&[0; 6]),
            amf: Amf::new(&[0; 2]),
            algorithms: None,
            context: None,
        })
    }

    fn uplink(&mut self, nas: Vec<u8>) -> anyhow::Result<Work> {
        if !is_protected(&nas) {
            return Ok(Work::DecodeNas(nas));
        }
        let context = self.context.as_mut().context("a protected message before any key")?;
        context.unprotect(&nas, Direction::Uplink).context("an uplink message with keys of its own")?;
        Ok(Work::Unprotect(nas))
    }

    fn downlink(&mut self, nas: &[u8], work: &mut Vec<Work>) -> anyhow::Result<()> {
        if !is_protected(nas) {
            let message = Nas5gsMessage::decode(nas)?;
            if let Nas5gsMessage::Gmm(_, Nas5gmmMessage::AuthenticationRequest(request)) = &message {
                let rand = request.authentication_parameter_rand.as_ref().context("RAND")?;
                let autn = request.authentication_parameter_autn.as_ref().context("AUTN")?;
                self.challenge(rand.value[..].try_into()?, autn.value[..].try_into()?)?;
                work.push(Work::Authenticate);
            }
            work.push(Work::EncodeNas(Box::new(message)));
            return Ok(());
        }
        if self.context.is_none() {
            // SECURITY MODE COMMAND: integrity protected only, so it is plain behind the seven octets of its header.
            let plain = Nas5gsMessage::decode(nas.get(7..).context("too short")?)?;
            let Nas5gsMessage::Gmm(_, Nas5gmmMessage::SecurityModeCommand(command)) = &plain else {
                anyhow::bail!("the first protected message is no SECURITY MODE COMMAND");
            };
            let selected = &command.selected_nas_security_algorithms;
            let algorithms = selected.integrity().zip(selected.ciphering()).context("unknown algorithms")?;
            self.algorithms = Some(algorithms);
            self.context = Some(NasSecurityContext::from_fresh_kamf(&self.kamf()?, algorithms.0, algorithms.1)?);
        }
        let context = self.context.as_mut().context("set above")?;
        let verified =
            context.unprotect(nas, Direction::Downlink).context("a downlink message with keys of its own")?;
        work.push(Work::Protect(Box::new(verified.message), verified.security_header_type));
        Ok(())
    }

    /// Reads the captured challenge as the USIM does.
    fn challenge(&mut self, rand: [u8; 16], autn: [u8; 16]) -> anyhow::Result<()> {
        let read = self.milenage.check_autn(&Rand::new(&rand), &Autn::new(&autn));
        let read = read.ok().context("the challenge is not for this SIM")?;
        (self.rand, self.sqn, self.amf) = (rand, read.sqn().clone(), read.amf().clone());
        Ok(())
    }

    /// TS 33.501, 6.1.3.2 and A.2 to A.7: what UDM, AUSF and SEAF compute for one authentication.
    fn kamf(&self) -> anyhow::Result<KAmf> {
        let (rand, network) = (Rand::new(&self.rand), self.network.as_bytes());
        let vector = self.milenage.authentication_vector(&rand, &self.sqn, &self.amf);
        let kausf = derive_kausf(vector.ck(), vector.ik(), network, vector.autn())?;
        black_box(compute_hxres_star(&rand, &vector.xres_star(network)?));
        let kseaf = derive_kseaf(&kausf, network)?;
        Ok(derive_kamf(&kseaf, &Supi::parse(&self.supi)?, &ABBA)?)
    }

    /// Does the work of one attach.
    fn round(&self, work: &[Work]) -> anyhow::Result<()> {
        let (integrity, ciphering) = self.algorithms.context("no algorithms")?;
        let mut context = None;
        for work in work {
            match work {
                Work::DecodeNgap(octets) => {
                    let pdu = NGAP_PDU::decode(octets)?;
                    black_box(pdu.check_structure()?);
                    black_box(pdu.ie::<ie::AMF_UE_NGAP_ID>());
                    black_box(pdu.ie::<ie::RAN_UE_NGAP_ID>());
                    black_box(pdu.ie::<ie::NAS_PDU>());
                }
                Work::EncodeNgap(message) => drop(black_box(message.encode()?)),
                Work::DecodeNas(octets) => drop(black_box(Nas5gsMessage::decode(octets)?)),
                Work::EncodeNas(message) => drop(black_box(message.encode()?)),
                Work::Authenticate => {
                    let kamf = self.kamf()?;
                    black_box(derive_kgnb(&kamf, NasCount::ZERO));
                    context = Some(NasSecurityContext::from_fresh_kamf(&kamf, integrity, ciphering)?);
                }
                Work::Unprotect(octets) => {
                    let context = context.as_mut().context("no keys yet")?;
                    black_box(context.unprotect(octets, Direction::Uplink)?);
                }
                Work::Protect(message, header) => {
                    let context = context.as_mut().context("no keys yet")?;
                    black_box(context.protect(message, *header, Direction::Downlink)?);
                }
                Work::DecodePfcp(octets) => {
                    let parsed = rs_pfcp::message::parse(octets);
                    black_box(parsed.map_err(|error| anyhow::anyhow!("PFCP: {error}"))?);
                }
                Work::EncodePfcp(message) => drop(black_box(message.marshal())),
            }
        }
        Ok(())
    }
}

/// The security header type of a 5GMM message is not "plain" (TS 24.501, 9.3).
fn is_protected(nas: &[u8]) -> bool {
    matches!(nas, [EPD_5GMM, header, ..] if header & 0x0f != 0)
}
