//! When somebody is dialled again, and how long an offender stays out: the one place for both.

use core::time::Duration;
use std::collections::BTreeMap;

use super::{
    Group, NodeKey,
    limits::{FIRST_BAN, FORGIVEN, LONGEST_BAN, MAX_BANS, STABLE},
};
use crate::Instant;

/// `first`, doubled for each one of `times` beyond the first, at most `longest`.
fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX)).min(longest)
}

/// Attempts on one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retry {
    /// Attempts in a row that came to nothing or to a short link.
    failures: u32,
    not_before: Option<Instant>,
}

impl Retry {
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// When it may be dialled; `None`: at any time.
    pub(super) const fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|until| until <= now)
    }

    /// Waits before the next attempt: between half the backoff and all of it, by `chance`, so that nodes that lost each other at
    /// once do not return at once. The backoff is `between[0]`, doubled with each failure, up to `between[1]`.
    pub(super) fn failed(&mut self, between: [Duration; 2], now: Instant, chance: u32) {
        self.failures = self.failures.saturating_add(1);
        let half = doubled(between[0], self.failures, between[1]) / 2;
        let part = half.as_nanos() * u128::from(chance) / u128::from(u32::MAX);
        let part = Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX));
        self.not_before = Some(now + half + part);
    }

    /// A link has ended after so long.
    pub(super) fn lasted(&mut self, lasted: Duration) {
        if lasted >= STABLE {
            *self = Self::default();
        }
    }

    /// It may be dialled at once.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Not before this.
    pub(super) fn wait_until(&mut self, until: Instant) {
        self.not_before = Some(self.not_before.map_or(until, |not_before| not_before.max(until)));
    }
}

/// Offences of one key or prefix.
#[derive(Clone, Copy, Debug)]
struct Ban {
    offences: u32,
    until: Instant,
}

impl Ban {
    /// One more offence, after `earlier` ones.
    fn after(earlier: Option<&Self>, now: Instant) -> Self {
        let forgotten = |ban: &&Self| now.saturating_since(ban.until) < FORGIVEN;
        let offences = earlier.filter(forgotten).map_or(0, |ban| ban.offences).saturating_add(1);
        Self { offences, until: now + doubled(FIRST_BAN, offences, LONGEST_BAN) }
    }
}

/// Who stays out. Keys cost nothing, so a stranger's offence bars strangers of its prefix as well.
#[derive(Debug, Default)]
pub(super) struct Bans {
    keys: BTreeMap<NodeKey, Ban>,
    groups: BTreeMap<Group, Ban>,
}

impl Bans {
    /// A neighbour broke the protocol; a stranger answers for its prefix.
    pub(super) fn offend(&mut self, key: NodeKey, group: Option<Group>, now: Instant) {
        insert(&mut self.keys, key, now);
        if let Some(group) = group.filter(|group| group.is_prefix()) {
            insert(&mut self.groups, group, now);
        }
    }

    /// It has behaved for long: earlier offences count no more.
    pub(super) fn forgive(&mut self, key: NodeKey) {
        self.keys.remove(&key);
    }

    /// Until when this key stays out, if it does.
    pub(super) fn key_until(&self, key: NodeKey, now: Instant) -> Option<Instant> {
        self.keys.get(&key).map(|ban| ban.until).filter(|until| now < *until)
    }

    /// Until when this key stays out or stayed out.
    pub(super) fn last_until(&self, key: NodeKey) -> Option<Instant> {
        self.keys.get(&key).map(|ban| ban.until)
    }

    /// Whether strangers of this group stay out.
    pub(super) fn bars_group(&self, group: Group, now: Instant) -> bool {
        self.groups.get(&group).is_some_and(|ban| now < ban.until)
    }

    /// All keys that stay out.
    pub(super) fn keys(&self, now: Instant) -> impl Iterator<Item = (NodeKey, Instant)> {
        self.keys.iter().filter(move |(_, ban)| now < ban.until).map(|(key, ban)| (*key, ban.until))
    }

    #[cfg(feature = "fuzzing")]
    pub(super) fn len(&self) -> usize {
        self.keys.len().max(self.groups.len())
    }
}

fn insert<K: Ord + Copy>(bans: &mut BTreeMap<K, Ban>, who: K, now: Instant) {
    let ban = Ban::after(bans.get(&who), now);
    if bans.len() >= MAX_BANS && !bans.contains_key(&who) {
        let first = bans.iter().min_by_key(|(_, ban)| ban.until).map(|(who, _)| *who);
        first.and_then(|first| bans.remove(&first));
    }
    bans.insert(who, ban);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neighbours::{NeighbourAddress, limits::FIRST_BACKOFF};

    const LONGEST: Duration = Duration::from_secs(60);

    fn at(ms: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(ms))
    }

    fn key(number: usize) -> NodeKey {
        let mut key = [9; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        NodeKey(key)
    }

    #[test]
    fn waits_grow_within_bounds_and_are_jittered() {
        let mut retry = Retry::default();
        assert!(retry.is_ready(at(0)));
        let wait = |retry: &mut Retry, chance| {
            retry.failed([FIRST_BACKOFF, LONGEST], at(0), chance);
            retry.not_before().expect("it waits").since_origin()
        };
        assert_eq!(wait(&mut retry, u32::MAX), FIRST_BACKOFF);
        assert_eq!(wait(&mut retry, 0), FIRST_BACKOFF);
        assert_eq!(wait(&mut retry, u32::MAX), FIRST_BACKOFF * 4);
        for _ in 0..100 {
            wait(&mut retry, 0);
        }
        assert_eq!(wait(&mut retry, u32::MAX), LONGEST);
        assert_eq!(wait(&mut retry, 0), LONGEST / 2);
        retry.lasted(STABLE / 2);
        assert_eq!(wait(&mut retry, 0), LONGEST / 2);
        retry.lasted(STABLE);
        assert_eq!(wait(&mut retry, u32::MAX), FIRST_BACKOFF);
    }

    #[test]
    fn an_offender_stays_out_for_longer_each_time_and_is_forgiven() {
        let mut bans = Bans::default();
        let mut now = at(0);
        for ban in [FIRST_BAN, FIRST_BAN * 2, FIRST_BAN * 4] {
            bans.offend(key(1), None, now);
            assert_eq!(bans.key_until(key(1), now), Some(now + ban));
            now = now + ban;
            assert_eq!(bans.key_until(key(1), now), None);
        }
        bans.offend(key(1), None, now + FORGIVEN);
        assert_eq!(bans.key_until(key(1), now + FORGIVEN), Some(now + FORGIVEN + FIRST_BAN));
        bans.forgive(key(1));
        assert_eq!(bans.key_until(key(1), now + FORGIVEN), None);
    }

    #[test]
    fn a_prefix_answers_for_its_strangers_and_local_ones_do_not() {
        let mut bans = Bans::default();
        let group = |text: &str| NeighbourAddress::at(text.parse().expect("an address")).group();
        bans.offend(key(1), Some(group("8.8.8.8:5000")), at(0));
        assert!(bans.bars_group(group("8.8.8.9:5000"), at(1)));
        assert!(!bans.bars_group(group("8.8.9.9:5000"), at(1)));
        bans.offend(key(2), Some(group("127.0.0.1:5000")), at(0));
        assert!(!bans.bars_group(Group::LOCAL, at(1)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut bans = Bans::default();
        for number in 0..3 * MAX_BANS {
            bans.offend(key(number), None, at(number as u64));
        }
        assert_eq!(bans.len(), MAX_BANS);
        let last = at(3 * MAX_BANS as u64);
        assert_eq!(bans.keys(last).count(), MAX_BANS);
        assert!(bans.key_until(key(3 * MAX_BANS - 1), last).is_some());
    }
}
