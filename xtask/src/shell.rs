//! Commands, said before they run.

use anyhow::{Context as _, bail};
use std::{
    env,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the workspace, wherever the chore was called from.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ is a folder of the workspace")
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A heading on stderr: data goes to stdout.
pub(crate) fn say(what: &str) {
    let bold = std::io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    if bold { eprintln!("\x1b[1m==> {what}\x1b[0m") } else { eprintln!("==> {what}") }
}

/// The cargo that called us, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    // Set for us by `cargo run`; a nested cargo would take them for its own package's.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Says and runs a command; its failure is an error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    say(&line(command));
    let status = command.status().with_context(|| format!("starting {}", line(command)))?;
    if !status.success() {
        bail!("{}: {status}", line(command));
    }
    Ok(())
}

/// A command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no precondition and cannot fail.
    unsafe { libc::geteuid() == 0 }
}
