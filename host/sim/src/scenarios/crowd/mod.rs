//! The nodes of a large network: an identity each, that comes back when its node does.

pub(crate) mod connect;
pub(crate) mod held;
pub(crate) mod meter;
mod paths;
mod relink;
pub(crate) mod rules;

use std::time::Duration;

use mute_core::{Address, PortId, Topic};

use relink::Relink;

use crate::{
    LinkParams, Network, NodeId, Random, Timer, Topology,
    churn::{Churn, ChurnParams},
};

/// Nodes that come and go, each with an identity.
pub(crate) struct Crowd {
    ports: Vec<(PortId, Address)>,
    /// How often each node has started.
    starts: Vec<u32>,
    /// What all identities hear.
    topic: Topic,
    /// Whose identities listen: all, or the first so many.
    listening: usize,
    running: u64,
    churn: Option<Churn>,
    relink: Relink,
    random: Random,
}

/// What a crowd is made of.
pub(crate) struct Made<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) link: LinkParams,
    pub(crate) topic: Topic,
    /// Identities that listen, of the first nodes; the others are never asked for.
    pub(crate) listening: usize,
    /// Whether nodes come and go.
    pub(crate) churn: bool,
    pub(crate) seed: u64,
}

/// A node, in one of its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) node: NodeId,
    starts: u32,
}

impl Crowd {
    /// The nodes of a network that has just been made.
    pub(crate) fn new(net: &mut Network, made: &Made<'_>) -> Self {
        let nodes = made.topology.nodes;
        let mut crowd = Self {
            ports: vec![(PortId(0), Address([0; 32])); nodes],
            starts: vec![0; nodes],
            topic: made.topic,
            listening: made.listening,
            running: 0,
            churn: None,
            relink: Relink::new(made.topology, made.link, made.seed),
            random: Random::new(made.seed, "crowd"),
        };
        for node in 0..nodes as NodeId {
            crowd.open(net, node);
        }
        if made.churn {
            crowd.churn = Some(Churn::start(net, ChurnParams::default(), made.seed, 0..nodes as NodeId));
        }
        crowd
    }

    fn open(&mut self, net: &mut Network, node: NodeId) {
        let opened = if (node as usize) < self.listening { net.open(node, 0) } else { net.open_silent(node, 0) };
        net.subscribe(node, opened.0, self.topic);
        self.ports[node as usize] = opened;
    }

    /// [`App::started`](crate::App::started).
    pub(crate) fn started(&mut self, net: &mut Network, node: NodeId) {
        // At first everybody starts at once, with all links.
        if self.starts[node as usize] > 0 {
            self.open(net, node);
            self.relink.started(net, node);
        }
        self.starts[node as usize] += 1;
        self.running += 1;
    }

    /// [`App::stopped`](crate::App::stopped).
    pub(crate) fn stopped(&mut self, net: &mut Network, node: NodeId) {
        self.running -= 1;
        self.relink.stopped(net, node);
    }

    /// [`App::timer`](crate::App::timer), for timers that are not the scenario's own.
    pub(crate) fn timer(&mut self, net: &mut Network, timer: Timer) {
        if !self.relink.timer(net, timer)
            && let Some(churn) = &mut self.churn
        {
            churn.timer(net, timer);
        }
    }

    /// Nodes that run.
    pub(crate) fn running(&self) -> u64 {
        self.running
    }

    /// The port of a node's identity.
    pub(crate) fn port(&self, node: NodeId) -> PortId {
        self.ports[node as usize].0
    }

    /// The address of a node's identity.
    pub(crate) fn address(&self, node: NodeId) -> Address {
        self.ports[node as usize].1
    }

    /// A node that runs, by chance, of the first so many.
    pub(crate) fn somebody(&mut self, net: &Network, of: usize) -> Session {
        loop {
            let node = self.random.below(of) as NodeId;
            if net.runs(node) {
                return self.session(node);
            }
        }
    }

    /// A node's session of now.
    pub(crate) fn session(&self, node: NodeId) -> Session {
        Session { node, starts: self.starts[node as usize] }
    }

    /// Whether a node has been there ever since.
    pub(crate) fn stayed(&self, net: &Network, session: Session) -> bool {
        net.runs(session.node) && self.session(session.node) == session
    }

    /// A number in [0, 1), and others, for what the nodes do.
    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// When something happens next that happens so often in a second.
    pub(crate) fn next(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64(self.random.exponential(1.0 / rate))
    }
}
