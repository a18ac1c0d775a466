//! A child process that does not outlive its guard.

use crate::{Namespace, netns::run};
use anyhow::{Context as _, bail};
use std::{
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How long a process may take to end after SIGTERM before it is killed.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Whether a process ends with the one that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It is told to end when its guard goes, and by the kernel when the starting thread dies.
    Guarded,
    /// It stays (`demo --keep`) until the run is removed.
    Kept,
}

/// A running child, its log in a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    lifetime: Lifetime,
    started: Instant,
}

impl Process {
    /// Starts `command` in `namespace` (or where we are); stdout and stderr go to `log`.
    pub fn spawn(
        name: &str,
        namespace: Option<&Namespace>,
        command: Command,
        log: &Path,
        lifetime: Lifetime,
    ) -> anyhow::Result<Self> {
        let mut command = command;
        command.stdout(open_log(log)?);
        Self::spawn_with_stdout(name, namespace, command, log, lifetime)
    }

    /// The same, with stdout to be read by us.
    pub fn spawn_piped(
        name: &str,
        namespace: Option<&Namespace>,
        command: Command,
        log: &Path,
        lifetime: Lifetime,
    ) -> anyhow::Result<(Self, ChildStdout)> {
        let mut command = command;
        command.stdout(Stdio::piped());
        let mut process = Self::spawn_with_stdout(name, namespace, command, log, lifetime)?;
        let stdout = process.child.stdout.take().context("stdout was asked for")?;
        Ok((process, stdout))
    }

    /// The same, with stdout as `command` has it.
    pub fn spawn_with_stdout(
        name: &str,
        namespace: Option<&Namespace>,
        mut command: Command,
        log: &Path,
        lifetime: Lifetime,
    ) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stderr(open_log(log)?);
        // A group of its own: Ctrl-C is for us, who then end it in the right order.
        command.process_group(0);
        if let Some(namespace) = namespace {
            namespace.start_inside(&mut command)?;
        }
        // SAFETY: system calls on values of the closure's own, between fork and exec.
        unsafe {
            command.pre_exec(move || {
                // Signals that we have blocked, to wait for them, are no business of a child's.
                let mut none: libc::sigset_t = std::mem::zeroed();
                libc::sigemptyset(&mut none);
                libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
                match lifetime == Lifetime::Guarded && libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0 {
                    true => Err(io::Error::last_os_error()),
                    false => Ok(()),
                }
            });
        }
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), lifetime, started })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error with the end of its log, if it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.ended() {
            Some(status) => {
                bail!("{} ended ({status}); the end of {}:\n{}", self.name, self.log.display(), self.tail())
            }
            None => Ok(()),
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("{} did not end within {limit:?}; the end of its log:\n{}", self.name, self.tail());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        kill(self.child.id().cast_signed(), signal)
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        tail(&self.log, 25)
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM, and SIGKILL to one that does not listen. Its status.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        if let Some(status) = self.ended() {
            return Some(status);
        }
        let _ = self.signal(libc::SIGTERM);
        if let Ok(status) = self.wait(STOP_MAX) {
            return Some(status);
        }
        let _ = self.child.kill();
        self.child.wait().ok()
    }

    /// Processes that it started, and theirs.
    pub fn descendants(&self) -> Vec<u32> {
        descendants(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Guarded {
            self.stop();
        }
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    File::options().create(true).append(true).open(path).with_context(|| path.display().to_string())
}

/// Sends a signal to one process.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers. A process id of 1 or below would address a group or init; such are never ours.
    match pid > 1 && unsafe { libc::kill(pid, signal) } == 0 {
        true => Ok(()),
        false => Err(io::Error::last_os_error()),
    }
}

/// The last lines of a file.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    let text = std::fs::read(file).map(|octets| String::from_utf8_lossy(&octets).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// All processes below `pid`, by the parent field of /proc/PID/stat.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parent(pid)?)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&of) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// The fourth field; the second is the name in brackets and may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Runs a command inside to its end; its stdout.
pub(crate) fn run_inside(namespace: &Namespace, mut command: Command) -> anyhow::Result<String> {
    namespace.start_inside(&mut command)?;
    run(&mut command)
}
