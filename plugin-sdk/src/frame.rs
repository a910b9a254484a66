//! Values as bytes, and as messages on a byte stream: MessagePack with named fields, so that versions may differ by
//! fields, behind a length of four bytes (big-endian). Made for input from strangers.

use crate::{Error, Reader, Result, Writer};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How deep a received value may nest: more than any sensible one, far less than what exhausts the stack.
const MAX_DEPTH: usize = 32;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// A value as bytes, at most `max` of them.
///
/// # Errors
/// [`Error::TOO_LARGE`], or [`Error::INTERNAL`] if the value can't be written.
pub fn encode<T: Serialize + ?Sized>(value: &T, max: usize) -> Result<Vec<u8>> {
    let bytes = rmp_serde::to_vec_named(value).map_err(|error| Error::internal(format!("can't encode: {error}")))?;
    check_length(bytes.len(), max)?;
    Ok(bytes)
}

/// The value that these bytes hold: all of them, and no more.
///
/// # Errors
/// [`Error::INVALID`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut rest = bytes;
    let mut decoder = rmp_serde::Deserializer::new(&mut rest);
    decoder.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut decoder).map_err(|_| Error::invalid("not a message of this protocol"))?;
    drop(decoder);
    if rest.is_empty() { Ok(value) } else { Err(Error::invalid("a message with bytes to spare")) }
}

/// Sends a value of at most `max` encoded bytes.
///
/// # Errors
/// As [`encode`] and [`Writer::write_vec`].
pub async fn write_frame<T: Serialize + ?Sized>(writer: &mut Writer, value: &T, max: usize) -> Result<()> {
    writer.write_vec(frame(value, max)?).await
}

/// Receives a value of at most `max` encoded bytes; none at the end of the stream.
///
/// # Errors
/// [`Error::TOO_LARGE`] and [`Error::INVALID`] for what is no such value, [`Error::CLOSED`] if the stream ends within,
/// and as [`Reader::read`].
pub async fn read_frame<T: DeserializeOwned>(reader: &mut Reader, max: usize) -> Result<Option<T>> {
    let mut length = [0; LENGTH_BYTES];
    if !reader.read_exact_or_end(&mut length).await? {
        return Ok(None);
    }
    let length = u32::from_be_bytes(length) as usize;
    // Checked before anything is allocated.
    check_length(length, max)?;
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).await?;
    decode(&bytes).map(Some)
}

fn frame<T: Serialize + ?Sized>(value: &T, max: usize) -> Result<Vec<u8>> {
    let body = encode(value, max)?;
    let length = u32::try_from(body.len()).map_err(|_| Error::too_large("a message of more than 4 GB"))?;
    Ok([&length.to_be_bytes(), body.as_slice()].concat())
}

fn check_length(length: usize, max: usize) -> Result<()> {
    if length <= max {
        return Ok(());
    }
    Err(Error::too_large(format!("a message of {length} bytes where {max} are allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Value {
        words: Vec<String>,
        #[serde(default)]
        number: Option<u64>,
    }

    proptest! {
        #[test]
        fn there_and_back(words: Vec<String>, number: Option<u64>) {
            let value = Value { words, number };
            let bytes = encode(&value, 1 << 20).unwrap();
            prop_assert!(encode(&value, bytes.len() - 1).is_err());
            prop_assert_eq!(&decode::<Value>(&bytes).unwrap(), &value);
            let framed = frame(&value, 1 << 20).unwrap();
            let length = (bytes.len() as u32).to_be_bytes();
            prop_assert_eq!(&framed[..4], length.as_slice());
            prop_assert_eq!(&framed[4..], bytes.as_slice());
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode::<Value>(&bytes);
            let _ = decode::<Vec<Vec<u8>>>(&bytes);
        }

        #[test]
        fn every_cut_is_refused(words: Vec<String>, cut: prop::sample::Index) {
            let bytes = encode(&Value { words, number: None }, 1 << 20).unwrap();
            prop_assert!(decode::<Value>(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn fields_may_come_and_go() {
        #[derive(Serialize)]
        struct Newer {
            words: Vec<String>,
            colour: &'static str,
        }
        let bytes = encode(&Newer { words: vec![], colour: "red" }, 100).unwrap();
        assert_eq!(decode::<Value>(&bytes).unwrap(), Value { words: vec![], number: None });
    }

    #[test]
    fn bombs_are_refused() {
        // An array that claims 2^32 − 1 elements; arrays nested 10,000 deep; a value followed by another.
        assert!(decode::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode::<serde_json::Value>(&[0x91; 10_000]).is_err());
        assert!(decode::<u8>(&[1, 2]).is_err());
    }
}
