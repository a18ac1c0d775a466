//! Builds the eBPF programs of this workspace from source, for build scripts and for `cargo xtask`.
//!
//! Standard library only. It installs nothing, downloads nothing but what Cargo.lock names, and changes nothing outside
//! `target/ebpf`, which every profile and every target folder of the workspace shares.

mod toolchain;

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

pub use toolchain::Toolchain;

/// The user plane's programs.
pub const PACKAGE: &str = "coeur-ebpf-upf";
/// The programs that only the fast path benchmark uses.
pub const BENCH_PACKAGE: &str = "coeur-ebpf-bench";
/// What they are built for.
pub const TARGET: &str = "bpfel-unknown-none";

/// Environment of the outer build that would change the inner one.
const SCRUBBED_PREFIXES: [&str; 3] = ["CARGO", "RUSTUP", "RUSTC"];
const SCRUBBED: [&str; 6] = ["RUSTFLAGS", "RUSTDOCFLAGS", "TARGET", "HOST", "OUT_DIR", "LD_LIBRARY_PATH"];
/// What of it still has to be known: where the registry is, and whether it may be asked.
const KEPT: [&str; 4] = ["CARGO_HOME", "RUSTUP_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_CAINFO"];

/// Why there is no object.
#[derive(Debug)]
pub enum BuildError {
    /// Nothing on this machine can build for BPF.
    NoToolchain { looked_at: Vec<String> },
    /// `bpf-linker` is not in `PATH` nor in Cargo's folder.
    NoLinker,
    /// Cargo could not be started.
    Start { program: PathBuf, error: std::io::Error },
    /// Cargo ran and failed: the programs do not compile, or a tool is of a version that does not fit.
    Failed { command: String, output: String },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToolchain { looked_at } => write!(
                f,
                "no toolchain can build for BPF:\n  {}\nhint: run `cargo xtask setup`, or install the Debian packages \
                 rustc-web, cargo-web and rust-web-src, or a rustup nightly with the component rust-src",
                looked_at.join("\n  ")
            ),
            Self::NoLinker => write!(
                f,
                "bpf-linker is missing\nhint: run `cargo xtask setup`, or `cargo install bpf-linker --version 0.10.3 --locked`"
            ),
            Self::Start { program, error } => write!(f, "cannot start {}: {error}", program.display()),
            Self::Failed { command, output } => write!(f, "building the eBPF programs failed: {command}\n{output}"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Builds the user plane's programs and gives the path of the object.
pub fn build(workspace_root: &Path) -> Result<PathBuf, BuildError> {
    build_package(workspace_root, PACKAGE)
}

/// Builds one package of programs and gives the path of the object. Does nothing but look if the object is up to date.
pub fn build_package(workspace_root: &Path, package: &str) -> Result<PathBuf, BuildError> {
    let toolchain = Toolchain::find()?;
    let linker = find_linker().ok_or(BuildError::NoLinker)?;
    let target_dir = workspace_root.join("target").join("ebpf");

    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(workspace_root);
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let scrubbed = SCRUBBED.contains(&name) || SCRUBBED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if scrubbed && !KEPT.contains(&name) {
            command.env_remove(name);
        }
    }
    // -Z build-std needs it on a stable toolchain, and so does inline assembly for BPF.
    command.env("RUSTC_BOOTSTRAP", "1");
    command.env("RUSTC", &toolchain.rustc);
    command.env("CARGO_TARGET_DIR", &target_dir);
    // v3: 32-bit arithmetic and atomics; every kernel since 5.12 takes it.
    command.env("RUSTFLAGS", format!("-C linker={} -C target-cpu=v3 -C debuginfo=0", linker.display()));
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    if let Some(folder) = &toolchain.llvm_folder {
        command.env("LD_LIBRARY_PATH", folder);
    }
    command.args(["build", "--release", "--locked", "-Z", "build-std=core", "--target", TARGET, "--package", package]);

    let output = command.output().map_err(|error| BuildError::Start { program: toolchain.cargo.clone(), error })?;
    if !output.status.success() {
        return Err(BuildError::Failed {
            command: format!("{command:?}"),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(target_dir.join(TARGET).join("release").join(package))
}

/// Folders whose change asks for a new build, for `cargo::rerun-if-changed`.
#[must_use]
pub fn sources(workspace_root: &Path) -> Vec<PathBuf> {
    ["ebpf/abi", "ebpf/upf", "ebpf/bench", "ebpf/build"].iter().map(|folder| workspace_root.join(folder)).collect()
}

fn find_linker() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(toolchain::cargo_home().map(|home| home.join("bin")))
        .map(|folder| folder.join("bpf-linker"))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_install() {
        let error = BuildError::NoToolchain { looked_at: vec!["rustup nightly: no rust-src".into()] };
        let text = error.to_string();
        assert!(text.contains("rustup nightly: no rust-src"));
        assert!(text.contains("cargo xtask setup"));
        assert!(BuildError::NoLinker.to_string().contains("cargo xtask setup"));
    }

    #[test]
    fn the_registry_of_the_outer_build_is_kept() {
        assert!(KEPT.iter().all(|name| SCRUBBED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))));
    }
}
