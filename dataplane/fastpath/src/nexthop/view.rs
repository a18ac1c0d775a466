//! What we know of the kernel's links, main routing table and neighbours, and what follows from it. Pure.
//!
//! It knows one table: no policy routing, no VRF. Where the kernel would decide by more than the destination, packets that
//! the fast path sends by the main table go the way of the main table.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use coeur_ebpf_abi::{Be32, NextHop, NextHopState, ROUTES_MAX};

use crate::netlink::rt::{Event, Link, Neighbour, Route};

/// Neighbours kept; the kernel's own default limit is 1024.
const NEIGHBOURS_KEPT_MAX: usize = 65_536;
/// Above this the table is not copied any more: the kernel routes each packet.
const ROUTES_KEPT_MAX: usize = ROUTES_MAX as usize;

/// Routes are alike if the kernel would replace one by the other.
type RouteKey = (u8, u32, u32);

#[derive(Debug, Default)]
pub(crate) struct View {
    links: HashMap<u32, Link>,
    routes: BTreeMap<RouteKey, Route>,
    neighbours: HashMap<(u32, Ipv4Addr), Neighbour>,
    /// More routes than are kept.
    overflow: bool,
}

/// Which part of the table an event can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// Nothing that we keep.
    Nothing,
    /// One neighbour.
    Neighbour(Neighbour),
    /// Anything.
    All,
}

/// The way to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) ifindex: u32,
    /// Whose link layer address is needed.
    pub(crate) neighbour: Ipv4Addr,
    mtu: Option<u32>,
}

impl View {
    pub(crate) fn apply(&mut self, event: Event) -> Concern {
        match event {
            Event::Link(link) => {
                let same = self.links.get(&link.ifindex).is_some_and(|known| alike(known, &link));
                self.links.insert(link.ifindex, link);
                if same { Concern::Nothing } else { Concern::All }
            }
            Event::LinkGone(ifindex) => {
                self.links.remove(&ifindex);
                self.neighbours.retain(|(at, _), _| *at != ifindex);
                self.routes.retain(|_, route| route.ifindex != ifindex);
                Concern::All
            }
            Event::Route(route) => {
                if self.routes.len() >= ROUTES_KEPT_MAX && !self.routes.contains_key(&key(&route)) {
                    self.overflow = true;
                } else {
                    self.routes.insert(key(&route), route);
                }
                Concern::All
            }
            Event::RouteGone(route) => {
                self.routes.remove(&key(&route));
                Concern::All
            }
            Event::Neighbour(neighbour) => {
                let place = (neighbour.ifindex, neighbour.address);
                if self.neighbours.len() < NEIGHBOURS_KEPT_MAX || self.neighbours.contains_key(&place) {
                    self.neighbours.insert(place, neighbour);
                }
                Concern::Neighbour(neighbour)
            }
            Event::NeighbourGone(neighbour) => {
                self.neighbours.remove(&(neighbour.ifindex, neighbour.address));
                Concern::Neighbour(Neighbour { mac: None, doubtful: true, ..neighbour })
            }
        }
    }

    /// Whether routes are missing here that the kernel has.
    pub(crate) fn is_overflowing(&self) -> bool {
        self.overflow
    }

    /// The way to an address, by the longest prefix and then the least metric.
    pub(crate) fn way_to(&self, target: Ipv4Addr) -> Option<Way> {
        if self.overflow {
            return None;
        }
        let route = (0..=32u8).rev().find_map(|length| {
            let prefix = target.to_bits() & mask(length);
            self.routes.range((length, prefix, 0)..=(length, prefix, u32::MAX)).next().map(|(_, route)| *route)
        })?;
        way(&route, target)
    }

    /// The default route that leaves by an interface, whatever others there are.
    pub(crate) fn default_way(&self, ifindex: u32) -> Option<Way> {
        if self.overflow {
            return None;
        }
        let mut defaults = self.routes.range((0, 0, 0)..=(0, 0, u32::MAX)).map(|(_, route)| route);
        // A default without gateway would need a neighbour for each destination: that is the kernel's.
        let route = defaults.find(|route| route.ifindex == ifindex && route.gateway.is_some())?;
        way(route, Ipv4Addr::UNSPECIFIED)
    }

    /// The entry of the table for a way: resolved, or not yet.
    pub(crate) fn next_hop(&self, target: Ipv4Addr, way: Option<Way>) -> NextHop {
        let (onlink_address, onlink_mask) = NextHop::NO_ONLINK;
        let unresolved =
            NextHop { target: Be32::from(target), taken: 1, onlink_address, onlink_mask, ..NextHop::default() };
        let Some(way) = way else { return unresolved };
        let Some(link) = self.links.get(&way.ifindex).filter(|link| link.up) else { return unresolved };
        let neighbour = self.neighbours.get(&(way.ifindex, way.neighbour));
        let Some(destination) = neighbour.and_then(|neighbour| neighbour.mac) else { return unresolved };
        NextHop {
            destination,
            source: link.mac,
            ifindex: way.ifindex,
            mtu: way.mtu.map_or(link.mtu, |mtu| mtu.min(link.mtu)),
            state: NextHopState::Resolved as u8,
            ..unresolved
        }
    }

    /// Whether the kernel should be asked for a neighbour that is needed.
    pub(crate) fn is_doubtful(&self, way: Way) -> bool {
        self.neighbours.get(&(way.ifindex, way.neighbour)).is_none_or(|known| known.doubtful)
    }

    /// The prefix on link at an interface; of several, the shortest.
    pub(crate) fn onlink(&self, ifindex: u32) -> Option<(Ipv4Addr, u8)> {
        let mut routes = self.routes.values().filter(|route| route.ifindex == ifindex && route.gateway.is_none());
        routes.find(|route| route.length > 0).map(|route| (route.prefix, route.length))
    }

    /// Neighbours inside a prefix at an interface.
    pub(crate) fn neighbours_in(&self, ifindex: u32, prefix: (Ipv4Addr, u8)) -> impl Iterator<Item = &Neighbour> {
        self.neighbours.values().filter(move |neighbour| {
            neighbour.ifindex == ifindex && contains(prefix, neighbour.address) && neighbour.mac.is_some()
        })
    }

    /// Routes more specific than the default that leave by an interface or lead nowhere, but for the one on link that has
    /// a table of its own. A gateway of `None` is for the kernel.
    pub(crate) fn specific(&self, ifindex: u32) -> Vec<(Ipv4Addr, u8, Option<Ipv4Addr>)> {
        let onlink = self.onlink(ifindex);
        let mut specific: Vec<(Ipv4Addr, u8, Option<Ipv4Addr>)> = Vec::new();
        for route in self.routes.values() {
            let ours = route.ifindex == ifindex || route.ifindex == 0;
            if !ours || route.length == 0 || onlink == Some((route.prefix, route.length)) {
                continue;
            }
            // Ordered by metric within a prefix: the first counts.
            let last = specific.last().map(|(prefix, length, _)| (*prefix, *length));
            if last != Some((route.prefix, route.length)) {
                specific.push((route.prefix, route.length, route.gateway.filter(|_| route.ifindex != 0)));
            }
        }
        specific
    }
}

pub(crate) fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0)
}

pub(crate) fn contains((prefix, length): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    address.to_bits() & mask(length) == prefix.to_bits() & mask(length)
}

fn key(route: &Route) -> RouteKey {
    (route.length, route.prefix.to_bits(), route.metric)
}

fn way(route: &Route, target: Ipv4Addr) -> Option<Way> {
    if route.ifindex == 0 {
        return None;
    }
    Some(Way { ifindex: route.ifindex, neighbour: route.gateway.unwrap_or(target), mtu: route.mtu })
}

/// Links that lead to the same entries. Statistics change all the time.
fn alike(a: &Link, b: &Link) -> bool {
    (a.mac, a.mtu, a.up) == (b.mac, b.mtu, b.up)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N6: u32 = 3;
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

    fn route(prefix: [u8; 4], length: u8, gateway: Option<Ipv4Addr>, metric: u32) -> Route {
        Route { prefix: prefix.into(), length, ifindex: N6, gateway, metric, mtu: None }
    }

    fn neighbour(address: Ipv4Addr) -> Neighbour {
        Neighbour { ifindex: N6, address, mac: Some(MAC), doubtful: false }
    }

    fn view() -> View {
        let mut view = View::default();
        view.apply(Event::Link(Link { ifindex: N6, mac: [2; 6], mtu: 1500, up: true, ..Link::default() }));
        view.apply(Event::Route(route([203, 0, 113, 0], 24, None, 0)));
        view.apply(Event::Route(route([0, 0, 0, 0], 0, Some(GATEWAY), 0)));
        view
    }

    #[test]
    fn the_longest_prefix_and_then_the_least_metric_decides() {
        let mut view = view();
        let other = Ipv4Addr::new(203, 0, 113, 2);
        view.apply(Event::Route(route([172, 16, 0, 0], 12, Some(other), 200)));
        view.apply(Event::Route(route([172, 16, 0, 0], 12, Some(GATEWAY), 100)));
        view.apply(Event::Route(route([172, 16, 5, 0], 24, Some(other), 300)));
        let via = |address: [u8; 4]| view.way_to(address.into()).map(|way| way.neighbour);
        assert_eq!(via([172, 16, 1, 1]), Some(GATEWAY));
        assert_eq!(via([172, 16, 5, 1]), Some(other));
        assert_eq!(via([203, 0, 113, 77]), Some(Ipv4Addr::new(203, 0, 113, 77)));
        assert_eq!(via([8, 8, 8, 8]), Some(GATEWAY));
    }

    #[test]
    fn a_next_hop_is_resolved_once_link_and_neighbour_are_there() {
        let mut view = view();
        let target = Ipv4Addr::new(8, 8, 8, 8);
        let way = view.default_way(N6);
        assert!(!view.next_hop(target, way).is_resolved());
        assert!(view.is_doubtful(way.unwrap()));
        view.apply(Event::Neighbour(neighbour(GATEWAY)));
        let hop = view.next_hop(target, way);
        assert!(hop.is_resolved());
        assert_eq!((hop.destination, hop.source, hop.ifindex, hop.mtu), (MAC, [2; 6], N6, 1500));
        assert!(!view.is_doubtful(way.unwrap()));
        view.apply(Event::Neighbour(Neighbour { mac: None, doubtful: true, ..neighbour(GATEWAY) }));
        assert!(!view.next_hop(target, way).is_resolved());
        view.apply(Event::Neighbour(neighbour(GATEWAY)));
        view.apply(Event::Link(Link { ifindex: N6, mac: [2; 6], mtu: 1500, up: false, ..Link::default() }));
        assert!(!view.next_hop(target, way).is_resolved());
    }

    #[test]
    fn the_mtu_is_the_lesser_of_link_and_route() {
        let mut view = view();
        view.apply(Event::Neighbour(neighbour(GATEWAY)));
        view.apply(Event::Route(Route { mtu: Some(1400), ..route([172, 16, 0, 0], 12, Some(GATEWAY), 0) }));
        let target = Ipv4Addr::new(172, 16, 0, 1);
        assert_eq!(view.next_hop(target, view.way_to(target)).mtu, 1400);
    }

    #[test]
    fn routes_that_go_take_their_ways_with_them() {
        let mut view = view();
        view.apply(Event::RouteGone(route([0, 0, 0, 0], 0, Some(GATEWAY), 0)));
        assert_eq!(view.default_way(N6), None);
        assert_eq!(view.way_to(Ipv4Addr::new(8, 8, 8, 8)), None);
        view.apply(Event::LinkGone(N6));
        assert_eq!(view.onlink(N6), None);
    }

    #[test]
    fn specific_routes_are_those_that_the_default_does_not_cover() {
        let mut view = view();
        view.apply(Event::Route(route([172, 16, 0, 0], 12, Some(GATEWAY), 0)));
        view.apply(Event::Route(Route { ifindex: 0, ..route([192, 168, 0, 0], 16, None, 0) }));
        view.apply(Event::Route(Route { ifindex: 9, ..route([10, 9, 0, 0], 16, None, 0) }));
        assert_eq!(view.onlink(N6), Some((Ipv4Addr::new(203, 0, 113, 0), 24)));
        let expected = [(Ipv4Addr::new(172, 16, 0, 0), 12, Some(GATEWAY)), (Ipv4Addr::new(192, 168, 0, 0), 16, None)];
        assert_eq!(view.specific(N6), expected);
    }

    #[test]
    fn a_table_too_large_is_left_to_the_kernel() {
        let mut view = view();
        for i in 0..=ROUTES_KEPT_MAX as u32 {
            view.apply(Event::Route(route((0x0b00_0000 + (i << 8)).to_be_bytes(), 24, Some(GATEWAY), 0)));
        }
        assert!(view.is_overflowing());
        assert_eq!(view.way_to(GATEWAY), None);
        assert_eq!(view.default_way(N6), None);
    }
}
