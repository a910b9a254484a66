//! What two chats say to each other: the protocol `chat/1`.
//!
//! The one who has something to say connects, shows its identity, opens a channel and writes a [`Say`] a message. Each is
//! answered by a [`Receipt`], once it is on the receiver's disk. A [`Say`] that comes twice is stored once.

use mute_plugin::{Error, Reader, Result, Writer, frame};
use serde::{Deserialize, Serialize};

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "chat/1";
/// The longest text of a message, in bytes: pages of prose. Larger things are files.
pub(crate) const TEXT_MAX: usize = 16 * 1024;
/// The longest frame: a text, an id, the fields' names, and room for fields of later versions.
const FRAME_MAX: usize = TEXT_MAX + 1024;

/// What tells a message from all others of its sender: random bytes.
pub(crate) type MessageId = [u8; 16];

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Say {
    #[serde(with = "serde_bytes")]
    pub(crate) id: MessageId,
    pub(crate) text: String,
}

/// The answer to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    #[serde(with = "serde_bytes")]
    pub(crate) id: MessageId,
    /// 0 for stored; else why not, as a code of [`Error`].
    pub(crate) code: u32,
}

impl Receipt {
    /// The code of a message that was stored.
    pub(crate) const STORED: u32 = 0;
}

/// Checks a text, of ours or of a stranger.
pub(crate) fn check_text(text: &str) -> Result<()> {
    match text.len() {
        0 => Err(Error::invalid("a message without text")),
        length if length > TEXT_MAX => {
            Err(Error::too_large(format!("a message of {length} bytes; at most {TEXT_MAX} are allowed")))
        }
        _ => Ok(()),
    }
}

/// Receives a message; none at the end of the channel.
pub(crate) async fn read_say(reader: &mut Reader) -> Result<Option<Say>> {
    match frame::read_frame::<Say>(reader, FRAME_MAX).await? {
        Some(say) => check_text(&say.text).map(|()| Some(say)),
        None => Ok(None),
    }
}

/// Receives a receipt; none at the end of the channel.
pub(crate) async fn read_receipt(reader: &mut Reader) -> Result<Option<Receipt>> {
    frame::read_frame(reader, FRAME_MAX).await
}

/// Sends a message or a receipt.
pub(crate) async fn write<T: Serialize>(writer: &mut Writer, value: &T) -> Result<()> {
    frame::write_frame(writer, value, FRAME_MAX).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn there_and_back(id: MessageId, text in ".{0,300}", code: u32) {
            let say = Say { id, text };
            let bytes = frame::encode(&say, FRAME_MAX).unwrap();
            prop_assert_eq!(frame::decode::<Say>(&bytes).unwrap(), say);
            let receipt = Receipt { id, code };
            let bytes = frame::encode(&receipt, FRAME_MAX).unwrap();
            prop_assert_eq!(frame::decode::<Receipt>(&bytes).unwrap(), receipt);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = frame::decode::<Say>(&bytes);
            let _ = frame::decode::<Receipt>(&bytes);
        }

        #[test]
        fn damaged_messages_never_panic(id: MessageId, at: prop::sample::Index, byte: u8) {
            let mut bytes = frame::encode(&Say { id, text: "hello".to_owned() }, FRAME_MAX).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = frame::decode::<Say>(&bytes);
            prop_assert!(frame::decode::<Say>(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn the_longest_text_fits_a_frame() {
        let longest = Say { id: [255; 16], text: "x".repeat(TEXT_MAX) };
        frame::encode(&longest, FRAME_MAX).unwrap();
        check_text(&longest.text).unwrap();
        assert_eq!(check_text(&"x".repeat(TEXT_MAX + 1)).unwrap_err().code(), Error::TOO_LARGE);
        assert_eq!(check_text("").unwrap_err().code(), Error::INVALID);
    }

    #[test]
    fn ids_of_another_length_are_refused() {
        #[derive(Serialize)]
        struct Short {
            #[serde(with = "serde_bytes")]
            id: Vec<u8>,
            text: &'static str,
        }
        for length in [0, 15, 17] {
            let bytes = frame::encode(&Short { id: vec![1; length], text: "x" }, FRAME_MAX).unwrap();
            assert!(frame::decode::<Say>(&bytes).is_err(), "{length}");
        }
    }
}
