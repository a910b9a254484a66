//! One conversation, and the liars that it has to get round.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use mute_core::{
    Address, Defences, Event, MessageId, PortId, Profile, Role, TrailId,
    wire::{Frame, SeekMode},
};
use serde::Serialize;

use super::liar::{Liar, Lie};
use crate::{App, Config, LinkParams, Network, NodeId, Random, Timer, Topology};

/// Between two packets of the conversation.
const PACKET_EVERY: Duration = Duration::from_millis(250);

/// The packets' size: the smallest class of a balanced network.
const PACKET: usize = 256;

/// So many packets in a row have an answer: the conversation has recovered. Twice what a lure lets pass.
const RUN: usize = 40;

/// How long the conversation goes on in peace.
const PEACE: Duration = Duration::from_secs(5);

/// From a liar to its neighbours, and among liars; honest links have 10 to 50 ms.
const LIAR_DELAY: Duration = Duration::from_millis(1);

/// Links of a magnet to nodes taken by chance.
const MAGNET_LINKS: usize = 3;

/// Where the liars are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Place {
    /// So many relays of a trail that works turn, all at once.
    Path(usize),
    /// So many have been there from the start, fast, linked to each other, each to one of the two ends (a single one to both).
    Magnets(usize),
}

/// One trial.
pub(super) struct Trial<'a> {
    pub(super) topology: &'a Topology,
    pub(super) place: Place,
    pub(super) lie: Lie,
    pub(super) eager: bool,
    pub(super) profile: Profile,
    pub(super) defences: Defences,
    pub(super) patience: Duration,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Packets are answered again: after so many Seeks and so long.
    Recovered { seeks: u64, after: Duration },
    /// Not within the patience. The Seeks until then.
    Never { seeks: u64 },
    /// No honest way from end to end, or too short a trail: not a trial.
    Void,
}

/// The seeker sends a packet now and then; the owner answers each.
struct Talk {
    ends: [NodeId; 2],
    trail: Option<TrailId>,
    /// When each packet was sent, and whether it was answered.
    packets: Vec<(Duration, bool)>,
}

impl Talk {
    fn body(number: usize) -> Vec<u8> {
        let mut body = vec![0; PACKET];
        body[..8].copy_from_slice(&(number as u64).to_be_bytes());
        body
    }

    /// When the first packet of a run of answered ones was sent, of those sent since.
    fn recovered(&self, since: Duration) -> Option<Duration> {
        let sent: Vec<_> = self.packets.iter().filter(|(at, _)| *at >= since).collect();
        let run = sent.windows(RUN).find(|run| run.iter().all(|(_, answered)| *answered))?;
        Some(run[0].0)
    }
}

impl App for Talk {
    fn event(&mut self, net: &mut Network, node: NodeId, _: PortId, event: Event) {
        match event {
            Event::TrailOpened { trail, role: Role::Seeker { .. }, .. } => self.trail = Some(trail),
            Event::TrailClosed { trail, .. } if node == self.ends[0] && self.trail == Some(trail) => self.trail = None,
            Event::Data { trail, body, .. } if node == self.ends[1] => net.send_data(node, trail, body),
            Event::Data { body, .. } if node == self.ends[0] => {
                let number = body.first_chunk().map_or(u64::MAX, |number| u64::from_be_bytes(*number));
                if let Some((_, answered)) = self.packets.get_mut(number as usize) {
                    *answered = true;
                }
            }
            _ => {}
        }
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        if let Some(trail) = self.trail {
            net.send_data(self.ends[0], trail, Self::body(self.packets.len()));
        }
        self.packets.push((net.clock(), false));
        net.set_timer(PACKET_EVERY, timer);
    }
}

impl Trial<'_> {
    pub(super) fn run(&self) -> Outcome {
        let mut random = Random::new(self.seed, "black holes");
        let (shape, defences) = (self.profile.shape(), self.defences);
        let mut topology = self.topology.clone();
        let Some(ends) = self.ends(&mut random) else {
            return Outcome::Void;
        };
        let mut liars = self.add_magnets(&mut topology, ends, &mut random);
        let config = Config { reshape: Some(Rc::new(move |_| (shape, defences))), ..Config::new(self.seed) };
        let mut net = Network::new(config, &topology);
        for edge in 0..topology.edges.len() {
            let delay = Duration::from_millis(10 + random.below(41) as u64);
            net.set_link(edge, LinkParams { delay, ..LinkParams::default() });
        }
        let (port, _) = net.open(ends[0], 0);
        let (_, target) = net.open(ends[1], 0);
        if !liars.is_empty() {
            self.turn(&mut net, &liars);
        }
        net.connect(ends[0], port, target);
        let mut talk = Talk { ends, trail: None, packets: Vec::new() };
        net.set_timer(Duration::ZERO, Timer { component: 0, node: ends[0], token: 0 });
        let mut start = Duration::ZERO;
        let mut seeks = Seeks::watch(&mut net, ends[0], target);
        if let Place::Path(count) = self.place {
            net.run(&mut talk, PEACE);
            let Some(relays) = self.relays(&net, ends, count, &mut random) else {
                return Outcome::Void;
            };
            liars = relays;
            self.turn(&mut net, &liars);
            start = net.clock();
            seeks = Seeks::watch(&mut net, ends[0], target);
        }
        if !honest_way(&topology, ends, &liars) {
            return Outcome::Void;
        }
        while net.clock() < start + self.patience {
            let until = net.clock() + Duration::from_secs(5);
            net.run(&mut talk, until);
            if let Some(at) = talk.recovered(start) {
                return Outcome::Recovered { seeks: seeks.until(at), after: at - start };
            }
        }
        Outcome::Never { seeks: seeks.until(net.clock()) }
    }

    /// Two nodes three or four hops apart, or two where the network has no such: well within a flood's reach.
    fn ends(&self, random: &mut Random) -> Option<[NodeId; 2]> {
        let neighbours = self.topology.neighbours();
        let seeker = random.below(self.topology.nodes) as NodeId;
        let distances = Topology::distances(&neighbours, seeker);
        let at = |hops: [u32; 2]| -> Vec<NodeId> {
            let far = distances.iter().enumerate().filter(|(_, at)| at.is_some_and(|at| hops.contains(&at)));
            far.map(|(node, _)| node as NodeId).collect()
        };
        let far = [[3, 4], [2, 2]].into_iter().map(at).find(|far| !far.is_empty())?;
        Some([seeker, *random.pick(&far)?])
    }

    /// Magnets, which come after all other nodes.
    fn add_magnets(&self, topology: &mut Topology, ends: [NodeId; 2], random: &mut Random) -> Vec<NodeId> {
        let Place::Magnets(count) = self.place else {
            return Vec::new();
        };
        let honest = topology.nodes;
        let liars: Vec<NodeId> = (honest..honest + count).map(|node| node as NodeId).collect();
        let mut edges = topology.edges.clone();
        for (place, liar) in liars.iter().enumerate() {
            let near = if count == 1 { &ends[..] } else { &ends[place % 2..=place % 2] };
            edges.extend(near.iter().map(|end| (*liar, *end)));
            edges.extend(liars[..place].iter().map(|other| (*liar, *other)));
            edges.extend((0..MAGNET_LINKS).map(|_| (*liar, random.below(honest) as NodeId)));
        }
        *topology = Topology::joined(honest + count, edges);
        liars
    }

    /// So many of the relays of the only trail that there is.
    fn relays(&self, net: &Network, ends: [NodeId; 2], count: usize, random: &mut Random) -> Option<Vec<NodeId>> {
        let bound = |node: &NodeId| net.router(*node).is_some_and(|router| router.counters().live.bindings > 0);
        let mut relays: Vec<NodeId> =
            (0..net.len() as NodeId).filter(|node| !ends.contains(node)).filter(bound).collect();
        random.shuffle(&mut relays);
        (relays.len() >= count).then(|| relays[..count].to_vec())
    }

    /// They lie from now on, and are fast.
    fn turn(&self, net: &mut Network, liars: &[NodeId]) {
        for liar in liars {
            net.set_behaviour(*liar, Some(Box::new(Liar::new(self.lie, self.eager, self.seed, *liar))));
            for (_, link) in net.links(*liar) {
                net.set_link(net.edge_of(link), LinkParams { delay: LIAR_DELAY, ..LinkParams::default() });
            }
        }
    }
}

/// Whether honest nodes alone lead from end to end.
fn honest_way(topology: &Topology, ends: [NodeId; 2], liars: &[NodeId]) -> bool {
    let honest = topology.edges.iter().filter(|(a, b)| !liars.contains(a) && !liars.contains(b)).copied();
    let neighbours = Topology::joined(topology.nodes, honest).neighbours();
    Topology::distances(&neighbours, ends[0])[ends[1] as usize].is_some()
}

/// When a seeker sent each of its Seeks for an address.
struct Seeks(Rc<RefCell<(BTreeSet<MessageId>, Vec<Duration>)>>);

impl Seeks {
    fn watch(net: &mut Network, seeker: NodeId, target: Address) -> Self {
        let seeks: Rc<RefCell<(BTreeSet<MessageId>, Vec<Duration>)>> = Rc::default();
        let of_tap = Rc::clone(&seeks);
        net.tap = Some(Box::new(move |at, node, _, frame| {
            if let Frame::Seek { message, mode: SeekMode::Directed | SeekMode::Flood(_) | SeekMode::Walk(_) } = frame
                && node == seeker
                && message.target() == target
            {
                let mut seeks = of_tap.borrow_mut();
                if seeks.0.insert(message.id()) {
                    seeks.1.push(at);
                }
            }
        }));
        Self(seeks)
    }

    fn until(&self, at: Duration) -> u64 {
        self.0.borrow().1.iter().filter(|sent| **sent <= at).count() as u64
    }
}
