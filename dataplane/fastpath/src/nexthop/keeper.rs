//! The keeper: hears the kernel, writes the tables, and asks for neighbours that are needed.
//!
//! No timer: a neighbour that the kernel doubts or gives up is a notification, and is asked for again then. The kernel's own
//! pace (half a minute while it answers, seconds while it does not) is the pace of the questions.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    net::Ipv4Addr,
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::Ordering,
};

use aya::maps::lpm_trie;
use coeur_ebpf_abi::{
    Be32, NEIGHBOURS_MAX, NEXT_HOP_N6_DEFAULT, NEXT_HOP_NONE, NEXT_HOPS_MAX, NextHop, Pool, ROUTE_HAS_SPECIFIC,
};

use super::view::{Concern, View, Way, contains, mask};
use crate::{
    maps::Maps,
    netlink::{Socket, rt},
    table::word_of,
};

/// Datagrams of notifications handled in one poll; the descriptor stays readable if more wait.
const DATAGRAMS_PER_POLL_MAX: usize = 256;

pub(crate) struct Keeper {
    socket: Socket,
    /// For questions, so that their answers do not mix with notifications.
    questions: Socket,
    sequence: u32,
    view: View,
    n3: u32,
    n6: u32,
    pools: Vec<Pool>,
    /// Ids by target; the default route of N6 is 0.0.0.0.
    ids: HashMap<Ipv4Addr, u32>,
    free: Vec<u32>,
    /// What is in the map `ROUTES`: id by prefix.
    routes: BTreeMap<(u8, u32), u32>,
    /// What is in the map `NEIGHBOURS`: id by address.
    neighbours: HashMap<Ipv4Addr, u32>,
}

impl Keeper {
    /// Reads the kernel's tables and makes ours agree. Ids that adopted records name keep their meaning.
    pub(crate) fn start(maps: &mut Maps, n3: u32, n6: u32, pools: Vec<Pool>) -> io::Result<Self> {
        let groups = rt::GROUP_LINK | rt::GROUP_NEIGH | rt::GROUP_IPV4_ROUTE;
        let mut keeper = Self {
            socket: Socket::open(libc::NETLINK_ROUTE, groups)?,
            questions: Socket::open(libc::NETLINK_ROUTE, 0)?,
            sequence: 0,
            view: View::default(),
            n3,
            n6,
            pools,
            ids: HashMap::new(),
            free: Vec::new(),
            routes: BTreeMap::new(),
            neighbours: HashMap::new(),
        };
        keeper.adopt(maps);
        keeper.read_kernel()?;
        keeper.refresh(maps)?;
        Ok(keeper)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The id of the way to a target, made if there is none. [`NEXT_HOP_NONE`] if the table is full: the kernel's then.
    pub(crate) fn intern(&mut self, maps: &Maps, target: Ipv4Addr) -> u32 {
        if let Some(id) = self.ids.get(&target) {
            return *id;
        }
        if self.free.is_empty() {
            self.sweep(maps);
        }
        let Some(id) = self.free.pop() else { return NEXT_HOP_NONE };
        self.ids.insert(target, id);
        self.settle(maps, target, id);
        id
    }

    /// Handles what the kernel told since the last time.
    pub(crate) fn poll(&mut self, maps: &mut Maps) -> io::Result<()> {
        let mut all = false;
        let mut some = Vec::new();
        for _ in 0..DATAGRAMS_PER_POLL_MAX {
            let view = &mut self.view;
            let heard = self.socket.notifications(|message| {
                match rt::event(&message).map_or(Concern::Nothing, |event| view.apply(event)) {
                    Concern::Nothing => {}
                    Concern::Neighbour(neighbour) => some.push(neighbour),
                    Concern::All => all = true,
                }
            });
            match heard {
                Ok(true) => {}
                Ok(false) => break,
                // Some were lost: read everything anew.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.read_kernel()?;
                    all = true;
                }
                Err(error) => return Err(error),
            }
        }
        if all {
            return self.refresh(maps);
        }
        for neighbour in some {
            self.on_neighbour(maps, neighbour);
        }
        Ok(())
    }

    /// Takes over what a predecessor wrote, and marks everything else as free.
    fn adopt(&mut self, maps: &Maps) {
        self.ids.insert(Ipv4Addr::UNSPECIFIED, NEXT_HOP_N6_DEFAULT);
        for id in (NEXT_HOP_N6_DEFAULT + 1..NEXT_HOPS_MAX).rev() {
            match maps.next_hops.read(id) {
                Some(hop) if hop.taken != 0 => {
                    self.ids.insert(hop.target.into(), id);
                }
                _ => self.free.push(id),
            }
        }
        for (key, id) in maps.routes.iter().flatten() {
            let length = u8::try_from(key.prefix_len()).unwrap_or(32);
            self.routes.insert((length, Be32::from_wire(key.data()).host()), id);
        }
        for (key, id) in maps.neighbours.iter().flatten() {
            self.neighbours.insert(Be32::from_wire(key).into(), id);
        }
    }

    fn read_kernel(&mut self) -> io::Result<()> {
        let mut view = View::default();
        for request in [rt::dump_links, rt::dump_routes, rt::dump_neighbours] {
            self.sequence = self.sequence.wrapping_add(1);
            self.questions.ask(&request(self.sequence), self.sequence, |message| {
                if let Some(event) = rt::event(&message) {
                    view.apply(event);
                }
            })?;
        }
        self.view = view;
        Ok(())
    }

    /// Makes every table agree with the view.
    fn refresh(&mut self, maps: &mut Maps) -> io::Result<()> {
        self.refresh_routes(maps)?;
        let targets: Vec<(Ipv4Addr, u32)> = self.ids.iter().map(|(target, id)| (*target, *id)).collect();
        for (target, id) in targets {
            self.settle(maps, target, id);
        }
        Ok(())
    }

    /// Tables `ROUTES` and `NEIGHBOURS`.
    fn refresh_routes(&mut self, maps: &mut Maps) -> io::Result<()> {
        let onlink = self.view.onlink(self.n6);
        let known: Vec<Ipv4Addr> = match onlink {
            Some(prefix) => self.view.neighbours_in(self.n6, prefix).map(|neighbour| neighbour.address).collect(),
            None => Vec::new(),
        };
        let gone: Vec<Ipv4Addr> = self.neighbours.keys().filter(|address| !known.contains(address)).copied().collect();
        for address in gone {
            self.forget_neighbour(maps, address);
        }
        for address in known {
            self.learn_neighbour(maps, address);
        }

        let mut wanted = BTreeSet::new();
        for (prefix, length, gateway) in self.view.specific(self.n6) {
            // Our own pools are not the data network's: packets between subscribers go by the default route.
            if self.pools.iter().any(|pool| pool.index_of(prefix.to_bits()).is_some()) {
                continue;
            }
            let place = (length, prefix.to_bits());
            let id = gateway.map_or(NEXT_HOP_NONE, |gateway| self.intern(maps, gateway));
            if self.routes.get(&place) != Some(&id) {
                maps.routes.insert(&route_key(place), id, 0).map_err(io::Error::other)?;
                self.routes.insert(place, id);
            }
            wanted.insert(place);
        }
        self.routes.retain(|place, _| {
            let keep = wanted.contains(place);
            if !keep {
                // Gone already is gone.
                let _ = maps.routes.remove(&route_key(*place));
            }
            keep
        });
        Ok(())
    }

    /// What the default route of N6 says comes before it; for every other next hop, nothing.
    fn before_default(&self, hop: NextHop) -> NextHop {
        let onlink = match self.view.onlink(self.n6) {
            // A table that is too large for us: the kernel routes every packet.
            _ if self.view.is_overflowing() => NextHop::ALL_ONLINK,
            Some((prefix, length)) => (Be32::new(prefix.to_bits() & mask(length)), Be32::new(mask(length))),
            None => NextHop::NO_ONLINK,
        };
        let route_flags = if self.routes.is_empty() { 0 } else { ROUTE_HAS_SPECIFIC };
        NextHop { onlink_address: onlink.0, onlink_mask: onlink.1, route_flags, ..hop }
    }

    fn on_neighbour(&mut self, maps: &mut Maps, neighbour: rt::Neighbour) {
        if neighbour.ifindex == self.n6
            && self.view.onlink(self.n6).is_some_and(|prefix| contains(prefix, neighbour.address))
        {
            if neighbour.mac.is_some() {
                self.learn_neighbour(maps, neighbour.address);
            } else {
                self.forget_neighbour(maps, neighbour.address);
            }
        }
        let concerned: Vec<(Ipv4Addr, u32)> = self
            .ids
            .iter()
            .filter(|(target, _)| {
                self.way(**target)
                    .is_some_and(|way| way.ifindex == neighbour.ifindex && way.neighbour == neighbour.address)
            })
            .map(|(target, id)| (*target, *id))
            .collect();
        for (target, id) in concerned {
            self.settle(maps, target, id);
        }
    }

    fn learn_neighbour(&mut self, maps: &mut Maps, address: Ipv4Addr) {
        if self.neighbours.contains_key(&address) || self.neighbours.len() >= NEIGHBOURS_MAX as usize {
            return;
        }
        let id = self.intern(maps, address);
        if id != NEXT_HOP_NONE && maps.neighbours.insert(Be32::from(address).to_wire(), id, 0).is_ok() {
            self.neighbours.insert(address, id);
        }
    }

    /// The kernel finds it again when a packet asks; its next hop may still serve others.
    fn forget_neighbour(&mut self, maps: &mut Maps, address: Ipv4Addr) {
        if self.neighbours.remove(&address).is_some() {
            let _ = maps.neighbours.remove(&Be32::from(address).to_wire());
        }
    }

    fn way(&self, target: Ipv4Addr) -> Option<Way> {
        let way = if target.is_unspecified() { self.view.default_way(self.n6) } else { self.view.way_to(target) };
        // Frames are redirected between the interfaces that carry our programs, and to no other.
        way.filter(|way| way.ifindex == self.n3 || way.ifindex == self.n6)
    }

    /// Writes the entry of a target, and asks for its neighbour if that is in doubt.
    fn settle(&mut self, maps: &Maps, target: Ipv4Addr, id: u32) {
        let way = self.way(target);
        let mut hop = self.view.next_hop(target, way);
        if id == NEXT_HOP_N6_DEFAULT {
            hop = self.before_default(hop);
        }
        write(maps, id, &hop);
        if let Some(way) = way.filter(|way| self.view.is_doubtful(*way)) {
            self.sequence = self.sequence.wrapping_add(1);
            // Without answer, and best effort: while it fails, packets take the kernel's way and make it ask.
            let _ = self.questions.send(&rt::use_neighbour(self.sequence, way.ifindex, way.neighbour));
        }
    }

    /// Frees ids that nothing names any more.
    fn sweep(&mut self, maps: &Maps) {
        let mut used = vec![false; NEXT_HOPS_MAX as usize];
        let mut mark = |id: u32| {
            if let Some(slot) = used.get_mut(id as usize) {
                *slot = true;
            }
        };
        mark(NEXT_HOP_N6_DEFAULT);
        maps.sessions.next_hops_in_use(&mut mark);
        self.routes.values().chain(self.neighbours.values()).for_each(|id| mark(*id));
        let free = &mut self.free;
        self.ids.retain(|_, id| {
            let keep = used.get(*id as usize).copied().unwrap_or(true);
            if !keep {
                write(maps, *id, &NextHop::default());
                free.push(*id);
            }
            keep
        });
    }
}

/// Writes an entry so that no packet uses half of it: it is unresolved while it changes.
fn write(maps: &Maps, id: u32, hop: &NextHop) {
    if maps.next_hops.read(id).as_ref() == Some(hop) {
        return;
    }
    let Some(words) = maps.next_hops.words(id) else { return };
    words[WORD_STATE].store(0, Ordering::SeqCst);
    for (i, word) in words.iter().enumerate().filter(|(i, _)| *i != WORD_STATE) {
        word.store(word_of(hop, i), Ordering::Release);
    }
    words[WORD_STATE].store(word_of(hop, WORD_STATE), Ordering::SeqCst);
}

/// The word with the state.
const WORD_STATE: usize = std::mem::offset_of!(NextHop, state) / 8;

fn route_key((length, prefix): (u8, u32)) -> lpm_trie::Key<u32> {
    lpm_trie::Key::new(u32::from(length), Be32::new(prefix).to_wire())
}
