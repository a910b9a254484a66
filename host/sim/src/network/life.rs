//! Nodes and links that come and go.

use std::time::Duration;

use mute_core::{Input, NeighbourId, Router, RouterConfig};

use super::{Network, Pending, Signatures, nanos};
use crate::{
    app::{Behaviour, NodeId},
    events::{Nanos, What},
    link::{Edge, Half, LinkParams, link_id, parts},
    queue::Queue,
    random::derive,
};

/// What `node`'s router calls `other`: the same over restarts, and nothing to anybody else.
fn neighbour_id(seed: u64, node: NodeId, other: NodeId) -> NeighbourId {
    let name = derive(seed, "neighbour", u64::from(node) << 32 | u64::from(other));
    NeighbourId(name.iter().take(8).fold(0, |name, byte| name << 8 | u64::from(*byte)))
}

impl Network {
    /// Starts a node that does not run: a router that knows nothing (but keeps the secret of its coin, and when it was stopped), and links to
    /// those of its neighbours that run.
    #[expect(clippy::disallowed_methods, reason = "this is the one place: the simulator's own routers")]
    pub fn start(&mut self, node: NodeId) {
        let seed = self.config.seed;
        let now = self.now();
        let at = &mut self.nodes[node as usize];
        if at.router.is_some() {
            return;
        }
        let mut config = RouterConfig::new(
            super::NETWORK,
            derive(seed, "router", u64::from(node) | u64::from(at.incarnation) << 32),
            derive(seed, "secret", u64::from(node)),
        );
        config.heard_until = (at.incarnation > 0).then(|| at.stopped.take().unwrap_or(now.unix_s));
        if let Some(configure) = &self.config.router {
            configure(node, &mut config);
        }
        at.incarnation += 1;
        at.tick_at = Nanos::MAX;
        let router = match self.config.signatures {
            Signatures::Stub => Router::simulated(config, now),
            Signatures::Real => Router::new(config, now),
        };
        at.router = Some(Box::new(match &self.config.reshape {
            Some(reshape) => {
                let (shape, defences) = reshape(node);
                router.reshaped(shape, defences)
            }
            None => router,
        }));
        self.pending.push_back(Pending::Started(node));
        for place in 0..self.nodes[node as usize].halves.len() {
            let edge = self.nodes[node as usize].halves[place] as usize / 2;
            self.link_up(edge);
        }
    }

    /// A node says goodbye: its links go down, and it stops.
    pub fn stop(&mut self, node: NodeId) {
        for place in 0..self.nodes[node as usize].halves.len() {
            let edge = self.nodes[node as usize].halves[place] as usize / 2;
            self.link_down(edge);
        }
        self.vanish(node);
        self.nodes[node as usize].stopped = Some(self.now().unix_s);
    }

    /// A node is gone from one moment to the next; its neighbours notice after [`Config::crash_silence`](super::Config::crash_silence).
    pub fn crash(&mut self, node: NodeId) {
        self.vanish(node);
        let at = self.clock + nanos(self.config.crash_silence);
        for half in &self.nodes[node as usize].halves {
            let edge = &self.edges[*half as usize / 2];
            if edge.up {
                self.events.push(at, What::Down { half: *half, generation: edge.generation });
            }
        }
    }

    fn vanish(&mut self, node: NodeId) {
        if self.nodes[node as usize].router.take().is_some() {
            self.pending.push_back(Pending::Stopped(node));
        }
    }

    /// Whether a node runs.
    pub fn runs(&self, node: NodeId) -> bool {
        self.router(node).is_some()
    }

    /// Puts a behaviour around a node's router, or takes it off.
    pub fn set_behaviour(&mut self, node: NodeId, behaviour: Option<Box<dyn Behaviour>>) {
        self.nodes[node as usize].behaviour = behaviour;
    }

    /// What all links of a node share, in bytes a second; 0: no limit.
    pub fn set_upload(&mut self, node: NodeId, upload: u64) {
        self.nodes[node as usize].upload = upload;
    }

    /// A link between two nodes, up if both run. `a` is the one that dials. Its number.
    pub fn add_link(&mut self, a: NodeId, b: NodeId, params: LinkParams) -> usize {
        let edge = self.edges.len();
        let kind = self.kind(params);
        self.edges.push(Edge { ends: [a, b], generation: 0, kind, up: false });
        for (side, node) in [a, b].into_iter().enumerate() {
            self.halves.push(Half::default());
            self.queues.push(Queue::new(self.config.queue));
            self.nodes[node as usize].halves.push((2 * edge + side) as u32);
        }
        self.link_up(edge);
        edge
    }

    /// A link comes up, if it is down and both of its nodes run.
    pub fn link_up(&mut self, edge: usize) {
        let Edge { ends, up, .. } = self.edges[edge];
        if up || !ends.iter().all(|node| self.runs(*node)) {
            return;
        }
        self.edges[edge].up = true;
        self.edges[edge].generation += 1;
        let generation = self.edges[edge].generation;
        for (side, node) in ends.into_iter().enumerate() {
            let link = link_id((2 * edge + side) as u32, generation);
            let neighbour = neighbour_id(self.config.seed, node, ends[1 - side]);
            self.input(node, Input::LinkUp { link, neighbour, initiator: side == 0 });
        }
    }

    /// A link goes down, with all that is on it: both sides notice.
    pub fn link_down(&mut self, edge: usize) {
        let Edge { ends, generation, up, .. } = self.edges[edge];
        if !up {
            return;
        }
        self.edges[edge].up = false;
        for side in 0..2 {
            let at = 2 * edge + side;
            let half = &mut self.halves[at];
            half.counters.cut_queued += self.queues[at].bytes() as u64;
            half.counters.cut_flying += self.flights.clear(half);
            (half.level, half.empty) = (0, true);
            self.queues[at] = Queue::new(self.config.queue);
        }
        for (side, node) in ends.into_iter().enumerate() {
            self.input(node, Input::LinkDown { link: link_id((2 * edge + side) as u32, generation) });
        }
    }

    /// The neighbours of a node that crashed have waited long enough.
    pub(super) fn notice_down(&mut self, half: u32, generation: u32) {
        let edge = half as usize / 2;
        if self.edges[edge].generation == generation {
            self.link_down(edge);
        }
    }

    /// The number of a link, for [`Self::link_down`] and [`Self::set_link`].
    pub fn edge_of(&self, link: mute_core::LinkId) -> usize {
        parts(link).0 as usize / 2
    }

    /// The link between two nodes, up or down.
    pub fn edge_between(&self, a: NodeId, b: NodeId) -> Option<usize> {
        let halves = &self.nodes.get(a as usize)?.halves;
        let mut edges = halves.iter().map(|half| *half as usize / 2);
        edges.find(|edge| self.edges[*edge].ends.contains(&b))
    }

    /// Changes what the lines of a link are like, from the next frame on.
    pub fn set_link(&mut self, edge: usize, params: LinkParams) {
        self.edges[edge].kind = self.kind(params);
    }

    /// What the lines of a link are like.
    pub fn link_params(&self, edge: usize) -> LinkParams {
        self.kinds[self.edges[edge].kind as usize]
    }

    /// The number of a kind of lines: one that is there already, if it is among the last.
    fn kind(&mut self, params: LinkParams) -> u32 {
        let known = self.kinds.iter().enumerate().rev().take(64).find(|(_, known)| **known == params);
        let place = known.map(|(place, _)| place);
        place.unwrap_or_else(|| {
            self.kinds.push(params);
            self.kinds.len() - 1
        }) as u32
    }

    /// A time in which nothing is asked of the network: [`Self::run`] with no scenario on top.
    pub fn rest(&mut self, time: Duration) {
        let until = self.clock() + time;
        self.run(&mut (), until);
    }
}
