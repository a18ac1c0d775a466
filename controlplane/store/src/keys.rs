//! K and OPc at rest: AES-256-GCM under a master key that is a file of its own.

use crate::OpenError;
use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use coeur_model::{Secret, Supi};
use sqlx::{Row as _, SqlitePool};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// The master key within the state folder: 64 hex digits, readable by its owner only. Without it, subscribers are lost.
pub const MASTER_KEY_FILE: &str = "master.key";

const NONCE_OCTETS: usize = 12;
/// What the check value of `meta` holds, once opened.
const CHECK: &[u8] = b"coeur";
const CHECK_NAME: &str = "key-check";

/// Seals and opens keys of subscribers.
pub(crate) struct MasterKey(Aes256Gcm);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// What was stored is not what was sealed: another subscriber's, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("the keys of a subscriber do not open")]
pub(crate) struct Sealed;

impl MasterKey {
    fn new(key: &Secret<32>) -> Self {
        Self(Aes256Gcm::new(key.expose().into()))
    }

    /// Nonce, ciphertext and tag of K and OPc. The SUPI is authenticated with them, so that rows cannot be exchanged.
    pub(crate) fn seal(&self, supi: &Supi, k: &Secret<16>, opc: &Secret<16>) -> Vec<u8> {
        let mut plain = Zeroizing::new([0; 32]);
        plain[..16].copy_from_slice(k.expose());
        plain[16..].copy_from_slice(opc.expose());
        self.seal_octets(supi.imsi().as_bytes(), plain.as_slice())
    }

    pub(crate) fn open(&self, supi: &Supi, sealed: &[u8]) -> Result<(Secret<16>, Secret<16>), Sealed> {
        let plain = Zeroizing::new(self.open_octets(supi.imsi().as_bytes(), sealed)?);
        let (k, opc) = plain.split_at_checked(16).ok_or(Sealed)?;
        let secret = |octets: &[u8]| octets.try_into().map(Secret::new).map_err(|_| Sealed);
        Ok((secret(k)?, secret(opc)?))
    }

    fn seal_octets(&self, bound_to: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_OCTETS];
        getrandom::fill(&mut nonce).expect("the kernel has random numbers once it has booted");
        let payload = Payload { msg: plain, aad: bound_to };
        let sealed = self.0.encrypt(Nonce::from_slice(&nonce), payload).expect("AES-GCM seals anything below 64 GiB");
        [&nonce[..], &sealed].concat()
    }

    fn open_octets(&self, bound_to: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Sealed> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_OCTETS).ok_or(Sealed)?;
        let payload = Payload { msg: sealed, aad: bound_to };
        self.0.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| Sealed)
    }
}

/// Reads the master key, or makes one beside a new database, and checks that it is the right one.
pub(crate) async fn open(path: &Path, pool: &SqlitePool, database: &Path) -> Result<MasterKey, OpenError> {
    let database_error = |error| OpenError::Database { path: database.to_owned(), error };
    let row = sqlx::query("SELECT value FROM meta WHERE name = ?").bind(CHECK_NAME).fetch_optional(pool);
    let check: Option<Vec<u8>> =
        row.await.and_then(|row| row.map(|row| row.try_get(0)).transpose()).map_err(database_error)?;
    let file_error = |error| OpenError::File { path: path.to_owned(), error };
    let key = match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => Secret::from_hex(text.trim()).map_err(|_| OpenError::MalformedKey { path: path.to_owned() })?,
        // A lost key is told, never replaced: a new one would open nothing.
        Err(error) if error.kind() == ErrorKind::NotFound && check.is_none() => create(path).map_err(file_error)?,
        Err(error) => return Err(file_error(error)),
    };
    let master = MasterKey::new(&key);
    match check {
        Some(check) => {
            let right = master.open_octets(CHECK_NAME.as_bytes(), &check).is_ok_and(|opened| opened == CHECK);
            if !right {
                return Err(OpenError::WrongKey { path: path.to_owned() });
            }
        }
        None => {
            let check = master.seal_octets(CHECK_NAME.as_bytes(), CHECK);
            let insert = sqlx::query("INSERT INTO meta (name, value) VALUES (?, ?)").bind(CHECK_NAME).bind(check);
            insert.execute(pool).await.map_err(database_error)?;
        }
    }
    Ok(master)
}

fn create(path: &Path) -> std::io::Result<Secret<32>> {
    let mut octets = Zeroizing::new([0; 32]);
    getrandom::fill(octets.as_mut()).map_err(|error| std::io::Error::other(error.to_string()))?;
    let text: Zeroizing<String> = Zeroizing::new(octets.iter().map(|octet| format!("{octet:02x}")).collect());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    // The key is on the disk before anything is sealed with it.
    file.sync_all()?;
    Ok(Secret::new(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_open_for_their_subscriber_only() {
        let master = MasterKey::new(&Secret::new([7; 32]));
        let (a, b) = (Supi::from_imsi("001010000000001").unwrap(), Supi::from_imsi("001010000000002").unwrap());
        let sealed = master.seal(&a, &Secret::new([1; 16]), &Secret::new([2; 16]));
        let (k, opc) = master.open(&a, &sealed).unwrap();
        assert_eq!((k.expose(), opc.expose()), (&[1; 16], &[2; 16]));
        assert!(master.open(&b, &sealed).is_err());
        assert!(MasterKey::new(&Secret::new([8; 32])).open(&a, &sealed).is_err());
        for cut in 0..sealed.len() {
            assert!(master.open(&a, &sealed[..cut]).is_err());
        }
        assert_ne!(sealed, master.seal(&a, &k, &opc), "a nonce is never used twice");
    }
}
