//! The neighbours of this node: the policy of `mute-core`, and beside it what only a daemon knows of them: where friends are, and what to tell
//! people.

use std::collections::BTreeMap;

use mute_core::{
    Instant, LinkId, Now,
    neighbours::{
        self, BefriendError, Decision, DialFailure, End, Friend, NeighbourAddress, NeighboursConfig, Refusal, Rules,
        State,
    },
};

use crate::link::{CloseCode, NodeKey, PeerAddress};

/// Neighbours that are dialled.
const MAX_PEERS: usize = 256;

/// All of whom there is something to tell: those and some that have dialled us. The longest away is forgotten first.
const MAX_NOTES: usize = 2 * MAX_PEERS;

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

/// Whether a new link is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is, and takes the places of these. `stranger`: nobody named it.
    Keep { stranger: bool, closes: Vec<(LinkId, CloseCode)> },
    /// It is to be closed with this code.
    Refuse(CloseCode),
}

/// What people are told of a neighbour, and where it is dialled.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// Where it is dialled, if it is.
    pub(super) peer: Option<PeerAddress>,
    /// Since when it stands where it stands.
    pub(super) since: Instant,
    /// Why the last link or attempt ended.
    pub(super) last_end: Option<String>,
}

/// The neighbours.
pub(super) struct Neighbours {
    policy: neighbours::Neighbours,
    notes: BTreeMap<NodeKey, Note>,
}

impl Neighbours {
    /// Those of a node with this configuration. `fixed`: friends only.
    pub(super) fn new(us: NodeKey, fixed: bool, max_links: usize, [secret, seed]: [[u8; 32]; 2], now: Now) -> Self {
        let rules = if fixed { Rules::fixed(max_links) } else { Rules { most: max_links, ..Rules::default() } };
        // It does not know where others see it yet.
        let at = NeighbourAddress::HIDDEN;
        let policy = neighbours::Neighbours::new(&NeighboursConfig { us, at, rules, secret, seed }, now);
        Self { policy, notes: BTreeMap::new() }
    }

    /// All of whom there is something to tell, by key.
    pub(super) fn iter(&self, now: Now) -> impl Iterator<Item = (NodeKey, State, &Note)> {
        let states = self.policy.states(now.instant);
        self.notes.iter().map(move |(key, note)| (*key, states.get(key).copied().unwrap_or(State::Down), note))
    }

    /// Adds a friend to dial, from now on, or gives a known one this address.
    pub(super) fn add(&mut self, peer: PeerAddress, now: Now) -> Result<(), AddPeerError> {
        let dialled = |note: &Note| note.peer.is_some();
        let known = self.notes.get(&peer.key).is_some_and(dialled);
        if !known && self.notes.values().filter(|note| dialled(note)).count() >= MAX_PEERS {
            return Err(AddPeerError::TooMany);
        }
        let key = peer.key;
        self.befriend(key, true)?;
        self.note(key, now).peer = Some(peer);
        Ok(())
    }

    /// Lets a friend dial us whom we don't dial.
    pub(super) fn welcome(&mut self, key: NodeKey, now: Now) -> Result<(), AddPeerError> {
        if self.notes.get(&key).is_some_and(|note| note.peer.is_some()) {
            return Ok(());
        }
        self.befriend(key, false)?;
        self.note(key, now);
        Ok(())
    }

    fn befriend(&mut self, key: NodeKey, dialled: bool) -> Result<(), AddPeerError> {
        // Where it is stays here: it may be a host name. Nobody has asked it whether others may be told of it.
        let friend = Friend { address: NeighbourAddress::HIDDEN, dialled, told: false };
        self.policy.befriend(key, friend).map_err(|error| match error {
            BefriendError::Own => AddPeerError::Own,
            BefriendError::TooMany => AddPeerError::TooMany,
        })
    }

    /// Forgets a neighbour, and does not let it in again. `None`: there is none; else its link, if it has one.
    pub(super) fn remove(&mut self, key: NodeKey) -> Option<Option<LinkId>> {
        self.notes.remove(&key)?;
        Some(self.policy.remove(key))
    }

    /// Decides about a connection that has just come up, and counts it as the link of this name if it is kept. `from`: where it comes from.
    pub(super) fn admit(
        &mut self,
        key: NodeKey,
        from: NeighbourAddress,
        link: LinkId,
        dialled: bool,
        now: Now,
    ) -> Admission {
        let code = match self.policy.admit(key, from, link, dialled, now) {
            neighbours::Admission::Keep { class, instead_of, gives_way } => {
                let note = self.note(key, now);
                note.since = now.instant;
                let twice = instead_of.map(|link| (link, CloseCode::Duplicate));
                let full = gives_way.map(|link| (link, CloseCode::Full));
                let closes = twice.into_iter().chain(full).collect();
                return Admission::Keep { stranger: class.is_stranger(), closes };
            }
            neighbours::Admission::Refuse { why, .. } => match why {
                Refusal::NotWelcome => CloseCode::NotWelcome,
                Refusal::BackedOff => CloseCode::BackedOff,
                Refusal::Duplicate => CloseCode::Duplicate,
                Refusal::Full => CloseCode::Full,
            },
        };
        if dialled && code != CloseCode::Duplicate {
            self.ended(key, code.to_string(), now);
        }
        Admission::Refuse(code)
    }

    /// A neighbour's link has ended, by its own fault or not. A link that was replaced changes nothing.
    pub(super) fn down(&mut self, key: NodeKey, link: LinkId, end: String, offence: bool, now: Now) {
        let state = self.policy.state(key, now.instant);
        if matches!(state, Some(State::Up { link: held, .. }) if held == link) {
            self.policy.down(key, link, if offence { End::Offence } else { End::Lost }, now);
            self.ended(key, end, now);
        }
    }

    /// Another's link has taken the place of this neighbour's.
    pub(super) fn gave_way(&mut self, key: NodeKey, now: Now) {
        self.ended(key, CloseCode::Full.to_string(), now);
    }

    /// An attempt has come to nothing.
    pub(super) fn dial_failed(&mut self, key: NodeKey, failure: DialFailure, end: String, now: Now) {
        // The neighbour may have dialled us meanwhile.
        if self.policy.state(key, now.instant) == Some(State::Dialling) {
            self.policy.dial_failed(key, failure, &[], now);
            self.ended(key, end, now);
        }
    }

    fn ended(&mut self, key: NodeKey, end: String, now: Now) {
        if let Some(note) = self.notes.get_mut(&key) {
            note.since = now.instant;
            note.last_end = Some(end);
        }
    }

    /// Whom to dial now; the attempts count as begun.
    pub(super) fn due(&mut self, now: Now) -> Vec<PeerAddress> {
        self.policy.tick(now);
        let mut due = Vec::new();
        while let Some(decision) = self.policy.poll() {
            // Friends are asked for no hosts, and strangers are neither known nor checked, until there is a message for it.
            if let Decision::Dial { key, .. } = decision
                && let Some(note) = self.notes.get_mut(&key)
                && let Some(peer) = &note.peer
            {
                due.push(peer.clone());
                note.since = now.instant;
            }
        }
        due
    }

    /// When [`Self::due`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.policy.next_deadline()
    }

    /// What is told of this neighbour; a new note, if need be in the place of the one that matters least.
    fn note(&mut self, key: NodeKey, now: Now) -> &mut Note {
        if self.notes.len() >= MAX_NOTES && !self.notes.contains_key(&key) {
            let matters = |key: &NodeKey, note: &Note| match self.policy.state(*key, now.instant) {
                Some(State::Up { .. }) => 2,
                _ if note.peer.is_some() => 2,
                Some(_) => 1,
                None => 0,
            };
            let least = self.notes.iter().min_by_key(|(key, note)| (matters(key, note), note.since));
            // Those that matter most are no more than MAX_PEERS and the links: there is always another.
            if let Some(least) = least.map(|(key, _)| *key) {
                self.notes.remove(&least);
            }
        }
        self.notes.entry(key).or_insert(Note { peer: None, since: now.instant, last_end: None })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const US: NodeKey = NodeKey([1; 32]);
    const OTHER: NodeKey = NodeKey([2; 32]);

    fn at(seconds: u64) -> Now {
        Now { instant: Instant::from_origin(Duration::from_secs(seconds)), unix_s: 1_800_000_000 + seconds }
    }

    fn table(fixed: bool) -> Neighbours {
        Neighbours::new(US, fixed, 4, [[3; 32], [4; 32]], at(0))
    }

    fn peer(key: NodeKey) -> PeerAddress {
        PeerAddress { key, host: "node.example".into(), port: 1 }
    }

    fn key(n: usize) -> NodeKey {
        let mut key = [9; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        NodeKey(key)
    }

    /// A public address, each of a provider of its own.
    fn from(n: usize) -> NeighbourAddress {
        NeighbourAddress::at(([20 + (n >> 8) as u8, n as u8, 1, 1], 5000).into())
    }

    fn comes(table: &mut Neighbours, key: NodeKey, n: usize) -> Admission {
        table.admit(key, from(n), LinkId(n as u64), false, at(n as u64))
    }

    fn kept(stranger: bool) -> Admission {
        Admission::Keep { stranger, closes: vec![] }
    }

    #[test]
    fn a_friend_is_dialled_where_it_is_until_it_is_removed() {
        let mut table = table(false);
        assert_eq!(table.add(peer(US), at(0)), Err(AddPeerError::Own));
        table.add(peer(OTHER), at(0)).expect("room");
        assert_eq!(table.due(at(0)), [peer(OTHER)]);
        assert_eq!(table.due(at(0)), []);
        table.dial_failed(OTHER, DialFailure::Unreachable, "no answer".into(), at(1));
        assert!(table.next_deadline().is_some_and(|due| due > at(1).instant));
        assert_eq!(table.due(at(2)), [peer(OTHER)]);
        assert_eq!(table.admit(OTHER, from(1), LinkId(1), true, at(3)), kept(false));
        let note = |table: &Neighbours| table.iter(at(9)).map(|(_, state, note)| (state, note.last_end.clone())).next();
        assert!(matches!(note(&table), Some((State::Up { link: LinkId(1), .. }, Some(_)))));
        table.down(OTHER, LinkId(7), "another".into(), false, at(4));
        table.down(OTHER, LinkId(1), "lost".into(), false, at(5));
        assert_eq!(note(&table).and_then(|(_, end)| end), Some("lost".into()));
        assert_eq!(table.remove(OTHER), Some(None));
        assert_eq!(table.remove(OTHER), None);
        assert_eq!(comes(&mut table, OTHER, 9), Admission::Refuse(CloseCode::NotWelcome));
        assert_eq!(table.due(at(100)), []);
    }

    #[test]
    fn a_fixed_topology_lets_nobody_else_in() {
        let mut table = table(true);
        assert_eq!(comes(&mut table, OTHER, 1), Admission::Refuse(CloseCode::NotWelcome));
        table.welcome(OTHER, at(1)).expect("room");
        assert_eq!(comes(&mut table, OTHER, 2), kept(false));
        assert_eq!(table.remove(OTHER), Some(Some(LinkId(2))));
        assert_eq!(comes(&mut table, OTHER, 3), Admission::Refuse(CloseCode::NotWelcome));
    }

    #[test]
    fn a_friend_takes_a_strangers_place_and_an_offender_is_banned() {
        let mut table = table(false);
        for n in 10..14 {
            assert_eq!(comes(&mut table, key(n), n), kept(true));
        }
        assert_eq!(comes(&mut table, key(14), 14), Admission::Refuse(CloseCode::Full));
        table.welcome(OTHER, at(20)).expect("room");
        let youngest = (LinkId(13), CloseCode::Full);
        assert_eq!(comes(&mut table, OTHER, 20), Admission::Keep { stranger: false, closes: vec![youngest] });
        table.down(key(10), LinkId(10), "nonsense".into(), true, at(21));
        assert_eq!(comes(&mut table, key(10), 22), Admission::Refuse(CloseCode::BackedOff));
        let banned = table.iter(at(22)).any(|(k, state, _)| k == key(10) && matches!(state, State::Banned(_)));
        assert!(banned);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut table = table(false);
        for n in 0..2 * MAX_NOTES {
            assert_eq!(comes(&mut table, key(n), n), kept(true));
            table.down(key(n), LinkId(n as u64), "bye".into(), false, at(n as u64));
        }
        assert_eq!(table.notes.len(), MAX_NOTES);
        let now = at(2 * MAX_NOTES as u64);
        let added = (0..2 * MAX_PEERS).filter(|n| table.add(peer(key(*n)), now).is_ok()).count();
        assert_eq!((added, table.notes.len()), (MAX_PEERS, MAX_NOTES));
    }
}
