//! Builds the eBPF programs.

use crate::{
    setup::{self, Purpose},
    shell::{cargo, run as run_command},
};

/// The build script of `fastpath` compiles and links them and puts them into the binary.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::run(&[Purpose::Build])?;
    run_command(&mut cargo(&["build", "--package", "coeur-fastpath"]))
}
