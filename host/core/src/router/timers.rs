//! What is due when.

use std::collections::{BTreeMap, BTreeSet};

use crate::{ConnectionId, Instant, MessageId, PortId, TrailId};

use super::trails::BindingId;

/// Why the router wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A remembered Seek: its silence is to be judged, or it is to be forgotten.
    Seek(MessageId),
    /// A binding's ends were silent for too long, or its ten minutes are over.
    Binding(BindingId),
    /// An end of a trail at a port is to send a Keep.
    Keep(TrailId),
    /// A connection: the next try, the renewal, the old trail's end, or the end of patience.
    Connection(ConnectionId),
    /// An address that listens is to walk.
    Walk(PortId),
    /// Ids of a past minute are to be forgotten.
    Seen,
    /// Scent without use is to be forgotten.
    Scent,
    /// One-time keys are to be forgotten.
    ReplyKeys,
}

/// One wake-up at most for each reason, so that there are never more than the things that they belong to.
#[derive(Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Wakes up for `timer` at `at`, and no more when it was set to before.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(before) = self.at.insert(timer, at) {
            self.due.remove(&(before, timer));
        }
        self.due.insert((at, timer));
    }

    /// Wakes up for `timer` at `at` unless it is set already.
    pub(crate) fn set_if_unset(&mut self, timer: Timer, at: Instant) {
        if !self.at.contains_key(&timer) {
            self.set(timer, at);
        }
    }

    /// Does not wake up for `timer`.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// When the first is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the first that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.at.remove(&timer);
        Some(timer)
    }

    #[cfg(any(feature = "fuzzing", feature = "simulation"))]
    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn fires_once_in_order_at_the_last_time_set() {
        let at = |s| Instant::from_origin(Duration::from_secs(s));
        let mut timers = Timers::default();
        timers.set(Timer::Seen, at(5));
        timers.set(Timer::Scent, at(3));
        timers.set(Timer::Seen, at(1));
        timers.set_if_unset(Timer::Scent, at(9));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop(at(0)), None);
        assert_eq!(timers.pop(at(4)), Some(Timer::Seen));
        assert_eq!(timers.pop(at(4)), Some(Timer::Scent));
        assert_eq!(timers.pop(at(9)), None);
        timers.set(Timer::Scent, at(1));
        timers.cancel(Timer::Scent);
        assert_eq!((timers.pop(at(9)), timers.len()), (None, 0));
    }
}
