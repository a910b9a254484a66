//! What neighbour policies come to in a network that changes: whoever loses neighbours dials others.

use std::time::Duration;

use crate::{LinkParams, Network, NodeId, Random, Timer, Topology};

/// How long a node without enough neighbours takes to find one, on average.
const DIALLING: f64 = 5.0;

/// How soon it tries another when the first was not there or had no room.
const RETRY: Duration = Duration::from_millis(100);

/// Neighbours of nodes that come and go. Each node wants as many as it had in the first graph, takes half as many more, and dials by chance.
pub(crate) struct Relink {
    wanted: Vec<usize>,
    link: LinkParams,
    random: Random,
}

impl Relink {
    /// The [`Timer::component`] of its timers.
    pub(crate) const COMPONENT: u16 = 900;

    pub(crate) fn new(topology: &Topology, link: LinkParams, seed: u64) -> Self {
        let mut wanted = vec![0; topology.nodes];
        for (a, b) in &topology.edges {
            wanted[*a as usize] += 1;
            wanted[*b as usize] += 1;
        }
        Self { wanted, link, random: Random::new(seed, "relink") }
    }

    /// A node is gone: its neighbours will notice, at the latest when the link has been silent for too long.
    pub(crate) fn stopped(&mut self, net: &mut Network, node: NodeId) {
        let silence = net.config().crash_silence + Duration::from_secs(1);
        for other in net.acquainted(node) {
            if net.runs(other) {
                self.wake(net, other, silence);
            }
        }
    }

    /// A node is back: those of its neighbours that have enough others let it go again, and it dials until it has enough.
    pub(crate) fn started(&mut self, net: &mut Network, node: NodeId) {
        for (other, link) in net.links(node) {
            if net.links(other).len() > self.room(other) {
                net.link_down(net.edge_of(link));
            }
        }
        self.wake(net, node, Duration::ZERO);
    }

    /// A timer is due. `false`: it is not one of these.
    pub(crate) fn timer(&mut self, net: &mut Network, timer: Timer) -> bool {
        if timer.component != Self::COMPONENT {
            return false;
        }
        let node = timer.node;
        let links = net.links(node);
        if !net.runs(node) || links.len() >= self.wanted[node as usize] {
            return true;
        }
        let other = self.random.below(net.len()) as NodeId;
        let linked = other == node || links.iter().any(|(neighbour, _)| *neighbour == other);
        if !linked && net.runs(other) && net.links(other).len() < self.room(other) {
            match net.edge_between(node, other) {
                Some(edge) => net.link_up(edge),
                None => _ = net.add_link(node, other, self.link),
            }
            self.wake(net, node, Duration::ZERO);
        } else {
            // Nobody there: another at once.
            net.set_timer(RETRY, Timer { component: Self::COMPONENT, node, token: 0 });
        }
        true
    }

    fn room(&self, node: NodeId) -> usize {
        let wanted = self.wanted[node as usize];
        (wanted + wanted / 2).min(mute_core::limits::MAX_LINKS)
    }

    fn wake(&mut self, net: &mut Network, node: NodeId, after: Duration) {
        let dialling = Duration::from_secs_f64(self.random.exponential(DIALLING));
        net.set_timer(after + dialling, Timer { component: Self::COMPONENT, node, token: 0 });
    }
}
