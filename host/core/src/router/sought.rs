//! What a node remembers of Seeks for a minute, in as little room as it takes: a busy node remembers thousands.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{
    limits::{MAX_SEEK_HOPS, MAX_SEEKS, MAX_SEEKS_PER_HOP, SEEK_MEMORY},
    seen::HopNumber,
};
use crate::{Address, ConnectionId, Instant, MessageId, hash::Keyed, time::Tenths};

/// What a node remembers of a Seek.
pub(super) struct SeekEntry {
    pub(super) target: Address,
    /// The seeker's key of the day.
    pub(super) author: Address,
    /// By which hops it came, the first `came` of them, in order: the first is charged for it.
    hops: [HopNumber; MAX_SEEK_HOPS],
    came: u8,
    /// It may have come and been answered before the start.
    pub(super) doubtful: bool,
    /// A Trail has come for it, and no second one is taken.
    pub(super) answered: bool,
    /// Its target's port was told, once.
    pub(super) offered: bool,
    /// It followed scent from here, once.
    pub(super) followed: bool,
    /// Where a directed one went on to, until its silence is judged.
    chosen: Option<HopNumber>,
}

impl SeekEntry {
    /// By which hops it came, in order: a Trail goes back by the first that takes it.
    pub(super) fn hops(&self) -> &[HopNumber] {
        &self.hops[..usize::from(self.came)]
    }
}

/// The Seeks that a node remembers.
pub(super) struct Sought {
    entries: HashMap<MessageId, SeekEntry, Keyed>,
    /// In the order in which they came. Some may be forgotten already.
    ages: VecDeque<(Tenths, MessageId)>,
    /// Directed ones, in the order in which their silence is judged.
    choices: VecDeque<(Instant, MessageId)>,
    /// How many each hop is charged for.
    held: BTreeMap<HopNumber, usize>,
    /// This node's own, and for which connection.
    own: BTreeMap<MessageId, ConnectionId>,
}

/// A directed Seek that nobody answered: for whom, and where it went.
pub(super) type Silence = (Address, HopNumber);

impl Sought {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            entries: HashMap::with_hasher(keyed),
            ages: VecDeque::new(),
            choices: VecDeque::new(),
            held: BTreeMap::new(),
            own: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, id: MessageId) -> Option<&SeekEntry> {
        self.entries.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: MessageId) -> Option<&mut SeekEntry> {
        self.entries.get_mut(&id)
    }

    /// Which of this node's connections a Seek is for.
    pub(super) fn connection(&self, id: MessageId) -> Option<ConnectionId> {
        self.own.get(&id).copied()
    }

    /// Remembers a Seek by `author` that came by `hop` first. `false`: there is no room for it.
    pub(super) fn insert(
        &mut self,
        id: MessageId,
        [target, author]: [Address; 2],
        hop: HopNumber,
        connection: Option<ConnectionId>,
        now: Instant,
    ) -> bool {
        if self.entries.contains_key(&id) {
            // It is remembered, though its id had to give way: it is not charged twice.
            return true;
        }
        let held = self.held.get(&hop).copied().unwrap_or(0);
        if held >= MAX_SEEKS_PER_HOP || self.entries.len() >= MAX_SEEKS {
            return false;
        }
        self.held.insert(hop, held + 1);
        let mut hops = [0; MAX_SEEK_HOPS];
        hops[0] = hop;
        let entry = SeekEntry {
            target,
            author,
            hops,
            came: 1,
            doubtful: false,
            answered: false,
            offered: false,
            followed: false,
            chosen: None,
        };
        self.entries.insert(id, entry);
        if let Some(connection) = connection {
            self.own.insert(id, connection);
        }
        if self.ages.len() >= 2 * MAX_SEEKS {
            let entries = &self.entries;
            self.ages.retain(|(_, id)| entries.contains_key(id));
        }
        self.ages.push_back((Tenths::of(now), id));
        true
    }

    /// A copy came by another hop.
    pub(super) fn add_hop(&mut self, id: MessageId, hop: HopNumber) {
        if let Some(entry) = self.entries.get_mut(&id)
            && usize::from(entry.came) < MAX_SEEK_HOPS
            && !entry.hops().contains(&hop)
        {
            entry.hops[usize::from(entry.came)] = hop;
            entry.came += 1;
        }
    }

    /// A directed one went on by `hop`: its silence is judged at `at`, which never lies before that of another.
    pub(super) fn choose(&mut self, id: MessageId, hop: HopNumber, at: Instant) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.chosen = Some(hop);
            if self.choices.len() >= 2 * MAX_SEEKS {
                // Most are of Seeks that are forgotten, since their links are gone.
                let entries = &self.entries;
                self.choices.retain(|(_, id)| entries.get(id).is_some_and(|entry| entry.chosen.is_some()));
                self.choices.truncate(2 * MAX_SEEKS - 1);
            }
            self.choices.push_back((at, id));
        }
    }

    /// When something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let age = self.ages.front().map(|(at, _)| at.plus(SEEK_MEMORY));
        let choice = self.choices.front().map(|(at, _)| *at);
        [age, choice].into_iter().flatten().min()
    }

    /// Takes the first choice whose silence is due, or forgets the first Seek whose minute is over. `None`: nothing is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Option<Silence>> {
        if let Some((at, id)) = self.choices.front().copied()
            && at <= now
        {
            self.choices.pop_front();
            let entry = self.entries.get_mut(&id);
            return Some(entry.and_then(|entry| {
                let chosen = entry.chosen.take()?;
                (!entry.answered).then_some((entry.target, chosen))
            }));
        }
        let (at, id) = self.ages.front().copied()?;
        if at.plus(SEEK_MEMORY) > now {
            return None;
        }
        self.ages.pop_front();
        self.forget(id);
        Some(None)
    }

    /// Forgets those that came by no hop but such as are gone: no Trail would find its way back.
    pub(super) fn forget_lost(&mut self, is_there: impl Fn(HopNumber) -> bool) {
        let lost = |entry: &SeekEntry| !entry.hops().iter().any(|hop| is_there(*hop));
        let lost: Vec<MessageId> = self.entries.iter().filter(|(_, entry)| lost(entry)).map(|(id, _)| *id).collect();
        for id in lost {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: MessageId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        self.own.remove(&id);
        if let Some(held) = self.held.get_mut(&entry.hops[0]) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&entry.hops[0]);
            }
        }
    }
}

#[cfg(test)]
impl Sought {
    /// What it takes in memory, in bytes.
    fn bytes(&self) -> usize {
        self.entries.capacity() * 8 / 7 * (size_of::<(MessageId, SeekEntry)>() + 1)
            + self.ages.capacity() * size_of::<(Tenths, MessageId)>()
            + self.choices.capacity() * size_of::<(Instant, MessageId)>()
    }
}

#[cfg(any(feature = "fuzzing", feature = "simulation", test))]
impl Sought {
    /// Panics if it contradicts itself.
    pub(super) fn assert_consistent(&self) {
        let mut held: BTreeMap<HopNumber, usize> = BTreeMap::new();
        for entry in self.entries.values() {
            *held.entry(entry.hops()[0]).or_default() += 1;
        }
        assert_eq!(held, self.held, "each hop is charged for its seeks");
        assert!(
            self.entries.len() <= self.ages.len() && self.ages.len() <= 2 * MAX_SEEKS,
            "each is forgotten some time"
        );
        assert!(self.choices.len() <= 2 * MAX_SEEKS);
        assert!(self.own.keys().all(|id| self.entries.contains_key(id)));
        assert!(self.ages.iter().zip(self.ages.iter().skip(1)).all(|(one, next)| one.0 <= next.0));
        assert!(self.choices.iter().zip(self.choices.iter().skip(1)).all(|(one, next)| one.0 <= next.0));
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(s: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(s))
    }

    fn id(number: u32) -> MessageId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        MessageId(id)
    }

    const ENDS: [Address; 2] = [Address([1; 32]), Address([2; 32])];

    fn sought() -> Sought {
        Sought::new(Keyed::new([1, 2]))
    }

    #[test]
    fn remembers_for_a_minute_and_by_which_hops() {
        let mut sought = sought();
        assert!(sought.insert(id(1), ENDS, 7, Some(ConnectionId(3)), at(0)));
        for hop in [7, 8, 8, 9, 10, 11, 12, 13, 14, 15] {
            sought.add_hop(id(1), hop);
        }
        assert_eq!(sought.get(id(1)).expect("it is remembered").hops(), [7, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(sought.connection(id(1)), Some(ConnectionId(3)));
        assert_eq!((sought.take_due(at(59)), sought.next_due()), (None, Some(at(60))));
        assert_eq!(sought.take_due(at(60)), Some(None));
        sought.assert_consistent();
        assert_eq!((sought.len(), sought.connection(id(1)), sought.next_due()), (0, None, None));
    }

    #[test]
    fn one_that_comes_first_a_second_time_is_charged_once() {
        let mut sought = sought();
        assert!([7, 8].into_iter().all(|hop| sought.insert(id(1), ENDS, hop, None, at(0))));
        sought.assert_consistent();
        assert_eq!(sought.get(id(1)).map(SeekEntry::hops), Some(&[7][..]));
    }

    #[test]
    fn silence_is_told_of_what_was_directed_and_not_answered() {
        let mut sought = sought();
        for number in 0..3 {
            sought.insert(id(number), ENDS, 7, None, at(0));
            sought.choose(id(number), 9, at(5));
        }
        sought.get_mut(id(1)).expect("it is remembered").answered = true;
        let due: Vec<_> = (0..4).map(|_| sought.take_due(at(5))).collect();
        assert_eq!(due, [Some(Some((ENDS[0], 9))), Some(None), Some(Some((ENDS[0], 9))), None]);
    }

    #[test]
    fn one_hop_takes_its_share_and_hops_that_are_gone_give_theirs_back() {
        let mut sought = sought();
        let taken = (0..2 * MAX_SEEKS_PER_HOP as u32).filter(|n| sought.insert(id(*n), ENDS, 7, None, at(0))).count();
        assert_eq!(taken, MAX_SEEKS_PER_HOP);
        assert!(sought.insert(id(u32::MAX), ENDS, 8, None, at(0)));
        sought.add_hop(id(5), 8);
        sought.forget_lost(|hop| hop == 8);
        sought.assert_consistent();
        assert_eq!(sought.len(), 2);
        // However often links come and go, what is left of them stays bounded.
        for number in 0..10 * MAX_SEEKS as u32 {
            if number % 5000 == 0 {
                sought.forget_lost(|_| false);
            }
            sought.insert(id(number), ENDS, 7, None, at(1));
            sought.choose(id(number), 8, at(6));
        }
        sought.assert_consistent();
    }

    #[test]
    fn a_seek_takes_less_than_256_bytes() {
        for count in [500, 4_000, 60_000] {
            let mut sought = sought();
            for number in 0..count {
                sought.insert(id(number), ENDS, number as HopNumber % 16, None, at(0));
            }
            let each = sought.bytes() / count as usize;
            assert!(each < 256, "{each} bytes for each of {count}");
        }
    }
}
