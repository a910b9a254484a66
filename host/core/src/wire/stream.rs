//! Frames on a stream: each behind its length in two bytes.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{DecodeError, MAX_FRAME};

/// The bytes before each frame that say how long it is (big-endian).
pub const LENGTH_PREFIX: usize = 2;

const _: () = assert!(MAX_FRAME <= u16::MAX as usize, "the length prefix has room for the longest frame");

/// Cuts the bytes of one stream into frames.
///
/// Feed it each received chunk until it takes no more of it. A frame that lies whole in a chunk comes out as a slice of
/// it, without a copy; one that spans chunks is gathered in a buffer, which never holds more than one frame.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// A prefix that was cut by the end of a chunk.
    half_prefix: Option<u8>,
    /// The length of the frame that is being gathered.
    awaited: Option<usize>,
    /// What has arrived of it.
    gathered: BytesMut,
}

impl FrameReader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what it can use from the front of `chunk`. `Some`: a frame, without its prefix, for
    /// [`decode_frame`](super::decode_frame), and there may be more in `chunk`; `None`: `chunk` is empty now, read on.
    ///
    /// # Errors
    /// A frame's length is zero or over [`MAX_FRAME`]; the stream cannot be read any further.
    pub fn decode_next(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        let length = match self.awaited {
            Some(length) => length,
            None => match self.read_prefix(chunk)? {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        if self.gathered.is_empty() && chunk.len() >= length {
            self.awaited = None;
            return Ok(Some(chunk.split_to(length)));
        }
        self.awaited = Some(length);
        if chunk.is_empty() {
            return Ok(None);
        }
        self.gathered.reserve(length - self.gathered.len());
        let part = chunk.split_to(chunk.len().min(length - self.gathered.len()));
        self.gathered.extend_from_slice(&part);
        if self.gathered.len() < length {
            return Ok(None);
        }
        self.awaited = None;
        Ok(Some(core::mem::take(&mut self.gathered).freeze()))
    }

    /// Whether the stream is at the end of a frame: one that ends elsewhere was cut off.
    pub fn is_between_frames(&self) -> bool {
        self.half_prefix.is_none() && self.awaited.is_none()
    }

    fn read_prefix(&mut self, chunk: &mut Bytes) -> Result<Option<usize>, DecodeError> {
        let high = match self.half_prefix.take() {
            Some(high) => high,
            None if chunk.is_empty() => return Ok(None),
            None => chunk.get_u8(),
        };
        if chunk.is_empty() {
            self.half_prefix = Some(high);
            return Ok(None);
        }
        match usize::from(u16::from_be_bytes([high, chunk.get_u8()])) {
            0 => Err(DecodeError::TooShort),
            length if length > MAX_FRAME => Err(DecodeError::TooLong),
            length => Ok(Some(length)),
        }
    }
}
