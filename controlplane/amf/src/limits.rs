//! Every limit of this function by name, with the answer that is given when it is reached.

use std::time::Duration;

/// Times a NAS message with a timer goes out in all: "on the fifth expiry" the procedure ends (TS 24.501, 5.4.1.3.7 b,
/// 5.4.2.7 b, 5.4.3.6 b, 5.5.1.2.8 c, 5.5.2.3.5 a).
pub(crate) const NAS_TRANSMISSION_MAX: u8 = 5;

/// Associations that have not done NG Setup; one more is closed.
pub(crate) const ASSOCIATION_WITHOUT_SETUP_MAX: usize = 64;

/// Phones of one gNB that have not proven who they are; one more is refused with 5GMM cause #22 (congestion).
pub(crate) const UNAUTHENTICATED_PER_GNB_MAX: usize = 4_096;

/// How long a phone may stay unproven before its connection is released.
pub(crate) const UNAUTHENTICATED_MAX: Duration = Duration::from_secs(120);

/// T3346 that goes with cause #22 (TS 24.501, 5.5.1.2.5), spread by the phone's own random choice around it.
pub(crate) const T3346_S: u64 = 60;

/// SMF transfers held for one phone while its gNB context is being set up; one more is answered as UE_IN_CM_IDLE_STATE.
pub(crate) const HELD_TRANSFER_MAX: usize = 16;

/// Octets of UE Radio Capability kept for a phone; a larger one is not kept, the gNB asks the phone again.
pub(crate) const RADIO_CAPABILITY_MAX_OCTETS: usize = 16_384;

/// Octets of one NGAP message; a larger one is answered with Error Indication (transfer syntax error).
pub(crate) const NGAP_MESSAGE_MAX_OCTETS: usize = 131_072;

/// Downlink NAS COUNTs that a committed context record reserves. After a restart counting goes on above what was
/// reserved, so that none is used twice (TS 33.501, 6.4.5); well below the 256 that a phone can follow (TS 24.501, 4.4.3.1).
pub(crate) const DOWNLINK_COUNT_RESERVE: u32 = 64;

/// A record is written again when fewer reserved COUNTs than this are left.
pub(crate) const DOWNLINK_COUNT_RESERVE_LOW: u32 = 24;

/// NAS COUNTs are 24 bits; above this the phone is authenticated again before they are used up (TS 24.501, 4.4.3.5).
pub(crate) const NAS_COUNT_HIGH: u32 = 0x00FF_0000;

/// How long the security context of a deregistered phone is kept, so that it can register again without AKA.
pub(crate) const DEREGISTERED_KEPT: Duration = Duration::from_secs(3_600);

/// SCTP streams used for phones: 1 to this (TS 38.412, 7); stream 0 is for the gNB itself.
pub(crate) const UE_STREAM_MAX: u16 = 31;

/// Synchronisation failures answered with a new challenge in one registration (TS 24.501, 5.4.1.3.7 f).
pub(crate) const RESYNCHRONISATION_MAX: u8 = 1;

/// MAC failures and ngKSI collisions answered in one registration (TS 24.501, 5.4.1.3.7 c, e).
pub(crate) const REAUTHENTICATION_MAX: u8 = 1;

/// gNB contexts given up by this function whose UE Context Release Complete is awaited; oldest forgotten beyond it.
pub(crate) const RELEASING_PER_GNB_MAX: usize = 65_536;
