//! UE address pools: the slot of the downlink table is the UE address minus the base of its pool, after all pools before.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    base: Ipv4Addr,
    length: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    #[error("{0:?} is not an IPv4 prefix such as 10.45.0.0/16")]
    NotAPrefix(String),
    #[error("{prefix} has bits set below its length; did you mean {meant}?")]
    HostBits { prefix: String, meant: Prefix },
    #[error("{0} and {1} overlap")]
    Overlap(Prefix, Prefix),
    #[error("{0} pools, at most {POOLS_MAX}")]
    TooMany(usize),
    #[error("the pools hold {0} addresses, at most {POOL_ADDRESSES_MAX}")]
    TooLarge(u64),
}

/// Most pools of one user plane: the fast path scans them.
pub const POOLS_MAX: usize = coeur_ebpf_abi::POOLS_MAX;
/// Most addresses in all pools: one slot of the downlink table each.
pub const POOL_ADDRESSES_MAX: u64 = 1 << 24;

impl Prefix {
    pub fn new(base: Ipv4Addr, length: u8) -> Option<Self> {
        (length <= 32).then(|| Self { base: Ipv4Addr::from_bits(base.to_bits() & mask(length)), length })
    }

    pub fn base(&self) -> Ipv4Addr {
        self.base
    }

    pub fn length(&self) -> u8 {
        self.length
    }

    /// How many addresses it holds.
    pub fn size(&self) -> u64 {
        1 << (32 - self.length)
    }

    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.length) == self.base.to_bits()
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

impl FromStr for Prefix {
    type Err = PoolError;

    fn from_str(text: &str) -> Result<Self, PoolError> {
        let parsed = text
            .split_once('/')
            .and_then(|(base, length)| Some((base.parse::<Ipv4Addr>().ok()?, length.parse::<u8>().ok()?)))
            .and_then(|(base, length)| Some((base, Self::new(base, length)?)));
        match parsed {
            None => Err(PoolError::NotAPrefix(text.to_owned())),
            Some((base, prefix)) if prefix.base != base => {
                Err(PoolError::HostBits { prefix: text.to_owned(), meant: prefix })
            }
            Some((_, prefix)) => Ok(prefix),
        }
    }
}

/// All pools of a user plane, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools {
    prefixes: Vec<Prefix>,
}

impl Pools {
    pub fn new(prefixes: Vec<Prefix>) -> Result<Self, PoolError> {
        if prefixes.len() > POOLS_MAX {
            return Err(PoolError::TooMany(prefixes.len()));
        }
        for (position, a) in prefixes.iter().enumerate() {
            if let Some(b) = prefixes[..position].iter().find(|b| a.contains(b.base) || b.contains(a.base)) {
                return Err(PoolError::Overlap(*b, *a));
            }
        }
        let size = prefixes.iter().map(Prefix::size).sum();
        if size > POOL_ADDRESSES_MAX { Err(PoolError::TooLarge(size)) } else { Ok(Self { prefixes }) }
    }

    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// How many slots the downlink table needs.
    pub fn size(&self) -> u32 {
        // POOL_ADDRESSES_MAX fits.
        self.prefixes.iter().map(|prefix| prefix.size() as u32).sum()
    }

    /// The slot of an address; none: it is in no pool, and goes to the fallback table.
    pub fn index(&self, address: Ipv4Addr) -> Option<u32> {
        let mut before = 0;
        for prefix in &self.prefixes {
            if prefix.contains(address) {
                return Some(before + (address.to_bits() - prefix.base.to_bits()));
            }
            before += prefix.size() as u32;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(prefixes: &[&str]) -> Result<Pools, PoolError> {
        Pools::new(prefixes.iter().map(|prefix| prefix.parse()).collect::<Result<_, _>>()?)
    }

    #[test]
    fn slots_run_on_from_pool_to_pool() {
        let pools = pools(&["10.45.0.0/24", "10.60.0.0/16"]).unwrap();
        assert_eq!(pools.index(Ipv4Addr::new(10, 45, 0, 0)), Some(0));
        assert_eq!(pools.index(Ipv4Addr::new(10, 45, 0, 255)), Some(255));
        assert_eq!(pools.index(Ipv4Addr::new(10, 60, 0, 1)), Some(257));
        assert_eq!(pools.index(Ipv4Addr::new(10, 45, 1, 0)), None);
        assert_eq!(pools.size(), 256 + 65_536);
    }

    #[test]
    fn what_is_wrong_with_a_pool_is_said() {
        assert!(matches!(pools(&["10.45.0.0"]), Err(PoolError::NotAPrefix(_))));
        assert!(matches!(pools(&["10.45.0.0/33"]), Err(PoolError::NotAPrefix(_))));
        assert_eq!(
            pools(&["10.45.0.1/16"]).unwrap_err().to_string(),
            "10.45.0.1/16 has bits set below its length; did you mean 10.45.0.0/16?"
        );
        assert!(matches!(pools(&["10.45.0.0/16", "10.45.3.0/24"]), Err(PoolError::Overlap(..))));
        assert!(matches!(pools(&["10.45.3.0/24", "10.0.0.0/8"]), Err(PoolError::Overlap(..))));
        assert!(matches!(pools(&["0.0.0.0/0"]), Err(PoolError::TooLarge(_))));
    }
}
