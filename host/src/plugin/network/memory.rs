//! A network within one process: who lives on it finds whoever else does, at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, poll_fn},
};
use mute_core::{Address, IdentityKey};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::PollSender;

use super::{Channel, ConnectOptions, Connection, Error, Identity, Message, Network, Reader, Stats, Writer};
use crate::{overlay, plugin::code};

/// Messages and connections that wait for an identity.
const WAITING: usize = 64;
/// Chunks that wait in a channel …
const CHUNKS: usize = 16;
/// … of at most this many bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// A network within one process. Cheap to clone; clones are the same network.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    living: Arc<Mutex<HashMap<Address, Weak<Life>>>>,
}

/// What an identity listens to.
#[derive(Default)]
struct Ears {
    broadcasts: HashMap<String, mpsc::Sender<Message>>,
    letters: HashMap<String, mpsc::Sender<Message>>,
    listeners: HashMap<String, mpsc::Sender<Arc<dyn Connection>>>,
}

struct Life {
    network: MemoryNetwork,
    key: IdentityKey,
    ears: Mutex<Ears>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The holders only insert and remove, so what a panic leaves is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(code: u32, message: &str) -> Error {
    Error { code, message: message.to_owned() }
}

impl Network for MemoryNetwork {
    fn identity(&self, key: IdentityKey) -> BoxFuture<'static, Result<Arc<dyn Identity>, Error>> {
        let network = self.clone();
        Box::pin(async move {
            let address = key.address();
            let life = Arc::new(Life { network: network.clone(), key, ears: Mutex::default() });
            let mut living = lock(&network.living);
            living.retain(|_, life| life.strong_count() > 0);
            if living.contains_key(&address) {
                return Err(error(code::INVALID, "this address is in use"));
            }
            living.insert(address, Arc::downgrade(&life));
            Ok(life as Arc<dyn Identity>)
        })
    }

    fn verify(&self, signer: &Address, context: &str, data: &[u8], signature: &[u8]) -> bool {
        overlay::verify(signer, context, data, signature)
    }
}

impl Life {
    fn message(&self, topic: &str, body: Bytes) -> Message {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(&body).as_bytes()[..16]);
        Message { sender: self.key.address(), topic: topic.to_owned(), id, body }
    }

    fn others(&self) -> Vec<Arc<Life>> {
        let own = self.key.address();
        let living = lock(&self.network.living);
        living.iter().filter(|(address, _)| **address != own).filter_map(|(_, life)| life.upgrade()).collect()
    }
}

/// A stream that ends when nobody can send to it any more.
fn heard<T: Send + 'static>(
    ears: &mut HashMap<String, mpsc::Sender<T>>,
    name: &str,
) -> Result<BoxStream<'static, T>, Error> {
    if ears.get(name).is_some_and(|sender| !sender.is_closed()) {
        return Err(error(code::INVALID, "this is listened to already"));
    }
    let (sender, mut receiver) = mpsc::channel(WAITING);
    ears.insert(name.to_owned(), sender);
    Ok(poll_fn(move |cx| receiver.poll_recv(cx)).boxed())
}

impl Identity for Life {
    fn address(&self) -> Address {
        self.key.address()
    }

    fn sign(&self, context: &str, data: &[u8]) -> [u8; 64] {
        self.key.sign(&overlay::plugin_text(context, data))
    }

    fn broadcast(&self, topic: String, body: Bytes) -> BoxFuture<'static, Result<(), Error>> {
        let message = self.message(&topic, body);
        for other in self.others() {
            if let Some(sender) = lock(&other.ears).broadcasts.get(&topic) {
                // A full queue loses it, as the real network does.
                let _ = sender.try_send(message.clone());
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn send(&self, to: Address, topic: String, body: Bytes) -> BoxFuture<'static, Result<(), Error>> {
        let message = self.message(&topic, body);
        let life = lock(&self.network.living).get(&to).and_then(Weak::upgrade);
        if let Some(sender) = life.as_ref().and_then(|life| lock(&life.ears).letters.get(&topic).cloned()) {
            // A full queue loses it, as the real network does.
            let _ = sender.try_send(message);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn broadcasts(&self, topic: &str) -> Result<BoxStream<'static, Message>, Error> {
        heard(&mut lock(&self.ears).broadcasts, topic)
    }

    fn letters(&self, topic: &str) -> Result<BoxStream<'static, Message>, Error> {
        heard(&mut lock(&self.ears).letters, topic)
    }

    fn connect(&self, to: Address, options: ConnectOptions) -> BoxFuture<'static, Result<Arc<dyn Connection>, Error>> {
        let (network, own) = (self.network.clone(), self.key.address());
        Box::pin(async move {
            let life = lock(&network.living).get(&to).and_then(Weak::upgrade);
            let listener = life.as_ref().and_then(|life| lock(&life.ears).listeners.get(&options.protocol).cloned());
            let listener = listener.ok_or_else(|| error(code::NO_ROUTE, "nobody listens there"))?;
            let (ours, theirs) = MemoryConnection::pair(own, to, options.show_identity);
            listener.send(theirs).await.map_err(|_| error(code::NO_ROUTE, "nobody listens there"))?;
            Ok(ours)
        })
    }

    fn listen(&self, protocol: &str) -> Result<BoxStream<'static, Arc<dyn Connection>>, Error> {
        heard(&mut lock(&self.ears).listeners, protocol)
    }
}

/// One end of a connection.
struct MemoryConnection {
    peer: Address,
    is_proven: bool,
    to_peer: mpsc::Sender<Channel>,
    from_peer: Arc<tokio::sync::Mutex<mpsc::Receiver<Channel>>>,
    /// Why it ended; both ends share it.
    ended: watch::Sender<Option<Error>>,
}

impl MemoryConnection {
    fn pair(from: Address, to: Address, is_shown: bool) -> (Arc<dyn Connection>, Arc<dyn Connection>) {
        let (to_callee, from_caller) = mpsc::channel(WAITING);
        let (to_caller, from_callee) = mpsc::channel(WAITING);
        let ended = watch::Sender::new(None);
        let end = |peer, is_proven, to_peer, from_peer| {
            let from_peer = Arc::new(tokio::sync::Mutex::new(from_peer));
            Arc::new(Self { peer, is_proven, to_peer, from_peer, ended: ended.clone() }) as Arc<dyn Connection>
        };
        (end(to, true, to_callee, from_callee), end(from, is_shown, to_caller, from_caller))
    }

    fn ended(&self) -> BoxFuture<'static, Error> {
        let mut ended = self.ended.subscribe();
        Box::pin(async move {
            let reason = ended.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
            reason.unwrap_or_else(|| error(code::CLOSED, "the connection is closed"))
        })
    }
}

impl Connection for MemoryConnection {
    fn peer(&self) -> Address {
        self.peer
    }

    fn peer_is_proven(&self) -> bool {
        self.is_proven
    }

    fn open(&self) -> BoxFuture<'static, Result<Channel, Error>> {
        let (to_peer, ended) = (self.to_peer.clone(), self.ended());
        Box::pin(async move {
            let ((writer, their_reader), (their_writer, reader)) = (pipe(), pipe());
            tokio::select! {
                biased;
                reason = ended => Err(reason),
                sent = to_peer.send(Channel { writer: their_writer, reader: their_reader }) => {
                    sent.map_err(|_| error(code::CLOSED, "the connection is closed"))?;
                    Ok(Channel { writer, reader })
                }
            }
        })
    }

    fn accept(&self) -> BoxFuture<'static, Result<Channel, Error>> {
        let (from_peer, ended) = (Arc::clone(&self.from_peer), self.ended());
        Box::pin(async move {
            let next = async { from_peer.lock().await.recv().await };
            tokio::select! {
                reason = ended => Err(reason),
                channel = next => channel.ok_or_else(|| error(code::CLOSED, "the connection is closed")),
            }
        })
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }

    fn close(&self, code: u32, reason: &str) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            ended.get_or_insert_with(|| error(code, reason));
            is_first
        });
    }

    fn closed(&self) -> BoxFuture<'static, Error> {
        self.ended()
    }
}

impl Drop for MemoryConnection {
    fn drop(&mut self) {
        self.close(code::CLOSED, "the connection is closed");
    }
}

/// What goes through a pipe.
enum Frame {
    Data(Bytes),
    /// The end; answered when it was read.
    End(oneshot::Sender<()>),
    Reset(u32),
}

fn pipe() -> (Box<dyn Writer>, Box<dyn Reader>) {
    let (sender, frames) = mpsc::channel(CHUNKS);
    (Box::new(PipeWriter { frames: PollSender::new(sender) }), Box::new(PipeReader { frames, rest: Bytes::new() }))
}

struct PipeWriter {
    frames: PollSender<Frame>,
}

impl Writer for PipeWriter {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let stopped = || error(code::CANCELLED, "the peer stopped reading");
        std::task::ready!(self.frames.poll_reserve(cx)).map_err(|_| stopped())?;
        let taken = bytes.len().min(CHUNK_BYTES);
        let sent = self.frames.send_item(Frame::Data(Bytes::copy_from_slice(&bytes[..taken])));
        Poll::Ready(sent.map(|()| taken).map_err(|_| stopped()))
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let stopped = || error(code::CANCELLED, "the peer stopped reading");
            let (read, was_read) = oneshot::channel();
            std::future::poll_fn(|cx| self.frames.poll_reserve(cx)).await.map_err(|_| stopped())?;
            self.frames.send_item(Frame::End(read)).map_err(|_| stopped())?;
            was_read.await.map_err(|_| stopped())
        })
    }

    fn reset(&mut self, code: u32) {
        if let Some(frames) = self.frames.get_ref() {
            // In a full pipe the reset is the drop that follows it.
            let _ = frames.try_send(Frame::Reset(code));
        }
    }
}

struct PipeReader {
    frames: mpsc::Receiver<Frame>,
    rest: Bytes,
}

impl Reader for PipeReader {
    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, Error>> {
        while self.rest.is_empty() {
            match std::task::ready!(self.frames.poll_recv(cx)) {
                Some(Frame::Data(bytes)) => self.rest = bytes,
                Some(Frame::End(read)) => {
                    // The writer may not wait for it.
                    let _ = read.send(());
                    return Poll::Ready(Ok(None));
                }
                Some(Frame::Reset(code)) => return Poll::Ready(Err(error(code, "the peer reset the channel"))),
                None => return Poll::Ready(Err(error(code::CANCELLED, "the peer dropped the channel"))),
            }
        }
        Poll::Ready(Ok(Some(self.rest.split_to(self.rest.len().min(max)))))
    }

    fn stop(&mut self, _code: u32) {
        self.frames.close();
    }
}
