//! A byte stream of a connection, in both directions.

use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use quinn::{ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};

use super::{Error, connection::Live, error::code};

/// What whoever opens a channel writes first, so that the peer hears of it before there is anything to say. Other values
/// are for kinds of channels to come.
const GREETING: u8 = 0;

/// One bidirectional byte stream. Its halves can be used apart, also from different tasks.
pub struct Channel {
    /// What goes to the peer.
    pub writer: ChannelWriter,
    /// What comes from the peer.
    pub reader: ChannelReader,
}

impl Channel {
    pub(crate) async fn opened(send: SendStream, receive: RecvStream, live: Arc<Live>) -> Result<Self, Error> {
        let mut writer = ChannelWriter { stream: send, live: live.clone(), ended: false };
        let reader = ChannelReader::new(receive, live, true);
        writer.stream.write_all(&[GREETING]).await.map_err(|error| writer.error(&error))?;
        Ok(Self { writer, reader })
    }

    pub(crate) fn accepted(send: SendStream, receive: RecvStream, live: Arc<Live>) -> Self {
        Self {
            writer: ChannelWriter { stream: send, live: live.clone(), ended: false },
            reader: ChannelReader::new(receive, live, false),
        }
    }
}

/// The half that writes. Dropped without [`Self::finish`], it resets the stream: a truncated stream never looks ended.
pub struct ChannelWriter {
    stream: SendStream,
    live: Arc<Live>,
    /// Finished or reset.
    ended: bool,
}

impl ChannelWriter {
    /// Writes all bytes, without copying them; waits while the peer or the network is slower.
    ///
    /// # Errors
    /// The peer stopped reading, the connection ended, or the channel was finished or reset before.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let length = bytes.len();
        self.stream.write_chunk(bytes).await.map_err(|error| self.error(&error))?;
        self.written(length);
        Ok(())
    }

    /// Writes some of the bytes: `Ready(Ok(n))` took the first `n`.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let taken = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(match taken {
            Ok(taken) => {
                self.written(taken);
                Ok(taken)
            }
            Err(error) => Err(self.error(&error)),
        })
    }

    fn written(&self, bytes: usize) {
        self.live.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.live.windows.on_written(bytes, &self.live.quinn);
    }

    fn error(&self, error: &WriteError) -> Error {
        match error {
            WriteError::ConnectionLost(error) => self.live.error(error),
            other => other.into(),
        }
    }

    /// Ends the stream and waits until the peer has it all.
    ///
    /// # Errors
    /// The peer stopped reading before the end, or the connection ended before it acknowledged all.
    pub async fn finish(&mut self) -> Result<(), Error> {
        self.stream.finish().map_err(|_| Error::invalid("the channel was finished or reset before"))?;
        self.ended = true;
        match self.stream.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err((&WriteError::Stopped(code)).into()),
            Err(StoppedError::ConnectionLost(error)) => Err(self.live.error(&error)),
            Err(StoppedError::ZeroRttRejected) => Err((&WriteError::ZeroRttRejected).into()),
        }
    }

    /// Gives up: the peer's reader gets an error with this code, whatever was written before.
    pub fn reset(&mut self, code: u32) {
        self.ended = true;
        // An error says that it was finished or reset before, which is what is wanted.
        let _ = self.stream.reset(VarInt::from_u32(code));
    }
}

impl Drop for ChannelWriter {
    fn drop(&mut self) {
        if !self.ended {
            // quinn would finish it.
            self.reset(code::CANCELLED);
        }
    }
}

/// The half that reads. Dropped before the end, it tells the peer to stop.
pub struct ChannelReader {
    stream: RecvStream,
    live: Arc<Live>,
    /// The greeting has been read, or none is due.
    greeted: bool,
    /// The end, or an error, was reached.
    ended: bool,
    /// Counted in [`Live::waiting`].
    waiting: bool,
}

impl ChannelReader {
    fn new(stream: RecvStream, live: Arc<Live>, greeted: bool) -> Self {
        Self { stream, live, greeted, ended: false, waiting: false }
    }

    /// The next bytes in order, at most `max`; `None` at the true end.
    ///
    /// # Errors
    /// The peer reset the stream, or the connection ended before the stream did.
    pub async fn read(&mut self, max: usize) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_read(cx, max)).await
    }

    /// As [`Self::read`].
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, Error>> {
        let result = self.poll_bytes(cx, max.max(1));
        self.set_waiting(result.is_pending());
        result
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            // The future keeps nothing but its arguments, so it can be made anew for each poll.
            let chunk = std::task::ready!(pin!(self.stream.read_chunk(max, true)).poll(cx));
            let mut bytes = match chunk {
                Ok(Some(chunk)) => chunk.bytes,
                Ok(None) if self.greeted => {
                    self.ended = true;
                    return Poll::Ready(Ok(None));
                }
                Ok(None) => return Poll::Ready(Err(self.not_a_channel())),
                Err(error) => return Poll::Ready(Err(self.error(&error))),
            };
            if !self.greeted {
                if bytes.first() != Some(&GREETING) {
                    return Poll::Ready(Err(self.not_a_channel()));
                }
                bytes.advance(1);
                self.greeted = true;
                if bytes.is_empty() {
                    continue;
                }
            }
            self.live.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.live.windows.on_read(bytes.len(), &self.live.quinn);
            return Poll::Ready(Ok(Some(bytes)));
        }
    }

    fn not_a_channel(&mut self) -> Error {
        self.stop(code::INVALID);
        Error::invalid("the peer opened a channel of an unknown kind")
    }

    fn error(&mut self, error: &ReadError) -> Error {
        self.ended = true;
        match error {
            ReadError::ConnectionLost(error) => self.live.error(error),
            other => other.into(),
        }
    }

    fn set_waiting(&mut self, waiting: bool) {
        if waiting != self.waiting {
            self.waiting = waiting;
            if waiting {
                self.live.waiting.fetch_add(1, Ordering::Relaxed);
            } else {
                self.live.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Tells the peer that nothing more is wanted. What was received and not read is thrown away.
    pub fn stop(&mut self, code: u32) {
        self.ended = true;
        // An error says that it had ended before, which is what is wanted.
        let _ = self.stream.stop(VarInt::from_u32(code));
    }
}

impl Drop for ChannelReader {
    fn drop(&mut self) {
        self.set_waiting(false);
        if !self.ended {
            self.stop(code::CANCELLED);
        }
    }
}
