//! Addresses of phones, one pool a data network (TS 23.501, 5.8.2.2).

use coeur_model::config::Ipv4Pool;
use coeur_nf::services::nsmf::SmContextId;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::Ipv4Addr;

/// Gives addresses that were never given first, then the one that was given back the longest ago: late packets for a
/// former owner reach nobody else for as long as can be.
pub(crate) struct Pool {
    range: Ipv4Pool,
    taken: HashMap<Ipv4Addr, SmContextId>,
    /// The lowest index that was never given.
    fresh: u32,
    returned: VecDeque<u32>,
    /// What is in `returned`.
    queued: HashSet<u32>,
}

impl Pool {
    pub(crate) fn new(range: Ipv4Pool) -> Self {
        Self { range, taken: HashMap::new(), fresh: 0, returned: VecDeque::new(), queued: HashSet::new() }
    }

    pub(crate) fn take(&mut self, owner: SmContextId) -> Option<Ipv4Addr> {
        loop {
            let index = if self.fresh < self.range.size() {
                self.fresh += 1;
                self.fresh - 1
            } else {
                let index = self.returned.pop_front()?;
                self.queued.remove(&index);
                index
            };
            let address = self.range.address(index)?;
            // A fixed or a restored address may lie in the range.
            if let Entry::Vacant(free) = self.taken.entry(address) {
                free.insert(owner);
                return Some(address);
            }
        }
    }

    /// Takes one certain address, unless `is_alive` says that its holder is a session still.
    pub(crate) fn take_fixed(
        &mut self,
        address: Ipv4Addr,
        owner: SmContextId,
        is_alive: impl FnOnce(SmContextId) -> bool,
    ) -> bool {
        if self.taken.get(&address).is_some_and(|holder| is_alive(*holder)) {
            return false;
        }
        self.taken.insert(address, owner);
        true
    }

    /// Nothing happens if somebody else holds the address meanwhile.
    pub(crate) fn give_back(&mut self, address: Ipv4Addr, owner: SmContextId) {
        if self.taken.get(&address) != Some(&owner) {
            return;
        }
        self.taken.remove(&address);
        if let Some(index) = self.range.index(address).filter(|index| *index < self.fresh)
            && self.queued.insert(index)
        {
            self.returned.push_back(index);
        }
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.len()
    }

    pub(crate) fn size(&self) -> u32 {
        self.range.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new("10.0.0.0/29".parse().unwrap()) // Six addresses.
    }

    fn owner(id: u64) -> SmContextId {
        SmContextId(id)
    }

    fn last_octet(address: Option<Ipv4Addr>) -> Option<u8> {
        address.map(|address| address.octets()[3])
    }

    #[test]
    fn an_address_comes_back_last() {
        let mut pool = pool();
        let first = pool.take(owner(1)).unwrap();
        pool.give_back(first, owner(1));
        let given: Vec<_> = (2..8).map(|id| last_octet(pool.take(owner(id)))).collect();
        assert_eq!(given, [2, 3, 4, 5, 6, 1].map(Some));
        assert_eq!(pool.take(owner(9)), None);
        assert_eq!((pool.taken(), pool.size()), (6, 6));
    }

    #[test]
    fn only_the_holder_gives_back() {
        let mut pool = pool();
        let address = pool.take(owner(1)).unwrap();
        pool.give_back(address, owner(2));
        assert_eq!(pool.taken(), 1);
        pool.give_back(address, owner(1));
        pool.give_back(address, owner(1));
        assert_eq!((pool.taken(), pool.returned.len()), (0, 1));
    }

    #[test]
    fn a_fixed_address_is_given_to_nobody_else() {
        let mut pool = pool();
        let fixed = Ipv4Addr::new(10, 0, 0, 2);
        assert!(pool.take_fixed(fixed, owner(1), |_| true));
        assert!(!pool.take_fixed(fixed, owner(2), |_| true));
        let given: Vec<_> = (3..9).map(|id| last_octet(pool.take(owner(id)))).collect();
        assert_eq!(given, [Some(1), Some(3), Some(4), Some(5), Some(6), None]);
        // Its holder is a session no more: the next one takes it over, and the former one's return does nothing.
        assert!(pool.take_fixed(fixed, owner(2), |_| false));
        pool.give_back(fixed, owner(1));
        assert!(!pool.take_fixed(fixed, owner(3), |_| true));
        pool.give_back(fixed, owner(2));
        assert_eq!(last_octet(pool.take(owner(4))), Some(2));
    }

    #[test]
    fn a_fixed_address_outside_the_range_stays_outside() {
        let mut pool = pool();
        let outside = Ipv4Addr::new(192, 0, 2, 1);
        assert!(pool.take_fixed(outside, owner(1), |_| true));
        pool.give_back(outside, owner(1));
        assert!(pool.returned.is_empty());
    }
}
