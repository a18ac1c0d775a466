//! Where the binaries under test are.

use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};

/// Names the directory of the binaries; `cargo xtask test` sets it.
const DIRECTORY: &str = "COEUR_BIN_DIR";

/// The project's own programs, built.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub coeur: PathBuf,
    pub upf: PathBuf,
    pub ran: PathBuf,
}

impl Binaries {
    /// In the directory that the environment names, else beside the running test.
    pub fn find() -> anyhow::Result<Self> {
        match std::env::var_os(DIRECTORY) {
            Some(directory) => Self::in_directory(Path::new(&directory)),
            None => {
                let exe = std::env::current_exe()?;
                let directory = exe.ancestors().skip(1).find(|dir| !dir.ends_with("deps")).context("no parent")?;
                Self::in_directory(directory)
            }
        }
    }

    pub fn in_directory(directory: &Path) -> anyhow::Result<Self> {
        let find = |name: &str| {
            let path = directory.join(name);
            ensure!(path.is_file(), "{} is missing: build it, or run `cargo xtask test`", path.display());
            Ok(path)
        };
        Ok(Self { coeur: find("coeur")?, upf: find("coeur-upf")?, ran: find("coeur-ran")? })
    }
}
