//! What a node is started with.

use std::{net::SocketAddr, time::Duration};

use mute_core::{NetworkId, Profile};

use crate::link::{NodeSecret, PeerAddress};

/// Links a node has at most, by default: the design's upper bound for neighbours.
pub const DEFAULT_MAX_LINKS: usize = 16;

/// How long a connection without a trail is sought by default before it fails with no-route.
pub const DEFAULT_NO_ROUTE_AFTER: Duration = Duration::from_secs(60);

/// What a node is started with.
#[derive(Clone)]
pub struct NodeConfig {
    /// Proves the node to its neighbours.
    pub key: NodeSecret,
    /// The network it belongs to; links with others come to nothing.
    pub network: NetworkId,
    /// What that network adds to what it carries, the same at all its nodes.
    pub profile: Profile,
    /// The UDP address of its links. Port 0: one that the system chooses, which [`Status::listen`](super::Status) tells.
    pub listen: SocketAddr,
    /// Neighbours to dial and to keep dialling.
    pub peers: Vec<PeerAddress>,
    /// Keys of neighbours that may dial us and that we don't dial, for where we can't reach them.
    pub welcome: Vec<crate::link::NodeKey>,
    /// Link with `peers` and `welcome` only, in a test or a demonstration. Otherwise anybody may link who finds room.
    pub fixed_topology: bool,
    /// Links at most, with those to `peers`.
    pub max_links: usize,
    /// How long a connection without a trail is sought before it fails with no-route.
    pub no_route_after: Duration,
    /// When the run before this one ended, as [`RouterConfig::heard_until`](mute_core::RouterConfig::heard_until) has it.
    pub heard_until: Option<u64>,
}

impl NodeConfig {
    /// A node of this network without neighbours, on a port of the system's choice, on loopback, with defaults otherwise.
    pub fn new(key: NodeSecret, network: NetworkId, profile: Profile) -> Self {
        Self {
            key,
            network,
            profile,
            listen: ([127, 0, 0, 1], 0).into(),
            peers: Vec::new(),
            welcome: Vec::new(),
            fixed_topology: false,
            max_links: DEFAULT_MAX_LINKS,
            no_route_after: DEFAULT_NO_ROUTE_AFTER,
            heard_until: None,
        }
    }
}
