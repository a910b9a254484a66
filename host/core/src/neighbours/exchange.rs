//! Whom to tell of whom, and whom to believe.

use core::time::Duration;

use super::{
    Class, Group, Host, NeighbourAddress, Neighbours, NodeKey,
    book::Origin,
    limits::{ASK_INTERVAL, MAX_CHECKS, MAX_TOLD, TOLD_FOR_S},
    origin_of,
};
use crate::{Instant, Now};

/// How many in an interval: a counter that starts anew.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    since: Instant,
    count: u64,
}

impl Window {
    /// Takes one of this interval's `most`, if there is one left.
    pub(super) fn take(&mut self, most: u64, interval: Duration, now: Instant) -> bool {
        if now.saturating_since(self.since) >= interval {
            *self = Self { since: now, count: 0 };
        }
        let left = self.count < most;
        self.count += u64::from(left);
        left
    }
}

impl Neighbours {
    /// A neighbour has answered [`Decision::Ask`](super::Decision::Ask). What nobody asked for, or too late, is not looked at.
    pub fn learn(&mut self, key: NodeKey, hosts: &[Host], now: Now) {
        let Some(held) = self.links.get_mut(&key).filter(|held| held.may_answer) else {
            return;
        };
        held.may_answer = false;
        let origin = origin_of(key, held.address);
        self.take_in(origin, hosts, now);
    }

    pub(super) fn take_in(&mut self, origin: Origin, hosts: &[Host], now: Now) {
        for host in hosts.iter().take(MAX_TOLD) {
            let unknown = host.key != self.us && !self.friends.contains_key(&host.key);
            if unknown && host.address.is_public() {
                self.book.hear(host.key, host.address, origin, now.unix_s, &mut self.rng);
            }
        }
        self.next_round = self.next_round.min(now.instant + super::limits::ROUND);
    }

    /// A neighbour asks for hosts. `None`: it asked a short while ago, or is no neighbour.
    pub fn asked(&mut self, key: NodeKey, now: Now) -> Option<Vec<Host>> {
        let held = self.links.get_mut(&key)?;
        if held.answered.is_some_and(|at| now.instant.saturating_since(at) < ASK_INTERVAL) {
            return None;
        }
        held.answered = Some(now.instant);
        let (address, friend) = (held.address, held.class == Class::Friend);
        Some(self.tell(key, address, friend, now))
    }

    /// What somebody is told of that finds no room ([`Admission::Refuse`](super::Admission::Refuse) says whether).
    pub fn introduce(&self, key: NodeKey, address: NeighbourAddress, now: Now) -> Vec<Host> {
        self.tell(key, address, self.friends.contains_key(&key), now)
    }

    /// Hosts for an asker: of those that have proven their keys to this node, those whose hash with a secret, the asker's prefix
    /// (a friend's key) and the day is the least, one of each prefix. Neighbours of today are not told apart from those of another day.
    fn tell(&self, asker: NodeKey, address: NeighbourAddress, friend: bool, now: Now) -> Vec<Host> {
        let group = address.group();
        let group = if friend || !group.is_prefix() { Group::of_key(asker) } else { group };
        let mut base = blake3::Hasher::new_keyed(&self.telling);
        base.update(&group.bytes());
        // Not everybody's day ends at once.
        let offset = u64::from(base.finalize().as_bytes()[0]) * (TOLD_FOR_S / 256);
        base.update(&(now.unix_s.saturating_add(offset) / TOLD_FOR_S).to_le_bytes());
        let known = self.book.iter().filter(|(_, entry)| entry.is_good()).map(|(key, entry)| (*key, entry.address));
        let friends = self.friends.iter().filter(|(_, friend)| friend.friend.told);
        let friends = friends.map(|(key, friend)| (*key, friend.friend.address));
        let mut rated: Vec<([u8; 32], Host)> = known
            .chain(friends)
            .filter(|(key, address)| *key != asker && address.is_public())
            .filter(|(key, _)| self.bans.key_until(*key, now.instant).is_none())
            .map(|(key, address)| (*base.clone().update(&key.0).finalize().as_bytes(), Host { key, address }))
            .collect();
        rated.sort_unstable_by_key(|(rate, _)| *rate);
        let mut told: Vec<Host> = Vec::with_capacity(MAX_TOLD);
        for (_, host) in rated {
            if told.len() < MAX_TOLD && told.iter().all(|other| other.address.group() != host.address.group()) {
                told.push(host);
            }
        }
        told
    }

    /// A stranger that dialled us says that it listens at this port, of the IP address that it comes from. It is checked before anybody
    /// hears of it.
    pub fn claims(&mut self, key: NodeKey, port: u16) {
        let Some(held) = self.links.get(&key).filter(|held| held.class == Class::Inbound) else {
            return;
        };
        let address = held.address.with_port(port);
        let waits = self.checks.iter().any(|host| host.key == key);
        let known = self.book.get(key).is_some_and(|entry| entry.is_good() && entry.address == address);
        if address.is_public() && !waits && !known && self.checks.len() < MAX_CHECKS {
            self.checks.push_back(Host { key, address });
        }
    }

    /// How a [`Decision::Check`](super::Decision::Check) went.
    pub fn checked(&mut self, host: Host, proven: bool, now: Now) {
        if proven && host.key != self.us && !self.friends.contains_key(&host.key) && !self.removed.contains(&host.key) {
            self.book.prove(host.key, host.address, Origin::Itself, now.unix_s, &mut self.rng);
        }
    }
}
