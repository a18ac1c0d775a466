//! A core that runs in a lab, and phones that run against it.

use crate::{Addresses, Binaries, CoreFile, Events, Lab, Lifetime, Namespace, Path, Process, Subscriber, scrape};
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};

/// How long a core may take until it answers. Less than a second is what it promises; a slow machine is no failure here.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long one phone may take, and all of them besides.
const PHONE_MAX: Duration = Duration::from_millis(500);
const PHONES_MAX: Duration = Duration::from_secs(60);

/// `coeur up`, its children, and the lab around them. Drop order: phones are dropped by their owner before.
#[derive(Debug)]
pub struct Running {
    pub up: Process,
    pub lab: Lab,
    pub binaries: Binaries,
    pub lifetime: Lifetime,
}

impl Running {
    /// Makes a lab and starts `coeur up` in it; returns when its command line answers.
    pub fn start(binaries: &Binaries, path: Path, lifetime: Lifetime) -> anyhow::Result<Self> {
        let mut lab = Lab::create()?;
        lab.pass_at_far_ends(&binaries.upf, lifetime)?;
        let file = CoreFile::in_lab(&lab, path);
        Self::in_lab(lab, binaries, &file, lifetime)
    }

    /// Starts `coeur up` with `file` in a lab; returns when its command line answers.
    pub fn in_lab(lab: Lab, binaries: &Binaries, file: &CoreFile, lifetime: Lifetime) -> anyhow::Result<Self> {
        fs::write(lab.workdir.file(CONFIG), file.to_toml())?;
        let up = start_up(&lab, binaries, lifetime)?;
        let mut running = Self { up, lab, binaries: binaries.clone(), lifetime };
        running.wait_ready()?;
        Ok(running)
    }

    /// Stops `coeur up` as its operator would, and starts it again on what it stored.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let status = self.up.stop().context("coeur up ends")?;
        ensure!(status.success(), "coeur up ended with {status}:\n{}", self.up.tail());
        self.up = start_up(&self.lab, &self.binaries, self.lifetime)?;
        Ok(())
    }

    /// Waits until the command line answers.
    pub fn wait_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + READY_MAX;
        loop {
            self.up.check()?;
            match self.coeur(&["status", "--json"]) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > end => return Err(error.context(format!("log:\n{}", self.up.tail()))),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Runs `coeur …` against this platform; its stdout.
    pub fn coeur(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.binaries.coeur);
        command.args(arguments).arg("--config").arg(self.lab.workdir.file(CONFIG));
        self.lab.run_in(&self.lab.core, command)
    }

    /// The same, read as JSON.
    pub fn coeur_json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = self.coeur(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("coeur {arguments:?}: {text}"))
    }

    /// Adds subscribers.
    pub fn import(&self, subscribers: &[Subscriber]) -> anyhow::Result<()> {
        let file = self.lab.workdir.file(SUBSCRIBERS);
        write_subscribers(&file, subscribers)?;
        self.coeur(&["subscriber", "import", &file.display().to_string()]).map(drop)
    }

    /// Starts phones in the lab's radio site.
    pub fn phones(&self, options: &RanOptions) -> anyhow::Result<Phones> {
        Phones::start(&self.lab, &self.binaries, options, self.lifetime)
    }

    /// `/metrics` of the user plane, by series.
    pub fn upf_samples(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        Ok(scrape::samples(&self.metrics(CoreFile::UPF_METRICS_PORT)?))
    }

    /// `/metrics` at one of the ports of the core's namespace.
    pub fn metrics(&self, port: u16) -> anyhow::Result<String> {
        scrape::get(&self.lab.core, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "/metrics")
    }

    /// The child of `coeur up` whose command line begins with these words.
    pub fn child(&self, words: &[&str]) -> anyhow::Result<u32> {
        let is = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line: Vec<_> = line.split(|octet| *octet == 0).map(String::from_utf8_lossy).collect();
            line.len() > words.len() && line[0].ends_with(words[0]) && line[1..words.len()] == words[1..]
        };
        self.up.descendants().into_iter().find(is).with_context(|| format!("no child {words:?} of coeur up"))
    }
}

/// In the run's directory.
pub const CONFIG: &str = "coeur.toml";
pub const SUBSCRIBERS: &str = "subscribers.csv";

fn start_up(lab: &Lab, binaries: &Binaries, lifetime: Lifetime) -> anyhow::Result<Process> {
    let mut command = Command::new(&binaries.coeur);
    command.arg("up").arg("--config").arg(lab.workdir.file(CONFIG));
    Process::spawn("coeur up", Some(&lab.core), command, &lab.workdir.file("coeur-up.log"), lifetime)
}

/// Writes the file that `coeur subscriber import` and `coeur-ran` both read.
pub fn write_subscribers(file: &std::path::Path, subscribers: &[Subscriber]) -> anyhow::Result<()> {
    let mut text = String::from("supi,k,opc\n");
    for Subscriber { supi, k, opc } in subscribers {
        let _ = writeln!(text, "{supi},{k},{opc}");
    }
    fs::write(file, text).with_context(|| file.display().to_string())
}

/// What `coeur-ran` is told.
#[derive(Clone, Debug)]
pub struct RanOptions {
    pub ues: u32,
    pub amf: Ipv4Addr,
    pub gnb: Ipv4Addr,
    /// An interface for each phone.
    pub tun: bool,
    /// Keep phones registered until it is stopped.
    pub hold: bool,
    pub more: Vec<String>,
}

impl RanOptions {
    /// Phones that stay, with an interface each.
    pub fn holding(ues: u32) -> Self {
        Self { ues, amf: Addresses::LAB.core_n3, gnb: Addresses::LAB.gnb, tun: true, hold: true, more: Vec::new() }
    }

    /// Phones that attach, deregister and are gone.
    pub fn passing(ues: u32) -> Self {
        Self { tun: false, hold: false, more: vec!["--deregister".into()], ..Self::holding(ues) }
    }

    /// The command line, with the file of subscribers.
    pub fn arguments(&self, subscribers: &std::path::Path) -> Vec<String> {
        let Self { ues, amf, gnb, .. } = self;
        let (plmn, tac, slice, dnn) = (CoreFile::PLMN, CoreFile::TAC, CoreFile::SLICE, CoreFile::DNN);
        let text = format!(
            "run --amf {amf}:38412 --gnb-n2 {gnb} --gnb-n3 {gnb} --plmn {plmn} --tac {tac} --slice {slice} --dnn {dnn} \
             --ues {ues} --json -"
        );
        let mut arguments: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        arguments.extend(self.tun.then(|| "--tun".to_owned()));
        arguments.extend(self.hold.then(|| "--hold".to_owned()));
        arguments.extend(self.more.iter().cloned());
        arguments.extend(["--subscribers".to_owned(), subscribers.display().to_string()]);
        arguments
    }
}

/// One phone that has a session.
#[derive(Clone, Debug)]
pub struct Phone {
    pub supi: String,
    pub address: Ipv4Addr,
    pub device: String,
}

/// Phones of one `coeur-ran`.
#[derive(Debug)]
pub struct Phones {
    pub process: Process,
    pub events: Events,
    asked: u32,
    /// Where phones have interfaces.
    routed: Option<Namespace>,
    /// When NG Setup was accepted.
    pub ng_setup: Option<Instant>,
    pub registered: u32,
    pub sessions: Vec<Phone>,
    /// From the first message to a session, for each phone that got one.
    pub attach: Vec<Duration>,
}

impl Phones {
    /// Starts `coeur-ran` in the lab's radio site, with the subscribers that were imported last.
    pub fn start(lab: &Lab, binaries: &Binaries, options: &RanOptions, lifetime: Lifetime) -> anyhow::Result<Self> {
        let log = lab.workdir.file("coeur-ran.log");
        let mut command = Command::new(&binaries.ran);
        command.args(options.arguments(&lab.workdir.file(SUBSCRIBERS)));
        let (name, namespace) = ("coeur-ran", Some(&lab.ran));
        let (process, events) = match lifetime {
            Lifetime::Guarded => {
                let (process, stdout) = Process::spawn_piped(name, namespace, command, &log, lifetime)?;
                (process, Events::read(stdout))
            }
            Lifetime::Kept => {
                let path = lab.workdir.file("coeur-ran.jsonl");
                command.stdout(fs::File::create(&path)?);
                let process = Process::spawn_with_stdout(name, namespace, command, &log, lifetime)?;
                (process, Events::follow(&path)?)
            }
        };
        Ok(Self::new(process, events, options, &lab.ran))
    }

    fn new(process: Process, events: Events, options: &RanOptions, ran: &Namespace) -> Self {
        let (asked, routed) = (options.ues, options.tun.then(|| ran.clone()));
        Self { process, events, asked, routed, ng_setup: None, registered: 0, sessions: Vec::new(), attach: Vec::new() }
    }

    /// Waits until every phone has a session, or the first that is refused.
    pub fn wait_attached(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + PHONES_MAX + PHONE_MAX * self.asked;
        while (self.sessions.len() as u32) < self.asked {
            let waited = self.events.next(end).with_context(|| {
                format!(
                    "{} of {} phones have a session; log:\n{}",
                    self.sessions.len(),
                    self.asked,
                    self.process.tail()
                )
            });
            let Some((at, event)) = waited? else {
                bail!("coeur-ran ended early; log:\n{}", self.process.tail());
            };
            self.see(at, &event)?;
        }
        Ok(())
    }

    fn see(&mut self, at: Instant, event: &Value) -> anyhow::Result<()> {
        match event["event"].as_str().unwrap_or_default() {
            "ng-setup" => self.ng_setup = Some(at),
            "registered" => self.registered += 1,
            "session" => {
                let text = |key: &str| {
                    event[key].as_str().map(str::to_owned).with_context(|| format!("event without {key}: {event}"))
                };
                let phone = Phone {
                    supi: text("supi")?,
                    address: text("address")?.parse()?,
                    device: event["tun"].as_str().unwrap_or_default().to_owned(),
                };
                if let Some(ran) = &self.routed {
                    route(ran, &phone, FIRST_TABLE + self.sessions.len() as u32)?;
                }
                self.sessions.push(phone);
                self.attach.extend(event["attach_ms"].as_f64().map(|ms| Duration::from_secs_f64(ms / 1e3)));
            }
            "failed" | "ng-setup-failed" => bail!("refused: {event}"),
            _ => {}
        }
        Ok(())
    }
}

/// Routing tables of phones count from here; those below 256 have meanings of their own.
const FIRST_TABLE: u32 = 1000;

/// What a phone sends leaves by its own interface. A phone's kernel knows no other; here many share one.
fn route(ran: &Namespace, phone: &Phone, table: u32) -> anyhow::Result<()> {
    ensure!(!phone.device.is_empty(), "{} has no interface", phone.supi);
    let table = table.to_string();
    ran.ip(&["route", "add", "default", "dev", &phone.device, "table", &table])?;
    ran.ip(&["rule", "add", "from", &phone.address.to_string(), "lookup", &table]).map(drop)
}

/// The value below which `percent` of `values` are (nearest rank); none of none.
pub fn percentile(values: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<_> = (1..=10).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Some(Duration::from_millis(5)));
        assert_eq!(percentile(&values, 99), Some(Duration::from_millis(10)));
        assert_eq!(percentile(&values[..1], 50), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 50), None);
    }
}
