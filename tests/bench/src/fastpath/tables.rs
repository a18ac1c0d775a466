//! The programs, and their tables filled with sessions: the same lines, in the same order, for the measured programs and
//! for the floors.

use super::frames;
use anyhow::{Context as _, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, MapData, ProgramArray},
    programs::{Program, ProgramFd, Xdp},
};
use coeur_ebpf_abi::{
    Action, Be32, Config, DownlinkRecord, NEXT_HOP_N6_DEFAULT, NextHop, NextHopState, Pool, UplinkRecord, map,
};

/// Slots of every table, whatever the number of sessions drawn from.
pub(super) const SESSIONS_MAX: u32 = 1 << 20;

/// Interface of all next hops: the loopback, which no frame of a test run reaches.
const IFINDEX: u32 = 1;

pub(super) struct Tables {
    pub(super) measured: Ebpf,
    pub(super) bench: Ebpf,
    pub(super) state: Array<MapData, [u64; 17]>,
    pub(super) tail: ProgramArray<MapData>,
}

impl Tables {
    pub(super) fn load(measured: &[u8], bench: &[u8]) -> anyhow::Result<Self> {
        let pool = Pool { base: u32::from(frames::POOL), size: SESSIONS_MAX, offset: 0, pad0: 0 };
        let config: [u64; 17] = plain(&Config::new(Be32::from(frames::N3), &[pool]));
        let mut measured = EbpfLoader::new()
            .override_global(coeur_ebpf_abi::CONFIG, &config[..], true)
            .map_max_entries(map::UPLINK, SESSIONS_MAX)
            .map_max_entries(map::DOWNLINK, SESSIONS_MAX)
            .load(measured)?;
        let mut bench = EbpfLoader::new()
            .map_max_entries("FLOOR_ARRAY", SESSIONS_MAX)
            .map_max_entries("FLOOR_HASH", SESSIONS_MAX)
            .load(bench)?;
        for ebpf in [&mut measured, &mut bench] {
            for (name, program) in ebpf.programs_mut() {
                if let Program::Xdp(xdp) = program {
                    xdp.load().with_context(|| format!("program {name}"))?;
                }
            }
        }
        furnish(&mut measured)?;
        furnish_floors(&mut bench)?;
        let state = take(&mut bench, "STATE")?;
        let tail = take(&mut bench, "MEASURED")?;
        Ok(Self { measured, bench, state, tail })
    }

    /// A program of either object.
    pub(super) fn program(&mut self, name: &str) -> anyhow::Result<&mut Xdp> {
        let program = match self.bench.program_mut(name) {
            Some(program) => program,
            None => self.measured.program_mut(name).with_context(|| format!("no program {name}"))?,
        };
        let Program::Xdp(xdp) = program else { bail!("{name} is not XDP") };
        Ok(xdp)
    }

    /// Makes the wrappers call this program.
    pub(super) fn aim(&mut self, name: &str) -> anyhow::Result<()> {
        let fd: ProgramFd = self.program(name)?.fd()?.try_clone()?;
        Ok(self.tail.set(0, &fd, 0)?)
    }
}

fn furnish(measured: &mut Ebpf) -> anyhow::Result<()> {
    let hop = NextHop {
        destination: frames::NEXT_HOP,
        source: frames::OWN,
        ifindex: IFINDEX,
        mtu: 1500,
        state: NextHopState::Resolved as u8,
        taken: 1,
        // A prefix on link to compare with, as a real N6 has it.
        onlink_address: Be32::from(std::net::Ipv4Addr::new(203, 0, 113, 0)),
        onlink_mask: Be32::new(0xffff_ff00),
        ..NextHop::default()
    };
    let mut table: Array<MapData, [u64; 8]> = take(measured, map::NEXT_HOPS)?;
    table.set(NEXT_HOP_N6_DEFAULT, plain(&hop), 0)?;
    table.set(2, plain(&hop), 0)?;

    let mut uplink: Array<MapData, [u64; 8]> = take(measured, map::UPLINK)?;
    let mut downlink: Array<MapData, [u64; 8]> = take(measured, map::DOWNLINK)?;
    for session in 0..SESSIONS_MAX {
        let record = UplinkRecord {
            ue_address: Be32::new(u32::from(frames::POOL) + session),
            teid: Be32::new(frames::teid_base() + session),
            action: Action::Forward as u8,
            qfi: 9,
            next_hop: NEXT_HOP_N6_DEFAULT,
            ..UplinkRecord::EMPTY
        };
        uplink.set(session, plain(&record), 0)?;
        let record = DownlinkRecord {
            gnb_address: Be32::from(frames::GNB),
            gnb_teid: Be32::new(session),
            action: Action::Forward as u8,
            qfi: 9,
            next_hop: 2,
            ..DownlinkRecord::EMPTY
        };
        downlink.set(session, plain(&record), 0)?;
    }
    Ok(())
}

fn furnish_floors(bench: &mut Ebpf) -> anyhow::Result<()> {
    let mut octets = [0u8; 64];
    octets[..6].copy_from_slice(&frames::NEXT_HOP);
    octets[6..12].copy_from_slice(&frames::OWN);
    octets[12..16].copy_from_slice(&IFINDEX.to_ne_bytes());
    octets[16..20].copy_from_slice(&frames::wire(frames::GNB).to_ne_bytes());
    octets[24..28].copy_from_slice(&9u32.to_ne_bytes());
    octets[28..32].copy_from_slice(&1u32.to_ne_bytes());
    let mut array: Array<MapData, [u64; 8]> = take(bench, "FLOOR_ARRAY")?;
    let mut hash: HashMap<MapData, u32, [u64; 8]> = take(bench, "FLOOR_HASH")?;
    for session in 0..SESSIONS_MAX {
        octets[20..24].copy_from_slice(&session.to_be_bytes());
        array.set(session, frames::words(&octets), 0)?;
        hash.insert(session, frames::words::<8>(&octets), 0)?;
    }
    let headers = [&[0; 14][..], &frames::tunnel(&[])].concat();
    let base = u64::from(Config::outer_checksum_base(Be32::from(frames::N3)));
    let mut template = [0u64; 9];
    template[..8].copy_from_slice(&frames::words::<8>(&headers));
    template[8] = base;
    let mut table: Array<MapData, [u64; 9]> = take(bench, "TEMPLATE")?;
    table.set(0, template, 0)?;
    Ok(())
}

/// Takes a map out of an object, or opens it a second time if several need it.
fn take<T>(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<T>
where
    T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>,
{
    Ok(T::try_from(ebpf.take_map(name).with_context(|| format!("no map {name}"))?)?)
}

/// The words of a map value. Values are plain data without padding, of a multiple of 8 octets.
fn plain<T: Copy, const N: usize>(value: &T) -> [u64; N] {
    assert_eq!(size_of::<T>(), N * 8, "as many words as the value has");
    // SAFETY: `N * 8` octets are readable, and any bits are words.
    unsafe { std::ptr::from_ref(value).cast::<[u64; N]>().read_unaligned() }
}
