//! Settings of the node itself.

use mute_core::NetworkId;
use redb::ReadableTable as _;
use zeroize::Zeroizing;

use super::{SETTINGS, Store, StoreError};

/// Where the seed of the node's own key stands.
const NODE_KEY: &str = "node-key";
/// When the last run ended: nothing while one runs, or after a crash.
const LAST_RUN: &str = "last-run";
/// Where the network's name stands.
const NETWORK: &str = "network";

impl Store {
    /// The value of a setting.
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(SETTINGS)?;
            Ok(table.get(name)?.map(|value| value.value().to_vec()))
        })
    }

    /// Sets a setting, or removes it.
    pub fn set_setting(&self, name: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(SETTINGS)?;
            match value {
                Some(value) => table.insert(name, value)?,
                None => table.remove(name)?,
            };
            Ok(())
        })
    }

    /// The seed of the node's own key, by which its neighbours know it; made on first use.
    pub fn node_key(&self) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(SETTINGS)?;
            if let Some(stored) = table.get(NODE_KEY)? {
                return fixed(stored.value(), "the node's key").map(Zeroizing::new);
            }
            let seed = super::identities::fresh_seed()?;
            table.insert(NODE_KEY, seed.as_slice())?;
            Ok(seed)
        })
    }

    /// A run begins at `now`, in seconds since 1970-01-01 UTC. When the one before it ended: now, if it did not say; `None`: there was none.
    pub fn begin_run(&self, now: u64) -> Result<Option<u64>, StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(SETTINGS)?;
            let last = match table.get(LAST_RUN)? {
                None => None,
                Some(ended) if ended.value().is_empty() => Some(now),
                Some(ended) => Some(u64::from_be_bytes(fixed(ended.value(), "the end of the last run")?)),
            };
            table.insert(LAST_RUN, [].as_slice())?;
            Ok(last)
        })
    }

    /// The run has ended, and hears no more.
    pub fn end_run(&self, now: u64) -> Result<(), StoreError> {
        self.set_setting(LAST_RUN, Some(&now.to_be_bytes()))
    }

    /// The network that this node belongs to, if it was chosen.
    pub fn network(&self) -> Result<Option<NetworkId>, StoreError> {
        self.setting(NETWORK)?.map(|stored| fixed(&stored, "the network's name").map(NetworkId)).transpose()
    }

    /// Chooses the network.
    pub fn set_network(&self, network: NetworkId) -> Result<(), StoreError> {
        self.set_setting(NETWORK, Some(&network.0))
    }
}

/// A value of a fixed length.
fn fixed<const N: usize>(stored: &[u8], what: &str) -> Result<[u8; N], StoreError> {
    stored.try_into().map_err(|_| StoreError::Damaged(format!("{what} is {} bytes long, not {N}", stored.len())))
}
