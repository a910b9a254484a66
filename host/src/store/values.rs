//! Plugins' key-value stores, each with a quota.

use redb::{ReadableTable, Table};

use super::{Store, StoreError, USED, VALUES};

/// The longest key, in bytes: a path or an address with a prefix fits, and an index page still holds several.
pub const MAX_KEY_BYTES: usize = 1024;
/// The largest value, in bytes. What is larger belongs into a file: a value passes through memory whole.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;
/// Entries of one put or one answer to a scan.
pub const MAX_ENTRIES: usize = 1024;
/// Bytes of one put or one answer to a scan: what one call may hold in memory on both sides.
pub const MAX_SCAN_BYTES: usize = 8 * 1024 * 1024;
/// What an entry counts beside its key and value: many tiny entries cost space too.
const ENTRY_BYTES: u64 = 64;

/// A key and its new value; `None` removes it.
pub type Entry = (String, Option<Vec<u8>>);

impl Store {
    /// The value under `key`.
    pub fn value(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(VALUES)?;
            Ok(table.get((plugin, key))?.map(|value| value.value().to_vec()))
        })
    }

    /// Writes all entries or none, and returns what is used then. Freeing space is always allowed, even over quota.
    ///
    /// # Errors
    /// [`StoreError::Quota`], [`StoreError::TooLarge`] for a key, a value, or a put as a whole.
    pub fn put(&self, plugin: &str, entries: &[Entry], quota: u64) -> Result<u64, StoreError> {
        check_put(entries)?;
        self.write(|transaction| {
            let mut values = transaction.open_table(VALUES)?;
            let mut usage = transaction.open_table(USED)?;
            let before = used(&usage, plugin)?;
            let mut after = before;
            for (key, value) in entries {
                let old = match value {
                    Some(value) => {
                        values.insert((plugin, key.as_str()), value.as_slice())?.map(|old| old.value().len())
                    }
                    None => values.remove((plugin, key.as_str()))?.map(|old| old.value().len()),
                };
                after = after.saturating_sub(old.map_or(0, |old| cost(key, old)));
                after = after.saturating_add(value.as_ref().map_or(0, |value| cost(key, value.len())));
            }
            if after > quota && after > before {
                return Err(StoreError::Quota { needed: after, quota });
            }
            usage.insert(plugin, after)?;
            Ok(after)
        })
    }

    /// Entries whose key starts with `prefix` and comes after `after`, in order: at most `limit`, [`MAX_ENTRIES`] and about
    /// [`MAX_SCAN_BYTES`], but at least one if there is one.
    pub fn scan(
        &self,
        plugin: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let start = after.map_or(prefix, |after| after.max(prefix));
        self.read(|transaction| {
            let table = transaction.open_table(VALUES)?;
            let mut found = Vec::new();
            let mut bytes = 0;
            for entry in table.range((plugin, start)..)? {
                let (key, value) = entry?;
                let (owner, key) = key.value();
                if owner != plugin || !key.starts_with(prefix) || found.len() >= limit.min(MAX_ENTRIES) {
                    break;
                }
                if after.is_some_and(|after| key <= after) {
                    continue;
                }
                bytes += key.len() + value.value().len();
                if bytes > MAX_SCAN_BYTES && !found.is_empty() {
                    break;
                }
                found.push((key.to_owned(), value.value().to_vec()));
            }
            Ok(found)
        })
    }

    /// Removes every entry whose key starts with `prefix`, all or none, and returns what is used then.
    pub fn delete_prefix(&self, plugin: &str, prefix: &str) -> Result<u64, StoreError> {
        self.write(|transaction| {
            let mut values = transaction.open_table(VALUES)?;
            let mut freed = 0_u64;
            // `retain_in` without an end visits the rest of the table too, so the end is found first: the first key without the prefix.
            let end = first_without(&values, plugin, prefix)?;
            let doomed = |key: (&str, &str), value: &[u8]| {
                freed = freed.saturating_add(cost(key.1, value.len()));
                false
            };
            match &end {
                Some((owner, key)) => values.retain_in((plugin, prefix)..(owner.as_str(), key.as_str()), doomed)?,
                None => values.retain_in((plugin, prefix).., doomed)?,
            }
            let mut usage = transaction.open_table(USED)?;
            let after = used(&usage, plugin)?.saturating_sub(freed);
            usage.insert(plugin, after)?;
            Ok(after)
        })
    }

    /// What the plugin's values count, in bytes.
    pub fn used_bytes(&self, plugin: &str) -> Result<u64, StoreError> {
        self.read(|transaction| used(&transaction.open_table(USED)?, plugin))
    }
}

/// What one entry counts.
fn cost(key: &str, value_bytes: usize) -> u64 {
    (key.len() as u64).saturating_add(value_bytes as u64).saturating_add(ENTRY_BYTES)
}

/// The plugin's row of the table of usage.
fn used(table: &impl ReadableTable<&'static str, u64>, plugin: &str) -> Result<u64, StoreError> {
    Ok(table.get(plugin)?.map_or(0, |used| used.value()))
}

/// The first key at or after (plugin, prefix) that does not belong to it.
fn first_without(
    values: &Table<'_, (&'static str, &'static str), &'static [u8]>,
    plugin: &str,
    prefix: &str,
) -> Result<Option<(String, String)>, StoreError> {
    for entry in values.range((plugin, prefix)..)? {
        let entry = entry?;
        let (owner, key) = entry.0.value();
        if owner != plugin || !key.starts_with(prefix) {
            return Ok(Some((owner.to_owned(), key.to_owned())));
        }
    }
    Ok(None)
}

/// The bounds of one put.
fn check_put(entries: &[Entry]) -> Result<(), StoreError> {
    if entries.len() > MAX_ENTRIES {
        return Err(StoreError::TooLarge { what: "the number of entries", size: entries.len(), limit: MAX_ENTRIES });
    }
    let mut bytes = 0;
    for (key, value) in entries {
        let value_bytes = value.as_ref().map_or(0, Vec::len);
        if key.is_empty() {
            return Err(StoreError::Invalid("a key is not empty"));
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(StoreError::TooLarge { what: "the key", size: key.len(), limit: MAX_KEY_BYTES });
        }
        if value_bytes > MAX_VALUE_BYTES {
            return Err(StoreError::TooLarge { what: "the value", size: value_bytes, limit: MAX_VALUE_BYTES });
        }
        bytes += key.len() + value_bytes;
    }
    if bytes > MAX_SCAN_BYTES {
        return Err(StoreError::TooLarge { what: "the put", size: bytes, limit: MAX_SCAN_BYTES });
    }
    Ok(())
}
