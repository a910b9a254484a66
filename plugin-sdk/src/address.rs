//! Anonymous addresses.

use crate::{Error, Result};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

const PREFIX: Hrp = Hrp::parse_unchecked("mute");

/// An anonymous address: the Ed25519 public key that proves it. As text it is bech32m with the prefix `mute`, 63
/// characters, one DNS label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; Address::LENGTH]);

impl Address {
    /// Bytes of an address.
    pub const LENGTH: usize = 32;

    /// The address with this public key.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The public key.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// What the host says: it only hands out addresses of the right length, so another one is its fault.
    pub(crate) fn from_host(bytes: &[u8]) -> Self {
        Self(bytes.try_into().unwrap_or([0; Self::LENGTH]))
    }
}

impl TryFrom<&[u8]> for Address {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        let told = |_| Error::invalid("not an address: it does not hold 32 bytes");
        bytes.try_into().map(Self).map_err(told)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let told = |_| Error::invalid("not an address: a character or the checksum is wrong");
        let parsed = CheckedHrpstring::new::<Bech32m>(text).map_err(told)?;
        if parsed.hrp() != PREFIX {
            return Err(Error::invalid("not an address: it does not start with \"mute1\""));
        }
        let bytes: Vec<u8> = parsed.byte_iter().take(Self::LENGTH + 1).collect();
        Self::try_from(bytes.as_slice())
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

/// Text where people read it (JSON), bytes elsewhere (MessagePack).
impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Address;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> std::result::Result<Address, E> {
                Address::try_from(bytes).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Address, E> {
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
        fn text_and_back(bytes: [u8; 32]) {
            let address = Address::from_bytes(bytes);
            let text = address.to_string();
            prop_assert_eq!(text.len(), 63);
            prop_assert_eq!(text.parse::<Address>().unwrap(), address);
            prop_assert_eq!(text.to_uppercase().parse::<Address>().unwrap(), address);
            let packed = crate::frame::encode(&address, 64).unwrap();
            prop_assert_eq!(packed.len(), 34);
            prop_assert_eq!(crate::frame::decode::<Address>(&packed).unwrap(), address);
            let json = serde_json::to_string(&address).unwrap();
            prop_assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
        }

        #[test]
        fn hostile_text_never_panics(text in ".{0,100}", packed: Vec<u8>) {
            let _ = text.parse::<Address>();
            let _ = crate::frame::decode::<Address>(&packed);
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        let good = Address::from_bytes([7; 32]).to_string();
        let wrong_checksum = format!("{}{}", &good[..62], if good.ends_with('q') { 'p' } else { 'q' });
        let wrong_prefix = bech32::encode::<Bech32m>(Hrp::parse_unchecked("bc"), &[7; 32]).unwrap();
        let short = bech32::encode::<Bech32m>(PREFIX, &[7; 31]).unwrap();
        let long = bech32::encode::<Bech32m>(PREFIX, &[7; 33]).unwrap();
        let other_checksum = bech32::encode::<bech32::Bech32>(PREFIX, &[7; 32]).unwrap();
        for bad in [wrong_checksum, wrong_prefix, short, long, other_checksum, String::new(), good[1..].to_owned()] {
            assert_eq!(bad.parse::<Address>().unwrap_err().code(), Error::INVALID, "{bad}");
        }
        assert!(!format!("{:?}", Address::from_bytes([7; 32])).contains("mute1"));
    }
}
