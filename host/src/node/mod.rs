//! The node task: owns the router, between the links below and the identities above (skeleton: the API of it).

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use mute_core::{Address, ConnectionId, Ecn, Event, IdentityKey, PortId, Topic, TrailId};
use tokio::sync::mpsc;

/// The node is gone: it was stopped.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// A handle to the node task. Cheap to clone.
#[derive(Clone)]
pub struct Handle { /* commands: mpsc::Sender<Command>, bounded */ }

impl Handle {
    /// Opens a port for an identity. Events other than packets arrive in `Port::events`.
    pub async fn open_port(&self, key: IdentityKey) -> Result<Port, Stopped>;
    /// Counters and neighbours, for `mute status`, `mute peer`, the demo's table.
    pub async fn status(&self) -> Result<Status, Stopped>;
    /// Adds a neighbour to dial (and keep dialling, with backoff and jitter), or forgets it.
    pub async fn add_peer(&self, peer: PeerAddress) -> Result<(), AddPeerError>;
    pub async fn remove_peer(&self, key: NodeKey) -> Result<bool, Stopped>;
    pub async fn stop(&self);
}

/// An identity's end of the node. Dropping it closes the port.
pub struct Port {
    pub sender: PortSender,
    /// Everything but `Event::Data` of open trails (TrailOpened, TrailClosed, ConnectFailed, Heard, Letter).
    pub events: mpsc::Receiver<Event>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct PortSender { /* … */ }

impl PortSender {
    pub fn id(&self) -> PortId;
    pub async fn listen(&self, listening: bool) -> Result<(), Stopped>;
    pub async fn subscribe(&self, topic: Topic) -> Result<(), Stopped>;
    pub async fn unsubscribe(&self, topic: Topic) -> Result<(), Stopped>;
    pub async fn broadcast(&self, topic: Topic, body: Bytes) -> Result<(), Stopped>;
    pub async fn letter(&self, to: Address, sealed: Bytes) -> Result<(), Stopped>;
    /// A connection id is made here; the trails come as events.
    pub async fn connect(&self, target: Address) -> Result<ConnectionId, Stopped>;
    /// Never blocks (may be called from drop): queued on an own small unbounded-by-construction list or retried; never lost.
    pub fn disconnect(&self, connection: ConnectionId);
    pub fn close_trail(&self, trail: TrailId);
    /// Where the packets of this trail go from now on; the node drops what does not fit.
    pub fn route_packets(&self, trail: TrailId, to: mpsc::Sender<Packet>);
    /// Queues a sealed packet without waiting. `Err` gives it back when the node's queue is full.
    pub fn try_send(&self, trail: TrailId, packet: Packet) -> Result<(), Packet>;
    /// Resolves when `try_send` has room again.
    pub async fn writable(&self) -> Result<(), Stopped>;
}

/// A sealed packet of a trail.
pub struct Packet { pub ecn: Ecn, pub body: Bytes }
