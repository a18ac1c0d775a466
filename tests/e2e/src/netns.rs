//! One network namespace: made, entered, and taken away.

use anyhow::{Context as _, bail};
use std::{
    ffi::CString,
    fs::File,
    io,
    os::fd::AsRawFd as _,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A named network namespace of this run. It is not deleted on drop: [`crate::Workdir`] does that for all of a run, so
/// that one order holds (processes first) and a crashed run is cleaned by the same code.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes namespace `name`, its loopback up and without IPv6 (router solicitations would disturb counts).
    pub fn create(name: &str) -> anyhow::Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let namespace = Self { name: name.to_owned() };
        namespace.sysctl("ipv6/conf/all/disable_ipv6", "1").or_else(absent)?;
        namespace.sysctl("ipv6/conf/default/disable_ipv6", "1").or_else(absent)?;
        // Packets of one address arrive over a tunnel and leave over another: strict reverse path would drop them.
        namespace.sysctl("ipv4/conf/all/rp_filter", "0")?;
        namespace.sysctl("ipv4/conf/default/rp_filter", "0")?;
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// `ip -n NAME …`.
    pub fn ip(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments))
    }

    /// Writes /proc/sys/net/`key` as seen inside.
    pub fn sysctl(&self, key: &str, value: &str) -> io::Result<()> {
        self.enter(|| std::fs::write(format!("/proc/sys/net/{key}"), value))?
    }

    /// Runs `work` on a thread that lives in this namespace; sockets it opens stay there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let file = File::open(self.path())?;
        let inside = move || {
            // SAFETY: the descriptor is open for the length of the call; only this thread changes namespace.
            if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(work())
        };
        std::thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Makes `command` start inside: this network namespace, with /sys showing it and the machine's BPF file system.
    pub fn start_inside(&self, command: &mut Command) -> anyhow::Result<()> {
        let file = File::open(self.path()).with_context(|| format!("namespace {}", self.name))?;
        let mounts = Mounts::default();
        // SAFETY: only system calls on memory made before the fork happen in the child.
        unsafe {
            command.pre_exec(move || {
                cvt(libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET))?;
                mounts.make()
            });
        }
        Ok(())
    }

    /// The processes inside.
    pub fn pids(name: &str) -> Vec<i32> {
        let output = Command::new("ip").args(["netns", "pids", name]).stderr(Stdio::null()).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }
}

/// A kernel without IPv6 has no switch for it.
fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// A private mount namespace whose /sys is that of the network namespace. `ip netns exec` does the same and so loses
/// /sys/fs/bpf; here the machine's is carried over.
struct Mounts {
    root: CString,
    none: CString,
    sys: CString,
    sysfs: CString,
    bpf: CString,
    /// Where the BPF file system waits while /sys changes; a directory that every Linux has and nothing here reads.
    wait: CString,
}

impl Default for Mounts {
    fn default() -> Self {
        let text = |text: &str| CString::new(text).expect("no NUL in a literal");
        Self {
            root: text("/"),
            none: text("none"),
            sys: text("/sys"),
            sysfs: text("sysfs"),
            bpf: text("/sys/fs/bpf"),
            wait: text("/mnt"),
        }
    }
}

impl Mounts {
    /// Called between fork and exec: system calls only.
    fn make(&self) -> io::Result<()> {
        let mount = |from: &CString, to: &CString, kind: &CString, flags| {
            // SAFETY: all pointers are NUL-terminated strings that outlive the call.
            cvt(unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) })
        };
        // SAFETY: no pointers.
        cvt(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        mount(&self.none, &self.root, &self.none, libc::MS_REC | libc::MS_PRIVATE)?;
        mount(&self.bpf, &self.wait, &self.none, libc::MS_BIND)?;
        mount(&self.sysfs, &self.sys, &self.sysfs, 0)?;
        mount(&self.wait, &self.bpf, &self.none, libc::MS_BIND)?;
        // SAFETY: a NUL-terminated string that outlives the call.
        cvt(unsafe { libc::umount2(self.wait.as_ptr(), libc::MNT_DETACH) })
    }
}

fn cvt(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs a command to its end; its stdout, or an error that quotes command and stderr.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
