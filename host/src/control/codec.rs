//! Messages to bytes and back, within bounds.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::codec::LengthDelimitedCodec;

use super::{Reply, Request};
use crate::error::{Error, Result};

/// A command line is no longer: Linux bounds one argument to 128 KiB, and a text to send may be some of them.
pub(super) const MAX_REQUEST_BYTES: usize = 256 << 10;
/// A page of results, or a text that a plugin prints at once.
pub(super) const MAX_REPLY_BYTES: usize = 4 << 20;

/// Splits a stream into messages of at most `max` bytes.
pub(super) fn framing(max: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(max).new_codec()
}

/// A message as bytes of at most `max`.
pub(super) fn encode<T: Serialize>(message: &T, max: usize) -> Result<Bytes> {
    let bytes = rmp_serde::to_vec_named(message).map_err(|_| Error::failure("a message could not be encoded"))?;
    if bytes.len() > max {
        return Err(Error::failure(format!("a message of {} bytes is too large: {max} at most", bytes.len())));
    }
    Ok(bytes.into())
}

/// The request in these bytes. Anyone of the same user may have written them.
pub fn decode_request(bytes: &[u8]) -> Result<Request> {
    if bytes.len() > MAX_REQUEST_BYTES {
        return Err(malformed());
    }
    from_bytes(bytes)
}

/// The reply in these bytes.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply> {
    if bytes.len() > MAX_REPLY_BYTES {
        return Err(malformed());
    }
    from_bytes(bytes)
}

fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut rest = bytes;
    let message = T::deserialize(&mut rmp_serde::Deserializer::new(&mut rest)).map_err(|_| malformed())?;
    if rest.is_empty() { Ok(message) } else { Err(malformed()) }
}

fn malformed() -> Error {
    Error::failure("a message on the control socket is malformed")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::control::{Argument, PROTOCOL, PluginArgument, PluginCommand, Step};

    fn commands() -> Reply {
        let argument = PluginArgument { name: "text".into(), many: true, ..PluginArgument::default() };
        Reply::Commands(vec![PluginCommand {
            name: "send".into(),
            arguments: vec![argument],
            ..PluginCommand::default()
        }])
    }

    #[test]
    fn messages_survive_the_way() {
        let requests = [
            Request::Hello { protocol: PROTOCOL },
            Request::Stop,
            Request::Invoke {
                plugin: "chat".into(),
                command: "send".into(),
                arguments: vec![Argument { name: "text".into(), value: "é\u{0}".into() }],
            },
        ];
        for request in requests {
            assert_eq!(decode_request(&encode(&request, MAX_REQUEST_BYTES).unwrap()).unwrap(), request);
        }
        let replies = [
            commands(),
            Reply::Progress(Step { total: Some(u64::MAX), ..Step::default() }),
            Reply::Failed(Error::usage("no")),
        ];
        for reply in replies {
            let read = decode_reply(&encode(&reply, MAX_REPLY_BYTES).unwrap()).unwrap();
            assert_eq!(format!("{read:?}"), format!("{reply:?}"));
        }
    }

    #[test]
    fn what_is_too_large_is_neither_sent_nor_read() {
        let request = Request::Commands { plugin: "x".repeat(MAX_REQUEST_BYTES) };
        assert!(encode(&request, MAX_REQUEST_BYTES).is_err());
        assert!(decode_request(&encode(&request, usize::MAX).unwrap()).is_err());
    }

    #[test]
    fn bytes_after_a_message_are_refused() {
        let mut bytes = encode(&Request::Status, MAX_REQUEST_BYTES).unwrap().to_vec();
        bytes.push(0);
        assert!(decode_request(&bytes).is_err());
    }

    #[test]
    fn a_field_of_a_later_version_is_ignored() {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        enum Later {
            Hello { protocol: u16, version: &'static str, mood: &'static str },
        }
        let bytes = rmp_serde::to_vec_named(&Later::Hello { protocol: 1, version: "2", mood: "good" }).unwrap();
        assert!(matches!(decode_reply(&bytes), Ok(Reply::Hello { protocol: 1, .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode_request(&bytes);
            let _ = decode_reply(&bytes);
        }

        #[test]
        fn changed_messages_do_not_panic(at in 0_usize..4096, value: u8) {
            let reply = commands();
            let mut bytes = encode(&reply, MAX_REPLY_BYTES).unwrap().to_vec();
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = decode_reply(&bytes);
        }
    }
}
