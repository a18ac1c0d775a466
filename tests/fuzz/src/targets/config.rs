//! What an operator writes.

use coeur_model::config::CoreConfig;

/// Nothing that is written panics; what is refused says why.
pub(crate) fn core(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Err(error) = CoreConfig::from_toml(text) {
        assert!(!error.to_string().is_empty());
    }
}
