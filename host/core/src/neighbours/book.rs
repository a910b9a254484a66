//! The book: addresses of strangers, in two tables whose places a secret decides.
//!
//! After Bitcoin's address manager as it is since the eclipse attacks of Heilman et al. (USENIX Security 2015): what was only told of
//! lies in *new*, what has proven its key to us in *tried*; the bucket follows from prefix and origin, the place in it from
//! the host, and all from a secret, so that one origin or prefix reaches few buckets and nobody knows which. Who is there stays
//! unless attempts to reach it have failed, so that a flood of fresh addresses displaces nobody who answers.
//! Different from Bitcoin's: an address has one place, and whom to dial is chosen by prefix first.

use std::collections::BTreeMap;

use rand_core::Rng;

use super::{
    Group, NeighbourAddress, NodeKey,
    address::affinity,
    limits::{
        BUCKET_SIZE, FIRST_STRANGER_BACKOFF, FRESH_S, LONGEST_STRANGER_BACKOFF, NEW_ATTEMPTS, NEW_BUCKETS,
        NEW_BUCKETS_PER_ORIGIN, STALE_S, TRIED_ATTEMPTS, TRIED_BUCKETS, TRIED_BUCKETS_PER_PREFIX,
    },
    retry::Retry,
};
use crate::Instant;

/// Who told of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// This node's user, by configuration or invitation.
    Given,
    /// The node itself: it dialled us and said where it listens.
    Itself,
    /// A neighbour with this prefix.
    Told(Group),
}

impl Origin {
    fn bytes(self) -> [u8; 9] {
        let mut bytes = [0; 9];
        match self {
            Self::Given => {}
            Self::Itself => bytes[0] = 1,
            Self::Told(group) => {
                bytes[0] = 2;
                bytes[1..].copy_from_slice(&group.bytes());
            }
        }
        bytes
    }
}

/// One address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) address: NeighbourAddress,
    pub(super) origin: Origin,
    /// When it was told of, in Unix time.
    pub(super) heard_s: u64,
    /// When it last proved its key to us, in Unix time.
    pub(super) proven_s: Option<u64>,
    pub(super) retry: Retry,
    /// Attempts that it refused, in a row.
    pub(super) refusals: Retry,
    /// See [`affinity`].
    pub(super) affinity: Option<u64>,
    place: Place,
}

impl Entry {
    /// Whether it has proven its key and no attempt has failed since.
    pub(super) fn is_good(&self) -> bool {
        self.proven_s.is_some() && self.retry.failures() == 0
    }

    /// Whether it may be dialled.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.retry.is_ready(now) && self.refusals.is_ready(now)
    }

    /// Whether its place may be given to a newcomer.
    fn gives_way(&self, now_s: u64) -> bool {
        let last = self.proven_s.unwrap_or(self.heard_s);
        let age = now_s.saturating_sub(last);
        self.retry.failures() > 0 || age > if self.proven_s.is_some() { FRESH_S } else { STALE_S }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    tried: bool,
    bucket: u16,
    slot: u8,
}

/// The two tables.
#[derive(Debug)]
pub(super) struct Book {
    secret: Secret,
    /// Where this node is.
    ours: Group,
    fixed_places: bool,
    entries: BTreeMap<NodeKey, Entry>,
    places: BTreeMap<Place, NodeKey>,
    /// How many entries each prefix has, and how many of them have proven their keys.
    prefixes: BTreeMap<Group, [u16; 2]>,
    /// Prefixes of which one has.
    proven_prefixes: usize,
}

/// Decides places. Never printed.
struct Secret([u8; 32]);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A number below `bound` for these parts, which have fixed lengths.
    fn number(&self, purpose: u8, parts: [&[u8]; 2], bound: u16) -> u16 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[purpose]).update(parts[0]).update(parts[1]);
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        (u64::from_le_bytes(first) % u64::from(bound.max(1))) as u16
    }
}

impl Book {
    pub(super) fn new(secret: [u8; 32], ours: Group, fixed_places: bool) -> Self {
        Self {
            secret: Secret(secret),
            ours,
            fixed_places,
            entries: BTreeMap::new(),
            places: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            proven_prefixes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, key: NodeKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeKey, &Entry)> {
        self.entries.iter()
    }

    fn new_place(&self, address: NeighbourAddress, origin: Origin, rng: &mut impl Rng) -> Place {
        if !self.fixed_places {
            return random_place(false, NEW_BUCKETS, rng);
        }
        let (group, origin, host) = (address.group().bytes(), origin.bytes(), address.host());
        let one_of = self.secret.number(0, [&origin, &group], NEW_BUCKETS_PER_ORIGIN);
        let bucket = self.secret.number(1, [&origin, &one_of.to_le_bytes()], NEW_BUCKETS);
        let slot = self.secret.number(2, [&bucket.to_le_bytes(), &host], u16::from(BUCKET_SIZE)) as u8;
        Place { tried: false, bucket, slot }
    }

    fn tried_place(&self, address: NeighbourAddress, rng: &mut impl Rng) -> Place {
        if !self.fixed_places {
            return random_place(true, TRIED_BUCKETS, rng);
        }
        let (group, host) = (address.group().bytes(), address.host());
        let one_of = self.secret.number(3, [&host, &[]], TRIED_BUCKETS_PER_PREFIX);
        let bucket = self.secret.number(4, [&group, &one_of.to_le_bytes()], TRIED_BUCKETS);
        let slot = self.secret.number(5, [&bucket.to_le_bytes(), &host], u16::from(BUCKET_SIZE)) as u8;
        Place { tried: true, bucket, slot }
    }

    /// Somebody told of this address. What is known already stays as it is: nobody can move another's entry.
    pub(super) fn hear(
        &mut self,
        key: NodeKey,
        address: NeighbourAddress,
        origin: Origin,
        now_s: u64,
        rng: &mut impl Rng,
    ) {
        if let Some(entry) = self.entries.get_mut(&key) {
            if entry.address == address {
                entry.heard_s = entry.heard_s.max(now_s);
            }
            return;
        }
        let place = self.new_place(address, origin, rng);
        let entry = self.entry(&SavedEntry { address, origin, heard_s: now_s, proven_s: None }, place);
        self.take_place(key, entry, now_s);
    }

    /// Puts an entry into its place, if that is free or whoever is there gives way. Whether it did.
    fn take_place(&mut self, key: NodeKey, entry: Entry, now_s: u64) -> bool {
        if let Some(there) = self.places.get(&entry.place).copied() {
            let stays = |there: &Entry| self.fixed_places && !there.gives_way(now_s);
            if self.entries.get(&there).is_some_and(stays) {
                return false;
            }
            self.remove(there);
        }
        self.put(key, entry);
        true
    }

    fn entry(&self, saved: &SavedEntry, place: Place) -> Entry {
        let SavedEntry { address, origin, heard_s, proven_s } = *saved;
        let affinity = affinity(self.ours, address.group());
        let (retry, refusals) = (Retry::default(), Retry::default());
        Entry { address, origin, heard_s, proven_s, retry, refusals, affinity, place }
    }

    fn put(&mut self, key: NodeKey, entry: Entry) {
        let [all, proven] = self.prefixes.entry(entry.address.group()).or_default();
        *all += 1;
        if entry.proven_s.is_some() {
            *proven += 1;
            self.proven_prefixes += usize::from(*proven == 1);
        }
        self.places.insert(entry.place, key);
        self.entries.insert(key, entry);
    }

    /// Prefixes that are known: all, and those of which somebody has proven a key.
    pub(super) fn prefixes(&self) -> [usize; 2] {
        [self.prefixes.len(), self.proven_prefixes]
    }

    /// Whoever we dialled at this address has proven this key.
    pub(super) fn prove(
        &mut self,
        key: NodeKey,
        address: NeighbourAddress,
        origin: Origin,
        now_s: u64,
        rng: &mut impl Rng,
    ) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.place.tried
            && entry.address == address
        {
            entry.proven_s = Some(now_s);
            entry.retry.reset();
            return;
        }
        let earlier = self.remove(key);
        let (origin, heard_s) = earlier.map_or((origin, now_s), |entry| (entry.origin, entry.heard_s));
        let refusals = earlier.map(|entry| entry.refusals).unwrap_or_default();
        let proven_s = Some(now_s);
        let place = self.tried_place(address, rng);
        let displaced = self.places.get(&place).copied().and_then(|there| Some((there, *self.entries.get(&there)?)));
        let entry = Entry { refusals, ..self.entry(&SavedEntry { address, origin, heard_s, proven_s }, place) };
        if !self.take_place(key, entry, now_s) {
            let place = self.new_place(address, origin, rng);
            self.take_place(key, Entry { place, ..entry }, now_s);
        } else if let Some((there, old)) = displaced {
            // Whoever had the place is remembered as one of those to try again.
            let place = self.new_place(old.address, old.origin, rng);
            if !self.places.contains_key(&place) {
                self.take_place(there, Entry { place, ..old }, now_s);
            }
        }
    }

    /// An attempt has come to nothing.
    pub(super) fn failed(&mut self, key: NodeKey, now: Instant, now_s: u64, chance: u32) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.retry.failed([FIRST_STRANGER_BACKOFF, LONGEST_STRANGER_BACKOFF], now, chance);
        let hopeless = match entry.proven_s {
            None => entry.retry.failures() >= NEW_ATTEMPTS,
            Some(proven_s) => entry.retry.failures() >= TRIED_ATTEMPTS && now_s.saturating_sub(proven_s) > FRESH_S,
        };
        if hopeless {
            self.remove(key);
        }
    }

    /// It answered, and there was no place for us, or for it here.
    pub(super) fn refused(&mut self, key: NodeKey, now: Instant, chance: u32) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.refusals.failed([FIRST_STRANGER_BACKOFF, LONGEST_STRANGER_BACKOFF], now, chance);
        }
    }

    pub(super) fn remove(&mut self, key: NodeKey) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.places.remove(&entry.place);
        let group = entry.address.group();
        if let Some([all, proven]) = self.prefixes.get_mut(&group) {
            *all -= 1;
            if entry.proven_s.is_some() {
                *proven -= 1;
                self.proven_prefixes -= usize::from(*proven == 0);
            }
            if *all == 0 {
                self.prefixes.remove(&group);
            }
        }
        Some(entry)
    }

    /// Drops what nobody has reached or told of anew for long.
    pub(super) fn sweep(&mut self, now_s: u64) {
        let stale = |entry: &Entry| now_s.saturating_sub(entry.proven_s.unwrap_or(entry.heard_s)) > STALE_S;
        let keys: Vec<NodeKey> = self.entries.iter().filter(|(_, entry)| stale(entry)).map(|(key, _)| *key).collect();
        for key in keys {
            self.remove(key);
        }
    }

    /// All entries, to be saved: those in *tried* first, so that they find their places again.
    pub(super) fn saved(&self) -> Vec<(NodeKey, SavedEntry)> {
        let of = |tried: bool| self.entries.iter().filter(move |(_, entry)| entry.place.tried == tried);
        let saved = |(key, entry): (&NodeKey, &Entry)| {
            let Entry { address, origin, heard_s, proven_s, .. } = *entry;
            (*key, SavedEntry { address, origin, heard_s, proven_s })
        };
        of(true).chain(of(false)).map(saved).collect()
    }

    /// Puts back what was saved. Two that want one place: the first has it.
    pub(super) fn restore(&mut self, key: NodeKey, saved: &SavedEntry, rng: &mut impl Rng) {
        let SavedEntry { address, origin, proven_s, .. } = *saved;
        if self.entries.contains_key(&key) {
            return;
        }
        let tried = proven_s.map(|_| self.tried_place(address, rng));
        let place = match tried.filter(|place| !self.places.contains_key(place)) {
            Some(place) => place,
            None => self.new_place(address, origin, rng),
        };
        if !self.places.contains_key(&place) {
            self.put(key, self.entry(saved, place));
        }
    }

    /// One of those that are `eligible`: as likely from either table; within it each prefix as likely as any other. So an adversary's part is
    /// that of its prefixes, however many addresses it mints.
    pub(super) fn pick(
        &self,
        by_prefix: bool,
        rng: &mut impl Rng,
        eligible: impl Fn(NodeKey, &Entry) -> bool,
    ) -> Option<NodeKey> {
        let mut tables: [Vec<(Group, NodeKey)>; 2] = [Vec::new(), Vec::new()];
        for (key, entry) in &self.entries {
            if eligible(*key, entry) {
                tables[usize::from(entry.proven_s.is_some())].push((entry.address.group(), *key));
            }
        }
        let [new, tried] = tables;
        let mut table = match (new.is_empty(), tried.is_empty()) {
            (true, true) => return None,
            (true, false) => tried,
            (false, true) => new,
            (false, false) if rng.next_u32() & 1 == 0 => new,
            (false, false) => tried,
        };
        if by_prefix {
            table.sort_unstable();
            keep_one(&mut table, rng, |(group, _)| *group);
        }
        Some(table.get(below(table.len(), rng))?.1)
    }
}

#[cfg(feature = "fuzzing")]
impl Book {
    /// Each entry has its place and each place its entry.
    pub(super) fn check(&self) {
        assert_eq!(self.entries.len(), self.places.len());
        let mut prefixes = BTreeMap::<_, [u16; 2]>::new();
        for entry in self.entries.values() {
            let [all, proven] = prefixes.entry(entry.address.group()).or_default();
            *all += 1;
            *proven += u16::from(entry.proven_s.is_some());
        }
        assert_eq!(self.prefixes, prefixes, "prefixes are miscounted");
        assert_eq!(self.proven_prefixes, prefixes.values().filter(|[_, proven]| *proven > 0).count());
        for (key, entry) in &self.entries {
            assert_eq!(self.places.get(&entry.place), Some(key), "an entry is not in its place");
            assert!(entry.place.slot < BUCKET_SIZE);
            assert!(entry.place.bucket < if entry.place.tried { TRIED_BUCKETS } else { NEW_BUCKETS });
            assert!(entry.address.socket().is_some());
        }
    }
}

/// What is saved of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SavedEntry {
    pub(super) address: NeighbourAddress,
    pub(super) origin: Origin,
    pub(super) heard_s: u64,
    pub(super) proven_s: Option<u64>,
}

fn random_place(tried: bool, buckets: u16, rng: &mut impl Rng) -> Place {
    let draw = rng.next_u32();
    Place { tried, bucket: (draw >> 16) as u16 % buckets, slot: draw as u8 % BUCKET_SIZE }
}

/// A number below `bound`, or zero. The bias is below 2^-50 for tables of this size.
pub(super) fn below(bound: usize, rng: &mut impl Rng) -> usize {
    (rng.next_u64() % (bound.max(1) as u64)) as usize
}

/// Of a sorted table keeps the rows of one value of `part`, each value as likely as any other.
fn keep_one<T, P: PartialEq>(table: &mut Vec<T>, rng: &mut impl Rng, part: impl Fn(&T) -> P) {
    let mut starts: Vec<usize> = Vec::new();
    for (at, row) in table.iter().enumerate() {
        if at == 0 || part(&table[at - 1]) != part(row) {
            starts.push(at);
        }
    }
    let chosen = below(starts.len(), rng);
    let end = starts.get(chosen + 1).copied().unwrap_or(table.len());
    table.truncate(end);
    table.drain(..starts.get(chosen).copied().unwrap_or(0));
}

#[cfg(test)]
mod tests;
