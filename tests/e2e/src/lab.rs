//! Three namespaces joined by veth pairs: where phones and gNBs are, where the core is, where the data network is.
//!
//! ```text
//!   ran                        core                        dn
//!   gnb0 10.10.0.2 ─── N2+N3 ─── n3 10.10.0.1
//!                                n6 10.20.0.1 ─── N6 ─── dn0 10.20.0.2
//! ```

use crate::{Binaries, Lifetime, Namespace, Process, Workdir, netns::run, process::run_inside};
use anyhow::{Context as _, bail};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// How long the program of a far end may take to be attached.
const ATTACH_MAX: Duration = Duration::from_secs(10);

/// The addresses of a lab; the same in each, because namespaces keep them apart.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub core_n3: Ipv4Addr,
    pub gnb: Ipv4Addr,
    pub core_n6: Ipv4Addr,
    pub dn: Ipv4Addr,
    pub pool: &'static str,
}

impl Addresses {
    pub const LAB: Self = Self {
        core_n3: Ipv4Addr::new(10, 10, 0, 1),
        gnb: Ipv4Addr::new(10, 10, 0, 2),
        core_n6: Ipv4Addr::new(10, 20, 0, 1),
        dn: Ipv4Addr::new(10, 20, 0, 2),
        pool: "10.45.0.0/16",
    };
}

/// The namespaces of a run. Drop order: processes of the far ends, then everything with the directory.
#[derive(Debug)]
pub struct Lab {
    far_ends: Vec<Process>,
    pub ran: Namespace,
    pub core: Namespace,
    pub dn: Namespace,
    pub addresses: Addresses,
    pub workdir: Workdir,
}

impl Lab {
    pub const N3: &'static str = "n3";
    pub const N6: &'static str = "n6";
    pub const GNB: &'static str = "gnb0";
    pub const DN: &'static str = "dn0";

    pub fn create() -> anyhow::Result<Self> {
        crate::clean_up_dead();
        let workdir = Workdir::create()?;
        let (ran, core, dn) = (workdir.namespace("ran")?, workdir.namespace("core")?, workdir.namespace("dn")?);
        let lab = Self { far_ends: Vec::new(), ran, core, dn, addresses: Addresses::LAB, workdir };
        let a = &lab.addresses;
        join((&lab.core, Self::N3, a.core_n3), (&lab.ran, Self::GNB, a.gnb))?;
        join((&lab.core, Self::N6, a.core_n6), (&lab.dn, Self::DN, a.dn))?;
        lab.dn.ip(&["route", "add", a.pool, "via", &a.core_n6.to_string()])?;
        // What the fast path does not know is the kernel's to forward.
        lab.core.sysctl("ipv4/ip_forward", "1")?;
        Ok(lab)
    }

    /// A veth end drops what XDP redirects to it unless it has a program itself: give both far ends one that passes all.
    pub fn pass_at_far_ends(&mut self, upf: &Path, lifetime: Lifetime) -> anyhow::Result<()> {
        for (namespace, interface) in [(&self.ran, Self::GNB), (&self.dn, Self::DN)] {
            let mut command = Command::new(upf);
            command.args(["xdp-pass", interface]);
            let log = self.workdir.file(&format!("xdp-pass-{interface}.log"));
            let mut process = Process::spawn("coeur-upf xdp-pass", Some(namespace), command, &log, lifetime)?;
            let end = Instant::now() + ATTACH_MAX;
            while !namespace.ip(&["link", "show", interface])?.contains("xdp") {
                match process.ended() {
                    Some(status) if !status.success() => process.check()?,
                    _ if Instant::now() > end => bail!("no program on {interface}:\n{}", process.tail()),
                    _ => std::thread::sleep(Duration::from_millis(10)),
                }
            }
            self.far_ends.push(process);
        }
        Ok(())
    }

    /// Starts a user plane without a platform, its N4 on `n4`.
    pub fn start_upf(&self, binaries: &Binaries, n4: Ipv4Addr) -> anyhow::Result<Process> {
        let file = self.workdir.file("upf.toml");
        let (n3, address, n6) = (Self::N3, self.addresses.core_n3, Self::N6);
        let (name, pool) = (crate::workdir::core_name(self.workdir.tag()), self.addresses.pool);
        let text = format!(
            "name = \"{name}\"\nn4 = \"{n4}:8805\"\npools = [\"{pool}\"]\n\n[n3]\ninterface = \"{n3}\"\naddress = \"{address}\"\n\n\
             [n6]\ninterface = \"{n6}\"\n"
        );
        fs::write(&file, text)?;
        let mut command = Command::new(&binaries.upf);
        command.arg("run").arg("--config").arg(file);
        Process::spawn("coeur-upf", Some(&self.core), command, &self.workdir.file("coeur-upf.log"), Lifetime::Guarded)
    }

    /// Runs a command in one of the namespaces to its end; its stdout.
    pub fn run_in(&self, namespace: &Namespace, command: Command) -> anyhow::Result<String> {
        run_inside(namespace, command)
    }
}

/// A veth pair between two namespaces, each end with its address.
fn join(near: (&Namespace, &str, Ipv4Addr), far: (&Namespace, &str, Ipv4Addr)) -> anyhow::Result<()> {
    near.0.ip(&["link", "add", near.1, "type", "veth", "peer", "name", far.1, "netns", far.0.name()])?;
    for (namespace, interface, address) in [near, far] {
        namespace.ip(&["addr", "add", &format!("{address}/24"), "dev", interface])?;
        plain_frames(namespace, interface)?;
        namespace.ip(&["link", "set", interface, "up"])?;
    }
    Ok(())
}

/// Makes an interface send what a wire would carry. A veth leaves checksums for a device that does not exist and passes
/// on segments of 64 kB; a program that rewrites headers or redirects frames would hand both to the receiver as they are.
pub(crate) fn plain_frames(namespace: &Namespace, interface: &str) -> anyhow::Result<()> {
    let mut command = Command::new("ethtool");
    command.args(["-K", interface, "tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off"]);
    // ethtool speaks netlink or ioctl on a socket of its namespace: no /sys, so entering the namespace is enough.
    namespace.enter(|| run(&mut command))?.with_context(|| format!("offloads of {interface}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ping, tcp};

    #[test]
    fn a_lab_carries_packets_from_end_to_end_and_leaves_nothing() {
        if let Some(why) = crate::missing() {
            eprintln!("skipped: {why}");
            return;
        }
        let lab = Lab::create().unwrap();
        let a = lab.addresses;
        lab.ran.ip(&["route", "add", "10.20.0.0/24", "via", &a.core_n3.to_string()]).unwrap();
        lab.dn.ip(&["route", "add", "10.10.0.0/24", "via", &a.core_n6.to_string()]).unwrap();
        let report = ping::run(&lab.ran, &ping::Options { count: 3, ..ping::Options::to(a.dn) }).unwrap();
        assert_eq!((report.sent, report.lost()), (3, 0));
        let seconds = Duration::from_millis(200);
        let ends = tcp::Ends {
            phone: &lab.ran,
            source: tcp::Source { address: a.gnb, device: Lab::GNB },
            network: &lab.dn,
            server: a.dn,
        };
        for direction in [tcp::Direction::Up, tcp::Direction::Down] {
            let mbps = tcp::transfer(&ends, direction, seconds).unwrap().mbps();
            assert!(mbps > 1.0, "{direction:?}: {mbps}");
        }
        let tag = lab.workdir.tag().to_owned();
        drop(lab);
        assert!(!Path::new(&format!("/run/netns/coeur-{tag}-ran")).exists());
    }

    #[test]
    fn a_program_inside_sees_the_interfaces_of_its_namespace_and_the_bpf_file_system() {
        if let Some(why) = crate::missing() {
            eprintln!("skipped: {why}");
            return;
        }
        let lab = Lab::create().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "ls /sys/class/net; stat -f -c %T /sys/fs/bpf"]);
        let seen = lab.run_in(&lab.core, command).unwrap();
        assert!(seen.contains("n3\n") && seen.contains("n6\n"), "{seen}");
        let mounted = std::fs::read_to_string("/proc/mounts").unwrap().contains(" /sys/fs/bpf bpf ");
        assert_eq!(seen.contains("bpf_fs"), mounted, "{seen}");
    }
}
