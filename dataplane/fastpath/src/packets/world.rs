//! A loaded user plane with two sessions, and the checker of a row.

use aya::{
    Ebpf,
    maps::lpm_trie,
    programs::{Program, TestRun, TestRunOptions},
};
use coeur_ebpf_abi::{
    Action, Be32, Config, Direction, DownlinkRecord, DropReason, NEXT_HOP_N6_DEFAULT, NextHop, NextHopState,
    PassReason, Path, Pool, ROUTE_HAS_SPECIFIC, UplinkRecord, program, teid,
};
use coeur_rules::MapWrite;

use super::frames::{GNB, N3, UE};
use crate::{
    counters::Counters,
    maps::Maps,
    object::{Capacity, load},
    table::{Table, word_of},
};

pub(super) const TEID: u32 = teid(5, 3);
/// A TEID that a peer insisted on.
pub(super) const GIVEN_TEID: u32 = 0x0000_1234;
pub(super) const GNB_TEID: u32 = 0xabcd_ef01;
pub(super) const QFI: u8 = 9;
pub(super) const TOS: u8 = 0xb8;

pub(super) const HOP_N6: u32 = NEXT_HOP_N6_DEFAULT;
pub(super) const HOP_GNB: u32 = 2;
pub(super) const HOP_ONLINK: u32 = 3;
pub(super) const HOP_SPECIFIC: u32 = 4;
pub(super) const HOP_NARROW: u32 = 5;
pub(super) const HOP_UNRESOLVED: u32 = 6;

/// Index of the UE in the one pool, which starts at record 8.
pub(super) const DOWNLINK_INDEX: u32 = 8 + 7;

pub(super) fn hop_mac(id: u32) -> [u8; 6] {
    [0x02, 0xaa, 0, 0, 0, id as u8]
}

pub(super) fn own_mac(id: u32) -> [u8; 6] {
    [0x02, 0xbb, 0, 0, 0, id as u8]
}

/// What a row expects.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// Sent to a next hop, as this frame.
    Forward(Vec<u8>),
    Drop(DropReason),
    /// Handed to the kernel as this frame.
    Pass(PassReason, Vec<u8>),
}

pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) frame: Vec<u8>,
    pub(super) expect: Expect,
}

pub(super) struct World {
    ebpf: Ebpf,
    pub(super) maps: Maps,
}

/// `None`, and a line that says so, where loading programs is not permitted.
pub(super) fn world() -> Option<World> {
    // SAFETY: reads a number.
    if unsafe { libc::geteuid() } != 0 {
        println!("SKIPPED: loading eBPF programs needs root");
        return None;
    }
    let capacity = Capacity { uplink_slots: 64, downlink_slots: 64 };
    let config =
        Config::new(Be32::from(N3), &[Pool { base: u32::from(UE) & 0xffff_ff00, size: 32, offset: 8, pad0: 0 }]);
    let mut ebpf = load(&config, capacity, None).expect("the object loads");
    for (name, program) in ebpf.programs_mut() {
        let loaded = match program {
            Program::Xdp(xdp) => xdp.load(),
            Program::SchedClassifier(tc) => tc.load(),
            other => panic!("{name} is of an unexpected type: {other:?}"),
        };
        if let Err(error) = loaded {
            panic!("{name}: {error}");
        }
    }
    let maps = Maps::take(&mut ebpf, capacity).expect("the maps are there");
    let mut world = World { ebpf, maps };
    world.furnish();
    Some(world)
}

pub(super) fn uplink_record() -> UplinkRecord {
    UplinkRecord {
        ue_address: Be32::from(UE),
        teid: Be32::new(TEID),
        action: Action::Forward as u8,
        qfi: QFI,
        next_hop: HOP_N6,
        ..UplinkRecord::EMPTY
    }
}

pub(super) fn downlink_record() -> DownlinkRecord {
    DownlinkRecord {
        gnb_address: Be32::from(GNB),
        gnb_teid: Be32::new(GNB_TEID),
        action: Action::Forward as u8,
        qfi: QFI,
        tos: TOS,
        next_hop: HOP_GNB,
        ..DownlinkRecord::EMPTY
    }
}

impl World {
    fn furnish(&mut self) {
        for (id, mtu) in [(HOP_N6, 1500), (HOP_GNB, 1500), (HOP_ONLINK, 1500), (HOP_SPECIFIC, 1500), (HOP_NARROW, 100)]
        {
            let hop = NextHop {
                destination: hop_mac(id),
                source: own_mac(id),
                ifindex: 1,
                mtu,
                state: NextHopState::Resolved as u8,
                taken: 1,
                onlink_address: NextHop::NO_ONLINK.0,
                onlink_mask: NextHop::NO_ONLINK.1,
                ..NextHop::default()
            };
            write_slot(&self.maps.next_hops, id, &hop);
        }
        self.uplink(uplink_record());
        self.downlink(downlink_record());
    }

    pub(super) fn uplink(&mut self, record: UplinkRecord) {
        self.maps.sessions.apply(&MapWrite::Uplink { index: 5, record }).expect("slot 5 of 64");
    }

    pub(super) fn downlink(&mut self, record: DownlinkRecord) {
        let write = MapWrite::Downlink { index: DOWNLINK_INDEX, record };
        self.maps.sessions.apply(&write).expect("slot 15 of 64");
    }

    pub(super) fn given_sessions(
        &mut self,
        uplink: UplinkRecord,
        address: std::net::Ipv4Addr,
        downlink: DownlinkRecord,
    ) {
        let writes = [
            MapWrite::UplinkByTeid { teid: uplink.teid.host(), record: Some(uplink) },
            MapWrite::DownlinkByAddress { address, record: Some(downlink) },
        ];
        for write in &writes {
            self.maps.sessions.apply(write).expect("the tables are empty");
        }
    }

    pub(super) fn routes(&mut self, onlink: (Be32, Be32), neighbour: Be32, prefix: (u32, Be32)) {
        self.maps.neighbours.insert(neighbour.to_wire(), HOP_ONLINK, 0).expect("room");
        let key = lpm_trie::Key::new(prefix.0, prefix.1.to_wire());
        self.maps.routes.insert(&key, HOP_SPECIFIC, 0).expect("room");
        let mut hop = self.maps.next_hops.read(HOP_N6).expect("it is in the table");
        hop.route_flags = ROUTE_HAS_SPECIFIC;
        (hop.onlink_address, hop.onlink_mask) = onlink;
        write_slot(&self.maps.next_hops, HOP_N6, &hop);
    }

    /// Instructions that the verifier walked, by program.
    pub(super) fn verified_instructions(&self) -> Vec<(String, u32)> {
        let count = |(name, program): (&str, &Program)| {
            let info = program.info().expect("it is loaded");
            (name.to_owned(), info.verified_instruction_count().unwrap_or(0))
        };
        self.ebpf.programs().map(count).collect()
    }

    fn run(&mut self, name: &str, frame: &[u8]) -> (u32, Vec<u8>) {
        let mut out = vec![0; frame.len() + 256];
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut out);
        let result = match self.ebpf.program_mut(name).expect("named by the abi") {
            Program::Xdp(xdp) => xdp.test_run(options),
            Program::SchedClassifier(tc) => tc.test_run(options),
            other => panic!("{name} is of an unexpected type: {other:?}"),
        }
        .unwrap_or_else(|error| panic!("{name}: {error}"));
        out.truncate(result.data_size_out as usize);
        (result.return_value, out)
    }

    pub(super) fn counters(&self) -> Counters {
        self.maps.counters.read().expect("the maps are there")
    }

    /// Runs each row through every program of its direction, and compares verdict, frame and counters.
    pub(super) fn check(&mut self, direction: Direction, rows: &[Row]) {
        let programs = match direction {
            Direction::Uplink => [program::XDP_N3, program::XDP_N3_N6, program::TC_N3, program::TC_N3_N6],
            Direction::Downlink => [program::XDP_N6, program::XDP_N3_N6, program::TC_N6, program::TC_N3_N6],
        };
        for row in rows {
            for name in programs {
                self.check_row(direction, name, row);
            }
        }
    }

    fn check_row(&mut self, direction: Direction, name: &'static str, row: &Row) {
        let path = if name.starts_with("xdp") { Path::Xdp } else { Path::Tc };
        if path == Path::Tc && row.frame.len() < 34 {
            return; // Test runs of a socket buffer want a network header.
        }
        // Test runs come in on interface 1, to which all next hops lead: one interface for both means XDP_TX.
        let [pass, drop, redirect] = match name {
            program::XDP_N3_N6 => [2, 1, 3],
            _ if path == Path::Xdp => [2, 1, 4],
            _ => [0, 2, 7],
        };
        let before = self.counters();
        let (verdict, out) = self.run(name, &row.frame);
        let after = self.counters();
        let context = format!("{}: {} ({:?})", name, row.name, changes(&before, &after));
        let counted = changes(&before, &after);
        match &row.expect {
            Expect::Forward(frame) => {
                assert_eq!(verdict, redirect, "{context}");
                assert_eq!(hex(&out), hex(frame), "{context}");
                assert_eq!(counted, [format!("{}/{}", path.label(), direction.label())], "{context}");
            }
            Expect::Drop(reason) => {
                assert_eq!(verdict, drop, "{context}");
                assert_eq!(counted, [reason.label()], "{context}");
            }
            Expect::Pass(reason, frame) => {
                assert_eq!(verdict, pass, "{context}");
                assert_eq!(hex(&out), hex(frame), "{context}");
                // On one interface, what is not N3's is looked at as N6's.
                let direction = match reason {
                    PassReason::NotOurs if name.ends_with("n3_n6") => Direction::Downlink,
                    _ => direction,
                };
                assert_eq!(counted, [format!("{}/{}", reason.label(), direction.label())], "{context}");
            }
        }
    }
}

/// Writes all words of a slot.
fn write_slot<T: Copy>(table: &Table<T>, index: u32, value: &T) {
    for (i, word) in table.words(index).expect("a slot of the table").iter().enumerate() {
        word.store(word_of(value, i), std::sync::atomic::Ordering::Release);
    }
}

/// Every counter that moved, by name; the slow path's are sums of others.
fn changes(before: &Counters, after: &Counters) -> Vec<String> {
    let mut moved = Vec::new();
    for (was, is) in before.drops.iter().zip(&after.drops) {
        moved.extend((was.packets + 1 == is.packets).then(|| is.reason.to_owned()));
    }
    for (was, is) in before.passes.iter().zip(&after.passes) {
        moved.extend((was.packets + 1 == is.packets).then(|| format!("{}/{}", is.reason, is.direction)));
    }
    for (was, is) in before.paths.iter().zip(&after.paths).filter(|(_, is)| is.path != "slow") {
        moved.extend((was.packets + 1 == is.packets).then(|| format!("{}/{}", is.path, is.direction)));
    }
    moved
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|octet| format!("{octet:02x}")).collect()
}
