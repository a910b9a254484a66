//! Errors: a code for programs, a line for people.

use crate::bindings::plugin::mute::plugin::types;
use std::fmt;

/// What went wrong: a code (the constants below, or a plugin's own from [`Error::PLUGIN`] up) and one line for people,
/// in lower case, that names no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: u32,
    message: String,
}

/// A result with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// No way to the address is known.
    pub const NO_ROUTE: u32 = 1;
    /// It took too long.
    pub const TIMED_OUT: u32 = 2;
    /// The other side does not want to.
    pub const REFUSED: u32 = 3;
    /// The connection or stream has ended.
    pub const CLOSED: u32 = 4;
    /// The user did not grant it.
    pub const DENIED: u32 = 5;
    /// There is no such thing.
    pub const NOT_FOUND: u32 = 6;
    /// A quota, or the disk, is full.
    pub const QUOTA: u32 = 7;
    /// An argument or a message makes no sense.
    pub const INVALID: u32 = 8;
    /// More bytes than allowed.
    pub const TOO_LARGE: u32 = 9;
    /// Too much is going on; later it may work.
    pub const BUSY: u32 = 10;
    /// It was cancelled on this side.
    pub const CANCELLED: u32 = 11;
    /// A fault of the host or the plugin itself.
    pub const INTERNAL: u32 = 12;
    /// The first code that belongs to plugins.
    pub const PLUGIN: u32 = 1000;

    /// An error with this code and line.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// [`Error::INVALID`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Self::INVALID, message)
    }

    /// [`Error::NOT_FOUND`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Self::NOT_FOUND, message)
    }

    /// [`Error::CLOSED`].
    pub fn closed(message: impl Into<String>) -> Self {
        Self::new(Self::CLOSED, message)
    }

    /// [`Error::TOO_LARGE`].
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(Self::TOO_LARGE, message)
    }

    /// [`Error::CANCELLED`].
    pub fn cancelled() -> Self {
        Self::new(Self::CANCELLED, "cancelled")
    }

    /// [`Error::INTERNAL`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Self::INTERNAL, message)
    }

    /// The code.
    pub fn code(&self) -> u32 {
        self.code
    }

    /// The line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error, its line preceded by what was being done.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}
