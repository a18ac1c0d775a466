//! Where the user plane's program is.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const USER_PLANE: &str = "coeur-upf";

#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    #[error("{path}: expected the program {USER_PLANE}", path = .0.display())]
    NotThere(PathBuf),
    #[error("the program {USER_PLANE} is neither beside {beside} nor in PATH", beside = beside.display())]
    Nowhere { beside: PathBuf },
    #[error("this program does not know where it is: {0}")]
    Own(std::io::Error),
}

/// Where this program itself is.
pub(crate) fn own() -> Result<PathBuf, BinaryError> {
    let path = std::env::current_exe().map_err(BinaryError::Own)?;
    // A program that was replaced while it runs is `... (deleted)`: the new one stands at the old place.
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(replaced) => Ok(replaced.into()),
        None => Ok(path),
    }
}

/// `coeur-upf`: as told, or beside this program, or in PATH.
pub fn find_user_plane(told: Option<&Path>) -> Result<PathBuf, BinaryError> {
    if let Some(told) = told {
        return if is_program(told) { Ok(told.to_owned()) } else { Err(BinaryError::NotThere(told.to_owned())) };
    }
    let own = own()?;
    let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
    search(&beside, std::env::var_os("PATH").as_deref()).ok_or(BinaryError::Nowhere { beside })
}

fn search(beside: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    let in_path = path.iter().flat_map(std::env::split_paths).filter(|folder| folder.is_absolute());
    std::iter::once(beside.to_owned())
        .chain(in_path.collect::<Vec<_>>())
        .map(|folder| folder.join(USER_PLANE))
        .find(|p| is_program(p))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_comes_before_path_and_only_programs_count() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for folder in [&a, &b] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join(USER_PLANE), "").unwrap();
        }
        let path = Some(b.as_os_str());
        assert_eq!(search(&a, path), None);
        let executable = |folder: &Path| {
            std::fs::set_permissions(folder.join(USER_PLANE), std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        executable(&b);
        assert_eq!(search(&a, path), Some(b.join(USER_PLANE)));
        executable(&a);
        assert_eq!(search(&a, path), Some(a.join(USER_PLANE)));
        assert!(find_user_plane(Some(&a)).unwrap_err().to_string().contains("expected the program coeur-upf"));
    }
}
