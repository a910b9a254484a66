//! What a plugin's routing interface stands on: the anonymous network as objects, so that the plugin host runs the same over
//! the real overlay and over one in memory.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use mute_core::{Address, IdentityKey};

/// Two identities of one process, joined without a network; for tests and for trying a plugin out.
pub mod memory;
/// The network of a node.
pub mod overlay;

/// What went wrong, by the codes of `plugin.wit`; the message is for people and names no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// A code of `plugin.wit`; 1000 up are the plugins' own.
    pub code: u32,
    /// One lower-case line.
    pub message: String,
}

/// A network that identities can live on.
pub trait Network: Send + Sync + 'static {
    /// Brings an identity to life.
    fn identity(&self, key: IdentityKey) -> BoxFuture<'static, Result<Arc<dyn Identity>, Error>>;
    /// Checks what [`Identity::sign`] made.
    fn verify(&self, signer: &Address, context: &str, data: &[u8], signature: &[u8]) -> bool;
}

/// A living address; the last reference's drop closes it.
pub trait Identity: Send + Sync + 'static {
    /// The address.
    fn address(&self) -> Address;
    /// Signs with a prefix that no other use of the key has.
    fn sign(&self, context: &str, data: &[u8]) -> [u8; 64];
    /// Floods a question.
    fn broadcast(&self, topic: String, body: Bytes) -> BoxFuture<'static, Result<(), Error>>;
    /// Sends an unreliable letter.
    fn send(&self, to: Address, topic: String, body: Bytes) -> BoxFuture<'static, Result<(), Error>>;
    /// Broadcasts heard on a topic; bounded, the oldest is dropped.
    fn broadcasts(&self, topic: &str) -> Result<BoxStream<'static, Message>, Error>;
    /// Letters received on a topic; bounded, the oldest is dropped.
    fn letters(&self, topic: &str) -> Result<BoxStream<'static, Message>, Error>;
    /// Connects to an address. Dropping the future gives up.
    fn connect(&self, to: Address, options: ConnectOptions) -> BoxFuture<'static, Result<Arc<dyn Connection>, Error>>;
    /// Connections that others make.
    fn listen(&self, protocol: &str) -> Result<BoxStream<'static, Arc<dyn Connection>>, Error>;
}

/// A broadcast or a letter.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who sent it.
    pub sender: Address,
    /// Its topic.
    pub topic: String,
    /// Its hash.
    pub id: [u8; 16],
    /// What it says.
    pub body: Bytes,
}

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// What is to be spoken; the listener names the same.
    pub protocol: String,
    /// Whether to prove our address to the peer.
    pub show_identity: bool,
    /// Whether throughput counts more than delay.
    pub bulk: bool,
    /// When to give up.
    pub timeout: Duration,
}

/// Figures of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// The smoothed round-trip time.
    pub round_trip: Duration,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// 0 nothing, 1 a route, 2 the peer.
    pub waiting_for: u32,
}

/// A reliable connection; the last reference's drop closes it.
pub trait Connection: Send + Sync + 'static {
    /// Whom it leads to.
    fn peer(&self) -> Address;
    /// Whether the peer has proven that address.
    fn peer_is_proven(&self) -> bool;
    /// Opens a channel.
    fn open(&self) -> BoxFuture<'static, Result<Channel, Error>>;
    /// The next channel that the peer opened; an error when the connection ended.
    fn accept(&self) -> BoxFuture<'static, Result<Channel, Error>>;
    /// Figures.
    fn stats(&self) -> Stats;
    /// Ends it.
    fn close(&self, code: u32, reason: &str);
    /// Resolves when it has ended, and says why.
    fn closed(&self) -> BoxFuture<'static, Error>;
}

/// One bidirectional byte stream.
pub struct Channel {
    /// What we send.
    pub writer: Box<dyn Writer>,
    /// What we receive.
    pub reader: Box<dyn Reader>,
}

/// Dropped without a completed `finish` it resets its stream: a truncated stream never looks ended.
pub trait Writer: Send + 'static {
    /// Takes the first n bytes.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>>;
    /// Ends the stream and waits until the peer has it all.
    fn finish(&mut self) -> BoxFuture<'_, Result<(), Error>>;
    /// Gives the stream up.
    fn reset(&mut self, code: u32);
}

/// Dropped before the end it tells the sender to stop.
pub trait Reader: Send + 'static {
    /// The next bytes, at most `max`; `None` at the true end.
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, Error>>;
    /// Tells the sender to stop.
    fn stop(&mut self, code: u32);
}
