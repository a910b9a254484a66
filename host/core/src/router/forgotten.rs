//! Ids that were forgotten before their time, for want of room: a message may be one of them, and then lays no scent.

use std::collections::BTreeMap;

use super::{
    limits::{FORGOTTEN_BITS, STAMP_MINUTES},
    stamps::is_fresh,
};

/// Bits that an id sets: with eight bits for each id a message that was not forgotten looks as if it were one time in forty.
const PROBES: u64 = 4;

/// Bloom filters (Bloom 1970), one for each [`STAMP_MINUTES`] of stamps. There are three at most, and none as long as there is room for all ids.
#[derive(Default)]
pub(super) struct Forgotten {
    spans: BTreeMap<u32, Box<[u64]>>,
}

impl Forgotten {
    /// An id, as a keyed hash, is forgotten.
    pub(super) fn insert(&mut self, id: u64, minute: u32) {
        let words = self
            .spans
            .entry(minute / STAMP_MINUTES)
            .or_insert_with(|| vec![0; FORGOTTEN_BITS / u64::BITS as usize].into_boxed_slice());
        for (word, bit) in places(id) {
            words[word] |= bit;
        }
    }

    /// Whether an id may have been forgotten.
    pub(super) fn may_hold(&self, id: u64, minute: u32) -> bool {
        let words = self.spans.get(&(minute / STAMP_MINUTES));
        words.is_some_and(|words| places(id).all(|(word, bit)| words[word] & bit != 0))
    }

    /// Drops what is refused by its stamp from now on.
    pub(super) fn expire(&mut self, now_minute: u32) {
        self.spans.retain(|span, _| {
            let first = span * STAMP_MINUTES;
            is_fresh(first, now_minute) || is_fresh(first.saturating_add(STAMP_MINUTES - 1), now_minute)
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many filters there are.
    #[cfg(any(feature = "fuzzing", feature = "simulation", test))]
    pub(super) fn spans(&self) -> usize {
        self.spans.len()
    }
}

/// The words and bits of an id: its two halves make as many numbers as are wanted (Kirsch and Mitzenmacher 2006).
fn places(id: u64) -> impl Iterator<Item = (usize, u64)> {
    let (one, other) = (id & u64::from(u32::MAX), id >> 32 | 1);
    (0..PROBES).map(move |probe| {
        let bit = one.wrapping_add(probe.wrapping_mul(other)) as usize % FORGOTTEN_BITS;
        (bit / u64::BITS as usize, 1 << (bit % u64::BITS as usize))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> u64 {
        blake3::hash(&number.to_be_bytes()).as_bytes().first_chunk().map_or(0, |id| u64::from_be_bytes(*id))
    }

    #[test]
    fn knows_all_that_it_was_told_and_little_else() {
        let mut forgotten = Forgotten::default();
        let many = FORGOTTEN_BITS as u64 / 8;
        (0..many).for_each(|number| forgotten.insert(id(number), 100));
        assert!((0..many).all(|number| forgotten.may_hold(id(number), 109)));
        assert!((0..many).all(|number| !forgotten.may_hold(id(number), 110)), "of another time");
        let taken = (many..many + 100_000).filter(|number| forgotten.may_hold(id(*number), 100)).count();
        assert!(taken.abs_diff(2_400) < 300, "{taken} of 100,000 for one of them");
    }

    #[test]
    fn lasts_for_as_long_as_a_stamp_is_fresh_and_there_are_three_at_most() {
        let mut forgotten = Forgotten::default();
        for now in 100..140 {
            for minute in (0..200).filter(|minute| is_fresh(*minute, now)) {
                forgotten.insert(id(u64::from(minute)), minute);
            }
            forgotten.expire(now);
            assert!((0..200).filter(|minute| is_fresh(*minute, now)).all(|at| forgotten.may_hold(id(at.into()), at)));
            assert!(forgotten.spans() <= 3, "{}", forgotten.spans());
        }
        forgotten.expire(200);
        assert!(forgotten.is_empty());
    }
}
