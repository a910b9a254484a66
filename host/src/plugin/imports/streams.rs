//! Streams and futures of the component model, joined to channels and polls of the host.

use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;
use wasmtime::{
    StoreContextMut,
    component::{Destination, FutureConsumer, Lift, Source, StreamConsumer, StreamProducer, StreamResult},
};

use crate::plugin::state::State;

/// Items for a guest's stream, one at a time, from something that is polled. `into` makes of an item what the guest gets; where it
/// answers `None` the item is let go (there is no place for it) and the next one is asked for.
pub(super) struct Items<P, F, T> {
    source: P,
    into: F,
    item: PhantomData<fn() -> T>,
}

/// Something that gives items; `None` ends it.
pub(super) trait Polled: Send + Unpin + 'static {
    /// What it gives.
    type Item: Send;
    /// The next item.
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;
}

impl<P, F, T> Items<P, F, T> {
    pub(super) fn new(source: P, into: F) -> Self {
        Self { source, into, item: PhantomData }
    }
}

impl<P, F, T> StreamProducer<State> for Items<P, F, T>
where
    P: Polled,
    F: FnMut(&mut State, P::Item) -> Option<T> + Send + Unpin + 'static,
    T: Send + Sync + 'static,
{
    type Item = T;
    type Buffer = Option<T>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, T, Option<T>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // A read of no items asks only whether there are some. An item taken for it could be lost, so it is told to try.
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let this = &mut *self;
        loop {
            match this.source.poll_item(cx) {
                Poll::Ready(Some(item)) => {
                    if let Some(item) = (this.into)(store.data_mut(), item) {
                        destination.set_buffer(Some(item));
                        return Poll::Ready(Ok(StreamResult::Completed));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Bytes for a guest from a queue of the host, as a command's input.
pub(in crate::plugin) struct ReceiverBytes(pub(in crate::plugin) mpsc::Receiver<Bytes>);

impl StreamProducer<State> for ReceiverBytes {
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
        loop {
            match self.0.poll_recv(cx) {
                Poll::Ready(Some(bytes)) if bytes.is_empty() => {}
                Poll::Ready(Some(bytes)) => {
                    destination.set_buffer(bytes);
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Items of a guest's stream into a queue of the host.
pub(in crate::plugin) struct Forward<T, U, F> {
    queue: PollSender<U>,
    into: F,
    item: PhantomData<fn() -> T>,
}

impl<T, U: Send + 'static, F> Forward<T, U, F> {
    pub(in crate::plugin) fn new(queue: mpsc::Sender<U>, into: F) -> Self {
        Self { queue: PollSender::new(queue), into, item: PhantomData }
    }
}

impl<T, U, F> StreamConsumer<State> for Forward<T, U, F>
where
    T: Lift + Send + Sync + 'static,
    U: Send + 'static,
    F: FnMut(T) -> U + Send + Unpin + 'static,
{
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.queue.poll_reserve(cx) {
            Poll::Ready(Ok(())) => {
                let mut item = None;
                source.read(&mut store, &mut item)?;
                if let Some(item) = item {
                    let item = (self.into)(item);
                    // The place was reserved, so this fails only if the receiver has just gone; then so will the next one.
                    let _ = self.queue.send_item(item);
                }
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The value of a guest's future, for one who waits in the host. Gone without a value, the waiter's end fails.
pub(in crate::plugin) struct Once<T>(Option<oneshot::Sender<T>>);

impl<T> Once<T> {
    pub(in crate::plugin) fn new() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }
}

impl<T: Lift + Send + Sync + 'static> FutureConsumer<State> for Once<T> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, T>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(&mut store, &mut value)?;
        if let (Some(value), Some(sender)) = (value, self.0.take()) {
            // Nobody may be waiting any more.
            let _ = sender.send(value);
        }
        Poll::Ready(Ok(()))
    }
}
