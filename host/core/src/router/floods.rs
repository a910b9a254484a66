//! Floods: questions to everybody in reach.
//!
//! A flood spreads in three phases, of which the first two are here: hidden, in which nothing is counted and each node's
//! coin decides whether counting starts; counted, for a constant number of hops; then it ends. The originator treats its own as one that it relays, so
//! that a neighbour cannot tell the first hop from a later one.

use super::{Arrival, Event, Hop, Router, limits::COUNTED_HOPS};
use crate::{
    LinkId, MessageId, PortId, Topic,
    wire::{Flood, Frame, Phase, Signed, Verified},
};

/// A coin that falls the same way for the same message for ever, so that repeating a message teaches nothing.
pub(super) struct Coin {
    key: [u8; 32],
}

impl Coin {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key("mute/1 flood coin", secret) }
    }

    /// Whether a hidden flood goes on hidden from here: two times in three, which makes two hidden hops on average.
    fn stays_hidden(&self, id: MessageId) -> bool {
        let hash = blake3::keyed_hash(&self.key, &id.0);
        hash.as_bytes().first_chunk().is_some_and(|coin| u64::from_be_bytes(*coin) % 3 != 0)
    }

    /// The phase in which a flooded message goes on from here; `None`: it ends here.
    pub(super) fn next_phase(&self, phase: Phase, id: MessageId) -> Option<Phase> {
        match phase {
            Phase::Hidden if self.stays_hidden(id) => Some(Phase::Hidden),
            Phase::Hidden => Some(Phase::Counted(1)),
            Phase::Counted(hops) if hops < COUNTED_HOPS => Some(Phase::Counted(hops + 1)),
            Phase::Counted(_) => None,
        }
    }
}

impl Router {
    pub(super) fn broadcast(&mut self, port: PortId, topic: Topic, body: &[u8]) {
        let (seed, key) = self.one_time_key();
        let stamp = self.stamp();
        let Ok(message) = Signed::<Flood, Verified>::sign(self.network, &key, stamp, topic, body) else {
            self.counters.drops.invalid += 1;
            return;
        };
        let hop = Hop::Port(port);
        if self.pay(hop, &Frame::Flood { phase: Phase::Hidden, message: message.clone() }) {
            self.expect_replies(port, message.author(), seed);
            self.on_flood(hop, Phase::Hidden, message);
        }
    }

    pub(super) fn on_flood(&mut self, hop: Hop, phase: Phase, message: Signed<Flood, Verified>) {
        if self.arrive(hop, message.id(), message.stamp(), message.author()) != Some(Arrival::First) {
            return;
        }
        self.deliver_flood(hop, &message);
        let Some(phase) = self.coin.next_phase(phase, message.id()) else {
            return;
        };
        let links = self.all_links_but(hop);
        self.counters.floods.passed(hop, links.len() as u64);
        for link in links {
            self.send(link, hop, Frame::Flood { phase, message: message.clone() });
        }
    }

    fn deliver_flood(&mut self, hop: Hop, message: &Signed<Flood, Verified>) {
        let topic = message.topic();
        let Some(ports) = self.topics.get(&topic) else {
            return;
        };
        for port in ports.clone() {
            if Hop::Port(port) != hop {
                self.counters.floods.delivered += 1;
                let (from, id, body) = (message.author(), message.id(), message.body());
                self.event(port, Event::Heard { topic, from, id, body });
            }
        }
    }

    /// Where a flooded message goes.
    pub(super) fn all_links_but(&self, hop: Hop) -> Vec<LinkId> {
        self.links.keys().copied().filter(|link| Hop::Link(*link) != hop).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hidden_hops_on_average_then_a_constant_number() {
        let coins: Vec<Coin> = (0..64u8).map(|node| Coin::new(&[node; 32])).collect();
        let (mut hidden, floods) = (0u32, 20_000u32);
        for flood in 0..floods {
            let id = MessageId(blake3::hash(&flood.to_be_bytes()).as_bytes()[..16].try_into().expect("16 bytes"));
            let (mut phase, mut counted) = (Phase::Hidden, 0);
            for coin in coins.iter().cycle() {
                match coin.next_phase(phase, id) {
                    Some(next) => phase = next,
                    None => break,
                }
                match phase {
                    Phase::Hidden => hidden += 1,
                    Phase::Counted(_) => counted += 1,
                }
            }
            assert_eq!(counted, COUNTED_HOPS);
        }
        let mean = f64::from(hidden) / f64::from(floods);
        assert!((1.9..2.1).contains(&mean), "{mean}");
    }

    #[test]
    fn a_coin_falls_the_same_way_for_the_same_message() {
        let (coin, again) = (Coin::new(&[1; 32]), Coin::new(&[1; 32]));
        let falls = |coin: &Coin| (0..=255).map(|n| coin.stays_hidden(MessageId([n; 16]))).collect::<Vec<_>>();
        assert_eq!(falls(&coin), falls(&again));
        assert_ne!(falls(&coin), falls(&Coin::new(&[2; 32])));
    }
}
