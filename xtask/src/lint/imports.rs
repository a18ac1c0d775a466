//! Imports point down only, as ARCHITECTURE.md lays down: read from `cargo metadata`.

use crate::shell::{cargo, root};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::path::Path;

/// The layers, the lowest first. A crate imports from lower layers only.
const LAYERS: &[&[&str]] = &[
    &["ebpf/abi", "ebpf/build", "controlplane/model", "controlplane/usrsctp"],
    &["controlplane/nf", "controlplane/northbound", "dataplane/rules"],
    &[
        "controlplane/amf",
        "controlplane/ausf",
        "controlplane/smf",
        "controlplane/store",
        "controlplane/transport",
        "controlplane/udm",
        "dataplane/fastpath",
        "dataplane/session",
        "dataplane/slowpath",
        "ebpf/bench",
        "ebpf/upf",
    ],
    &["controlplane/mesh"],
    &["controlplane/mesh"],
    &["controlplane/api", "controlplane/core", "controlplane/platform"],
    &["controlplane/coeur", "dataplane/upf"],
    &["tests/bench", "tests/e2e", "tests/fuzz", "tests/ran", "tests/sim"],
    &["xtask"],
];

/// Imports within one layer that are meant: the first serves what the second lays down.
const SIBLINGS: &[(&str, &str)] = &[("controlplane/platform", "controlplane/api")];

/// Who may talk to the kernel's BPF, and who is a BPF program.
const AYA: &[&str] = &["dataplane/fastpath", "tests/bench"];
const AYA_EBPF: &[&str] = &["ebpf/bench", "ebpf/upf"];

/// One crate of the workspace.
struct Package {
    folder: String,
    /// Folders of the workspace, and names of others.
    imports: Vec<Import>,
}

enum Import {
    Folder(String),
    Crate(String),
}

/// Everything that is wrong with the workspace's imports.
pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    Ok(judge(&packages(&serde_json::from_slice(&output.stdout)?, root())?))
}

fn packages(metadata: &Value, root: &Path) -> anyhow::Result<Vec<Package>> {
    let folder = |path: &str| {
        let path = Path::new(path).strip_prefix(root).with_context(|| format!("{path} is outside of the workspace"))?;
        anyhow::Ok(path.to_string_lossy().into_owned())
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let package = |package: &Value| {
        let manifest = package["manifest_path"].as_str().context("a package has a manifest_path")?;
        let mut imports = Vec::new();
        for dependency in list(&package["dependencies"]) {
            imports.push(match dependency["path"].as_str() {
                Some(path) => Import::Folder(folder(path)?),
                None => Import::Crate(dependency["name"].as_str().unwrap_or_default().to_owned()),
            });
        }
        let folder = folder(manifest)?.trim_end_matches("Cargo.toml").trim_end_matches('/').to_owned();
        Ok(Package { folder, imports })
    };
    list(&metadata["packages"]).iter().map(package).collect()
}

fn judge(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let from = package.folder.as_str();
        if layer(from).is_none() {
            wrong.push(format!("{from} has no layer: add it to xtask/src/lint/imports.rs"));
        }
        for import in &package.imports {
            let reason = match import {
                Import::Folder(to) => judge_folder(from, to),
                Import::Crate(name) => judge_crate(from, name),
            };
            wrong.extend(reason);
        }
    }
    wrong
}

fn judge_folder(from: &str, to: &str) -> Option<String> {
    let (above, below) = (layer(from)?, layer(to)?);
    let tests = |folder: &str| folder.starts_with("tests/");
    if plane(from).zip(plane(to)).is_some_and(|(a, b)| a != b) {
        return Some(format!("{from} imports {to}: the planes never import each other, PFCP octets join them"));
    }
    if below < above || (tests(from) && tests(to)) || SIBLINGS.contains(&(from, to)) {
        return None;
    }
    Some(match below == above {
        true => format!("{from} imports {to}, which is in the same layer: let what is above join them"),
        false => format!("{from} imports {to}, which is above it"),
    })
}

fn judge_crate(from: &str, name: &str) -> Option<String> {
    let (allowed, whose) = match name {
        "aya" | "aya-obj" => (AYA, "only the fast path loads programs"),
        "aya-ebpf" => (AYA_EBPF, "it is for programs in the kernel"),
        _ => return None,
    };
    (!allowed.contains(&from)).then(|| format!("{from} imports {name}: {whose}"))
}

fn layer(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&folder))
}

/// `ebpf` and `dataplane` are one plane; tests and xtask are above both.
fn plane(folder: &str) -> Option<&'static str> {
    match folder.split('/').next()? {
        "controlplane" => Some("control plane"),
        "dataplane" | "ebpf" => Some("user plane"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(from: &str, imports: &[&str]) -> Vec<String> {
        let import = |name: &&str| match name.contains('/') {
            true => Import::Folder((*name).to_owned()),
            false => Import::Crate((*name).to_owned()),
        };
        judge(&[Package { folder: from.to_owned(), imports: imports.iter().map(import).collect() }])
    }

    #[test]
    fn imports_that_point_down_are_fine() {
        for (from, imports) in [
            ("controlplane/amf", &["controlplane/nf", "controlplane/model", "oxirush-nas"][..]),
            ("controlplane/core", &["controlplane/amf", "controlplane/store"]),
            ("dataplane/fastpath", &["ebpf/abi", "dataplane/rules", "aya"]),
            ("ebpf/upf", &["ebpf/abi", "aya-ebpf"]),
            ("tests/ran", &["controlplane/transport"]),
            ("tests/bench", &["tests/e2e", "aya", "controlplane/model", "ebpf/abi"]),
            ("controlplane/platform", &["controlplane/api"]),
        ] {
            assert_eq!(wrong(from, imports), [""; 0], "{from}");
        }
    }

    #[test]
    fn each_rule_refuses_a_graph_that_breaks_it() {
        for (from, to, says) in [
            ("controlplane/amf", "controlplane/smf", "same layer"),
            ("controlplane/model", "controlplane/nf", "above it"),
            ("controlplane/store", "controlplane/core", "above it"),
            ("controlplane/api", "controlplane/platform", "same layer"),
            ("dataplane/upf", "controlplane/model", "planes never import"),
            ("controlplane/core", "ebpf/abi", "planes never import"),
            ("controlplane/coeur", "tests/ran", "above it"),
            ("controlplane/core", "aya", "only the fast path"),
            ("dataplane/slowpath", "aya", "only the fast path"),
            ("dataplane/fastpath", "aya-ebpf", "programs in the kernel"),
        ] {
            let found = wrong(from, &[to]);
            assert!(found.len() == 1 && found[0].contains(says), "{from} -> {to}: {found:?}");
        }
        assert!(wrong("controlplane/new", &[])[0].contains("has no layer"));
    }

    #[test]
    fn metadata_is_read_as_cargo_writes_it() {
        let metadata = serde_json::json!({ "packages": [{
            "manifest_path": "/w/controlplane/amf/Cargo.toml",
            "dependencies": [{ "name": "coeur-smf", "path": "/w/controlplane/smf" }, { "name": "aya", "path": null }],
        }]});
        let found = judge(&packages(&metadata, Path::new("/w")).unwrap());
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
