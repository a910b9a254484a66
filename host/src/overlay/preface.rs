//! What a client says first on its first channel: which protocol it wants to speak, and whether the key that it proved
//! is an identity or for this connection only. The server closes the connection with a code, or ends the channel.

use serde::{Deserialize, Serialize};

use super::Error;

/// The longest name of a protocol or topic, in bytes.
pub(crate) const MAX_NAME: usize = 128;

/// The longest encoded preface, in bytes: a name of the longest kind and room for fields to come.
pub(crate) const MAX_PREFACE: usize = 512;

/// A client's first words, as MessagePack with field names, so that later versions can add some.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preface {
    /// The protocol that a listener must have.
    pub(crate) protocol: String,
    /// The key is the client's identity; otherwise it is a one-time key.
    pub(crate) shown: bool,
    /// Much will be carried, and nobody waits for the single byte.
    pub(crate) bulk: bool,
}

impl Preface {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        rmp_serde::to_vec_named(self).map_err(|_| Error::internal("the preface cannot be encoded"))
    }

    /// `None` for anything but exactly one preface of allowed size.
    pub(crate) fn decode_preface(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_PREFACE {
            return None;
        }
        let mut rest = bytes;
        let preface = Self::deserialize(&mut rmp_serde::Deserializer::new(&mut rest)).ok()?;
        (rest.is_empty() && is_name(&preface.protocol)).then_some(preface)
    }
}

/// Whether this may name a protocol or a topic: neither empty nor too long nor with control characters.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn preface(protocol: &str) -> Preface {
        Preface { protocol: protocol.into(), shown: true, bulk: false }
    }

    #[test]
    fn a_preface_survives_and_has_room_for_more() {
        let longest = preface(&"n".repeat(MAX_NAME));
        let bytes = longest.encode().expect("a preface");
        assert!(bytes.len() < MAX_PREFACE / 2);
        assert_eq!(Preface::decode_preface(&bytes), Some(longest));
        #[derive(Serialize)]
        struct Later {
            protocol: &'static str,
            shown: bool,
            bulk: bool,
            more: u8,
        }
        let later = Later { protocol: "p", shown: true, bulk: false, more: 1 };
        assert_eq!(Preface::decode_preface(&rmp_serde::to_vec_named(&later).expect("bytes")), Some(preface("p")));
    }

    #[test]
    fn wrong_names_and_sizes_are_refused() {
        for name in ["", "a\nb", &"n".repeat(MAX_NAME + 1)] {
            assert_eq!(Preface::decode_preface(&preface(name).encode().expect("bytes")), None);
        }
        let good = preface("p").encode().expect("bytes");
        assert_eq!(Preface::decode_preface(&[&good[..], &[0]].concat()), None);
        assert_eq!(Preface::decode_preface(&good[..good.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn nonsense_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Preface::decode_preface(&bytes);
        }
    }
}
