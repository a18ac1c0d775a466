//! The numbers under which packets are counted. A number is never reused: dashboards and bug reports outlive releases.

/// Declares a numbered reason with its label (for metrics) and the clause or fact behind it.
macro_rules! reasons {
    ($(#[$outer:meta])* $name:ident, last $last:ident { $($(#[$inner:meta])* $variant:ident = $number:literal, $label:literal, $clause:literal;)+ }) => {
        $(#[$outer])*
        #[repr(u32)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$inner])* $variant = $number,)+ }

        impl $name {
            /// Every reason, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// Slots of the map: one more than the largest number; slot 0 stays empty.
            pub const SLOTS: u32 = Self::$last as u32 + 1;

            /// Label value of the metric.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// The clause that asks for it, or the fact behind it.
            #[must_use]
            pub const fn clause(self) -> &'static str {
                match self { $(Self::$variant => $clause,)+ }
            }
        }
    };
}

reasons! {
    /// Why the fast path dropped a packet.
    DropReason, last TcSuperPacket {
        /// The inner source address is not the UE's.
        UplinkSpoofed = 1, "uplink_spoofed", "TS 29.244 5.2.3.1: source UE IP address of the PDI";
        UplinkGateClosed = 2, "uplink_gate_closed", "TS 29.244 5.4.2";
        DownlinkGateClosed = 3, "downlink_gate_closed", "TS 29.244 5.4.2";
        UplinkActionDrop = 4, "uplink_action_drop", "TS 29.244 8.2.26 DROP";
        DownlinkActionDrop = 5, "downlink_action_drop", "TS 29.244 8.2.26 DROP";
        /// IPv4, UDP and GTP-U lengths contradict each other or the frame.
        OuterLength = 6, "outer_length", "TS 29.281 5.1; RFC 768; RFC 791 3.1";
        /// The inner packet claims more than the tunnel carried, or less than its own header.
        InnerLength = 7, "inner_length", "RFC 791 3.1";
        /// The session is IPv4 and the T-PDU is not.
        InnerNotIpv4 = 8, "inner_not_ipv4", "TS 23.501 5.8.2.2.1: PDU session type IPv4";
        /// An extension header of length 0, or longer than the packet.
        ExtensionHeaderLength = 9, "extension_header_length", "TS 29.281 5.2.1";
        /// A packet to an address of a pool that no session has.
        DownlinkNoSession = 10, "downlink_no_session", "TS 29.244 5.2.1: no PDR matches";
        /// The driver has no room in front of the packet.
        NoHeadroom = 11, "no_headroom", "XDP headroom below 44 octets";
        /// A packet that offloads merged cannot be given one GTP-U length; the interface's GRO must be off.
        TcSuperPacket = 12, "tc_super_packet", "TS 29.281 5.1: one length a T-PDU";
    }
}

reasons! {
    /// Why the fast path handed a packet to the kernel (and through its sockets to the slow path).
    PassReason, last TtlExpired {
        /// ARP, IPv6, other addresses, other ports: the host's own traffic.
        NotOurs = 1, "not_ours", "neither N3 G-PDU nor addressed to a UE";
        UplinkUnknownTeid = 2, "uplink_unknown_teid", "TS 29.281 7.3.1: error indication";
        /// Echo, error indication, end marker, supported extension headers notification, and unknown types.
        NotGpdu = 3, "not_gpdu", "TS 29.281 6.1";
        OuterFragment = 4, "outer_fragment", "TS 29.281 13: reassembly is the kernel's";
        OuterOptions = 5, "outer_options", "RFC 791 3.1: options are the kernel's";
        /// Comprehension is required and we know only the PDU session container.
        ExtensionHeaderUnknown = 6, "extension_header_unknown", "TS 29.281 5.2.1, 7.2.3";
        ExtensionHeadersTooMany = 7, "extension_headers_too_many", "limit EXTENSION_HEADERS_MAX";
        /// Version other than 1, or GTP'.
        GtpVersion = 8, "gtp_version", "TS 29.281 5.1, 4.4.2.5";
        NextHopUnresolved = 9, "next_hop_unresolved", "the kernel finds the neighbour";
        MtuExceeded = 10, "mtu_exceeded", "TS 29.281 13; RFC 792 code 4";
        DownlinkBuffered = 11, "downlink_buffered", "TS 29.244 8.2.26 BUFF";
        UplinkBuffered = 12, "uplink_buffered", "TS 29.244 8.2.26 BUFF";
        TtlExpired = 13, "ttl_expired", "RFC 1812 5.3.1: ICMP time exceeded is the kernel's";
    }
}

/// Seen from the phone.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    Uplink = 0,
    Downlink = 1,
}

impl Direction {
    pub const ALL: [Self; 2] = [Self::Uplink, Self::Downlink];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Uplink => "uplink",
            Self::Downlink => "downlink",
        }
    }
}

/// Which way a subscriber's packet took through the user plane.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Path {
    Xdp = 0,
    Tc = 1,
    /// Handed to the kernel: not counted in the map but summed from the reasons.
    Slow = 2,
}

impl Path {
    pub const ALL: [Self; 3] = [Self::Xdp, Self::Tc, Self::Slow];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
            Self::Slow => "slow",
        }
    }
}

/// Slots of map `PATHS`.
pub const PATH_SLOTS: u32 = 4;
/// Slots of map `PASSES`.
pub const PASS_SLOTS: u32 = PassReason::SLOTS * 2;

/// Slot of map `PATHS`; `None` for [`Path::Slow`].
#[must_use]
#[inline(always)]
pub const fn path_slot(path: Path, direction: Direction) -> Option<u32> {
    match path {
        Path::Xdp => Some(direction as u32),
        Path::Tc => Some(2 + direction as u32),
        Path::Slow => None,
    }
}

/// Slot of map `PASSES`.
#[must_use]
#[inline(always)]
pub const fn pass_slot(reason: PassReason, direction: Direction) -> u32 {
    reason as u32 * 2 + direction as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labels_are_metric_label_values_and_differ() {
        let mut seen = HashSet::new();
        let drops = DropReason::ALL.iter().map(|r| (r.label(), r.clause()));
        let passes = PassReason::ALL.iter().map(|r| (r.label(), r.clause()));
        for (label, clause) in drops.chain(passes) {
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{label}");
            assert!(seen.insert(label), "{label} twice");
            assert!(!clause.is_empty());
        }
    }

    #[test]
    fn the_last_number_is_the_largest() {
        assert!(DropReason::ALL.iter().all(|r| (*r as u32) < DropReason::SLOTS));
        assert!(PassReason::ALL.iter().all(|r| (*r as u32) < PassReason::SLOTS));
    }

    #[test]
    fn every_slot_lies_in_its_map() {
        for reason in PassReason::ALL {
            for direction in Direction::ALL {
                assert!(pass_slot(*reason, direction) < PASS_SLOTS);
            }
        }
        assert_eq!(path_slot(Path::Tc, Direction::Downlink), Some(PATH_SLOTS - 1));
        assert_eq!(path_slot(Path::Slow, Direction::Uplink), None);
    }
}
