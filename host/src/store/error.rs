//! What can go wrong with the database.

/// Why the store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file.
    #[error("another daemon has this home: stop it, or name another home with --home")]
    InUse,
    /// A later version of MUTE wrote the file.
    #[error("this home was written by a newer version of mute (format {found}, this version knows {known})")]
    Newer {
        /// The file's format.
        found: u32,
        /// The newest format this version knows.
        known: u32,
    },
    /// The file is not, or is no longer, what MUTE writes.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The file could not be opened.
    #[error("can't open the database: {0}")]
    File(String),
    /// The disk failed, or is full.
    #[error("the database failed: {0}")]
    Failed(String),
    /// A plugin's values would not fit into its quota.
    #[error("its storage is full: {needed} bytes would be used and the quota is {quota}")]
    Quota {
        /// What would be used, in bytes.
        needed: u64,
        /// What may be used, in bytes.
        quota: u64,
    },
    /// A key, value or list is larger than allowed.
    #[error("{what} is too large: {size} of at most {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A name that is not allowed.
    #[error("{0}")]
    Invalid(&'static str),
}

impl StoreError {
    /// What a failure to open means.
    pub(super) fn from_open(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => Self::InUse,
            redb::DatabaseError::Storage(redb::StorageError::Io(error))
                if error.kind() == std::io::ErrorKind::InvalidData =>
            {
                Self::Damaged("it is not a database".to_owned())
            }
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(reason)) => Self::Damaged(reason),
            other => Self::File(other.to_string()),
        }
    }
}

/// The errors of a transaction's steps, which callers can't tell apart to any use.
macro_rules! from_step {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Failed(error.to_string())
            }
        }
    )*};
}
from_step!(redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);
