//! The plugins' key rings: every plugin names its identities, and none reaches another's.

use mute_core::IdentityKey;
use redb::ReadableTable as _;
use zeroize::Zeroizing;

use super::{IDENTITIES, Store, StoreError};

/// Identities that one plugin may keep. Each costs a row here and, open, a port in the router; a plugin that wants an address per
/// contact or per site has room.
pub const MAX_IDENTITIES: usize = 1_000;
/// The longest name of an identity, in bytes.
const MAX_NAME_BYTES: usize = 128;

impl Store {
    /// The key that `plugin` keeps under `name`; made on first use.
    ///
    /// # Errors
    /// [`StoreError::Quota`] when the plugin has too many, [`StoreError::Invalid`] for an empty name or control characters.
    pub fn identity(&self, plugin: &str, name: &str) -> Result<IdentityKey, StoreError> {
        check_name(name)?;
        if let Some(key) = self.known_identity(plugin, name)? {
            return Ok(key);
        }
        self.write(|transaction| {
            let mut table = transaction.open_table(IDENTITIES)?;
            if let Some(seed) = table.get((plugin, name))? {
                return Ok(IdentityKey::from_seed(seed.value()));
            }
            let mut count = 0;
            for entry in table.range((plugin, "")..)? {
                if entry?.0.value().0 != plugin {
                    break;
                }
                count += 1;
            }
            if count >= MAX_IDENTITIES {
                return Err(StoreError::TooLarge { what: "the key ring", size: count + 1, limit: MAX_IDENTITIES });
            }
            let seed = fresh_seed()?;
            table.insert((plugin, name), &*seed)?;
            Ok(IdentityKey::from_seed(&seed))
        })
    }

    /// The key under `name`, without making one.
    fn known_identity(&self, plugin: &str, name: &str) -> Result<Option<IdentityKey>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(IDENTITIES)?;
            Ok(table.get((plugin, name))?.map(|seed| IdentityKey::from_seed(seed.value())))
        })
    }

    /// The names of the plugin's identities, in order; at most [`MAX_IDENTITIES`].
    pub fn identity_names(&self, plugin: &str) -> Result<Vec<String>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(IDENTITIES)?;
            let mut names = Vec::new();
            for entry in table.range((plugin, "")..)? {
                let entry = entry?;
                let (owner, name) = entry.0.value();
                if owner != plugin {
                    break;
                }
                names.push(name.to_owned());
            }
            Ok(names)
        })
    }

    /// Forgets a key for ever. False if there was none.
    pub fn retire_identity(&self, plugin: &str, name: &str) -> Result<bool, StoreError> {
        self.write(|transaction| Ok(transaction.open_table(IDENTITIES)?.remove((plugin, name))?.is_some()))
    }
}

/// 32 random bytes from the operating system.
pub(super) fn fresh_seed() -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| StoreError::Failed(format!("no random bytes: {error}")))?;
    Ok(seed)
}

/// Names are shown to people and stored: no control characters, a bounded length.
fn check_name(name: &str) -> Result<(), StoreError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(StoreError::TooLarge { what: "the identity's name", size: name.len(), limit: MAX_NAME_BYTES });
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(StoreError::Invalid("an identity's name is not empty and holds no control character"));
    }
    Ok(())
}
