//! What was uploaded and downloaded: counts and bytes, never with whom.

use crate::hash::Hash;
use mute_plugin::storage::{self, Batch};
use mute_plugin::{Result, time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Rows of a table; with more, the least worth keeping goes.
const ROWS_MAX: usize = 1000;
/// How often changed rows are written, so that a stranger who asks for many small files costs one write for all.
pub(crate) const FLUSH: Duration = Duration::from_secs(5);

/// A row of a table.
pub(crate) trait Row: Clone + Serialize + DeserializeOwned {
    /// What the table's keys start with.
    const PREFIX: &'static str;
    /// How much the row is worth keeping.
    fn worth(&self) -> u64;
}

/// What was uploaded of a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) name: String,
    /// How often somebody asked for its content.
    pub(crate) requests: u64,
    /// Bytes sent.
    pub(crate) bytes: u64,
}

impl Row for Upload {
    const PREFIX: &'static str = "upload/";
    fn worth(&self) -> u64 {
        self.bytes
    }
}

/// How a download stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    Running,
    /// What has arrived is kept.
    Stopped,
    /// Every byte verified, and the file in its place.
    Done,
}

/// A download.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Download {
    pub(crate) name: String,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Bytes that have arrived and are verified.
    pub(crate) verified: u64,
    pub(crate) standing: Standing,
    /// When it last changed, in seconds since 1970-01-01 UTC.
    pub(crate) at_s: u64,
}

impl Row for Download {
    const PREFIX: &'static str = "download/";
    fn worth(&self) -> u64 {
        self.at_s
    }
}

/// Rows by a file's hash, in memory and in the store.
pub(crate) struct Table<T> {
    rows: RefCell<BTreeMap<Hash, T>>,
    changed: RefCell<BTreeSet<Hash>>,
    loaded: Cell<bool>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: RefCell::default(), changed: RefCell::default(), loaded: Cell::new(false) }
    }
}

impl<T: Row> Table<T> {
    /// All rows.
    pub(crate) async fn rows(&self) -> Result<Vec<(Hash, T)>> {
        self.load().await?;
        Ok(self.rows.borrow().iter().map(|(hash, row)| (*hash, row.clone())).collect())
    }

    /// Changes a row in memory, or makes it; [`Table::flush`] writes it.
    pub(crate) fn change(&self, hash: Hash, fresh: impl FnOnce() -> T, change: impl FnOnce(&mut T)) {
        let mut rows = self.rows.borrow_mut();
        if !rows.contains_key(&hash) && rows.len() >= ROWS_MAX {
            let least = rows.iter().min_by_key(|(_, row)| row.worth()).map(|(hash, _)| *hash);
            if let Some(least) = least {
                rows.remove(&least);
                self.changed.borrow_mut().insert(least);
            }
        }
        change(rows.entry(hash).or_insert_with(fresh));
        self.changed.borrow_mut().insert(hash);
    }

    /// Reads the table from the store, once.
    pub(crate) async fn load(&self) -> Result<()> {
        if self.loaded.get() {
            return Ok(());
        }
        // The store holds no more rows than we ever kept.
        let found: Vec<(String, T)> = storage::scan(T::PREFIX, None, ROWS_MAX as u32).await?;
        // Another task may have been faster.
        if !self.loaded.replace(true) {
            let mut rows = self.rows.borrow_mut();
            for (key, row) in found {
                if let Some(hash) = key.strip_prefix(T::PREFIX).and_then(|hash| hash.parse().ok()) {
                    rows.entry(hash).or_insert(row);
                }
            }
        }
        Ok(())
    }

    /// Writes the rows that changed.
    pub(crate) async fn flush(&self) -> Result<()> {
        let changed = self.changed.take();
        let mut batch = Batch::new();
        for hash in &changed {
            let key = format!("{}{hash}", T::PREFIX);
            match self.rows.borrow().get(hash) {
                Some(row) => batch.put(&key, row)?,
                None => batch.remove(&key),
            }
        }
        let written = batch.commit().await;
        if written.is_err() {
            self.changed.borrow_mut().extend(changed);
        }
        written
    }
}

/// Uploads and downloads.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) uploads: Table<Upload>,
    pub(crate) downloads: Table<Download>,
}

impl Ledger {
    /// Counts bytes that were sent of a file, and a request if it is a new one.
    pub(crate) fn sent(&self, hash: Hash, name: &str, bytes: u64, requests: u64) {
        let fresh = || Upload { name: name.to_owned(), ..Upload::default() };
        self.uploads.change(hash, fresh, |row| {
            row.bytes = row.bytes.saturating_add(bytes);
            row.requests = row.requests.saturating_add(requests);
        });
    }

    /// Notes how a download stands, on disk when it returns.
    pub(crate) async fn note(&self, hash: Hash, row: Download) -> Result<()> {
        self.downloads.load().await?;
        let fresh = row.clone();
        self.downloads.change(hash, || fresh, |kept| *kept = row);
        self.downloads.flush().await
    }

    /// Writes what changed, now and then; for ever.
    pub(crate) async fn keep(&self) -> Result<()> {
        self.uploads.load().await?;
        self.downloads.load().await?;
        loop {
            time::sleep(FLUSH).await;
            if let Err(error) = self.uploads.flush().await {
                mute_plugin::warn!("statistics can't be written: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_the_table_is_bounded() {
        let ledger = Ledger::default();
        let hash = |number: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_be_bytes());
            Hash(hash)
        };
        for number in 0..ROWS_MAX + 10 {
            ledger.sent(hash(number), "name", 10 + number as u64, 1);
        }
        ledger.sent(hash(ROWS_MAX), "name", 5, 0);
        let rows = ledger.uploads.rows.borrow();
        assert_eq!(rows.len(), ROWS_MAX);
        assert!(!rows.contains_key(&hash(0)) && rows.contains_key(&hash(10)));
        let row = &rows[&hash(ROWS_MAX)];
        assert_eq!((row.bytes, row.requests), (15 + ROWS_MAX as u64, 1));
    }
}
