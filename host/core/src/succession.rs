//! How the first packet of a trail proves that the trail continues another.

use hkdf::hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::{MessageId, TrailKeys, wire::DecodeError};

/// Says, in the first sealed packet of a successor, which trail it succeeds, and proves that the same seeker laid both:
/// HMAC-SHA-256 with the first trail's succession key over the new trail's Seek id, cut to 128 bits. Both ends then map the
/// successor to the same made-up address, and the QUIC inside notices nothing. Only the ends see it: it travels sealed.
#[derive(Clone, Copy, Debug)]
pub struct SuccessionProof {
    /// The Seek id of the connection's first trail.
    pub first: MessageId,
    /// The proof.
    pub mac: [u8; 16],
}

impl SuccessionProof {
    /// What a proof takes in a packet, in bytes.
    pub const LENGTH: usize = 32;

    /// Proves that the trail of `successor` continues the connection whose first trail was sought with `first` and agreed on `keys`.
    pub fn make(keys: &TrailKeys, first: MessageId, successor: MessageId) -> Self {
        Self { first, mac: mac(keys, successor) }
    }

    /// Whether the proof holds for the trail of `successor`, `keys` being those of the trail that [`Self::first`] names. In constant time.
    pub fn check(&self, keys: &TrailKeys, successor: MessageId) -> bool {
        mac(keys, successor).ct_eq(&self.mac).into()
    }

    /// The proof's bytes.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..16].copy_from_slice(&self.first.0);
        bytes[16..].copy_from_slice(&self.mac);
        bytes
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// Not exactly [`Self::LENGTH`] bytes.
    pub fn decode_succession(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::LENGTH {
            return Err(DecodeError::TooLong);
        }
        let (first, mac) = bytes.split_first_chunk::<16>().ok_or(DecodeError::TooShort)?;
        let mac = mac.try_into().map_err(|_| DecodeError::TooShort)?;
        Ok(Self { first: MessageId(*first), mac })
    }
}

fn mac(keys: &TrailKeys, successor: MessageId) -> [u8; 16] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(&keys.succession).expect("HMAC takes keys of any length");
    hmac.update(b"mute/1 succession");
    hmac.update(&successor.0);
    let mut mac = [0; 16];
    mac.copy_from_slice(&hmac.finalize().into_bytes()[..16]);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::DirectionKeys;

    fn keys(succession: u8) -> TrailKeys {
        let direction = DirectionKeys { seal: [0; 16], iv: [0; 12], mask: [0; 16] };
        TrailKeys { send: direction.clone(), receive: direction, succession: [succession; 32] }
    }

    #[test]
    fn holds_only_for_its_keys_and_its_successor() {
        let (first, next, other) = (MessageId([1; 16]), MessageId([2; 16]), MessageId([3; 16]));
        let proof = SuccessionProof::make(&keys(1), first, next);
        let proof = SuccessionProof::decode_succession(&proof.encode()).expect("what was encoded decodes");
        assert_eq!(proof.first, first);
        assert!(proof.check(&keys(1), next));
        assert!(!proof.check(&keys(1), other));
        assert!(!proof.check(&keys(2), next));
    }
}
