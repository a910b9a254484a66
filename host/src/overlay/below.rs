//! What identities need of the node, as a trait, so that tests can stand in for it.

use std::{fmt, future::Future, pin::Pin};

use bytes::Bytes;
use mute_core::{Address, ConnectionId, Topic, TrailId};
use tokio::sync::mpsc;

use crate::node::{Packet, PortSender, Stopped};

/// A future on the heap.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An identity's port, seen from above. The meaning of each function is that of [`PortSender`]'s.
pub(crate) trait Below: Send + Sync + 'static {
    fn listen(&self, listening: bool) -> Boxed<'_, Result<(), Stopped>>;
    fn subscribe(&self, topic: Topic) -> Boxed<'_, Result<(), Stopped>>;
    fn unsubscribe(&self, topic: Topic) -> Boxed<'_, Result<(), Stopped>>;
    fn broadcast(&self, topic: Topic, body: Bytes) -> Boxed<'_, Result<(), Stopped>>;
    fn letter(&self, to: Address, sealed: Bytes) -> Boxed<'_, Result<(), Stopped>>;
    /// An id for [`Self::connect`], so that its owner can be ready before the first event comes.
    fn connection_id(&self) -> ConnectionId;
    fn connect(&self, connection: ConnectionId, target: Address) -> Boxed<'_, Result<(), Stopped>>;
    fn disconnect(&self, connection: ConnectionId);
    fn close_trail(&self, trail: TrailId);
    fn route_packets(&self, trail: TrailId, to: mpsc::Sender<Packet>);
    fn try_send(&self, trail: TrailId, packet: Packet) -> Result<(), Packet>;
    fn writable(&self) -> Boxed<'static, ()>;
}

impl fmt::Debug for dyn Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Below")
    }
}

impl Below for PortSender {
    fn listen(&self, listening: bool) -> Boxed<'_, Result<(), Stopped>> {
        Box::pin(self.listen(listening))
    }

    fn subscribe(&self, topic: Topic) -> Boxed<'_, Result<(), Stopped>> {
        Box::pin(self.subscribe(topic))
    }

    fn unsubscribe(&self, topic: Topic) -> Boxed<'_, Result<(), Stopped>> {
        Box::pin(self.unsubscribe(topic))
    }

    fn broadcast(&self, topic: Topic, body: Bytes) -> Boxed<'_, Result<(), Stopped>> {
        Box::pin(self.broadcast(topic, body))
    }

    fn letter(&self, to: Address, sealed: Bytes) -> Boxed<'_, Result<(), Stopped>> {
        Box::pin(self.letter(to, sealed))
    }

    fn connection_id(&self) -> ConnectionId {
        self.connection_id()
    }

    fn connect(&self, connection: ConnectionId, target: Address) -> Boxed<'_, Result<(), Stopped>> {
        Box::pin(self.connect(connection, target))
    }

    fn disconnect(&self, connection: ConnectionId) {
        self.disconnect(connection);
    }

    fn close_trail(&self, trail: TrailId) {
        self.close_trail(trail);
    }

    fn route_packets(&self, trail: TrailId, to: mpsc::Sender<Packet>) {
        self.route_packets(trail, to);
    }

    fn try_send(&self, trail: TrailId, packet: Packet) -> Result<(), Packet> {
        self.try_send(trail, packet)
    }

    fn writable(&self) -> Boxed<'static, ()> {
        let sender = self.clone();
        // A node that stopped takes everything and drops it: the connections end by their own events.
        Box::pin(async move { sender.writable().await.unwrap_or(()) })
    }
}
