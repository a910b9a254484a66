//! What must hold between any two inputs: for property tests and fuzzers only.

use std::collections::BTreeMap;

use super::{
    Class, Group, NeighbourAddress, Neighbours,
    limits::{
        BUCKET_SIZE, DIALS_AT_ONCE, MAX_BANS, MAX_CHECKS, MAX_DECISIONS, MAX_FRIENDS, MAX_REMOVED, NEW_BUCKETS,
        TRIED_BUCKETS,
    },
};

impl Neighbours {
    /// Compares the tables with each other and with their bounds.
    ///
    /// # Panics
    /// Something does not hold.
    pub fn check(&self) {
        let rules = &self.rules;
        let of = |class| self.links.values().filter(|held| held.class == class).count();
        assert!(self.links.len() <= rules.most, "{} links", self.links.len());
        assert!(of(Class::Inbound) <= rules.inbound || !rules.separate_slots);
        assert!(of(Class::Outbound) <= rules.outbound || !rules.separate_slots);
        self.check_prefixes();
        let mut origins = BTreeMap::<_, usize>::new();
        for held in self.links.values().filter(|held| held.class == Class::Outbound) {
            *origins.entry(held.origin).or_default() += 1;
        }
        origins.remove(&super::Origin::Given);
        assert!(origins.values().all(|count| *count <= rules.per_origin), "an origin has too many places");
        for (key, held) in &self.links {
            assert_ne!(*key, self.us);
            assert!(!self.removed.contains(key), "a removed neighbour has a link");
            assert_eq!(held.class == Class::Friend, self.friends.contains_key(key));
            assert!(!self.dials.contains_key(key), "a neighbour with a link is dialled");
        }
        let strangers = self.dials.values().filter(|dial| dial.class == Class::Outbound).count();
        assert!(strangers <= DIALS_AT_ONCE && self.dials.len() <= DIALS_AT_ONCE + MAX_FRIENDS);
        assert!(self.friends.len() <= MAX_FRIENDS && self.removed.len() <= MAX_REMOVED);
        assert!(self.friends.keys().all(|key| self.book.get(*key).is_none() && self.anchors.get(*key).is_none()));
        assert!(self.anchors.len() <= rules.anchors && self.bans.len() <= MAX_BANS);
        assert!(self.checks.len() <= MAX_CHECKS && self.decisions.len() <= MAX_DECISIONS);
        assert!(self.book.len() <= usize::from(NEW_BUCKETS + TRIED_BUCKETS) * usize::from(BUCKET_SIZE));
        self.book.check();
    }

    /// No prefix has more places than it may.
    fn check_prefixes(&self) {
        let rules = &self.rules;
        let count = |group: fn(NeighbourAddress) -> Group| {
            let mut counts = BTreeMap::<Group, usize>::new();
            for held in self.links.values().filter(|held| held.class.is_stranger()) {
                *counts.entry(group(held.address)).or_default() += 1;
            }
            counts
        };
        for (group, count) in count(NeighbourAddress::group) {
            let most = if group == Group::LOCAL { rules.local } else { rules.per_prefix };
            assert!(count <= most, "{count} strangers of one prefix");
        }
        let wide = count(NeighbourAddress::wide_group);
        let within = |group: &Group, count: usize| *group == Group::LOCAL || count <= rules.per_wide_prefix;
        assert!(wide.iter().all(|(group, count)| within(group, *count)), "too many strangers of one provider");
    }
}
