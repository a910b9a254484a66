//! What the user is told when something fails: one line, and a kind that decides the exit code.

use std::{fmt, process::ExitCode};

use serde::{Deserialize, Serialize};

/// What kind of failure an [`Error`] is. Scripts rely on these: the exit code and the name in `--json` never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Anything without a kind of its own.
    Failure,
    /// A wrong flag, argument or configuration.
    Usage,
    /// There is no daemon on this home, or no home yet.
    NotRunning,
    /// No route to the address, or it did not answer in time.
    NoRoute,
    /// Refused by the other side, or not granted here.
    Denied,
    /// What was named does not exist.
    NotFound,
    /// Taken by somebody else: a port, a home, a full queue.
    Busy,
    /// Cancelled by the user.
    Cancelled,
}

impl Kind {
    /// The exit code that stands for this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::NoRoute => 4,
            Self::Denied => 5,
            Self::NotFound => 6,
            Self::Busy => 7,
            // The shells' convention: 128 + SIGINT.
            Self::Cancelled => 130,
        }
    }

    /// The kind of an error code of `plugin.wit`.
    pub const fn of_plugin_code(code: u32) -> Self {
        match code {
            1 | 2 => Self::NoRoute,
            3 | 5 => Self::Denied,
            6 => Self::NotFound,
            8 => Self::Usage,
            10 => Self::Busy,
            11 => Self::Cancelled,
            _ => Self::Failure,
        }
    }
}

/// A failure as its user sees it: a lower-case line that names what failed and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
}

/// The result of whatever ends on the command line.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A failure without a kind of its own.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Kind::Failure, message)
    }

    /// The user asked for something that can't be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit_code())
    }
}

/// Says what was tried when something failed, and keeps the cause's text and kind.
pub trait Context<T> {
    /// Puts `what` before the cause: `what: cause`.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T> Context<T> for Result<T, Error> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::new(error.kind, format!("{what}: {}", error.message)))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::AddrInUse => Kind::Busy,
                std::io::ErrorKind::NotFound => Kind::NotFound,
                std::io::ErrorKind::PermissionDenied => Kind::Denied,
                _ => Kind::Failure,
            };
            Error::new(kind, format!("{what}: {}", io_cause(&error)))
        })
    }
}

/// An I/O error's text without Rust's "(os error 2)", in lower case like every other message.
fn io_cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        // "I/O error" stays as it is.
        Some(first) if letters.as_str().starts_with(|second: char| second.is_ascii_lowercase()) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_read_well_and_keep_their_kind() {
        let error = std::fs::read("/nonexistent/file").map(drop).context("cannot read the page").unwrap_err();
        assert_eq!(error.to_string(), "cannot read the page: no such file or directory");
        assert_eq!(error.kind(), Kind::NotFound);
    }

    #[test]
    fn exit_codes_are_distinct() {
        use Kind::{Busy, Cancelled, Denied, Failure, NoRoute, NotFound, NotRunning, Usage};
        let mut codes: Vec<_> =
            [Failure, Usage, NotRunning, NoRoute, Denied, NotFound, Busy, Cancelled].map(Kind::exit_code).into();
        codes.sort_unstable();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 130]);
    }
}
