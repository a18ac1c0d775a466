//! Keys: shown to nobody, wiped when dropped.

use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Octets of a key (K, OPc, KAUSF, KSEAF, KAMF, ...). `Debug` shows no octet.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    pub fn new(octets: [u8; N]) -> Self {
        Self(octets)
    }

    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// From `2 * N` hex digits.
    pub fn from_hex(text: &str) -> Result<Self, crate::Invalid> {
        // The digits given are a key, even when they are wrong: the error does not repeat them.
        let invalid = || crate::Invalid::new("key", "hex digits, two an octet", format!("{} characters", text.len()));
        if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut octets = [0; N];
        for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(octets))
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({N} octets)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Secret::<2>::from_hex("dEad").unwrap();
        assert_eq!(key.expose(), &[0xDE, 0xAD]);
        assert_eq!(format!("{key:?}"), "Secret(2 octets)");
        for wrong in ["", "dea", "deadbe", "+ead", "dég"] {
            let error = Secret::<2>::from_hex(wrong).unwrap_err().to_string();
            assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
        }
    }
}
