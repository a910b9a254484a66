//! Places that are shared among hops: each may take all that is free, and gives back what is more than its fair share.

use std::collections::{BTreeMap, BTreeSet};

use super::{Hop, limits::USED_PACKETS};

/// How many of a hop's oldest are looked at to find the one that is used least.
const LOOKED_AT: usize = 64;

/// Who holds places.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shares<T> {
    of: BTreeMap<Hop, BTreeSet<T>>,
    total: usize,
}

/// Whether there is room for one more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room<T> {
    Free,
    /// If this one gives way.
    InsteadOf(T),
    None,
}

impl<T> Default for Shares<T> {
    fn default() -> Self {
        Self { of: BTreeMap::new(), total: 0 }
    }
}

impl<T: Ord + Copy> Shares<T> {
    pub(super) fn len(&self) -> usize {
        self.total
    }

    pub(super) fn insert(&mut self, hop: Hop, place: T) {
        self.total += usize::from(self.of.entry(hop).or_default().insert(place));
    }

    pub(super) fn remove(&mut self, hop: Hop, place: T) {
        let Some(held) = self.of.get_mut(&hop) else {
            return;
        };
        self.total -= usize::from(held.remove(&place));
        if held.is_empty() {
            self.of.remove(&hop);
        }
    }

    /// Whether one more may be of `newcomer` where there are `most` places. Where all are taken the hop that holds most gives up the least
    /// used of its oldest; the newcomer, if it holds as many, only one that is hardly used. `used`: how many packets it carried; `None`: it cannot give way.
    pub(super) fn room(&self, newcomer: Hop, most: usize, used: impl Fn(T) -> Option<u64>) -> Room<T> {
        if self.total < most {
            return Room::Free;
        }
        let own = self.of.get(&newcomer).map_or(0, BTreeSet::len);
        let Some((hop, held)) = self.of.iter().max_by_key(|(hop, held)| (held.len(), **hop == newcomer)) else {
            return Room::None;
        };
        let oldest = held.iter().take(LOOKED_AT).filter_map(|place| Some((used(*place)?, *place)));
        match oldest.min() {
            Some((packets, place)) if *hop != newcomer && own < held.len() || packets < USED_PACKETS => {
                Room::InsteadOf(place)
            }
            _ => Room::None,
        }
    }
}

#[cfg(any(feature = "fuzzing", feature = "simulation"))]
impl<T: Ord + Copy> Shares<T> {
    /// Panics if a sum is wrong.
    pub(super) fn assert_consistent(&self) {
        assert_eq!(self.of.values().map(BTreeSet::len).sum::<usize>(), self.total);
        assert!(self.of.values().all(|held| !held.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkId;

    const A: Hop = Hop::Link(LinkId(1));
    const B: Hop = Hop::Link(LinkId(2));
    const C: Hop = Hop::Link(LinkId(3));

    /// Takes a place, as a router does.
    fn take(shares: &mut Shares<u64>, hop: Hop, place: u64, used: u64) -> bool {
        match shares.room(hop, 300, |_| Some(used)) {
            Room::Free => {}
            Room::InsteadOf(other) => [A, B, C].into_iter().for_each(|hop| shares.remove(hop, other)),
            Room::None => return false,
        }
        shares.insert(hop, place);
        shares.assert_consistent();
        true
    }

    #[test]
    fn whoever_comes_gets_a_fair_share_and_takes_none_of_others() {
        let mut shares = Shares::default();
        assert_eq!((0..1000).filter(|n| take(&mut shares, A, *n, 1000)).count(), 300, "all that is free");
        assert_eq!((1000..2000).filter(|n| take(&mut shares, B, *n, 1000)).count(), 150);
        assert_eq!((2000..3000).filter(|n| take(&mut shares, C, *n, 1000)).count(), 100);
        assert!([A, B, C].iter().all(|hop| shares.of.get(hop).map(BTreeSet::len) == Some(100)));
        assert!(!take(&mut shares, A, 5000, 1000), "at its fair share, and all in use");
        assert!(take(&mut shares, A, 5000, USED_PACKETS - 1), "what is hardly used gives way to its own hop's newer");
    }

    #[test]
    fn the_least_used_of_the_oldest_gives_way() {
        let mut shares = Shares::default();
        for place in 0..10 {
            shares.insert(A, place);
        }
        let used = |place: u64| (place != 2).then_some(if place == 4 { 5 } else { 50 });
        assert_eq!(shares.room(B, 10, used), Room::InsteadOf(4));
        assert_eq!(shares.room(A, 10, |_| Some(50)), Room::None);
        assert_eq!(shares.room(B, 10, |_| None), Room::None);
    }
}
