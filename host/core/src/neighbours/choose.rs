//! Whom to dial: friends when they are due, then strangers that were neighbours before, then the book.

use super::{
    Anchor, Class, Decision, Dial, NeighbourAddress, Neighbours, NodeKey, Tenure,
    book::{Entry, Origin},
    limits::{ASK_INTERVAL, DIALS_AT_ONCE, EMPTY_ROUND, ROUND, STRANGER_DIALS, STRANGER_DIALS_INTERVAL},
    places::Wish,
};
use crate::{Instant, Now};

impl Neighbours {
    pub(super) fn dial_friends(&mut self, now: Now) {
        // As many attempts at once as there are places that a friend may have.
        let dialling = self.dials.values().filter(|dial| dial.class == Class::Friend).count();
        let mut room = self.rules.most.saturating_sub(self.friends_linked() + dialling);
        let friends: Vec<(NodeKey, NeighbourAddress)> = self
            .friends
            .iter()
            .filter(|(key, friend)| friend.friend.dialled && friend.retry.is_ready(now.instant) && self.is_idle(**key))
            .filter(|(key, _)| self.bans.key_until(**key, now.instant).is_none())
            .map(|(key, friend)| (*key, friend.friend.address))
            .collect();
        for (key, address) in friends {
            if room == 0 {
                // Looked at again when there may be room.
                if let Some(friend) = self.friends.get_mut(&key) {
                    friend.retry.wait_until(now.instant + super::LONGEST_FRIEND_BACKOFF);
                }
                continue;
            }
            room -= 1;
            self.dial(key, Dial::new(Class::Friend, address, Origin::Given, now.instant));
        }
    }

    fn dial(&mut self, key: NodeKey, dial: Dial) {
        self.dials.insert(key, dial);
        self.decide(Decision::Dial { key, address: dial.address });
    }

    /// One round: dials as many strangers as are missing and may be dialled at once.
    pub(super) fn choose_strangers(&mut self, now: Now) {
        self.next_round = now.instant + ROUND;
        while self.missing() > 0 && self.strangers_dialled() < DIALS_AT_ONCE {
            let Some((key, dial)) = self.next_stranger(now.instant) else {
                if self.holds(now.instant) {
                    self.next_round = self.next_round.max(self.hold_until.min(now.instant + EMPTY_ROUND));
                    break;
                }
                // What happens before (an attempt fails, somebody tells of hosts) begins a round sooner.
                self.next_round = now.instant + EMPTY_ROUND;
                self.ask_everybody(now.instant);
                break;
            };
            if !self.stranger_dials.take(STRANGER_DIALS, STRANGER_DIALS_INTERVAL, now.instant) {
                self.next_round = now.instant + EMPTY_ROUND;
                break;
            }
            self.dial(key, dial);
        }
    }

    /// Anchors have some of the places, and those that are held; the others go to whoever the book names, and to anchors if it names nobody.
    fn next_stranger(&mut self, now: Instant) -> Option<(NodeKey, Dial)> {
        let dial = |address, origin| Dial::new(Class::Outbound, address, origin, now);
        let anchor = self.best_anchor(now, None);
        let anchor = anchor.map(|(key, anchor)| (key, Dial { anchor: true, ..dial(anchor.address, anchor.origin) }));
        let holds = self.holds(now);
        if holds || (anchor.is_some() && self.anchors_taken(None) < self.rules.anchor_places) {
            return anchor;
        }
        self.pick(now).map(|(key, address, origin)| (key, dial(address, origin))).or(anchor)
    }

    fn strangers_dialled(&self) -> usize {
        self.dials.values().filter(|dial| dial.class == Class::Outbound).count()
    }

    /// Whether this stranger may be dialled now, were there a place for it.
    fn may_dial(&self, key: NodeKey, address: NeighbourAddress, now: Instant) -> bool {
        self.is_idle(key)
            && !self.removed.contains(&key)
            && !self.friends.contains_key(&key)
            && self.bans.key_until(key, now).is_none()
            && !self.bans.bars_group(address.group(), now)
    }

    fn best_anchor(&self, now: Instant, without: Option<NodeKey>) -> Option<(NodeKey, Anchor)> {
        let places = self.places();
        let fits = |key: NodeKey, &Anchor { address, origin, .. }: &Anchor| {
            let wish = Wish { key, class: Class::Outbound, address, origin, affinity: self.affinity(address) };
            places.fit(&wish, without)
        };
        self.anchors.ranked().into_iter().find(|(key, anchor)| {
            anchor.retry.is_ready(now) && self.may_dial(*key, anchor.address, now) && fits(*key, anchor)
        })
    }

    fn pick(&mut self, now: Instant) -> Option<(NodeKey, NeighbourAddress, Origin)> {
        let mut rng = self.rng.clone();
        let places = self.places();
        let key = self.book.pick(self.rules.choose_by_prefix, &mut rng, |key, entry| {
            let &Entry { address, origin, affinity, .. } = entry;
            entry.is_ready(now)
                && places.fit(&Wish { key, class: Class::Outbound, address, origin, affinity }, None)
                && self.may_dial(key, address, now)
        });
        self.rng = rng;
        let key = key?;
        self.book.get(key).map(|entry| (key, entry.address, entry.origin))
    }

    fn ask_everybody(&mut self, now: Instant) {
        let keys: Vec<NodeKey> =
            self.links.iter().filter(|(_, held)| held.class != Class::Inbound).map(|(key, _)| *key).collect();
        for key in keys {
            self.ask(key, now);
        }
    }

    /// Asks a neighbour for hosts, if that was not just done.
    pub(super) fn ask(&mut self, key: NodeKey, now: Instant) {
        let Some(held) = self.links.get_mut(&key) else {
            return;
        };
        if held.asked.is_none_or(|asked| now.saturating_since(asked) >= ASK_INTERVAL) {
            held.asked = Some(now);
            held.may_answer = true;
            let link = held.link;
            self.decide(Decision::Ask { key, link });
        }
    }

    /// Takes ages, drops what is stale, and looks for a better neighbour than the worst, if it is time.
    pub(super) fn review(&mut self, now: Now) {
        let chosen: Vec<NodeKey> =
            self.links.iter().filter(|(_, held)| held.class == Class::Outbound).map(|(key, _)| *key).collect();
        for key in &chosen {
            self.credit(*key, now);
        }
        self.anchors.sweep(now.unix_s);
        self.book.sweep(now.unix_s);
        let due = self.rules.change_interval.is_some_and(|every| now.instant.saturating_since(self.changed) >= every);
        if due && self.missing() == 0 && self.strangers_dialled() == 0 {
            self.change(now.instant);
        }
    }

    /// Dials an anchor that has at least twice the rank of the least of our chosen strangers, to take its place.
    fn change(&mut self, now: Instant) {
        let rank = |key: NodeKey| self.anchors.get(key).map_or(Tenure::default(), |anchor| anchor.tenure).rank();
        let chosen = self.links.keys().filter(|key| self.may_go(**key, now));
        let Some((least_rank, least)) = chosen.map(|key| (rank(*key), *key)).min() else {
            return;
        };
        if let Some((key, anchor)) = self.best_anchor(now, Some(least))
            && anchor.tenure.rank() >= 2 * least_rank.max(1)
            && self.anchors_taken(Some(least)) < self.rules.anchor_places
        {
            let dial = Dial::new(Class::Outbound, anchor.address, anchor.origin, now);
            self.dial(key, Dial { anchor: true, instead_of: Some(least), ..dial });
        }
    }
}
