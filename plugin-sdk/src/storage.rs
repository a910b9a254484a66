//! The plugin's key-value store: transactional, durable, with a quota. Values are anything serde knows.

use crate::bindings::plugin::mute::plugin::storage as host;
use crate::{Result, frame};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest value; larger things belong in several, or in a file.
pub const VALUE_MAX: usize = 1024 * 1024;

/// Changes that are made together or not at all.
#[derive(Default)]
pub struct Batch(Vec<(String, Option<Vec<u8>>)>);

impl Batch {
    /// No changes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    ///
    /// # Errors
    /// [`crate::Error::TOO_LARGE`] if the value takes more than [`VALUE_MAX`] bytes.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<()> {
        self.0.push((key.to_owned(), Some(frame::encode(value, VALUE_MAX)?)));
        Ok(())
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.0.push((key.to_owned(), None));
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes the changes: all or none. They are on disk when it returns.
    ///
    /// # Errors
    /// [`crate::Error::QUOTA`], [`crate::Error::DENIED`], or what the host's store says.
    pub async fn commit(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Ok(host::put(self.0).await?) }
    }
}

/// The value of a key, if there is one.
///
/// # Errors
/// [`crate::Error::INVALID`] if it is not a `T`, and what the host's store says.
pub async fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>> {
    let bytes = host::get(key.to_owned()).await?;
    bytes.map(|bytes| frame::decode(&bytes)).transpose()
}

/// Sets a key; on disk when it returns.
///
/// # Errors
/// As [`Batch::put`] and [`Batch::commit`].
pub async fn put<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<()> {
    let mut batch = Batch::new();
    batch.put(key, value)?;
    batch.commit().await
}

/// Removes a key.
///
/// # Errors
/// As [`Batch::commit`].
pub async fn remove(key: &str) -> Result<()> {
    let mut batch = Batch::new();
    batch.remove(key);
    batch.commit().await
}

/// Removes all keys that start so.
///
/// # Errors
/// What the host's store says.
pub async fn remove_prefix(prefix: &str) -> Result<()> {
    Ok(host::delete_prefix(prefix.to_owned()).await?)
}

/// At most `limit` keys that start so and come after `after`, in order, with their values.
///
/// # Errors
/// As [`get`].
pub async fn scan<T: DeserializeOwned>(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<(String, T)>> {
    let found = host::scan(prefix.to_owned(), after.map(str::to_owned), limit).await?;
    found.into_iter().map(|(key, bytes)| Ok((key, frame::decode(&bytes)?))).collect()
}

/// Used bytes and the quota.
pub fn usage() -> (u64, u64) {
    let space = host::usage();
    (space.used_bytes, space.quota_bytes)
}
