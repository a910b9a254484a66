//! The names of things: newtypes, so that no two can be confused.

use core::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};

/// An anonymous address: the Ed25519 public key that proves it. As text it is bech32m with the prefix `mute`,
/// 63 characters, one DNS label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 32]);

/// The human-readable part of an address.
const PREFIX: Hrp = Hrp::parse_unchecked("mute");

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAddressError {
    /// Not bech32m: a wrong character, a wrong checksum or the wrong length.
    #[error("not an address: a character or the checksum is wrong")]
    Malformed,
    /// Another prefix than `mute`.
    #[error("not an address: it does not start with \"mute1\"")]
    Prefix,
    /// Not 32 bytes.
    #[error("not an address: it does not hold 32 bytes")]
    Length,
}

/// Reads an address from its text.
fn decode_address(text: &str) -> Result<Address, ParseAddressError> {
    let parsed = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| ParseAddressError::Malformed)?;
    if parsed.hrp() != PREFIX {
        return Err(ParseAddressError::Prefix);
    }
    let mut bytes = parsed.byte_iter();
    let mut key = [0; 32];
    for byte in &mut key {
        *byte = bytes.next().ok_or(ParseAddressError::Length)?;
    }
    match bytes.next() {
        Some(_) => Err(ParseAddressError::Length),
        None => Ok(Address(key)),
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        decode_address(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, PREFIX, &self.0).map_err(|_| fmt::Error)
    }
}

/// Debug output may reach a log, so it does not hold the address.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Which network a node belongs to; signed into every message, so that none can be carried to another network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub [u8; 16]);

/// The BLAKE3 hash of a message's signed bytes (never of its signature), cut to 128 bits: long enough that nobody finds
/// a second message with the id of a given one. Of a Seek it is called the Seek id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

/// The BLAKE3 hash of a topic's text, cut to 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(pub [u8; 16]);

impl Topic {
    /// The topic with this text.
    pub fn of(text: &str) -> Self {
        let mut topic = [0; 16];
        topic.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
        Self(topic)
    }
}

/// A trail's name on one link, in both directions. The lowest bit says whether the link's initiator chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub u64);

/// A link to a neighbour, for as long as its connection lasts. Chosen by the caller, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A neighbour, the same on every link to it, over reconnects and restarts. A keyed hash that the caller makes of what it knows the
/// neighbour by: the router never sees a node's key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourId(pub u64);

/// Debug output may reach a log, where it would tie one run to the next.
impl fmt::Debug for NeighbourId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NeighbourId(…)")
    }
}

/// An identity's place in its own node's router. Chosen by the caller, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u64);

/// What a port wants: to be connected to an address. Chosen by the caller, never reused. Trails come and go under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// An end of a trail at a port of this node. Chosen by the router, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrailId(pub u64);
