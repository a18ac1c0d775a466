//! Keys at rest: K and OPc of a subscriber sealed with AES-256-GCM, bound to the SUPI.
//!
//! A sealed value is nonce (12 octets) | ciphertext | tag (16). The nonce is random: with 2^32 values sealed under one key, two
//! are the same with a chance of 2^-32 (NIST SP 800-38D, 8.3).

use crate::OpenError;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use coeur_model::Secret;
use sqlx::{Row, SqlitePool};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

const NONCE_OCTETS: usize = 12;
/// Sealed in every database, so that another key is noticed at once.
const CHECK_NAME: &str = "key_check";
const CHECK_TEXT: &[u8] = b"coeur master key";

/// What seals the keys of all subscribers of a store.
pub type MasterKey = Secret<32>;

/// The key in the file at `path`; a new one when neither it nor the database exists.
pub(crate) fn key_in(path: &Path, database_exists: bool) -> Result<MasterKey, OpenError> {
    let failed = |source| OpenError::KeyFile { path: path.to_owned(), source };
    match File::open(path) {
        Ok(mut file) => {
            let mut octets = Zeroizing::new(Vec::with_capacity(33));
            Read::by_ref(&mut file).take(33).read_to_end(&mut octets).map_err(failed)?;
            let octets: [u8; 32] = octets[..]
                .try_into()
                .map_err(|_| failed(io::Error::other(format!("it has {} octets", octets.len()))))?;
            Ok(MasterKey::new(octets))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && database_exists => {
            Err(OpenError::KeyMissing { path: path.to_owned() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut octets = Zeroizing::new([0; 32]);
            getrandom::fill(&mut octets[..]).map_err(OpenError::Entropy)?;
            write_new(path, &octets[..]).map_err(failed)?;
            Ok(MasterKey::new(*octets))
        }
        Err(error) => Err(failed(error)),
    }
}

/// The whole file or none, on disk before the first value is sealed with it.
fn write_new(path: &Path, octets: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("key.new");
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(octets)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[derive(Clone)]
pub(crate) struct Sealer(Arc<Aes256Gcm>);

impl Sealer {
    pub(crate) fn new(key: &MasterKey) -> Self {
        Self(Arc::new(Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(key.expose()))))
    }

    /// Whether this is the key that the database was made with; a new database takes it for its own.
    pub(crate) async fn check(&self, pool: &SqlitePool) -> Result<(), OpenError> {
        let failed = |source| OpenError::Database { path: pool.connect_options().get_filename().to_owned(), source };
        let row = sqlx::query("SELECT value FROM meta WHERE name = ?1").bind(CHECK_NAME).fetch_optional(pool).await;
        if let Some(row) = row.map_err(failed)? {
            let sealed: Vec<u8> = row.try_get(0).map_err(failed)?;
            let opened = self.unseal(CHECK_NAME, &sealed).ok_or(OpenError::WrongKey)?;
            return if opened[..] == *CHECK_TEXT { Ok(()) } else { Err(OpenError::WrongKey) };
        }
        let sealed = self.seal(CHECK_NAME, CHECK_TEXT).map_err(OpenError::Entropy)?;
        let insert = sqlx::query("INSERT INTO meta (name, value) VALUES (?1, ?2)").bind(CHECK_NAME).bind(sealed);
        insert.execute(pool).await.map(|_| ()).map_err(failed)
    }

    pub(crate) fn seal_keys(&self, imsi: &str, k: &Secret<16>, opc: &Secret<16>) -> Result<Vec<u8>, getrandom::Error> {
        let mut octets = Zeroizing::new([0; 32]);
        octets[..16].copy_from_slice(k.expose());
        octets[16..].copy_from_slice(opc.expose());
        self.seal(imsi, &octets[..])
    }

    /// K and OPc; none when the value was not sealed for this subscriber with this key.
    pub(crate) fn unseal_keys(&self, imsi: &str, sealed: &[u8]) -> Option<(Secret<16>, Secret<16>)> {
        let octets = self.unseal(imsi, sealed)?;
        let (k, opc) = octets.split_first_chunk::<16>()?;
        Some((Secret::new(*k), Secret::new(*opc.first_chunk::<16>()?)))
    }

    fn seal(&self, bound_to: &str, octets: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE_OCTETS];
        getrandom::fill(&mut nonce)?;
        let payload = Payload { msg: octets, aad: bound_to.as_bytes() };
        // AES-GCM refuses messages of more than 64 GiB alone (RFC 5116, 5.1), and these have 32 octets at most.
        let sealed = self.0.encrypt(Nonce::from_slice(&nonce), payload).expect("a message of 32 octets can be sealed");
        Ok([&nonce[..], &sealed].concat())
    }

    fn unseal(&self, bound_to: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_OCTETS)?;
        let payload = Payload { msg: sealed, aad: bound_to.as_bytes() };
        self.0.decrypt(Nonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_keys_open_for_their_subscriber_and_key_alone() {
        let (sealer, other) = (Sealer::new(&MasterKey::new([1; 32])), Sealer::new(&MasterKey::new([2; 32])));
        let (k, opc) = (Secret::new([3; 16]), Secret::new([4; 16]));
        let sealed = sealer.seal_keys("001010000000001", &k, &opc).unwrap();
        assert_eq!(sealer.unseal_keys("001010000000001", &sealed), Some((k.clone(), opc.clone())));
        assert_eq!(sealer.unseal_keys("001010000000002", &sealed), None);
        assert_eq!(other.unseal_keys("001010000000001", &sealed), None);
        for at in 0..sealed.len() {
            let mut wrong = sealed.clone();
            wrong[at] ^= 1;
            assert_eq!(sealer.unseal_keys("001010000000001", &wrong), None);
        }
        assert_eq!(sealer.unseal_keys("001010000000001", &sealed[..11]), None);
        assert_ne!(sealer.seal_keys("001010000000001", &k, &opc).unwrap(), sealed, "nonces differ");
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(matches!(key_in(&path, true), Err(OpenError::KeyMissing { .. })));
        let key = key_in(&path, false).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(key_in(&path, true).unwrap(), key);
        std::fs::write(&path, [0; 31]).unwrap();
        assert!(matches!(key_in(&path, true), Err(OpenError::KeyFile { .. })));
    }
}
