//! Secret keys, which are never printed and are erased when dropped.

use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Address;

/// The Ed25519 secret behind an address.
#[derive(Clone)]
pub struct IdentityKey(SigningKey);

impl IdentityKey {
    /// The key with this 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, to be stored where only its owner can read it.
    pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The address that this key proves.
    pub fn address(&self) -> Address {
        Address(self.0.verifying_key().to_bytes())
    }

    /// Signs `bytes`. Whatever is signed starts with a prefix of its own kind, so that no signature serves two ends.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
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
