//! The fast path as its daemon sees it.

use std::{io, net::Ipv4Addr, os::fd::BorrowedFd, path::PathBuf};

use aya::Ebpf;
use coeur_ebpf_abi::{
    Action, Be32, Config, DownlinkRecord, NEXT_HOP_N6_DEFAULT, NEXT_HOP_NONE, POOLS_MAX, Pool, TEID_SLOTS_MAX,
    UplinkRecord,
};
use coeur_rules::MapWrite;
use serde::Serialize;

use crate::{
    attach::{self, Attached, PassProgram, Role},
    counters::Counters,
    error::{ApplyError, ReadError, StartError},
    maps::Maps,
    nexthop::Keeper,
    nic::{self, NicReport, PathChoice, PathKind},
    object::{self, Capacity},
    pin::Pins,
    sessions::Usage,
};

/// What a user plane is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub n3_interface: String,
    pub n3_address: Ipv4Addr,
    /// May be the same as N3's.
    pub n6_interface: String,
    /// UE address pools in order, each as first address and number of addresses.
    pub pools: Vec<(Ipv4Addr, u32)>,
    pub uplink_slots: u32,
    pub path: PathChoice,
    /// A folder of this user plane's own on bpffs. Without one, everything ends with the process.
    pub pin_folder: Option<PathBuf>,
}

/// What was done at start: for the log, and for `coeur status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StartReport {
    /// The tables, with the sessions in them, are the predecessor's.
    pub adopted: bool,
    pub adopted_reason: String,
    pub interfaces: Vec<InterfacePath>,
    /// What will not work until somebody does something, and what that is.
    pub warnings: Vec<String>,
}

/// Which way packets take at an interface, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfacePath {
    pub interface: String,
    pub path: PathKind,
    pub reason: String,
}

/// A running fast path. Dropped, it leaves pinned programs and tables at work, for a successor.
pub struct FastPath {
    // Field order is drop order: links before programs before maps.
    attached: Vec<Attached>,
    passes: Vec<PassProgram>,
    _ebpf: Ebpf,
    keeper: Keeper,
    maps: Maps,
    pins: Option<Pins>,
    report: StartReport,
}

impl FastPath {
    /// Loads, adopts or builds, attaches, and reads the kernel's routes. When it returns, packets flow.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        let (pools, capacity) = check(settings)?;
        let interfaces = roles(settings);
        let mut reports = Vec::new();
        for (interface, _) in &interfaces {
            let report = nic::probe(interface)
                .map_err(|error| StartError::Interface { interface: (*interface).to_owned(), error })?;
            reports.push(report);
        }

        let pins = settings.pin_folder.as_deref().map(Pins::open).transpose()?;
        let adoptable = pins.as_ref().map_or(Err("nothing is pinned".to_owned()), |pins| pins.adoptable(capacity));
        let folder = match (&pins, &adoptable) {
            (None, _) => None,
            (Some(pins), Ok(())) => Some(pins.maps()),
            (Some(pins), Err(_)) => Some(pins.prepare()?),
        };
        let config = Config::new(Be32::from(settings.n3_address), &pools);
        let mut ebpf = object::load(&config, capacity, folder.as_deref())?;
        let mut maps = Maps::take(&mut ebpf, capacity)?;
        let ifindex =
            |interface: &str| reports.iter().find(|nic| nic.interface == interface).map_or(0, |nic| nic.ifindex);
        let (n3, n6) = (ifindex(&settings.n3_interface), ifindex(&settings.n6_interface));
        let keeper = Keeper::start(&mut maps, n3, n6, pools).map_err(StartError::Netlink)?;

        let mut report = StartReport {
            adopted: adoptable.is_ok(),
            adopted_reason: adoptable.clone().err().unwrap_or_else(|| "the pinned tables fit".to_owned()),
            interfaces: Vec::new(),
            warnings: Vec::new(),
        };
        let (attached, path) = attach_all(&mut ebpf, settings, &interfaces, &reports, pins.as_ref(), &mut report)?;
        if let (Some(pins), Err(_)) = (&pins, &adoptable) {
            pins.promote()?;
        }
        let passes = see_to_offloads_and_peers(path, &reports, pins.as_ref(), &mut report);
        Ok(Self { attached, passes, _ebpf: ebpf, keeper, maps, pins, report })
    }

    pub fn report(&self) -> &StartReport {
        &self.report
    }

    /// Makes the writes in their order, up to the first that fails. A downlink record that forwards and has no next hop gets
    /// the one to its gNB.
    pub fn apply(&mut self, writes: &[MapWrite]) -> Result<(), ApplyError> {
        for write in writes {
            let write = self.with_next_hop(write);
            self.maps.sessions.apply(&write)?;
        }
        Ok(())
    }

    /// Usage of an uplink slot since it was last filled; none: there is no such slot.
    pub fn uplink_usage(&self, index: u32) -> Option<Usage> {
        self.maps.sessions.uplink_usage(index)
    }

    pub fn downlink_usage(&self, index: u32) -> Option<Usage> {
        self.maps.sessions.downlink_usage(index)
    }

    /// Usage of a TEID that a peer insisted on; gone with its entry.
    pub fn usage_by_teid(&self, teid: u32) -> Option<Usage> {
        self.maps.sessions.usage_by_teid(teid)
    }

    /// Usage of an address outside the pools; gone with its entry.
    pub fn usage_by_address(&self, address: Ipv4Addr) -> Option<Usage> {
        self.maps.sessions.usage_by_address(address)
    }

    /// The records as they are, for a daemon that finds its sessions again after a restart.
    pub fn uplink_record(&self, index: u32) -> Option<UplinkRecord> {
        self.maps.sessions.uplink.read(index)
    }

    pub fn downlink_record(&self, index: u32) -> Option<DownlinkRecord> {
        self.maps.sessions.downlink.read(index)
    }

    /// Empties every session slot: for a daemon that adopted tables and does not know their sessions.
    pub fn clear(&mut self) {
        self.maps.sessions.clear();
    }

    pub fn counters(&self) -> Result<Counters, ReadError> {
        self.maps.counters.read()
    }

    /// The id of the way to an address, for records; [`NEXT_HOP_NONE`] leaves its packets to the kernel.
    pub fn next_hop(&mut self, target: Ipv4Addr) -> u32 {
        self.keeper.intern(&self.maps, target)
    }

    /// Readable when the kernel has news; then [`FastPath::poll`] is due.
    pub fn netlink_fd(&self) -> BorrowedFd<'_> {
        self.keeper.fd()
    }

    /// Follows the kernel's links, routes and neighbours. Does not wait.
    pub fn poll(&mut self) -> io::Result<()> {
        self.keeper.poll(&mut self.maps)
    }

    /// Ends forwarding for good: detaches the programs and removes what is pinned.
    pub fn remove(self) -> io::Result<()> {
        let Self { attached, passes, pins, .. } = self;
        let removed = pins.map_or(Ok(()), |pins| pins.remove());
        drop((attached, passes));
        removed
    }

    fn with_next_hop(&mut self, write: &MapWrite) -> MapWrite {
        let mut write = *write;
        match &mut write {
            MapWrite::Downlink { record, .. } | MapWrite::DownlinkByAddress { record: Some(record), .. } => {
                if record.next_hop == NEXT_HOP_NONE && record.action == Action::Forward as u8 {
                    record.next_hop = self.next_hop(record.gnb_address.into());
                }
            }
            MapWrite::Uplink { record, .. } | MapWrite::UplinkByTeid { record: Some(record), .. } => {
                if record.next_hop == NEXT_HOP_NONE && record.action == Action::Forward as u8 {
                    record.next_hop = NEXT_HOP_N6_DEFAULT;
                }
            }
            MapWrite::UplinkByTeid { record: None, .. } | MapWrite::DownlinkByAddress { record: None, .. } => {}
        }
        write
    }
}

/// Limits, before anything is touched.
fn check(settings: &Settings) -> Result<(Vec<Pool>, Capacity), StartError> {
    if settings.pools.len() > POOLS_MAX {
        return Err(StartError::TooManyPools { pools: settings.pools.len(), max: POOLS_MAX });
    }
    if settings.uplink_slots > TEID_SLOTS_MAX {
        return Err(StartError::TooManySlots { slots: settings.uplink_slots, max: TEID_SLOTS_MAX });
    }
    let mut offset: u32 = 0;
    let mut pools = Vec::new();
    for (base, size) in &settings.pools {
        pools.push(Pool { base: base.to_bits(), size: *size, offset, pad0: 0 });
        offset = offset.checked_add(*size).ok_or(StartError::PoolsTooLarge)?;
    }
    Ok((pools, Capacity { uplink_slots: settings.uplink_slots, downlink_slots: offset }))
}

fn roles(settings: &Settings) -> Vec<(&str, Role)> {
    if settings.n3_interface == settings.n6_interface {
        vec![(&settings.n3_interface, Role::Both)]
    } else {
        vec![(&settings.n3_interface, Role::N3), (&settings.n6_interface, Role::N6)]
    }
}

/// Attaches to every interface by one path; where the driver refuses native XDP and nobody asked for it, by TC.
fn attach_all(
    ebpf: &mut Ebpf,
    settings: &Settings,
    interfaces: &[(&str, Role)],
    reports: &[NicReport],
    pins: Option<&Pins>,
    report: &mut StartReport,
) -> Result<(Vec<Attached>, PathKind), StartError> {
    let views: Vec<(PathKind, &str, &str)> =
        reports.iter().map(|nic| (nic.path, nic.interface.as_str(), nic.reason.as_str())).collect();
    let (path, reason) = nic::decide(settings.path, &views);
    match attach_by(ebpf, interfaces, path, pins) {
        Ok(attached) => {
            report.interfaces = taken(interfaces, path, &reason);
            Ok((attached, path))
        }
        Err(StartError::Attach { interface, error, .. })
            if path == PathKind::Xdp && settings.path == PathChoice::Auto =>
        {
            let reason = format!("{interface}: the driver refused native XDP: {error}");
            let attached = attach_by(ebpf, interfaces, PathKind::Tc, pins)?;
            report.interfaces = taken(interfaces, PathKind::Tc, &reason);
            Ok((attached, PathKind::Tc))
        }
        Err(error) => Err(error),
    }
}

fn attach_by(
    ebpf: &mut Ebpf,
    interfaces: &[(&str, Role)],
    path: PathKind,
    pins: Option<&Pins>,
) -> Result<Vec<Attached>, StartError> {
    for (_, role) in interfaces {
        attach::load(ebpf, *role, path).map_err(StartError::Load)?;
    }
    interfaces.iter().map(|(interface, role)| attach::attach(ebpf, interface, *role, path, pins)).collect()
}

fn taken(interfaces: &[(&str, Role)], path: PathKind, reason: &str) -> Vec<InterfacePath> {
    let taken = |interface: &str| InterfacePath { interface: interface.to_owned(), path, reason: reason.to_owned() };
    interfaces.iter().map(|(interface, _)| taken(interface)).collect()
}

/// What else has to be so for packets to arrive: a veth's other end, and packets that are not merged.
fn see_to_offloads_and_peers(
    path: PathKind,
    reports: &[NicReport],
    pins: Option<&Pins>,
    report: &mut StartReport,
) -> Vec<PassProgram> {
    let mut passes = Vec::new();
    for nic in reports {
        // As it is now, with our own programs attached.
        let peer = nic::probe(&nic.interface).ok().and_then(|nic| nic.veth_peer);
        match path {
            PathKind::Xdp => {
                if let Some(peer) = peer.filter(|peer| peer.takes_redirected != Some(true)) {
                    match peer.interface.as_deref().map(|peer| attach::attach_pass_pinned(peer, pins)) {
                        Some(Ok(pass)) => passes.push(pass),
                        _ => report.warnings.push(format!(
                            "{}: the other end of this veth (interface {} of another namespace) drops what XDP redirects \
                             into it unless it has an XDP program; run there: `coeur-upf xdp-pass IFNAME`, or \
                             `ethtool -K IFNAME gro on`",
                            nic.interface, peer.ifindex
                        )),
                    }
                }
            }
            PathKind::Tc | PathKind::Generic => {
                if let Err(error) = nic::split_merged_packets(&nic.interface) {
                    report.warnings.push(format!(
                        "{}: cannot turn off merging of received packets ({error}); merged packets are dropped, run \
                         `ethtool -K {} gro off lro off`",
                        nic.interface, nic.interface
                    ));
                }
                let Some(peer) = peer else { continue };
                let split = peer.interface.as_deref().map(nic::split_sent_packets);
                if !matches!(split, Some(Ok(()))) {
                    report.warnings.push(format!(
                        "{}: the other end of this veth may send merged packets, which are dropped; run there: \
                         `ethtool -K IFNAME tso off gso off`",
                        nic.interface
                    ));
                }
            }
        }
    }
    passes
}
