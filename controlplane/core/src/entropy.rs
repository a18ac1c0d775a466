//! Random octets of a running core.

use coeur_nf::Entropy;

/// Draws from the kernel (`getrandom(2)`) by the page, because one system call a challenge would be most of its cost.
#[derive(Debug)]
pub struct KernelEntropy {
    pool: [u8; Self::POOL_OCTETS],
    used: usize,
}

impl KernelEntropy {
    const POOL_OCTETS: usize = 4096;

    pub fn new() -> Self {
        Self { pool: [0; Self::POOL_OCTETS], used: Self::POOL_OCTETS }
    }
}

impl Default for KernelEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for KernelEntropy {
    fn fill(&mut self, octets: &mut [u8]) {
        for chunk in octets.chunks_mut(Self::POOL_OCTETS) {
            if self.used + chunk.len() > Self::POOL_OCTETS {
                // Keys without entropy are worse than no core: the platform restarts it.
                getrandom::fill(&mut self.pool).expect("the kernel has random numbers once it has booted");
                self.used = 0;
            }
            let fresh = &mut self.pool[self.used..self.used + chunk.len()];
            chunk.copy_from_slice(fresh);
            fresh.fill(0);
            self.used += chunk.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_given_once_and_wiped() {
        let mut entropy = KernelEntropy::new();
        let mut drawn = std::collections::HashSet::new();
        for _ in 0..2_000 {
            let mut octets = [0; 16];
            entropy.fill(&mut octets);
            assert!(drawn.insert(octets), "sixteen octets came twice");
        }
        assert!(entropy.pool[..entropy.used].iter().all(|octet| *octet == 0));
        let mut large = vec![0; 3 * KernelEntropy::POOL_OCTETS + 1];
        entropy.fill(&mut large);
        assert!(large.chunks(64).all(|chunk| chunk.iter().any(|octet| *octet != 0) || chunk.len() < 64));
    }
}
