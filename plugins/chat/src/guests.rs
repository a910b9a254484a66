//! Who may be connected at once, and how fast each may talk: no stranger keeps a friend out.

use mute_plugin::Address;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Connections of addresses that we know.
const FRIENDS: usize = 96;
/// Connections of addresses that we don't: a message is delivered within seconds, then the place is free again.
const STRANGERS: usize = 24;

/// Who is connected. The newest always gets in: in place of its own older connection, which may be dead without our
/// knowing; else, where all places are taken, of the one of its kind that has been here longest.
pub(crate) struct Guests<C> {
    inside: RefCell<BTreeMap<Address, Inside<C>>>,
    visits: Cell<u64>,
}

struct Inside<C> {
    visit: u64,
    is_known: bool,
    connection: C,
}

/// A place; free again when dropped.
pub(crate) struct Guest<C> {
    guests: Rc<Guests<C>>,
    peer: Address,
    visit: u64,
}

impl<C> Default for Guests<C> {
    fn default() -> Self {
        Self { inside: RefCell::default(), visits: Cell::default() }
    }
}

impl<C> Guests<C> {
    /// Lets a peer in; the connections that have to go, at most two, are to be closed.
    pub(crate) fn enter(self: &Rc<Self>, peer: Address, is_known: bool, connection: C) -> (Guest<C>, Vec<C>) {
        let mut inside = self.inside.borrow_mut();
        let visit = self.visits.get();
        self.visits.set(visit + 1);
        let mut leaving: Vec<C> = inside.remove(&peer).into_iter().map(|older| older.connection).collect();
        let of_its_kind = inside.iter().filter(|(_, other)| other.is_known == is_known);
        if of_its_kind.clone().count() >= if is_known { FRIENDS } else { STRANGERS } {
            let longest = of_its_kind.min_by_key(|(_, other)| other.visit).map(|(peer, _)| *peer);
            leaving.extend(longest.and_then(|peer| inside.remove(&peer)).map(|longest| longest.connection));
        }
        inside.insert(peer, Inside { visit, is_known, connection });
        (Guest { guests: Rc::clone(self), peer, visit }, leaving)
    }
}

impl<C> Drop for Guest<C> {
    fn drop(&mut self) {
        let mut inside = self.guests.inside.borrow_mut();
        if inside.get(&self.peer).is_some_and(|place| place.visit == self.visit) {
            inside.remove(&self.peer);
        }
    }
}

/// How often something may happen: `burst` times at once, then once every `step`.
pub(crate) struct Pace {
    step: Duration,
    burst: u32,
    /// When what has happened is paid off, a step each.
    paid: Cell<Duration>,
}

impl Pace {
    /// For a friend: faster than anybody types.
    pub(crate) fn of_friend() -> Self {
        Self::new(64, Duration::from_millis(50))
    }

    /// For all strangers together: what they say costs the disk little, however many they are.
    pub(crate) fn of_strangers() -> Self {
        Self::new(32, Duration::from_millis(250))
    }

    fn new(burst: u32, step: Duration) -> Self {
        Self { step, burst, paid: Cell::default() }
    }

    /// Takes the next turn; it is to be waited for that long. `now` is any clock that goes forward.
    pub(crate) fn turn(&self, now: Duration) -> Duration {
        let credit = self.step * self.burst;
        let paid = self.paid.get().max(now) + self.step;
        self.paid.set(paid);
        paid.saturating_sub(now + credit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer(number: u8) -> Address {
        Address::from_bytes([number; 32])
    }

    #[test]
    fn strangers_never_take_the_place_of_friends() {
        let guests = Rc::new(Guests::default());
        let (_friend, leaving) = guests.enter(peer(255), true, 255);
        assert!(leaving.is_empty());
        let mut places = Vec::new();
        for number in 0..100 {
            let (place, leaving) = guests.enter(peer(number), false, number);
            places.push(place);
            let longest = number.checked_sub(STRANGERS as u8);
            assert_eq!(leaving, Vec::from_iter(longest));
        }
        assert_eq!(guests.inside.borrow().len(), STRANGERS + 1);
        assert!(guests.inside.borrow().contains_key(&peer(255)));
        drop(places);
        assert_eq!(guests.inside.borrow().len(), 1);
    }

    #[test]
    fn a_peer_has_one_connection_and_the_newest_counts() {
        let guests = Rc::new(Guests::default());
        let (older, _) = guests.enter(peer(1), false, "older");
        let (newer, leaving) = guests.enter(peer(1), true, "newer");
        assert_eq!(leaving, ["older"]);
        drop(older);
        assert_eq!(guests.inside.borrow()[&peer(1)].connection, "newer");
        drop(newer);
        assert!(guests.inside.borrow().is_empty());
    }

    #[test]
    fn a_burst_is_free_and_then_each_waits() {
        let pace = Pace::new(3, Duration::from_secs(1));
        let now = Duration::ZERO;
        let waits: Vec<u64> = (0..5).map(|_| pace.turn(now).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 1, 2]);
        assert_eq!(pace.turn(now + Duration::from_secs(50)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn no_interval_sees_more_than_burst_and_rate(steps in prop::collection::vec(0_u64..2_000, 1..200)) {
            let pace = Pace::of_strangers();
            let mut now = Duration::from_secs(3600);
            let mut turns = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                turns.push(now + pace.turn(now));
            }
            for (index, start) in turns.iter().enumerate() {
                let within = turns[index..].iter().filter(|turn| **turn < *start + Duration::from_secs(10)).count();
                prop_assert!(within <= 32 + 40 + 1);
            }
        }
    }
}
