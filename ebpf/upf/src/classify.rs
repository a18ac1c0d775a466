//! Stage: is this frame ours, and whose is it.

use coeur_ebpf_abi::{Be32, DownlinkRecord, GTPU_PORT, PassReason, UplinkRecord, teid_index};

use crate::{
    config,
    frame::load,
    maps::{DOWNLINK, DOWNLINK_BY_IP, UPLINK, UPLINK_BY_TEID},
    parse::{GTPU, GTPU_VERSION, GTPU_VERSION_MASK, IP, UDP},
    police::{Word1, word0},
};

/// Ethernet type IPv4 and the IPv4 version nibble, as four octets from offset 12 give them.
const IPV4: u32 = u32::from_le_bytes([0x08, 0x00, 0x40, 0]);
const IPV4_MASK: u32 = u32::from_le_bytes([0xff, 0xff, 0xf0, 0]);
/// The same with a header of 20 octets.
const IPV4_NO_OPTIONS: u32 = u32::from_le_bytes([0x08, 0x00, 0x45, 0]);
const IPV4_NO_OPTIONS_MASK: u32 = u32::from_le_bytes([0xff, 0xff, 0xff, 0]);
/// More fragments, and the fragment offset (RFC 791 3.1), as they lie in the packet.
const FRAGMENT_MASK: u16 = 0x3fffu16.to_be();
const UDP_PROTOCOL: u8 = 17;
/// Version, protocol type and message type of a G-PDU (TS 29.281 5.1, table 6.1-1), as two octets from offset 42 give them.
const G_PDU: u16 = u16::from_le_bytes([GTPU_VERSION, 0xff]);
const G_PDU_MASK: u16 = u16::from_le_bytes([GTPU_VERSION_MASK, 0xff]);

/// Whether the Ethernet payload is IPv4.
///
/// # Safety
/// 16 octets are readable at `data`.
#[inline(always)]
pub(crate) unsafe fn is_ipv4(data: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { load::<u32>(data, IP - 2) & IPV4_MASK == IPV4 }
}

/// A G-PDU for our N3 address at fixed offsets, or the reason why not. The common packet meets one comparison.
///
/// # Safety
/// 50 octets are readable at `data`.
#[inline(always)]
pub(crate) unsafe fn g_pdu(data: usize) -> Result<(), PassReason> {
    // SAFETY: the caller's promise holds for every load.
    let differences = unsafe {
        ((load::<u32>(data, IP - 2) & IPV4_NO_OPTIONS_MASK) ^ IPV4_NO_OPTIONS)
            | (load::<u32>(data, IP + 16) ^ config::n3_address())
            | u32::from(load::<u16>(data, IP + 6) & FRAGMENT_MASK)
            | u32::from(load::<u8>(data, IP + 9) ^ UDP_PROTOCOL)
            | u32::from(load::<u16>(data, UDP + 2) ^ GTPU_PORT.to_be())
            | u32::from((load::<u16>(data, GTPU) & G_PDU_MASK) ^ G_PDU)
    };
    if differences == 0 {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    Err(unsafe { why_not(data) })
}

/// Which of the comparisons failed, the outermost header first.
///
/// # Safety
/// 50 octets are readable at `data`.
#[inline(always)]
unsafe fn why_not(data: usize) -> PassReason {
    // SAFETY: the caller's promise holds for every load.
    unsafe {
        if load::<u32>(data, IP + 16) != config::n3_address()
            || !is_ipv4(data)
            || load::<u8>(data, IP + 9) != UDP_PROTOCOL
        {
            return PassReason::NotOurs;
        }
        if load::<u16>(data, IP + 6) & FRAGMENT_MASK != 0 {
            return PassReason::OuterFragment;
        }
        if load::<u32>(data, IP - 2) & IPV4_NO_OPTIONS_MASK != IPV4_NO_OPTIONS {
            return PassReason::OuterOptions;
        }
        if load::<u16>(data, UDP + 2) != GTPU_PORT.to_be() {
            return PassReason::NotOurs;
        }
        if load::<u8>(data, GTPU) & GTPU_VERSION_MASK != GTPU_VERSION {
            return PassReason::GtpVersion;
        }
    }
    PassReason::NotGpdu
}

/// A record as the packet met it: word 1, then word 0.
pub(crate) struct UplinkSession {
    pub(crate) record: *mut UplinkRecord,
    pub(crate) word1: Word1,
    pub(crate) ue_address: u32,
}

impl UplinkSession {
    #[inline(always)]
    fn read(record: *mut UplinkRecord, teid: u32) -> Option<Self> {
        // SAFETY: a value of the map; word 1 before word 0.
        let (word1, (ue_address, owner)) = unsafe { (Word1::read(record), word0(record)) };
        if owner == teid { Some(Self { record, word1, ue_address }) } else { None }
    }
}

/// The uplink record of a TEID (as it lies in the packet).
#[inline(always)]
pub(crate) fn uplink_session(teid: u32) -> Option<UplinkSession> {
    if let Some(record) = UPLINK.get_ptr_mut(teid_index(u32::from_be(teid)))
        && let Some(session) = UplinkSession::read(record, teid)
    {
        return Some(session);
    }
    UplinkSession::read(UPLINK_BY_TEID.get_ptr_mut(Be32::from_wire(teid))?, teid)
}

/// What is known of a destination address.
pub(crate) enum Subscriber {
    /// It has a record, perhaps an empty one.
    Known(*mut DownlinkRecord),
    /// It is in none of the pools and in no table.
    Stranger,
}

/// The downlink record of a UE address (as it lies in the packet).
#[inline(always)]
pub(crate) fn downlink_session(address: u32) -> Subscriber {
    let record = match config::downlink_index(u32::from_be(address)) {
        Some(index) => DOWNLINK.get_ptr_mut(index),
        None => DOWNLINK_BY_IP.get_ptr_mut(Be32::from_wire(address)),
    };
    record.map_or(Subscriber::Stranger, Subscriber::Known)
}
