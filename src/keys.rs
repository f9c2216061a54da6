//! API keys: made, kept, compared.
//!
//! The key itself stands in a file that only its owner can read, so that it can be shown. The store
//! keeps HMAC-SHA256 of it, keyed with a pepper that stands outside of the database.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Error;
use crate::store::Store;

/// How many characters a key has.
pub const LENGTH: usize = 43;

/// What the store keeps of a key.
pub type Hash = [u8; 32];

/// The keys that calls are let in with.
pub struct Keys {
    pepper: [u8; 32],
    known: RwLock<HashMap<Hash, i64>>,
}

/// The files of a data folder that hold the key and the pepper.
pub struct Files {
    folder: PathBuf,
    key: PathBuf,
    pepper: PathBuf,
}

impl Files {
    /// The files in the folder `data`.
    pub fn of(data: &Path) -> Files {
        let folder = data.join("keys");
        Files {
            key: folder.join("api-key"),
            pepper: folder.join("pepper"),
            folder,
        }
    }

    /// The folder they are in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder, which only its owner can look into.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn prepare(&self) -> Result<(), Error> {
        let failed =
            |error: std::io::Error| Error::new(format!("{}: {error}", self.folder.display()));
        fs::create_dir_all(&self.folder).map_err(failed)?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).map_err(failed)
    }

    /// The file that holds the key.
    pub fn key_path(&self) -> &Path {
        &self.key
    }

    /// The key, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read or holds no key.
    pub fn key(&self) -> Result<Option<String>, Error> {
        let text = match fs::read_to_string(&self.key) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::new(format!("{}: {error}", self.key.display()))),
        };
        let key = text.trim();
        match well_formed(key) {
            true => Ok(Some(key.to_owned())),
            false => {
                let message = format!(
                    "{} holds no API key; `waystation key reset` makes one",
                    self.key.display()
                );
                Err(Error::new(message))
            }
        }
    }

    /// Keeps a key in place of the one before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_key(&self, key: &str) -> Result<(), Error> {
        self.prepare()?;
        write_private(&self.key, format!("{key}\n").as_bytes())
    }

    /// Takes over the key and the pepper of another folder, as far as it has them.
    ///
    /// # Errors
    /// When one cannot be read or written.
    pub fn copy(&self, from: &Files) -> Result<(), Error> {
        for (theirs, ours) in [(&from.key, &self.key), (&from.pepper, &self.pepper)] {
            match fs::read(theirs) {
                Ok(bytes) => write_private(ours, &bytes)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::new(format!("{}: {error}", theirs.display()))),
            }
        }
        Ok(())
    }

    fn pepper(&self) -> Result<[u8; 32], Error> {
        match fs::read(&self.pepper) {
            Ok(bytes) => bytes.try_into().map_err(|_| {
                Error::new(format!(
                    "{} is damaged; restore it, or delete it and reset the key",
                    self.pepper.display()
                ))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let pepper = random()?;
                write_private(&self.pepper, &pepper)?;
                Ok(pepper)
            }
            Err(error) => Err(Error::new(format!("{}: {error}", self.pepper.display()))),
        }
    }
}

impl Keys {
    /// Keys of a data folder, none of them known yet.
    ///
    /// # Errors
    /// When the pepper cannot be read or made.
    pub fn open(files: &Files) -> Result<Keys, Error> {
        Ok(Keys {
            pepper: files.pepper()?,
            known: RwLock::default(),
        })
    }

    /// Keys with a pepper of their own that is kept nowhere.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn forgotten() -> Result<Keys, Error> {
        Ok(Keys {
            pepper: random()?,
            known: RwLock::default(),
        })
    }

    fn hash(&self, key: &str) -> Hash {
        mac(&self.pepper, key.as_bytes())
    }

    /// What callbacks of an account are signed with.
    fn signing(&self, account: i64) -> [u8; 32] {
        mac(&self.pepper, format!("callbacks of {account}").as_bytes())
    }

    /// The secret that callbacks of an account are signed with, as Standard Webhooks writes it: `whsec_` and base64.
    pub fn callback_secret(&self, account: i64) -> String {
        format!("whsec_{}", STANDARD.encode(self.signing(account)))
    }

    /// The signature of a callback of an account, as Standard Webhooks writes it: `v1,` and base64 of HMAC-SHA256.
    pub fn signature(&self, account: i64, signed: &str) -> String {
        let mac = mac(&self.signing(account), signed.as_bytes());
        format!("v1,{}", STANDARD.encode(mac))
    }

    /// Makes `key` the account's key, in the store and here; the one before lets nobody in from now on.
    ///
    /// # Errors
    /// When the key is no key, or the store fails.
    pub async fn set(&self, key: &str, account: i64, store: &dyn Store) -> Result<(), Error> {
        if !well_formed(key) {
            return Err(Error::new(format!(
                "an API key has {LENGTH} characters of A-Z a-z 0-9 - _"
            )));
        }
        let hash = self.hash(key);
        store.set_key(account, hash).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, other| *other != account);
        known.insert(hash, account);
        Ok(())
    }

    /// The account that a key belongs to.
    ///
    /// Keys are compared by their keyed hash, so the time it takes tells nothing of the key.
    pub fn account(&self, key: &str) -> Option<i64> {
        if !well_formed(key) {
            return None;
        }
        let hash = self.hash(key);
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hash)
            .copied()
    }
}

/// HMAC-SHA256, which fills up a key with zeros to the length of a block (RFC 2104).
fn mac(key: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// A new key.
///
/// # Errors
/// When the system gives no random bytes.
pub fn made() -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random()?))
}

/// Whether a text has the form of a key: 43 characters of `A–Z a–z 0–9 - _`.
pub fn well_formed(key: &str) -> bool {
    key.len() == LENGTH
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::new(format!("{}: {error}", path.display()));
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}
