//! Users on a network, what they get, and what would be fair.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mute_core::{Address, Event, PortId, Role};

use super::shares::{User, max_min};
use crate::{
    App, Network, NodeId, Random, Timer, Way, Ways,
    link::parts,
    traffic::{Flow, FlowId, INNER_OVERHEAD, Source, Traffic},
    wire_bytes,
};

/// The length of packets' bodies, in bytes: as on the internet.
pub(super) const PACKET: u64 = 1200;

/// What a Data frame adds to its body, in bytes: its length, kind, label, mark.
pub(super) const FRAME: u64 = 14;

/// Flows begin within so long of each other.
const BEGIN_WITHIN: f64 = 5.0;

/// How much of what a link carries is payload of full packets.
pub(super) fn payload_share() -> f64 {
    (PACKET - INNER_OVERHEAD) as f64 / wire_bytes((PACKET + FRAME) as usize) as f64
}

/// Somebody who sends all the time.
pub(super) struct Asker {
    /// From which nodes.
    pub(super) nodes: Vec<NodeId>,
    /// To which node, to an address of its own there.
    pub(super) to: NodeId,
    /// With how many identities at each node.
    pub(super) identities: u32,
    /// On how many connections in all.
    pub(super) flows: u32,
    /// How each of them sends.
    pub(super) source: Source,
}

impl Asker {
    /// One user with one flow.
    pub(super) fn honest(node: NodeId, to: NodeId) -> Self {
        Self { nodes: vec![node], to, identities: 1, flows: 1, source: Source::Window(Default::default()) }
    }
}

struct Plan {
    user: usize,
    node: NodeId,
    port: PortId,
    to: Address,
    source: Source,
    flow: Option<FlowId>,
    way: Way,
}

/// All users of a run.
pub(super) struct Users {
    users: usize,
    plans: Vec<Plan>,
    traffic: Traffic,
    ways: Ways,
}

impl App for Users {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        if let Event::TrailOpened { role: Role::Seeker { .. }, seek, .. } = &event
            && let Some(plan) = self.plans.iter_mut().rev().find(|plan| plan.port == port)
        {
            plan.way = self.ways.take(*seek);
        }
        self.traffic.event(net, node, port, &event);
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        if self.traffic.timer(net, timer) {
            return;
        }
        if let Some(plan) = self.plans.get_mut(timer.token as usize) {
            let Plan { node, port, to, source, .. } = *plan;
            let flow = Flow { node, port, to, download: false, source, packet: PACKET, size: None };
            plan.flow = Some(self.traffic.start(net, flow));
        }
    }
}

impl Users {
    /// Opens the users' identities, and those that they send to; their flows begin by and by.
    pub(super) fn new(net: &mut Network, askers: &[Asker], seed: u64) -> Self {
        let mut random = Random::new(seed, "users");
        let ways = Ways::watch(net);
        let mut plans = Vec::new();
        let mut identities = 0;
        let mut open = |net: &mut Network, node| {
            identities += 1;
            net.open(node, identities)
        };
        for (user, asker) in askers.iter().enumerate() {
            let (_, to) = open(net, asker.to);
            let ports: Vec<(NodeId, PortId)> = (0..asker.identities)
                .flat_map(|_| asker.nodes.iter().copied())
                .map(|node| (node, open(net, node).0))
                .collect();
            for flow in 0..asker.flows as usize {
                let (node, port) = ports[flow % ports.len()];
                let token = plans.len() as u64;
                let after = Duration::from_secs_f64(BEGIN_WITHIN * random.unit());
                net.set_timer(after, Timer { component: 0, node, token });
                plans.push(Plan { user, node, port, to, source: asker.source, flow: None, way: Way::new() });
            }
        }
        Self { users: askers.len(), plans, traffic: Traffic::new(seed), ways }
    }

    /// What each user got in `window` after `warm_up`, in bytes of payload a second.
    pub(super) fn measure(&mut self, net: &mut Network, warm_up: Duration, window: Duration) -> Vec<f64> {
        let until = net.clock() + warm_up;
        net.run(self, until);
        let before = self.goodput();
        net.run(self, until + window);
        let after = self.goodput();
        before.iter().zip(after).map(|(before, after)| (after - before) as f64 / window.as_secs_f64()).collect()
    }

    fn goodput(&self) -> Vec<u64> {
        let mut sums = vec![0; self.users];
        for plan in &self.plans {
            sums[plan.user] += plan.flow.map_or(0, |flow| self.traffic.stats(flow).goodput);
        }
        sums
    }

    /// The lines over which all flows of a user go, in the direction of their packets. (A trail goes from its owner to its seeker; here the seekers send.)
    fn lines_of(&self, user: usize) -> BTreeSet<u32> {
        let flows = self.plans.iter().filter(|plan| plan.user == user && !plan.way.is_empty());
        let lines = flows.map(|plan| plan.way.iter().map(|(_, link)| parts(*link).0 ^ 1).collect());
        lines.reduce(|all: BTreeSet<u32>, lines| &all & &lines).unwrap_or_default()
    }

    /// Links from the first node of a user's way to the one where it meets another's.
    pub(super) fn hops_before_meeting(&self, user: usize, other: usize) -> Option<usize> {
        let shared = &self.lines_of(user) & &self.lines_of(other);
        let plan = self.plans.iter().find(|plan| plan.user == user)?;
        plan.way.iter().rev().position(|(_, link)| shared.contains(&(parts(*link).0 ^ 1)))
    }

    /// What each user would get by max–min, over the ways that the trails took, in bytes of payload a second.
    pub(super) fn fair_shares(&self, net: &Network) -> Vec<f64> {
        let users: Vec<User> = (0..self.users)
            .map(|user| User { over: self.lines_of(user).into_iter().map(u64::from).collect() })
            .collect();
        let capacity: BTreeMap<u64, f64> = (0..2 * net.edges.len() as u64)
            .map(|half| (half, net.link_params(half as usize / 2).rate as f64 * payload_share()))
            .collect();
        max_min(&users, &capacity)
    }
}
