//! The rules of a session as this user plane understands them, free of their encoding (TS 29.244 5.2).
//!
//! What a type here cannot say, the user plane cannot do: whoever decodes a rule refuses the rest with [`Unsupported`].

use std::fmt;
use std::net::Ipv4Addr;

/// A rule's name within its session; also what Failed Rule ID carries (TS 29.244 8.2.80).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleId {
    Pdr(u16),
    Far(u32),
    Qer(u32),
    Urr(u32),
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pdr(id) => write!(f, "PDR {id}"),
            Self::Far(id) => write!(f, "FAR {id}"),
            Self::Qer(id) => write!(f, "QER {id}"),
            Self::Urr(id) => write!(f, "URR {id}"),
        }
    }
}

/// Packet detection rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdr {
    pub id: u16,
    /// Lower comes first (TS 29.244 8.2.11).
    pub precedence: u32,
    pub pdi: Pdi,
    /// GTP-U/UDP/IPv4, or GTP-U/UDP/IP (TS 29.244 8.2.64, values 0 and 6): the same thing where there is no IPv6 transport.
    pub outer_header_removal: bool,
    pub far: Option<u32>,
    pub qers: Vec<u32>,
    pub urrs: Vec<u32>,
}

/// Packet detection information: what packets a PDR is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdi {
    pub source_interface: Interface,
    /// Where packets with a tunnel header arrive.
    pub local_tunnel: Option<LocalTunnel>,
    pub ue_address: Option<UeAddress>,
    /// The one QoS flow of the tunnel. The fast path does not compare it: a session has one flow (docs/adr/0004).
    pub qfi: Option<u8>,
}

/// A tunnel end point at this user plane's N3 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LocalTunnel {
    /// Chosen here: its low bits are a slot.
    Chosen(u32),
    /// Chosen by the control plane.
    Given(u32),
}

impl LocalTunnel {
    pub fn teid(self) -> u32 {
        match self {
            Self::Chosen(teid) | Self::Given(teid) => teid,
        }
    }
}

/// Source and destination interfaces that carry user packets (TS 29.244 8.2.2, 8.2.24).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Towards the UE.
    Access,
    /// Towards the data network: Core, or SGi-LAN/N6-LAN.
    Core,
}

/// The address of the UE, and which end of the packet it is (TS 29.244 8.2.62, S/D).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UeAddress {
    pub address: Ipv4Addr,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Source,
    Destination,
}

/// Forwarding action rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Far {
    pub id: u32,
    pub action: Action,
    /// Kept while the action is to drop, so that an update of the action alone forwards again.
    pub forwarding: Option<Forwarding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Drop,
    Forward,
}

/// Forwarding parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarding {
    pub destination_interface: Interface,
    pub outer_header: Option<RemoteTunnel>,
}

/// GTP-U/UDP/IPv4 to another node (outer header creation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemoteTunnel {
    pub address: Ipv4Addr,
    pub teid: u32,
}

/// QoS enforcement rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qer {
    pub id: u32,
    pub uplink_gate: Gate,
    pub downlink_gate: Gate,
    pub qfi: Option<u8>,
    /// Stored and counted, not enforced yet: docs/adr/0004.
    pub mbr: Option<BitRates>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitRates {
    pub uplink_kbps: u64,
    pub downlink_kbps: u64,
}

/// Usage reporting rule: counts octets and packets, reports once, when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urr {
    pub id: u32,
}

/// What TS 29.244 knows and this user plane does not do yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("an SDF filter other than \"permit out ip from any to assigned\"")]
    SdfFilter,
    #[error("application detection")]
    Application,
    #[error("Ethernet traffic")]
    Ethernet,
    #[error("IPv6")]
    Ipv6,
    #[error("a UE address chosen by the user plane")]
    UeAddressChoice,
    #[error("framed routes")]
    FramedRoute,
    #[error("traffic endpoints")]
    TrafficEndpoint,
    #[error("predefined rules")]
    PredefinedRule,
    #[error("this source interface")]
    SourceInterface,
    #[error("this destination interface")]
    DestinationInterface,
    #[error("this outer header removal")]
    OuterHeaderRemoval,
    #[error("this outer header creation")]
    OuterHeaderCreation,
    #[error("a tunnel towards the core (N9)")]
    CoreTunnel,
    #[error("traffic from access to access")]
    AccessToAccess,
    #[error("traffic from core to core")]
    CoreToCore,
    #[error("several rules on one tunnel or UE address")]
    SeveralFlows,
    #[error("matching more than one QoS flow identifier")]
    SeveralQfis,
    #[error("buffering")]
    Buffering,
    #[error("duplicating packets")]
    Duplicating,
    #[error("this action")]
    Action,
    #[error("redirection, header enrichment, proxying or another treatment of forwarded packets")]
    ForwardingTreatment,
    #[error("a guaranteed bit rate")]
    Gbr,
    #[error("a limit of packet rate")]
    PacketRate,
    #[error("reflective QoS")]
    ReflectiveQos,
    #[error("this kind of measurement")]
    Measurement,
    #[error("a threshold, a quota or a report before the session ends")]
    ReportingTrigger,
    #[error("rules in time (activation, deactivation, monitoring time)")]
    Time,
    #[error("this kind of rule")]
    RuleKind,
}
