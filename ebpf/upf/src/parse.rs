//! Stage: the headers of an uplink frame.
//!
//! ```text
//!   0  Ethernet 14
//!  14  IPv4 20, no options
//!  34  UDP 8
//!  42  GTP-U 8: flags, type, length, TEID
//!  50  sequence number 2, N-PDU number 1, next extension header type 1     if E, S or PN
//!  54  extension headers                                                   if E
//!  58  inner packet, if the one extension header is a PDU session container of 4 octets; 50 if there is nothing optional
//! ```

use coeur_ebpf_abi::{DropReason, EXTENSION_HEADERS_MAX, PassReason};

use crate::frame::{load, opaque};

pub(crate) const IP: usize = 14;
pub(crate) const UDP: usize = 34;
pub(crate) const GTPU: usize = 42;
/// Where the T-PDU starts in a G-PDU without optional fields.
pub(crate) const GTPU_END: usize = 50;
/// Where extension headers start.
const EXTENSIONS: usize = 54;
/// Where the T-PDU starts behind one PDU session container of 4 octets.
const CONTAINER_END: usize = 58;

/// TS 29.281 5.1, figure 5.1-1: version 1 in bits 8 to 6, protocol type GTP in bit 5.
pub(crate) const GTPU_VERSION_MASK: u8 = 0xf0;
pub(crate) const GTPU_VERSION: u8 = 0x30;
const FLAG_E: u8 = 0x04;
const FLAG_ANY: u8 = 0x07;
/// TS 29.281 table 5.2.1-3: PDU session container.
const PDU_SESSION_CONTAINER: u8 = 0x85;
/// TS 29.281 figure 5.2.1-2: from here on, the endpoint must comprehend the extension header.
const COMPREHENSION_REQUIRED: u8 = 0x80;

/// Why there is no T-PDU for the fast path.
pub(crate) enum Refusal {
    Drop(DropReason),
    Pass(PassReason),
}

/// Lengths of IPv4, UDP and GTP-U, each inside the one before (RFC 791 3.1, RFC 768, TS 29.281 5.1).
/// Gives the offset at which the T-PDU must end, or `None` if a length lies. Trailing octets are padding, not a lie.
///
/// # Safety
/// 50 octets are readable at `data`.
#[inline(always)]
pub(crate) unsafe fn tpdu_end(data: usize, frame_length: u32) -> Option<u32> {
    // SAFETY: the caller's promise.
    let (ip, udp, gtpu) = unsafe {
        (
            u32::from(u16::from_be(load::<u16>(data, IP + 2))),
            u32::from(u16::from_be(load::<u16>(data, UDP + 4))),
            u32::from(u16::from_be(load::<u16>(data, GTPU + 2))),
        )
    };
    let nested = ip + IP as u32 <= frame_length && udp + 20 <= ip && gtpu + 16 <= udp;
    if nested { Some(gtpu + GTPU_END as u32) } else { None }
}

/// Where the T-PDU starts. The common two cases are at fixed offsets, the others walk.
///
/// # Safety
/// 50 octets are readable at `data`.
#[inline(always)]
pub(crate) unsafe fn tpdu_start(data: usize, data_end: usize, flags: u8) -> Result<usize, Refusal> {
    if flags & FLAG_ANY == 0 {
        return Ok(GTPU_END);
    }
    if data + CONTAINER_END > data_end {
        return Err(Refusal::Drop(DropReason::InnerLength));
    }
    // SAFETY: 58 octets are readable.
    let (extension, next) = unsafe { (load::<u16>(data, EXTENSIONS - 1), load::<u8>(data, CONTAINER_END - 1)) };
    let container = u16::from_le_bytes([PDU_SESSION_CONTAINER, 1]);
    if flags & FLAG_ANY == FLAG_E && extension == container && next == 0 {
        return Ok(CONTAINER_END);
    }
    if flags & FLAG_E == 0 {
        return Ok(EXTENSIONS);
    }
    // One word out of a function that is not inlined: 0 to 0xffff an offset, above that a refusal.
    match walk(data, data_end) {
        WALK_LENGTH => Err(Refusal::Drop(DropReason::ExtensionHeaderLength)),
        WALK_UNKNOWN => Err(Refusal::Pass(PassReason::ExtensionHeaderUnknown)),
        WALK_TOO_MANY => Err(Refusal::Pass(PassReason::ExtensionHeadersTooMany)),
        offset => Ok(offset as usize & 0xffff),
    }
}

const WALK_LENGTH: u32 = 0x1_0000;
const WALK_UNKNOWN: u32 = 0x1_0001;
const WALK_TOO_MANY: u32 = 0x1_0002;

/// Walks the extension headers (TS 29.281 5.2.1): a length in units of 4 octets first, the type of the next one last.
#[inline(never)]
fn walk(data: usize, data_end: usize) -> u32 {
    if data + EXTENSIONS > data_end {
        return WALK_LENGTH;
    }
    // SAFETY: 54 octets are readable.
    let mut kind: u8 = unsafe { load(data, EXTENSIONS - 1) };
    let mut offset = EXTENSIONS;
    let mut step = 0;
    while step <= EXTENSION_HEADERS_MAX {
        if kind == 0 {
            return offset as u32;
        }
        if kind >= COMPREHENSION_REQUIRED && kind != PDU_SESSION_CONTAINER {
            return WALK_UNKNOWN;
        }
        let first = opaque(data + offset);
        if opaque(first + 1) > data_end {
            return WALK_LENGTH;
        }
        // SAFETY: compared with the end just above.
        let octets = usize::from(unsafe { load::<u8>(first, 0) }) * 4;
        if octets == 0 {
            return WALK_LENGTH;
        }
        offset += octets;
        let last = opaque(data + opaque(offset - 1));
        if opaque(last + 1) > data_end {
            return WALK_LENGTH;
        }
        // SAFETY: compared with the end just above.
        kind = unsafe { load(last, 0) };
        step += 1;
    }
    WALK_TOO_MANY
}
