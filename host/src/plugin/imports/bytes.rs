//! Streams of bytes between guest memory and channels or files: few copies, and an end that says how it ended.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::PollSender;
use wasmtime::{
    StoreContextMut,
    component::{Destination, Source, StreamConsumer, StreamProducer, StreamResult},
};

use crate::plugin::{
    bindings::mute::plugin::types::Error,
    code, limits,
    network::{Reader, Writer},
    state::{State, count},
};

/// How a stream of bytes ended.
pub(super) type End = Result<(), Error>;

/// One half of a channel: held by its resource, which may reset it, and by the stream that uses it.
pub(super) struct Half<T: ?Sized>(Arc<Mutex<HalfState<T>>>);

/// A half, until it is reset or taken.
struct HalfState<T: ?Sized> {
    was_reset: bool,
    /// Who waits on the half, and would never be woken once it is gone.
    waker: Option<Waker>,
    half: Option<Box<T>>,
}

impl<T: ?Sized> Clone for Half<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Half<T> {
    pub(super) fn new(half: Box<T>) -> Self {
        Self(Arc::new(Mutex::new(HalfState { was_reset: false, waker: None, half: Some(half) })))
    }

    fn lock(&self) -> MutexGuard<'_, HalfState<T>> {
        // Nothing that can panic leaves the state between two steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the half out, to use it where nobody else can.
    pub(super) fn take(&self) -> Option<Box<T>> {
        self.lock().half.take()
    }

    /// Ends the half by `last`, and whoever waits on it.
    pub(super) fn reset(&self, last: impl FnOnce(&mut T)) {
        let mut state = self.lock();
        state.was_reset = true;
        if let Some(mut half) = state.half.take() {
            last(&mut half);
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Resolves when the half is reset.
    pub(super) async fn was_reset(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.was_reset {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// What a stream is told whose channel was reset by its own plugin.
pub(super) fn was_reset() -> Error {
    Error::new(code::CANCELLED, "the channel was reset")
}

/// What was received, into guest memory.
pub(super) struct ChannelSource {
    pub(super) half: Half<dyn Reader>,
    pub(super) end: Option<oneshot::Sender<End>>,
    /// The channel's place among the plugin's channels.
    pub(super) _place: Arc<OwnedSemaphorePermit>,
}

impl ChannelSource {
    fn ended(&mut self, end: End) -> StreamResult {
        self.half.take();
        if let Some(sender) = self.end.take() {
            // The guest may not care.
            let _ = sender.send(end);
        }
        StreamResult::Dropped
    }
}

impl StreamProducer<State> for ChannelSource {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // A read of no bytes asks only whether there are some; it is told to try.
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let shared = Arc::clone(&store.data().shared);
        let half = self.half.clone();
        let mut state = half.lock();
        let Some(reader) = state.half.as_mut() else {
            drop(state);
            return Poll::Ready(Ok(self.ended(Err(was_reset()))));
        };
        // Packets are small: as many as there are go into the guest's buffer at once.
        let mut destination = destination.as_direct(store, limits::CHANNEL_CHUNK);
        let space = destination.remaining();
        let mut filled = 0;
        let end = loop {
            if filled == space.len() {
                break None;
            }
            match reader.poll_read(cx, space.len() - filled) {
                Poll::Ready(Ok(Some(bytes))) => match space.get_mut(filled..filled + bytes.len()) {
                    Some(place) => {
                        place.copy_from_slice(&bytes);
                        filled += bytes.len();
                    }
                    None => break Some(Err(Error::new(code::INTERNAL, "more was read than was asked for"))),
                },
                Poll::Ready(Ok(None)) => break Some(Ok(())),
                Poll::Ready(Err(error)) => break Some(Err(error.into())),
                Poll::Pending => break None,
            }
        };
        if filled == 0 && end.is_none() {
            state.waker = Some(cx.waker().clone());
            return if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending };
        }
        drop(state);
        destination.mark_written(filled);
        count(&shared.bytes_in, filled);
        Poll::Ready(Ok(end.map_or(StreamResult::Completed, |end| self.ended(end))))
    }
}

impl Drop for ChannelSource {
    fn drop(&mut self) {
        // The guest let go of the stream before its end: the sender shall stop.
        self.half.reset(|reader| reader.stop(code::CANCELLED));
        if let Some(sender) = self.end.take() {
            let _ = sender.send(Err(Error::new(code::CANCELLED, "the stream was dropped before its end")));
        }
    }
}

/// What is to be sent, from guest memory.
pub(super) struct ChannelSink {
    pub(super) half: Half<dyn Writer>,
    pub(super) end: Option<oneshot::Sender<End>>,
}

impl ChannelSink {
    fn ended(&mut self, end: End) -> StreamResult {
        if let Some(sender) = self.end.take() {
            // The guest may have given the call up.
            let _ = sender.send(end);
        }
        StreamResult::Dropped
    }
}

impl StreamConsumer<State> for ChannelSink {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let shared = Arc::clone(&store.data().shared);
        let half = self.half.clone();
        let mut state = half.lock();
        let Some(writer) = state.half.as_mut() else {
            drop(state);
            return Poll::Ready(Ok(self.ended(Err(was_reset()))));
        };
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        if bytes.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let (mut taken, length) = (0, bytes.len());
        let error = loop {
            match writer.poll_write(cx, &bytes[taken..]) {
                Poll::Ready(Ok(written)) => taken += written.min(length - taken),
                Poll::Ready(Err(error)) => break Some(error),
                Poll::Pending => break None,
            }
            if taken == length {
                break None;
            }
        };
        if taken == 0 && error.is_none() {
            state.waker = Some(cx.waker().clone());
            return if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending };
        }
        drop(state);
        source.mark_read(taken);
        count(&shared.bytes_out, taken);
        Poll::Ready(Ok(error.map_or(StreamResult::Completed, |error| self.ended(Err(error.into())))))
    }
}

impl Drop for ChannelSink {
    fn drop(&mut self) {
        self.ended(Ok(()));
    }
}

/// A file's bytes as its reading task hands them over; `None` is the end.
pub(super) type FileChunk = Result<Option<Bytes>, Error>;

/// A file's bytes, for a guest.
pub(super) struct FileSource {
    pub(super) chunks: mpsc::Receiver<FileChunk>,
    pub(super) end: Option<oneshot::Sender<End>>,
}

impl FileSource {
    fn ended(&mut self, end: End) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(sender) = self.end.take() {
            let _ = sender.send(end);
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl StreamProducer<State> for FileSource {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.chunks.poll_recv(cx) {
            Poll::Ready(Some(Ok(Some(bytes)))) => {
                destination.set_buffer(bytes);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Some(Ok(None))) => self.ended(Ok(())),
            Poll::Ready(Some(Err(error))) => self.ended(Err(error)),
            // Gone without a word: never an end.
            Poll::Ready(None) => self.ended(Err(Error::new(code::INTERNAL, "reading the file failed"))),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A guest's bytes, for a file.
pub(super) struct FileSink(pub(super) PollSender<Bytes>);

impl StreamConsumer<State> for FileSink {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.0.poll_reserve(cx) {
            Poll::Ready(Ok(())) => {
                let mut source = source.as_direct(store);
                let bytes = source.remaining();
                let bytes = Bytes::copy_from_slice(&bytes[..bytes.len().min(limits::COPY_CHUNK)]);
                if bytes.is_empty() {
                    self.0.abort_send();
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                source.mark_read(bytes.len());
                // The place was reserved; the writing task says in its own answer why it went away.
                let _ = self.0.send_item(bytes);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
