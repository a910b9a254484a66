//! The real network: the overlay, driven by the node's own threads.
//!
//! Guests run on other threads. What the overlay sets going (endpoints, drivers of connections) must not run there, where a
//! guest that spins delays it: so each step that may spawn is run on, or within, the runtime of the node.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, poll_fn},
};
use mute_core::{Address, IdentityKey};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{Channel, ConnectOptions, Connection, Error, Identity, Message, Network, Reader, Stats, Writer};
use crate::{
    overlay::{self, Overlay},
    plugin::code,
};

/// The overlay as the plugins' network.
pub struct OverlayNetwork {
    overlay: Overlay,
    runtime: Handle,
}

impl OverlayNetwork {
    /// The network of a node. `runtime` is the one that drives the node's links.
    pub fn new(overlay: Overlay, runtime: Handle) -> Self {
        Self { overlay, runtime }
    }
}

impl From<overlay::Error> for Error {
    fn from(error: overlay::Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}

/// Runs a step on the node's runtime. Dropping it gives the step up.
fn on<T: Send + 'static>(
    runtime: &Handle,
    step: impl Future<Output = Result<T, overlay::Error>> + Send + 'static,
) -> BoxFuture<'static, Result<T, Error>> {
    struct Step<T>(JoinHandle<T>);
    impl<T> Drop for Step<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let runtime = runtime.clone();
    Box::pin(async move {
        let mut step = Step(runtime.spawn(step));
        match (&mut step.0).await {
            Ok(result) => result.map_err(Error::from),
            Err(_) => Err(Error { code: code::CLOSED, message: "the node is stopping".to_owned() }),
        }
    })
}

impl Network for OverlayNetwork {
    fn identity(&self, key: IdentityKey) -> BoxFuture<'static, Result<Arc<dyn Identity>, Error>> {
        let (overlay, runtime) = (self.overlay.clone(), self.runtime.clone());
        on(&self.runtime, async move {
            let inner = overlay.identity(key).await?;
            Ok(Arc::new(Living { inner, runtime }) as Arc<dyn Identity>)
        })
    }

    fn verify(&self, signer: &Address, context: &str, data: &[u8], signature: &[u8]) -> bool {
        overlay::verify(signer, context, data, signature)
    }
}

/// An identity and where its work is done.
struct Living {
    inner: overlay::Identity,
    runtime: Handle,
}

fn message(message: overlay::Message) -> Message {
    Message { sender: message.sender, topic: message.topic, id: message.id, body: message.body }
}

impl Identity for Living {
    fn address(&self) -> Address {
        self.inner.address()
    }

    fn sign(&self, context: &str, data: &[u8]) -> [u8; 64] {
        self.inner.sign(context, data)
    }

    fn broadcast(&self, topic: String, body: Bytes) -> BoxFuture<'static, Result<(), Error>> {
        let inner = self.inner.clone();
        on(&self.runtime, async move { inner.broadcast(&topic, body).await })
    }

    fn send(&self, to: Address, topic: String, body: Bytes) -> BoxFuture<'static, Result<(), Error>> {
        let inner = self.inner.clone();
        on(&self.runtime, async move { inner.send(to, &topic, body).await })
    }

    fn broadcasts(&self, topic: &str) -> Result<BoxStream<'static, Message>, Error> {
        let _within = self.runtime.enter();
        let mut heard = self.inner.broadcasts(topic)?;
        Ok(poll_fn(move |cx| heard.poll_next(cx)).map(message).boxed())
    }

    fn letters(&self, topic: &str) -> Result<BoxStream<'static, Message>, Error> {
        let _within = self.runtime.enter();
        let mut heard = self.inner.letters(topic)?;
        Ok(poll_fn(move |cx| heard.poll_next(cx)).map(message).boxed())
    }

    fn connect(&self, to: Address, options: ConnectOptions) -> BoxFuture<'static, Result<Arc<dyn Connection>, Error>> {
        let (inner, runtime) = (self.inner.clone(), self.runtime.clone());
        let ConnectOptions { protocol, show_identity, bulk, timeout } = options;
        on(&self.runtime, async move {
            let options = overlay::ConnectOptions { protocol, show_identity, bulk, timeout };
            let inner = inner.connect(to, options).await?;
            Ok(Arc::new(Connected { inner, runtime }) as Arc<dyn Connection>)
        })
    }

    fn listen(&self, protocol: &str) -> Result<BoxStream<'static, Arc<dyn Connection>>, Error> {
        let _within = self.runtime.enter();
        let mut listener = self.inner.listen(protocol)?;
        let runtime = self.runtime.clone();
        let connected = move |inner| Arc::new(Connected { inner, runtime: runtime.clone() }) as Arc<dyn Connection>;
        Ok(poll_fn(move |cx| listener.poll_next(cx)).map(connected).boxed())
    }
}

/// A connection and where its work is done.
struct Connected {
    inner: overlay::Connection,
    runtime: Handle,
}

impl Connection for Connected {
    fn peer(&self) -> Address {
        self.inner.peer()
    }

    fn peer_is_proven(&self) -> bool {
        self.inner.peer_is_proven()
    }

    fn open(&self) -> BoxFuture<'static, Result<Channel, Error>> {
        let inner = self.inner.clone();
        on(&self.runtime, async move { inner.open().await.map(channel) })
    }

    fn accept(&self) -> BoxFuture<'static, Result<Channel, Error>> {
        let inner = self.inner.clone();
        on(&self.runtime, async move { inner.accept().await.map(channel) })
    }

    fn stats(&self) -> Stats {
        let stats = self.inner.stats();
        Stats {
            round_trip: stats.round_trip,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            waiting_for: stats.waiting_for,
        }
    }

    fn close(&self, code: u32, reason: &str) {
        let _within = self.runtime.enter();
        self.inner.close(code, reason);
    }

    fn closed(&self) -> BoxFuture<'static, Error> {
        let inner = self.inner.clone();
        Box::pin(async move { inner.closed().await.into() })
    }
}

fn channel(channel: overlay::Channel) -> Channel {
    Channel { writer: Box::new(Sender(channel.writer)), reader: Box::new(Receiver(channel.reader)) }
}

/// What is sent on a channel.
struct Sender(overlay::ChannelWriter);

impl Writer for Sender {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        self.0.poll_write(cx, bytes).map_err(Error::from)
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.0.finish().await.map_err(Error::from) })
    }

    fn reset(&mut self, code: u32) {
        self.0.reset(code);
    }
}

/// What is received on a channel.
struct Receiver(overlay::ChannelReader);

impl Reader for Receiver {
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, Error>> {
        self.0.poll_read(cx, max).map_err(Error::from)
    }

    fn stop(&mut self, code: u32) {
        self.0.stop(code);
    }
}
