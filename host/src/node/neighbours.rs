//! Who our neighbours are, when to dial them, and which of two links to keep. Pure: time and chance are arguments.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use mute_core::LinkId;

use crate::link::{CloseCode, NodeKey, PeerAddress};

/// How long after a first failure a neighbour is dialled again; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);

/// The longest wait between two attempts: a neighbour that was away for a night is back within a minute.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// A link that has lasted so long was a good one: the next attempts start from the shortest wait again.
const STABLE: Duration = Duration::from_secs(30);

/// How long a neighbour that broke the protocol is neither dialled nor let in; it doubles with each further offence.
const FIRST_BAN: Duration = Duration::from_secs(30);

/// The longest ban.
const MAX_BAN: Duration = Duration::from_secs(3600);

/// A link that has lasted so long without an offence makes earlier ones forgotten.
const FORGIVEN: Duration = Duration::from_secs(600);

/// Neighbours that are dialled.
const MAX_PEERS: usize = 256;

/// All that are remembered: those and some that have dialled us. The longest away is forgotten first, a ban last.
const MAX_KNOWN: usize = 2 * MAX_PEERS;

/// Why a neighbour cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddPeerError {
    /// The node was stopped.
    #[error("the node has stopped")]
    Stopped,
    /// It is this node's own key.
    #[error("that is this node's own key")]
    Own,
    /// There are as many as may be.
    #[error("there are {MAX_PEERS} peers already, which is the most that a node dials")]
    TooMany,
}

/// Where a neighbour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is a link. `dialled`: by us.
    Up { link: LinkId, dialled: bool },
    /// An attempt is under way.
    Dialling,
    /// It is dialled again at this time.
    Waiting { until: Instant },
    /// It is not ours to dial.
    Down,
}

/// One neighbour.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    /// Where it is dialled, if it is.
    pub(super) peer: Option<PeerAddress>,
    /// May link in a fixed topology.
    welcome: bool,
    /// Was removed by the user: may not link until it is added again.
    removed: bool,
    pub(super) state: State,
    /// Since when.
    pub(super) since: Instant,
    /// Attempts in a row that came to nothing or to a short link.
    failures: u32,
    /// Offences in a row.
    offences: u32,
    /// Neither dialled nor let in before this.
    pub(super) banned_until: Option<Instant>,
    /// Why the last link or attempt ended, for people.
    pub(super) last_end: Option<String>,
}

/// Whether a new link is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is, and takes the place of this one if there is one.
    Keep { instead_of: Option<LinkId> },
    /// It is to be closed with this code.
    Refuse(CloseCode),
}

/// The table of neighbours.
pub(super) struct Neighbours {
    us: NodeKey,
    fixed: bool,
    max_links: usize,
    table: BTreeMap<NodeKey, Neighbour>,
}

/// `first`, doubled for each one of `times` beyond the first, at most `longest`.
fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX)).min(longest)
}

impl Neighbours {
    pub(super) fn new(us: NodeKey, fixed: bool, max_links: usize) -> Self {
        Self { us, fixed, max_links, table: BTreeMap::new() }
    }

    /// All of them, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeKey, &Neighbour)> {
        self.table.iter()
    }

    /// Adds a neighbour to dial, from now on, or gives a known one this address.
    pub(super) fn add(&mut self, peer: PeerAddress, now: Instant) -> Result<(), AddPeerError> {
        if peer.key == self.us {
            return Err(AddPeerError::Own);
        }
        let dialled = |neighbour: &Neighbour| neighbour.peer.is_some();
        let known = self.table.get(&peer.key).is_some_and(dialled);
        if !known && self.table.values().filter(|n| dialled(n)).count() >= MAX_PEERS {
            return Err(AddPeerError::TooMany);
        }
        let neighbour = self.entry(peer.key, now);
        neighbour.peer = Some(peer);
        neighbour.removed = false;
        neighbour.failures = 0;
        if matches!(neighbour.state, State::Down | State::Waiting { .. }) {
            neighbour.enter(State::Waiting { until: neighbour.banned_until.unwrap_or(now) }, now);
        }
        Ok(())
    }

    /// Lets a neighbour dial us in a fixed topology.
    pub(super) fn welcome(&mut self, key: NodeKey, now: Instant) {
        self.entry(key, now).welcome = true;
    }

    /// Forgets a neighbour, and does not let it in again. `None`: there is none; else its link, if it has one.
    pub(super) fn remove(&mut self, key: NodeKey, now: Instant) -> Option<Option<LinkId>> {
        let neighbour = self.table.get_mut(&key).filter(|neighbour| !neighbour.removed)?;
        let link = neighbour.link();
        neighbour.peer = None;
        neighbour.welcome = false;
        neighbour.removed = true;
        neighbour.enter(State::Down, now);
        Some(link)
    }

    /// Decides about a link that has just come up. The caller calls [`Self::up`] if it keeps it.
    ///
    /// Two nodes that dial each other at once have two links for a moment. Both keep the one that the node with the
    /// smaller key dialled. A second one dialled by the same side takes the place of the first: its dialler would not
    /// have dialled if its first link were alive.
    pub(super) fn admit(&self, key: NodeKey, dialled: bool, now: Instant) -> Admission {
        if key == self.us {
            return Admission::Refuse(CloseCode::NotWelcome);
        }
        let neighbour = self.table.get(&key);
        let expected = neighbour.is_some_and(|n| n.peer.is_some() || n.welcome);
        if neighbour.is_some_and(|n| n.removed) || (self.fixed && !expected) {
            return Admission::Refuse(CloseCode::NotWelcome);
        }
        if neighbour.and_then(|n| n.banned_until).is_some_and(|until| now < until) {
            return Admission::Refuse(CloseCode::BackedOff);
        }
        match neighbour.map(|n| n.state) {
            Some(State::Up { link, dialled: first_dialled }) => {
                let ours_wins = self.us < key;
                if first_dialled == dialled || dialled == ours_wins {
                    Admission::Keep { instead_of: Some(link) }
                } else {
                    Admission::Refuse(CloseCode::Duplicate)
                }
            }
            _ if self.links() >= self.max_links => Admission::Refuse(CloseCode::Full),
            _ => Admission::Keep { instead_of: None },
        }
    }

    /// Whether this node was not told of this neighbour.
    pub(super) fn is_stranger(&self, key: NodeKey) -> bool {
        !self.table.get(&key).is_some_and(|neighbour| neighbour.peer.is_some() || neighbour.welcome)
    }

    /// A link with this neighbour has come up.
    pub(super) fn up(&mut self, key: NodeKey, link: LinkId, dialled: bool, now: Instant) {
        self.entry(key, now).enter(State::Up { link, dialled }, now);
    }

    /// A neighbour's link has ended, by its own fault or not. A link that was replaced changes nothing.
    pub(super) fn down(&mut self, key: NodeKey, link: LinkId, end: String, offence: bool, now: Instant, chance: u32) {
        let Some(neighbour) = self.table.get_mut(&key).filter(|neighbour| neighbour.link() == Some(link)) else {
            return;
        };
        let lasted = now.saturating_duration_since(neighbour.since);
        if lasted >= STABLE {
            neighbour.failures = 0;
        }
        if lasted >= FORGIVEN {
            neighbour.offences = 0;
        }
        if offence {
            neighbour.offences = neighbour.offences.saturating_add(1);
            neighbour.banned_until = Some(now + doubled(FIRST_BAN, neighbour.offences, MAX_BAN));
        }
        neighbour.fail(end, now, chance);
    }

    /// An attempt has come to nothing.
    pub(super) fn dial_failed(&mut self, key: NodeKey, end: String, now: Instant, chance: u32) {
        if let Some(neighbour) = self.table.get_mut(&key).filter(|neighbour| neighbour.state == State::Dialling) {
            neighbour.fail(end, now, chance);
        }
    }

    /// Whom to dial now; the attempts count as begun.
    pub(super) fn due(&mut self, now: Instant) -> Vec<PeerAddress> {
        let mut room = self.max_links.saturating_sub(self.links());
        let mut due = Vec::new();
        for neighbour in self.table.values_mut() {
            if let (State::Waiting { until }, Some(peer)) = (neighbour.state, &neighbour.peer)
                && until <= now
            {
                if room == 0 {
                    // Looked at again when there may be room.
                    neighbour.state = State::Waiting { until: now + MAX_BACKOFF };
                    continue;
                }
                room -= 1;
                due.push(peer.clone());
                neighbour.enter(State::Dialling, now);
            }
        }
        due
    }

    /// When [`Self::due`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = |neighbour: &Neighbour| match neighbour.state {
            State::Waiting { until } => Some(until),
            _ => None,
        };
        self.table.values().filter_map(waiting).min()
    }

    fn links(&self) -> usize {
        self.table.values().filter(|neighbour| neighbour.link().is_some()).count()
    }

    /// The neighbour with this key; a new one, if need be in the place of the one that matters least.
    fn entry(&mut self, key: NodeKey, now: Instant) -> &mut Neighbour {
        if self.table.len() >= MAX_KNOWN && !self.table.contains_key(&key) {
            let expendable = |(_, n): &(&NodeKey, &Neighbour)| n.peer.is_none() && n.link().is_none();
            let worth = |n: &Neighbour| (n.removed || n.welcome, n.banned_until, n.since);
            let least = self.table.iter().filter(expendable).min_by_key(|(_, n)| worth(n)).map(|(key, _)| *key);
            // There is always one: at most MAX_PEERS are dialled, and fewer than that have links.
            if let Some(least) = least {
                self.table.remove(&least);
            }
        }
        self.table.entry(key).or_insert_with(|| Neighbour {
            peer: None,
            welcome: false,
            removed: false,
            state: State::Down,
            since: now,
            failures: 0,
            offences: 0,
            banned_until: None,
            last_end: None,
        })
    }
}

impl Neighbour {
    fn link(&self) -> Option<LinkId> {
        match self.state {
            State::Up { link, .. } => Some(link),
            _ => None,
        }
    }

    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
    }

    /// Waits before the next attempt, if it is ours to dial: between half the backoff and all of it, so that nodes that lost
    /// each other at once don't return at once.
    fn fail(&mut self, end: String, now: Instant, chance: u32) {
        self.last_end = Some(end);
        self.failures = self.failures.saturating_add(1);
        if self.peer.is_none() {
            return self.enter(State::Down, now);
        }
        let backoff = doubled(FIRST_BACKOFF, self.failures, MAX_BACKOFF);
        let wait = backoff.mul_f64(0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX));
        let until = (now + wait).max(self.banned_until.unwrap_or(now));
        self.enter(State::Waiting { until }, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: NodeKey = NodeKey([1; 32]);
    const LARGE: NodeKey = NodeKey([2; 32]);

    fn table(us: NodeKey) -> Neighbours {
        Neighbours::new(us, false, 4)
    }

    fn peer(key: NodeKey) -> PeerAddress {
        PeerAddress { key, host: "127.0.0.1".into(), port: 1 }
    }

    fn keep(instead_of: Option<u64>) -> Admission {
        Admission::Keep { instead_of: instead_of.map(LinkId) }
    }

    #[test]
    fn both_sides_of_a_double_dial_keep_the_same_link() {
        let now = Instant::now();
        for (us, them, ours_first) in
            [(SMALL, LARGE, true), (SMALL, LARGE, false), (LARGE, SMALL, true), (LARGE, SMALL, false)]
        {
            let mut table = table(us);
            table.up(them, LinkId(1), ours_first, now);
            let kept_first = match table.admit(them, !ours_first, now) {
                Admission::Refuse(CloseCode::Duplicate) => true,
                Admission::Keep { instead_of: Some(LinkId(1)) } => false,
                other => panic!("{other:?}"),
            };
            // The one that is kept is the one that SMALL dialled.
            assert_eq!(kept_first == ours_first, us == SMALL, "{ours_first}");
        }
    }

    #[test]
    fn a_neighbour_that_dials_again_has_lost_its_first_link() {
        let now = Instant::now();
        let mut table = table(SMALL);
        assert_eq!(table.admit(LARGE, false, now), keep(None));
        table.up(LARGE, LinkId(1), false, now);
        assert_eq!(table.admit(LARGE, false, now), keep(Some(1)));
        table.up(LARGE, LinkId(2), false, now);
        table.down(LARGE, LinkId(1), "replaced".into(), false, now, 0);
        assert_eq!(table.admit(LARGE, false, now), keep(Some(2)));
    }

    #[test]
    fn a_lost_neighbour_is_dialled_with_growing_jittered_bounded_waits() {
        let mut now = Instant::now();
        let mut table = table(SMALL);
        table.add(peer(LARGE), now).expect("room");
        let mut waits = Vec::new();
        for chance in [u32::MAX, 0].into_iter().cycle().take(24) {
            assert_eq!(table.due(now), [peer(LARGE)]);
            assert_eq!(table.due(now), []);
            table.dial_failed(LARGE, "no answer".into(), now, chance);
            let next = table.next_deadline().expect("it waits");
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits[0], FIRST_BACKOFF);
        assert_eq!(waits[1], FIRST_BACKOFF);
        assert_eq!(waits[2], FIRST_BACKOFF * 4);
        assert_eq!(waits[22], MAX_BACKOFF);
        assert_eq!(waits[23], MAX_BACKOFF / 2);
        // A short link does not reset it, a long one does.
        assert_eq!(table.due(now).len(), 1);
        table.up(LARGE, LinkId(1), true, now);
        table.down(LARGE, LinkId(1), "lost".into(), false, now + STABLE / 2, 0);
        assert!(table.next_deadline().expect("it waits") >= now + STABLE / 2 + MAX_BACKOFF / 2);
        table.up(LARGE, LinkId(2), false, now);
        now += STABLE;
        table.down(LARGE, LinkId(2), "lost".into(), false, now, 0);
        assert_eq!(table.next_deadline(), Some(now + FIRST_BACKOFF / 2));
    }

    #[test]
    fn an_offender_stays_out_for_longer_each_time() {
        let mut now = Instant::now();
        let mut table = table(SMALL);
        table.add(peer(LARGE), now).expect("room");
        for ban in [FIRST_BAN, FIRST_BAN * 2, FIRST_BAN * 4] {
            table.up(LARGE, LinkId(1), false, now);
            table.down(LARGE, LinkId(1), "nonsense".into(), true, now, 0);
            assert_eq!(table.admit(LARGE, false, now + ban / 2), Admission::Refuse(CloseCode::BackedOff));
            assert_eq!(table.due(now + ban / 2), []);
            now += ban;
            assert_eq!(table.admit(LARGE, false, now), keep(None));
            assert_eq!(table.due(now).len(), 1);
        }
    }

    #[test]
    fn a_fixed_topology_lets_nobody_else_in() {
        let now = Instant::now();
        let mut table = Neighbours::new(SMALL, true, 4);
        assert_eq!(table.admit(LARGE, false, now), Admission::Refuse(CloseCode::NotWelcome));
        table.welcome(LARGE, now);
        assert_eq!(table.admit(LARGE, false, now), keep(None));
        assert_eq!(table.remove(LARGE, now), Some(None));
        assert_eq!(table.remove(LARGE, now), None);
        assert_eq!(table.admit(LARGE, false, now), Admission::Refuse(CloseCode::NotWelcome));
        table.add(peer(LARGE), now).expect("room");
        assert_eq!(table.admit(LARGE, false, now), keep(None));
    }

    #[test]
    fn a_removed_neighbour_stays_out_until_it_is_added() {
        let now = Instant::now();
        let mut table = table(SMALL);
        table.add(peer(LARGE), now).expect("room");
        assert_eq!(table.add(peer(SMALL), now), Err(AddPeerError::Own));
        table.up(LARGE, LinkId(7), true, now);
        assert_eq!(table.remove(LARGE, now), Some(Some(LinkId(7))));
        assert_eq!(table.admit(LARGE, false, now), Admission::Refuse(CloseCode::NotWelcome));
        assert_eq!((table.due(now), table.next_deadline()), (vec![], None));
    }

    #[test]
    fn links_and_memory_are_bounded() {
        let now = Instant::now();
        let mut table = table(SMALL);
        let key = |n: usize| {
            let mut key = [9; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            NodeKey(key)
        };
        for n in 0..4 {
            assert_eq!(table.admit(key(n), false, now), keep(None));
            table.up(key(n), LinkId(n as u64), false, now);
        }
        assert_eq!(table.admit(key(4), false, now), Admission::Refuse(CloseCode::Full));
        for n in 4..2 * MAX_KNOWN {
            table.up(key(n), LinkId(n as u64), false, now);
            table.down(key(n), LinkId(n as u64), "bye".into(), false, now, 0);
        }
        assert!(table.table.len() <= MAX_KNOWN);
        let added = (0..2 * MAX_PEERS).filter(|n| table.add(peer(key(*n)), now).is_ok()).count();
        assert_eq!(added, MAX_PEERS);
        assert_eq!(table.due(now), [], "there is room for no more links");
    }
}
