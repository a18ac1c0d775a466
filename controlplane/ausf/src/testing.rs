//! What the tests of this crate share: an AUSF, an AMF that asks, a UDM with the vector of TS 35.208 set 1 in network
//! 208-93.

use crate::Ausf;
use coeur_model::config::CoreConfig;
use coeur_model::{Secret, Supi};
use coeur_nf::services::nausf::{
    AusfInput, AusfOutput, AusfProblem, AusfRequest, AusfResponse, Identity, Resynchronisation,
};
use coeur_nf::services::nudm::{AuthenticationVector, UdmProblem, UdmRequest, UdmResponse};
use coeur_nf::{Entropy, Env, ExchangeId, NetworkFunction};
use std::time::{Duration, Instant};

pub(crate) const SNN: &str = "5G:mnc093.mcc208.3gppnetwork.org";
pub(crate) const RAND: &str = "23553cbe9637a89d218ae64dae47bf35";
pub(crate) const AUTN: &str = "55f328b43577b9b94a9ffac354dfafb3";
pub(crate) const XRES_STAR: &str = "5cc9527f4d21c43bee83a15443acf1c4";
pub(crate) const HXRES_STAR: &str = "6970075e3c8245fdc2073003cf166279";
pub(crate) const KSEAF: &str = "cfddde483bd1318a412e98870f556410905be4fb7500abed93ee16af71bbb3fa";
const KAUSF: &str = "f2e35260f85194d4f891504d02111e56689ac23dd393bee3abbcc5bfbc013ef9";

/// The AMF's number for every request of these tests.
pub(crate) const ASKED: ExchangeId = ExchangeId(7);

const CONFIG: &str = r#"
name = "test"
plmn = "20893"
tacs = [1]
slices = ["1"]
n2 = { address = "127.0.0.1" }
n4 = { local = "127.0.0.1:8805", upf = "127.0.0.2:8805" }

[[dnn]]
name = "internet"
pool = "10.45.0.0/16"
"#;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn supi() -> Supi {
    "208930000000001".parse().unwrap()
}

pub(crate) fn vector() -> UdmResponse {
    UdmResponse::AuthData(Box::new(AuthenticationVector {
        supi: supi(),
        rand: hex(RAND).try_into().unwrap(),
        autn: hex(AUTN).try_into().unwrap(),
        xres_star: Secret::from_hex(XRES_STAR).unwrap(),
        kausf: Secret::from_hex(KAUSF).unwrap(),
    }))
}

pub(crate) fn authenticate(network: &str, resynchronisation: Option<Resynchronisation>) -> AusfRequest {
    AusfRequest::Authenticate {
        identity: Identity::Supi(supi()),
        serving_network_name: network.into(),
        resynchronisation,
    }
}

struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, _: &mut [u8]) {
        panic!("an AUSF draws nothing");
    }
}

pub(crate) struct Fixture {
    pub(crate) ausf: Ausf,
    pub(crate) now: Instant,
}

impl Fixture {
    #[allow(clippy::disallowed_methods, reason = "a test has a clock")]
    pub(crate) fn new() -> Self {
        Self { ausf: Ausf::new(&CoreConfig::from_toml(CONFIG).unwrap()), now: Instant::now() }
    }

    fn handle(&mut self, input: AusfInput) -> Vec<AusfOutput> {
        let mut out = Vec::new();
        let mut env = Env { now: self.now, unix_time: Duration::ZERO, entropy: &mut NoEntropy };
        self.ausf.handle(&mut env, input, &mut out);
        out
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        let mut env = Env { now: self.now, unix_time: Duration::ZERO, entropy: &mut NoEntropy };
        self.ausf.handle_timeout(&mut env, &mut Vec::new());
    }

    pub(crate) fn request(&mut self, request: AusfRequest) -> Vec<AusfOutput> {
        self.handle(AusfInput::Request(ASKED, request))
    }

    /// The request is answered at once.
    pub(crate) fn responds(&mut self, request: AusfRequest) -> Result<AusfResponse, AusfProblem> {
        match &self.request(request)[..] {
            [AusfOutput::Respond(ASKED, answer)] => answer.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The request goes on to the UDM.
    pub(crate) fn asks_udm(&mut self, request: AusfRequest) -> (ExchangeId, UdmRequest) {
        match &self.request(request)[..] {
            [AusfOutput::Udm(exchange, request)] => (*exchange, request.clone()),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn udm_answers(
        &mut self,
        exchange: ExchangeId,
        answer: Result<UdmResponse, UdmProblem>,
    ) -> Vec<AusfOutput> {
        self.handle(AusfInput::Udm(exchange, answer))
    }

    pub(crate) fn challenged(&mut self) -> AusfResponse {
        let (exchange, _) = self.asks_udm(authenticate(SNN, None));
        match &self.udm_answers(exchange, Ok(vector()))[..] {
            [AusfOutput::Respond(ASKED, Ok(challenge))] => challenge.clone(),
            other => panic!("{other:?}"),
        }
    }
}
