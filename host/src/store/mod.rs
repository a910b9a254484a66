//! What a node keeps: settings, identities, plugins' values and grants, in one transactional file.
//!
//! The file belongs to one process at a time. Every call blocks on the disk: async callers go through `spawn_blocking`.

mod error;
mod grants;
mod identities;
mod settings;
mod values;

use std::{
    fs::{File, OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction, backends::FileBackend,
};

pub use error::StoreError;
pub use grants::{FolderGrant, MAX_FOLDERS};
pub use identities::MAX_IDENTITIES;
pub use values::{Entry, MAX_ENTRIES, MAX_KEY_BYTES, MAX_SCAN_BYTES, MAX_VALUE_BYTES};

/// The version of the tables below. A file with a higher one is refused: an older daemon would not understand it.
const FORMAT: u32 = 1;

/// What redb may keep of the file in memory. Its own default of 1 GiB is far above what this small file needs.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// `"format"` → [`FORMAT`].
const META: TableDefinition<&str, u32> = TableDefinition::new("meta");
/// A setting's name → its value.
const SETTINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("settings");
/// (plugin, identity) → the seed of its key.
const IDENTITIES: TableDefinition<(&str, &str), &[u8; 32]> = TableDefinition::new("identities");
/// (plugin, key) → value.
const VALUES: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("values");
/// Plugin → what its values count, in bytes.
const USED: TableDefinition<&str, u64> = TableDefinition::new("used");
/// (plugin, folder name) → (path, may be written to).
const FOLDERS: TableDefinition<(&str, &str), (&[u8], bool)> = TableDefinition::new("folders");
/// Plugin → whether its user wants it to run; absent: the default of its origin.
const ENABLED: TableDefinition<&str, bool> = TableDefinition::new("enabled");

/// The node's database. Cheap to clone; the file is free for another process when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    database: Arc<Database>,
}

impl Store {
    /// Opens the database file at `path`, or makes it, readable by its owner only. Its folder must exist.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process has it, [`StoreError::Newer`] if a later version of MUTE wrote it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = private_file(path)?;
        let database = redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(FileBackend::new(file).map_err(StoreError::from_open)?)
            .map_err(StoreError::from_open)?;
        let store = Self { database: Arc::new(database) };
        store.prepare()?;
        Ok(store)
    }

    /// Checks the format and makes the tables, so that readers always find them.
    fn prepare(&self) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            let found = meta.get("format")?.map(|format| format.value());
            match found {
                Some(FORMAT) => {}
                Some(found) if found > FORMAT => return Err(StoreError::Newer { found, known: FORMAT }),
                // No release wrote another format yet; the step from one to the next will stand here.
                Some(found) => return Err(StoreError::Damaged(format!("it says that its format is {found}"))),
                None => {
                    meta.insert("format", FORMAT)?;
                }
            }
            transaction.open_table(SETTINGS)?;
            transaction.open_table(IDENTITIES)?;
            transaction.open_table(VALUES)?;
            transaction.open_table(USED)?;
            transaction.open_table(FOLDERS)?;
            transaction.open_table(ENABLED)?;
            Ok(())
        })
    }

    /// Runs `change` in a transaction that is durable when this returns, and without any effect if it fails.
    fn write<T>(&self, change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.database.begin_write()?;
        let value = change(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Runs `look` over one consistent state.
    fn read<T>(&self, look: impl FnOnce(&redb::ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        look(&self.database.begin_read()?)
    }
}

/// Opens or makes a file that only its owner may read. It holds secret keys, so a wider mode is narrowed and a symbolic link,
/// which may lead to somebody else's file, is refused.
fn private_file(path: &Path) -> Result<File, StoreError> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| StoreError::File(error.to_string()))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| StoreError::File(error.to_string()))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
