//! Anchors: strangers that this node chose and that have stayed, remembered over restarts and preferred to unknown ones.
//!
//! Each fresh neighbour is another chance for an adversary to be it (the predecessor attack of Wright et al., 2002), so whoever was
//! chosen once is chosen again, as with Tor's guards. The rank is what this node has seen itself: minutes of link, and minutes in
//! which something was proven to have come through. Both grow by the clock only, so that nobody gets there in a hurry. Strangers that dialled us
//! are never anchors: an adversary sends as many of those as it likes.

use std::collections::BTreeMap;

use super::{
    NeighbourAddress, NodeKey,
    book::Origin,
    limits::{ANCHOR_FORGOTTEN_S, SERVICE_WEIGHT},
    retry::Retry,
};

/// How long, and how usefully, a stranger has been a neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tenure {
    /// Minutes of link.
    pub(super) minutes: u32,
    /// Those in which something was proven to have come through.
    pub(super) served: u32,
}

impl Tenure {
    pub(super) fn plus(self, more: Self) -> Self {
        Self { minutes: self.minutes.saturating_add(more.minutes), served: self.served.saturating_add(more.served) }
    }

    pub(super) fn rank(self) -> u64 {
        u64::from(self.minutes) + SERVICE_WEIGHT * u64::from(self.served)
    }
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) address: NeighbourAddress,
    pub(super) origin: Origin,
    pub(super) tenure: Tenure,
    /// When it was last a neighbour, in Unix time.
    pub(super) seen_s: u64,
    pub(super) retry: Retry,
}

/// The table, at most as many as the rules say.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    table: BTreeMap<NodeKey, Anchor>,
}

impl Anchors {
    #[cfg(feature = "fuzzing")]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn get(&self, key: NodeKey) -> Option<&Anchor> {
        self.table.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: NodeKey) -> Option<&mut Anchor> {
        self.table.get_mut(&key)
    }

    pub(super) fn remove(&mut self, key: NodeKey) {
        self.table.remove(&key);
    }

    /// All, the best first; among equals the smaller key.
    pub(super) fn ranked(&self) -> Vec<(NodeKey, Anchor)> {
        let mut ranked: Vec<_> = self.table.iter().map(|(key, anchor)| (*key, *anchor)).collect();
        ranked.sort_by_key(|(key, anchor)| (u64::MAX - anchor.tenure.rank(), *key));
        ranked
    }

    /// A chosen stranger has been a neighbour for this time more. It becomes an anchor if there is room, or if it outranks the last.
    pub(super) fn credit(&mut self, key: NodeKey, newcomer: Anchor, most: usize) {
        if let Some(anchor) = self.table.get_mut(&key) {
            anchor.tenure = anchor.tenure.plus(newcomer.tenure);
            anchor.address = newcomer.address;
            anchor.seen_s = newcomer.seen_s;
            return;
        }
        if self.table.len() >= most {
            let last = self.table.iter().min_by_key(|(key, anchor)| (anchor.tenure.rank(), **key));
            match last.map(|(key, anchor)| (*key, anchor.tenure.rank())) {
                Some((last, rank)) if rank < newcomer.tenure.rank() => drop(self.table.remove(&last)),
                _ => return,
            }
        }
        self.table.insert(key, newcomer);
    }

    /// Puts back what was saved.
    pub(super) fn restore(&mut self, key: NodeKey, anchor: Anchor, most: usize) {
        if self.table.len() < most {
            self.table.entry(key).or_insert(anchor);
        }
    }

    /// Drops those that were away for long.
    pub(super) fn sweep(&mut self, now_s: u64) {
        self.table.retain(|_, anchor| now_s.saturating_sub(anchor.seen_s) <= ANCHOR_FORGOTTEN_S);
    }
}
