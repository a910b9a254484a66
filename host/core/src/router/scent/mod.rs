//! Scent: through which hops an address smells, and how strongly.
//!
//! Only verified messages lay scent, each once. Strengths are integers, so that a seed replays a run on every machine.
//!
//! **Who gives way.** Each row is charged to the hop that brought its address. Where the table is full, a hop that holds its fair share or
//! more loses one of its own rows for each that it brings; a hop that holds less takes one from whoever holds most. So whoever mints
//! addresses evicts its own, and nobody who holds no more than the fair share loses anything to others. Among a hop's rows those on
//! probation give way first, rows with live trails last.
//!
//! **What counts as a failure.** Silence after a Seek, which anybody can cause for an address that does not answer, halves an entry once in a
//! while. What trails show ([`Scent::fail`]) nobody can forge, since both ends sign their counts: it turns all choices to other hops for a time.

mod table;

use super::{
    Hop,
    limits::{FAILURE_MEMORY, MAX_ROWS, PROBATION, ROW_IDLE, SILENCE_INTERVAL},
};
use crate::{Address, Instant, hash::Keyed, time::Tenths};
use table::{Entry, Place, Row, Seconds, Slot, Standing, Table};

/// The scent that a message's first arrival lays.
pub(crate) const UNIT: u32 = 1 << 10;

/// The weakest an entry gets: weakened for ever it is still chosen where it is the only one.
const WEAKEST: u32 = UNIT >> 6;

/// The strongest an entry gets: else Keeps of a long trail would outweigh any news.
const STRONGEST: u32 = UNIT << 4;

/// All rows of a node.
pub(crate) struct Scent {
    table: Table,
    /// Whether a hop that brings much gives way itself.
    shared: bool,
}

impl Row {
    fn entry(&mut self, hop: Slot) -> Option<&mut Entry> {
        self.entries_mut().iter_mut().find(|entry| entry.hop == hop)
    }

    fn add(&mut self, hop: Slot, amount: u32) {
        match self.entry(hop) {
            Some(entry) => {
                entry.strength = (u32::from(entry.strength) + amount).min(STRONGEST) as u16;
                entry.silent = Seconds::NEVER;
            }
            None => {
                let strength = amount.clamp(WEAKEST, STRONGEST) as u16;
                self.push(Entry { hop, strength, ..Entry::default() });
            }
        }
    }
}

impl Entry {
    fn halve(&mut self) {
        self.strength = (self.strength / 2).max(WEAKEST as u16);
    }

    fn is_bad(&self, now: Instant) -> bool {
        self.failed.within(FAILURE_MEMORY, now)
    }
}

impl Scent {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self { table: Table::new(keyed), shared: true }
    }

    /// Whether the table is shared among hops; otherwise the row that was touched the longest time ago gives way, whose it may be. For experiments.
    #[cfg(feature = "simulation")]
    pub(crate) fn share(&mut self, shared: bool) {
        self.shared = shared;
    }

    /// A verified message by `address` arrived through `hop`, as the first copy (rank 0) or a later one.
    pub(crate) fn lay(&mut self, address: Address, hop: Hop, rank: u8, now: Instant) {
        let slot = self.table.slot_for(hop);
        let amount = UNIT >> rank.min(12);
        let Some(place) = self.table.find(address) else {
            if self.table.len() >= MAX_ROWS {
                self.make_room(slot);
            }
            let mut row = Row::new(address, slot, Tenths::of(now));
            row.add(slot, amount);
            return self.table.insert(row);
        };
        let row = self.table.row_mut(place);
        if rank == 0 {
            row.entries_mut().iter_mut().for_each(Entry::halve);
        }
        row.add(slot, amount);
        let (charged, standing, touched) = (row.charged, row.standing, row.touched);
        if rank > 0 || standing == Standing::Probation && Tenths::of(now).since(touched) < PROBATION {
            return;
        }
        // Whoever brings an address first pays for it, but for one that has fewer rows to pay for.
        let cheaper = self.table.rows_of(slot) < self.table.rows_of(charged);
        let standing = standing.max(Standing::Known);
        self.table.relist(place, if cheaper { slot } else { charged }, standing, Tenths::of(now));
    }

    /// What a Keep reports: `amount` more towards `hop`. Makes no row where there is none. `heals`: most of what either end sent came to the
    /// other, so the hop is bad no more.
    pub(crate) fn strengthen(&mut self, address: Address, hop: Hop, amount: u32, heals: bool, now: Instant) {
        let slot = self.table.slot_for(hop);
        if let Some(place) = self.table.find(address) {
            let row = self.table.row_mut(place);
            row.add(slot, amount);
            if heals && let Some(entry) = row.entry(slot) {
                entry.failed = Seconds::NEVER;
            }
            let (charged, standing) = (row.charged, row.standing.max(Standing::Known));
            self.table.relist(place, charged, standing, Tenths::of(now));
        }
    }

    /// A trail of `address` through `hop` broke.
    pub(crate) fn weaken(&mut self, address: Address, hop: Hop) {
        if let Some(entry) = self.entry(address, hop) {
            entry.halve();
        }
    }

    /// A Seek for `address` was sent through `hop` and nothing came back.
    pub(crate) fn weaken_for_silence(&mut self, address: Address, hop: Hop, now: Instant) {
        if let Some(entry) = self.entry(address, hop)
            && !entry.silent.within(SILENCE_INTERVAL, now)
        {
            entry.halve();
            entry.silent = Seconds::of(now);
        }
    }

    /// A trail of `address` through `hop` proved bad: for a while other hops are chosen where there are any.
    pub(crate) fn fail(&mut self, address: Address, hop: Hop, now: Instant) {
        if let Some(entry) = self.entry(address, hop) {
            entry.halve();
            entry.failed = Seconds::of(now);
        }
    }

    /// Whether a trail of `address` through `hop` proved bad lately.
    pub(crate) fn is_bad(&self, address: Address, hop: Hop, now: Instant) -> bool {
        let (Some(slot), Some(place)) = (self.table.slot(hop), self.table.find(address)) else {
            return false;
        };
        self.table.row(place).entries().iter().any(|entry| entry.hop == slot && entry.is_bad(now))
    }

    /// A trail of `address` begins, or ends: rows with live trails give way last.
    pub(crate) fn count_live(&mut self, address: Address, begins: bool, now: Instant) {
        if let Some(place) = self.table.find(address) {
            let row = self.table.row_mut(place);
            row.live = if begins { row.live.saturating_add(1) } else { row.live.saturating_sub(1) };
            let standing = if row.live > 0 { Standing::Live } else { Standing::Known };
            let charged = row.charged;
            self.table.relist(place, charged, standing, Tenths::of(now));
        }
    }

    /// A hop for something to `address`: by chance, with the weight of its scent squared (one time in eight, to explore, of the scent
    /// itself) and quartered by each level of load; one whose trails proved bad lately only where there is no other. `load` says `None` for a hop that cannot be used, such as the one that
    /// the message came from.
    pub(crate) fn choose(
        &self,
        address: Address,
        random: u64,
        now: Instant,
        load: impl Fn(Hop) -> Option<u8>,
    ) -> Option<Hop> {
        let row = self.table.row(self.table.find(address)?);
        let explores = random >> 61 == 0;
        let weigh = |entry: &Entry, bad: bool| {
            let level = load(self.table.hop(entry.hop)?)?;
            let strength = u64::from(entry.strength);
            let weight = strength * if explores { UNIT.into() } else { strength };
            (entry.is_bad(now) == bad).then(|| (weight >> (2 * level.min(3))).max(1))
        };
        let sum = |bad| row.entries().iter().filter_map(|entry| weigh(entry, bad)).sum::<u64>();
        let (bad, total) = [false, true].into_iter().map(|bad| (bad, sum(bad))).find(|(_, total)| *total > 0)?;
        let mut at = random % total;
        for entry in row.entries() {
            let Some(weight) = weigh(entry, bad) else {
                continue;
            };
            if at < weight {
                return self.table.hop(entry.hop);
            }
            at -= weight;
        }
        None
    }

    /// The hop that smells most of `address`, by the same weights: no chance, so that what is sent twice takes the same way twice, and whether it
    /// arrives does not tell how many chose for it.
    pub(crate) fn strongest(&self, address: Address, now: Instant, load: impl Fn(Hop) -> Option<u8>) -> Option<Hop> {
        let row = self.table.row(self.table.find(address)?);
        let weigh = |entry: &Entry| {
            let hop = self.table.hop(entry.hop)?;
            let strength = u64::from(entry.strength);
            Some((!entry.is_bad(now), (strength * strength) >> (2 * load(hop)?.min(3)), hop))
        };
        row.entries().iter().filter_map(weigh).max_by_key(|(good, weight, _)| (*good, *weight)).map(|(.., hop)| hop)
    }

    /// Whether [`Self::choose`] would find one.
    pub(crate) fn has(&self, address: Address, usable: impl Fn(Hop) -> bool) -> bool {
        let Some(place) = self.table.find(address) else {
            return false;
        };
        self.table.row(place).entries().iter().any(|entry| self.table.hop(entry.hop).is_some_and(&usable))
    }

    /// The strongest hop of an address whose trails are alive here, if lately none proved bad through it, and no Seek stayed without an answer.
    pub(crate) fn live_way(&self, address: Address, now: Instant, load: impl Fn(Hop) -> Option<u8>) -> Option<Hop> {
        let row = self.table.row(self.table.find(address)?);
        let hop = self.strongest(address, now, load).filter(|_| row.live > 0)?;
        let slot = self.table.slot(hop)?;
        let well = |entry: &Entry| !entry.is_bad(now) && !entry.silent.within(SILENCE_INTERVAL, now);
        row.entries().iter().any(|entry| entry.hop == slot && well(entry)).then_some(hop)
    }

    /// A hop is gone for good. Rows that it brought and that others know too are theirs from now on.
    pub(crate) fn forget_hop(&mut self, hop: Hop, now: Instant) {
        let Some(slot) = self.table.slot(hop) else {
            return;
        };
        let mut places = self.table.places();
        while let Some(place) = places.next_back() {
            // From the end, since the last row takes the place of one that is removed.
            let row = self.table.row_mut(place);
            row.forget(slot);
            let strongest = row.entries().iter().max_by_key(|entry| entry.strength).map(|entry| entry.hop);
            let (charged, standing) = (row.charged, row.standing);
            match strongest {
                None => self.table.remove(place),
                Some(heir) if charged == slot => self.table.relist(place, heir, standing, Tenths::of(now)),
                Some(_) => {}
            }
        }
        self.table.free(slot);
    }

    /// Forgets rows that nothing touched for long and no trail needs.
    pub(crate) fn expire(&mut self, now: Instant) {
        let slots: Vec<Slot> = self.table.charges().map(|(slot, _)| slot).collect();
        for slot in slots {
            for standing in [Standing::Probation, Standing::Known] {
                while let Some(place) = self.table.first(slot, standing)
                    && self.table.row(place).touched.plus(ROW_IDLE) <= now
                {
                    self.table.remove(place);
                }
            }
        }
    }

    /// When the next row without live trails expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let idle = [Standing::Probation, Standing::Known];
        let firsts = self.table.charges().flat_map(|(slot, _)| idle.map(|standing| self.table.first(slot, standing)));
        firsts.flatten().map(|place| self.table.row(place).touched.plus(ROW_IDLE)).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Drops one row: of the newcomer if it holds its fair share, else of the hop that holds most.
    fn make_room(&mut self, newcomer: Slot) {
        if !self.shared {
            let oldest = self.table.charges().filter_map(|(slot, _)| self.table.gives_way(slot));
            if let Some(place) = oldest.min_by_key(|place| self.table.row(*place).touched) {
                self.table.remove(place);
            }
            return;
        }
        let hops = self.table.charges().count().max(1);
        let greedy = self.table.rows_of(newcomer) >= MAX_ROWS.div_ceil(hops);
        let fullest = self.table.charges().max_by_key(|(slot, rows)| (*rows, *slot == newcomer)).map(|(slot, _)| slot);
        let loser = if greedy { Some(newcomer) } else { fullest };
        if let Some(place) = loser.and_then(|slot| self.table.gives_way(slot)) {
            self.table.remove(place);
        }
    }

    fn entry(&mut self, address: Address, hop: Hop) -> Option<&mut Entry> {
        let (slot, place): (Slot, Place) = (self.table.slot(hop)?, self.table.find(address)?);
        self.table.row_mut(place).entry(slot)
    }

    /// Panics if the rows and their lists differ, or a row names a hop that is gone.
    #[cfg(any(feature = "fuzzing", feature = "simulation"))]
    pub(crate) fn assert_consistent(&self, alive: &dyn Fn(Hop) -> bool) {
        self.table.assert_consistent();
        for place in self.table.places() {
            let row = self.table.row(place);
            assert!(!row.entries().is_empty() && (row.standing == Standing::Live) == (row.live > 0));
            for entry in row.entries() {
                assert!(self.table.hop(entry.hop).is_some_and(alive));
                assert!((WEAKEST..=STRONGEST).contains(&u32::from(entry.strength)));
            }
        }
    }

    /// The strength of `address` through `hop`, for tests.
    #[cfg(test)]
    pub(crate) fn strength(&self, address: Address, hop: Hop) -> Option<u32> {
        let (slot, row) = (self.table.slot(hop)?, self.table.row(self.table.find(address)?));
        row.entries().iter().find(|entry| entry.hop == slot).map(|entry| u32::from(entry.strength))
    }
}

#[cfg(test)]
mod tests;
