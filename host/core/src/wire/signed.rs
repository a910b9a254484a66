//! Signed messages: a fixed layout over one `Bytes`, read in place and passed on verbatim.

use core::marker::PhantomData;

use bytes::{BufMut as _, Bytes, BytesMut};
use ed25519_dalek::{Signature, VerifyingKey};

use super::{DecodeError, Violation};
use crate::{Address, IdentityKey, MessageId, NetworkId};

/// What all signed bytes start with.
pub(crate) const PREFIX: &[u8; 6] = b"mute/1";
const NETWORK: usize = PREFIX.len();
const KIND: usize = NETWORK + 16;
const AUTHOR: usize = KIND + 1;
const MINUTE: usize = AUTHOR + 32;
const RANDOM: usize = MINUTE + 4;
/// Where the fields of the message's own kind start.
pub(crate) const BODY: usize = RANDOM + 8;
/// An Ed25519 signature.
pub(crate) const SIGNATURE: usize = 64;
/// What a signed message weighs without its own fields: the head before them, the signature after them.
pub const SIGNED_OVERHEAD: usize = BODY + SIGNATURE;

/// When a message was made, coarsely, and 64 random bits that make it one of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Minutes since 1970-01-01 UTC.
    pub minute: u32,
    /// Tells apart what one author signs in a minute.
    pub random: u64,
}

/// The signature is not checked yet: nothing may act on the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {}

/// The signature holds: only verification, or signing, makes a message of this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {}

/// A kind of signed message.
pub trait Body {
    /// The kind's number, in the frame's header and inside the signed bytes.
    const KIND: u8;
    /// The shortest the kind's own fields can be, in bytes.
    const MIN: usize;
    /// The longest they can be, in bytes.
    const MAX: usize;

    /// Checks the kind's own fields, whose length is within bounds already.
    ///
    /// # Errors
    /// A field without a meaning.
    fn check(_fields: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// A signed message of kind `K`, its signature checked or not (`S` says which).
///
/// It is one `Bytes` that holds `mute/1` ‖ network ‖ kind ‖ author ‖ minute ‖ 64 random bits ‖ the kind's own fields ‖
/// signature, so a clone costs a reference count and a relay passes on the very bytes that it received.
pub struct Signed<K, S> {
    /// At least `BODY + K::MIN + SIGNATURE` long: every constructor checks that, so that the accessors can't fail.
    bytes: Bytes,
    id: MessageId,
    state: PhantomData<(K, S)>,
}

impl<K, S> Clone for Signed<K, S> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), id: self.id, state: PhantomData }
    }
}

impl<K, S> PartialEq for Signed<K, S> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// Debug output may reach a log, so it holds no content.
impl<K, S> core::fmt::Debug for Signed<K, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Signed(…)")
    }
}

impl<K, S> Signed<K, S> {
    /// The whole message as it travels: signed bytes, then the signature.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The hash of the signed bytes (never of the signature).
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Who signed it (or, unverified, who is said to have).
    pub fn author(&self) -> Address {
        Address(self.array(AUTHOR))
    }

    /// When it was made.
    pub fn stamp(&self) -> Stamp {
        Stamp { minute: u32::from_be_bytes(self.array(MINUTE)), random: u64::from_be_bytes(self.array(RANDOM)) }
    }

    /// The network that it belongs to.
    pub fn network(&self) -> NetworkId {
        NetworkId(self.array(NETWORK))
    }

    /// The same message in memory of its own: a slice keeps all that it arrived together with.
    pub fn detached(&self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), ..self.clone() }
    }

    /// `N` bytes at `offset`, which lies within the kind's shortest form.
    pub(super) fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[offset..offset + N]);
        array
    }

    /// What follows the kind's fixed fields, up to the signature, without a copy.
    pub(super) fn rest(&self, fixed: usize) -> Bytes {
        self.bytes.slice(BODY + fixed..self.bytes.len() - SIGNATURE)
    }

    fn in_state<T>(self) -> Signed<K, T> {
        Signed { bytes: self.bytes, id: self.id, state: PhantomData }
    }
}

/// The hash of signed bytes, cut to 128 bits.
fn hash(signed: &[u8]) -> MessageId {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(signed).as_bytes()[..16]);
    MessageId(id)
}

impl<K: Body> Signed<K, Unverified> {
    /// Reads a message without a copy. What it says is not to be believed before [`Signed::verify`].
    ///
    /// # Errors
    /// The length, the prefix, the kind or a field is wrong.
    pub(super) fn read(bytes: Bytes) -> Result<Self, DecodeError> {
        let fields = bytes.len().checked_sub(SIGNED_OVERHEAD).ok_or(DecodeError::TooShort)?;
        if fields < K::MIN {
            return Err(DecodeError::TooShort);
        }
        if fields > K::MAX {
            return Err(DecodeError::TooLong);
        }
        if !bytes.starts_with(PREFIX) {
            return Err(DecodeError::Prefix);
        }
        if bytes[KIND] != K::KIND {
            return Err(DecodeError::Kind);
        }
        let signed = bytes.len() - SIGNATURE;
        K::check(&bytes[BODY..signed])?;
        let id = hash(&bytes[..signed]);
        Ok(Self { bytes, id, state: PhantomData })
    }

    /// Checks network and signature (strict Ed25519: canonical encodings only, no key of small order).
    ///
    /// # Errors
    /// The neighbour's offence: it should have checked before it passed the message on.
    pub fn verify(self, network: NetworkId) -> Result<Signed<K, Verified>, Violation> {
        if self.network() != network {
            return Err(Violation::WrongNetwork);
        }
        let key = VerifyingKey::from_bytes(&self.author().0).map_err(|_| Violation::BadSignature)?;
        let (signed, signature) = self.bytes.split_at(self.bytes.len() - SIGNATURE);
        let signature = Signature::from_slice(signature).map_err(|_| Violation::BadSignature)?;
        key.verify_strict(signed, &signature).map_err(|_| Violation::BadSignature)?;
        Ok(self.in_state())
    }

    /// Checks network and signature as stand-ins make it ([`IdentityKey::stub_from_seed`]).
    ///
    /// # Errors
    /// As [`Signed::verify`].
    #[cfg(feature = "simulation")]
    pub fn verify_stub(self, network: NetworkId) -> Result<Signed<K, Verified>, Violation> {
        if self.network() != network {
            return Err(Violation::WrongNetwork);
        }
        let (signed, signature) = self.bytes.split_at(self.bytes.len() - SIGNATURE);
        if signature != crate::stub::sign_as(self.author(), signed) {
            return Err(Violation::BadSignature);
        }
        Ok(self.in_state())
    }

    /// Takes the signature for good without checking it. Only for a simulator that stubs signatures.
    pub fn dangerously_assume_verified(self) -> Signed<K, Verified> {
        self.in_state()
    }
}

#[cfg(feature = "fuzzing")]
impl<K: Body> Signed<K, Unverified> {
    /// A message that `author` did not sign.
    pub(crate) fn unsigned(
        network: NetworkId,
        author: Address,
        stamp: Stamp,
        fields: &[&[u8]],
    ) -> Result<Self, DecodeError> {
        let mut bytes = head::<K>(network, author, stamp, fields);
        bytes.put_bytes(0, SIGNATURE);
        Self::read(bytes.freeze())
    }
}

/// Everything but the signature, with room for it.
fn head<K: Body>(network: NetworkId, author: Address, stamp: Stamp, fields: &[&[u8]]) -> BytesMut {
    let length: usize = fields.iter().map(|field| field.len()).sum();
    let mut bytes = BytesMut::with_capacity(SIGNED_OVERHEAD + length);
    bytes.put_slice(PREFIX);
    bytes.put_slice(&network.0);
    bytes.put_u8(K::KIND);
    bytes.put_slice(&author.0);
    bytes.put_u32(stamp.minute);
    bytes.put_u64(stamp.random);
    for field in fields {
        bytes.put_slice(field);
    }
    bytes
}

impl<K: Body> Signed<K, Verified> {
    /// Makes and signs a message whose own fields are `fields`, one after the other.
    ///
    /// # Errors
    /// The fields are longer or shorter than the kind allows, or one holds a value without a meaning.
    pub(super) fn sign_fields(
        network: NetworkId,
        key: &IdentityKey,
        stamp: Stamp,
        fields: &[&[u8]],
    ) -> Result<Self, DecodeError> {
        let mut bytes = head::<K>(network, key.address(), stamp, fields);
        let signature = key.sign(&bytes);
        bytes.put_slice(&signature);
        Ok(Signed::read(bytes.freeze())?.in_state())
    }
}
