//! What a node tells about itself: to its own user only.

use std::net::SocketAddr;

use mute_core::Counters;
use serde::{Deserialize, Serialize};

use crate::link::{LinkCounters, NodeKey};

/// Where a neighbour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourState {
    /// There is a link.
    Up,
    /// An attempt to dial it is under way.
    Dialling,
    /// It is dialled again after a wait.
    BackingOff,
    /// It broke the protocol, and is neither dialled nor let in for a while.
    Banned,
    /// There is no link, and it is not ours to dial.
    Down,
}

/// One neighbour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NeighbourStatus {
    /// Its key.
    pub key: NodeKey,
    /// Where it is dialled, `HOST:PORT`, if it is.
    pub dialled_at: Option<String>,
    /// Where it stands.
    pub state: NeighbourState,
    /// Seconds since it stands there.
    pub since_s: u64,
    /// Why its last link, or the last attempt, ended.
    pub last_end: Option<String>,
    /// The link, if there is one.
    pub link: Option<LinkStatus>,
}

/// One link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Whether this node dialled.
    pub initiator: bool,
    /// The neighbour's UDP socket.
    pub remote: SocketAddr,
    /// The smoothed round-trip time in microseconds.
    pub round_trip_us: u64,
    /// What waits for the neighbour, in bytes.
    pub queued_bytes: u64,
    /// What it has carried.
    #[serde(flatten)]
    pub counters: LinkCounters,
}

/// What the ports of this node have lost, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortsStatus {
    /// Ports that are open.
    pub open: u64,
    /// Floods and letters that an identity did not read in time.
    pub lost_messages: u64,
    /// Packets that an identity did not read in time.
    pub lost_packets: u64,
    /// Ports that were closed because they read nothing at all.
    pub stuck: u64,
}

/// A node at this moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its key.
    pub key: NodeKey,
    /// The network, in hexadecimal.
    pub network: String,
    /// The UDP socket of its links.
    pub listen: SocketAddr,
    /// Seconds since it was started.
    pub uptime_s: u64,
    /// Its neighbours, by key.
    pub neighbours: Vec<NeighbourStatus>,
    /// The UDP sockets at the other ends of its links: all that this node exchanges packets with.
    pub remotes: Vec<SocketAddr>,
    /// What the router did and holds.
    pub router: Counters,
    /// What its identities lost.
    pub ports: PortsStatus,
}
