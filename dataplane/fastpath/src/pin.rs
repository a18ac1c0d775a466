//! Where maps and links are pinned, and whether a predecessor's can be adopted.
//!
//! ```text
//! <folder>/maps/<MAP>         the tables in use
//! <folder>/maps-next/<MAP>    a new set while it is built beside the old one
//! <folder>/<path>-<IFACE>     a link: xdp-n3, generic-n3, tc-n3; pass-<IFACE> at the other end of a veth
//! ```

use std::{
    ffi::CString,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use aya::maps::{Array, Map, MapData};
use coeur_ebpf_abi::{DownlinkRecord, Meta, UplinkRecord, map};

use crate::{
    error::LoadError,
    nic::PathKind,
    object::{Capacity, MAPS},
    table::word_of,
};

const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
const BPFFS: &str = "/sys/fs/bpf";

/// The pin folder of one user plane.
pub(crate) struct Pins {
    folder: PathBuf,
}

impl Pins {
    /// Makes the folder, and mounts bpffs where it belongs if nobody has.
    pub(crate) fn open(folder: &Path) -> Result<Self, LoadError> {
        let failed = |error| LoadError::Pin { path: folder.to_owned(), error };
        if !is_bpffs(folder) {
            if !folder.starts_with(BPFFS) {
                return Err(failed(io::Error::other("not on a BPF file system; try below /sys/fs/bpf")));
            }
            mount_bpffs().map_err(|error| {
                failed(io::Error::other(format!("cannot mount bpffs: {error}; run `mount -t bpf bpf {BPFFS}`")))
            })?;
        }
        std::fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub(crate) fn maps(&self) -> PathBuf {
        self.folder.join("maps")
    }

    fn next(&self) -> PathBuf {
        self.folder.join("maps-next")
    }

    pub(crate) fn link(&self, path: PathKind, interface: &str) -> PathBuf {
        // bpffs refuses names with a dot (EPERM), and VLANs have one; no interface has a colon.
        self.folder.join(format!("{}-{}", path.label(), interface.replace('.', ":")))
    }

    /// The link of the program at the other end of a veth.
    pub(crate) fn pass(&self, interface: &str) -> PathBuf {
        self.folder.join(format!("pass-{interface}"))
    }

    /// An empty folder for a new set of maps, which takes its place with [`Pins::promote`].
    pub(crate) fn prepare(&self) -> Result<PathBuf, LoadError> {
        let next = self.next();
        remove_set(&next)?;
        std::fs::create_dir(&next).map_err(|error| LoadError::Pin { path: next.clone(), error })?;
        Ok(next)
    }

    /// The new set becomes the set in use.
    pub(crate) fn promote(&self) -> Result<(), LoadError> {
        remove_set(&self.maps())?;
        std::fs::rename(self.next(), self.maps()).map_err(|error| LoadError::Pin { path: self.maps(), error })
    }

    /// Whether the pinned maps are what this build would make; if not, why.
    pub(crate) fn adoptable(&self, capacity: Capacity) -> Result<(), String> {
        let maps = self.maps();
        if !maps.is_dir() {
            return Err("nothing is pinned".to_owned());
        }
        for name in MAPS {
            if !maps.join(name).exists() {
                return Err(format!("map {name} is missing"));
            }
        }
        let meta = read_meta(&maps.join(map::META))?;
        let ours = Meta::new(capacity.uplink_slots, capacity.downlink_slots);
        if meta != std::array::from_fn(|word| word_of(&ours, word)) {
            return Err("the layout or the sizes are another build's or configuration's".to_owned());
        }
        let sizes = [
            (map::UPLINK, capacity.uplink_slots, size_of::<UplinkRecord>()),
            (map::DOWNLINK, capacity.downlink_slots, size_of::<DownlinkRecord>()),
        ];
        for (name, slots, size) in sizes {
            let data = MapData::from_pin(maps.join(name)).map_err(|error| format!("map {name}: {error}"))?;
            let info = data.info().map_err(|error| format!("map {name}: {error}"))?;
            if (info.max_entries(), info.value_size() as usize) != (slots.max(1), size) {
                return Err(format!("map {name} has another size"));
            }
        }
        Ok(())
    }

    /// Removes everything: packets are not handled any more once the links are gone.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_tree(&self.folder)
    }
}

fn read_meta(path: &Path) -> Result<[u64; 3], String> {
    let data = MapData::from_pin(path).map_err(|error| format!("map META: {error}"))?;
    let array: Array<MapData, [u64; 3]> =
        Map::from_map_data(data).and_then(Array::try_from).map_err(|error| format!("map META: {error}"))?;
    array.get(&0, 0).map_err(|error| format!("map META: {error}"))
}

fn remove_set(folder: &Path) -> Result<(), LoadError> {
    if !folder.exists() {
        return Ok(());
    }
    remove_tree(folder).map_err(|error| LoadError::Pin { path: folder.to_owned(), error })
}

/// bpffs does not list directories as such everywhere: two levels are all there is.
fn remove_tree(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { remove_tree(&path)? } else { std::fs::remove_file(&path)? }
    }
    std::fs::remove_dir(folder)
}

/// Whether the nearest folder that exists is on bpffs.
fn is_bpffs(folder: &Path) -> bool {
    let Some(existing) = folder.ancestors().find(|path| path.exists()) else { return false };
    let Ok(path) = CString::new(existing.as_os_str().as_bytes()) else { return false };
    // SAFETY: all zeros is a value of the structure.
    let mut status: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a path that ends in zero, and a structure to fill.
    let done = unsafe { libc::statfs(path.as_ptr(), &raw mut status) };
    #[allow(clippy::unnecessary_cast, reason = "the type of f_type differs between C libraries")]
    let kind = status.f_type as i64;
    done == 0 && kind == BPF_FS_MAGIC
}

fn mount_bpffs() -> io::Result<()> {
    // SAFETY: strings that end in zero; no data.
    let done = unsafe { libc::mount(c"bpf".as_ptr(), c"/sys/fs/bpf".as_ptr(), c"bpf".as_ptr(), 0, std::ptr::null()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_outside_of_bpffs_is_refused() {
        let error = Pins::open(Path::new("/tmp/coeur-not-bpffs")).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("/sys/fs/bpf")));
    }
}
