//! A User Mode Linux guest: a kernel with SCTP on a machine whose own has none.
//!
//! The guest sees this machine's / read-only (hostfs), has one interface (a tap in a namespace of the run), its own kernel
//! SCTP and TUN, and runs one shell script. Its directory `share` is ours and writable. It is one slow processor, about
//! 5,000 packets a second: for function, never for load.

use crate::{Lifetime, Namespace, Process, Workdir, lab::plain_frames};
use anyhow::{Context as _, bail, ensure};
use std::{
    fs,
    net::Ipv4Addr,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const KERNEL: &str = "/usr/bin/linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";
const MEMORY: &str = "mem=512M";
/// Boots in two to four seconds; a busy machine takes longer.
const BOOT_MAX: Duration = Duration::from_secs(60);

/// The first process of the guest. Its arguments are on the kernel's command line.
const INIT: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run TERM=dumb
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do
  case $word in coeur.*) eval "${word#coeur.}" ;; esac
done
mount -t sysfs sysfs /sys
[ -e /dev/null ] || mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mkdir /run/share
mount -t hostfs -o "$share" share /run/share
echo "$share/modprobe" > /proc/sys/kernel/modprobe
for module in sctp tun; do modprobe -d /run/share $module || echo "init: no module $module"; done
[ -c /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"
cd /run/share
: > booted
sh ./script > out 2> err < /dev/null
echo $? > status.new
mv status.new status
sync
exec busybox poweroff -f
"#;

/// What the guest's kernel calls for the modules that it asks for itself: SCTP wants an HMAC for its cookies on listen(2).
const MODPROBE: &str = "#!/bin/sh\nexec /sbin/modprobe -d /run/share \"$@\"\n";

/// The link between a guest and the namespace it is in.
#[derive(Clone, Copy, Debug)]
pub struct GuestNet {
    pub tap: &'static str,
    /// Our end: the guest's gateway.
    pub host: Ipv4Addr,
    pub guest: Ipv4Addr,
}

/// A running guest. Dropping it ends it.
#[derive(Debug)]
pub struct Guest {
    process: Process,
    share: PathBuf,
}

impl Guest {
    /// Why no guest can run here; none if one can.
    pub fn missing() -> Option<String> {
        crate::missing().or_else(|| {
            let lacks = [KERNEL, MODULES, "/usr/bin/busybox", "/dev/net/tun"]
                .into_iter()
                .find(|path| !Path::new(path).exists());
            lacks.map(|path| {
                format!("needs {path} (Debian packages user-mode-linux, busybox-static): run `cargo xtask setup`")
            })
        })
    }

    /// Boots a guest in `namespace` on a new tap and starts `script` in it, with the working directory `share`.
    pub fn boot(workdir: &Workdir, namespace: &Namespace, net: &GuestNet, script: &str) -> anyhow::Result<Self> {
        let share = workdir.file(&format!("guest-{}", net.tap));
        fs::create_dir(&share)?;
        fs::write(share.join("script"), script)?;
        // Where modprobe looks: not every machine has a /lib/modules to mount over.
        fs::create_dir(share.join("lib"))?;
        symlink(MODULES, share.join("lib/modules"))?;
        let init = share.join("init");
        for (path, text) in [(&init, INIT), (&share.join("modprobe"), MODPROBE)] {
            fs::write(path, text)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        namespace.ip(&["tuntap", "add", "dev", net.tap, "mode", "tap"])?;
        namespace.ip(&["address", "add", &format!("{}/24", net.host), "dev", net.tap])?;
        plain_frames(namespace, net.tap)?;
        namespace.ip(&["link", "set", net.tap, "up"])?;

        let mut command = Command::new(KERNEL);
        // `tuntap` sends whole checksums; the newer vector driver leaves them to the receiver, who here reads raw frames.
        command.args([MEMORY, "rootfstype=hostfs", "rootflags=/", "ro", "con=null", "con0=null,fd:1", "ssl=null"]);
        command.args(["quiet", "loglevel=3", "panic=1", &format!("umid=coeur-{}-{}", workdir.tag(), net.tap)]);
        command.args([&format!("init={}", init.display()), &format!("eth0=tuntap,{}", net.tap)]);
        command.args([&format!("coeur.share={}", share.display()), &format!("coeur.gateway={}", net.host)]);
        command.arg(format!("coeur.address={}/24", net.guest));
        // Its control socket and its memory file go where the run's directory goes.
        command.env("HOME", &share).env("TMPDIR", &share);
        let log = share.join("console");
        let process = Process::spawn("User Mode Linux", Some(namespace), command, &log, Lifetime::Guarded)?;
        let mut guest = Self { process, share };
        guest.wait_for("booted", BOOT_MAX)?;
        Ok(guest)
    }

    /// Where the guest reads and writes files, as we see it.
    pub fn share(&self) -> &Path {
        &self.share
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What the script has written to stdout so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.share.join("out")).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.share.join("err")).unwrap_or_default()
    }

    /// Waits until the script wrote something that `find` knows.
    pub fn wait_for_output<T>(
        &mut self,
        limit: Duration,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + limit;
        loop {
            if let Some(found) = find(&self.stdout()) {
                return Ok(found);
            }
            if Instant::now() > end || self.process.ended().is_some() {
                bail!("not seen within {limit:?}; {}", self.describe());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the script's end: its exit status.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<i32> {
        self.wait_for("status", limit)?;
        let text = fs::read_to_string(self.share.join("status"))?;
        text.trim().parse().with_context(|| format!("exit status {text:?}"))
    }

    fn wait_for(&mut self, file: &str, limit: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while !self.share.join(file).exists() {
            // The guest may have written it just before it ended.
            if self.process.ended().is_some() {
                ensure!(self.share.join(file).exists(), "the guest ended; {}", self.describe());
            }
            ensure!(Instant::now() < end, "no {file} within {limit:?}; {}", self.describe());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Everything that helps to see why.
    pub fn describe(&self) -> String {
        format!("console:\n{}\nstdout:\n{}\nstderr:\n{}", self.process.tail(), self.stdout(), self.stderr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping;

    #[test]
    fn a_guest_has_kernel_sctp_and_is_reached_over_its_tap() {
        if let Some(why) = Guest::missing() {
            eprintln!("skipped: {why}");
            return;
        }
        let workdir = Workdir::create().unwrap();
        let namespace = workdir.namespace("guest").unwrap();
        let net = GuestNet { tap: "tap0", host: [10, 30, 0, 1].into(), guest: [10, 30, 0, 2].into() };
        let script = "grep -c SCTP /proc/net/protocols\nuntil [ -e stop ]; do sleep 0.1; done\nexit 7\n";
        let mut guest = Guest::boot(&workdir, &namespace, &net, script).unwrap();
        let report = ping::run(&namespace, &ping::Options { count: 3, ..ping::Options::to(net.guest) }).unwrap();
        assert!(report.lost() < 3, "{}", guest.describe());
        fs::write(guest.share().join("stop"), "").unwrap();
        assert_eq!(guest.wait(Duration::from_secs(20)).unwrap(), 7, "{}", guest.describe());
        assert_ne!(guest.stdout().trim(), "0", "{}", guest.describe());
    }
}
