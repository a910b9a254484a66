//! Links: QUIC to each neighbour, mutually authenticated by raw Ed25519 keys, with a post-quantum key exchange.
//!
//! A link is a QUIC connection on which both sides have said Hello. Each side opens [a stream for each class of
//! frame](mute_core::scheduler::Lane); what waits for the neighbour waits in [a scheduler](mute_core::Scheduler), which decides what goes
//! next, and goes out by one task, [little of it ahead of time](send); each incoming stream is read by a task of its own, which checks signatures, so that nothing unverified leaves
//! this module. What is read goes to the node in batches, over a bounded channel.

mod budget;
mod connect;
mod counters;
mod endpoint;
mod hello;
mod key;
mod lane;
mod receive;
mod send;
mod task;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
#[cfg(feature = "relay-view")]
mod view;

use std::fmt;

use mute_core::wire::Violation;

pub use counters::{FrameKind, LinkCounters, Traffic};
pub use endpoint::{BindError, KEEP_ALIVE, LOST_AFTER, client_config};
pub use key::{NodeKey, NodeSecret, ParsePeerError, PeerAddress};
pub use tls::{ALPN, SERVER_NAME};

pub(crate) use connect::{DialError, Established, accept, dial};
pub(crate) use endpoint::{Bound, Released, bind, widen};
pub(crate) use receive::Known;
pub(crate) use task::{FromLink, LinkEnd, LinkHandle, spawn};

/// What we tell a neighbour when we end its link: the application code of QUIC's CONNECTION_CLOSE. Coarse on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// This node stops.
    GoingAway,
    /// There is another link between the same two nodes, and it is kept.
    Duplicate,
    /// This node has as many links as it may.
    Full,
    /// This node links only with neighbours that it was told of.
    NotWelcome,
    /// The neighbour broke the protocol a short while ago.
    BackedOff,
    /// No Hello in time.
    HelloTimeout,
    /// The neighbour broke the protocol.
    Violation(Violation),
}

impl CloseCode {
    /// The number on the wire. Violations have theirs from the core, 0x101 and up.
    pub const fn code(self) -> u32 {
        match self {
            Self::GoingAway => 0,
            Self::Duplicate => 1,
            Self::Full => 2,
            Self::NotWelcome => 3,
            Self::BackedOff => 4,
            Self::HelloTimeout => 5,
            Self::Violation(violation) => violation.close_code(),
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(violation) => write!(f, "it broke the protocol: {violation}"),
            other => f.write_str(meaning(u64::from(other.code()))),
        }
    }
}

/// What a neighbour means by a code.
pub(crate) fn meaning(code: u64) -> &'static str {
    match code {
        0 => "it is going away",
        1 => "there is another link between the same two nodes",
        2 => "it has as many links as it may",
        3 => "it does not link with nodes that it was not told of",
        4 => "it was offended a short while ago",
        5 => "no hello in time",
        0x102 => "it belongs to another network, or to one of another profile",
        0x105 => "it speaks another version of the protocol",
        0x101..=0x1ff => "it says that the protocol was broken",
        _ => "it closed the link for a reason of its own",
    }
}
