//! What scenarios have the nodes do.

use bytes::Bytes;
use mute_core::{Address, ConnectionId, Ecn, IdentityKey, Input, PortId, Topic, TrailId};

use super::{Network, Signatures};
use crate::{app::NodeId, random::derive};

impl Network {
    /// The key of an identity: the `number`th of a node.
    #[expect(clippy::disallowed_methods, reason = "this is the one place: the simulator's own keys")]
    pub fn key(&self, node: NodeId, number: u32) -> IdentityKey {
        let seed = derive(self.config.seed, "identity", u64::from(node) | u64::from(number) << 32);
        match self.config.signatures {
            Signatures::Stub => IdentityKey::stub_from_seed(&seed),
            Signatures::Real => IdentityKey::from_seed(&seed),
        }
    }

    /// The address of an identity, without opening it.
    pub fn address(&self, node: NodeId, number: u32) -> Address {
        self.key(node, number).address()
    }

    /// Opens the `number`th identity of a node, which is not open yet, and lets it listen.
    pub fn open(&mut self, node: NodeId, number: u32) -> (PortId, Address) {
        let (port, address) = self.open_silent(node, number);
        self.input(node, Input::Listen { port, listening: true });
        (port, address)
    }

    /// Opens the `number`th identity of a node, which is not open yet; it asks and seeks but does not listen.
    pub fn open_silent(&mut self, node: NodeId, number: u32) -> (PortId, Address) {
        let port = PortId(self.number());
        let key = self.key(node, number);
        let address = key.address();
        self.input(node, Input::OpenPort { port, key });
        (port, address)
    }

    /// Closes an identity.
    pub fn close(&mut self, node: NodeId, port: PortId) {
        self.input(node, Input::ClosePort { port });
    }

    /// Lets a port hear floods of a topic.
    pub fn subscribe(&mut self, node: NodeId, port: PortId, topic: Topic) {
        self.input(node, Input::Subscribe { port, topic });
    }

    /// Floods a question.
    pub fn broadcast(&mut self, node: NodeId, port: PortId, topic: Topic, body: impl Into<Bytes>) {
        self.input(node, Input::Broadcast { port, topic, body: body.into() });
    }

    /// Sends a letter.
    pub fn letter(&mut self, node: NodeId, port: PortId, to: Address, sealed: impl Into<Bytes>) {
        self.input(node, Input::Letter { port, to, sealed: sealed.into() });
    }

    /// Connects a port to an address.
    pub fn connect(&mut self, node: NodeId, port: PortId, target: Address) -> ConnectionId {
        let connection = ConnectionId(self.number());
        self.input(node, Input::Connect { port, connection, target });
        connection
    }

    /// Lets go of a connection.
    pub fn disconnect(&mut self, node: NodeId, connection: ConnectionId) {
        self.input(node, Input::Disconnect { connection });
    }

    /// Sends a packet on a trail, capable of congestion marks.
    pub fn send_data(&mut self, node: NodeId, trail: TrailId, body: impl Into<Bytes>) {
        self.input(node, Input::Data { trail, ecn: Ecn::Capable0, body: body.into() });
    }
}
