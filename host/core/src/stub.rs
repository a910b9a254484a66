//! Stand-ins for signatures and agreements in simulations (feature `simulation`): hashes that cost a hundredth of the curve.
//!
//! They prove nothing to anybody: everybody could make them. That is enough where no simulated node forges, and a scenario whose
//! adversaries do takes the real ones. A daemon cannot reach them: it makes its router with [`Router::new`](crate::Router::new) and its keys
//! with [`IdentityKey::from_seed`](crate::IdentityKey::from_seed), and what a stub signed fails `verify`, since no stub's address is a key
//! that its signature fits.

use zeroize::{Zeroize as _, ZeroizeOnDrop};

use crate::{
    Address, MessageId, TrailKeys,
    keys::{DirectionKeys, TrailEnd},
};

/// A stand-in for an Ed25519 key.
#[derive(Clone, ZeroizeOnDrop)]
pub(crate) struct Key {
    pub(crate) seed: [u8; 32],
    #[zeroize(skip)]
    pub(crate) address: Address,
}

impl Key {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self { seed: *seed, address: Address(blake3::derive_key("mute simulation address", seed)) }
    }

    /// A MAC under a key that the address gives, so that it differs for each author and text, as a signature does.
    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        sign_as(self.address, bytes)
    }
}

/// What a stub of `address` signs.
pub(crate) fn sign_as(address: Address, bytes: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(blake3::keyed_hash(&address.0, bytes).as_bytes());
    signature[32..].copy_from_slice(&address.0);
    signature
}

/// A share, from random bytes.
pub(crate) fn share(random: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("mute simulation share", random)
}

/// What two shares agree on: the same at both ends.
pub(crate) fn agree(ours: &[u8; 32], theirs: &[u8; 32], trail: MessageId, end: TrailEnd) -> TrailKeys {
    let mut hasher = blake3::Hasher::new();
    for share in [ours.min(theirs), ours.max(theirs)] {
        hasher.update(share);
    }
    hasher.update(&trail.0);
    let mut bytes = [0; 2 * (16 + 12 + 16) + 32];
    hasher.finalize_xof().fill(&mut bytes);
    let mut rest = &bytes[..];
    let to_owner = direction(&mut rest);
    let to_seeker = direction(&mut rest);
    let succession = take(&mut rest);
    bytes.zeroize();
    let (send, receive) = match end {
        TrailEnd::Seeker => (to_owner, to_seeker),
        TrailEnd::Owner => (to_seeker, to_owner),
    };
    TrailKeys { send, receive, succession }
}

fn direction(bytes: &mut &[u8]) -> DirectionKeys {
    DirectionKeys { seal: take(bytes), iv: take(bytes), mask: take(bytes) }
}

/// The next `N` bytes; zeros where there are none, which [`agree`] never asks for.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    match bytes.split_first_chunk::<N>() {
        Some((first, rest)) => {
            *bytes = rest;
            *first
        }
        None => [0; N],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        IdentityKey, NetworkId, Violation,
        wire::{Flood, Signed, Stamp, Verified, decode_frame},
    };

    #[test]
    fn both_ends_agree_and_directions_differ() {
        let (a, b, trail) = (share(&[1; 32]), share(&[2; 32]), MessageId([3; 16]));
        let (seeker, owner) = (agree(&a, &b, trail, TrailEnd::Seeker), agree(&b, &a, trail, TrailEnd::Owner));
        assert_eq!((seeker.send.seal, seeker.receive.seal), (owner.receive.seal, owner.send.seal));
        assert_eq!(seeker.succession, owner.succession);
        assert_ne!(seeker.send.seal, seeker.receive.seal);
    }

    #[test]
    fn nobody_real_believes_a_stub() {
        let (key, network) = (IdentityKey::stub_from_seed(&[1; 32]), NetworkId([0; 16]));
        let stamp = Stamp { minute: 1, random: 1 };
        let message = Signed::<Flood, Verified>::sign(network, &key, stamp, crate::Topic([0; 16]), b"?");
        let message = message.expect("a short body");
        let mut bytes = vec![crate::wire::kind::FLOOD, 0];
        bytes.extend_from_slice(message.bytes());
        let Ok(crate::wire::Decoded::Frame(frame)) = decode_frame(bytes.into()) else { panic!("it is well formed") };
        assert_eq!(frame.clone().verify(network).err(), Some(Violation::BadSignature));
        assert!(frame.verify_stub(network).is_ok());
    }
}
