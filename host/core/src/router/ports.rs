//! Identities of this node: neighbours without privilege.

use core::time::Duration;
use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::{
    Close, Event, Hop, Router,
    budget::Budgets,
    limits::{MAX_PORTS, MAX_REPLY_KEYS_PER_PORT, MAX_TOPICS_PER_PORT, REPLY_KEY_LIFE},
    seen::HopNumber,
    shares::Shares,
    timers::Timer,
    trails::Side,
};
use crate::{Address, IdentityKey, Instant, PortId, Topic, TrailId};

/// An identity.
pub(super) struct Port {
    pub(super) number: HopNumber,
    pub(super) key: IdentityKey,
    pub(super) address: Address,
    pub(super) listening: bool,
    /// How long it waits for what it hears.
    pub(super) hold: Duration,
    pub(super) budgets: Budgets,
    pub(super) connections: usize,
    topics: Vec<Topic>,
    /// Trails that end here as the owner's, by the hop that their Seek came by.
    pub(super) owned: Shares<TrailId>,
    /// The one-time keys that letters may come for, oldest first.
    reply_keys: VecDeque<Address>,
}

/// A one-time key of a flood or letter, to which answers may come.
pub(super) struct ReplyKey {
    pub(super) port: PortId,
    pub(super) seed: Zeroizing<[u8; 32]>,
    expires: Instant,
}

impl Router {
    pub(super) fn open_port(&mut self, port: PortId, key: IdentityKey) {
        let address = key.address();
        if self.ports.len() >= MAX_PORTS || self.ports.contains_key(&port) || self.owners.contains_key(&address) {
            self.counters.drops.invalid += 1;
            return;
        }
        let number = self.number_hop(Hop::Port(port));
        self.owners.insert(address, port);
        self.ports.insert(
            port,
            Port {
                number,
                key,
                address,
                listening: false,
                hold: self.waits.of_identity(address),
                budgets: Budgets::new(self.now.instant),
                connections: 0,
                topics: Vec::new(),
                owned: Shares::default(),
                reply_keys: VecDeque::new(),
            },
        );
    }

    pub(super) fn close_port(&mut self, port: PortId) {
        let Some(closed) = self.ports.remove(&port) else {
            return;
        };
        self.owners.remove(&closed.address);
        self.numbers.remove(&closed.number);
        self.timers.cancel(Timer::Walk(port));
        for topic in closed.topics {
            self.unhear(port, topic);
        }
        for address in closed.reply_keys {
            self.reply_keys.remove(&address);
        }
        let connections: Vec<_> =
            self.connections.iter().filter(|(_, connection)| connection.port == port).map(|(id, _)| *id).collect();
        for connection in connections {
            self.forget_connection(connection);
        }
        let here = |side: &Side| matches!(side, Side::Port { port: at, .. } if *at == port);
        for id in self.bindings_at(here) {
            self.break_from(id, here, Close::ByPeer);
        }
        self.scent.forget_hop(Hop::Port(port), self.now.instant);
    }

    pub(super) fn listen(&mut self, port: PortId, listening: bool) {
        if let Some(port) = self.ports.get_mut(&port) {
            port.listening = listening;
        }
        if listening {
            self.walk_soon(port);
        } else {
            self.timers.cancel(Timer::Walk(port));
        }
    }

    pub(super) fn subscribe(&mut self, port: PortId, topic: Topic) {
        let Some(subscriber) = self.ports.get_mut(&port) else {
            return;
        };
        if subscriber.topics.contains(&topic) {
            return;
        }
        if subscriber.topics.len() >= MAX_TOPICS_PER_PORT {
            self.counters.drops.full += 1;
            return;
        }
        subscriber.topics.push(topic);
        self.topics.entry(topic).or_default().push(port);
    }

    pub(super) fn unsubscribe(&mut self, port: PortId, topic: Topic) {
        if let Some(subscriber) = self.ports.get_mut(&port) {
            subscriber.topics.retain(|heard| *heard != topic);
            self.unhear(port, topic);
        }
    }

    fn unhear(&mut self, port: PortId, topic: Topic) {
        if let Some(ports) = self.topics.get_mut(&topic) {
            ports.retain(|at| *at != port);
            if ports.is_empty() {
                self.topics.remove(&topic);
            }
        }
    }

    /// Letters to this one-time key are `port`'s for a while.
    pub(super) fn expect_replies(&mut self, port: PortId, address: Address, seed: Zeroizing<[u8; 32]>) {
        let Some(owner) = self.ports.get_mut(&port) else {
            return;
        };
        owner.reply_keys.push_back(address);
        let oldest = if owner.reply_keys.len() > MAX_REPLY_KEYS_PER_PORT { owner.reply_keys.pop_front() } else { None };
        if let Some(oldest) = oldest {
            self.reply_keys.remove(&oldest);
        }
        let expires = self.now.instant + REPLY_KEY_LIFE;
        self.reply_keys.insert(address, ReplyKey { port, seed, expires });
        self.timers.set_if_unset(Timer::ReplyKeys, expires);
    }

    pub(super) fn reply_keys_due(&mut self) {
        let now = self.now.instant;
        let mut next: Option<Instant> = None;
        for port in self.ports.values_mut() {
            while let Some(oldest) = port.reply_keys.front() {
                match self.reply_keys.get(oldest) {
                    Some(key) if key.expires > now => {
                        next = Some(next.map_or(key.expires, |next| next.min(key.expires)));
                        break;
                    }
                    _ => {
                        self.reply_keys.remove(oldest);
                        port.reply_keys.pop_front();
                    }
                }
            }
        }
        if let Some(next) = next {
            self.timers.set(Timer::ReplyKeys, next);
        }
    }

    /// Tells a port of the end of a trail.
    pub(super) fn tell_closed(&mut self, port: PortId, trail: TrailId, why: Close) {
        if self.ports.contains_key(&port) {
            self.event(port, Event::TrailClosed { trail, why });
        }
    }
}
