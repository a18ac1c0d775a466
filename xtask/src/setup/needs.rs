//! The list: each thing with its purpose, how one sees that it is there, and where it comes from.

use coeur_e2e::on_path;
use std::path::Path;

/// What a chore is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compile the workspace and the eBPF programs.
    Build,
    /// Make namespaces and send packets.
    Packets,
    Test,
    Lint,
    Fuzz,
}

impl Purpose {
    pub(crate) const ALL: [Self; 5] = [Self::Build, Self::Packets, Self::Test, Self::Lint, Self::Fuzz];
}

pub(crate) struct Need {
    pub(crate) what: &'static str,
    pub(crate) why: &'static str,
    pub(crate) present: fn() -> bool,
    pub(crate) fix: Fix,
}

#[derive(Clone, Copy)]
pub(crate) enum Fix {
    Debian(&'static [&'static str]),
    Cargo { name: &'static str, version: &'static str },
}

impl Fix {
    pub(crate) fn hint(self) -> String {
        match self {
            Self::Debian(packages) => format!("Debian: {}", packages.join(" ")),
            Self::Cargo { name, version } => format!("cargo install --locked --version {version} {name}"),
        }
    }
}

pub(crate) const PROMETHEUS: &str = "prometheus";

/// Everything that `purposes` need, once each.
pub(crate) fn all(purposes: &[Purpose]) -> Vec<Need> {
    purposes.iter().flat_map(|purpose| of(*purpose)).collect()
}

fn of(purpose: Purpose) -> Vec<Need> {
    match purpose {
        Purpose::Build => build(),
        Purpose::Packets => packets(),
        Purpose::Test => test(),
        Purpose::Lint => vec![Need {
            what: "cargo-deny",
            why: "licences and sources of dependencies",
            present: || on_path("cargo-deny"),
            fix: Fix::Cargo { name: "cargo-deny", version: "0.20.2" },
        }],
        Purpose::Fuzz => vec![Need {
            what: "a C++ compiler",
            why: "libFuzzer",
            present: || on_path("c++"),
            fix: Fix::Debian(&["g++"]),
        }],
    }
}

fn build() -> Vec<Need> {
    vec![
        Need {
            what: "usrsctp",
            why: "SCTP on kernels that have none",
            present: || Path::new("/usr/include/usrsctp.h").exists(),
            fix: Fix::Debian(&["libusrsctp-dev"]),
        },
        Need {
            what: "protoc",
            why: "the northbound contract is a .proto file",
            present: || on_path("protoc"),
            fix: Fix::Debian(&["protobuf-compiler"]),
        },
        Need {
            what: "a Rust toolchain with the sources of core",
            why: "eBPF programs are built for a target that has no ready-made core",
            present: || coeur_ebpf_build::Toolchain::find().is_ok(),
            fix: Fix::Debian(&["rustc-web", "cargo-web", "rust-web-src"]),
        },
        Need {
            what: "bpf-linker",
            why: "links eBPF programs",
            present: || on_path("bpf-linker"),
            // Newer ones want an LLVM that the toolchains named above do not have yet.
            fix: Fix::Cargo { name: "bpf-linker", version: "0.10.3" },
        },
    ]
}

fn packets() -> Vec<Need> {
    vec![
        Need { what: "ip", why: "network namespaces", present: || on_path("ip"), fix: Fix::Debian(&["iproute2"]) },
        Need {
            what: "ethtool",
            why: "checksums on the wire of a veth pair",
            present: || on_path("ethtool"),
            fix: Fix::Debian(&["ethtool"]),
        },
    ]
}

fn test() -> Vec<Need> {
    vec![
        Need {
            what: "cargo-nextest",
            why: "runs each test in a process of its own",
            present: || on_path("cargo-nextest"),
            fix: Fix::Cargo { name: "cargo-nextest", version: "0.9.143" },
        },
        Need {
            what: "promtool",
            why: "judges metrics",
            present: || on_path("promtool"),
            fix: Fix::Debian(&[PROMETHEUS]),
        },
        Need {
            what: "User Mode Linux",
            why: "a kernel with SCTP to test against",
            present: || Path::new("/usr/bin/linux.uml").exists(),
            fix: Fix::Debian(&["user-mode-linux"]),
        },
        Need {
            what: "busybox",
            why: "switches that kernel off",
            present: || on_path("busybox"),
            fix: Fix::Debian(&["busybox-static"]),
        },
        Need {
            what: "modprobe",
            why: "loads that kernel's SCTP",
            present: || on_path("modprobe") || Path::new("/sbin/modprobe").exists(),
            fix: Fix::Debian(&["kmod"]),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cargo_tool_is_pinned_and_no_need_is_listed_twice() {
        let needs = all(&Purpose::ALL);
        for (index, need) in needs.iter().enumerate() {
            assert!(needs[..index].iter().all(|other| other.what != need.what), "{}", need.what);
            if let Fix::Cargo { version, .. } = need.fix {
                assert_eq!(version.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{version}");
            }
        }
    }
}
