//! The name of a file's content.

use mute_plugin::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// The BLAKE3 hash of a file's content. As text: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Debug output may reach a log, so it does not say what is shared.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

impl FromStr for Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let told = || Error::invalid("not a hash: 64 hexadecimal digits are expected");
        if text.len() != 64 || !text.is_ascii() {
            return Err(told());
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16).ok_or_else(told);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).map_err(|_| told())?;
        }
        Ok(Self(hash))
    }
}

/// Text where people read it (JSON), bytes elsewhere (MessagePack).
impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Hash;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a hash of 32 bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Hash, E> {
                bytes.try_into().map(Hash).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hash, E> {
                text.parse().map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Visitor)
        } else {
            deserializer.deserialize_bytes(Visitor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_bytes_and_back(bytes: [u8; 32]) {
            let hash = Hash(bytes);
            prop_assert_eq!(hash.to_string().parse::<Hash>().unwrap(), hash);
            prop_assert_eq!(hash.to_string().to_uppercase().parse::<Hash>().unwrap(), hash);
            let packed = mute_plugin::frame::encode(&hash, 64).unwrap();
            prop_assert_eq!(mute_plugin::frame::decode::<Hash>(&packed).unwrap(), hash);
        }

        #[test]
        fn hostile_text_never_panics(text in ".{0,70}") {
            let _ = text.parse::<Hash>();
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"ä".repeat(32), &"+1".repeat(32)] {
            assert!(bad.parse::<Hash>().is_err(), "{bad}");
        }
    }
}
