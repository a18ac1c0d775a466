//! No source file above 800 lines without a stated reason.

use anyhow::Context as _;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 800;
/// In one of the first lines, with the reason behind it.
const MARKER: &str = "// long: ";
const MARKER_LINES: usize = 10;
/// What is not ours to judge: built, or not source.
const PASSED_OVER: &[&str] = &["target", ".git", "corpus"];

/// Every file that is too long.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for path in walk(root)? {
        if path
            .extension()
            .is_some_and(|extension| ["rs", "proto", "sql", "sh"].iter().any(|known| extension == *known))
        {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            wrong.extend(
                judge(&text).map(|why| format!("{}: {why}", path.strip_prefix(root).unwrap_or(&path).display())),
            );
        }
    }
    Ok(wrong)
}

fn judge(text: &str) -> Option<String> {
    let lines = text.lines().count();
    let stated =
        text.lines().take(MARKER_LINES).any(|line| line.strip_prefix(MARKER).is_some_and(|why| why.len() > 10));
    (lines > LINES_MAX && !stated).then(|| {
        format!(
            "{lines} lines, at most {LINES_MAX}; hint: split it, or say why not in a line `{MARKER}reason` at its top"
        )
    })
}

/// All files below `root`, in a stable order.
pub(super) fn walk(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // A symbolic link is neither: what it points to is found where it is, or is not ours.
            let kind = entry.file_type()?;
            if kind.is_dir() && !PASSED_OVER.iter().any(|name| entry.file_name() == *name) {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_needs_a_reason() {
        let long = "x\n".repeat(LINES_MAX + 1);
        assert!(judge(&long).is_some());
        assert!(judge(&"x\n".repeat(LINES_MAX)).is_none());
        assert!(judge(&format!("{MARKER}one table of the specification\n{long}")).is_none());
        assert!(judge(&format!("{MARKER}\n{long}")).is_some(), "a marker without reason");
        assert!(judge(&format!("{long}{MARKER}one table of the specification\n")).is_some(), "a marker at the end");
    }
}
