//! Identities over a network that a test controls.

mod connecting;
mod fake;
mod messages;
mod real;
mod sizes;
mod streams;
mod trails;

use std::time::Duration;

use bytes::Bytes;
use mute_core::Profile;

use super::{Channel, ConnectOptions, Connection, Error, Identity, Listener};
use fake::Net;

/// Nothing here takes so long, unless it hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// Fails instead of hanging.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it hangs")
}

fn options(protocol: &str) -> ConnectOptions {
    ConnectOptions { protocol: protocol.into(), show_identity: true, bulk: true, timeout: Duration::from_secs(30) }
}

/// A network with two identities, the second of which listens to "test".
struct Pair {
    net: Net,
    alice: Identity,
    bob: Identity,
    listener: Listener,
}

impl Pair {
    async fn new() -> Self {
        Self::within(Profile::Fast).await
    }

    async fn within(profile: Profile) -> Self {
        let net = Net::new(profile);
        let (alice, bob) = (net.identity(1), net.identity(2));
        let listener = bob.listen("test").expect("a listener");
        settle().await;
        Self { net, alice, bob, listener }
    }

    async fn connect(&mut self) -> (Connection, Connection) {
        let (ours, theirs) = within(async {
            tokio::join!(self.alice.connect(self.bob.address(), options("test")), self.listener.next())
        })
        .await;
        (ours.expect("a connection"), theirs.expect("a connection"))
    }
}

/// Lets the tasks of identities do what is to do.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A channel and its other end.
async fn channel(ours: &Connection, theirs: &Connection) -> (Channel, Channel) {
    let (here, there) = within(async { tokio::join!(ours.open(), theirs.accept()) }).await;
    (here.expect("a channel"), there.expect("a channel"))
}

/// Bytes that repeat nowhere near.
fn content(length: usize) -> Bytes {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"content");
    let mut bytes = vec![0; length];
    hasher.finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// Writes it all and ends the stream.
async fn send_all(mut channel: Channel, bytes: Bytes) -> Result<(), Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(64 << 10));
        channel.writer.write(chunk).await?;
    }
    channel.writer.finish().await
}

/// Reads to the true end: how many bytes, and their hash.
async fn receive_all(channel: &mut Channel) -> Result<(usize, blake3::Hash), Error> {
    let (mut length, mut hasher) = (0, blake3::Hasher::new());
    while let Some(bytes) = channel.reader.read(1 << 20).await? {
        length += bytes.len();
        hasher.update(&bytes);
    }
    Ok((length, hasher.finalize()))
}
