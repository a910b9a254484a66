//! Streams of bytes: of a connection's channel, of a file, of a command's input.

use crate::bindings::plugin::mute::plugin::types;
use crate::bindings::plugin::{wit_future, wit_stream};
use crate::{Error, Result};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use std::future::Future;
use std::future::IntoFuture as _;
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter};

/// How a byte stream ends: in the component model its end alone does not tell a whole one from a truncated one.
pub(crate) type End = std::result::Result<(), types::Error>;

/// Requests below this many bytes go through a buffer, so that small fields don't cost a call to the host each.
const SMALL: usize = 4 * 1024;
/// Bytes of that buffer.
const BUFFER: usize = 16 * 1024;

/// Reads a stream of bytes. A stream that broke off is an error, never an end.
///
/// Dropping the reader stops the sender. Dropping one of its futures half-way may lose bytes.
pub struct Reader {
    stream: StreamReader<u8>,
    end: Option<FutureReader<End>>,
    /// What was read and not asked for yet: `buffer[taken..]`.
    buffer: Vec<u8>,
    taken: usize,
    state: State,
}

enum State {
    Open,
    Ended,
    Failed(Error),
}

impl Reader {
    pub(crate) fn new((stream, end): (StreamReader<u8>, FutureReader<End>)) -> Self {
        Self { stream, end: Some(end), buffer: Vec::new(), taken: 0, state: State::Open }
    }

    /// A stream whose end needs no proof, such as what a user types.
    pub(crate) fn without_proof(stream: StreamReader<u8>) -> Self {
        Self { stream, end: None, buffer: Vec::new(), taken: 0, state: State::Open }
    }

    /// At least one and at most `max` bytes, as many as are there; none at the end.
    ///
    /// # Errors
    /// What broke the stream: it is not whole then.
    pub async fn read(&mut self, max: usize) -> Result<Option<Vec<u8>>> {
        let into = Vec::with_capacity(max.max(1));
        let bytes = self.append(into, max.max(1)).await?;
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// The same, appended to a buffer that is taken and given back, so that it can serve again. Unchanged at the end.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub async fn append(&mut self, mut to: Vec<u8>, max: usize) -> Result<Vec<u8>> {
        if self.taken < self.buffer.len() {
            let count = max.min(self.buffer.len() - self.taken);
            to.extend_from_slice(&self.buffer[self.taken..self.taken + count]);
            self.taken += count;
            return Ok(to);
        }
        let before = to.len();
        to.reserve_exact(max);
        let mut read = self.fill(to).await?;
        if read.len() - before > max {
            // The allocator gave more room than asked for, and the host filled it.
            self.buffer = read.split_off(before + max);
            self.taken = 0;
        }
        Ok(read)
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`Error::CLOSED`] if the stream ends before, and as [`Reader::read`].
    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<()> {
        if bytes.is_empty() || self.read_exact_or_end(bytes).await? { Ok(()) } else { Err(ended_early()) }
    }

    /// Fills `bytes` and says true, or says false if the stream ends before the first.
    ///
    /// # Errors
    /// [`Error::CLOSED`] if the stream ends in the midst, and as [`Reader::read`].
    pub async fn read_exact_or_end(&mut self, bytes: &mut [u8]) -> Result<bool> {
        let mut done = 0;
        while done < bytes.len() {
            if self.taken == self.buffer.len() && bytes.len() - done >= SMALL {
                let chunk = self.append(Vec::new(), bytes.len() - done).await?;
                bytes[done..done + chunk.len()].copy_from_slice(&chunk);
                done += chunk.len();
                if !chunk.is_empty() {
                    continue;
                }
            } else if self.taken < self.buffer.len() || self.refill().await? {
                let count = (bytes.len() - done).min(self.buffer.len() - self.taken);
                bytes[done..done + count].copy_from_slice(&self.buffer[self.taken..self.taken + count]);
                (self.taken, done) = (self.taken + count, done + count);
                continue;
            }
            return if done == 0 { Ok(false) } else { Err(ended_early()) };
        }
        Ok(true)
    }

    /// All that comes until the end, at most `max` bytes.
    ///
    /// # Errors
    /// [`Error::TOO_LARGE`], and as [`Reader::read`].
    pub async fn read_to_end(&mut self, max: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let before = all.len();
            all = self.append(all, BUFFER).await?;
            if all.len() > max {
                return Err(Error::too_large(format!("more than {max} bytes")));
            }
            if all.len() == before {
                return Ok(all);
            }
        }
    }

    async fn refill(&mut self) -> Result<bool> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.reserve_exact(BUFFER);
        self.taken = 0;
        self.buffer = self.fill(buffer).await?;
        Ok(!self.buffer.is_empty())
    }

    /// Reads into the spare room of `to`; unchanged at the end.
    async fn fill(&mut self, to: Vec<u8>) -> Result<Vec<u8>> {
        match &self.state {
            State::Open => {}
            State::Ended => return Ok(to),
            State::Failed(error) => return Err(error.clone()),
        }
        let (status, to) = self.stream.read(to).await;
        if let StreamResult::Complete(_) = status {
            return Ok(to);
        }
        let end = match self.end.take() {
            Some(end) => end.into_future().await.map_err(Error::from),
            None => Ok(()),
        };
        self.state = end.clone().map_or_else(State::Failed, |()| State::Ended);
        end.map(|()| to)
    }
}

fn ended_early() -> Error {
    Error::closed("the stream ended in the midst of a message")
}

/// Writes a stream of bytes. It is whole only after [`Writer::finish`]: one that is dropped before reaches the reader
/// as broken.
pub struct Writer {
    stream: Option<StreamWriter<u8>>,
    end: Option<FutureWriter<End>>,
    /// The host at work: ends when it has taken everything, or failed.
    sending: Option<LocalBoxFuture<'static, Result<()>>>,
    failed: Option<Error>,
}

impl Writer {
    /// Starts `send`, which hands the stream and its end to the host.
    pub(crate) fn start<F>(send: impl FnOnce(StreamReader<u8>, FutureReader<End>) -> F) -> Self
    where
        F: Future<Output = End> + 'static,
    {
        let (stream, stream_read) = wit_stream::new::<u8>();
        let (end, end_read) = wit_future::new::<End>(|| Err(Error::cancelled().into()));
        let call = send(stream_read, end_read);
        let mut sending = async move { call.await.map_err(Error::from) }.boxed_local();
        // A call to the host begins when it is polled first; from then on the host works on its own.
        let (sending, failed) = match (&mut sending).now_or_never() {
            None => (Some(sending), None),
            Some(result) => (None, result.err()),
        };
        Self { stream: Some(stream), end: Some(end), sending, failed }
    }

    /// Writes all of `bytes`; waits while the other side is slow.
    ///
    /// # Errors
    /// Why the host takes no more.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_vec(bytes.to_vec()).await
    }

    /// The same without a copy.
    ///
    /// # Errors
    /// As [`Writer::write_all`].
    pub async fn write_vec(&mut self, bytes: Vec<u8>) -> Result<()> {
        let Some(stream) = self.stream.as_mut() else {
            return Err(self.failed.clone().unwrap_or_else(|| Error::closed("the stream was closed")));
        };
        if bytes.is_empty() || stream.write_all(bytes).await.is_empty() {
            return Ok(());
        }
        // The host reads no more: its answer says why.
        self.stream = None;
        let why = self.outcome().await.err().unwrap_or_else(|| Error::closed("the other side reads no more"));
        self.failed = Some(why.clone());
        Err(why)
    }

    /// Ends the stream as whole, and waits until the host has taken all of it.
    ///
    /// # Errors
    /// As [`Writer::write_all`].
    pub async fn finish(mut self) -> Result<()> {
        self.stream = None;
        if let Some(end) = self.end.take() {
            // Fails if the host stopped reading; the outcome says why.
            let _ = end.write(Ok(())).await;
        }
        self.outcome().await
    }

    async fn outcome(&mut self) -> Result<()> {
        if let Some(sending) = self.sending.take() {
            return sending.await;
        }
        self.failed.clone().map_or(Ok(()), Err)
    }
}
