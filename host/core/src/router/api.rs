//! What goes into a router and what comes out.

use bytes::Bytes;

use super::{Finding, FloodRules, WalkShape};
use crate::{
    Address, ConnectionId, Ecn, IdentityKey, LinkId, MessageId, NeighbourId, NetworkId, PortId, Profile, Topic,
    TrailId, TrailKeys, Violation,
    wire::{Frame, Verified},
};

/// What a router is made with: start from [`RouterConfig::new`].
#[derive(Clone)]
pub struct RouterConfig {
    /// The network: what the router signs belongs to it. (Links refuse messages of another.)
    pub network: NetworkId,
    /// What that network adds to what it carries, the same at all its nodes.
    pub profile: Profile,
    /// Seeds the router's cryptographic random numbers: from the operating system in a daemon, from the run's seed in a
    /// simulation. The same seed and the same inputs give the same outputs.
    pub seed: [u8; 32],
    /// Keys the decisions that must stay the same over restarts (where floods end).
    pub secret: [u8; 32],
    /// When the run of this node before this one ended, in seconds since 1970-01-01 UTC: the present if that is not known, as after a crash; `None`
    /// if there was none. What that run may have heard lays no scent, so for up to two minutes after its end nothing of others does.
    pub heard_until: Option<u64>,
    /// How long a connection without a trail is sought before it fails with [`Close::NoRoute`].
    pub no_route_after: core::time::Duration,
    /// How far floods go. (A node may have rules of its own; a network is measured with one for all.)
    pub floods: FloodRules,
    /// How addresses are found.
    pub finding: Finding,
    /// How far Walks go through this node.
    pub walks: WalkShape,
}

impl RouterConfig {
    /// The defaults for everything that has one, in a network that adds nothing (a daemon says which profile its network has).
    pub fn new(network: NetworkId, seed: [u8; 32], secret: [u8; 32]) -> Self {
        Self {
            network,
            profile: Profile::Fast,
            seed,
            secret,
            heard_until: None,
            no_route_after: super::limits::NO_ROUTE_AFTER,
            floods: FloodRules::default(),
            finding: Finding::default(),
            walks: WalkShape::default(),
        }
    }
}

/// Where a frame came from or goes to: a neighbour, or an identity of this node, which is a neighbour without privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop {
    /// A neighbour.
    Link(LinkId),
    /// An identity of this node.
    Port(PortId),
}

/// What happens to a router.
pub enum Input {
    /// A link is up. One that is up already, or one link too many, is ignored.
    LinkUp {
        /// The new link.
        link: LinkId,
        /// Whose it is: what the router keeps apart by neighbour stays so over reconnects and restarts.
        neighbour: NeighbourId,
        /// Whether this node dialled.
        initiator: bool,
    },
    /// A link is gone: its trails are broken, and their other sides are told.
    LinkDown {
        /// The link that was.
        link: LinkId,
    },
    /// A frame from a neighbour, its signature checked by the link (a type says so).
    Frame {
        /// Where it came from.
        link: LinkId,
        /// What came.
        frame: Frame<Verified>,
    },
    /// How full the queue towards a neighbour is.
    Load {
        /// The neighbour.
        link: LinkId,
        /// 0 (empty) to 3 (dropping).
        level: u8,
    },
    /// An identity comes to life. Until [`Input::Listen`] it answers no Seek. An address that a port has already, or one port
    /// too many, is ignored.
    OpenPort {
        /// The new port.
        port: PortId,
        /// The identity.
        key: IdentityKey,
    },
    /// The identity is gone: its connections and trails are closed.
    ClosePort {
        /// The port that was.
        port: PortId,
    },
    /// Whether the port answers Seeks for its address.
    Listen {
        /// The port.
        port: PortId,
        /// Whether it does from now on.
        listening: bool,
    },
    /// Hear floods of a topic.
    Subscribe {
        /// The port.
        port: PortId,
        /// The topic.
        topic: Topic,
    },
    /// Hear them no more.
    Unsubscribe {
        /// The port.
        port: PortId,
        /// The topic.
        topic: Topic,
    },
    /// Flood a question, signed by a one-time key that the router makes. Letters to that key reach the port for ten
    /// minutes. Dropped and counted if the body is longer than [`MAX_FLOOD_BODY`](crate::wire::MAX_FLOOD_BODY) or the port's budget is spent.
    Broadcast {
        /// The port that asks.
        port: PortId,
        /// What the question is about.
        topic: Topic,
        /// The question.
        body: Bytes,
    },
    /// Send a letter whose body is sealed already, signed by a one-time key that the router makes. Letters to that key reach the
    /// port for ten minutes. Dropped and counted if it is longer than [`MAX_LETTER_BODY`](crate::wire::MAX_LETTER_BODY), where there is no scent, or if the
    /// port's budget is spent.
    Letter {
        /// The port that writes.
        port: PortId,
        /// The address, or the one-time key of a flood or letter that this answers.
        to: Address,
        /// The sealed body.
        sealed: Bytes,
    },
    /// Lay a trail to `target` and keep one (renewed, laid again when lost) until [`Input::Disconnect`] or
    /// [`Event::ConnectFailed`].
    Connect {
        /// The port that wants it.
        port: PortId,
        /// The caller's name for it.
        connection: ConnectionId,
        /// Whom to reach.
        target: Address,
    },
    /// The connection is no longer wanted: its trails are closed.
    Disconnect {
        /// Which one.
        connection: ConnectionId,
    },
    /// A sealed packet for the other end of a trail. On an owner's end it is dropped and counted until a packet has arrived on
    /// that trail (it could overtake the Trail message itself); so is one that is empty or longer than [`MAX_DATA_BODY`](crate::wire::MAX_DATA_BODY).
    Data {
        /// The end it is sent from.
        trail: TrailId,
        /// The congestion mark.
        ecn: Ecn,
        /// The sealed packet.
        body: Bytes,
    },
    /// The port has no more use for this end of a trail (the owner's side, or an old trail after its successor). If it is the
    /// only trail of a connection the connection is sought anew.
    CloseTrail {
        /// The end.
        trail: TrailId,
    },
}

/// Which end of a trail this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that sought.
    Seeker {
        /// What for.
        connection: ConnectionId,
    },
    /// The end that was sought.
    Owner,
}

/// What a router wants done.
#[derive(Debug)]
pub enum Output {
    /// Queue a frame for a neighbour.
    Send {
        /// The neighbour.
        link: LinkId,
        /// Where it came from, for fair queueing.
        ingress: Hop,
        /// What to send.
        frame: Frame<Verified>,
    },
    /// Something for one of this node's identities.
    Event {
        /// The identity's port.
        port: PortId,
        /// What happened.
        event: Event,
    },
    /// The neighbour broke the protocol: close its link with the violation's code and back off. The router has dropped the
    /// link already, as by [`Input::LinkDown`].
    Violation {
        /// The neighbour's link.
        link: LinkId,
        /// The offence.
        violation: Violation,
    },
}

/// What an identity learns.
pub enum Event {
    /// A trail is laid. A second one for the same connection is the successor: send on it from now on, receive on both (the
    /// old one is closed 30 s later). The owner cannot tell a successor until its first packet says so.
    TrailOpened {
        /// This end.
        trail: TrailId,
        /// Which end it is.
        role: Role,
        /// The Seek id: what a [`SuccessionProof`](crate::SuccessionProof) covers.
        seek: MessageId,
        /// What seals and opens its packets.
        keys: TrailKeys,
    },
    /// A sealed packet arrived.
    Data {
        /// At this end.
        trail: TrailId,
        /// The congestion mark.
        ecn: Ecn,
        /// The sealed packet.
        body: Bytes,
    },
    /// A trail has ended. A connection goes on and is sought anew.
    TrailClosed {
        /// The end that was.
        trail: TrailId,
        /// Why.
        why: Close,
    },
    /// No trail for `no_route_after`, or the connection could never be: it is forgotten.
    ConnectFailed {
        /// The connection that was.
        connection: ConnectionId,
        /// Why.
        why: Close,
    },
    /// A flood on a topic that the port subscribed to.
    Heard {
        /// The topic.
        topic: Topic,
        /// The flood's one-time key: a Letter to it reaches who asked, for ten minutes.
        from: Address,
        /// The flood's id.
        id: MessageId,
        /// The question.
        body: Bytes,
    },
    /// A letter to this identity.
    Letter {
        /// The letter's one-time key: a Letter to it reaches who wrote, for ten minutes.
        from: Address,
        /// The letter's id.
        id: MessageId,
        /// The key that it is sealed to, if that is the one-time key of a flood or letter of this port; `None`: it is sealed to the
        /// identity's own.
        key: Option<IdentityKey>,
        /// The sealed body.
        sealed: Bytes,
    },
}

/// Why a trail or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The other end, or a relay, closed it.
    ByPeer,
    /// The link it ran over is gone.
    LinkLost,
    /// Its ten minutes are over, or the other end was silent.
    Expired,
    /// Its successor carries the connection.
    Replaced,
    /// Nobody answered.
    NoRoute,
    /// This end closed it.
    Local,
    /// It could never be: one's own address, an unknown port, a connection id that is taken.
    Invalid,
    /// This node has no room for one more.
    Busy,
}

/// Debug output may reach a log, so it holds no content, no address and no key.
impl core::fmt::Debug for Event {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TrailOpened { trail, role, .. } => write!(f, "TrailOpened({trail:?}, {role:?})"),
            Self::Data { trail, ecn, body } => {
                write!(f, "Data({trail:?}, {ecn:?}, {} bytes)", body.len())
            }
            Self::TrailClosed { trail, why } => write!(f, "TrailClosed({trail:?}, {why:?})"),
            Self::ConnectFailed { connection, why } => {
                write!(f, "ConnectFailed({connection:?}, {why:?})")
            }
            Self::Heard { body, .. } => write!(f, "Heard({} bytes)", body.len()),
            Self::Letter { sealed, .. } => write!(f, "Letter({} bytes)", sealed.len()),
        }
    }
}
