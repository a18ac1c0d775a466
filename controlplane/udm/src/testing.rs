//! What the tests of this crate share: a UDM, an AUSF that asks, and keys of the specifications.

use crate::Udm;
use coeur_model::config::CoreConfig;
use coeur_model::{Secret, Supi};
use coeur_nf::services::nausf::{Identity, Resynchronisation};
use coeur_nf::services::nudm::{UdmConsumer, UdmInput, UdmOutput, UdmProblem, UdmRequest, UdmResponse};
use coeur_nf::store::{AuthenticationSubscription, StoreError, StoreOp, StoreReply};
use coeur_nf::{Entropy, Env, ExchangeId, NetworkFunction, StoreToken};
use std::time::{Duration, Instant};

pub(crate) const SNN: &str = "5G:mnc001.mcc001.3gppnetwork.org";

/// Home network private keys of TS 33.501, C.4.3 and C.4.4, both with the identifier 27.
pub(crate) const VECTOR_KEYS: &str = r#"
[[suci_key]]
id = 27
profile = "A"
private = "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d"

[[suci_key]]
id = 27
profile = "B"
private = "f1ab1074477ebcc7f554ea1c5fc368b1616730155e0041ac447d6301975fecda"
"#;

pub(crate) fn config(more: &str) -> CoreConfig {
    let base = r#"
name = "test"
plmn = "00101"
tacs = [1]
slices = ["1"]
n2 = { address = "127.0.0.1" }
n4 = { local = "127.0.0.1:8805", upf = "127.0.0.2:8805" }

[[dnn]]
name = "internet"
pool = "10.45.0.0/16"
"#;
    CoreConfig::from_toml(&format!("{base}{more}")).unwrap()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn supi() -> Supi {
    "001010000000001".parse().unwrap()
}

/// TS 35.208, test set 1.
pub(crate) fn set_1(sqn: u64) -> AuthenticationSubscription {
    AuthenticationSubscription {
        k: Secret::from_hex("465b5ce8b199b49faa5f0a2ee238a6bc").unwrap(),
        opc: Secret::from_hex("cd63cb71954a9f4e48a5994e37a02baf").unwrap(),
        amf: [0xB9, 0xB9],
        sqn,
    }
}

pub(crate) fn auth_request(resynchronisation: Option<Resynchronisation>) -> UdmRequest {
    UdmRequest::GenerateAuthData {
        identity: Identity::Supi(supi()),
        serving_network_name: SNN.into(),
        resynchronisation,
    }
}

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, octets: &mut [u8]) {
        self.0 += 1;
        octets.fill(self.0);
    }
}

pub(crate) struct Fixture {
    pub(crate) udm: Udm,
    now: Instant,
    entropy: Counting,
}

impl Fixture {
    #[allow(clippy::disallowed_methods, reason = "a test has a clock")]
    pub(crate) fn new(config_more: &str) -> Self {
        Self { udm: Udm::new(&config(config_more)).unwrap(), now: Instant::now(), entropy: Counting(0) }
    }

    pub(crate) fn handle(&mut self, input: UdmInput) -> Vec<UdmOutput> {
        let mut out = Vec::new();
        let mut env = Env { now: self.now, unix_time: Duration::ZERO, entropy: &mut self.entropy };
        self.udm.handle(&mut env, input, &mut out);
        out
    }

    fn ask(&mut self, request: UdmRequest) -> UdmOutput {
        let mut outputs = self.handle(UdmInput::Request(UdmConsumer::Ausf, ExchangeId(7), request));
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        outputs.remove(0)
    }

    /// The request asks the store; what it asks.
    pub(crate) fn stores(&mut self, request: UdmRequest) -> (StoreToken, StoreOp) {
        match self.ask(request) {
            UdmOutput::Store(token, op) => (token, op),
            other => panic!("{other:?}"),
        }
    }

    /// The request is answered at once.
    pub(crate) fn responds(&mut self, request: UdmRequest) -> Result<UdmResponse, UdmProblem> {
        response(self.ask(request))
    }

    /// The store's reply leads to an answer.
    pub(crate) fn stored(
        &mut self,
        token: StoreToken,
        reply: Result<StoreReply, StoreError>,
    ) -> Result<UdmResponse, UdmProblem> {
        let mut outputs = self.handle(UdmInput::Stored(token, reply));
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        response(outputs.remove(0))
    }
}

fn response(output: UdmOutput) -> Result<UdmResponse, UdmProblem> {
    match output {
        UdmOutput::Respond(UdmConsumer::Ausf, ExchangeId(7), answer) => answer,
        other => panic!("{other:?}"),
    }
}
