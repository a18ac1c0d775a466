//! The sessions, and who holds which tunnel and UE address.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use coeur_rules::{Compiled, LocalTunnel, Reason, RemoteTunnel, RuleError, RuleId, RuleSet, TeidAllocator};

use crate::usage::Meter;

/// One PFCP session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) up_seid: u64,
    pub(crate) cp_seid: u64,
    /// Where reports about it go.
    pub(crate) cp_address: IpAddr,
    /// The association that it belongs to.
    pub(crate) association: u32,
    pub(crate) rules: RuleSet,
    pub(crate) compiled: Compiled,
    pub(crate) meter: Meter,
    pub(crate) state: State,
    /// The tunnel whose loss was reported.
    pub(crate) reported: Option<RemoteTunnel>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its records are those of its rules.
    Settled,
    /// A transaction works on it.
    Busy,
    /// Its records could not be put back: it keeps its slots until it is purged, and answers nothing.
    Stuck,
}

/// What a session needs to itself, by its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) tunnels: Vec<(LocalTunnel, u16)>,
    pub(crate) addresses: Vec<(Ipv4Addr, u16)>,
    pub(crate) remotes: Vec<RemoteTunnel>,
}

impl Holdings {
    pub(crate) fn of(rules: &RuleSet, compiled: &Compiled) -> Self {
        let tunnel = |pdr: &coeur_rules::Pdr| pdr.pdi.local_tunnel.map(|tunnel| (tunnel, pdr.id));
        let remote = |far: &coeur_rules::Far| far.forwarding.and_then(|forwarding| forwarding.outer_header);
        Self {
            tunnels: rules.pdrs.iter().filter_map(tunnel).collect(),
            addresses: compiled.downlink.iter().map(|entry| (entry.ue_address, entry.pdr)).collect(),
            remotes: rules.fars.iter().filter_map(remote).collect(),
        }
    }

    /// What is here and not in `other`.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let tunnel = |held: &&(LocalTunnel, u16)| !other.tunnels.iter().any(|(tunnel, _)| *tunnel == held.0);
        let address = |held: &&(Ipv4Addr, u16)| !other.addresses.iter().any(|(address, _)| *address == held.0);
        Self {
            tunnels: self.tunnels.iter().filter(tunnel).copied().collect(),
            addresses: self.addresses.iter().filter(address).copied().collect(),
            remotes: self.remotes.iter().filter(|remote| !other.remotes.contains(remote)).copied().collect(),
        }
    }
}

/// All sessions by SEID: generation in the high half, seat in the low half.
#[derive(Debug)]
pub(crate) struct Seats {
    seats: Vec<Seat>,
    /// Seats given up, the longest free first.
    free: VecDeque<u32>,
    sessions_max: u32,
    first_generation: u32,
    taken: usize,
    pub(crate) teids: TeidAllocator,
    given: HashMap<u32, u32>,
    addresses: HashMap<Ipv4Addr, u32>,
    remotes: HashMap<RemoteTunnel, u32>,
}

#[derive(Debug)]
struct Seat {
    generation: u32,
    session: Option<Box<Session>>,
}

impl Seats {
    pub(crate) fn new(sessions_max: u32, seed: u32) -> Self {
        let [.., generation] = seed.to_be_bytes();
        Self {
            seats: Vec::new(),
            free: VecDeque::new(),
            sessions_max,
            first_generation: seed.max(1),
            taken: 0,
            teids: TeidAllocator::new(sessions_max, generation),
            given: HashMap::new(),
            addresses: HashMap::new(),
            remotes: HashMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.taken
    }

    /// Takes a seat, and tells its number and SEID. None: all are taken.
    pub(crate) fn take(&mut self, session: impl FnOnce(u64) -> Session) -> Option<(u32, u64)> {
        let seat = match self.free.pop_front() {
            Some(seat) => seat,
            None => {
                let seat = u32::try_from(self.seats.len()).ok().filter(|seat| *seat < self.sessions_max)?;
                self.seats.push(Seat { generation: self.first_generation, session: None });
                seat
            }
        };
        let place = &mut self.seats[seat as usize];
        let seid = u64::from(place.generation) << 32 | u64::from(seat);
        place.session = Some(Box::new(session(seid)));
        self.taken += 1;
        Some((seat, seid))
    }

    /// Gives a seat up; its SEID does not come back soon.
    pub(crate) fn leave(&mut self, seat: u32) -> Option<Box<Session>> {
        let place = self.seats.get_mut(seat as usize)?;
        let session = place.session.take()?;
        place.generation = place.generation.checked_add(1).unwrap_or(1);
        self.free.push_back(seat);
        self.taken -= 1;
        Some(session)
    }

    pub(crate) fn find(&self, seid: u64) -> Option<u32> {
        let seat = seid as u32;
        let session = self.session(seat)?;
        (session.up_seid == seid).then_some(seat)
    }

    pub(crate) fn session(&self, seat: u32) -> Option<&Session> {
        self.seats.get(seat as usize)?.session.as_deref()
    }

    pub(crate) fn session_mut(&mut self, seat: u32) -> Option<&mut Session> {
        self.seats.get_mut(seat as usize)?.session.as_deref_mut()
    }

    pub(crate) fn of_association(&self, association: u32) -> Vec<u32> {
        let here = |seat: &u32| self.session(*seat).is_some_and(|session| session.association == association);
        (0..self.seats.len() as u32).filter(here).collect()
    }

    pub(crate) fn any_busy(&self, seats: &[u32]) -> bool {
        seats.iter().any(|seat| self.session(*seat).is_some_and(|session| session.state == State::Busy))
    }

    /// TEIDs that were chosen for rules that are refused. One may stand there twice, and is given back once.
    pub(crate) fn release_teids(&mut self, chosen: &[(u16, u32)]) {
        for (_, teid) in chosen {
            self.teids.release(*teid);
        }
    }

    pub(crate) fn is_tunnel(&self, teid: u32) -> bool {
        self.teids.is_allocated(teid) || self.given.contains_key(&teid)
    }

    pub(crate) fn is_given(&self, teid: u32) -> bool {
        self.given.contains_key(&teid)
    }

    pub(crate) fn of_remote(&self, remote: RemoteTunnel) -> Option<u32> {
        self.remotes.get(&remote).copied()
    }

    /// Whether `seat` may hold all this: none of it is another's.
    pub(crate) fn check(&self, seat: Option<u32>, wanted: &Holdings) -> Result<(), RuleError> {
        let foreign = |owner: Option<&u32>| owner.is_some_and(|owner| Some(*owner) != seat);
        for (tunnel, pdr) in &wanted.tunnels {
            if let LocalTunnel::Given(teid) = tunnel
                && (foreign(self.given.get(teid)) || self.teids.is_allocated(*teid))
            {
                return Err(RuleId::Pdr(*pdr).error(Reason::TunnelInUse));
            }
        }
        for (address, pdr) in &wanted.addresses {
            if foreign(self.addresses.get(address)) {
                return Err(RuleId::Pdr(*pdr).error(Reason::UeAddressInUse));
            }
        }
        Ok(())
    }

    /// Chosen tunnels are held since they were chosen.
    pub(crate) fn hold(&mut self, seat: u32, gained: &Holdings) {
        for (tunnel, _) in &gained.tunnels {
            if let LocalTunnel::Given(teid) = tunnel {
                self.given.insert(*teid, seat);
            }
        }
        self.addresses.extend(gained.addresses.iter().map(|(address, _)| (*address, seat)));
        self.remotes.extend(gained.remotes.iter().map(|remote| (*remote, seat)));
    }

    pub(crate) fn let_go(&mut self, seat: u32, lost: &Holdings) {
        for (tunnel, _) in &lost.tunnels {
            match tunnel {
                LocalTunnel::Chosen(teid) => self.teids.release(*teid),
                LocalTunnel::Given(teid) => remove_if(&mut self.given, teid, seat),
            };
        }
        for (address, _) in &lost.addresses {
            remove_if(&mut self.addresses, address, seat);
        }
        for remote in &lost.remotes {
            remove_if(&mut self.remotes, remote, seat);
        }
    }
}

fn remove_if<K: std::hash::Hash + Eq>(owners: &mut HashMap<K, u32>, key: &K, seat: u32) -> bool {
    owners.get(key) == Some(&seat) && owners.remove(key).is_some()
}
