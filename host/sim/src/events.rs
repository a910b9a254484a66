//! What happens when: a heap of small entries, ordered by time and, at one time, by when they were added.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Virtual time in nanoseconds since the run's start: 584 years fit.
pub(crate) type Nanos = u64;

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// The first frame under way on this half of a link arrives.
    Arrive { half: u32 },
    /// A line is free for the next frame.
    Line { half: u32 },
    /// A node's upload is free for the next frame.
    Upload { node: u32 },
    /// A node's router is due.
    Tick { node: u32 },
    /// A node's router hears how full its queues are.
    Loads { node: u32 },
    /// A neighbour notices that a link is dead.
    Down { half: u32, generation: u32 },
    /// A delayed act of a behaviour: its place in a slab.
    Act { place: u32 },
    /// A timer of the scenario.
    App { component: u16, node: u32, token: u64 },
    /// A timer of a node's behaviour.
    Behaviour { node: u32, token: u64 },
    /// The checkers' turn.
    Check,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Nanos,
    sequence: u64,
    what: What,
}

/// The heap.
#[derive(Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Events {
    pub(crate) fn push(&mut self, at: Nanos, what: What) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, what }));
    }

    /// Takes the next one that happens at `until` or before.
    pub(crate) fn pop(&mut self, until: Nanos) -> Option<(Nanos, What)> {
        if self.heap.peek()?.0.at > until {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }

    /// How many are ahead.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_of_time_and_then_of_arrival() {
        let mut events = Events::default();
        for (at, node) in [(5, 1), (3, 2), (5, 0), (3, 9)] {
            events.push(at, What::Tick { node });
        }
        let mut order = Vec::new();
        while let Some((at, What::Tick { node })) = events.pop(4) {
            order.push((at, node));
        }
        assert_eq!(order, [(3, 2), (3, 9)]);
        while let Some((at, What::Tick { node })) = events.pop(5) {
            order.push((at, node));
        }
        assert_eq!(order[2..], [(5, 1), (5, 0)]);
    }

    #[test]
    fn entries_are_small() {
        assert!(size_of::<Entry>() <= 32, "{}", size_of::<Entry>());
    }
}
