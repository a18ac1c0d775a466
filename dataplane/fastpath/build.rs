//! Builds the eBPF programs and lays the object where `object.rs` includes it, so that the daemon is one file.

use std::{path::PathBuf, process::exit};

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts"));
    let root = manifest.ancestors().nth(2).expect("dataplane/fastpath lies two folders below the workspace");
    for folder in coeur_ebpf_build::sources(root) {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    let object = match coeur_ebpf_build::build(root) {
        Ok(object) => object,
        Err(error) => {
            eprintln!("error: {error}");
            exit(1);
        }
    };
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it for build scripts")).join("upf.o");
    if let Err(error) = std::fs::copy(&object, &out) {
        eprintln!("error: cannot copy {} to {}: {error}", object.display(), out.display());
        exit(1);
    }
}
