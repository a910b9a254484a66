//! What goes into the policy and what comes out.

use super::{NeighbourAddress, NodeKey, Rules};
use crate::{Instant, LinkId};

/// What a policy is made with.
#[derive(Clone)]
pub struct NeighboursConfig {
    /// This node.
    pub us: NodeKey,
    /// Where others see it; hidden if it does not know.
    pub at: NeighbourAddress,
    /// What it holds to.
    pub rules: Rules,
    /// The node's own, the same over restarts: it decides places in the book and who is told of whom.
    pub secret: [u8; 32],
    /// For choices and waits: fresh at every start.
    pub seed: [u8; 32],
}

/// Debug output may reach a log, so it holds neither secret nor seed.
impl core::fmt::Debug for NeighboursConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NeighboursConfig").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// What somebody is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Named by the user: by invitation, or in the configuration.
    Friend,
    /// A stranger that this node chose and dialled.
    Outbound,
    /// A stranger that dialled this node.
    Inbound,
}

impl Class {
    /// Whether it shares with all strangers what one friend gets of the upload.
    pub const fn is_stranger(self) -> bool {
        !matches!(self, Self::Friend)
    }
}

/// A friend, as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Friend {
    /// Where it is. Hidden if the caller alone knows, by a host name.
    pub address: NeighbourAddress,
    /// Whether this node dials it; else it only lets it in.
    pub dialled: bool,
    /// Whether it has agreed that others are told of it.
    pub told: bool,
}

/// Why somebody cannot become a friend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BefriendError {
    /// It is this node's own key.
    #[error("that is this node's own key")]
    Own,
    /// There are as many as may be.
    #[error("there are as many friends as may be")]
    TooMany,
}

/// A node that others are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its key.
    pub key: NodeKey,
    /// Where it listens.
    pub address: NeighbourAddress,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Dial this neighbour, and say how it went: [`Neighbours::admit`](super::Neighbours::admit) or
    /// [`Neighbours::dial_failed`](super::Neighbours::dial_failed).
    Dial {
        /// The key that it must prove.
        key: NodeKey,
        /// Where it is.
        address: NeighbourAddress,
    },
    /// See whether somebody with this key listens there, close at once, and say how it went:
    /// [`Neighbours::checked`](super::Neighbours::checked).
    Check {
        /// The key that it must prove.
        key: NodeKey,
        /// Where it says that it is.
        address: NeighbourAddress,
    },
    /// Ask this neighbour for hosts; its answer goes to [`Neighbours::learn`](super::Neighbours::learn).
    Ask {
        /// Whom.
        key: NodeKey,
        /// Over which link.
        link: LinkId,
    },
}

/// What becomes of a connection whose other side has proven its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is kept as a link, and already counted.
    Keep {
        /// What the neighbour is.
        class: Class,
        /// The same neighbour's link that it takes the place of: close that one.
        instead_of: Option<LinkId>,
        /// Another neighbour's link that gives way to it: close that one. Its end need not be told.
        gives_way: Option<LinkId>,
    },
    /// It is closed.
    Refuse {
        /// Why.
        why: Refusal,
        /// Whether the other side is told of hosts before: [`Neighbours::introduce`](super::Neighbours::introduce).
        introduce: bool,
    },
}

/// Why a connection is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is this node itself, the user has removed it, or strangers do not link here.
    NotWelcome,
    /// It, or another of its prefix, broke the protocol a short while ago.
    BackedOff,
    /// There is another link between the same two, and it is kept.
    Duplicate,
    /// There is no place for it.
    Full,
}

/// How a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, or by the other side.
    Lost,
    /// The neighbour broke the protocol.
    Offence,
}

/// Why an attempt came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// Nobody answers.
    Unreachable,
    /// Whoever answers does not prove the key.
    Impostor,
    /// It has proven its key and closed the connection.
    Refused,
}

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is a link.
    Up {
        /// Which.
        link: LinkId,
        /// What the neighbour is.
        class: Class,
    },
    /// An attempt is under way.
    Dialling,
    /// It is dialled again at this time.
    Waiting(Instant),
    /// It broke the protocol and stays out until then.
    Banned(Instant),
    /// It is not ours to dial.
    Down,
}
