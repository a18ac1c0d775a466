//! What a network function is given while it is fuzzed: fixed time and entropy, so that an input always does the same.

use coeur_nf::{Entropy, Env};
use std::time::{Duration, Instant};

/// xorshift64: the same octets every time.
pub(crate) struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, octets: &mut [u8]) {
        for octet in octets {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *octet = self.0 as u8;
        }
    }
}

/// A clock that stands still.
pub(crate) struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    pub(crate) fn env<'a>(&self, entropy: &'a mut Seeded) -> Env<'a> {
        Env { now: self.0, unix_time: Duration::from_secs(1_700_000_000), entropy }
    }
}

/// The core that is fuzzed.
pub(crate) fn config() -> coeur_model::config::CoreConfig {
    coeur_model::config::CoreConfig::from_toml(
        r#"
name = "fuzz"
plmn = "00101"
tacs = [1]
slices = ["1"]
n2 = { address = "10.0.0.1" }
n4 = { local = "127.0.0.1:8805", upf = "127.0.0.8:8805" }

[[dnn]]
name = "internet"
pool = "10.45.0.0/16"

[[suci_key]]
id = 1
profile = "A"
private = "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d"

[[suci_key]]
id = 2
profile = "B"
private = "f1ab1074477ebcc7f554ea1c5fc368b1616730155e0041ac447d6301975fecda"
"#,
    )
    .expect("the text above is a configuration")
}
