//! The router (skeleton: the API that the others build against).

use bytes::Bytes;

use crate::{
    Address, ConnectionId, IdentityKey, Instant, LinkId, MessageId, NetworkId, Now, PortId, Topic, TrailId, TrailKeys,
    wire::{Frame, Verified},
};

/// What a router is made with.
pub struct RouterConfig {
    /// The network; messages of another are a violation.
    pub network: NetworkId,
    /// Seeds the router's cryptographic random numbers: from the operating system in a daemon, from the run's seed in a simulation.
    pub seed: [u8; 32],
    /// Keys the decisions that must stay the same over restarts (the flood's coin).
    pub secret: [u8; 32],
    /// How long a connection without a trail is sought before it fails with no-route.
    pub no_route_after: core::time::Duration,
}

/// Explicit congestion notification (RFC 3168), two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecn { NotCapable, Capable0, Capable1, Experienced }

/// Where a frame came from or goes to: a neighbour, or an identity of this node, which is a neighbour without privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop { Link(LinkId), Port(PortId) }

/// What happens to a router.
pub enum Input {
    /// A link is up. `initiator`: this node dialled.
    LinkUp { link: LinkId, initiator: bool },
    LinkDown { link: LinkId },
    /// A frame from a neighbour, its signature checked by the link (a type says so).
    Frame { link: LinkId, frame: Frame<Verified> },
    /// How full the queue towards a neighbour is, 0 (empty) to 3 (dropping).
    Load { link: LinkId, level: u8 },
    /// An identity comes to life. Until `Listen` it answers no Seek.
    OpenPort { port: PortId, key: IdentityKey },
    ClosePort { port: PortId },
    /// Whether the port answers Seeks for its address.
    Listen { port: PortId, listening: bool },
    /// Hear floods of a topic.
    Subscribe { port: PortId, topic: Topic },
    Unsubscribe { port: PortId, topic: Topic },
    /// Flood a question. `key`: the flood's one-time key; the router makes it.
    Broadcast { port: PortId, topic: Topic, body: Bytes },
    /// Send a letter whose body is sealed already; the router signs it with a one-time key.
    Letter { port: PortId, to: Address, sealed: Bytes },
    /// Lay a trail to `target` and keep one (renewed, laid again when lost) until `Disconnect` or `Event::ConnectFailed`.
    Connect { port: PortId, connection: ConnectionId, target: Address },
    Disconnect { connection: ConnectionId },
    /// A sealed packet for the other end of a trail.
    Data { trail: TrailId, ecn: Ecn, body: Bytes },
    /// The port has no more use for this end of a trail (the owner's side, or an old trail after its successor).
    CloseTrail { trail: TrailId },
}

/// Which end of a trail this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role { Seeker { connection: ConnectionId }, Owner }

/// What a router wants done.
pub enum Output {
    /// Queue a frame for a neighbour. `ingress` is where it came from, for fair queueing.
    Send { link: LinkId, ingress: Hop, frame: Frame<Verified> },
    /// Something for one of this node's identities.
    Event { port: PortId, event: Event },
    /// The neighbour broke the protocol: close its link with the violation's code and back off.
    Violation { link: LinkId, violation: crate::Violation },
}

/// What an identity learns.
pub enum Event {
    /// A trail is laid. A second one for the same connection is the successor: send on it from now on, receive on both.
    /// `seek` is the Seek id that a succession proof covers.
    TrailOpened { trail: TrailId, role: Role, seek: MessageId, keys: TrailKeys },
    Data { trail: TrailId, ecn: Ecn, body: Bytes },
    TrailClosed { trail: TrailId, why: Close },
    /// No trail for `no_route_after`: the connection is forgotten.
    ConnectFailed { connection: ConnectionId, why: Close },
    /// A flood on a topic that the port subscribed to; `from` is the flood's one-time key.
    Heard { topic: Topic, from: Address, id: MessageId, body: Bytes },
    /// A letter to this identity.
    Letter { from: Address, id: MessageId, sealed: Bytes },
}

/// Why a trail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close { ByPeer, LinkLost, Expired, Replaced, NoRoute, Local, Invalid }

/// The router of one node. (Skeleton.)
pub struct Router {}
impl Router {
    pub fn new(config: RouterConfig, now: Now) -> Self;
    /// Takes one input. Outputs wait for [`Self::poll`].
    pub fn handle(&mut self, input: Input, now: Now);
    /// What the router wants done, oldest first.
    pub fn poll(&mut self) -> Option<Output>;
    /// When [`Self::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant>;
    /// Does what is due: timeouts, renewals, Keeps, expiry.
    pub fn tick(&mut self, now: Now);
}
