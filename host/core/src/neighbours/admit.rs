//! Who is let in: classes, places, and the limits by prefix and origin.

use rand_core::Rng as _;

use super::{
    Admission, Class, Dial, Held, NeighbourAddress, Neighbours, NodeKey, Refusal,
    book::Origin,
    limits::{HOLD_ABOVE, INTRODUCTION_INTERVAL, INTRODUCTIONS},
    places::Wish,
};
use crate::{Instant, LinkId, Now};

/// What becomes of a connection.
enum Verdict {
    Refuse(Refusal),
    /// It takes the place of the same neighbour's link.
    Replace {
        class: Class,
    },
    /// It gets a place of its own, or that of `gone`.
    Place {
        class: Class,
        gone: Option<NodeKey>,
    },
}

/// A connection that has just come up.
struct Newcomer {
    key: NodeKey,
    link: LinkId,
    dialled: bool,
    address: NeighbourAddress,
}

impl Neighbours {
    /// Decides about a connection whose other side has proven its key, and counts it as a link if it is kept. `address` is where
    /// it comes from; for one that we dialled, where we dialled it. `link` is its name from now on.
    ///
    /// Two nodes that dial each other at once have two connections for a moment. Both keep the one that the node with the
    /// smaller key dialled. A second one dialled by the same side takes the place of the first: its dialler would not
    /// have dialled if its first link were alive.
    pub fn admit(
        &mut self,
        key: NodeKey,
        address: NeighbourAddress,
        link: LinkId,
        dialled: bool,
        now: Now,
    ) -> Admission {
        let newcomer = Newcomer { key, link, dialled, address };
        let dial = if dialled { self.dials.remove(&key) } else { self.dials.get(&key).copied() };
        match self.verdict(&newcomer, dial.as_ref(), now.instant) {
            Verdict::Refuse(why) => {
                if let Some(dial) = dial.filter(|dial| dialled && dial.class == Class::Outbound) {
                    // It answered: that there is no place for it is our affair.
                    self.book.prove(key, dial.address, dial.origin, now.unix_s, &mut self.rng);
                    let chance = self.rng.next_u32();
                    self.book.refused(key, now.instant, chance);
                }
                let introduce = why == Refusal::Full
                    && !dialled
                    && self.introductions.take(INTRODUCTIONS, INTRODUCTION_INTERVAL, now.instant);
                Admission::Refuse { why, introduce }
            }
            Verdict::Replace { class } => {
                self.dials.remove(&key);
                let held = self.links.get_mut(&key);
                let instead_of = held.map(|held| {
                    held.class = class;
                    held.dialled = dialled;
                    std::mem::replace(&mut held.link, link)
                });
                Admission::Keep { class, instead_of, gives_way: None }
            }
            Verdict::Place { class, gone } => {
                self.dials.remove(&key);
                let gives_way = gone.and_then(|gone| self.give_up(gone, class, now));
                let dial = dial.filter(|dial| dial.class == Class::Outbound);
                self.place(&newcomer, class, dial.as_ref(), now);
                Admission::Keep { class, instead_of: None, gives_way }
            }
        }
    }

    fn verdict(&self, newcomer: &Newcomer, dial: Option<&Dial>, now: Instant) -> Verdict {
        let &Newcomer { key, dialled, address, .. } = newcomer;
        let friend = self.friends.contains_key(&key);
        if key == self.us || self.removed.contains(&key) || !(friend || self.rules.strangers) {
            return Verdict::Refuse(Refusal::NotWelcome);
        }
        if self.bans.key_until(key, now).is_some() || (!friend && self.bans.bars_group(address.group(), now)) {
            return Verdict::Refuse(Refusal::BackedOff);
        }
        let chosen = dial.filter(|dial| dial.class == Class::Outbound);
        if let Some(held) = self.links.get(&key) {
            if held.dialled != dialled && dialled != (self.us < key) {
                return Verdict::Refuse(Refusal::Duplicate);
            }
            return Verdict::Replace { class: held.class };
        }
        if friend {
            return match self.friends_way() {
                _ if self.links.len() < self.rules.most => Verdict::Place { class: Class::Friend, gone: None },
                Some(stranger) => Verdict::Place { class: Class::Friend, gone: Some(stranger) },
                None => Verdict::Refuse(Refusal::Full),
            };
        }
        let (class, address, origin) = match chosen {
            Some(dial) => (Class::Outbound, dial.address, dial.origin),
            // The attempt was given up, or was meant for a friend who is none any more.
            None if dialled => return Verdict::Refuse(Refusal::Full),
            None => (Class::Inbound, address, Origin::Itself),
        };
        let places = self.places();
        let wish = Wish { key, class, address, origin, affinity: self.affinity(address) };
        if places.fit(&wish, None) {
            return Verdict::Place { class, gone: None };
        }
        match chosen.and_then(|dial| dial.instead_of).filter(|gone| self.may_go(*gone, now)) {
            Some(gone) if places.fit(&wish, Some(gone)) => Verdict::Place { class, gone: Some(gone) },
            _ => Verdict::Refuse(Refusal::Full),
        }
    }

    /// Gives up a stranger for a newcomer of this class.
    fn give_up(&mut self, gone: NodeKey, newcomer: Class, now: Now) -> Option<LinkId> {
        if newcomer == Class::Outbound {
            self.changed = now.instant;
        }
        self.credit(gone, now);
        self.links.remove(&gone).map(|held| held.link)
    }

    /// Counts a link that is kept. `dial`: how it was chosen, if it was.
    fn place(&mut self, newcomer: &Newcomer, class: Class, dial: Option<&Dial>, now: Now) {
        let &Newcomer { key, link, dialled, address } = newcomer;
        let (address, origin) = dial.map_or((address, Origin::Itself), |dial| (dial.address, dial.origin));
        if class == Class::Outbound && dialled {
            self.book.prove(key, address, origin, now.unix_s, &mut self.rng);
        }
        let held = Held {
            link,
            dialled,
            class,
            address,
            origin,
            anchor: dial.is_some_and(|dial| dial.anchor),
            since: now.instant,
            counted: 0,
            served: 0,
            served_minute: None,
            asked: None,
            may_answer: false,
            answered: None,
        };
        self.links.insert(key, held);
        if class != Class::Inbound && self.rules.strangers {
            self.ask(key, now.instant);
        }
    }

    /// The stranger that gives way to a friend when all places are taken: the youngest of those that came, else of those that were chosen.
    fn friends_way(&self) -> Option<NodeKey> {
        let strangers = self.links.iter().filter(|(_, held)| held.class.is_stranger());
        strangers.max_by_key(|(key, held)| (held.class == Class::Inbound, held.since, **key)).map(|(key, _)| *key)
    }

    /// Whether a friend would be let in.
    pub(super) fn has_room_for_friend(&self) -> bool {
        self.links.len() < self.rules.most || self.friends_way().is_some()
    }

    /// Whether a stranger may be given up for another.
    pub(super) fn may_go(&self, key: NodeKey, now: Instant) -> bool {
        let stayed = |held: &Held| now.saturating_since(held.since) >= self.rules.minimum_stay;
        self.links.get(&key).is_some_and(|held| held.class == Class::Outbound && stayed(held))
    }

    pub(super) fn friends_linked(&self) -> usize {
        self.links.values().filter(|held| held.class == Class::Friend).count()
    }

    /// Chosen strangers that are missing, those that are being dialled not counted as missing.
    pub(super) fn missing(&self) -> usize {
        let dials = self.dials.values().filter(|dial| dial.class == Class::Outbound && dial.instead_of.is_none());
        let links = self.links.values().filter(|held| held.class == Class::Outbound);
        let room = self.rules.most.saturating_sub(self.links.len());
        self.rules.wanted(self.friends_linked()).saturating_sub(links.count() + dials.count()).min(room)
    }

    /// Chosen strangers that are anchors, those that are being dialled as well; `without` one.
    pub(super) fn anchors_taken(&self, without: Option<NodeKey>) -> usize {
        let links = self.links.iter().map(|(key, held)| (key, held.class, held.anchor));
        let dials = self.dials.iter().map(|(key, dial)| (key, dial.class, dial.anchor));
        let is_anchor = |(key, class, anchor): &(&NodeKey, Class, bool)| {
            *class == Class::Outbound && *anchor && without != Some(**key)
        };
        links.chain(dials).filter(is_anchor).count()
    }

    /// Links that this node has chosen, or its user.
    pub(super) fn chosen(&self) -> usize {
        self.links.values().filter(|held| held.class != Class::Inbound).count()
    }

    /// Whether a lost neighbour's place is still kept for it.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.chosen() >= HOLD_ABOVE && now < self.hold_until
    }
}
