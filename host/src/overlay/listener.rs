//! Connections that peers ask for.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use mute_core::{Ecn, MessageId, SuccessionProof, TrailId, TrailKeys};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};

use super::{
    Connection, Error,
    connection::Parts,
    error::code,
    identity::{Life, Line, Shared, Side},
    preface::{MAX_PREFACE, Preface},
    seal::{Opener, Sealer},
    socket::Trail,
    tls,
    window::{Share, Windows},
};
use crate::node::Packet;

/// Connections that wait for the listener; further ones are told `busy`.
pub(crate) const BACKLOG: usize = 32;

/// How long a new trail may stay silent: its seeker speaks as soon as it has the Trail.
const FIRST_PACKET: Duration = Duration::from_secs(30);

/// How long a handshake with its preface may take, once the first packet has come.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Connections of peers that ask for one protocol. Dropping it refuses further ones.
pub struct Listener {
    connections: mpsc::Receiver<Connection>,
    protocol: String,
    life: Arc<Life>,
}

impl Listener {
    pub(crate) fn new(connections: mpsc::Receiver<Connection>, protocol: &str, life: Arc<Life>) -> Self {
        Self { connections, protocol: protocol.to_owned(), life }
    }

    /// The next connection; `None` when the identity has ended.
    pub async fn next(&mut self) -> Option<Connection> {
        self.connections.recv().await
    }

    /// As [`Self::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Connection>> {
        self.connections.poll_recv(cx)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.life.shared.table().listeners.remove(&self.protocol);
        self.life.shared.wishes.notify_one();
    }
}

/// An end of a trail that a peer has laid to this identity: the first packet tells what it is for.
pub(crate) struct NewTrail {
    pub(crate) id: TrailId,
    pub(crate) seek: MessageId,
    pub(crate) keys: TrailKeys,
    pub(crate) packets: mpsc::Receiver<Packet>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) permit: OwnedSemaphorePermit,
}

impl NewTrail {
    /// Waits for the first packet and does what it says: a new connection, or a new trail beneath an old one.
    pub(crate) async fn run(self) {
        let Self { id, seek, keys, packets, shared, permit } = self;
        // Whatever goes wrong before the trail is somebody's, it is closed.
        let mut unclaimed = Unclaimed { shared: &shared, trail: Some(id) };
        let (Some(sealer), Some(opener)) =
            (Sealer::new(&keys.send, shared.shape), Opener::new(&keys.receive, shared.shape))
        else {
            return;
        };
        let mut trail = Trail { id, sealer, opener, packets, proof: None };
        let first = tokio::select! {
            first = timeout(FIRST_PACKET, first_packet(&mut trail)) => first,
            () = shared.ending.cancelled() => return,
        };
        drop(permit);
        let Ok(Some((ecn, payload, proof))) = first else { return };
        match proof {
            Some(proof) => {
                if adopt(&shared, trail, seek, proof, (ecn, payload)) {
                    unclaimed.trail = None;
                }
            }
            None => {
                unclaimed.trail = None;
                serve(&shared, trail, seek, keys, (ecn, payload)).await;
            }
        }
    }
}

/// Closes a trail that nobody has taken.
struct Unclaimed<'a> {
    shared: &'a Shared,
    trail: Option<TrailId>,
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if let Some(trail) = self.trail {
            self.shared.below.close_trail(trail);
        }
    }
}

/// A congestion mark, a payload, and what may prove a succession.
type First = (Ecn, Bytes, Option<[u8; SuccessionProof::LENGTH]>);

/// The first packet that opens; `None` when the trail has ended.
async fn first_packet(trail: &mut Trail) -> Option<First> {
    loop {
        let packet = trail.packets.recv().await?;
        let mut place = vec![0; packet.body.len()];
        if let Some(opened) = trail.opener.open(&packet.body, &mut place) {
            place.truncate(opened.len);
            return Some((packet.ecn, place.into(), opened.proof));
        }
    }
}

/// Lays a successor beneath the connection that it proves to belong to. Whether it did.
fn adopt(
    shared: &Shared,
    trail: Trail,
    seek: MessageId,
    proof: [u8; SuccessionProof::LENGTH],
    first: (Ecn, Bytes),
) -> bool {
    let Ok(proof) = SuccessionProof::decode_succession(&proof) else { return false };
    let mut table = shared.table();
    let Some(socket) =
        table.owned.get(&proof.first).filter(|(_, keys)| proof.check(keys, seek)).map(|(socket, _)| socket.clone())
    else {
        return false;
    };
    table.trails.insert(trail.id, socket.clone());
    if let Some(oldest) = socket.attach(trail, Some(first)) {
        table.trails.remove(&oldest);
        shared.below.close_trail(oldest);
    }
    true
}

/// Answers a handshake.
async fn serve(shared: &Arc<Shared>, trail: Trail, seek: MessageId, keys: TrailKeys, first: (Ecn, Bytes)) {
    let id = trail.id;
    let Ok((permit, share)) = shared.admit(Side::Accepted) else { return shared.below.close_trail(id) };
    let line = Line::new(shared.clone(), None, permit);
    let socket = line.socket().clone();
    {
        let mut table = shared.table();
        table.trails.insert(id, socket.clone());
        table.owned.insert(seek, (socket.clone(), keys));
        socket.attach(trail, Some(first));
    }
    let Ok(endpoint) = quinn::Endpoint::new_with_abstract_socket(
        shared.endpoint.clone(),
        Some(shared.server.clone()),
        socket,
        Arc::new(quinn::TokioRuntime),
    ) else {
        return;
    };
    let handshake = tokio::select! {
        handshake = timeout(HANDSHAKE, handshake(&endpoint)) => handshake,
        () = shared.ending.cancelled() => return,
    };
    match handshake {
        Ok(Some((quinn, reply, preface))) => {
            welcome(shared, quinn, endpoint, reply, preface, line, share).await;
        }
        // The client hears the reason, if it got as far as that.
        _ => drain(&endpoint, code::REFUSED, "the handshake was not completed").await,
    }
}

/// The handshake of the one connection that there is, and the client's first words.
async fn handshake(endpoint: &quinn::Endpoint) -> Option<(quinn::Connection, quinn::SendStream, Preface)> {
    let connection = endpoint.accept().await?.await.ok()?;
    // No other: what a second one could want, a second trail can bring.
    endpoint.set_server_config(None);
    let (reply, mut words) = connection.accept_bi().await.ok()?;
    let words = words.read_to_end(MAX_PREFACE).await.ok()?;
    Some((connection, reply, Preface::decode_preface(&words)?))
}

/// Hands a connection to its listener, or refuses it.
async fn welcome(
    shared: &Arc<Shared>,
    quinn: quinn::Connection,
    endpoint: quinn::Endpoint,
    mut reply: quinn::SendStream,
    preface: Preface,
    line: Line,
    share: Share,
) {
    let listener = shared.table().listeners.get(&preface.protocol).cloned();
    let room = match &listener {
        None => Err(Error::new(code::REFUSED, "nobody here speaks this protocol")),
        Some(listener) => listener.try_reserve().map_err(|_| Error::new(code::BUSY, "too many connections wait here")),
    };
    let room = match room {
        Ok(room) => room,
        Err(error) => return drain(&endpoint, error.code, &error.message).await,
    };
    let (Some(life), Some(peer)) = (shared.life(), tls::peer(&quinn)) else {
        return drain(&endpoint, code::CLOSED, "the identity was closed").await;
    };
    // That nothing follows is the answer: welcome.
    if reply.finish().is_err() {
        return;
    }
    let windows = Windows::new(share, preface.bulk);
    let parts = Parts { quinn, endpoint, windows, peer, peer_is_proven: preface.shown };
    room.send(Connection::start(parts, line, life));
}

/// Ends what an endpoint has, and waits until the peer was told.
async fn drain(endpoint: &quinn::Endpoint, code: u32, reason: &str) {
    endpoint.close(code.into(), reason.as_bytes());
    let _ = timeout(super::connection::DRAIN, endpoint.wait_idle()).await;
}
