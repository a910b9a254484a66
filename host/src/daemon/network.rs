//! The overlay as the network that plugins live on.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use mute_core::{Address, IdentityKey};

use crate::{
    overlay::{self, Overlay},
    plugin::network::{
        Channel, ConnectOptions, Connection, Error, Identity, Message, Network, Reader, Stats, Writer,
    },
};

/// The real network.
pub(super) struct Anonymous(pub(super) Overlay);

/// An identity on it.
struct Living(overlay::Identity);

/// A connection over it.
struct Link(overlay::Connection);

/// The two ends of a channel.
struct Sending(overlay::ChannelWriter);
struct Receiving(overlay::ChannelReader);

/// Both sides use the codes of `plugin.wit`.
fn error(error: overlay::Error) -> Error {
    Error { code: error.code, message: error.message }
}

fn channel(channel: overlay::Channel) -> Channel {
    Channel { writer: Box::new(Sending(channel.writer)), reader: Box::new(Receiving(channel.reader)) }
}

fn connection(connection: overlay::Connection) -> Arc<dyn Connection> {
    Arc::new(Link(connection))
}

fn messages(subscription: overlay::Subscription) -> BoxStream<'static, Message> {
    let next = |mut subscription: overlay::Subscription| async move {
        let overlay::Message { sender, topic, id, body } = subscription.next().await?;
        Some((Message { sender, topic, id, body }, subscription))
    };
    stream::unfold(subscription, next).boxed()
}

impl Network for Anonymous {
    fn identity(&self, key: IdentityKey) -> BoxFuture<'static, Result<Arc<dyn Identity>, Error>> {
        let overlay = self.0.clone();
        async move {
            let identity = overlay.identity(key).await.map_err(error)?;
            Ok(Arc::new(Living(identity)) as Arc<dyn Identity>)
        }
        .boxed()
    }

    fn verify(&self, signer: &Address, context: &str, data: &[u8], signature: &[u8]) -> bool {
        overlay::verify(signer, context, data, signature)
    }
}

impl Identity for Living {
    fn address(&self) -> Address {
        self.0.address()
    }

    fn sign(&self, context: &str, data: &[u8]) -> [u8; 64] {
        self.0.sign(context, data)
    }

    fn broadcast(&self, topic: String, body: Bytes) -> BoxFuture<'static, Result<(), Error>> {
        let identity = self.0.clone();
        async move { identity.broadcast(&topic, body).await.map_err(error) }.boxed()
    }

    fn send(&self, to: Address, topic: String, body: Bytes) -> BoxFuture<'static, Result<(), Error>> {
        let identity = self.0.clone();
        async move { identity.send(to, &topic, body).await.map_err(error) }.boxed()
    }

    fn broadcasts(&self, topic: &str) -> Result<BoxStream<'static, Message>, Error> {
        self.0.broadcasts(topic).map(messages).map_err(error)
    }

    fn letters(&self, topic: &str) -> Result<BoxStream<'static, Message>, Error> {
        self.0.letters(topic).map(messages).map_err(error)
    }

    fn connect(&self, to: Address, options: ConnectOptions) -> BoxFuture<'static, Result<Arc<dyn Connection>, Error>> {
        let identity = self.0.clone();
        let ConnectOptions { protocol, show_identity, bulk, timeout } = options;
        let options = overlay::ConnectOptions { protocol, show_identity, bulk, timeout };
        async move { identity.connect(to, options).await.map(connection).map_err(error) }.boxed()
    }

    fn listen(&self, protocol: &str) -> Result<BoxStream<'static, Arc<dyn Connection>>, Error> {
        let next = |mut listener: overlay::Listener| async move {
            let next = listener.next().await?;
            Some((connection(next), listener))
        };
        Ok(stream::unfold(self.0.listen(protocol).map_err(error)?, next).boxed())
    }
}

impl Connection for Link {
    fn peer(&self) -> Address {
        self.0.peer()
    }

    fn peer_is_proven(&self) -> bool {
        self.0.peer_is_proven()
    }

    fn open(&self) -> BoxFuture<'static, Result<Channel, Error>> {
        let connection = self.0.clone();
        async move { connection.open().await.map(channel).map_err(error) }.boxed()
    }

    fn accept(&self) -> BoxFuture<'static, Result<Channel, Error>> {
        let connection = self.0.clone();
        async move { connection.accept().await.map(channel).map_err(error) }.boxed()
    }

    fn stats(&self) -> Stats {
        let overlay::Stats { round_trip, bytes_sent, bytes_received, waiting_for } = self.0.stats();
        Stats { round_trip, bytes_sent, bytes_received, waiting_for }
    }

    fn close(&self, code: u32, reason: &str) {
        self.0.close(code, reason);
    }

    fn closed(&self) -> BoxFuture<'static, Error> {
        let connection = self.0.clone();
        async move { error(connection.closed().await) }.boxed()
    }
}

impl Writer for Sending {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        self.0.poll_write(cx, bytes).map_err(error)
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        async move { self.0.finish().await.map_err(error) }.boxed()
    }

    fn reset(&mut self, code: u32) {
        self.0.reset(code);
    }
}

impl Reader for Receiving {
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, Error>> {
        self.0.poll_read(cx, max).map_err(error)
    }

    fn stop(&mut self, code: u32) {
        self.0.stop(code);
    }
}
