//! Flooded messages that this node passed on hidden, to one neighbour. When one does not come back from elsewhere its path has lost it: a
//! neighbour that drops it, or one that knows nobody else. Then it spreads from here.

use std::collections::BTreeMap;

use super::{
    Hop, Router,
    floods::Flooded,
    limits::{MAX_HIDDEN, MAX_HIDDEN_PER_HOP},
    timers::Timer,
};
use crate::{LinkId, MessageId, wire::Phase};

/// What may yet come back.
#[derive(Default)]
pub(super) struct Hidden {
    waiting: BTreeMap<MessageId, Waiting>,
    /// How many of them each hop is charged for.
    of: BTreeMap<Hop, usize>,
}

struct Waiting {
    came_by: Hop,
    to: LinkId,
    message: Flooded,
}

impl Hidden {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn has(&self, id: MessageId) -> bool {
        self.waiting.contains_key(&id)
    }

    fn has_room(&self, hop: Hop) -> bool {
        self.waiting.len() < MAX_HIDDEN && self.of.get(&hop).is_none_or(|held| *held < MAX_HIDDEN_PER_HOP)
    }

    fn insert(&mut self, id: MessageId, waiting: Waiting) {
        *self.of.entry(waiting.came_by).or_default() += 1;
        self.waiting.insert(id, waiting);
    }

    fn remove(&mut self, id: MessageId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        if let Some(held) = self.of.get_mut(&waiting.came_by) {
            *held -= 1;
            if *held == 0 {
                self.of.remove(&waiting.came_by);
            }
        }
        Some(waiting)
    }

    /// Panics if a hop is charged for other than what waits, or for too much.
    #[cfg(any(feature = "fuzzing", feature = "simulation"))]
    pub(super) fn assert_consistent(&self, is_set: impl Fn(Timer) -> bool) {
        let mut of: BTreeMap<Hop, usize> = BTreeMap::new();
        for (id, waiting) in &self.waiting {
            assert!(is_set(Timer::Hidden(*id)), "a hidden message that is never let go");
            *of.entry(waiting.came_by).or_default() += 1;
        }
        assert_eq!(of, self.of, "each hop is charged for its hidden messages");
        assert!(of.values().all(|held| *held <= MAX_HIDDEN_PER_HOP));
    }
}

impl Router {
    /// Passes a message on hidden, to one neighbour.
    ///
    /// The identities of this node do not hear it: they are like neighbours that it does not go to. They will when it comes back.
    pub(super) fn hide(&mut self, came_by: Hop, message: Flooded) {
        let from = self.neighbour_of(came_by);
        let mut others = self.others_than(came_by);
        // The path of a Seek is also the trail's: not where one has proved bad, unless there is no other.
        if others.iter().any(|(link, _)| !self.is_bad(&message, *link)) {
            others.retain(|(link, _)| !self.is_bad(&message, *link));
        }
        match self.horizon.path(from, &others) {
            Some(to) if self.hidden.has_room(came_by) => {
                let due = self.now.instant + self.horizon.patience(from);
                self.timers.set(Timer::Hidden(message.id()), due);
                self.send_hidden(to, came_by, &message);
                self.hidden.insert(message.id(), Waiting { came_by, to, message: message.detached() });
            }
            _ => {
                self.turn_back(came_by, &message);
                self.unhide(came_by, message);
            }
        }
    }

    /// Sends a hidden message back to the only neighbour of this node, who else would wait for it in vain.
    pub(super) fn turn_back(&mut self, came_by: Hop, message: &Flooded) {
        if let Hop::Link(link) = came_by
            && self.links.len() == 1
        {
            self.send_hidden(link, came_by, message);
        }
    }

    fn send_hidden(&mut self, to: LinkId, came_by: Hop, message: &Flooded) {
        match message {
            Flooded::Flood(_) => self.counters.floods.passed(came_by, 1),
            Flooded::Seek(_) => self.counters.seeks.passed(came_by, 1),
        }
        self.send_copy(to, came_by, message.frame(Phase::Hidden));
    }

    /// A copy has come: from elsewhere than where the message went to hidden, it is not lost.
    pub(super) fn heard_again(&mut self, hop: Hop, id: MessageId) {
        let waiting = self.hidden.waiting.get(&id);
        if waiting.is_some_and(|waiting| hop != Hop::Link(waiting.to) && hop != waiting.came_by) {
            self.hidden.remove(id);
            self.timers.cancel(Timer::Hidden(id));
        }
    }

    /// A link is gone: what went over it hidden need not be waited for.
    pub(super) fn hidden_lost(&mut self, link: LinkId) {
        let now = self.now.instant;
        let lost = self.hidden.waiting.iter().filter(|(_, waiting)| waiting.to == link).map(|(id, _)| *id);
        for id in lost.collect::<Vec<_>>() {
            self.timers.set(Timer::Hidden(id), now);
        }
    }

    /// A hidden message has not come back in time, or has come back as it went: it spreads.
    pub(super) fn hidden_due(&mut self, id: MessageId) {
        if let Some(Waiting { came_by, message, .. }) = self.hidden.remove(id) {
            self.timers.cancel(Timer::Hidden(id));
            self.counters.unhidden += 1;
            self.unhide(came_by, message);
        }
    }
}
