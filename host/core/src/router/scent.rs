//! Scent: through which hops an address smells, and how strongly.
//!
//! Only verified messages lay scent, each once. Strengths are integers, so that a seed replays a run on every machine.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Hop,
    limits::{MAX_ROW_ENTRIES, MAX_ROWS, ROW_IDLE, SILENCE_INTERVAL},
};
use crate::{Address, Instant};

/// The scent that a message's first arrival lays.
pub(crate) const UNIT: u32 = 1 << 12;

/// The weakest an entry gets: weakened for ever it is still chosen where it is the only one.
const WEAKEST: u32 = UNIT >> 6;

/// The strongest an entry gets: else Keeps of a long trail would outweigh any news.
const STRONGEST: u32 = UNIT << 4;

/// One hop's share in a row.
struct Entry {
    hop: Hop,
    strength: u32,
    /// When it was last weakened for silence.
    silent: Option<Instant>,
}

/// What is known of one address.
struct Row {
    /// Few; none is at [`MAX_ROW_ENTRIES`] twice.
    entries: Vec<Entry>,
    /// The strongest entry's hop: whoever brings an address pays for its row.
    charged: Hop,
    /// Trails through this node that end at the address.
    live: u32,
    touched: Instant,
}

impl Row {
    fn strongest(&self) -> Option<Hop> {
        self.entries.iter().max_by_key(|entry| entry.strength).map(|entry| entry.hop)
    }

    fn entry(&mut self, hop: Hop) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.hop == hop)
    }

    fn add(&mut self, hop: Hop, amount: u32) {
        match self.entry(hop) {
            Some(entry) => {
                entry.strength = (entry.strength + amount).min(STRONGEST);
                entry.silent = None;
            }
            None => {
                if self.entries.len() >= MAX_ROW_ENTRIES {
                    let weakest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.strength);
                    if let Some((weakest, _)) = weakest {
                        self.entries.swap_remove(weakest);
                    }
                }
                self.entries.push(Entry { hop, strength: amount.max(WEAKEST), silent: None });
            }
        }
    }
}

/// The order in which a hop's rows give way: those without live trails first, the longest untouched first.
type Order = BTreeSet<(bool, Instant, Address)>;

/// All rows of a node.
#[derive(Default)]
pub(crate) struct Scent {
    rows: BTreeMap<Address, Row>,
    order: BTreeMap<Hop, Order>,
}

impl Scent {
    /// A verified message by `address` arrived through `hop`, as the first copy (rank 0) or a later one.
    pub(crate) fn lay(&mut self, address: Address, hop: Hop, rank: u8, now: Instant) {
        let mut row = self.take(address).unwrap_or_else(|| Row {
            entries: Vec::with_capacity(2),
            charged: hop,
            live: 0,
            touched: now,
        });
        if rank == 0 {
            for entry in &mut row.entries {
                entry.strength = (entry.strength / 2).max(WEAKEST);
            }
        }
        row.add(hop, UNIT >> rank.min(12));
        row.touched = now;
        self.put(address, row);
    }

    /// What a Keep reports: `amount` more towards `hop`. Makes no row where there is none.
    pub(crate) fn strengthen(&mut self, address: Address, hop: Hop, amount: u32, now: Instant) {
        if let Some(mut row) = self.take(address) {
            row.add(hop, amount);
            row.touched = now;
            self.put(address, row);
        }
    }

    /// A trail of `address` through `hop` broke.
    pub(crate) fn weaken(&mut self, address: Address, hop: Hop) {
        if let Some(mut row) = self.take(address) {
            if let Some(entry) = row.entry(hop) {
                entry.strength = (entry.strength / 2).max(WEAKEST);
            }
            self.put(address, row);
        }
    }

    /// A Seek for `address` was sent through `hop` and nothing came back.
    pub(crate) fn weaken_for_silence(&mut self, address: Address, hop: Hop, now: Instant) {
        if let Some(mut row) = self.take(address) {
            if let Some(entry) = row.entry(hop)
                && entry.silent.is_none_or(|at| now.saturating_since(at) >= SILENCE_INTERVAL)
            {
                entry.strength = (entry.strength / 2).max(WEAKEST);
                entry.silent = Some(now);
            }
            self.put(address, row);
        }
    }

    /// A trail of `address` begins, or ends: rows with live trails give way last.
    pub(crate) fn count_live(&mut self, address: Address, begins: bool, now: Instant) {
        if let Some(mut row) = self.take(address) {
            row.live = if begins { row.live.saturating_add(1) } else { row.live.saturating_sub(1) };
            row.touched = now;
            self.put(address, row);
        }
    }

    /// A hop for something to `address`: by chance, with the weight of its scent squared and quartered by each level of load.
    /// `load` says `None` for a hop that cannot be used, such as the one that the message came from.
    pub(crate) fn choose(&self, address: Address, random: u64, load: impl Fn(Hop) -> Option<u8>) -> Option<Hop> {
        let row = self.rows.get(&address)?;
        let weight = |entry: &Entry| {
            let strength = u64::from(entry.strength);
            load(entry.hop).map(|level| ((strength * strength) >> (2 * level.min(3))).max(1))
        };
        let total: u64 = row.entries.iter().filter_map(weight).sum();
        let mut at = random.checked_rem(total)?;
        for entry in &row.entries {
            let Some(weight) = weight(entry) else {
                continue;
            };
            if at < weight {
                return Some(entry.hop);
            }
            at -= weight;
        }
        None
    }

    /// Whether [`Self::choose`] would find one.
    pub(crate) fn has(&self, address: Address, usable: impl Fn(Hop) -> bool) -> bool {
        self.rows.get(&address).is_some_and(|row| row.entries.iter().any(|entry| usable(entry.hop)))
    }

    /// A hop is gone for good.
    pub(crate) fn forget_hop(&mut self, hop: Hop) {
        let touched: Vec<Address> = self
            .rows
            .iter()
            .filter(|(_, row)| row.charged == hop || row.entries.iter().any(|entry| entry.hop == hop))
            .map(|(address, _)| *address)
            .collect();
        for address in touched {
            if let Some(mut row) = self.take(address) {
                row.entries.retain(|entry| entry.hop != hop);
                self.put(address, row);
            }
        }
    }

    /// Forgets rows that nothing touched for long and no trail needs.
    pub(crate) fn expire(&mut self, now: Instant) {
        let due = |order: &Order| order.first().is_some_and(|(live, at, _)| !live && *at + ROW_IDLE <= now);
        let hops: Vec<Hop> = self.order.iter().filter(|(_, order)| due(order)).map(|(hop, _)| *hop).collect();
        for hop in hops {
            while let Some(order) = self.order.get(&hop)
                && due(order)
                && let Some((_, _, address)) = order.first().copied()
            {
                self.take(address);
            }
        }
    }

    /// When the next row without live trails expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.order
            .values()
            .filter_map(|order| order.first())
            .filter(|(live, _, _)| !live)
            .map(|(_, at, _)| *at + ROW_IDLE)
            .min()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Panics if the rows and their order differ, or a row names a hop that is gone.
    #[cfg(any(feature = "fuzzing", feature = "simulation"))]
    pub(crate) fn assert_consistent(&self, alive: &dyn Fn(Hop) -> bool) {
        let ordered: usize = self.order.values().map(BTreeSet::len).sum();
        assert_eq!(ordered, self.rows.len());
        for (address, row) in &self.rows {
            let key = (row.live > 0, row.touched, *address);
            assert!(self.order.get(&row.charged).is_some_and(|order| order.contains(&key)));
            assert!(row.entries.len() <= MAX_ROW_ENTRIES && row.entries.iter().any(|entry| entry.hop == row.charged));
            assert!(row.entries.iter().all(|entry| alive(entry.hop) && entry.strength <= STRONGEST));
        }
    }

    /// The strength of `address` through `hop`, for tests.
    #[cfg(test)]
    pub(crate) fn strength(&self, address: Address, hop: Hop) -> Option<u32> {
        self.rows.get(&address)?.entries.iter().find(|entry| entry.hop == hop).map(|entry| entry.strength)
    }

    /// Takes a row out, of the order too.
    fn take(&mut self, address: Address) -> Option<Row> {
        let row = self.rows.remove(&address)?;
        if let Some(order) = self.order.get_mut(&row.charged) {
            order.remove(&(row.live > 0, row.touched, address));
            if order.is_empty() {
                self.order.remove(&row.charged);
            }
        }
        Some(row)
    }

    /// Puts a row in, charged to its strongest hop; a row without hops is gone. Where there is no room whoever has most rows gives one.
    fn put(&mut self, address: Address, mut row: Row) {
        let Some(strongest) = row.strongest() else {
            return;
        };
        row.charged = strongest;
        if self.rows.len() >= MAX_ROWS {
            self.make_room(strongest);
        }
        self.order.entry(strongest).or_default().insert((row.live > 0, row.touched, address));
        self.rows.insert(address, row);
    }

    /// Drops one row of the hop that holds most; of `newcomer` if it holds as many.
    fn make_room(&mut self, newcomer: Hop) {
        let fullest = self.order.iter().max_by_key(|(hop, order)| (order.len(), **hop == newcomer));
        if let Some((_, _, address)) = fullest.and_then(|(_, order)| order.first()).copied() {
            self.take(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::{LinkId, PortId};

    const A: Hop = Hop::Link(LinkId(1));
    const B: Hop = Hop::Link(LinkId(2));
    const PORT: Hop = Hop::Port(PortId(1));

    fn at(s: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(s))
    }

    fn address(number: u32) -> Address {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Address(bytes)
    }

    #[test]
    fn first_arrivals_evaporate_and_copies_add_less() {
        let mut scent = Scent::default();
        scent.lay(address(1), A, 0, at(0));
        scent.lay(address(1), B, 1, at(0));
        assert_eq!(scent.strength(address(1), A), Some(UNIT));
        assert_eq!(scent.strength(address(1), B), Some(UNIT / 2));
        scent.lay(address(1), B, 0, at(1));
        assert_eq!(scent.strength(address(1), A), Some(UNIT / 2));
        assert_eq!(scent.strength(address(1), B), Some(UNIT / 4 + UNIT));
    }

    #[test]
    fn chooses_by_the_square_of_scent_never_what_cannot_be_used_and_less_under_load() {
        let mut scent = Scent::default();
        scent.lay(address(1), B, 0, at(0));
        scent.lay(address(1), A, 0, at(0));
        let share = |load: &dyn Fn(Hop) -> Option<u8>| {
            let step = u64::MAX / 1_000_003;
            (0..10_000u64).filter(|n| scent.choose(address(1), n.wrapping_mul(step), load) == Some(A)).count()
        };
        let even = share(&|_| Some(0));
        assert!((7_700..8_300).contains(&even), "{even} of 10,000 for twice the scent, not four in five");
        let loaded = share(&|hop| Some(if hop == A { 1 } else { 0 }));
        assert!((4_700..5_300).contains(&loaded), "{loaded}");
        assert_eq!(share(&|hop| (hop == B).then_some(0)), 0);
        assert_eq!(scent.choose(address(1), 5, |_| None), None);
        assert_eq!(scent.choose(address(2), 5, |_| Some(0)), None);
    }

    #[test]
    fn weakening_never_erases_and_silence_counts_once_in_a_while() {
        let mut scent = Scent::default();
        scent.lay(address(1), A, 0, at(0));
        for _ in 0..100 {
            scent.weaken_for_silence(address(1), A, at(1));
        }
        assert_eq!(scent.strength(address(1), A), Some(UNIT / 2));
        for _ in 0..100 {
            scent.weaken(address(1), A);
        }
        assert_eq!(scent.strength(address(1), A), Some(WEAKEST));
        assert!(scent.has(address(1), |hop| hop == A));
    }

    #[test]
    fn a_full_table_costs_the_hop_that_filled_it() {
        let mut scent = Scent::default();
        scent.lay(address(1), A, 0, at(0));
        scent.lay(address(2), PORT, 0, at(0));
        for number in 10..MAX_ROWS as u32 + 1000 {
            scent.lay(address(number), B, 0, at(u64::from(number)));
        }
        assert_eq!(scent.len(), MAX_ROWS);
        assert!(scent.has(address(1), |hop| hop == A), "the oldest row, but of a modest hop");
        assert!(scent.has(address(2), |hop| hop == PORT));
        assert!(!scent.has(address(10), |_| true), "the greedy hop's own oldest row gave way");
    }

    #[test]
    fn rows_with_live_trails_give_way_last_and_do_not_expire() {
        let mut scent = Scent::default();
        scent.lay(address(1), A, 0, at(0));
        scent.count_live(address(1), true, at(0));
        for number in 10..MAX_ROWS as u32 + 100 {
            scent.lay(address(number), A, 0, at(1));
        }
        assert!(scent.has(address(1), |_| true));
        scent.expire(at(601));
        assert_eq!((scent.len(), scent.next_expiry()), (1, None));
        scent.count_live(address(1), false, at(601));
        assert_eq!(scent.next_expiry(), Some(at(1201)));
        scent.expire(at(1201));
        assert_eq!((scent.len(), scent.order.len()), (0, 0));
    }

    #[test]
    fn a_hop_that_is_gone_leaves_nothing() {
        let mut scent = Scent::default();
        scent.lay(address(1), A, 0, at(0));
        scent.lay(address(1), B, 1, at(0));
        scent.lay(address(2), A, 0, at(0));
        scent.forget_hop(A);
        assert!(scent.has(address(1), |hop| hop == B));
        assert!(!scent.has(address(1), |hop| hop == A));
        assert!(!scent.has(address(2), |_| true));
        assert_eq!(scent.order.keys().copied().collect::<Vec<_>>(), vec![B]);
    }
}
