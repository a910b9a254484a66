//! Where rows live: packed, found by a keyed hash of their address, and in lists that say which gives way first.
//!
//! A simulation holds tens of millions of rows, so they are small: one array of them, an index of twelve bytes a row, and lists that run
//! through the rows themselves.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, BuildHasherDefault},
};

use super::super::{Hop, limits::MAX_ROW_ENTRIES};
use crate::{
    Address, Instant,
    hash::{Keyed, Through},
    time::Tenths,
};

/// A hop's number in a table: what entries hold of it.
pub(super) type Slot = u16;

/// A row's place in the array.
pub(super) type Place = u32;

const NOWHERE: Place = Place::MAX;

/// How firmly a row stands: in this order rows give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Its address was heard of for the first time a short while ago.
    Probation,
    /// Its address was heard of again later.
    Known,
    /// A trail of its address runs through this node.
    Live,
}

const STANDINGS: [Standing; 3] = [Standing::Probation, Standing::Known, Standing::Live];

/// One hop's share in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) hop: Slot,
    pub(super) strength: u16,
    /// When it was last weakened for silence.
    pub(super) silent: Seconds,
    /// When a trail through it last proved bad.
    pub(super) failed: Seconds,
}

/// A moment in seconds, for what is asked of it within hours: its numbers start again after eighteen. Zero is never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seconds(u16);

impl Seconds {
    pub(super) const NEVER: Self = Self(0);

    pub(super) fn of(at: Instant) -> Self {
        Self(1 + (at.since_origin().as_secs() % 0xffff) as u16)
    }

    /// Whether it lies less than `span` in the past of `now`.
    pub(super) fn within(self, span: core::time::Duration, now: Instant) -> bool {
        let passed = (u32::from(Self::of(now).0) + 0xffff - u32::from(self.0)) % 0xffff;
        self.0 != 0 && u64::from(passed) < span.as_secs()
    }
}

/// What is known of one address.
pub(super) struct Row {
    pub(super) address: Address,
    /// The first `held` of them.
    entries: [Entry; MAX_ROW_ENTRIES],
    held: u8,
    pub(super) standing: Standing,
    /// Whom it counts against.
    pub(super) charged: Slot,
    /// Trails through this node that end at the address.
    pub(super) live: u32,
    /// When the address was last heard of; on probation, first.
    pub(super) touched: Tenths,
    before: Place,
    after: Place,
}

impl Row {
    pub(super) fn new(address: Address, charged: Slot, touched: Tenths) -> Self {
        Self {
            address,
            entries: [Entry::default(); MAX_ROW_ENTRIES],
            held: 0,
            standing: Standing::Probation,
            charged,
            live: 0,
            touched,
            before: NOWHERE,
            after: NOWHERE,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries[..usize::from(self.held)]
    }

    pub(super) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries[..usize::from(self.held)]
    }

    /// Adds an entry; where there is no room it takes the place of the weakest, if that is weaker.
    pub(super) fn push(&mut self, entry: Entry) {
        if usize::from(self.held) < MAX_ROW_ENTRIES {
            self.entries[usize::from(self.held)] = entry;
            self.held += 1;
        } else if let Some(weakest) = self.entries.iter_mut().min_by_key(|entry| entry.strength)
            && weakest.strength < entry.strength
        {
            *weakest = entry;
        }
    }

    /// Takes out the entry of a hop.
    pub(super) fn forget(&mut self, hop: Slot) {
        if let Some(at) = self.entries().iter().position(|entry| entry.hop == hop) {
            self.entries.copy_within(at + 1.., at);
            self.held -= 1;
        }
    }
}

/// The first and the last of the rows of one hop and standing, the longest untouched first.
#[derive(Clone, Copy)]
struct List {
    first: Place,
    last: Place,
}

const EMPTY: List = List { first: NOWHERE, last: NOWHERE };

/// A hop that is named in rows or charged for them.
struct Holder {
    hop: Hop,
    rows: usize,
    lists: [List; 3],
}

/// The rows of a node.
pub(super) struct Table {
    rows: Vec<Row>,
    index: HashMap<u64, Place, BuildHasherDefault<Through>>,
    holders: Vec<Option<Holder>>,
    slots: BTreeMap<Hop, Slot>,
    keyed: Keyed,
}

impl Table {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { rows: Vec::new(), index: HashMap::default(), holders: Vec::new(), slots: BTreeMap::new(), keyed }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn find(&self, address: Address) -> Option<Place> {
        let place = *self.index.get(&self.keyed.hash_one(address))?;
        (self.row(place).address == address).then_some(place)
    }

    pub(super) fn row(&self, place: Place) -> &Row {
        &self.rows[place as usize]
    }

    pub(super) fn row_mut(&mut self, place: Place) -> &mut Row {
        &mut self.rows[place as usize]
    }

    pub(super) fn places(&self) -> core::ops::Range<Place> {
        0..self.rows.len() as Place
    }

    /// A hop's number, if it has one.
    pub(super) fn slot(&self, hop: Hop) -> Option<Slot> {
        self.slots.get(&hop).copied()
    }

    /// A hop's number. Hops are at most the links and ports that there are, which is far less than there are numbers.
    pub(super) fn slot_for(&mut self, hop: Hop) -> Slot {
        if let Some(slot) = self.slot(hop) {
            return slot;
        }
        let free = self.holders.iter().position(Option::is_none).unwrap_or(self.holders.len());
        let holder = Some(Holder { hop, rows: 0, lists: [EMPTY; 3] });
        match self.holders.get_mut(free) {
            Some(place) => *place = holder,
            None => self.holders.push(holder),
        }
        self.slots.insert(hop, free as Slot);
        free as Slot
    }

    /// Forgets a hop that no row names any more.
    pub(super) fn free(&mut self, slot: Slot) {
        if let Some(holder) = self.holders.get_mut(usize::from(slot)).and_then(Option::take) {
            self.slots.remove(&holder.hop);
        }
    }

    pub(super) fn hop(&self, slot: Slot) -> Option<Hop> {
        self.holder(slot).map(|holder| holder.hop)
    }

    /// How many rows a hop is charged for.
    pub(super) fn rows_of(&self, slot: Slot) -> usize {
        self.holder(slot).map_or(0, |holder| holder.rows)
    }

    /// Each hop that is charged for rows, and for how many.
    pub(super) fn charges(&self) -> impl Iterator<Item = (Slot, usize)> {
        let holders = self.holders.iter().enumerate();
        holders.filter_map(|(slot, holder)| Some((slot as Slot, holder.as_ref()?.rows))).filter(|(_, rows)| *rows > 0)
    }

    /// The row of a hop and standing that was touched the longest time ago.
    pub(super) fn first(&self, slot: Slot, standing: Standing) -> Option<Place> {
        let first = self.holder(slot)?.lists[standing as usize].first;
        (first != NOWHERE).then_some(first)
    }

    /// The row of a hop that gives way first.
    pub(super) fn gives_way(&self, slot: Slot) -> Option<Place> {
        STANDINGS.iter().find_map(|standing| self.first(slot, *standing))
    }

    /// Puts in a row whose address is not there.
    pub(super) fn insert(&mut self, row: Row) {
        let hash = self.keyed.hash_one(row.address);
        if let Some(other) = self.index.get(&hash).copied() {
            // Another address with the same 64 bits of a keyed hash: it does not happen, and if it does one of the two is forgotten.
            self.remove(other);
        }
        if self.rows.len() == self.rows.capacity() {
            // Doubling would leave half of it unused.
            self.rows.reserve_exact(16 + self.rows.len() / 8);
        }
        let place = self.rows.len() as Place;
        self.index.insert(hash, place);
        self.rows.push(row);
        self.link(place);
    }

    /// Takes out a row. The last one takes its place.
    pub(super) fn remove(&mut self, place: Place) {
        self.unlink(place);
        let hash = self.keyed.hash_one(self.row(place).address);
        self.index.remove(&hash);
        self.rows.swap_remove(place as usize);
        if (place as usize) < self.rows.len() {
            let (before, after) = (self.row(place).before, self.row(place).after);
            let hash = self.keyed.hash_one(self.row(place).address);
            self.index.insert(hash, place);
            self.set_after(self.row(place).charged, self.row(place).standing, before, place);
            self.set_before(self.row(place).charged, self.row(place).standing, after, place);
        }
    }

    /// Changes what a row's place in the lists depends on, and puts it at the end of its list.
    pub(super) fn relist(&mut self, place: Place, charged: Slot, standing: Standing, touched: Tenths) {
        self.unlink(place);
        let row = self.row_mut(place);
        (row.charged, row.standing, row.touched) = (charged, standing, touched);
        self.link(place);
    }

    fn holder(&self, slot: Slot) -> Option<&Holder> {
        self.holders.get(usize::from(slot)).and_then(Option::as_ref)
    }

    fn holder_mut(&mut self, slot: Slot) -> Option<&mut Holder> {
        self.holders.get_mut(usize::from(slot)).and_then(Option::as_mut)
    }

    fn link(&mut self, place: Place) {
        let (charged, standing) = (self.row(place).charged, self.row(place).standing);
        let Some(holder) = self.holder_mut(charged) else {
            return;
        };
        holder.rows += 1;
        let last = holder.lists[standing as usize].last;
        let row = self.row_mut(place);
        (row.before, row.after) = (last, NOWHERE);
        self.set_after(charged, standing, last, place);
        self.set_before(charged, standing, NOWHERE, place);
    }

    fn unlink(&mut self, place: Place) {
        let row = self.row(place);
        let (charged, standing, before, after) = (row.charged, row.standing, row.before, row.after);
        if let Some(holder) = self.holder_mut(charged) {
            holder.rows -= 1;
        }
        self.set_after(charged, standing, before, after);
        self.set_before(charged, standing, after, before);
    }

    /// What comes after `place` in a list, whose first it is if `place` is nowhere.
    fn set_after(&mut self, charged: Slot, standing: Standing, place: Place, after: Place) {
        if place != NOWHERE {
            self.row_mut(place).after = after;
        } else if let Some(holder) = self.holder_mut(charged) {
            holder.lists[standing as usize].first = after;
        }
    }

    /// What comes before `place` in a list, whose last it is if `place` is nowhere.
    fn set_before(&mut self, charged: Slot, standing: Standing, place: Place, before: Place) {
        if place != NOWHERE {
            self.row_mut(place).before = before;
        } else if let Some(holder) = self.holder_mut(charged) {
            holder.lists[standing as usize].last = before;
        }
    }
}

#[cfg(test)]
impl Table {
    /// What it takes in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        // The standard library's table has eight places for seven, and a byte of control for each.
        let index = self.index.capacity() * 8 / 7 * (size_of::<(u64, Place)>() + 1);
        self.rows.capacity() * size_of::<Row>() + index + self.holders.capacity() * size_of::<Option<Holder>>()
    }
}

#[cfg(any(feature = "fuzzing", feature = "simulation", test))]
impl Table {
    /// Panics if the lists and the rows differ.
    pub(super) fn assert_consistent(&self) {
        assert_eq!(self.index.len(), self.rows.len());
        let mut listed = 0;
        for (slot, holder) in self.holders.iter().enumerate() {
            let Some(holder) = holder else { continue };
            assert_eq!(self.slots.get(&holder.hop), Some(&(slot as Slot)));
            let mut held = 0;
            for standing in STANDINGS {
                let (mut before, mut at) = (NOWHERE, holder.lists[standing as usize].first);
                while at != NOWHERE {
                    let row = self.row(at);
                    assert_eq!((row.before, usize::from(row.charged), row.standing), (before, slot, standing));
                    assert!(before == NOWHERE || self.row(before).touched <= row.touched, "the oldest first");
                    assert_eq!(self.find(row.address), Some(at));
                    held += 1;
                    (before, at) = (at, row.after);
                }
                assert_eq!(holder.lists[standing as usize].last, before);
            }
            assert_eq!(held, holder.rows);
            listed += held;
        }
        assert_eq!(listed, self.rows.len(), "every row is in a list");
    }
}
