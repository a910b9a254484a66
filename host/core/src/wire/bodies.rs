//! The kinds of signed messages: what each one's own fields are.

use bytes::Bytes;

use super::{
    DecodeError, Verified, kind,
    signed::{BODY, Body, Signed, Stamp},
};
use crate::{Address, IdentityKey, MessageId, NetworkId, Topic};

/// The longest body of a Flood in bytes: 1 KiB for the plugin and room for what the overlay puts before it.
pub const MAX_FLOOD_BODY: usize = 1024 + 64;

/// The longest sealed body of a Letter in bytes: 1 KiB for the plugin, and room for the seal: the HPKE share (32) and tag
/// (16), the sender and its signature (96), and a topic's text.
pub const MAX_LETTER_BODY: usize = 1024 + 512;

/// A question to all in reach that listen to a topic. Signed by a one-time key, to which it lays scent.
pub enum Flood {}

/// Asks the owner of an address for a trail. Signed by a key per (identity, peer, day), to which it lays scent.
pub enum Seek {}

/// The owner's answer to a Seek; goes back the way that the Seek came and binds a label on each link.
pub enum Trail {}

/// Keeps a trail alive; sent by both of its ends along it.
pub enum Keep {}

/// A sealed message that follows scent without a trail. Signed by a one-time key, to which it lays scent.
pub enum Letter {}

/// Lays scent of an address that wants to be found. Signed by the address itself: nothing else is in it.
pub enum Walk {}

impl Body for Flood {
    const KIND: u8 = kind::FLOOD;
    const MIN: usize = 16;
    const MAX: usize = 16 + MAX_FLOOD_BODY;
}

impl Body for Seek {
    const KIND: u8 = kind::SEEK;
    const MIN: usize = 64;
    const MAX: usize = 64;

    fn check(fields: &[u8]) -> Result<(), DecodeError> {
        check_share(&fields[32..])
    }
}

impl Body for Trail {
    const KIND: u8 = kind::TRAIL;
    const MIN: usize = 48;
    const MAX: usize = 48;

    fn check(fields: &[u8]) -> Result<(), DecodeError> {
        check_share(&fields[16..])
    }
}

impl Body for Keep {
    const KIND: u8 = kind::KEEP;
    const MIN: usize = 36;
    const MAX: usize = 36;
}

impl Body for Letter {
    const KIND: u8 = kind::LETTER;
    const MIN: usize = 32;
    const MAX: usize = 32 + MAX_LETTER_BODY;
}

impl Body for Walk {
    const KIND: u8 = kind::WALK;
    const MIN: usize = 0;
    const MAX: usize = 0;
}

impl Signed<Walk, Verified> {
    /// Makes and signs a Walk.
    ///
    /// # Errors
    /// None in practice: it has no fields.
    pub fn sign(network: NetworkId, key: &IdentityKey, stamp: Stamp) -> Result<Self, DecodeError> {
        Self::sign_fields(network, key, stamp, &[])
    }
}

impl<S> Signed<Flood, S> {
    /// What the question is about.
    pub fn topic(&self) -> Topic {
        Topic(self.array(BODY))
    }

    /// The question.
    pub fn body(&self) -> Bytes {
        self.rest(16)
    }
}

impl Signed<Flood, Verified> {
    /// Makes and signs a Flood.
    ///
    /// # Errors
    /// The body is longer than [`MAX_FLOOD_BODY`].
    pub fn sign(
        network: NetworkId,
        key: &IdentityKey,
        stamp: Stamp,
        topic: Topic,
        body: &[u8],
    ) -> Result<Self, DecodeError> {
        Self::sign_fields(network, key, stamp, &[&topic.0, body])
    }
}

impl<S> Signed<Seek, S> {
    /// The address that is sought.
    pub fn target(&self) -> Address {
        Address(self.array(BODY))
    }

    /// The seeker's X25519 share.
    pub fn share(&self) -> [u8; 32] {
        self.array(BODY + 32)
    }
}

impl Signed<Seek, Verified> {
    /// Makes and signs a Seek.
    ///
    /// # Errors
    /// The share is of small order.
    pub fn sign(
        network: NetworkId,
        key: &IdentityKey,
        stamp: Stamp,
        target: Address,
        share: &[u8; 32],
    ) -> Result<Self, DecodeError> {
        Self::sign_fields(network, key, stamp, &[&target.0, share])
    }
}

impl<S> Signed<Trail, S> {
    /// The id of the Seek that this answers.
    pub fn seek(&self) -> MessageId {
        MessageId(self.array(BODY))
    }

    /// The owner's X25519 share.
    pub fn share(&self) -> [u8; 32] {
        self.array(BODY + 16)
    }
}

impl Signed<Trail, Verified> {
    /// Makes and signs a Trail.
    ///
    /// # Errors
    /// The share is of small order.
    pub fn sign(
        network: NetworkId,
        key: &IdentityKey,
        stamp: Stamp,
        seek: MessageId,
        share: &[u8; 32],
    ) -> Result<Self, DecodeError> {
        Self::sign_fields(network, key, stamp, &[&seek.0, share])
    }
}

/// What an end says in a Keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepReport {
    /// Counts this end's Keeps on this trail from 1. Only a higher one than the last is taken, so that a copy that is
    /// kept back and sent later renews nothing, and no table of ids is needed for it.
    pub number: u32,
    /// Packets that arrived at this end so far.
    pub received: u64,
    /// Packets that this end sent so far: with both counts the seeker, who alone renews, judges both directions.
    pub sent: u64,
}

impl<S> Signed<Keep, S> {
    /// The id of the Seek that the trail answered.
    pub fn seek(&self) -> MessageId {
        MessageId(self.array(BODY))
    }

    /// The end's counts.
    pub fn report(&self) -> KeepReport {
        KeepReport {
            number: u32::from_be_bytes(self.array(BODY + 16)),
            received: u64::from_be_bytes(self.array(BODY + 20)),
            sent: u64::from_be_bytes(self.array(BODY + 28)),
        }
    }
}

impl Signed<Keep, Verified> {
    /// Makes and signs a Keep.
    ///
    /// # Errors
    /// None in practice: the fields' lengths are fixed.
    pub fn sign(
        network: NetworkId,
        key: &IdentityKey,
        stamp: Stamp,
        seek: MessageId,
        report: KeepReport,
    ) -> Result<Self, DecodeError> {
        let (number, received, sent) =
            (report.number.to_be_bytes(), report.received.to_be_bytes(), report.sent.to_be_bytes());
        Self::sign_fields(network, key, stamp, &[&seek.0, &number, &received, &sent])
    }
}

impl<S> Signed<Letter, S> {
    /// Whom it is for: an address, or the one-time key of a Flood or Letter that it answers.
    pub fn to(&self) -> Address {
        Address(self.array(BODY))
    }

    /// The sealed body.
    pub fn sealed(&self) -> Bytes {
        self.rest(32)
    }
}

impl Signed<Letter, Verified> {
    /// Makes and signs a Letter.
    ///
    /// # Errors
    /// The sealed body is longer than [`MAX_LETTER_BODY`].
    pub fn sign(
        network: NetworkId,
        key: &IdentityKey,
        stamp: Stamp,
        to: Address,
        sealed: &[u8],
    ) -> Result<Self, DecodeError> {
        Self::sign_fields(network, key, stamp, &[&to.0, sealed])
    }
}

/// The X25519 shares of small order (RFC 7748's curve and its twist), in the encodings that a share can have with its
/// highest bit cleared. An agreement with one is zero, so everybody knows the key. Relays refuse them too: else a Seek that no owner answers
/// would make the target's scent fade wherever it passes.
const WEAK_SHARES: [[u8; 32]; 7] = [
    [0; 32],
    first_byte(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    first_byte(0xec, 0xff, 0x7f),
    first_byte(0xed, 0xff, 0x7f),
    first_byte(0xee, 0xff, 0x7f),
];

/// 32 bytes: `first`, then `middle`, then `last`.
const fn first_byte(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Refuses a share of small order.
fn check_share(share: &[u8]) -> Result<(), DecodeError> {
    let weak = |weak: &[u8; 32]| weak[..31] == share[..31] && weak[31] == share[31] & 0x7f;
    if WEAK_SHARES.iter().any(weak) { Err(DecodeError::WeakShare) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use x25519_dalek::{PublicKey, StaticSecret};

    use super::*;

    #[test]
    fn every_weak_share_agrees_on_nothing_and_is_refused() {
        let secret = StaticSecret::from([7; 32]);
        for mut share in WEAK_SHARES {
            assert!(!secret.diffie_hellman(&PublicKey::from(share)).was_contributory());
            assert_eq!(check_share(&share), Err(DecodeError::WeakShare));
            share[31] |= 0x80;
            assert!(!secret.diffie_hellman(&PublicKey::from(share)).was_contributory());
            assert_eq!(check_share(&share), Err(DecodeError::WeakShare));
        }
        assert_eq!(check_share(PublicKey::from(&secret).as_bytes()), Ok(()));
    }
}
