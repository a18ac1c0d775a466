//! What a core under test is configured with: its file, and its subscribers.

use crate::{Addresses, Lab};
use std::{fmt::Write as _, net::Ipv4Addr};

/// Which way packets take through the user plane, as the configuration names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// What the user plane finds best.
    #[default]
    Auto,
    Xdp,
    Tc,
    Generic,
}

impl Path {
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Xdp => "xdp",
            Self::Tc => "tc",
            Self::Generic => "generic",
        }
    }
}

/// The file that `coeur up` reads.
#[derive(Clone, Debug)]
pub struct CoreFile {
    /// Names the core, and with it everything of it that could collide with another run on this machine.
    pub name: String,
    pub state: std::path::PathBuf,
    pub api: Ipv4Addr,
    pub n2: Ipv4Addr,
    pub sctp: &'static str,
    pub path: Path,
    /// Where N4 ends: our address, the user plane's.
    pub n4: (Ipv4Addr, Ipv4Addr),
    /// The platform starts a user plane with these interfaces; none: one that we run.
    pub user_plane: bool,
    pub n3: Ipv4Addr,
}

impl CoreFile {
    pub const PLMN: &'static str = "00101";
    pub const TAC: u32 = 1;
    pub const SLICE: &'static str = "1";
    pub const DNN: &'static str = "internet";
    pub const API_PORT: u16 = 8080;
    pub const CORE_METRICS_PORT: u16 = 9091;
    pub const UPF_METRICS_PORT: u16 = 9092;

    /// A core with its user plane, in the core's namespace of a lab.
    pub fn in_lab(lab: &Lab, path: Path) -> Self {
        let a: &Addresses = &lab.addresses;
        Self {
            name: crate::workdir::core_name(lab.workdir.tag()),
            state: lab.workdir.file("state"),
            api: Ipv4Addr::LOCALHOST,
            n2: a.core_n3,
            sctp: "auto",
            path,
            n4: (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 8)),
            user_plane: true,
            n3: a.core_n3,
        }
    }

    /// The text of the file.
    pub fn to_toml(&self) -> String {
        let Self { name, state, api, n2, sctp, path, n4, n3, .. } = self;
        let (plmn, tac, slice, dnn, pool) = (Self::PLMN, Self::TAC, Self::SLICE, Self::DNN, Addresses::LAB.pool);
        let (state, path, n3_interface, n6_interface) = (state.display(), path.name(), Lab::N3, Lab::N6);
        let (api_port, core_port, upf_port) = (Self::API_PORT, Self::CORE_METRICS_PORT, Self::UPF_METRICS_PORT);
        let mut text = format!(
            r#"data_dir = "{state}"

[api]
listen = "{api}:{api_port}"

[[core]]
name = "{name}"
plmn = "{plmn}"
tacs = [{tac}]
slices = ["{slice}"]
metrics = "{api}:{core_port}"
n2 = {{ address = "{n2}", sctp = "{sctp}" }}
n4 = {{ local = "{}:8805", upf = "{}:8805" }}

[[core.dnn]]
name = "{dnn}"
pool = "{pool}"
"#,
            n4.0, n4.1
        );
        if self.user_plane {
            let _ = write!(
                text,
                r#"
[core.upf]
path = "{path}"
metrics = "127.0.0.1:{upf_port}"
n3 = {{ interface = "{n3_interface}", address = "{n3}" }}
n6 = {{ interface = "{n6_interface}" }}
"#
            );
        }
        text
    }
}

/// One SIM.
#[derive(Clone, Debug)]
pub struct Subscriber {
    pub supi: String,
    pub k: String,
    pub opc: String,
}

/// `count` SIMs of the test network, each with its own keys; the same every time.
pub fn subscribers(count: u32) -> Vec<Subscriber> {
    (1..=count)
        .map(|index| Subscriber {
            supi: format!("imsi-{}{index:010}", CoreFile::PLMN),
            k: format!("465b5ce8b199b49faa5f0a2e{index:08x}"),
            opc: format!("e8ed289deba952e4283b54e8{index:08x}"),
        })
        .collect()
}
