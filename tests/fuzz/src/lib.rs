//! Fuzz targets: every way in that a peer, a packet or a client has.
//!
//! A target is a function of octets; it panics when an invariant is broken, and never otherwise. `cargo xtask fuzz` runs
//! each under libFuzzer with coverage; plain `cargo test` replays `corpus/<target>/`, where every crash ever found stays.
//!
//! To add one: a function in `targets/`, a row in [`TARGETS`], a folder in `corpus/` with at least one input.

mod targets;
mod world;

/// One way in.
pub struct Target {
    /// Also the name of its corpus.
    pub name: &'static str,
    /// What is fed to what.
    pub about: &'static str,
    pub run: fn(&[u8]),
}

pub const TARGETS: &[Target] = &[
    Target {
        name: "amf_ngap",
        about: "SCTP messages of a gNB to a core that serves two phones",
        run: targets::core::ngap,
    },
    Target { name: "amf_nas", about: "NAS messages of a phone that is registered", run: targets::core::nas },
    Target { name: "amf_nas_first", about: "NAS messages of a phone that nobody knows", run: targets::core::nas_first },
    Target { name: "smf_pfcp", about: "datagrams from the user plane to the SMF", run: targets::core::smf_pfcp },
    Target { name: "upf_pfcp", about: "datagrams from the SMF to the user plane", run: targets::core::upf_pfcp },
    Target { name: "upf_gtpu", about: "datagrams to the slow path's GTP-U port", run: targets::gtpu::datagram },
    Target { name: "config", about: "the configuration of a hosted core", run: targets::config::core },
    Target { name: "udm_suci", about: "a SUCI's octets to the UDM, by way of the AUSF", run: targets::udm::suci },
    Target { name: "udm_auts", about: "RAND and AUTS of a resynchronisation to the UDM", run: targets::udm::auts },
];

/// The largest input that is tried: beyond what one message of any interface holds.
pub const INPUT_OCTETS_MAX: usize = 16 * 1024;

pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
