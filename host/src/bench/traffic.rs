//! What a benchmark sends: bytes to be counted, or small messages to be returned, over whatever carries a stream.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::{
    error::{Error, Result},
    overlay::{Channel, ChannelReader, ChannelWriter},
};

/// The first byte of a stream: count what follows, then answer with the count (8 bytes, big-endian).
const COUNT: u8 = b'C';
/// The first byte of a stream: return what follows.
const RETURN: u8 = b'R';
/// How much is written at once.
const CHUNK_BYTES: usize = 64 << 10;
/// The small message of the round trips.
const MESSAGE_BYTES: usize = 64;
/// Round trips that are not counted, while buffers and caches warm up.
const WARM_UP: u32 = 32;

/// One stream in both directions.
pub(super) enum Stream {
    /// Of a QUIC connection.
    Plain(quinn::SendStream, quinn::RecvStream),
    /// Of a connection between two addresses.
    Mute(ChannelWriter, ChannelReader),
}

impl From<Channel> for Stream {
    fn from(channel: Channel) -> Self {
        Self::Mute(channel.writer, channel.reader)
    }
}

/// The error of a stream that broke.
fn broken(error: impl std::fmt::Display) -> Error {
    Error::failure(format!("the stream broke: {error}"))
}

impl Stream {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match self {
            Self::Plain(writer, _) => writer.write_chunk(bytes).await.map_err(broken),
            Self::Mute(writer, _) => writer.write(bytes).await.map_err(broken),
        }
    }

    async fn finish(&mut self) -> Result<()> {
        match self {
            Self::Plain(writer, _) => {
                writer.finish().map_err(broken)?;
                writer.stopped().await.map(drop).map_err(broken)
            }
            Self::Mute(writer, _) => writer.finish().await.map_err(broken),
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        match self {
            Self::Plain(_, reader) => {
                Ok(reader.read_chunk(CHUNK_BYTES, true).await.map_err(broken)?.map(|chunk| chunk.bytes))
            }
            Self::Mute(_, reader) => reader.read(CHUNK_BYTES).await.map_err(broken),
        }
    }

    /// Answers the other side's traffic until it ends.
    pub(super) async fn answer(mut self) -> Result<()> {
        let Some(mut first) = self.read().await? else { return Ok(()) };
        let kind = first.split_to(1);
        if kind.first() == Some(&RETURN) {
            let mut next = Some(first);
            while let Some(bytes) = next {
                if !bytes.is_empty() {
                    self.write(bytes).await?;
                }
                next = self.read().await?;
            }
        } else {
            let mut count = first.len() as u64;
            while let Some(bytes) = self.read().await? {
                count += bytes.len() as u64;
            }
            self.write(Bytes::copy_from_slice(&count.to_be_bytes())).await?;
        }
        self.finish().await
    }

    /// Sends this many bytes; the time until the other side says that it has them all.
    pub(super) async fn send(mut self, bytes: u64) -> Result<Duration> {
        let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
        let start = Instant::now();
        self.write(Bytes::from_static(&[COUNT])).await?;
        let mut left = bytes;
        while left > 0 {
            let length = left.min(CHUNK_BYTES as u64);
            // At most CHUNK_BYTES.
            self.write(chunk.slice(..length as usize)).await?;
            left -= length;
        }
        self.finish().await?;
        let answer = self.read_exactly(8).await?;
        let time = start.elapsed();
        if answer[..] != bytes.to_be_bytes() {
            return Err(Error::failure("the other side counted another number of bytes"));
        }
        Ok(time)
    }

    /// Sends small messages one after the other; how long each took to come back.
    pub(super) async fn ping(mut self, count: u32) -> Result<Vec<Duration>> {
        let message = Bytes::from_static(&[3; MESSAGE_BYTES]);
        let mut times = Vec::with_capacity(count as usize);
        self.write(Bytes::from_static(&[RETURN])).await?;
        for number in 0..count + WARM_UP {
            let start = Instant::now();
            self.write(message.clone()).await?;
            self.read_exactly(MESSAGE_BYTES).await?;
            if number >= WARM_UP {
                times.push(start.elapsed());
            }
        }
        self.finish().await?;
        Ok(times)
    }

    async fn read_exactly(&mut self, length: usize) -> Result<BytesMut> {
        let mut all = BytesMut::with_capacity(length);
        while all.len() < length {
            let bytes = self.read().await?.ok_or_else(|| broken("it ended early"))?;
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}
