//! Secret keys, which are never printed and are erased when dropped.

use ed25519_dalek::{Signer as _, SigningKey};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop};

#[cfg(feature = "simulation")]
use crate::stub;
use crate::{Address, MessageId};

/// The Ed25519 secret behind an address. On the heap, so that moving it leaves no copies of the secret behind.
#[derive(Clone)]
pub struct IdentityKey(SecretKey);

#[derive(Clone)]
enum SecretKey {
    Ed25519(Box<SigningKey>),
    /// A simulator's stand-in, which nobody real believes.
    #[cfg(feature = "simulation")]
    Stub(Box<stub::Key>),
}

impl IdentityKey {
    /// The key with this 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SecretKey::Ed25519(Box::new(SigningKey::from_bytes(seed))))
    }

    /// A stand-in that costs a hash instead of a multiplication on the curve, for a router of `Router::simulated`.
    #[cfg(feature = "simulation")]
    pub fn stub_from_seed(seed: &[u8; 32]) -> Self {
        Self(SecretKey::Stub(Box::new(stub::Key::new(seed))))
    }

    /// The seed, to be stored where only its owner can read it.
    pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(match &self.0 {
            SecretKey::Ed25519(key) => key.to_bytes(),
            #[cfg(feature = "simulation")]
            SecretKey::Stub(key) => key.seed,
        })
    }

    /// The address that this key proves.
    pub fn address(&self) -> Address {
        match &self.0 {
            SecretKey::Ed25519(key) => Address(key.verifying_key().to_bytes()),
            #[cfg(feature = "simulation")]
            SecretKey::Stub(key) => key.address,
        }
    }

    /// Signs `bytes`. Whatever is signed starts with a prefix of its own kind, so that no signature serves two ends.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        match &self.0 {
            SecretKey::Ed25519(key) => key.sign(bytes).to_bytes(),
            #[cfg(feature = "simulation")]
            SecretKey::Stub(key) => key.sign(bytes),
        }
    }
}

/// Which algorithms a router makes keys of. [`Crypto::Real`] is the only one there is unless the feature `simulation` is on, and
/// the only one that [`Router::new`](crate::Router::new) takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Crypto {
    /// Ed25519 and X25519.
    #[default]
    Real,
    /// Hashes in their place, for simulations of many nodes. What a router decides depends on who signed what and whether that
    /// holds, on ids and on lengths: keys, signatures and shares keep their lengths and stay distinct, so decisions stay the same
    /// in law. (Not bit by bit: ids are hashes of what was signed, so other draws fall.)
    #[cfg(feature = "simulation")]
    Stub,
}

impl Crypto {
    /// The identity key with this seed.
    pub(crate) fn identity(self, seed: &[u8; 32]) -> IdentityKey {
        match self {
            Self::Real => IdentityKey::from_seed(seed),
            #[cfg(feature = "simulation")]
            Self::Stub => IdentityKey::stub_from_seed(seed),
        }
    }

    /// The share of a trail's agreement with these random bytes.
    pub(crate) fn share(self, bytes: [u8; 32]) -> ShareSecret {
        match self {
            Self::Real => ShareSecret::X25519(StaticSecret::from(bytes)),
            #[cfg(feature = "simulation")]
            Self::Stub => ShareSecret::Stub(stub::share(&bytes)),
        }
    }
}

/// One end's secret of a trail's agreement.
pub(crate) enum ShareSecret {
    /// The real one.
    X25519(StaticSecret),
    /// A simulator's: it is its own public share.
    #[cfg(feature = "simulation")]
    Stub([u8; 32]),
}

impl ShareSecret {
    /// What the other end is told.
    pub(crate) fn public(&self) -> [u8; 32] {
        match self {
            Self::X25519(secret) => PublicKey::from(secret).to_bytes(),
            #[cfg(feature = "simulation")]
            Self::Stub(share) => *share,
        }
    }
}

/// What seals the packets of one trail at one of its ends: HKDF-SHA-256 of what Seek and Trail agreed on.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TrailKeys {
    /// Seals what this end sends (AES-128-GCM).
    pub send: DirectionKeys,
    /// Opens what this end receives.
    pub receive: DirectionKeys,
    /// Proves that a successor was laid by the same seeker (HMAC-SHA-256).
    pub succession: [u8; 32],
}

/// The keys of one direction of a trail.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DirectionKeys {
    /// The AES-128-GCM key.
    pub seal: [u8; 16],
    /// The nonce's base, XORed with the packet number.
    pub iv: [u8; 12],
    /// The AES-128 key that masks the packet number, as in QUIC header protection (RFC 9001, 5.4).
    pub mask: [u8; 16],
}

/// Which end of a trail keys are for: the ends' directions are each other's mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrailEnd {
    /// The one that sent the Seek.
    Seeker,
    /// The one that answered with the Trail.
    Owner,
}

impl TrailKeys {
    /// What Seek `seek` and Trail `trail` agreed on, at one of their ends: HKDF-SHA-256 of the X25519 agreement, salt = Seek
    /// id, info = Trail id ‖ purpose. `None` if the other's share is of small order.
    pub(crate) fn agree(
        secret: &ShareSecret,
        share: &[u8; 32],
        seek: MessageId,
        trail: MessageId,
        end: TrailEnd,
    ) -> Option<Self> {
        let secret = match secret {
            ShareSecret::X25519(secret) => secret,
            #[cfg(feature = "simulation")]
            ShareSecret::Stub(secret) => return Some(stub::agree(secret, share, trail, end)),
        };
        let shared = secret.diffie_hellman(&PublicKey::from(*share));
        if !shared.was_contributory() {
            return None;
        }
        let hkdf = Hkdf::<Sha256>::new(Some(&seek.0), shared.as_bytes());
        let to_owner = DirectionKeys::expand(&hkdf, trail, b"seeker to owner");
        let to_seeker = DirectionKeys::expand(&hkdf, trail, b"owner to seeker");
        let mut succession = [0; 32];
        expand(&hkdf, trail, b"succession", &mut succession);
        let (send, receive) = match end {
            TrailEnd::Seeker => (to_owner, to_seeker),
            TrailEnd::Owner => (to_seeker, to_owner),
        };
        Some(Self { send, receive, succession })
    }
}

impl DirectionKeys {
    fn expand(hkdf: &Hkdf<Sha256>, trail: MessageId, direction: &[u8]) -> Self {
        let mut bytes = zeroize::Zeroizing::new([0; 16 + 12 + 16]);
        expand(hkdf, trail, direction, &mut *bytes);
        let mut keys = Self { seal: [0; 16], iv: [0; 12], mask: [0; 16] };
        keys.seal.copy_from_slice(&bytes[..16]);
        keys.iv.copy_from_slice(&bytes[16..28]);
        keys.mask.copy_from_slice(&bytes[28..]);
        keys
    }
}

fn expand(hkdf: &Hkdf<Sha256>, trail: MessageId, purpose: &[u8], out: &mut [u8]) {
    hkdf.expand_multi_info(&[&trail.0, purpose], out).expect("44 bytes are far below what HKDF can expand to");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (TrailKeys, TrailKeys) {
        let (ours, theirs) = (Crypto::Real.share([1; 32]), Crypto::Real.share([2; 32]));
        let (seek, trail) = (MessageId([3; 16]), MessageId([4; 16]));
        let agree = |secret, share: &ShareSecret, end| {
            TrailKeys::agree(secret, &share.public(), seek, trail, end).expect("shares are honest")
        };
        (agree(&ours, &theirs, TrailEnd::Seeker), agree(&theirs, &ours, TrailEnd::Owner))
    }

    #[test]
    fn what_one_end_sends_the_other_receives_and_directions_differ() {
        let (seeker, owner) = ends();
        assert_eq!(seeker.send.seal, owner.receive.seal);
        assert_eq!(seeker.send.iv, owner.receive.iv);
        assert_eq!(seeker.send.mask, owner.receive.mask);
        assert_eq!(seeker.receive.seal, owner.send.seal);
        assert_eq!(seeker.succession, owner.succession);
        assert_ne!(seeker.send.seal, seeker.receive.seal);
        assert_ne!(seeker.send.iv, seeker.receive.iv);
        assert_ne!(seeker.send.mask, seeker.receive.mask);
    }

    #[test]
    fn a_share_of_small_order_agrees_on_nothing() {
        let secret = Crypto::Real.share([1; 32]);
        let id = MessageId([0; 16]);
        assert!(TrailKeys::agree(&secret, &[0; 32], id, id, TrailEnd::Owner).is_none());
    }
}
