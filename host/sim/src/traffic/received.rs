//! What a receiver remembers of a flow's packets, and when it says so.

use std::collections::BTreeMap;

use mute_core::TrailId;

use super::packet::Ack;
use crate::events::Nanos;

/// Ranges remembered; older ones count as arrived.
const MAX_RANGES: usize = 256;

/// The receiving end of a flow.
#[derive(Default)]
pub(super) struct Received {
    /// First and last number of each unbroken range.
    ranges: BTreeMap<u64, u64>,
    marked: u64,
    /// Packets since the last acknowledgement.
    unsaid: u32,
    newest_at: Nanos,
    /// The trail that something last came by, from the other end.
    pub(super) heard_on: Option<TrailId>,
    /// An acknowledgement is due then.
    pub(super) due: Option<Nanos>,
}

/// What an arrival means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// It was here before.
    Twice,
    /// It is new; an acknowledgement can wait.
    New,
    /// It is new, and to be acknowledged at once.
    SayNow,
}

impl Received {
    /// A packet arrived. `every`: how many may arrive before an acknowledgement; `delay`: how long it may wait.
    pub(super) fn arrive(&mut self, number: u64, marked: bool, now: Nanos, every: u32, delay: Nanos) -> Arrived {
        if !self.insert(number) {
            return Arrived::Twice;
        }
        self.marked += u64::from(marked);
        self.unsaid += 1;
        let newest = self.ranges.last_key_value().map_or(0, |(_, last)| *last);
        if number == newest {
            self.newest_at = now;
        }
        if self.unsaid >= every || marked {
            return Arrived::SayNow;
        }
        self.due.get_or_insert(now.saturating_add(delay));
        Arrived::New
    }

    /// What is said of it all.
    pub(super) fn ack(&mut self, now: Nanos) -> Ack {
        self.unsaid = 0;
        self.due = None;
        let ranges = self.ranges.iter().rev().map(|(first, last)| *first..=*last).take(16).collect();
        Ack { ranges, marked: self.marked, delay: now - self.newest_at }
    }

    fn insert(&mut self, number: u64) -> bool {
        let before = self.ranges.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| last >= number) {
            return false;
        }
        let mut range = (number, number);
        if let Some((first, last)) = before
            && last + 1 == number
        {
            range.0 = first;
        }
        if let Some(last) = self.ranges.remove(&(number + 1)) {
            range.1 = last;
        }
        self.ranges.insert(range.0, range.1);
        if self.ranges.len() > MAX_RANGES
            && let (Some((first, _)), Some((_, last))) = (self.ranges.pop_first(), self.ranges.pop_first())
        {
            self.ranges.insert(first, last);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_packet_once_and_names_what_arrived() {
        let mut received = Received::default();
        let verdicts = [0, 1, 3, 1, 2, 9].map(|n| received.arrive(n, false, 10, 10, 5));
        assert_eq!(verdicts[3], Arrived::Twice);
        assert!(verdicts.iter().enumerate().all(|(at, verdict)| at == 3 || *verdict == Arrived::New));
        assert_eq!(received.due, Some(15));
        let ack = received.ack(12);
        assert_eq!(ack, Ack { ranges: vec![9..=9, 0..=3], marked: 0, delay: 2 });
        assert_eq!(received.arrive(10, true, 20, 10, 5), Arrived::SayNow);
    }
}
