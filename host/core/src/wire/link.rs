//! Messages that stay on one link: MessagePack, with size limits.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{DecodeError, kind, stream::LENGTH_PREFIX};
use crate::NetworkId;

/// The protocol's version that this code speaks.
pub const VERSION: u16 = 1;

/// The longest Hello in bytes: four times what it needs today, so that later versions can say more.
pub const MAX_HELLO: usize = 256;

/// A message between the two sides of a link. Kinds that a version does not know are ignored; host lists and credits
/// have their numbers ([`kind`]) and no form yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkMessage {
    /// The first message of each side.
    Hello(Hello),
}

/// The first message of each side of a link: nothing else is read before it. Fields that a version does not know are
/// skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The highest protocol version that the sender speaks.
    pub version: u16,
    /// The network that the sender belongs to.
    #[serde(with = "network")]
    pub network: NetworkId,
}

mod network {
    use serde::{Deserializer, Serializer};

    use crate::NetworkId;

    pub(super) fn serialize<S: Serializer>(network: &NetworkId, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&network.0[..], serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NetworkId, D::Error> {
        serde_bytes::deserialize::<serde_bytes::ByteArray<16>, D>(deserializer).map(|bytes| NetworkId(*bytes))
    }
}

impl Hello {
    /// What this code says of itself.
    pub const fn new(network: NetworkId) -> Self {
        Self { version: VERSION, network }
    }
}

impl LinkMessage {
    /// The whole frame, length prefix included.
    pub fn encode(&self) -> Bytes {
        let Self::Hello(hello) = self;
        let body = rmp_serde::to_vec_named(hello).expect("writing integers and byte strings into memory cannot fail");
        let mut out = BytesMut::with_capacity(LENGTH_PREFIX + 1 + body.len());
        out.put_u16((1 + body.len()).min(usize::from(u16::MAX)) as u16);
        out.put_u8(kind::HELLO);
        out.put_slice(&body);
        out.freeze()
    }
}

/// Reads a Hello (without prefix and kind).
///
/// # Errors
/// Too long, not MessagePack, a field missing, or bytes after its end.
pub fn decode_hello(bytes: &[u8]) -> Result<Hello, DecodeError> {
    if bytes.len() > MAX_HELLO {
        return Err(DecodeError::TooLong);
    }
    let mut rest = bytes;
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    // Skipping a field that we don't know recurses into it; no Hello of today nests at all.
    reader.set_max_depth(8);
    let hello = Hello::deserialize(&mut reader).map_err(|_| DecodeError::MessagePack)?;
    if rest.is_empty() { Ok(hello) } else { Err(DecodeError::Trailing) }
}
