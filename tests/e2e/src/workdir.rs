//! What a run leaves on the machine, and how it is taken away: by the run itself, after a signal, or by the next run.
//!
//! A run is a directory `coeur-<pid>[.<n>]` for temporary files, holding a lock for as long as the run lives, and the
//! namespaces `coeur-<pid>[.<n>]-*`. The kernel releases the lock however the owner ends, so a directory that can be
//! locked is a dead run's, whoever has its process id now.

use crate::{Namespace, netns::run, process};
use anyhow::Context as _;
use std::{
    fs::{self, DirBuilder, File},
    io,
    os::fd::AsRawFd as _,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

const PREFIX: &str = "coeur-";
/// Where a user plane pins, below this by its name.
const PINS: &str = "/sys/fs/bpf/coeur";
const LOCK: &str = "lock";
/// Says that a dead run is to stay: `demo --keep`.
const KEPT: &str = "kept";
/// How long processes of a removed run may take to end after SIGTERM.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Runs of this process that are alive: what a signal has to take away.
static LIVE: Mutex<Vec<String>> = Mutex::new(Vec::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The directory and the names of one run. Dropping it removes all of it, unless it was kept.
#[derive(Debug)]
pub struct Workdir {
    tag: String,
    path: PathBuf,
    _lock: File,
    kept: bool,
}

impl Workdir {
    pub fn create() -> anyhow::Result<Self> {
        let tag = match (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)) {
            (pid, 0) => pid.to_string(),
            (pid, more) => format!("{pid}.{more}"),
        };
        let path = path_of(&tag);
        // Whatever has this process's id in its name and is not in LIVE is a dead predecessor's.
        remove(&tag);
        // 0700 and never an existing one: others may write to the directory above.
        DirBuilder::new().mode(0o700).create(&path).with_context(|| path.display().to_string())?;
        let lock = File::create_new(path.join(LOCK))?;
        anyhow::ensure!(try_lock(&lock)?, "{} is locked by somebody else", path.display());
        lock_live().push(tag.clone());
        Ok(Self { tag, path, _lock: lock, kept: false })
    }

    /// The process id of the run, with a number for a second run of one process.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a namespace of this run.
    pub fn namespace(&self, role: &str) -> anyhow::Result<Namespace> {
        Namespace::create(&format!("{PREFIX}{}-{role}", self.tag))
    }

    /// Lets everything stay after our end, until [`remove`].
    pub fn keep(&mut self) -> io::Result<()> {
        fs::write(self.file(KEPT), "")?;
        self.kept = true;
        lock_live().retain(|tag| *tag != self.tag);
        Ok(())
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        if !self.kept {
            remove(&self.tag);
            lock_live().retain(|tag| *tag != self.tag);
        }
    }
}

/// A run whose owner is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct Leftover {
    pub tag: String,
    /// It was told to stay.
    pub kept: bool,
}

impl Leftover {
    /// Every run on this machine whose owner is gone.
    pub fn all() -> Vec<Self> {
        let mut tags: Vec<String> = names(&std::env::temp_dir())
            .filter_map(|name| Some(name.strip_prefix(PREFIX)?.to_owned()))
            .chain(names(Path::new("/run/netns")).filter_map(|name| tag_of_namespace(&name)))
            .filter(|tag| is_tag(tag))
            .collect();
        tags.sort();
        tags.dedup();
        let dead = tags.into_iter().filter(|tag| !lock_live().contains(tag) && is_dead(tag));
        dead.map(|tag| Self { kept: path_of(&tag).join(KEPT).exists(), tag }).collect()
    }
}

/// Takes away what crashed runs left; what was told to stay stays. How many runs.
pub fn clean_up_dead() -> usize {
    let dead: Vec<_> = Leftover::all().into_iter().filter(|run| !run.kept).collect();
    dead.iter().for_each(|run| remove(&run.tag));
    dead.len()
}

/// Ends the processes of run `tag`, deletes its namespaces and its directory. Finding nothing is no error.
pub fn remove(tag: &str) {
    let prefix = format!("{PREFIX}{tag}-");
    let namespaces: Vec<String> = names(Path::new("/run/netns")).filter(|name| name.starts_with(&prefix)).collect();
    let pids = || namespaces.iter().flat_map(|name| Namespace::pids(name)).collect::<Vec<_>>();
    pids().into_iter().for_each(|pid| drop(process::kill(pid, libc::SIGTERM)));
    let end = Instant::now() + STOP_MAX;
    while !pids().is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    pids().into_iter().for_each(|pid| drop(process::kill(pid, libc::SIGKILL)));
    for name in &namespaces {
        // The kernel takes the veth pairs away with the namespace. A failure leaves it for the next run.
        let _ = run(Command::new("ip").args(["netns", "delete", name]));
    }
    // Pinned programs and tables outlive every process: that is what they are pinned for.
    let _ = fs::remove_dir_all(Path::new(PINS).join(core_name(tag)));
    let _ = fs::remove_dir_all(path_of(tag));
}

/// What the core of a run is called, and with it its user plane and what that pins.
pub(crate) fn core_name(tag: &str) -> String {
    format!("lab-{}", tag.replace('.', "-"))
}

/// From now on SIGINT, SIGTERM and SIGHUP end this process with status 130, after everything of it was taken away. Call
/// it before any thread is started: the signals are blocked in all of them.
pub fn clean_up_on_signal() -> io::Result<()> {
    // SAFETY: the set is initialised by sigemptyset before it is used; both calls only read and write it.
    let set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaddset(&mut set, signal);
        }
        if libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        set
    };
    std::thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: both point to live values.
        while unsafe { libc::sigwait(&set, &mut signal) } != 0 {}
        eprintln!("\nstopping: taking everything away");
        for tag in lock_live().clone() {
            remove(&tag);
        }
        std::process::exit(130);
    });
    Ok(())
}

fn lock_live() -> std::sync::MutexGuard<'static, Vec<String>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path_of(tag: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{tag}"))
}

fn names(directory: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

/// `coeur-4711.1-ran` is of run `4711.1`.
fn tag_of_namespace(name: &str) -> Option<String> {
    Some(name.strip_prefix(PREFIX)?.split_once('-')?.0.to_owned())
}

/// A process id, and a small number after a point.
fn is_tag(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.split_once('.').map_or_else(|| number(text), |(pid, more)| number(pid) && number(more))
}

/// Nobody holds its lock; one without directory is judged by the process id.
fn is_dead(tag: &str) -> bool {
    match File::open(path_of(tag).join(LOCK)) {
        Ok(file) => try_lock(&file).unwrap_or(false),
        Err(_) => !Path::new("/proc").join(tag.split('.').next().unwrap_or(tag)).exists(),
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    // SAFETY: the descriptor is open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_from_what_is_not_ours() {
        assert_eq!(tag_of_namespace("coeur-4711-ran").as_deref(), Some("4711"));
        assert_eq!(tag_of_namespace("coeur-4711.2-core").as_deref(), Some("4711.2"));
        assert!(["4711", "4711.2"].into_iter().all(is_tag));
        assert!(!["", "build", "47a", "4711.", ".2", "4711.2.3"].into_iter().any(is_tag));
    }

    #[test]
    fn a_live_run_is_no_leftover_and_is_gone_after_its_drop() {
        let run = Workdir::create().unwrap();
        let (tag, path) = (run.tag().to_owned(), run.path().to_owned());
        assert!(path.is_dir() && Leftover::all().iter().all(|leftover| leftover.tag != tag));
        drop(run);
        assert!(!path.exists());
    }

    #[test]
    fn a_crashed_run_is_cleaned_and_a_kept_one_stays() {
        // Above the largest process id (4194304): never alive.
        for (tag, kept, remains) in [("99999991", false, false), ("99999992", true, true)] {
            let path = path_of(tag);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join(LOCK), "").unwrap();
            if kept {
                fs::write(path.join(KEPT), "").unwrap();
            }
            assert!(Leftover::all().contains(&Leftover { tag: tag.into(), kept }));
            clean_up_dead();
            assert_eq!(path.exists(), remains, "{tag}");
            remove(tag);
            assert!(!path.exists());
        }
    }
}
