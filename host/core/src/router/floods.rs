//! Floods: questions to everybody in reach. Where they end is the [`Horizon`](super::horizon)'s.
//!
//! The originator treats its own as one that it relays, so that a neighbour cannot tell the first hop from a later one.

use super::{Event, Hop, Router, delays::Matter, seen::Act};
use crate::{
    LinkId, MessageId, NeighbourId, PortId, Topic,
    wire::{Flood, Frame, Phase, Seek, SeekMode, Signed, Stamp, Verified},
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
        if self.arrive(hop, message.id(), message.stamp(), message.author()).is_some() {
            self.flood(hop, phase, Flooded::Flood(message));
        }
    }

    /// Does with a flooded message that has just arrived what did not happen before. A message that came as a tail and then comes in earnest
    /// is heard and passed on once more: else whoever is fast with tails could silence others' questions.
    pub(super) fn flood(&mut self, hop: Hop, phase: Phase, message: Flooded) {
        let (id, minute) = (message.id(), message.stamp().minute);
        self.heard_again(hop, id);
        let act = self.seen.act(id, minute, self.horizon.wanted(phase, self.neighbour_of(hop)));
        match act {
            Act::Nothing => {}
            Act::Hide => self.hide(hop, message),
            // It comes back as it went.
            Act::Spread if phase == Phase::Hidden && self.hidden.has(id) => self.hidden_due(id),
            Act::End | Act::Spread => {
                if phase == Phase::Hidden {
                    self.turn_back(hop, &message);
                }
                let spread = self.horizon.spread(phase, id, || message.question(), &self.others_than(hop));
                self.spread(hop, &message, spread);
                if let (Act::End, Flooded::Seek(seek)) = (act, message) {
                    self.follow_from_the_end(hop, seek);
                }
            }
        }
    }

    /// Lets a message spread that stays hidden no longer.
    pub(super) fn unhide(&mut self, hop: Hop, message: Flooded) {
        let id = message.id();
        // It does so whatever was done with it before, by somebody who wants to see it end early.
        self.seen.act(id, message.stamp().minute, Act::Spread);
        let spread = self.horizon.spread(Phase::Counted(0), id, || message.question(), &self.others_than(hop));
        self.spread(hop, &message, spread);
    }

    /// Lets the identities of this node hear a flooded message, if they did not before, and sends copies of it.
    fn spread(&mut self, hop: Hop, message: &Flooded, spread: Spread) {
        let heard = spread.heard && self.seen.hear(message.id(), message.stamp().minute);
        let copies = spread.to.len() as u64;
        let ours = match message {
            Flooded::Flood(flood) => heard && self.deliver_flood(hop, flood),
            Flooded::Seek(seek) => heard && self.deliver_seek(hop, seek),
        };
        if ours && !self.waits.defences.pass_floods_on {
            return;
        }
        match message {
            Flooded::Flood(_) => self.counters.floods.passed(hop, copies),
            Flooded::Seek(_) => self.counters.seeks.passed(hop, copies),
        }
        for (link, phase) in spread.to {
            if self.is_bad(message, link) {
                self.send_late(link, hop, message.detached().frame(phase));
            } else {
                self.send_copy(link, hop, message.frame(phase));
            }
        }
    }

    /// Whether trails to what is sought proved bad through a neighbour.
    pub(super) fn is_bad(&self, message: &Flooded, link: LinkId) -> bool {
        match message {
            Flooded::Flood(_) => false,
            Flooded::Seek(seek) => self.scent.is_bad(seek.target(), Hop::Link(link), self.now.instant),
        }
    }

    /// Lets the ports hear it that listen to its topic. Whether there is one.
    fn deliver_flood(&mut self, hop: Hop, message: &Signed<Flood, Verified>) -> bool {
        let topic = message.topic();
        let Some(ports) = self.topics.get(&topic) else {
            return false;
        };
        // Who asked does not hear the question, though it may come back from a neighbour.
        let asked = self.reply_keys.get(&message.author()).map(|key| key.port);
        for port in ports.clone() {
            if asked != Some(port) {
                self.counters.floods.delivered += 1;
                let (from, id, body) = (message.author(), message.id(), message.body());
                self.tell(port, hop, Matter::Question, Event::Heard { topic, from, id, body });
            }
        }
        true
    }

    /// Whose link a hop is; `None`: it is a port, or gone.
    pub(super) fn neighbour_of(&self, hop: Hop) -> Option<NeighbourId> {
        match hop {
            Hop::Link(link) => self.links.get(&link).map(|link| link.neighbour),
            Hop::Port(_) => None,
        }
    }

    /// Where a message may go that goes to more than one.
    pub(super) fn others_than(&self, hop: Hop) -> Vec<(LinkId, NeighbourId)> {
        let others = self.links.iter().filter(|(link, _)| Hop::Link(**link) != hop);
        others.map(|(link, at)| (*link, at.neighbour)).collect()
    }
}

/// A message that goes to everybody in reach.
#[derive(Clone)]
pub(super) enum Flooded {
    Flood(Signed<Flood, Verified>),
    Seek(Signed<Seek, Verified>),
}

impl Flooded {
    /// The same in memory of its own, for what is kept: a slice keeps all that it arrived together with.
    pub(super) fn detached(&self) -> Self {
        match self {
            Self::Flood(message) => Self::Flood(message.detached()),
            Self::Seek(message) => Self::Seek(message.detached()),
        }
    }

    pub(super) fn id(&self) -> MessageId {
        match self {
            Self::Flood(message) => message.id(),
            Self::Seek(message) => message.id(),
        }
    }

    pub(super) fn stamp(&self) -> Stamp {
        match self {
            Self::Flood(message) => message.stamp(),
            Self::Seek(message) => message.stamp(),
        }
    }

    /// What is asked, whoever asks.
    pub(super) fn question(&self) -> Question {
        match self {
            Self::Flood(message) => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(&message.topic().0).update(&message.body());
                *hasher.finalize().as_bytes()
            }
            Self::Seek(message) => message.target().0,
        }
    }

    pub(super) fn frame(&self, phase: Phase) -> Frame<Verified> {
        match self {
            Self::Flood(message) => Frame::Flood { phase, message: message.clone() },
            Self::Seek(message) => Frame::Seek { mode: SeekMode::Flood(phase), message: message.clone() },
        }
    }
}
