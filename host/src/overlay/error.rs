//! What can go wrong, as the codes of `plugin.wit` and one line for people that holds no address.

use quinn::{ConnectionError, ReadError, VarInt, WriteError};

/// The codes of `plugin.wit`. What is 1000 or more belongs to plugins.
pub mod code {
    /// No way to the address was found.
    pub const NO_ROUTE: u32 = 1;
    /// It took too long.
    pub const TIMED_OUT: u32 = 2;
    /// The other side does not want it.
    pub const REFUSED: u32 = 3;
    /// The connection, channel, identity or node has ended.
    pub const CLOSED: u32 = 4;
    /// The user did not permit it.
    pub const DENIED: u32 = 5;
    /// There is no such thing.
    pub const NOT_FOUND: u32 = 6;
    /// More than was granted.
    pub const QUOTA: u32 = 7;
    /// The request makes no sense.
    pub const INVALID: u32 = 8;
    /// More bytes than fit.
    pub const TOO_LARGE: u32 = 9;
    /// Too much at once; later it may work.
    pub const BUSY: u32 = 10;
    /// Somebody gave up.
    pub const CANCELLED: u32 = 11;
    /// A mistake in MUTE.
    pub const INTERNAL: u32 = 12;
    /// The first code that belongs to plugins.
    pub const PLUGIN: u32 = 1000;
}

/// The longest reason, in bytes, that is taken from a peer or sent to one: enough for a line.
pub(crate) const MAX_REASON: usize = 256;

/// What went wrong, by the codes of `plugin.wit`: 1 no-route, 2 timed-out, 3 refused, 4 closed, 5 denied, 6 not-found,
/// 7 quota, 8 invalid, 9 too-large, 10 busy, 11 cancelled, 12 internal; 1000 and up are the plugin's own. The message is
/// for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// One of [`code`], or a plugin's own.
    pub code: u32,
    /// One line in lower case, without an address.
    pub message: String,
}

impl Error {
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn no_route() -> Self {
        Self::new(code::NO_ROUTE, "no route to the address was found")
    }

    pub(crate) fn closed(message: &str) -> Self {
        Self::new(code::CLOSED, message)
    }

    pub(crate) fn stopped() -> Self {
        Self::closed("the node has stopped")
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::new(code::INVALID, message)
    }

    pub(crate) fn internal(message: &str) -> Self {
        Self::new(code::INTERNAL, message)
    }
}

impl From<crate::node::Stopped> for Error {
    fn from(_: crate::node::Stopped) -> Self {
        Self::stopped()
    }
}

impl From<&ConnectionError> for Error {
    fn from(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::TransportError(error) if is_crypto(error.code) => {
                Self::new(code::REFUSED, "the peer did not prove the address")
            }
            ConnectionError::ConnectionClosed(close) if is_crypto(close.error_code) => {
                Self::new(code::REFUSED, "the peer refused the handshake")
            }
            ConnectionError::ConnectionClosed(close)
                if close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED =>
            {
                Self::new(code::REFUSED, "the peer refused the connection")
            }
            ConnectionError::TransportError(_) => Self::closed("the peer broke the protocol of the connection"),
            ConnectionError::ConnectionClosed(_) => Self::closed("the peer ended the connection with a protocol error"),
            ConnectionError::ApplicationClosed(close) => {
                Self::new(peer_code(close.error_code), peer_reason(&close.reason))
            }
            ConnectionError::Reset => Self::closed("the peer has forgotten the connection"),
            ConnectionError::TimedOut => Self::new(code::TIMED_OUT, "the peer has not been heard for too long"),
            ConnectionError::LocallyClosed => Self::closed("the connection was closed on this side"),
            ConnectionError::VersionMismatch => {
                Self::new(code::REFUSED, "the peer speaks another version of the protocol")
            }
            ConnectionError::CidsExhausted => Self::internal("no connection id is left"),
        }
    }
}

impl From<&WriteError> for Error {
    fn from(error: &WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::new(peer_code(*code), "the peer stopped reading the channel"),
            WriteError::ConnectionLost(error) => error.into(),
            WriteError::ClosedStream => Self::invalid("the channel was finished or reset before"),
            WriteError::ZeroRttRejected => Self::internal("early data was refused, but none is ever sent"),
        }
    }
}

impl From<&ReadError> for Error {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::new(peer_code(*code), "the peer reset the channel before its end"),
            ReadError::ConnectionLost(error) => error.into(),
            ReadError::ClosedStream => Self::invalid("the channel was stopped before"),
            ReadError::IllegalOrderedRead => Self::internal("an ordered read after an unordered one"),
            ReadError::ZeroRttRejected => Self::internal("early data was refused, but none is ever sent"),
        }
    }
}

/// Whether a transport error stands for a TLS alert (RFC 9001, 4.8).
fn is_crypto(code: quinn::TransportErrorCode) -> bool {
    (0x100..0x200).contains(&u64::from(code))
}

/// What a peer may say. It cannot know of routes, permissions or files here, so those codes become `closed`.
fn peer_code(code: VarInt) -> u32 {
    match u32::try_from(code.into_inner()) {
        Ok(
            known @ (code::REFUSED
            | code::QUOTA
            | code::INVALID
            | code::TOO_LARGE
            | code::BUSY
            | code::CANCELLED
            | code::INTERNAL),
        ) => known,
        Ok(own) if own >= code::PLUGIN => own,
        _ => code::CLOSED,
    }
}

/// A peer's reason, made harmless for a terminal or a log: bounded, one line, no control character.
fn peer_reason(reason: &[u8]) -> String {
    let text = String::from_utf8_lossy(&reason[..reason.len().min(MAX_REASON)]);
    let clean: String = text.chars().filter(|character| !character.is_control()).collect();
    if clean.is_empty() { "the peer closed the connection".into() } else { clean }
}

/// A reason as it is sent: cut at a character's border.
pub(crate) fn own_reason(reason: &str) -> &[u8] {
    &reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_speak_for_this_host() {
        for denied in [0, code::NO_ROUTE, code::TIMED_OUT, code::DENIED, code::NOT_FOUND, 13, 999] {
            assert_eq!(peer_code(denied.into()), code::CLOSED);
        }
        for said in [code::REFUSED, code::BUSY, 1000, u32::MAX] {
            assert_eq!(peer_code(said.into()), said);
        }
        assert_eq!(peer_code(VarInt::MAX), code::CLOSED);
    }

    #[test]
    fn a_peers_reason_is_harmless() {
        assert_eq!(peer_reason(b"a\x1b[31m\nb\0"), "a[31mb");
        assert_eq!(peer_reason(b"\n"), "the peer closed the connection");
        assert!(peer_reason(&[b'x'; 10_000]).len() <= MAX_REASON);
        assert!(!peer_reason(&[0xff; 3]).is_empty());
    }

    #[test]
    fn an_own_reason_is_cut_at_a_character() {
        assert_eq!(own_reason("short"), b"short");
        let long = "é".repeat(MAX_REASON);
        assert!(std::str::from_utf8(own_reason(&long)).is_ok_and(|cut| cut.len() <= MAX_REASON));
    }
}
