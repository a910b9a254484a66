//! What a plugin was granted. A grant that is taken back ends what is open on it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use crate::store::FolderGrant;

/// The interfaces that a plugin may use, as the configuration's `[plugins.NAME]` says. What is not granted answers `denied`.
///
/// Grants belong to a plugin's name. They are not yet bound to its content: whoever can replace a file in the plugins folder
/// takes over what its name was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    /// Addresses, messages and connections.
    pub routing: bool,
    /// Values on disk, within the quota.
    pub storage: bool,
    /// The folders that are granted by name.
    pub folders: bool,
    /// What its storage may hold.
    pub storage_quota_bytes: u64,
}

/// What a plugin's storage may hold unless the user says otherwise: hash trees of 100 GiB of files fit.
pub const DEFAULT_QUOTA_BYTES: u64 = 512 * 1024 * 1024;

impl Permissions {
    /// Every interface, with the default quota.
    pub const ALL: Self =
        Self { routing: true, storage: true, folders: true, storage_quota_bytes: DEFAULT_QUOTA_BYTES };
}

/// A folder that was granted, and whether it still is.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) can_write: bool,
    revoked: AtomicBool,
}

impl Grant {
    pub(super) fn holds(&self) -> bool {
        !self.revoked.load(Ordering::Acquire)
    }
}

/// All grants of one plugin.
#[derive(Default)]
pub(super) struct Grants {
    pub(super) permissions: Permissions,
    folders: RwLock<BTreeMap<String, Arc<Grant>>>,
}

impl Grants {
    pub(super) fn new(permissions: Permissions, folders: Vec<FolderGrant>) -> Self {
        let grants = Self { permissions, folders: RwLock::default() };
        for folder in folders {
            grants.grant(folder);
        }
        grants
    }

    /// Grants a folder, in place of an older grant of this name.
    pub(super) fn grant(&self, folder: FolderGrant) {
        let FolderGrant { name, path, can_write } = folder;
        let mut folders = self.folders.write().unwrap_or_else(PoisonError::into_inner);
        if folders.get(&name).is_some_and(|old| old.path == path && old.can_write == can_write) {
            return;
        }
        let grant = Arc::new(Grant { name: name.clone(), path, can_write, revoked: AtomicBool::new(false) });
        if let Some(old) = folders.insert(name, grant) {
            old.revoked.store(true, Ordering::Release);
        }
    }

    /// Takes a grant back. False if there was none.
    pub(super) fn revoke(&self, name: &str) -> bool {
        let old = self.folders.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(old) = &old {
            old.revoked.store(true, Ordering::Release);
        }
        old.is_some()
    }

    pub(super) fn folder(&self, name: &str) -> Option<Arc<Grant>> {
        self.folders.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Grant>> {
        self.folders.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.folders.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
