//! Who is whose neighbour.

use std::collections::{BTreeSet, VecDeque};

use crate::{app::NodeId, random::Random};

/// Nodes and the links between them; the first of a link's two dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// How many nodes.
    pub nodes: usize,
    /// The links: no loops, none twice.
    pub edges: Vec<(NodeId, NodeId)>,
}

/// Which kind of graph, for command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Every node has the same number of neighbours, otherwise by chance.
    RandomRegular,
    /// A ring lattice, a tenth of its links rewired.
    WattsStrogatz,
    /// Newcomers attach to whom many are attached.
    BarabasiAlbert,
}

/// Links of one node in a Barabási–Albert graph: what a router takes.
const MAX_DEGREE: usize = mute_core::limits::MAX_LINKS;

/// The share of links that a Watts–Strogatz graph of [`Kind`] rewires.
const REWIRED: f64 = 0.1;

impl Topology {
    /// Nodes with these links, as another model's outcome has them (a join process yields such a list). Loops and repetitions are left out.
    pub fn joined(nodes: usize, edges: impl IntoIterator<Item = (NodeId, NodeId)>) -> Self {
        let mut seen = BTreeSet::new();
        let edges = edges.into_iter().filter(|(a, b)| a != b && seen.insert((*a.min(b), *a.max(b)))).collect();
        Self { nodes, edges }
    }

    /// A graph of this kind with `degree` neighbours a node on average.
    pub fn of_kind(kind: Kind, nodes: usize, degree: usize, seed: u64) -> Self {
        match kind {
            Kind::RandomRegular => Self::random_regular(nodes, degree, seed),
            Kind::WattsStrogatz => Self::watts_strogatz(nodes, degree, REWIRED, seed),
            Kind::BarabasiAlbert => Self::barabasi_albert(nodes, degree / 2, seed),
        }
    }

    /// Everybody with everybody.
    pub fn complete(nodes: usize) -> Self {
        let nodes = nodes as u32;
        Self::joined(nodes as usize, (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b))))
    }

    /// One after the other.
    pub fn line(nodes: usize) -> Self {
        Self::joined(nodes, (1..nodes as u32).map(|node| (node - 1, node)))
    }

    /// A line whose ends meet.
    pub fn ring(nodes: usize) -> Self {
        let count = nodes as u32;
        Self::joined(nodes, (0..count).map(|node| (node, (node + 1) % count)))
    }

    /// Rows and columns.
    pub fn grid(width: usize, height: usize) -> Self {
        let mut edges = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let node = (y * width + x) as u32;
                if x + 1 < width {
                    edges.push((node, node + 1));
                }
                if y + 1 < height {
                    edges.push((node, node + width as u32));
                }
            }
        }
        Self { nodes: width * height, edges }
    }

    /// A random graph in which every node has `degree` neighbours, connected. Ends are paired by chance; a pair that would be
    /// a loop or a repetition swaps ends with another pair taken by chance. One end is left over if there is an odd number of them.
    pub fn random_regular(nodes: usize, degree: usize, seed: u64) -> Self {
        if degree + 1 >= nodes {
            return Self::complete(nodes);
        }
        let mut attempt = 0;
        loop {
            let mut random = Random::numbered(seed, "random regular graph", attempt);
            let graph = Self::paired(nodes, degree, &mut random);
            // A graph of one neighbour each is never connected; one of two is a set of rings.
            if degree < 3 || graph.is_connected() {
                return graph;
            }
            attempt += 1;
        }
    }

    fn paired(nodes: usize, degree: usize, random: &mut Random) -> Self {
        let mut ends: Vec<u32> = (0..nodes as u32).flat_map(|node| std::iter::repeat_n(node, degree)).collect();
        random.shuffle(&mut ends);
        let mut pairs: Vec<(u32, u32)> = ends.as_chunks().0.iter().map(|[a, b]| (*a, *b)).collect();
        let key = |(a, b): (u32, u32)| (a.min(b), a.max(b));
        let mut seen: BTreeSet<(u32, u32)> = BTreeSet::new();
        let mut bad: VecDeque<usize> = VecDeque::new();
        for (place, pair) in pairs.iter().enumerate() {
            if pair.0 == pair.1 || !seen.insert(key(*pair)) {
                bad.push_back(place);
            }
        }
        // Each swap succeeds with a good chance; the bound ends it for graphs that cannot be (as many neighbours as nodes).
        for _ in 0..1000 * (bad.len() + 1) {
            let Some(place) = bad.pop_front() else {
                break;
            };
            let other = random.below(pairs.len());
            let ((a, b), (c, d)) = (pairs[place], pairs[other]);
            let (first, second) = ((a, d), (c, b));
            let fits = other != place
                && !bad.contains(&other)
                && a != d
                && c != b
                && key(first) != key(second)
                && !seen.contains(&key(first))
                && !seen.contains(&key(second));
            if fits {
                seen.remove(&key((c, d)));
                seen.extend([key(first), key(second)]);
                (pairs[place], pairs[other]) = (first, second);
            } else {
                bad.push_back(place);
            }
        }
        for place in bad {
            pairs[place] = (0, 0);
        }
        Self::joined(nodes, pairs)
    }

    /// A small world (Watts and Strogatz 1998): a ring on which each node has its `degree` nearest as neighbours, each link's far end moved to
    /// a random node with this probability.
    pub fn watts_strogatz(nodes: usize, degree: usize, rewired: f64, seed: u64) -> Self {
        let mut attempt = 0;
        loop {
            let mut random = Random::numbered(seed, "small world", attempt);
            let mut seen = BTreeSet::new();
            let mut edges = Vec::new();
            let lattice = (1..=degree / 2).flat_map(|step| (0..nodes).map(move |node| (node, (node + step) % nodes)));
            let mut add = |a: u32, b: u32| a != b && seen.insert((a.min(b), a.max(b)));
            for (a, b) in lattice {
                let (a, mut b) = (a as u32, b as u32);
                if random.chance(rewired) {
                    b = random.below(nodes) as u32;
                }
                // What is taken is drawn again, a few times.
                let placed = (0..16).any(|_| {
                    let new = add(a, b);
                    if !new {
                        b = random.below(nodes) as u32;
                        return false;
                    }
                    edges.push((a, b));
                    true
                });
                debug_assert!(placed || nodes < 64);
            }
            let graph = Self { nodes, edges };
            if degree < 2 || graph.is_connected() {
                return graph;
            }
            attempt += 1;
        }
    }

    /// A scale-free graph (Barabási and Albert 1999): each newcomer links to `links` nodes, chosen with the weight of their degree; nobody gets more
    /// than a router takes.
    pub fn barabasi_albert(nodes: usize, links: usize, seed: u64) -> Self {
        let links = links.max(1);
        let mut random = Random::new(seed, "scale-free graph");
        let core = (links + 1).min(nodes);
        let mut graph = Self::complete(core);
        graph.nodes = nodes;
        let mut degree = vec![core - 1; core];
        degree.resize(nodes, 0);
        let mut ends: Vec<u32> = graph.edges.iter().flat_map(|(a, b)| [*a, *b]).collect();
        for node in core as u32..nodes as u32 {
            let mut chosen: Vec<u32> = Vec::with_capacity(links);
            while chosen.len() < links {
                let Some(other) = random.pick(&ends).copied() else {
                    break;
                };
                if !chosen.contains(&other) && degree[other as usize] < MAX_DEGREE {
                    chosen.push(other);
                }
            }
            for other in chosen {
                graph.edges.push((node, other));
                degree[other as usize] += 1;
                degree[node as usize] += 1;
                ends.extend([node, other]);
            }
        }
        graph
    }

    /// Each node's neighbours.
    pub fn neighbours(&self) -> Vec<Vec<NodeId>> {
        let mut lists = vec![Vec::new(); self.nodes];
        for (a, b) in &self.edges {
            lists[*a as usize].push(*b);
            lists[*b as usize].push(*a);
        }
        lists
    }

    /// Hops from a node to each; `None` where there is no path.
    pub fn distances(neighbours: &[Vec<NodeId>], from: NodeId) -> Vec<Option<u32>> {
        let mut distances = vec![None; neighbours.len()];
        let mut ahead = VecDeque::from([(from, 0)]);
        distances[from as usize] = Some(0);
        while let Some((node, hops)) = ahead.pop_front() {
            for next in &neighbours[node as usize] {
                if distances[*next as usize].is_none() {
                    distances[*next as usize] = Some(hops + 1);
                    ahead.push_back((*next, hops + 1));
                }
            }
        }
        distances
    }

    /// Whether there is a path between any two.
    pub fn is_connected(&self) -> bool {
        self.nodes == 0 || Self::distances(&self.neighbours(), 0).iter().all(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn degrees(graph: &Topology) -> Vec<usize> {
        graph.neighbours().iter().map(Vec::len).collect()
    }

    fn is_simple(graph: &Topology) -> bool {
        Topology::joined(graph.nodes, graph.edges.clone()) == *graph
    }

    #[test]
    fn regular_graphs_are_regular_and_connected() {
        for (nodes, degree) in [(10, 3), (100, 8), (1000, 5), (9, 8), (7, 4)] {
            let graph = Topology::random_regular(nodes, degree, 7);
            assert!(is_simple(&graph) && graph.is_connected());
            assert!(degrees(&graph).iter().all(|held| *held == degree), "{nodes} {degree}");
        }
        assert_eq!(Topology::random_regular(100, 8, 7), Topology::random_regular(100, 8, 7));
        assert_ne!(Topology::random_regular(100, 8, 7), Topology::random_regular(100, 8, 8));
    }

    #[test]
    fn other_graphs_have_the_shapes_that_they_should() {
        assert_eq!(Topology::complete(100).edges.len(), 4950);
        assert_eq!(Topology::line(5).edges.len(), 4);
        assert!(degrees(&Topology::ring(5)).iter().all(|held| *held == 2));
        assert_eq!(Topology::grid(4, 3).edges.len(), 17);
        let small_world = Topology::watts_strogatz(1000, 8, 0.1, 1);
        assert!(is_simple(&small_world) && small_world.edges.len() == 4000 && small_world.is_connected());
        let lattice = Topology::distances(&Topology::watts_strogatz(1000, 8, 0.0, 1).neighbours(), 0);
        let rewired = Topology::distances(&small_world.neighbours(), 0);
        let mean = |all: &[Option<u32>]| all.iter().flatten().sum::<u32>() as usize / all.len();
        assert!(mean(&lattice) > 4 * mean(&rewired), "shortcuts make the world small");
        let scale_free = Topology::barabasi_albert(5000, 4, 1);
        let held = degrees(&scale_free);
        assert!(is_simple(&scale_free) && scale_free.is_connected());
        assert!(held.iter().all(|held| (4..=MAX_DEGREE).contains(held)));
        assert!(held.iter().filter(|held| **held >= 40).count() >= 20, "there are hubs");
    }
}
