//! What the user allowed: folders by name, and which plugins are to run.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{ENABLED, FOLDERS, Store, StoreError};

/// Folders that one plugin may be granted: each open one may hold a watch and descriptors.
pub const MAX_FOLDERS: usize = 256;

/// A folder that a plugin may open by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderGrant {
    /// The name by which the plugin knows it.
    pub name: String,
    /// Where it is; no plugin ever sees this.
    pub path: PathBuf,
    /// Whether the plugin may change it.
    pub can_write: bool,
}

impl Store {
    /// The folders that the user granted to `plugin`, by name; at most [`MAX_FOLDERS`].
    pub fn folders(&self, plugin: &str) -> Result<Vec<FolderGrant>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(FOLDERS)?;
            let mut folders = Vec::new();
            for entry in table.range((plugin, "")..)? {
                let (key, value) = entry?;
                let (owner, name) = key.value();
                if owner != plugin {
                    break;
                }
                let (path, can_write) = value.value();
                folders.push(FolderGrant { name: name.to_owned(), path: OsStr::from_bytes(path).into(), can_write });
            }
            Ok(folders)
        })
    }

    /// Grants a folder, or changes a grant of this name.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] beyond [`MAX_FOLDERS`].
    pub fn grant_folder(&self, plugin: &str, name: &str, path: &Path, can_write: bool) -> Result<(), StoreError> {
        let known = self.folders(plugin)?;
        if known.len() >= MAX_FOLDERS && !known.iter().any(|grant| grant.name == name) {
            return Err(StoreError::TooLarge {
                what: "the number of granted folders",
                size: known.len() + 1,
                limit: MAX_FOLDERS,
            });
        }
        self.write(|transaction| {
            transaction.open_table(FOLDERS)?.insert((plugin, name), (path.as_os_str().as_bytes(), can_write))?;
            Ok(())
        })
    }

    /// Takes a grant back. False if there was none.
    pub fn revoke_folder(&self, plugin: &str, name: &str) -> Result<bool, StoreError> {
        self.write(|transaction| Ok(transaction.open_table(FOLDERS)?.remove((plugin, name))?.is_some()))
    }

    /// Whether the user switched the plugin on or off; `None` if never.
    pub fn enabled(&self, plugin: &str) -> Result<Option<bool>, StoreError> {
        self.read(|transaction| Ok(transaction.open_table(ENABLED)?.get(plugin)?.map(|enabled| enabled.value())))
    }

    /// Switches the plugin on or off for later starts.
    pub fn set_enabled(&self, plugin: &str, enabled: bool) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.open_table(ENABLED)?.insert(plugin, enabled)?;
            Ok(())
        })
    }
}
