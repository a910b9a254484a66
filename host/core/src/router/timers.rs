//! What is due when.

use std::collections::{BTreeMap, BTreeSet};

use crate::{ConnectionId, Instant, MessageId, PortId, TrailId};

use super::trails::BindingId;

/// Why the router wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The first of the remembered Seeks: its silence is to be judged, or it is to be forgotten.
    Seeks,
    /// A flooded message that was passed on hidden has not come back.
    Hidden(MessageId),
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

/// The reasons that there is only one of, which every message asks for: they have places of their own.
const SINGLE: [Timer; 3] = [Timer::Seen, Timer::Scent, Timer::ReplyKeys];

/// One wake-up at most for each reason, so that there are never more than the things that they belong to.
#[derive(Default)]
pub(crate) struct Timers {
    single: [Option<Instant>; SINGLE.len()],
    /// When the first of `due` is: asked for after every message.
    first: Option<Instant>,
    due: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
}

impl Timers {
    fn single(timer: Timer) -> Option<usize> {
        SINGLE.iter().position(|single| *single == timer)
    }

    /// Wakes up for `timer` at `at`, and no more when it was set to before.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(place) = Self::single(timer) {
            self.single[place] = Some(at);
            return;
        }
        if let Some(before) = self.at.insert(timer, at) {
            self.due.remove(&(before, timer));
        }
        self.due.insert((at, timer));
        self.first = self.due.first().map(|(at, _)| *at);
    }

    /// Wakes up for `timer` at `at` unless it is set already.
    pub(crate) fn set_if_unset(&mut self, timer: Timer, at: Instant) {
        if !self.is_set(timer) {
            self.set(timer, at);
        }
    }

    /// Does not wake up for `timer`.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(place) = Self::single(timer) {
            self.single[place] = None;
        } else if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
            self.first = self.due.first().map(|(at, _)| *at);
        }
    }

    /// When the first is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.single.iter().copied().flatten().chain(self.first).min()
    }

    /// Takes the first that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let single = SINGLE.into_iter().zip(self.single).filter_map(|(timer, at)| Some((at?, timer)));
        let (at, timer) = single.chain(self.due.first().copied()).min()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        match Self::single(timer) {
            Some(place) => self.single[place].is_some(),
            None => self.at.contains_key(&timer),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len() + self.single.iter().flatten().count()
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

    #[test]
    fn the_next_is_the_first_of_all_whatever_was_set_and_cancelled() {
        let at = |s| Instant::from_origin(Duration::from_secs(s));
        let (keep, connection) = (Timer::Keep(TrailId(1)), Timer::Connection(ConnectionId(1)));
        let mut timers = Timers::default();
        timers.set(keep, at(7));
        timers.set(connection, at(4));
        timers.set(Timer::Seen, at(5));
        assert_eq!(timers.next(), Some(at(4)));
        timers.set(connection, at(9));
        assert_eq!(timers.next(), Some(at(5)));
        timers.cancel(Timer::Seen);
        assert_eq!((timers.next(), timers.len()), (Some(at(7)), 2));
        timers.cancel(keep);
        assert_eq!((timers.next(), timers.pop(at(8))), (Some(at(9)), None));
        assert_eq!((timers.pop(at(9)), timers.next()), (Some(connection), None));
    }
}
