//! What is measured of a join process.

use mute_core::neighbours::{Class, NeighbourAddress, limits};

use super::world::{Linked, Running, World};
use crate::{
    Topology,
    app::NodeId,
    events::Nanos,
    random::Random,
    stats::{quantile, sorted},
};

/// After its start a node has so long to find neighbours before what it lacks counts.
const GRACE: Nanos = 120_000_000_000;

/// What one node has been exposed to, added up over time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exposure {
    since: Nanos,
    counts_from: Nanos,
    honest: u32,
    adversary: u32,
    /// Nanoseconds on line, of those that count.
    pub(super) up: Nanos,
    /// Links, added up over time.
    pub(super) links: f64,
    /// Of those, with fewer links than a node should have.
    pub(super) few: Nanos,
    /// With no honest neighbour.
    pub(super) eclipsed: Nanos,
    /// With fewer than two.
    pub(super) short: Nanos,
    /// With at least half of the neighbours the adversary's.
    pub(super) half: Nanos,
    /// The adversary's share of neighbours, added up over time.
    pub(super) share: f64,
    /// Strangers that it has chosen, each time anew, and how many were the adversary's.
    pub(super) chosen: u64,
    pub(super) chosen_bad: u64,
}

impl Exposure {
    pub(super) fn new(clock: Nanos) -> Self {
        Self { since: clock, counts_from: clock + GRACE, ..Self::default() }
    }

    /// Adds what has been until now.
    pub(super) fn until(&mut self, clock: Nanos) {
        let from = self.since.max(self.counts_from);
        self.since = clock;
        let Some(time) = clock.checked_sub(from) else { return };
        let all = self.honest + self.adversary;
        self.up += time;
        self.links += time as f64 * f64::from(all);
        self.few += if (all as usize) < limits::LEAST_LINKS { time } else { 0 };
        self.eclipsed += if self.honest == 0 { time } else { 0 };
        self.short += if self.honest < 2 { time } else { 0 };
        self.half += if all > 0 && 2 * self.adversary >= all { time } else { 0 };
        self.share += time as f64 * f64::from(self.adversary) / f64::from(all.max(1));
    }

    pub(super) fn up(&mut self, clock: Nanos, adversary: bool, chosen: bool) {
        self.until(clock);
        *(if adversary { &mut self.adversary } else { &mut self.honest }) += 1;
        self.chosen += u64::from(chosen);
        self.chosen_bad += u64::from(chosen && adversary);
    }

    pub(super) fn down(&mut self, clock: Nanos, adversary: bool) {
        self.until(clock);
        let count = if adversary { &mut self.adversary } else { &mut self.honest };
        *count = count.saturating_sub(1);
    }

    /// Adds another's sums.
    pub(super) fn add(&mut self, other: &Self) {
        self.up += other.up;
        self.links += other.links;
        self.few += other.few;
        self.eclipsed += other.eclipsed;
        self.short += other.short;
        self.half += other.half;
        self.share += other.share;
        self.chosen += other.chosen;
        self.chosen_bad += other.chosen_bad;
    }
}

/// How long after their start nodes had as many links as a node should have at least, in seconds; no more than [`GRACE`].
#[derive(Clone, Debug, Default)]
pub(super) struct Joins {
    /// After a node's first start.
    first: Vec<f64>,
    /// When it came back.
    again: Vec<f64>,
}

impl Joins {
    /// Counts a run, if it has lasted long enough to tell.
    pub(super) fn run(&mut self, running: &Running, first: bool, clock: Nanos) {
        if clock >= running.started + GRACE {
            let after = running.joined_after.unwrap_or(GRACE).min(GRACE);
            (if first { &mut self.first } else { &mut self.again }).push(after as f64 / 1e9);
        }
    }
}

/// The network at one moment, and what its nodes were exposed to until then. Shares of time leave out the first two minutes after each start.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Honest nodes on line.
    pub online: usize,
    /// Links of an honest node, the mean over time.
    pub links: f64,
    /// The share of time with fewer than four.
    pub few: f64,
    /// The most that one has ever had.
    pub most_links: usize,
    /// How often one had more strangers of a prefix than its rules allow.
    pub broken_limits: u64,
    /// How many have how many links.
    pub degrees: Vec<usize>,
    /// The share of honest nodes in the largest part that honest links alone connect, of those that have been on line for two minutes.
    pub connected: f64,
    /// The longest way between honest nodes over honest links, from 16 of them.
    pub diameter: u32,
    /// The mean way.
    pub mean_path: f64,
    /// How many of a node's neighbours are neighbours of each other.
    pub clustering: f64,
    /// The adversary's share of an honest node's neighbours, over time.
    pub adversary_share: f64,
    /// The same, of those that it has chosen, each choice counted once.
    pub adversary_chosen: f64,
    /// The share of time in which at least half of its neighbours are the adversary's.
    pub half: f64,
    /// In which fewer than two are honest.
    pub short: f64,
    /// In which none is.
    pub eclipsed: f64,
    /// The share of honest nodes that have ever chosen one of the adversary's.
    pub ever_chosen: f64,
    /// Strangers chosen per node and hour.
    pub choices_per_hour: f64,
    /// Entries in a node's book.
    pub book: f64,
    /// Seconds from a node's first start to its fourth link: the median, and what one in twenty exceeds.
    pub first_join: [f64; 2],
    /// The same when it comes back.
    pub return_join: [f64; 2],
}

impl World {
    /// What counts begins anew, but for first starts.
    pub(super) fn forget_exposure(&mut self) {
        let clock = self.clock;
        self.joins.again.clear();
        for node in &mut self.nodes {
            node.exposure = Exposure::default();
            if let Some(running) = node.running.as_mut() {
                running.exposure.until(clock);
                let Exposure { honest, adversary, counts_from, .. } = running.exposure;
                let counts_from = counts_from.max(clock);
                running.exposure = Exposure { honest, adversary, counts_from, ..Exposure::new(clock) };
            }
        }
    }

    /// A new link is in an honest node's list: looks whether it holds to its limits, by what can be seen from outside.
    pub(super) fn check_limits(&mut self, node: NodeId, newcomer: NeighbourAddress) {
        let (clock, rules) = (self.clock, self.config.rules);
        let Some(running) = self.nodes[node as usize].running.as_ref() else { return };
        let strangers = running.links.iter().filter(|held| held.class != Class::Friend);
        let addresses = strangers.map(|held| self.nodes[held.node as usize].person.host.address);
        let (line, provider) = addresses.fold((0, 0), |(line, provider), other| {
            let same = |group: fn(NeighbourAddress) -> _| usize::from(group(other) == group(newcomer));
            (line + same(NeighbourAddress::group), provider + same(NeighbourAddress::wide_group))
        });
        self.broken_limits += u64::from(line > rules.per_prefix || provider > rules.per_wide_prefix);
        self.most_links = self.most_links.max(running.links.len());
        if let Some(running) = self.nodes[node as usize].running.as_mut()
            && running.links.len() >= limits::LEAST_LINKS
        {
            running.joined_after.get_or_insert(clock.saturating_sub(running.started));
        }
    }

    pub(super) fn measure(&mut self) -> Measured {
        let clock = self.clock;
        let mut sum = Exposure::default();
        let mut ever = (0_u64, 0_u64);
        for node in self.nodes.iter_mut().filter(|node| !node.person.adversary) {
            let mut all = node.exposure;
            if let Some(running) = node.running.as_mut() {
                running.exposure.until(clock);
                all.add(&running.exposure);
                self.joins.run(running, node.starts == 1, clock);
            }
            if all.up > 0 {
                ever.0 += u64::from(all.chosen_bad > 0);
                ever.1 += 1;
            }
            sum.add(&all);
        }
        let share = |part: Nanos| part as f64 / sum.up.max(1) as f64;
        let joins = |runs: &[f64]| {
            let runs = sorted(runs.to_vec());
            [0.5, 0.95].map(|at| quantile(&runs, at))
        };
        let mut measured = Measured {
            links: sum.links / sum.up.max(1) as f64,
            few: share(sum.few),
            most_links: self.most_links,
            broken_limits: self.broken_limits,
            adversary_share: sum.share / sum.up.max(1) as f64,
            adversary_chosen: sum.chosen_bad as f64 / sum.chosen.max(1) as f64,
            half: share(sum.half),
            short: share(sum.short),
            eclipsed: share(sum.eclipsed),
            ever_chosen: ever.0 as f64 / ever.1.max(1) as f64,
            choices_per_hour: sum.chosen as f64 / (sum.up.max(1) as f64 / 3.6e12),
            first_join: joins(&self.joins.first),
            return_join: joins(&self.joins.again),
            ..Measured::default()
        };
        self.measure_nodes(&mut measured);
        let (graph, _) = self.graph();
        measure_graph(&graph, &mut measured);
        measured
    }

    fn measure_nodes(&self, measured: &mut Measured) {
        for running in self.nodes.iter().filter_map(|node| node.running.as_ref()) {
            let links = running.links.len();
            if measured.degrees.len() <= links {
                measured.degrees.resize(links + 1, 0);
            }
            measured.degrees[links] += 1;
            measured.online += 1;
            measured.book += running.policy.known() as f64;
        }
        measured.book /= measured.online.max(1) as f64;
    }

    /// The honest nodes that have been on line for long enough and the links between them, numbered anew, and who is who.
    pub(super) fn graph(&self) -> (Topology, Vec<NodeId>) {
        let settled = |node: NodeId| {
            let running = self.nodes[node as usize].running.as_ref();
            running.filter(|running| self.clock >= running.started + GRACE)
        };
        let who: Vec<NodeId> = (0..self.config.honest as NodeId).filter(|node| settled(*node).is_some()).collect();
        let place = |node: NodeId| who.binary_search(&node).ok().map(|place| place as NodeId);
        let mut edges = Vec::new();
        for node in &who {
            for Linked { link, node: other, .. } in
                settled(*node).map(|running| running.links.iter()).into_iter().flatten()
            {
                // A link that the other side has closed already is none.
                let honest = (*other as usize) < self.config.honest;
                let both = || settled(*other).is_some_and(|other| other.links.iter().any(|held| held.link == *link));
                if honest
                    && both()
                    && let (Some(a), Some(b)) = (place(*node), place(*other))
                {
                    edges.push((a, b));
                }
            }
        }
        (Topology::joined(who.len(), edges), who)
    }
}

fn measure_graph(graph: &Topology, measured: &mut Measured) {
    /// Nodes from which ways are measured.
    const SOURCES: usize = 16;
    let neighbours = graph.neighbours();
    let mut random = Random::new(graph.nodes as u64, "sources");
    let (mut sum, mut ways, mut largest) = (0_u64, 0_u64, 0);
    for _ in 0..SOURCES.min(graph.nodes) {
        let distances = Topology::distances(&neighbours, random.below(graph.nodes) as NodeId);
        let reached: Vec<u32> = distances.into_iter().flatten().collect();
        largest = largest.max(reached.len());
        measured.diameter = measured.diameter.max(reached.iter().copied().max().unwrap_or(0));
        sum += reached.iter().map(|hops| u64::from(*hops)).sum::<u64>();
        ways += reached.len().saturating_sub(1) as u64;
    }
    measured.connected = largest as f64 / graph.nodes.max(1) as f64;
    measured.mean_path = sum as f64 / ways.max(1) as f64;
    let (mut closed, mut pairs) = (0_u64, 0_u64);
    for _ in 0..2000.min(graph.nodes) {
        let around = &neighbours[random.below(graph.nodes)];
        for (place, a) in around.iter().enumerate() {
            for b in &around[place + 1..] {
                pairs += 1;
                closed += u64::from(neighbours[*a as usize].contains(b));
            }
        }
    }
    measured.clustering = closed as f64 / pairs.max(1) as f64;
}
