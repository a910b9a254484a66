//! Floods: questions to everybody in reach. Where they end is the [`Horizon`](super::horizon)'s.
//!
//! The originator treats its own as one that it relays, so that a neighbour cannot tell the first hop from a later one.

use super::{Event, Hop, Router, delays::Matter, seen::Act};
use crate::{
    LinkId, MessageId, NeighbourId, PortId, Topic,
    wire::{Flood, Frame, Phase, Signed, Stamp, Verified},
};

use super::horizon::{Question, Spread};

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
        if self.arrive(hop, message.id(), message.stamp(), message.author()).is_none() {
            return;
        }
        let question = question(&message);
        let Some(spread) = self.spread(hop, phase, message.id(), message.stamp(), &question) else {
            return;
        };
        if spread.heard && self.deliver_flood(hop, &message) && !self.waits.defences.pass_floods_on {
            return;
        }
        self.counters.floods.passed(hop, spread.to.len() as u64);
        for (link, phase) in spread.to {
            self.send_copy(link, hop, Frame::Flood { phase, message: message.clone() });
        }
    }

    /// What becomes of a flooded message that has just arrived; `None`: nothing that did not happen before. A message that came as a tail and
    /// then comes in earnest is heard and passed on once more: else whoever is fast with tails could silence others' questions.
    pub(super) fn spread(
        &mut self,
        hop: Hop,
        phase: Phase,
        id: MessageId,
        stamp: Stamp,
        question: &Question,
    ) -> Option<Spread> {
        let act = self.seen.act(id, stamp.minute, phase);
        if act == Act::Nothing {
            return None;
        }
        let mut spread = self.horizon.spread(phase, id, question, &self.others_than(hop));
        spread.heard = spread.heard && self.seen.hear(id, stamp.minute);
        Some(spread)
    }

    /// Lets the ports hear it that listen to its topic. Whether there is one.
    fn deliver_flood(&mut self, hop: Hop, message: &Signed<Flood, Verified>) -> bool {
        let topic = message.topic();
        let Some(ports) = self.topics.get(&topic) else {
            return false;
        };
        for port in ports.clone() {
            if Hop::Port(port) != hop {
                self.counters.floods.delivered += 1;
                let (from, id, body) = (message.author(), message.id(), message.body());
                self.tell(port, hop, Matter::Question, Event::Heard { topic, from, id, body });
            }
        }
        true
    }

    /// Where a message may go that goes to more than one.
    pub(super) fn others_than(&self, hop: Hop) -> Vec<(LinkId, NeighbourId)> {
        let others = self.links.iter().filter(|(link, _)| Hop::Link(**link) != hop);
        others.map(|(link, at)| (*link, at.neighbour)).collect()
    }
}

/// What a flood asks.
fn question(message: &Signed<Flood, Verified>) -> Question {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&message.topic().0).update(&message.body());
    *hasher.finalize().as_bytes()
}
