//! Which messages were seen: so that each counts once.

use core::hash::{BuildHasher as _, BuildHasherDefault};
use std::collections::{BTreeMap, HashMap};

use super::{
    forgotten::Forgotten,
    limits::{MAX_SEEN, MAX_SEEN_PER_HOP, SCENT_RANKS},
    stamps::is_fresh,
};
use crate::{
    MessageId,
    hash::{Keyed, Through},
};

/// A link's or port's number in this router, shorter than a [`Hop`](super::Hop). Not used again before 65,000 others were.
pub(crate) type HopNumber = u16;

/// What a message's arrival is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The first.
    First,
    /// The first as far as is known, of one that may have been seen before its id was forgotten, or before the start. All is made of it and its
    /// copies that is made of others, but for scent.
    Doubtful,
    /// One more, through another hop than before: the how manieth copy (1 and up).
    Copy(u8),
    /// One through a hop that it came by before, or after so many others that it adds no scent, or one that has come round: its hop leads back
    /// here.
    Repeated,
    /// There is no room to remember it, so nothing may be made of it.
    Full,
}

/// The ids of verified messages by the minute of their stamp, for as long as that stamp would be accepted.
pub(crate) struct Seen {
    minutes: BTreeMap<u32, Ids>,
    held: BTreeMap<HopNumber, usize>,
    total: usize,
    forgotten: Forgotten,
    keyed: Keyed,
}

/// An id, as 64 bits of a keyed hash: half as long, and nobody finds two that are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ShortId([u8; 8]);

impl ShortId {
    fn number(self) -> u64 {
        u64::from_ne_bytes(self.0)
    }
}

impl core::hash::Hash for ShortId {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.number());
    }
}

type Ids = HashMap<ShortId, Known, BuildHasherDefault<Through>>;

struct Known {
    /// The first hops that it came by, the very first being charged.
    by: [HopNumber; SCENT_RANKS],
    arrivals: u8,
    /// What was done with it, if it is flooded.
    done: Act,
    /// It was passed on hidden: all its later copies have come round through this node.
    hidden: bool,
    heard: bool,
    /// How often it came by, if it walks.
    visits: u8,
}

/// What is to be done with a flooded message, in the order in which it can come to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// Nothing that was not done before.
    Nothing,
    /// Pass it on hidden, along one path.
    Hide,
    /// Pass it on as the end of a flood.
    End,
    /// Pass it on in earnest.
    Spread,
}

impl Arrival {
    /// Whether it is the first that is known of.
    pub(crate) fn is_first(self) -> bool {
        matches!(self, Self::First | Self::Doubtful)
    }
}

impl Seen {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self { minutes: BTreeMap::new(), held: BTreeMap::new(), total: 0, forgotten: Forgotten::default(), keyed }
    }

    /// Notes the arrival of a verified message whose stamp is fresh. `may_lay`: whether that stamp is of this run.
    pub(crate) fn arrive(&mut self, id: MessageId, minute: u32, hop: HopNumber, may_lay: bool) -> Arrival {
        if let Some(known) = self.known(id, minute) {
            let arrivals = usize::from(known.arrivals);
            if known.hidden || arrivals == SCENT_RANKS || known.by[..arrivals].contains(&hop) {
                return Arrival::Repeated;
            }
            known.by[arrivals] = hop;
            known.arrivals += 1;
            return Arrival::Copy(known.arrivals - 1);
        }
        if self.held.get(&hop).is_some_and(|held| *held >= MAX_SEEN_PER_HOP) {
            return Arrival::Full;
        }
        if self.total >= MAX_SEEN {
            self.forget_largest();
        }
        let short = self.short(id);
        let ids = self.minutes.entry(minute).or_default();
        let mut by = [0; SCENT_RANKS];
        by[0] = hop;
        let is_new = may_lay && !self.forgotten.may_hold(short.number(), minute);
        // No copy of a doubtful one adds scent: as if it had come by all hops that may.
        let arrivals = if is_new { 1 } else { SCENT_RANKS as u8 };
        ids.insert(short, Known { by, arrivals, done: Act::Nothing, hidden: false, heard: false, visits: 0 });
        *self.held.entry(hop).or_default() += 1;
        self.total += 1;
        if is_new { Arrival::First } else { Arrival::Doubtful }
    }

    fn short(&self, id: MessageId) -> ShortId {
        ShortId(self.keyed.hash_one(id).to_ne_bytes())
    }

    fn known(&mut self, id: MessageId, minute: u32) -> Option<&mut Known> {
        let short = self.short(id);
        self.minutes.get_mut(&minute)?.get_mut(&short)
    }

    /// What to do with a flooded message whose copy asks for `wanted`: to pass it on once, and once more if what was done before was less. One
    /// that comes back hidden where it was hidden before has gone round in a ring, and spreads.
    pub(crate) fn act(&mut self, id: MessageId, minute: u32, wanted: Act) -> Act {
        let Some(known) = self.known(id, minute) else {
            return Act::Nothing;
        };
        let act = if wanted == Act::Hide && known.hidden { Act::Spread } else { wanted };
        if act == Act::Hide && known.done < Act::Spread {
            known.hidden = true;
            return act;
        }
        if act <= known.done {
            return Act::Nothing;
        }
        known.done = act;
        act
    }

    /// Whether a message is heard for the first time: the next time it is not.
    pub(crate) fn hear(&mut self, id: MessageId, minute: u32) -> bool {
        let known = self.known(id, minute);
        known.is_some_and(|known| !core::mem::replace(&mut known.heard, true))
    }

    /// How often a message that walks and has arrived was here before.
    pub(crate) fn visit(&mut self, id: MessageId, minute: u32) -> u8 {
        let Some(known) = self.known(id, minute) else {
            return u8::MAX;
        };
        let visits = known.visits;
        known.visits = visits.saturating_add(1);
        visits
    }

    /// Forgets what is refused by its stamp from now on.
    pub(crate) fn expire(&mut self, now_minute: u32) {
        let mut gone: Vec<HopNumber> = Vec::new();
        self.minutes.retain(|minute, ids| {
            let keep = is_fresh(*minute, now_minute);
            if !keep {
                gone.extend(ids.values().map(|known| known.by[0]));
            }
            keep
        });
        self.total -= gone.len();
        for hop in gone {
            self.release(hop);
        }
        self.forgotten.expire(now_minute);
    }

    /// Whether a message has arrived.
    #[cfg(feature = "simulation")]
    pub(crate) fn knows(&self, id: MessageId, minute: u32) -> bool {
        self.minutes.get(&minute).is_some_and(|ids| ids.contains_key(&self.short(id)))
    }

    pub(crate) fn len(&self) -> usize {
        self.total
    }

    /// Whether there is nothing that will expire.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0 && self.forgotten.is_empty()
    }

    fn release(&mut self, hop: HopNumber) {
        if let Some(held) = self.held.get_mut(&hop) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&hop);
            }
        }
    }

    /// The last resort when link after link filled its share and left: what the largest holder brought may come once more, and lays no scent then.
    fn forget_largest(&mut self) {
        let Some(largest) = self.held.iter().max_by_key(|(_, held)| **held).map(|(hop, _)| *hop) else {
            return;
        };
        for (minute, ids) in &mut self.minutes {
            for (id, _) in ids.extract_if(|_, known| known.by[0] == largest) {
                self.forgotten.insert(id.number(), *minute);
            }
        }
        self.minutes.retain(|_, ids| !ids.is_empty());
        self.total -= self.held.remove(&largest).unwrap_or(0);
    }
}

#[cfg(any(feature = "fuzzing", feature = "simulation"))]
impl Seen {
    /// Panics if a hop is charged for other than what is remembered, or there is too much.
    pub(crate) fn assert_consistent(&self) {
        let mut held: BTreeMap<HopNumber, usize> = BTreeMap::new();
        for known in self.minutes.values().flat_map(HashMap::values) {
            *held.entry(known.by[0]).or_default() += 1;
        }
        assert_eq!(held.values().sum::<usize>(), self.total);
        assert_eq!(held, self.held, "each hop is charged for its ids");
        assert!(held.values().all(|held| *held <= MAX_SEEN_PER_HOP) && self.forgotten.spans() <= 3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> MessageId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        MessageId(id)
    }

    fn seen() -> Seen {
        Seen::new(Keyed::new([1, 2]))
    }

    #[test]
    fn ranks_copies_by_hop_and_counts_each_hop_once() {
        let mut seen = seen();
        assert_eq!(seen.arrive(id(1), 100, 7, true), Arrival::First);
        assert_eq!(seen.arrive(id(1), 100, 7, true), Arrival::Repeated);
        assert_eq!(seen.arrive(id(1), 100, 8, true), Arrival::Copy(1));
        assert_eq!(seen.arrive(id(1), 100, 9, true), Arrival::Copy(2));
        assert_eq!(seen.arrive(id(1), 100, 8, true), Arrival::Repeated);
        assert_eq!(seen.arrive(id(1), 100, 10, true), Arrival::Copy(3));
        assert_eq!(seen.arrive(id(1), 100, 11, true), Arrival::Repeated);
    }

    #[test]
    fn an_id_takes_less_than_52_bytes() {
        for count in [500, 3_700, MAX_SEEN_PER_HOP as u32] {
            let mut seen = seen();
            for number in 0..count {
                seen.arrive(id(number), 100, 7, true);
            }
            let places: usize = seen.minutes.values().map(|ids| ids.capacity() * 8 / 7).sum();
            let each = places * (size_of::<(ShortId, Known)>() + 1) / count as usize;
            assert!(each < 52, "{each} bytes for each of {count}");
        }
    }

    #[test]
    fn what_came_at_its_end_is_passed_on_once_more_in_earnest_and_heard_once() {
        let mut seen = seen();
        seen.arrive(id(1), 100, 7, true);
        assert_eq!(seen.act(id(1), 100, Act::End), Act::End);
        assert_eq!(seen.act(id(1), 100, Act::End), Act::Nothing);
        assert_eq!(seen.act(id(1), 100, Act::Spread), Act::Spread);
        assert!(seen.hear(id(1), 100));
        for wanted in [Act::Hide, Act::Spread, Act::End] {
            assert_eq!(seen.act(id(1), 100, wanted), Act::Nothing);
        }
        assert!(!seen.hear(id(1), 100));
        assert_eq!(seen.act(id(2), 100, Act::Hide), Act::Nothing, "it never arrived");
    }

    #[test]
    fn what_was_hidden_lays_no_more_scent_and_spreads_once_when_it_comes_back() {
        let mut seen = seen();
        assert_eq!(seen.arrive(id(1), 100, 7, true), Arrival::First);
        assert_eq!(seen.act(id(1), 100, Act::Hide), Act::Hide);
        assert_eq!(seen.arrive(id(1), 100, 8, true), Arrival::Repeated);
        let mut hide = || seen.act(id(1), 100, Act::Hide);
        assert_eq!([hide(), hide()], [Act::Spread, Act::Nothing]);
        seen.arrive(id(2), 100, 7, true);
        let mut act = |wanted| seen.act(id(2), 100, wanted);
        assert_eq!(
            [act(Act::Hide), act(Act::End), act(Act::End), act(Act::Spread)],
            [Act::Hide, Act::End, Act::Nothing, Act::Spread]
        );
    }

    #[test]
    fn remembers_for_as_long_as_a_stamp_is_fresh() {
        let mut seen = seen();
        seen.arrive(id(1), 100, 7, true);
        seen.expire(109);
        assert!(is_fresh(100, 109));
        assert_eq!(seen.len(), 1);
        seen.expire(110);
        assert!(!is_fresh(100, 110));
        assert_eq!((seen.len(), seen.held.len(), seen.minutes.len()), (0, 0, 0));
    }

    #[test]
    fn one_hop_fills_its_share_only_and_ghosts_give_way() {
        let mut seen = seen();
        let full = (0..MAX_SEEN_PER_HOP as u32 + 1).map(|n| seen.arrive(id(n), 100, 1, true)).last();
        assert_eq!(full, Some(Arrival::Full));
        assert_eq!(seen.arrive(id(u32::MAX), 100, 2, true), Arrival::First);
        let mut number = MAX_SEEN_PER_HOP as u32 + 1;
        for ghost in 3..40 {
            for _ in 0..MAX_SEEN_PER_HOP {
                seen.arrive(id(number), 100, ghost, true);
                number += 1;
            }
            assert!(seen.len() <= MAX_SEEN);
        }
        assert_eq!(seen.arrive(id(u32::MAX), 100, 2, true), Arrival::Repeated, "the modest hop lost nothing");
    }

    #[test]
    fn what_had_to_give_way_lays_no_scent_when_it_comes_again() {
        let mut seen = seen();
        let honest = 0..20_000;
        for number in honest.clone() {
            assert_eq!(seen.arrive(id(number), 100, 1, true), Arrival::First);
        }
        // Links that come, bring less than the honest neighbour, and go.
        let mut number = honest.end;
        for ghost in 2..40 {
            for _ in 0..7_000 {
                assert_eq!(seen.arrive(id(number), 101, ghost, true), Arrival::First);
                number += 1;
            }
        }
        seen.assert_consistent();
        let forgotten: Vec<_> = honest.filter(|number| seen.known(id(*number), 100).is_none()).collect();
        assert!(forgotten.len() > 10_000, "{} were forgotten", forgotten.len());
        for number in forgotten {
            assert_eq!(seen.arrive(id(number), 100, 1000, true), Arrival::Doubtful);
            assert_eq!(seen.arrive(id(number), 100, 1001, true), Arrival::Repeated);
        }
        assert_eq!(seen.arrive(id(u32::MAX), 100, 1000, true), Arrival::First);
        seen.expire(200);
        assert!(seen.is_empty());
    }

    #[test]
    fn no_copy_of_a_doubtful_one_lays_scent() {
        let mut seen = seen();
        assert_eq!(seen.arrive(id(1), 100, 7, false), Arrival::Doubtful);
        assert_eq!([8, 7].map(|hop| seen.arrive(id(1), 100, hop, true)), [Arrival::Repeated; 2]);
        assert_eq!(seen.act(id(1), 100, Act::Spread), Act::Spread, "all else is made of it");
    }
}
