//! rtnetlink: links, routes and neighbours as values, and the requests for them. Pure.

use std::net::Ipv4Addr;

use super::message::{Builder, Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, attributes, i32_at, u16_at, u32_at};

pub(crate) const GROUP_LINK: u32 = 0x0001;
pub(crate) const GROUP_NEIGH: u32 = 0x0004;
pub(crate) const GROUP_IPV4_ROUTE: u32 = 0x0040;

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const GETROUTE: u16 = 26;
const NEWNEIGH: u16 = 28;
const DELNEIGH: u16 = 29;
const GETNEIGH: u16 = 30;

const AF_INET: u8 = 2;
const TABLE_MAIN: u32 = 254;
const RTN_UNICAST: u8 = 1;
/// States in which the link layer address may be used: permanent, no ARP, reachable, probe, stale, delay.
const NUD_VALID: u16 = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08;
const NUD_STALE: u16 = 0x04;
const NUD_FAILED: u16 = 0x20;
const NTF_USE: u8 = 0x01;

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) ifindex: u32,
    pub(crate) name: String,
    /// All zeros on devices without Ethernet.
    pub(crate) mac: [u8; 6],
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    /// `veth`, `vlan`, `bridge`, …; empty for hardware.
    pub(crate) kind: String,
    /// Of a veth, its peer; of a VLAN, its parent.
    pub(crate) other_end: Option<u32>,
    /// The other end is in another network namespace.
    pub(crate) other_end_abroad: bool,
    /// An XDP program is attached.
    pub(crate) has_xdp: bool,
}

/// An IPv4 route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) prefix: Ipv4Addr,
    pub(crate) length: u8,
    /// 0 for routes that lead nowhere (blackhole, unreachable, prohibit).
    pub(crate) ifindex: u32,
    /// None: the destination is on link.
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) metric: u32,
    pub(crate) mtu: Option<u32>,
}

/// An entry of the ARP table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) ifindex: u32,
    pub(crate) address: Ipv4Addr,
    /// None while it must not be used.
    pub(crate) mac: Option<[u8; 6]>,
    /// It should be asked again: nobody confirmed it lately, or it did not answer.
    pub(crate) doubtful: bool,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Link(Link),
    LinkGone(u32),
    Route(Route),
    RouteGone(Route),
    Neighbour(Neighbour),
    NeighbourGone(Neighbour),
}

/// The event in a message, if it is one for us.
pub(crate) fn event(message: &Message<'_>) -> Option<Event> {
    match message.kind {
        NEWLINK => link(message.payload).map(Event::Link),
        DELLINK => link(message.payload).map(|link| Event::LinkGone(link.ifindex)),
        NEWROUTE => route(message.payload).map(Event::Route),
        DELROUTE => route(message.payload).map(Event::RouteGone),
        NEWNEIGH => neighbour(message.payload).map(Event::Neighbour),
        DELNEIGH => neighbour(message.payload).map(Event::NeighbourGone),
        _ => None,
    }
}

pub(crate) fn dump_links(sequence: u32) -> Vec<u8> {
    Builder::new(GETLINK, NLM_F_DUMP, sequence, &[0; 16]).finish()
}

/// One link by name.
pub(crate) fn ask_link(sequence: u32, name: &str) -> Vec<u8> {
    const IFLA_IFNAME: u16 = 3;
    let zero_ended = [name.as_bytes(), &[0]].concat();
    Builder::new(GETLINK, NLM_F_ACK, sequence, &[0; 16]).attribute(IFLA_IFNAME, &zero_ended).finish()
}

pub(crate) fn dump_routes(sequence: u32) -> Vec<u8> {
    let mut header = [0; 12];
    header[0] = AF_INET;
    Builder::new(GETROUTE, NLM_F_DUMP, sequence, &header).finish()
}

pub(crate) fn dump_neighbours(sequence: u32) -> Vec<u8> {
    let mut header = [0; 12];
    header[0] = AF_INET;
    Builder::new(GETNEIGH, NLM_F_DUMP, sequence, &header).finish()
}

/// Makes the kernel resolve or confirm a neighbour, as if a packet were waiting for it.
pub(crate) fn use_neighbour(sequence: u32, ifindex: u32, address: Ipv4Addr) -> Vec<u8> {
    const NDA_DST: u16 = 1;
    let mut header = [0; 12];
    header[0] = AF_INET;
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    header[10] = NTF_USE;
    Builder::new(NEWNEIGH, NLM_F_CREATE, sequence, &header).attribute(NDA_DST, &address.octets()).finish()
}

/// `struct ifinfomsg`, then attributes.
fn link(payload: &[u8]) -> Option<Link> {
    const IFLA_ADDRESS: u16 = 1;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_MTU: u16 = 4;
    const IFLA_LINK: u16 = 5;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_LINK_NETNSID: u16 = 37;
    const IFLA_XDP: u16 = 43;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_XDP_ATTACHED: u16 = 2;

    let flags = u32_at(payload, 8)?;
    let mut link = Link {
        ifindex: u32::try_from(i32_at(payload, 4)?).ok()?,
        up: flags & libc::IFF_UP as u32 != 0,
        ..Link::default()
    };
    for (kind, value) in attributes(payload.get(16..)?) {
        match kind {
            IFLA_ADDRESS => link.mac = <[u8; 6]>::try_from(value).unwrap_or_default(),
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_LINK => link.other_end = u32_at(value, 0),
            IFLA_LINK_NETNSID => link.other_end_abroad = true,
            IFLA_LINKINFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                link.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
            }
            IFLA_XDP => {
                let mut attached = attributes(value).filter(|(kind, _)| *kind == IFLA_XDP_ATTACHED);
                link.has_xdp = attached.any(|(_, value)| value.first().is_some_and(|mode| *mode != 0));
            }
            _ => {}
        }
    }
    Some(link)
}

/// `struct rtmsg`, then attributes.
fn route(payload: &[u8]) -> Option<Route> {
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_PRIORITY: u16 = 6;
    const RTA_METRICS: u16 = 8;
    const RTA_MULTIPATH: u16 = 9;
    const RTA_TABLE: u16 = 15;
    const RTA_VIA: u16 = 18;
    const RTAX_MTU: u16 = 2;

    let [family, length, _, _, table, _, _, kind] = *payload.first_chunk::<8>()?;
    if family != AF_INET || length > 32 {
        return None;
    }
    let mut table = u32::from(table);
    let mut route = Route { prefix: Ipv4Addr::UNSPECIFIED, length, ifindex: 0, gateway: None, metric: 0, mtu: None };
    for (attribute, value) in attributes(payload.get(12..)?) {
        match attribute {
            RTA_DST => route.prefix = address(value)?,
            RTA_OIF => route.ifindex = u32_at(value, 0)?,
            RTA_GATEWAY => route.gateway = Some(address(value)?),
            RTA_PRIORITY => route.metric = u32_at(value, 0)?,
            RTA_TABLE => table = u32_at(value, 0)?,
            RTA_METRICS => {
                let mtu = attributes(value).find(|(kind, _)| *kind == RTAX_MTU);
                route.mtu = mtu.and_then(|(_, value)| u32_at(value, 0)).filter(|mtu| *mtu != 0);
            }
            // The first of several: `struct rtnexthop`, then attributes of its own.
            RTA_MULTIPATH => {
                let first = value.get(..usize::from(u16_at(value, 0)?))?;
                route.ifindex = u32_at(first, 4)?;
                let gateway = attributes(first.get(8..)?).find(|(kind, _)| *kind == RTA_GATEWAY);
                route.gateway = gateway.and_then(|(_, value)| address(value));
            }
            // A gateway of another family: the kernel's to resolve.
            RTA_VIA => route.ifindex = 0,
            _ => {}
        }
    }
    if kind != RTN_UNICAST {
        route.ifindex = 0;
    }
    (table == TABLE_MAIN).then_some(route)
}

/// `struct ndmsg`, then attributes.
fn neighbour(payload: &[u8]) -> Option<Neighbour> {
    const NDA_DST: u16 = 1;
    const NDA_LLADDR: u16 = 2;

    if *payload.first()? != AF_INET {
        return None;
    }
    let state = u16_at(payload, 8)?;
    let mut destination = None;
    let mut mac = None;
    for (kind, value) in attributes(payload.get(12..)?) {
        match kind {
            NDA_DST => destination = address(value),
            NDA_LLADDR => mac = <[u8; 6]>::try_from(value).ok(),
            _ => {}
        }
    }
    Some(Neighbour {
        ifindex: u32::try_from(i32_at(payload, 4)?).ok()?,
        address: destination?,
        mac: mac.filter(|_| state & NUD_VALID != 0),
        doubtful: state & (NUD_STALE | NUD_FAILED) != 0,
    })
}

fn address(value: &[u8]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|octet| *octet == 0).next().unwrap_or(value)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::messages;

    fn parse(octets: &[u8]) -> Option<Event> {
        event(&messages(octets).next()?)
    }

    fn route_header(length: u8, table: u8, kind: u8) -> [u8; 12] {
        [AF_INET, length, 0, 0, table, 0, 0, kind, 0, 0, 0, 0]
    }

    #[test]
    fn a_route_with_gateway_metric_and_mtu_is_read() {
        let mtu = [8, 0, 2, 0, 0x78, 0x05, 0, 0];
        let octets = Builder::new(NEWROUTE, 0, 1, &route_header(16, 254, 1))
            .attribute(1, &[172, 16, 0, 0])
            .attribute(4, &3u32.to_ne_bytes())
            .attribute(5, &[203, 0, 113, 1])
            .attribute(6, &100u32.to_ne_bytes())
            .attribute(8, &mtu)
            .finish();
        let expected = Route {
            prefix: Ipv4Addr::new(172, 16, 0, 0),
            length: 16,
            ifindex: 3,
            gateway: Some(Ipv4Addr::new(203, 0, 113, 1)),
            metric: 100,
            mtu: Some(1400),
        };
        assert_eq!(parse(&octets), Some(Event::Route(expected)));
    }

    #[test]
    fn of_several_paths_the_first_is_taken() {
        let hop = |ifindex: u32, last: u8| {
            let mut octets = vec![16, 0, 0, 0];
            octets.extend(ifindex.to_ne_bytes());
            octets.extend([8, 0, 5, 0, 203, 0, 113, last]);
            octets
        };
        let octets = Builder::new(NEWROUTE, 0, 1, &route_header(0, 254, 1))
            .attribute(9, &[hop(3, 1), hop(4, 2)].concat())
            .finish();
        let Some(Event::Route(route)) = parse(&octets) else { panic!("a route") };
        assert_eq!((route.ifindex, route.gateway), (3, Some(Ipv4Addr::new(203, 0, 113, 1))));
    }

    #[test]
    fn routes_of_other_tables_are_not_ours_and_blackholes_lead_nowhere() {
        let local = Builder::new(NEWROUTE, 0, 1, &route_header(32, 255, 2)).attribute(1, &[127, 0, 0, 1]).finish();
        assert_eq!(parse(&local), None);
        let blackhole = Builder::new(NEWROUTE, 0, 1, &route_header(8, 254, 6))
            .attribute(1, &[10, 0, 0, 0])
            .attribute(4, &1u32.to_ne_bytes())
            .finish();
        let Some(Event::Route(route)) = parse(&blackhole) else { panic!("a route") };
        assert_eq!((route.ifindex, route.length), (0, 8));
        let length = Builder::new(NEWROUTE, 0, 1, &route_header(33, 254, 1)).finish();
        assert_eq!(parse(&length), None);
    }

    #[test]
    fn a_neighbour_has_an_address_only_while_it_may_be_used() {
        let neighbour = |state: u16| {
            let mut header = [0; 12];
            header[0] = AF_INET;
            header[4..8].copy_from_slice(&3u32.to_ne_bytes());
            header[8..10].copy_from_slice(&state.to_ne_bytes());
            let octets = Builder::new(NEWNEIGH, 0, 1, &header)
                .attribute(1, &[203, 0, 113, 1])
                .attribute(2, &[2, 0, 0, 0, 0, 9])
                .finish();
            match parse(&octets) {
                Some(Event::Neighbour(neighbour)) => neighbour,
                other => panic!("{other:?}"),
            }
        };
        let mac = Some([2, 0, 0, 0, 0, 9]);
        assert_eq!((neighbour(0x02).mac, neighbour(0x02).doubtful), (mac, false));
        assert_eq!((neighbour(0x04).mac, neighbour(0x04).doubtful), (mac, true));
        assert_eq!((neighbour(0x20).mac, neighbour(0x20).doubtful), (None, true));
        assert_eq!(neighbour(0x01).mac, None);
    }

    #[test]
    fn a_veth_names_its_peer_and_where_it_is() {
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&5u32.to_ne_bytes());
        header[8..12].copy_from_slice(&1u32.to_ne_bytes());
        let octets = Builder::new(NEWLINK, 0, 1, &header)
            .attribute(3, b"n3\0")
            .attribute(1, &[2, 0, 0, 0, 0, 1])
            .attribute(4, &1500u32.to_ne_bytes())
            .attribute(5, &6u32.to_ne_bytes())
            .attribute(37, &0u32.to_ne_bytes())
            .attribute(18, &[9, 0, 1, 0, b'v', b'e', b't', b'h', 0, 0, 0, 0])
            .attribute(43, &[5, 0, 2, 0, 1, 0, 0, 0])
            .finish();
        let expected = Link {
            ifindex: 5,
            name: "n3".into(),
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
            up: true,
            kind: "veth".into(),
            other_end: Some(6),
            other_end_abroad: true,
            has_xdp: true,
        };
        assert_eq!(parse(&octets), Some(Event::Link(expected)));
    }

    /// The kernel is trusted, but not with our stack: whatever arrives is an event or none.
    #[test]
    fn no_octets_panic() {
        let whole = Builder::new(NEWROUTE, 0, 1, &route_header(16, 254, 1))
            .attribute(9, &[255, 255, 0, 0, 0, 0, 0, 0])
            .attribute(8, &[3, 0, 2, 0])
            .finish();
        for kind in [NEWLINK, DELLINK, NEWROUTE, DELROUTE, NEWNEIGH, DELNEIGH, 99] {
            for cut in 16..=whole.len() {
                let message = Message { kind, sequence: 0, payload: &whole[16..cut] };
                let _ = event(&message);
            }
        }
    }
}
