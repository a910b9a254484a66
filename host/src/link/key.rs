//! The names that neighbours know each other by: never part of anything anonymous.

use std::{fmt, str::FromStr};

pub use mute_core::neighbours::NodeKey;
use mute_core::{IdentityKey, NeighbourId, neighbours::ParseNodeKeyError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest name that DNS allows.
const MAX_HOST_LENGTH: usize = 253;

/// Why a text is not a node key or the address of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePeerError {
    /// Not bech32m with the prefix `mutenode`.
    #[error("not a node key: a character, the checksum or the start (\"mutenode1\") is wrong")]
    Key,
    /// Not 32 bytes.
    #[error("not a node key: it does not hold 32 bytes")]
    KeyLength,
    /// No `@`.
    #[error("not a peer: expected NODEKEY@HOST:PORT")]
    Form,
    /// What follows the `@` is not a host and a port.
    #[error("not a peer: expected HOST:PORT after the \"@\"")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("not a peer: the port is not a number from 1 to 65535")]
    Port,
}

impl From<ParseNodeKeyError> for ParsePeerError {
    fn from(error: ParseNodeKeyError) -> Self {
        match error {
            ParseNodeKeyError::Malformed => Self::Key,
            ParseNodeKeyError::Length => Self::KeyLength,
        }
    }
}

/// The secret behind a [`NodeKey`]. Never printed, erased when dropped.
#[derive(Clone)]
pub struct NodeSecret(IdentityKey);

impl NodeSecret {
    /// The secret with this 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(IdentityKey::from_seed(seed))
    }

    /// The seed, to be stored where only its owner can read it.
    pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        self.0.seed()
    }

    /// The name that this secret proves.
    pub fn key(&self) -> NodeKey {
        NodeKey(self.0.address().0)
    }

    /// A secret of its own for one purpose, the same over restarts.
    pub(crate) fn derive(&self, purpose: &str) -> zeroize::Zeroizing<[u8; 32]> {
        let mut derived = zeroize::Zeroizing::new([0; 32]);
        derived.copy_from_slice(&blake3::derive_key(purpose, self.seed().as_slice()));
        derived
    }

    /// What the router knows a neighbour by: the same over restarts, and nothing to anybody without this secret.
    pub(crate) fn neighbour_id(&self, neighbour: NodeKey) -> NeighbourId {
        let mut id = [0; 8];
        let hash = blake3::keyed_hash(&self.derive("mute/1 neighbour ids"), &neighbour.0);
        id.copy_from_slice(&hash.as_bytes()[..8]);
        NeighbourId(u64::from_be_bytes(id))
    }
}

/// Where a neighbour is: its key and the host and port that it listens on. As text `NODEKEY@HOST:PORT`, the host being
/// an IP address (version 6 in brackets) or a DNS name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// The key that the host must prove.
    pub key: NodeKey,
    /// An IP address without brackets, or a DNS name.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

impl PeerAddress {
    /// `HOST:PORT`.
    pub fn place(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl FromStr for PeerAddress {
    type Err = ParsePeerError;

    fn from_str(text: &str) -> Result<Self, ParsePeerError> {
        let (key, place) = text.split_once('@').ok_or(ParsePeerError::Form)?;
        let key = key.parse()?;
        let (host, port) = place.rsplit_once(':').ok_or(ParsePeerError::Host)?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map_err(|_| ParsePeerError::Host)?.to_string(),
            None if is_name(host) => host.to_owned(),
            None => return Err(ParsePeerError::Host),
        };
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { key, host, port }),
            _ => Err(ParsePeerError::Port),
        }
    }
}

/// Whether this is made like a DNS name or an IP address of version 4.
fn is_name(host: &str) -> bool {
    (1..=MAX_HOST_LENGTH).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.place())
    }
}

/// Debug output may reach a log, so it holds neither key nor host.
impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerAddress(…)")
    }
}

impl Serialize for PeerAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_survive_text() {
        let key = NodeSecret::from_seed(&[7; 32]).key();
        for place in ["127.0.0.1:4000", "[::1]:1", "node.example:65535"] {
            let text = format!("{key}@{place}");
            let peer: PeerAddress = text.parse().expect("a valid peer");
            assert_eq!(peer.key, key);
            assert_eq!(peer.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_told_apart() {
        let key = NodeSecret::from_seed(&[7; 32]).key();
        let parse = |text: String| text.parse::<PeerAddress>().expect_err("not a peer");
        assert_eq!(parse("x".into()), ParsePeerError::Form);
        assert_eq!(parse("x@y:1".into()), ParsePeerError::Key);
        let address = IdentityKey::from_seed(&[7; 32]).address();
        assert_eq!(parse(format!("{address}@y:1")), ParsePeerError::Key);
        assert_eq!(parse(format!("{key}@y")), ParsePeerError::Host);
        assert_eq!(parse(format!("{key}@:1")), ParsePeerError::Host);
        assert_eq!(parse(format!("{key}@[y]:1")), ParsePeerError::Host);
        assert_eq!(parse(format!("{key}@a b:1")), ParsePeerError::Host);
        for port in ["0", "65536", "x", ""] {
            assert_eq!(parse(format!("{key}@y:{port}")), ParsePeerError::Port);
        }
    }

    #[test]
    fn debug_output_tells_nothing() {
        let peer = PeerAddress { key: NodeKey([1; 32]), host: "h".into(), port: 1 };
        assert_eq!(format!("{peer:?} {:?}", peer.key), "PeerAddress(…) NodeKey(…)");
    }
}
