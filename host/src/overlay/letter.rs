//! Letters: small sealed messages that need no connection.
//!
//! What goes out is HPKE (RFC 9180: base mode, X25519, HKDF-SHA-256, AES-128-GCM) to the X25519 image of the recipient's
//! Ed25519 key: `share (32) ‖ sealed (signature (64) ‖ sender (32) ‖ stamp (8) ‖ id (16) ‖ topic length (1) ‖ topic ‖
//! body length (2) ‖ body ‖ zeros) ‖ tag (16)`, always [`SEALED`] bytes. The signature is the sender's, over a prefix, the
//! recipient and all that follows it, so that a recipient can't pass a letter on as one to somebody else.

use std::collections::HashMap;

use bytes::Bytes;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use hpke::{
    Deserializable as _, OpModeR, OpModeS, Serializable as _, aead::AesGcm128, kdf::HkdfSha256, kem::X25519HkdfSha256,
};
use mute_core::{Address, IdentityKey, wire::MAX_LETTER_BODY};
use zeroize::Zeroizing;

use super::{
    Error, Message,
    error::code,
    preface::{MAX_NAME, is_name},
};

/// The longest body of a letter, in bytes.
pub const MAX_BODY: usize = 1024;

/// What every sealed letter takes, in bytes, whatever it says.
pub const SEALED: usize = MAX_LETTER_BODY;

/// How far a letter's stamp may be from this host's clock, in seconds: the same as for the messages that carry letters.
const LIFETIME: u64 = 600;

/// A letter that is older than its identity's life here by more than this, in seconds, might be one that was read before
/// the host was stopped. The room is for clocks that differ.
const BEFORE_BIRTH: u64 = 60;

/// Letters remembered against replay. When so many came within their lifetime, further ones are refused: to forget one
/// would be to take it twice. A third of a megabyte.
const MAX_SEEN: usize = 8192;

const SHARE: usize = 32;
const TAG: usize = 16;
const PLAIN: usize = SEALED - SHARE - TAG;
const SIGNATURE: usize = 64;
/// Sender, stamp, id, and the lengths of topic and body.
const FIELDS: usize = 32 + 8 + 16 + 1 + 2;

const _: () = assert!(SIGNATURE + FIELDS + MAX_NAME + MAX_BODY <= PLAIN, "a letter of the longest kind fits");
const _: () = assert!(MAX_NAME <= u8::MAX as usize && MAX_BODY <= u16::MAX as usize, "the lengths fit their fields");

/// What every signed letter starts with, so that the signature serves no other end.
const SIGNED: &[u8] = b"mute/1 letter";
/// HPKE's info: what the key is for.
const INFO: &[u8] = b"mute/1 letter seal";

/// Seals a letter. `unix_s`: the time now.
///
/// # Errors
/// `too-large`: the body is longer than [`MAX_BODY`]. `invalid`: the topic's name, or a recipient that is no key.
pub fn seal(from: &IdentityKey, to: Address, topic: &str, body: &[u8], unix_s: u64) -> Result<Bytes, Error> {
    if body.len() > MAX_BODY {
        return Err(Error::new(code::TOO_LARGE, "a letter holds at most 1024 bytes"));
    }
    if !is_name(topic) {
        return Err(Error::invalid("a topic has 1 to 128 bytes and no control characters"));
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Error::internal("the system gives no random numbers"))?;
    let plain = write(from, to, topic, body, unix_s, id);
    #[cfg(feature = "relay-view")]
    if super::unsealed::is_wanted() {
        return Ok([&[0; SHARE][..], &plain, &[0; TAG]].concat().into());
    }
    let key = public_key(to).ok_or_else(|| Error::invalid("the address is not a key"))?;
    let (share, sealed) =
        hpke::single_shot_seal::<AesGcm128, HkdfSha256, X25519HkdfSha256>(&OpModeS::Base, &key, INFO, &plain, &[])
            .map_err(|_| Error::internal("the letter cannot be sealed"))?;
    Ok([share.to_bytes().as_slice(), &sealed].concat().into())
}

/// What is inside a letter's seal. The lengths of topic and body are checked already.
pub(crate) fn write(
    from: &IdentityKey,
    to: Address,
    topic: &str,
    body: &[u8],
    unix_s: u64,
    id: [u8; 16],
) -> Zeroizing<Vec<u8>> {
    let mut letter = Vec::with_capacity(PLAIN);
    letter.extend_from_slice(&from.address().0);
    letter.extend_from_slice(&unix_s.to_be_bytes());
    letter.extend_from_slice(&id);
    letter.push(topic.len() as u8);
    letter.extend_from_slice(topic.as_bytes());
    letter.extend_from_slice(&(body.len() as u16).to_be_bytes());
    letter.extend_from_slice(body);
    let signature = from.sign(&[SIGNED, &to.0, &letter].concat());
    let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN));
    plain.extend_from_slice(&signature);
    plain.extend_from_slice(&letter);
    plain.resize(PLAIN, 0);
    plain
}

/// Opens the letters of one identity, each once.
pub(crate) struct Opener {
    born_unix_s: u64,
    /// Ids of letters, and when they may be forgotten, in seconds since 1970.
    seen: HashMap<[u8; 16], u64>,
}

/// Why a letter is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not sealed to this key, damaged, forged, or not made like a letter.
    Malformed,
    /// Too old, from before this identity's life here, or from a clock that is far ahead.
    Expired,
    /// It came before.
    Replayed,
    /// Too many came.
    Full,
}

impl Opener {
    pub(crate) fn new(unix_s: u64) -> Self {
        Self { born_unix_s: unix_s, seen: HashMap::new() }
    }

    /// Opens what was sealed to `key`.
    pub(crate) fn open(&mut self, key: &IdentityKey, sealed: &[u8], unix_s: u64) -> Result<Message, Refused> {
        let (message, stamp) = open(key, sealed).ok_or(Refused::Malformed)?;
        let fresh = stamp.abs_diff(unix_s) <= LIFETIME && stamp.saturating_add(BEFORE_BIRTH) >= self.born_unix_s;
        if !fresh {
            return Err(Refused::Expired);
        }
        if self.seen.contains_key(&message.id) {
            return Err(Refused::Replayed);
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen.retain(|_, until| *until >= unix_s);
            if self.seen.len() >= MAX_SEEN {
                return Err(Refused::Full);
            }
        }
        self.seen.insert(message.id, stamp.saturating_add(LIFETIME));
        Ok(message)
    }
}

/// Opens a letter and checks its signature: the message and its stamp.
fn open(key: &IdentityKey, sealed: &[u8]) -> Option<(Message, u64)> {
    if sealed.len() != SEALED {
        return None;
    }
    let (share, sealed) = sealed.split_first_chunk::<SHARE>()?;
    #[cfg(feature = "relay-view")]
    if super::unsealed::is_wanted() {
        return decode_letter(&sealed[..PLAIN], key.address());
    }
    let share = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(share).ok()?;
    let plain = Zeroizing::new(
        hpke::single_shot_open::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &secret_key(key)?,
            &share,
            INFO,
            sealed,
            &[],
        )
        .ok()?,
    );
    decode_letter(&plain, key.address())
}

/// Reads an opened letter to `recipient` and checks its signature.
pub fn decode_letter(plain: &[u8], recipient: Address) -> Option<(Message, u64)> {
    let (signature, letter) = plain.split_first_chunk::<SIGNATURE>()?;
    let (sender, rest) = letter.split_first_chunk::<32>()?;
    let (stamp, rest) = rest.split_first_chunk::<8>()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (topic_length, rest) = rest.split_first()?;
    let (topic, rest) = rest.split_at_checked(usize::from(*topic_length))?;
    let topic = std::str::from_utf8(topic).ok().filter(|topic| is_name(topic))?;
    let (body_length, rest) = rest.split_first_chunk::<2>()?;
    let (body, padding) = rest.split_at_checked(usize::from(u16::from_be_bytes(*body_length)))?;
    if body.len() > MAX_BODY || padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    let signed = [SIGNED, &recipient.0, &letter[..letter.len() - padding.len()]].concat();
    let sender = Address(*sender);
    verify(&sender, &signed, signature).then(|| {
        let message = Message { sender, topic: topic.to_owned(), id: *id, body: Bytes::copy_from_slice(body) };
        (message, u64::from_be_bytes(*stamp))
    })
}

/// Whether an address signed these bytes: strict Ed25519, no weak key.
pub(crate) fn verify(signer: &Address, bytes: &[u8], signature: &[u8; SIGNATURE]) -> bool {
    VerifyingKey::from_bytes(&signer.0)
        .is_ok_and(|key| key.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok())
}

type PublicKey = <X25519HkdfSha256 as hpke::Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as hpke::Kem>::PrivateKey;

/// The X25519 key that belongs to an address. That one key both signs and agrees is sound for these two schemes
/// (Degabriele, Lehmann, Paterson, Smart, Strefler 2011; Thormarker 2021).
fn public_key(address: Address) -> Option<PublicKey> {
    let key = VerifyingKey::from_bytes(&address.0).ok().filter(|key| !key.is_weak())?;
    PublicKey::from_bytes(key.to_montgomery().as_bytes()).ok()
}

fn secret_key(key: &IdentityKey) -> Option<PrivateKey> {
    let scalar = Zeroizing::new(SigningKey::from_bytes(&key.seed()).to_scalar_bytes());
    PrivateKey::from_bytes(scalar.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn key(seed: u8) -> IdentityKey {
        IdentityKey::from_seed(&[seed; 32])
    }

    fn letter(topic: &str, body: &[u8]) -> Bytes {
        seal(&key(1), key(2).address(), topic, body, NOW).expect("a letter")
    }

    fn open_at(sealed: &[u8], unix_s: u64) -> Result<Message, Refused> {
        Opener::new(NOW).open(&key(2), sealed, unix_s)
    }

    #[test]
    fn a_letter_arrives_and_all_have_one_size() {
        for (topic, body) in [("t", vec![]), ("chat", b"hello".to_vec()), (&*"t".repeat(MAX_NAME), vec![7; MAX_BODY])] {
            let sealed = letter(topic, &body);
            assert_eq!(sealed.len(), SEALED);
            let message = open_at(&sealed, NOW).expect("the letter");
            assert_eq!(message.sender, key(1).address());
            assert_eq!((&*message.topic, &*message.body), (topic, &*body));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_sent() {
        let to = key(2).address();
        let code = |topic: &str, body: &[u8]| seal(&key(1), to, topic, body, NOW).expect_err("no letter").code;
        assert_eq!(code("t", &[0; MAX_BODY + 1]), code::TOO_LARGE);
        assert_eq!(code("", b""), code::INVALID);
        assert_eq!(code(&"t".repeat(MAX_NAME + 1), b""), code::INVALID);
        let weak = seal(&key(1), Address([0; 32]), "t", b"", NOW).expect_err("no letter");
        assert_eq!(weak.code, code::INVALID);
    }

    #[test]
    fn a_replay_is_refused_until_it_expires_and_then_too() {
        let sealed = letter("t", b"x");
        let mut opener = Opener::new(NOW);
        assert!(opener.open(&key(2), &sealed, NOW).is_ok());
        assert_eq!(opener.open(&key(2), &sealed, NOW + LIFETIME), Err(Refused::Replayed));
        assert_eq!(opener.open(&key(2), &sealed, NOW + LIFETIME + 1), Err(Refused::Expired));
    }

    #[test]
    fn old_and_future_letters_are_refused() {
        let sealed = letter("t", b"x");
        assert!(open_at(&sealed, NOW + LIFETIME).is_ok());
        assert_eq!(open_at(&sealed, NOW + LIFETIME + 1), Err(Refused::Expired));
        assert!(open_at(&sealed, NOW - LIFETIME).is_ok());
        assert_eq!(open_at(&sealed, NOW - LIFETIME - 1), Err(Refused::Expired));
        let reborn = |after| Opener::new(NOW + after).open(&key(2), &sealed, NOW + after);
        assert!(reborn(BEFORE_BIRTH).is_ok());
        assert_eq!(reborn(BEFORE_BIRTH + 1), Err(Refused::Expired));
    }

    #[test]
    fn the_seen_set_is_bounded_and_recovers() {
        let mut opener = Opener::new(NOW);
        opener.seen = (0..MAX_SEEN as u64).map(|n| ((u128::from(n)).to_be_bytes(), NOW + 10)).collect();
        let sealed = letter("t", b"x");
        assert_eq!(opener.open(&key(2), &sealed, NOW + 10), Err(Refused::Full));
        assert!(opener.open(&key(2), &sealed, NOW + 11).is_ok());
        assert_eq!(opener.seen.len(), 1);
    }

    #[test]
    fn the_wrong_recipient_reads_nothing() {
        let sealed = letter("t", b"x");
        assert_eq!(Opener::new(NOW).open(&key(3), &sealed, NOW), Err(Refused::Malformed));
    }

    #[test]
    fn a_recipient_cannot_pass_a_letter_on_as_the_senders() {
        // What key 2 sees of a letter to it, sealed anew to key 3.
        let sealed = letter("t", b"x");
        let share = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(&sealed[..SHARE]).expect("a share");
        let plain = hpke::single_shot_open::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &secret_key(&key(2)).expect("a key"),
            &share,
            INFO,
            &sealed[SHARE..],
            &[],
        )
        .expect("a letter");
        assert!(decode_letter(&plain, key(2).address()).is_some());
        assert!(decode_letter(&plain, key(3).address()).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_changed_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut sealed = letter("topic", b"body").to_vec();
            let at = at.index(SEALED);
            sealed[at] ^= 1_u8 << bit;
            // The highest bit of a share means nothing in X25519, but HPKE's key schedule covers it.
            prop_assert_eq!(open_at(&sealed, NOW), Err(Refused::Malformed));
        }

        #[test]
        fn nonsense_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1600)) {
            prop_assert!(decode_letter(&bytes, key(2).address()).is_none());
            prop_assert!(open_at(&bytes, NOW).is_err());
        }
    }
}
