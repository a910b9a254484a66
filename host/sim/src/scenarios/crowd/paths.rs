//! How many links lie between two nodes.

use crate::{Network, NodeId};

/// Searches from both ends at once, with tables that are used again.
pub(crate) struct Paths {
    /// Which search reached a node, from which side, and after how many links.
    reached: Vec<(u32, u8, u32)>,
    search: u32,
}

impl Paths {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { reached: vec![(0, 0, 0); nodes], search: 0 }
    }

    /// The links of the shortest way, of those that are up; `None`: there is none.
    pub(crate) fn between(&mut self, net: &Network, a: NodeId, b: NodeId) -> Option<u32> {
        if a == b {
            return Some(0);
        }
        self.search += 1;
        let mut fronts = [vec![a], vec![b]];
        let mut hops = [0, 0];
        self.reached[a as usize] = (self.search, 0, 0);
        self.reached[b as usize] = (self.search, 1, 0);
        loop {
            let side = usize::from(fronts[1].len() < fronts[0].len());
            if fronts[side].is_empty() {
                return None;
            }
            hops[side] += 1;
            let mut next = Vec::new();
            let mut found: Option<u32> = None;
            for node in std::mem::take(&mut fronts[side]) {
                for (other, _) in net.links(node) {
                    match self.reached[other as usize] {
                        (search, from, _) if search == self.search && usize::from(from) == side => {}
                        (search, _, far) if search == self.search => {
                            let way = hops[side] + far;
                            found = Some(found.map_or(way, |found| found.min(way)));
                        }
                        _ => {
                            self.reached[other as usize] = (self.search, side as u8, hops[side]);
                            next.push(other);
                        }
                    }
                }
            }
            if found.is_some() {
                return found;
            }
            fronts[side] = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Topology};

    #[test]
    fn finds_what_a_search_from_one_side_finds() {
        let topology = Topology::watts_strogatz(300, 4, 0.05, 1);
        let net = Network::new(Config::new(1), &topology);
        let distances = Topology::distances(&topology.neighbours(), 7);
        let mut paths = Paths::new(300);
        for node in 0..300 {
            assert_eq!(paths.between(&net, 7, node), distances[node as usize], "{node}");
        }
        let mut net = Network::new(Config::new(1), &Topology::line(5));
        net.stop(2);
        assert_eq!((paths.between(&net, 0, 4), paths.between(&net, 0, 1)), (None, Some(1)));
    }
}
