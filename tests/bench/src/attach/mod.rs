//! `bench attach`: registration and session of many phones, by real processes over real SCTP and PFCP, the store on.
//!
//! One phone attaches first, and every message of it is captured on the wire. Codec and cryptography of just these
//! messages are then measured alone, in this process: the floor. What the core takes beyond it is its own doing.

mod capture;
mod floor;

use crate::figure::Figure;
use anyhow::{Context as _, ensure};
use capture::Capture;
use coeur_e2e::{Binaries, Lifetime, Path, Phones, RanOptions, Running, Subscriber, percentile};
use std::{fs, time::Duration};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Phones to register
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    ues: u32,
}

const BENCH: &str = "attach";

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let binaries = Binaries::find()?;
    let running = Running::start(&binaries, Path::Auto, Lifetime::Guarded)?;
    let subscribers = coeur_e2e::subscribers(options.ues);
    running.import(&subscribers)?;

    eprintln!("one phone, captured");
    let attach = capture_one(&running)?;
    let floor = floor::measure(&attach, &subscribers[0])?;

    eprintln!("{} phones", options.ues);
    let (core, upf) = (Usage::of(&running, &["coeur", "core"])?, Usage::of(&running, &["coeur-upf"])?);
    let ran = RanOptions { tun: false, ..RanOptions::holding(options.ues) };
    let mut phones = running.phones(&ran)?;
    phones.wait_attached()?;
    let (core, upf) = (core.since()?, upf.since()?);
    Ok(figures(options.ues, floor, &core, &upf, &phones))
}

fn figures(ues: u32, floor: Duration, core: &Usage, upf: &Usage, phones: &Phones) -> Vec<Figure> {
    let n = u64::from(ues);
    let each_us = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(ues);
    let each_kib = |octets: i64| octets as f64 / 1024.0 / f64::from(ues);
    let floor_us = floor.as_secs_f64() * 1e6;
    let core_us = each_us(core.cpu());
    let cost = |case: &str, value, unit| Figure::cost(BENCH, case, n, "", value, unit);
    let ms = |percent| percentile(&phones.attach, percent).unwrap_or_default().as_secs_f64() * 1e3;
    vec![
        cost("core cpu", core_us, "us/attach").over(floor_us),
        Figure {
            floor: Some(1e6 / floor_us),
            ratio: Some(core_us / floor_us),
            ..cost("core rate", 1e6 / core_us, "attach/cpu-s")
        },
        cost("core cpu, user", each_us(core.user), "us/attach"),
        cost("core cpu, system", each_us(core.system), "us/attach"),
        cost("upf cpu", each_us(upf.cpu()), "us/attach"),
        cost("latency p50", ms(50), "ms"),
        cost("latency p99", ms(99), "ms"),
        cost("core memory", each_kib(core.resident), "KiB/ue"),
        cost("upf memory", each_kib(upf.resident), "KiB/ue"),
    ]
}

/// The messages of one attach.
fn capture_one(running: &Running) -> anyhow::Result<capture::Attach> {
    let capture = Capture::start(&running.lab)?;
    let mut phones = running.phones(&RanOptions::passing(1))?;
    phones.wait_attached()?;
    // The last answer to the session's modification may still be on its way.
    std::thread::sleep(Duration::from_millis(200));
    let attach = capture.stop()?;
    let status = phones.process.wait(Duration::from_secs(20))?;
    ensure!(status.success(), "the phone did not deregister: {status}\n{}", phones.process.tail());
    Ok(attach)
}

/// What a process has used so far, or between two looks.
struct Usage {
    pid: u32,
    user: Duration,
    /// In the kernel: sockets and storage.
    system: Duration,
    /// Octets in memory.
    resident: i64,
}

impl Usage {
    fn of(running: &Running, words: &[&str]) -> anyhow::Result<Self> {
        Self::read(running.child(words)?)
    }

    fn read(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
        // proc_pid_stat(5): 14 and 15 are utime and stime; the name in brackets may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
        let ticks = |index: usize| anyhow::Ok(fields.get(index).context("stat")?.parse::<u64>()?);
        let (user, system) = (ticks(11)?, ticks(12)?);
        let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
        let pages: i64 = statm.split_whitespace().nth(1).context("resident")?.parse()?;
        // SAFETY: no pointers; both names are known on Linux.
        let (per_second, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
        let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / per_second as f64);
        Ok(Self { pid, user: time(user), system: time(system), resident: pages * page })
    }

    fn cpu(&self) -> Duration {
        self.user + self.system
    }

    /// What was used since; an error if the process is gone.
    fn since(self) -> anyhow::Result<Self> {
        let now = Self::read(self.pid)?;
        Ok(Self {
            pid: self.pid,
            user: now.user.saturating_sub(self.user),
            system: now.system.saturating_sub(self.system),
            resident: now.resident - self.resident,
        })
    }
}

/// The subscriber's keys as octets.
fn keys(subscriber: &Subscriber) -> anyhow::Result<([u8; 16], [u8; 16])> {
    let octets = |text: &str| {
        let octet = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        let octets: Option<Vec<u8>> = (0..32).step_by(2).map(octet).collect();
        octets.and_then(|octets| octets.try_into().ok()).context("32 hex digits")
    };
    Ok((octets(&subscriber.k)?, octets(&subscriber.opc)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_a_process_grows() {
        let used = || Usage::read(std::process::id()).unwrap().cpu();
        let before = used();
        // Until it shows, however little of a processor a busy machine gives; without end only if it never shows.
        let mut held = Vec::new();
        while used() < before + Duration::from_millis(20) {
            held.extend((0..10_000).map(|number| [number; 64]));
            held.truncate(100_000);
        }
        assert!(held.len() > 1);
    }
}
