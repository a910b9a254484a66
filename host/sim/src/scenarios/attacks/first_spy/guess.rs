//! Who was it? What colluders who know all links and their delays make of what they saw.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::watch::{Sight, What};
use crate::{NodeId, Topology};

/// The probability that a hidden message goes on hidden: the router's coin.
pub(super) const STAYS: f64 = 2.0 / 3.0;

/// How exactly colluders know delays, in microseconds: what the lines vary by.
const PRECISION_US: f64 = 3_000.0;

/// Arrivals that are compared with what each possible source would give.
const ARRIVALS: usize = 24;

/// Hidden hops that are thought of: more come one time in 200.
const HOPS: usize = 13;

/// What is known of how a message leaves its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Hidden along one path, whose end is a coin's; `own_hides`: the author does not throw it.
    Path {
        /// See there.
        own_hides: bool,
    },
    /// To all at once.
    Source,
    /// By scent.
    Scent,
}

/// The network, as colluders know it.
pub(super) struct Map {
    /// Of each node: its neighbours, the delay to each in microseconds, and the place of this link in the neighbour's list.
    links: Vec<Vec<(NodeId, u64, usize)>>,
    /// From each colluder to each node, in microseconds; empty for others.
    delays: Vec<Vec<u64>>,
}

impl Map {
    pub(super) fn new(topology: &Topology, delays: &[u64], spies: &[NodeId]) -> Self {
        let mut links: Vec<Vec<(NodeId, u64, usize)>> = vec![Vec::new(); topology.nodes];
        for ((a, b), delay) in topology.edges.iter().zip(delays) {
            let (at_a, at_b) = (links[*a as usize].len(), links[*b as usize].len());
            links[*a as usize].push((*b, *delay, at_b));
            links[*b as usize].push((*a, *delay, at_a));
        }
        let mut map = Self { links, delays: vec![Vec::new(); topology.nodes] };
        for spy in spies {
            map.delays[*spy as usize] = map.delays_from(*spy);
        }
        map
    }

    /// Dijkstra's shortest paths.
    fn delays_from(&self, from: NodeId) -> Vec<u64> {
        let mut delays = vec![u64::MAX; self.links.len()];
        let mut ahead = BinaryHeap::from([(Reverse(0), from)]);
        while let Some((Reverse(delay), node)) = ahead.pop() {
            if delay >= delays[node as usize] {
                continue;
            }
            delays[node as usize] = delay;
            ahead.extend(self.links[node as usize].iter().map(|(next, hop, _)| (Reverse(delay + hop), *next)));
        }
        delays
    }

    /// Which nodes it spread from, and how likely: those from which it would have reached the colluders when it did. All at
    /// once where a colluder got the first copy of all.
    fn sources(&self, sights: &[Sight], honest: &[bool], start: Start) -> Vec<(NodeId, f64)> {
        let first_hop = |sight: &&Sight| match sight.what {
            What::Spread(1) => start != Start::Source,
            // The first split of 128 walkers among seven or eight neighbours.
            What::Roam(walkers_log2) => walkers_log2 >= 4,
            _ => false,
        };
        if let Some(first) = sights.iter().find(first_hop) {
            return vec![(first.from, 1.0)];
        }
        let spread = |sight: &&Sight| start == Start::Source || sight.what != What::Hidden;
        let mut first: Vec<Sight> = Vec::new();
        for sight in sights.iter().filter(spread) {
            if first.len() < ARRIVALS && first.iter().all(|other| other.spy != sight.spy) {
                first.push(*sight);
            }
        }
        if let [Sight { what: What::Roam(_), from, .. }, ..] = first[..] {
            return vec![(from, 1.0)];
        }
        let errors: Vec<f64> = (0..self.links.len())
            .map(|node| {
                let late = |sight: &Sight| sight.at as f64 - self.delays[sight.spy as usize][node] as f64;
                let mean = first.iter().map(late).sum::<f64>() / first.len() as f64;
                first.iter().map(|sight| (late(sight) - mean).powi(2)).sum::<f64>()
            })
            .collect();
        let honest_errors = errors.iter().zip(honest).filter(|(_, honest)| **honest);
        let least = honest_errors.map(|(error, _)| *error).fold(f64::INFINITY, f64::min);
        let likely = |error: f64| ((least - error) / (2.0 * PRECISION_US.powi(2))).exp();
        let all = errors.iter().enumerate().filter(|(node, _)| honest[*node]);
        all.map(|(node, error)| (node as NodeId, likely(*error))).filter(|(_, weight)| *weight > 0.01).collect()
    }

    /// How likely each node is the author. `sights`: of one session, in order of time, from honest nodes only. Sums to 1; empty if nothing
    /// was seen.
    pub(super) fn posterior(&self, sights: &[Sight], honest: &[bool], start: Start) -> Vec<f64> {
        let mut all = vec![0.0; self.links.len()];
        let Some(first) = sights.first() else {
            return Vec::new();
        };
        let hidden = sights.iter().find(|sight| sight.what == What::Hidden);
        match (start, hidden) {
            (Start::Scent, _) => all[first.from as usize] = 1.0,
            (Start::Source, _) => {
                self.sources(sights, honest, start).iter().for_each(|(node, weight)| all[*node as usize] = *weight);
            }
            (Start::Path { own_hides }, Some(sight)) => {
                let hides = if own_hides { 1.0 } else { STAYS };
                self.add_authors(&mut all, sight.from, Some(sight.spy), honest, [hides, hides * STAYS], 1.0);
            }
            (Start::Path { own_hides }, None) => {
                let hides = if own_hides { 1.0 } else { STAYS };
                let weights = [1.0 - hides, hides * (1.0 - STAYS)];
                for (node, weight) in self.sources(sights, honest, start) {
                    self.add_authors(&mut all, node, None, honest, weights, weight);
                }
            }
        }
        let sum = all.iter().sum::<f64>();
        if sum > 0.0 { all.iter().map(|weight| weight / sum).collect() } else { Vec::new() }
    }

    /// Adds the authors whose message may have come to `node` on a hidden path past no colluder. `to`: the colluder that it went on to. `weights`: that `node` is the
    /// author; that it is not, but for the path.
    fn add_authors(
        &self,
        all: &mut [f64],
        node: NodeId,
        to: Option<NodeId>,
        honest: &[bool],
        [own, others]: [f64; 2],
        weight: f64,
    ) {
        let degree = |node: NodeId| self.links[node as usize].len() as f64;
        let onward = if to.is_some() { 1.0 / (degree(node) - 1.0).max(1.0) } else { 1.0 };
        all[node as usize] += weight * own * if to.is_some() { 1.0 / degree(node) } else { 1.0 };
        if others == 0.0 {
            return;
        }
        // By each link of each node: the probability that what starts there comes to `node` this way.
        let mut ways: Vec<Vec<f64>> = self.links.iter().map(|links| vec![0.0; links.len()]).collect();
        for (before, _, back) in &self.links[node as usize] {
            if honest[*before as usize] && Some(*before) != to {
                ways[*before as usize][*back] = 1.0;
            }
        }
        for _ in 0..HOPS {
            let sums: Vec<f64> = ways.iter().map(|ways| ways.iter().sum()).collect();
            for (author, sum) in sums.iter().enumerate() {
                all[author] += weight * others * onward * sum / degree(author as NodeId);
            }
            let mut next: Vec<Vec<f64>> = self.links.iter().map(|links| vec![0.0; links.len()]).collect();
            for (at, links) in self.links.iter().enumerate() {
                if sums[at] == 0.0 {
                    continue;
                }
                let goes = STAYS / (links.len() as f64 - 1.0).max(1.0);
                for ((before, _, back), there) in links.iter().zip(&ways[at]) {
                    if honest[*before as usize] {
                        next[*before as usize][*back] = (sums[at] - there) * goes;
                    }
                }
            }
            ways = next;
        }
    }
}

/// The most likely; the first of equals.
pub(super) fn most_likely(weights: &[f64]) -> Option<NodeId> {
    let best = weights.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.filter(|(_, weight)| weight.is_finite()).map(|(node, _)| node as NodeId)
}

/// In bits.
pub(super) fn entropy(weights: &[f64]) -> f64 {
    weights.iter().filter(|weight| **weight > 0.0).map(|weight| -weight * weight.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(at: u64, spy: NodeId, from: NodeId, what: What) -> Sight {
        Sight { at, spy, from, what }
    }

    #[test]
    fn on_a_line_the_author_is_upstream_with_the_coins_law() {
        let map = Map::new(&Topology::line(6), &[10_000; 5], &[0]);
        let honest = [false, true, true, true, true, true];
        let seen = [sight(5, 0, 1, What::Hidden)];
        let all = map.posterior(&seen, &honest, Start::Path { own_hides: false });
        // An end of the line has one way to choose, others two.
        assert!(all[0] == 0.0 && (all[2] / all[1] - STAYS).abs() < 1e-9 && (all[3] / all[2] - STAYS).abs() < 1e-9);
        assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(most_likely(&all), Some(1));
    }

    #[test]
    fn arrivals_tell_the_source_and_the_rules_who_is_behind_it() {
        let delays = [10_000, 20_000, 30_000, 40_000];
        let map = Map::new(&Topology::line(5), &delays, &[0, 4]);
        let honest = [false, true, true, true, false];
        // From node 2 at time 0.
        let seen = [sight(30_000, 0, 1, What::Spread(2)), sight(70_000, 4, 3, What::Spread(2))];
        assert_eq!(most_likely(&map.posterior(&seen, &honest, Start::Source)), Some(2));
        let all = map.posterior(&seen, &honest, Start::Path { own_hides: false });
        assert_eq!(most_likely(&all), Some(2));
        let all = map.posterior(&seen, &honest, Start::Path { own_hides: true });
        assert!(all[2] < 1e-6 && (all[1] - 0.5).abs() < 0.01, "{all:?}");
        assert!((entropy(&all) - 1.0).abs() < 0.01);
    }
}
