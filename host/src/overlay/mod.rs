//! Streams and letters between addresses (skeleton: the API that the plugin host builds against).

use std::time::Duration;

use bytes::Bytes;
use mute_core::{Address, IdentityKey};
use tokio::sync::mpsc;

/// What went wrong, by the codes of `plugin.wit`: 1 no-route, 2 timed-out, 3 refused, 4 closed, 5 denied, 6 not-found, 7 quota,
/// 8 invalid, 9 too-large, 10 busy, 11 cancelled, 12 internal; 1000 up are the plugin's own. The message is for people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error { pub code: u32, pub message: String }

/// Makes identities on one node. Cheap to clone.
#[derive(Clone)]
pub struct Overlay { /* node: node::Handle, … */ }

impl Overlay {
    pub fn new(node: crate::node::Handle) -> Self;
    /// Brings an identity to life. The same address twice at once is `invalid`.
    pub async fn identity(&self, key: IdentityKey) -> Result<Identity, Error>;
}

/// A living address. Cheap to clone; the last clone's drop closes it.
#[derive(Clone)]
pub struct Identity { /* … */ }

impl Identity {
    pub fn address(&self) -> Address;
    /// Signs with a prefix of its own: "mute/1 plugin signature" ‖ length-prefixed context ‖ data.
    pub fn sign(&self, context: &str, data: &[u8]) -> [u8; 64];
    pub async fn broadcast(&self, topic: &str, body: Bytes) -> Result<(), Error>;
    pub async fn send(&self, to: Address, topic: &str, body: Bytes) -> Result<(), Error>;
    /// Bounded; the oldest is dropped and counted. Once per topic: a second subscription is `invalid` until the first is dropped.
    pub fn broadcasts(&self, topic: &str) -> Result<Subscription, Error>;
    pub fn letters(&self, topic: &str) -> Result<Subscription, Error>;
    pub async fn connect(&self, to: Address, options: ConnectOptions) -> Result<Connection, Error>;
    pub fn listen(&self, protocol: &str) -> Result<Listener, Error>;
}
/// Checks `Identity::sign`.
pub fn verify(signer: &Address, context: &str, data: &[u8], signature: &[u8]) -> bool;

pub struct Message { pub sender: Address, pub topic: String, pub id: [u8; 16], pub body: Bytes }
pub struct Subscription { /* … */ }
impl Subscription { pub async fn next(&mut self) -> Option<Message>; pub fn poll_next(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Message>>; }
pub struct Listener { /* … */ }
impl Listener { pub async fn next(&mut self) -> Option<Connection>; pub fn poll_next(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Connection>>; }

#[derive(Clone, Debug)]
pub struct ConnectOptions { pub protocol: String, pub show_identity: bool, pub bulk: bool, pub timeout: Duration }

pub struct Stats { pub round_trip: Duration, pub bytes_sent: u64, pub bytes_received: u64, /** 0 nothing, 1 a route, 2 the peer */ pub waiting_for: u32 }

/// A reliable, encrypted connection between two addresses. Cheap to clone; the last clone's drop closes it.
#[derive(Clone)]
pub struct Connection { /* … */ }
impl Connection {
    pub fn peer(&self) -> Address;
    pub fn peer_is_proven(&self) -> bool;
    pub async fn open(&self) -> Result<Channel, Error>;
    /// The next channel that the peer opened; an error when the connection ended.
    pub async fn accept(&self) -> Result<Channel, Error>;
    pub fn stats(&self) -> Stats;
    pub fn close(&self, code: u32, reason: &str);
    pub async fn closed(&self) -> Error;
}

/// One bidirectional byte stream.
pub struct Channel { pub writer: ChannelWriter, pub reader: ChannelReader }
/// Dropped without `finish`, it resets the stream: a truncated stream never looks ended.
pub struct ChannelWriter { /* quinn::SendStream */ }
impl ChannelWriter {
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error>;
    /// For component-model consumers: poll-based write of one chunk; `Ready(Ok(n))` took the first n bytes.
    pub fn poll_write(&mut self, cx: &mut std::task::Context<'_>, bytes: &[u8]) -> std::task::Poll<Result<usize, Error>>;
    /// Ends the stream and waits until the peer has it all.
    pub async fn finish(&mut self) -> Result<(), Error>;
    pub fn reset(&mut self, code: u32);
}
pub struct ChannelReader { /* quinn::RecvStream */ }
impl ChannelReader {
    /// The next bytes in order, at most `max`; `None` at the true end.
    pub async fn read(&mut self, max: usize) -> Result<Option<Bytes>, Error>;
    pub fn poll_read(&mut self, cx: &mut std::task::Context<'_>, max: usize) -> std::task::Poll<Result<Option<Bytes>, Error>>;
    pub fn stop(&mut self, code: u32);
}
