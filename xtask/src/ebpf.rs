//! Builds the eBPF programs.

use crate::{
    setup::{self, Purpose},
    shell::{root, say},
};
use coeur_ebpf_build::{BENCH_PACKAGE, PACKAGE};

/// The crates of programs: they have no target that the rest of the workspace is built for.
pub(crate) const CRATES: [&str; 2] = [PACKAGE, BENCH_PACKAGE];

/// The build script of `fastpath` does the same and puts the object into the binary.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::run(&[Purpose::Build])?;
    say(&format!("{PACKAGE}, for {}", coeur_ebpf_build::TARGET));
    let object = coeur_ebpf_build::build(root())?;
    println!("{}", object.display());
    Ok(())
}

/// `--exclude CRATE` for each of them.
pub(crate) fn excluded() -> impl Iterator<Item = &'static str> {
    CRATES.iter().flat_map(|name| ["--exclude", name])
}
