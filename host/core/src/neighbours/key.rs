//! The names that neighbours know each other by: never part of anything anonymous.

use core::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A node's Ed25519 public key, known to its neighbours only. As text it is bech32m with the prefix `mutenode`, so that
/// nobody takes it for an address (`mute`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(pub [u8; 32]);

/// The human-readable part of a node key.
const PREFIX: Hrp = Hrp::parse_unchecked("mutenode");

/// Why a text is not a node key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNodeKeyError {
    /// Not bech32m with the prefix `mutenode`.
    #[error("not a node key: a character, the checksum or the start (\"mutenode1\") is wrong")]
    Malformed,
    /// Not 32 bytes.
    #[error("not a node key: it does not hold 32 bytes")]
    Length,
}

/// Reads a node key from its text.
fn decode_node_key(text: &str) -> Result<NodeKey, ParseNodeKeyError> {
    let parsed = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| ParseNodeKeyError::Malformed)?;
    if parsed.hrp() != PREFIX {
        return Err(ParseNodeKeyError::Malformed);
    }
    let mut bytes = parsed.byte_iter();
    let mut key = [0; 32];
    for byte in &mut key {
        *byte = bytes.next().ok_or(ParseNodeKeyError::Length)?;
    }
    if bytes.next().is_some() { Err(ParseNodeKeyError::Length) } else { Ok(NodeKey(key)) }
}

impl FromStr for NodeKey {
    type Err = ParseNodeKeyError;

    fn from_str(text: &str) -> Result<Self, ParseNodeKeyError> {
        decode_node_key(text)
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, PREFIX, &self.0).map_err(|_| fmt::Error)
    }
}

/// Debug output may reach a log, so it does not hold the key.
impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(…)")
    }
}

impl Serialize for NodeKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
