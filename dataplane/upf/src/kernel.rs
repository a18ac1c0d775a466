//! The tables of the kernel: `coeur_fastpath` behind [`Tables`].

use std::os::fd::BorrowedFd;

use anyhow::Context;
use coeur_fastpath::{Counters, FastPath, NicReport, Settings};
use coeur_rules::{DownlinkSlot, MapWrite, UplinkSlot};
use coeur_session::{Slot, Usage};

use crate::config::Config;
use crate::tables::{PathTaken, Tables};

/// A running fast path. Dropped, it leaves what is pinned at work.
pub struct KernelTables {
    fast_path: FastPath,
    /// It adopted the tables of a former instance, whose sessions nobody knows here.
    former_sessions: bool,
}

/// Loads, attaches, pins or adopts, and says in the log what was done.
pub fn start(config: &Config) -> anyhow::Result<KernelTables> {
    let settings = Settings {
        n3_interface: config.n3.interface.clone(),
        n3_address: config.n3.address,
        n6_interface: config.n6.interface.clone(),
        // A pool holds at most 2^24 addresses.
        pools: config.pools.prefixes().iter().map(|prefix| (prefix.base(), prefix.size() as u32)).collect(),
        uplink_slots: config.session_max,
        path: config.path,
        pin_folder: Some(config.pin_dir()),
    };
    let fast_path = FastPath::start(&settings).context("the fast path does not start")?;
    let report = fast_path.report();
    for taken in &report.interfaces {
        let path = taken.path.label();
        tracing::info!(interface = taken.interface, path, reason = taken.reason, "fast path attached");
    }
    tracing::info!(adopted = report.adopted, reason = report.adopted_reason, "tables");
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    let former_sessions = report.adopted;
    Ok(KernelTables { fast_path, former_sessions })
}

/// Takes programs and tables away.
pub fn remove(tables: KernelTables) -> anyhow::Result<()> {
    tables.fast_path.remove().context("cannot take the fast path away")
}

/// A probe's result for a person.
pub fn describe(nic: &NicReport) -> String {
    let driver = nic.driver.as_deref().unwrap_or("no driver of its own");
    let features = match &nic.xdp_features {
        Some(features) if features.is_empty() => "none".to_owned(),
        Some(features) => features.join(" "),
        None => "the kernel does not tell".to_owned(),
    };
    let mut text = format!(
        "{}: {} ({})\n  driver {driver}, MTU {}, {}\n  XDP features: {features}",
        nic.interface,
        nic.path.label(),
        nic.reason,
        nic.mtu,
        if nic.up { "up" } else { "down" },
    );
    if nic.has_xdp_program {
        text.push_str("\n  an XDP program is attached");
    }
    if let Some(peer) = &nic.veth_peer {
        let takes = match peer.takes_redirected {
            Some(true) => "takes redirected frames",
            Some(false) => "drops redirected frames: run `coeur-upf xdp-pass` there",
            None => "drops redirected frames unless it has an XDP program: run `coeur-upf xdp-pass` there",
        };
        let name = peer.interface.as_deref().unwrap_or("in another namespace");
        text.push_str(&format!("\n  other end of the veth: interface {} ({name}), {takes}", peer.ifindex));
    }
    text
}

impl KernelTables {
    /// A slot keeps its counters until it is filled again; an entry of a fallback table takes them along.
    fn usage(&self, slot: Slot) -> Usage {
        let usage = match slot {
            Slot::Uplink(UplinkSlot::Index(index)) => self.fast_path.uplink_usage(index),
            Slot::Uplink(UplinkSlot::Teid(teid)) => self.fast_path.usage_by_teid(teid),
            Slot::Downlink(DownlinkSlot::Index(index)) => self.fast_path.downlink_usage(index),
            Slot::Downlink(DownlinkSlot::Address(address)) => self.fast_path.usage_by_address(address),
        };
        usage.map_or(Usage::default(), |usage| Usage { packets: usage.packets, octets: usage.bytes })
    }
}

impl Tables for KernelTables {
    fn apply(&mut self, measure: &[Slot], writes: &[MapWrite]) -> Result<Vec<Usage>, String> {
        let before: Vec<_> = measure.iter().map(|slot| self.usage(*slot)).collect();
        self.fast_path.apply(writes).map_err(|error| error.to_string())?;
        // What was forwarded until the write is in the slots; entries that are gone were read before.
        let after = measure.iter().map(|slot| self.usage(*slot));
        let later = |(before, after): (Usage, Usage)| if after.octets >= before.octets { after } else { before };
        Ok(before.into_iter().zip(after).map(later).collect())
    }

    fn forget_former_sessions(&mut self) {
        if std::mem::take(&mut self.former_sessions) {
            self.fast_path.clear();
            tracing::info!("sessions of the former instance are gone from the tables");
        }
    }

    fn counters(&self) -> Result<Counters, String> {
        self.fast_path.counters().map_err(|error| error.to_string())
    }

    fn paths(&self) -> Vec<PathTaken> {
        let taken = self.fast_path.report().interfaces.iter();
        taken
            .map(|taken| PathTaken {
                interface: taken.interface.clone(),
                path: taken.path.label().to_owned(),
                reason: taken.reason.clone(),
            })
            .collect()
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fast_path.netlink_fd())
    }

    fn poll(&mut self) -> Result<(), String> {
        self.fast_path.poll().map_err(|error| error.to_string())
    }
}
