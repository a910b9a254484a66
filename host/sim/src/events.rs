//! What happens when: a heap of small entries, ordered by time and, at one time, by when they were added.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

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

/// How many events are taken from the heap at once, so that what they will read can be fetched together.
pub(crate) const AHEAD: usize = 16;

/// The heap, and the next few in order.
#[derive(Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<Entry>>,
    /// Taken from the heap already. What is added since may still come before them.
    next: VecDeque<Entry>,
    /// How many of those came since the last that did not.
    before: usize,
    sequence: u64,
}

impl Events {
    pub(crate) fn push(&mut self, at: Nanos, what: What) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, what }));
    }

    /// Takes the next one that happens at `until` or before. And whether [`Self::next`] holds others than before.
    pub(crate) fn pop(&mut self, until: Nanos) -> (Option<(Nanos, What)>, bool) {
        let refill = self.next.is_empty() || self.before >= AHEAD;
        if refill {
            self.before = 0;
            self.heap.extend(self.next.drain(..).map(Reverse));
            for _ in 0..AHEAD {
                match self.heap.pop() {
                    Some(Reverse(entry)) => self.next.push_back(entry),
                    None => break,
                }
            }
        }
        let added = self.heap.peek().map(|Reverse(entry)| *entry);
        let entry = match (self.next.front(), added) {
            (Some(next), Some(added)) if added < *next => {
                self.before += 1;
                self.pop_heap(until)
            }
            _ => {
                self.before = 0;
                self.next.pop_front_if(|next| next.at <= until)
            }
        };
        (entry.map(|entry| (entry.at, entry.what)), refill)
    }

    fn pop_heap(&mut self, until: Nanos) -> Option<Entry> {
        if self.heap.peek()?.0.at > until {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// What happens next, if nothing is added: a few.
    pub(crate) fn next(&self) -> impl Iterator<Item = What> {
        self.next.iter().map(|entry| entry.what)
    }

    /// How many are ahead.
    pub(crate) fn len(&self) -> usize {
        self.heap.len() + self.next.len()
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
        while let Some((at, What::Tick { node })) = events.pop(4).0 {
            order.push((at, node));
        }
        assert_eq!(order, [(3, 2), (3, 9)]);
        events.push(4, What::Tick { node: 7 });
        while let Some((at, What::Tick { node })) = events.pop(5).0 {
            order.push((at, node));
        }
        assert_eq!(order[2..], [(4, 7), (5, 1), (5, 0)]);
    }

    #[test]
    fn entries_are_small() {
        assert!(size_of::<Entry>() <= 32, "{}", size_of::<Entry>());
    }
}
