//! Where conversations are kept: the host's storage, or memory in tests.

use crate::model::{Entry, Talk};
use mute_plugin::futures::future::LocalBoxFuture;
use mute_plugin::{Address, Result, spawn, storage};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value under a key.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    /// `contact/NAME`
    Contact(Address),
    /// `talk/ADDRESS`
    Talk(Talk),
    /// `entry/ADDRESS/SEQUENCE`
    Entry(Entry),
    /// `id/ADDRESS/ID` and `lost`
    Number(u64),
}

/// Keys with their new values; none removes the key.
pub(crate) type Changes = Vec<(String, Option<Value>)>;

/// A durable, transactional store of one plugin.
pub(crate) trait Store: 'static {
    /// The value of a key.
    async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>>;
    /// At most `limit` entries that start with `prefix` and come after `after`, in order.
    async fn scan<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, T)>>;
    /// All or nothing; durable when it returns.
    async fn put(&self, changes: Changes) -> Result<()>;
    /// Removes all keys that start so.
    async fn remove_prefix(&self, prefix: &str) -> Result<()>;
    /// Drives a change to its end even if nobody waits for it any more.
    fn see_through(&self, change: LocalBoxFuture<'static, ()>);
}

/// The host's storage.
#[derive(Default)]
pub(crate) struct HostStore;

impl Store for HostStore {
    async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        storage::get(key).await
    }

    async fn scan<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, T)>> {
        storage::scan(prefix, after, limit).await
    }

    async fn put(&self, changes: Changes) -> Result<()> {
        let mut batch = storage::Batch::new();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(&key, &value)?,
                None => batch.remove(&key),
            }
        }
        batch.commit().await
    }

    async fn remove_prefix(&self, prefix: &str) -> Result<()> {
        storage::remove_prefix(prefix).await
    }

    fn see_through(&self, change: LocalBoxFuture<'static, ()>) {
        spawn(change);
    }
}

#[cfg(test)]
pub(crate) mod memory {
    use super::*;
    use mute_plugin::{Error, frame};
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::rc::Rc;

    /// A store in memory. Clones are the same store: a plugin that starts anew finds it as it was.
    #[derive(Clone, Default)]
    pub(crate) struct MemoryStore {
        pub(crate) values: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
        /// Whether the disk is full.
        pub(crate) is_full: Rc<Cell<bool>>,
    }

    impl MemoryStore {
        /// What the host's store would count.
        pub(crate) fn bytes(&self) -> u64 {
            self.values.borrow().iter().map(|(key, value)| (key.len() + value.len() + 64) as u64).sum()
        }

        pub(crate) fn keys(&self, prefix: &str) -> usize {
            self.values.borrow().keys().filter(|key| key.starts_with(prefix)).count()
        }
    }

    impl Store for MemoryStore {
        async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
            self.values.borrow().get(key).map(|bytes| frame::decode(bytes)).transpose()
        }

        async fn scan<T: DeserializeOwned>(
            &self,
            prefix: &str,
            after: Option<&str>,
            limit: u32,
        ) -> Result<Vec<(String, T)>> {
            let values = self.values.borrow();
            let matching = values
                .iter()
                .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
            matching.take(limit as usize).map(|(key, bytes)| Ok((key.clone(), frame::decode(bytes)?))).collect()
        }

        async fn put(&self, changes: Changes) -> Result<()> {
            assert!(changes.len() <= 1024, "more entries than the host takes at once");
            if self.is_full.get() {
                return Err(Error::new(Error::QUOTA, "the disk is full"));
            }
            let mut values = self.values.borrow_mut();
            for (key, value) in changes {
                match value {
                    Some(value) => values.insert(key, frame::encode(&value, storage::VALUE_MAX)?),
                    None => values.remove(&key),
                };
            }
            Ok(())
        }

        async fn remove_prefix(&self, prefix: &str) -> Result<()> {
            self.values.borrow_mut().retain(|key, _| !key.starts_with(prefix));
            Ok(())
        }

        fn see_through(&self, _: LocalBoxFuture<'static, ()>) {
            // In tests somebody always waits.
        }
    }
}
