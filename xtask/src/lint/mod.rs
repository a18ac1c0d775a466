//! What is checked of every change, beside tests.

mod files;
mod imports;
mod manifests;

use crate::{
    ebpf,
    setup::{self, Purpose},
    shell::{self, cargo, root, say},
};
use anyhow::bail;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only what needs no compiler: formatting, imports, files
    #[arg(long)]
    fast: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let purposes: &[Purpose] = if options.fast { &[] } else { &[Purpose::Build, Purpose::Lint] };
    setup::run(purposes)?;
    let mut failed = Vec::new();
    let mut check = |what: &str, result: anyhow::Result<()>| {
        if let Err(error) = result {
            eprintln!("error: {error:#}");
            failed.push(what.to_owned());
        }
    };
    check("formatting", shell::run(&mut cargo(&["fmt", "--all", "--", "--check"])));
    check("import directions", findings("import directions", &imports::check()?));
    check("dependencies", findings("dependencies are declared once, in the workspace", &manifests::check(root())?));
    check("file lengths", findings("file lengths", &files::check(root())?));
    if !options.fast {
        let mut clippy = cargo(&["clippy", "--workspace", "--all-targets"]);
        clippy.args(ebpf::excluded()).args(["--", "-D", "warnings"]);
        check("clippy", shell::run(&mut clippy));
        check("cargo-deny", deny());
    }
    if !failed.is_empty() {
        bail!("lint: {}", failed.join(", "));
    }
    Ok(())
}

fn findings(what: &str, findings: &[String]) -> anyhow::Result<()> {
    say(what);
    if !findings.is_empty() {
        bail!("{}", findings.join("\nerror: "));
    }
    Ok(())
}

/// The advisory database is a git repository on another host than the crates; where that cannot be reached, the rest is
/// still checked, and the gap is said.
fn deny() -> anyhow::Result<()> {
    shell::run(&mut cargo(&["deny", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))?;
    let mut fetch = cargo(&["deny", "fetch", "db"]);
    say(&shell::line(&fetch));
    if !fetch.output().is_ok_and(|output| output.status.success()) {
        eprintln!("warning: the advisory database cannot be reached: advisories were NOT checked");
        return Ok(());
    }
    shell::run(&mut cargo(&["deny", "check", "advisories"]))
}
