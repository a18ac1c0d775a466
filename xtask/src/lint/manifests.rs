//! Every dependency is declared once, in `[workspace.dependencies]`, with its reason in docs/dependencies.md: members
//! inherit it and say no version.

use anyhow::Context as _;
use std::{fs, path::Path};

const REASONS: &str = "docs/dependencies.md";

/// Everything that is wrong with the members' manifests.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for path in super::files::walk(root)?.into_iter().filter(|path| path.ends_with("Cargo.toml")) {
        if path != root.join("Cargo.toml") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            wrong.extend(judge(&text).into_iter().map(|(line, entry)| {
                format!("{name}:{line}: {entry}: declare it in the workspace and write `{entry}.workspace = true`")
            }));
        }
    }
    let read = |name: &str| fs::read_to_string(root.join(name)).with_context(|| name.to_owned());
    let reasons = read(REASONS)?;
    wrong.extend(
        without_reason(&read("Cargo.toml")?, &reasons)
            .iter()
            .map(|name| format!("{name}: say in {REASONS} why it is here")),
    );
    Ok(wrong)
}

/// Crates of others in the workspace's list that the table of reasons does not name.
fn without_reason<'a>(workspace: &'a str, reasons: &str) -> Vec<&'a str> {
    let list = workspace.split_once("[workspace.dependencies]").map_or("", |(_, rest)| rest);
    let entries = list.lines().take_while(|line| !line.starts_with('[')).filter(|line| !line.contains("path = "));
    let names = entries.filter_map(|line| Some(line.split_once(" = ")?.0)).filter(|name| !name.starts_with('#'));
    let given = |name: &str| reasons.lines().any(|row| row.starts_with('|') && row.contains(&format!("`{name}`")));
    names.filter(|name| !given(name)).collect()
}

/// The entries of dependency tables that do not inherit, with their lines.
fn judge(manifest: &str) -> Vec<(usize, &str)> {
    let mut wrong = Vec::new();
    let mut table = "";
    for (index, line) in manifest.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']');
            // `[dependencies.name]` is a table of its own: the project writes none.
            if let Some((kind, name)) = table.rsplit_once('.')
                && is_dependencies(kind)
            {
                wrong.push((index + 1, name));
            }
        } else if is_dependencies(table)
            && let Some((key, value)) = line.split_once('=')
        {
            let inherits = key.trim().ends_with(".workspace") || value.replace(' ', "").contains("workspace=true");
            if !inherits {
                wrong.push((index + 1, key.trim()));
            }
        }
    }
    wrong
}

/// `dependencies`, `dev-dependencies`, `build-dependencies`, and the same below a target.
fn is_dependencies(table: &str) -> bool {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .any(|kind| table == kind || (table.starts_with("target.") && table.ends_with(&format!(".{kind}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_reason_is_found() {
        let workspace = "[workspace.dependencies]\nours = { path = \"ours\" }\n# Runtime = fast.\na = \"1\"\nb = \"=2\"\n[profile.dev]\nc = 1\n";
        assert_eq!(without_reason(workspace, "| `a` | because |\nand `b`"), ["b"]);
    }

    #[test]
    fn a_version_outside_of_the_workspace_is_found() {
        let manifest = "[package]\nversion = \"1\"\n[dependencies]\na.workspace = true\nb = \"1\" # why\n\
            c = { workspace = true, optional = true }\n[target.'cfg(unix)'.dev-dependencies]\nd = { path = \"../d\" }\n\
            [features]\ne = []\n[build-dependencies.f]\nversion = \"2\"\n";
        assert_eq!(judge(manifest), [(5, "b"), (8, "d"), (11, "f")]);
    }
}
