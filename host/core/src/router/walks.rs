//! Walks: how an address is found that wants to be, without asking everybody.
//!
//! An address that listens sends a Walk now and then. It lays scent at some hundred nodes; a Seek without scent walks as well, until it
//! meets a node where its target smells, and is directed from there on. Where both reach some √N of N nodes they nearly always meet. (Two trees of
//! that size in a network that expands meet about halfway, so the trail is little longer than a flood's.)
//!
//! **Nothing tells how far the author is.** A walk begins with a *stem*: one copy from node to node, by coins that hang on the author and never
//! change, so that all walks of an address leave it the same way and many teach no more than one. Each node's coin decides whether the stem
//! ends with it, but the author's, whose walks always go on; nobody who passes a stem on can tell the author from another node of it. Where it ends the walk begins to
//! *roam*: it splits among more and more neighbours, and what is counted from there on counts from there. There are two stems for each address, so that one
//! node that lets walks die does not hide it.
//!
//! What it costs: whoever sees a Walk knows that its address is there now. A network of floods tells that only to whoever asks for the address.

use super::{Arrival, Hop, Router, coins::Coins, limits::*, timers::Timer};
use crate::{
    Address, LinkId, MessageId, NeighbourId, PortId,
    wire::{Frame, Seek, SeekMode, Signed, Verified, Walk, Way},
};

/// How addresses are found that nobody nearby smells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finding {
    /// By Seeks to everybody in reach. Costs nothing until somebody seeks, and then as much as a question: it grows with the network.
    Floods,
    /// By Walks of the addresses that listen, and Seeks that walk; the third try floods. Costs an address the same in a network of any size,
    /// and from 10^3 nodes on no more in an hour than a flooded Seek or two.
    #[default]
    Walks,
}

/// How far Walks, and Seeks that walk, go through this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkShape {
    /// Into how many walkers one splits where its stem ends, as a power of two: at most [`Way::MOST`].
    pub walkers_log2: u8,
    /// The mean number of hops that a walker goes by itself.
    pub mean_hops: u8,
}

impl Default for WalkShape {
    fn default() -> Self {
        Self { walkers_log2: WALKERS_LOG2, mean_hops: WALKER_HOPS }
    }
}

/// Where a walk goes from this node.
pub(super) struct Walkways {
    coins: Coins,
    shape: WalkShape,
}

impl Walkways {
    pub(super) fn new(secret: &[u8; 32], shape: WalkShape) -> Self {
        let shape = WalkShape { walkers_log2: shape.walkers_log2.min(Way::MOST), ..shape };
        Self { coins: Coins::new("mute/1 walk coins", secret), shape }
    }

    /// Where a walk by `author` goes that came by `way`, having been here so many times before. `others`: the links but the one that it came by.
    fn onward(
        &self,
        way: Way,
        visits: u8,
        id: MessageId,
        author: Address,
        others: &[(LinkId, NeighbourId)],
    ) -> Vec<(LinkId, Way)> {
        match way {
            // A stem that has come round ends here.
            Way::Stem if visits == 0 => self.stem(id, author, others),
            Way::Stem => self.roam(self.shape.walkers_log2, visits, id, others),
            Way::Roam(walkers_log2) => self.roam(walkers_log2.min(self.shape.walkers_log2), visits, id, others),
        }
    }

    fn stem(&self, id: MessageId, author: Address, others: &[(LinkId, NeighbourId)]) -> Vec<(LinkId, Way)> {
        let stem = [id.0[0] % WALK_STEMS];
        // It goes on two times in three: two hops on average, as a flood's hidden phase.
        if self.coins.draw(&[b"end", &author.0, &stem]).is_multiple_of(3) {
            return self.roam(self.shape.walkers_log2, 0, id, others);
        }
        self.stem_on(id, author, others)
    }

    /// A stem goes to one neighbour. Its author's first hop always does: where a walk splits is never where it came from (and the author would split it
    /// among one neighbour more than others do).
    fn stem_on(&self, id: MessageId, author: Address, others: &[(LinkId, NeighbourId)]) -> Vec<(LinkId, Way)> {
        let stem = [id.0[0] % WALK_STEMS];
        let weight = |at: &NeighbourId| self.coins.draw(&[b"stem", &author.0, &stem, &at.0.to_be_bytes()]);
        let next = others.iter().max_by_key(|(_, at)| weight(at));
        next.map(|(link, _)| (*link, Way::Stem)).into_iter().collect()
    }

    fn roam(
        &self,
        walkers_log2: u8,
        visits: u8,
        id: MessageId,
        others: &[(LinkId, NeighbourId)],
    ) -> Vec<(LinkId, Way)> {
        if visits >= MAX_WALK_VISITS || others.is_empty() {
            return Vec::new();
        }
        let sides = 1 + u64::from(self.shape.mean_hops);
        if walkers_log2 == 0 && self.coins.draw(&[b"stop", &id.0, &[visits]]).is_multiple_of(sides) {
            return Vec::new();
        }
        // As many neighbours as a power of two allows get as many walkers each.
        let split = (others.len().ilog2() as u8).min(walkers_log2);
        let weight = |at: &NeighbourId| self.coins.draw(&[b"roam", &id.0, &[visits], &at.0.to_be_bytes()]);
        let mut order: Vec<_> = others.iter().map(|(link, at)| (weight(at), *link)).collect();
        order.sort_unstable();
        order.iter().take(1 << split).map(|(_, link)| (*link, Way::Roam(walkers_log2 - split))).collect()
    }
}

impl Router {
    /// A port that listens tells where it is.
    pub(super) fn walk_due(&mut self, id: PortId) {
        let Some(port) = self.ports.get(&id).filter(|port| port.listening) else {
            return;
        };
        let (key, hop) = (port.key.clone(), Hop::Port(id));
        let stamp = self.stamp();
        if let Ok(message) = Signed::<Walk, Verified>::sign(self.network, &key, stamp)
            && self.pay(hop, &Frame::Walk { way: Way::Stem, message: message.clone() })
        {
            self.on_walk(hop, Way::Stem, message);
        }
        let next = self.now.instant + self.between(WALK_INTERVAL);
        self.timers.set(Timer::Walk(id), next);
    }

    /// A port listens from now on, or this node has its first link: it walks soon.
    pub(super) fn walk_soon(&mut self, port: PortId) {
        if self.finding == Finding::Walks && self.ports.get(&port).is_some_and(|port| port.listening) {
            let at = self.now.instant + self.between(WALK_SOON);
            self.timers.set(Timer::Walk(port), at);
        }
    }

    pub(super) fn on_walk(&mut self, hop: Hop, way: Way, message: Signed<Walk, Verified>) {
        let (id, author) = (message.id(), message.author());
        if self.arrive_walking(hop, id, message.stamp(), author).is_none() {
            return;
        }
        let onward = self.walk_on(hop, way, id, message.stamp().minute, author);
        self.counters.walks.passed(hop, onward.len() as u64);
        for (link, way) in onward {
            self.send(link, hop, Frame::Walk { way, message: message.clone() });
        }
    }

    /// A Seek that walks: from the first node where its target smells it is directed.
    pub(super) fn walk_seek(&mut self, hop: Hop, way: Way, arrival: Arrival, message: Signed<Seek, Verified>) {
        let own = self.owners.get(&message.target()).copied();
        let smells = || self.scent.has(message.target(), |next| self.usable(next, hop, own).is_some());
        if arrival.is_first() && smells() {
            return self.direct_seek(hop, message);
        }
        let onward = self.walk_on(hop, way, message.id(), message.stamp().minute, message.author());
        self.counters.seeks.passed(hop, onward.len() as u64);
        for (link, way) in onward {
            self.send(link, hop, Frame::Seek { mode: SeekMode::Walk(way), message: message.clone() });
        }
    }

    /// The scent of a directed Seek ends here: who was behind has left since it was laid. Where addresses are found by walks it walks again, a little.
    pub(super) fn scent_lost(&mut self, hop: Hop, message: Signed<Seek, Verified>) {
        self.counters.drops.no_scent += 1;
        if self.finding == Finding::Walks {
            let visits = self.seen.visit(message.id(), message.stamp().minute);
            let onward = self.walkways.roam(LOST_WALKERS_LOG2, visits, message.id(), &self.others_than(hop));
            self.counters.seeks.passed(hop, onward.len() as u64);
            for (link, way) in onward {
                self.send(link, hop, Frame::Seek { mode: SeekMode::Walk(way), message: message.clone() });
            }
        }
    }

    fn walk_on(&mut self, hop: Hop, way: Way, id: MessageId, minute: u32, author: Address) -> Vec<(LinkId, Way)> {
        let visits = self.seen.visit(id, minute);
        let others = self.others_than(hop);
        match hop {
            Hop::Port(_) if visits == 0 => self.walkways.stem_on(id, author, &others),
            _ => self.walkways.onward(way, visits, id, author, &others),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(count: u64) -> Vec<(LinkId, NeighbourId)> {
        (0..count).map(|n| (LinkId(n), NeighbourId(100 + n))).collect()
    }

    fn node(number: u8, shape: WalkShape) -> Walkways {
        Walkways::new(&[number; 32], shape)
    }

    fn id(number: u32) -> MessageId {
        MessageId(blake3::hash(&number.to_be_bytes()).as_bytes()[..16].try_into().expect("16 bytes"))
    }

    fn author(number: u8) -> Address {
        Address([number; 32])
    }

    #[test]
    fn a_stem_takes_the_same_way_whenever_an_address_walks_and_two_ways_in_all() {
        let node = node(1, WalkShape::default());
        let (mut ways, mut goes_on) = (0, 0);
        for number in 0..=255 {
            let mut next: Vec<_> = (0..50)
                .map(|walk| node.onward(Way::Stem, 0, id(walk), author(number), &others(7)))
                .filter(|onward| onward.len() == 1)
                .map(|onward| onward[0])
                .collect();
            next.sort_unstable_by_key(|(link, _)| *link);
            next.dedup();
            assert!(next.len() <= usize::from(WALK_STEMS) && next.iter().all(|(_, way)| *way == Way::Stem));
            ways = ways.max(next.len());
            goes_on += (0..2)
                .filter(|walk| node.onward(Way::Stem, 0, id(*walk), author(number), &others(7)).len() == 1)
                .count();
        }
        assert_eq!(ways, usize::from(WALK_STEMS));
        assert!((300..380).contains(&goes_on), "{goes_on} of 512 go on, not two thirds");
    }

    #[test]
    fn a_stem_that_has_come_round_roams() {
        let node = node(1, WalkShape::default());
        let round = node.onward(Way::Stem, 1, id(1), author(1), &others(7));
        assert!(round.len() == 4 && round.iter().all(|(_, way)| *way == Way::Roam(WALKERS_LOG2 - 2)));
    }

    #[test]
    fn walkers_split_into_as_many_as_they_were_and_none_is_added() {
        let node = node(1, WalkShape { walkers_log2: 6, mean_hops: 4 });
        for degree in 1..20 {
            let onward = node.onward(Way::Roam(6), 0, id(1), author(1), &others(degree));
            let walkers: u32 =
                onward.iter().map(|(_, way)| if let Way::Roam(log2) = way { 1 << log2 } else { 0 }).sum();
            assert_eq!(walkers, 64, "at degree {degree}");
        }
        let claimed = node.onward(Way::Roam(Way::MOST), 0, id(1), author(1), &others(7));
        assert_eq!(claimed[0].1, Way::Roam(4), "whatever a neighbour claims");
        assert!(node.onward(Way::Roam(3), MAX_WALK_VISITS, id(1), author(1), &others(7)).is_empty());
        assert!(node.onward(Way::Roam(3), 0, id(1), author(1), &[]).is_empty());
    }

    #[test]
    fn a_walker_stops_by_chance_and_chooses_all_neighbours_alike() {
        let node = node(1, WalkShape { walkers_log2: 6, mean_hops: 4 });
        let mut chosen = [0u32; 8];
        for walk in 0..8_000 {
            match node.onward(Way::Roam(0), 0, id(walk), author(1), &others(7))[..] {
                [] => chosen[7] += 1,
                [(link, Way::Roam(0))] => chosen[link.0 as usize] += 1,
                ref onward => panic!("{onward:?}"),
            }
        }
        assert!(chosen[7].abs_diff(1_600) < 4 * 36, "{chosen:?}");
        assert!(chosen[..7].iter().all(|count| count.abs_diff(914) < 4 * 29), "{chosen:?}");
    }
}
