//! Which compiler on this machine can build `core` for BPF: one whose library sources are there.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::BuildError;

/// bpf-linker 0.10 reads bitcode of this LLVM and older.
const LLVM_MAX: u32 = 22;

/// A compiler, its cargo, and the LLVM that bpf-linker loads at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    pub rustc: PathBuf,
    pub cargo: PathBuf,
    /// Folder of the shared LLVM, if it is not where the system looks anyway.
    pub llvm_folder: Option<PathBuf>,
}

impl Toolchain {
    /// A rustup nightly with rust-src; else Debian's rustc-web with rust-web-src.
    pub fn find() -> Result<Self, BuildError> {
        let rustup = rustup_toolchains();
        let mut looked_at = Vec::new();
        for folder in rustup.iter().filter(|folder| name_of(folder).starts_with("nightly")) {
            match usable(&folder.join("bin/rustc")) {
                Ok(()) => {
                    return Ok(Self {
                        rustc: folder.join("bin/rustc"),
                        cargo: folder.join("bin/cargo"),
                        llvm_folder: Some(folder.join("lib")),
                    });
                }
                Err(why) => looked_at.push(format!("rustup {}: {why}", name_of(folder))),
            }
        }
        if looked_at.is_empty() {
            looked_at.push("rustup nightly: not installed".into());
        }
        let (rustc, cargo) = (PathBuf::from("/usr/bin/rustc"), PathBuf::from("/usr/bin/cargo"));
        match usable(&rustc) {
            Ok(()) if cargo.is_file() => Ok(Self { rustc, cargo, llvm_folder: llvm_folder(&rustup) }),
            Ok(()) => {
                looked_at.push("/usr/bin/rustc: without /usr/bin/cargo (package cargo-web)".into());
                Err(BuildError::NoToolchain { looked_at })
            }
            Err(why) => {
                looked_at.push(format!("/usr/bin/rustc: {why}"));
                Err(BuildError::NoToolchain { looked_at })
            }
        }
    }
}

/// Whether this compiler has the sources of `core` and an LLVM that the linker reads; else why not.
fn usable(rustc: &Path) -> Result<(), String> {
    if !rustc.is_file() {
        return Err("not installed".into());
    }
    let sysroot = ask(rustc, &["--print", "sysroot"])?;
    let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
    if !core.is_file() {
        return Err("its library sources are not installed (rust-src)".into());
    }
    let version = ask(rustc, &["-vV"])?;
    match llvm_major(&version) {
        Some(major) if major <= LLVM_MAX => Ok(()),
        Some(major) => Err(format!("its LLVM is {major}, bpf-linker reads up to {LLVM_MAX}")),
        None => Err("does not say which LLVM it has".into()),
    }
}

fn ask(rustc: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(rustc)
        .args(arguments)
        .env_remove("RUSTC_WRAPPER")
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .map_err(|error| format!("does not start: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn llvm_major(version: &str) -> Option<u32> {
    version.lines().find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next()?.trim().parse().ok())
}

/// The first rustup toolchain that ships the LLVM which bpf-linker loads.
fn llvm_folder(toolchains: &[PathBuf]) -> Option<PathBuf> {
    let wanted = format!("libLLVM-{LLVM_MAX}-");
    toolchains.iter().map(|folder| folder.join("lib")).find(|lib| {
        std::fs::read_dir(lib).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(&wanted)))
        })
    })
}

/// Installed toolchains, `stable` ones first, so that the choice does not depend on the order of a folder.
fn rustup_toolchains() -> Vec<PathBuf> {
    let Some(home) = home_of("RUSTUP_HOME", ".rustup") else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(home.join("toolchains")) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    folders.sort_by_key(|folder| (!name_of(folder).starts_with("stable"), folder.clone()));
    folders
}

pub(crate) fn cargo_home() -> Option<PathBuf> {
    home_of("CARGO_HOME", ".cargo")
}

fn home_of(variable: &str, folder: &str) -> Option<PathBuf> {
    match std::env::var_os(variable) {
        Some(home) => Some(PathBuf::from(home)),
        None => std::env::var_os("HOME").map(|home| Path::new(&home).join(folder)),
    }
}

fn name_of(folder: &Path) -> &str {
    folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_of_a_compiler_is_read_from_its_version() {
        assert_eq!(llvm_major("rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }

    #[test]
    fn a_compiler_that_is_not_there_is_not_usable() {
        assert_eq!(usable(Path::new("/nonexistent/rustc")), Err("not installed".to_owned()));
    }
}
