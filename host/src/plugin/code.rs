//! The error codes of `plugin.wit`, and how the host's errors become them.

use super::{bindings::mute::plugin::types::Error, network, status::clean};
use crate::store::StoreError;

pub(super) const NO_ROUTE: u32 = 1;
pub(super) const TIMED_OUT: u32 = 2;
pub(super) const CLOSED: u32 = 4;
pub(super) const DENIED: u32 = 5;
pub(super) const NOT_FOUND: u32 = 6;
pub(super) const QUOTA: u32 = 7;
pub(super) const INVALID: u32 = 8;
pub(super) const TOO_LARGE: u32 = 9;
pub(super) const BUSY: u32 = 10;
pub(super) const CANCELLED: u32 = 11;
pub(super) const INTERNAL: u32 = 12;

impl Error {
    /// An error with a message for people.
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The answer of an interface that was not granted.
    pub(super) fn denied(interface: &str) -> Self {
        Self::new(DENIED, format!("this plugin was not granted {interface}"))
    }

    /// An error that a guest made: its text reaches people only cleaned and cut.
    pub(super) fn cleaned(self) -> Self {
        Self { code: self.code, message: clean(&self.message) }
    }
}

impl From<network::Error> for Error {
    fn from(error: network::Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Quota { .. } => QUOTA,
            StoreError::TooLarge { .. } => TOO_LARGE,
            StoreError::Invalid(_) => INVALID,
            _ => INTERNAL,
        };
        Self::new(code, error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        // The operating system's text names no path, so it may reach the plugin.
        let code = match error.kind() {
            ErrorKind::NotFound => NOT_FOUND,
            // cap-std answers "permission denied" to a path that leads out of its folder.
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => DENIED,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => QUOTA,
            ErrorKind::FileTooLarge => TOO_LARGE,
            ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput => INVALID,
            ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy => BUSY,
            _ => INTERNAL,
        };
        Self::new(code, error.to_string())
    }
}
