//! Letters: sealed messages that follow scent without a trail.

use super::{Event, Hop, Router, delays::Matter};
use crate::{
    Address, IdentityKey, PortId,
    wire::{Frame, Letter, Signed, Verified},
};

impl Router {
    pub(super) fn write_letter(&mut self, port: PortId, to: Address, sealed: &[u8]) {
        let (seed, key) = self.one_time_key();
        let stamp = self.stamp();
        let Ok(message) = Signed::<Letter, Verified>::sign(self.network, &key, stamp, to, sealed) else {
            self.counters.drops.invalid += 1;
            return;
        };
        let hop = Hop::Port(port);
        if self.pay(hop, &Frame::Letter { message: message.clone() }) {
            self.expect_replies(port, message.author(), seed);
            self.on_letter(hop, message);
        }
    }

    pub(super) fn on_letter(&mut self, hop: Hop, message: Signed<Letter, Verified>) {
        let arrival = self.arrive(hop, message.id(), message.stamp(), message.author());
        let take_once = self.waits.defences.take_once;
        if !arrival.is_some_and(|arrival| arrival.is_first() || !take_once) {
            return;
        }
        let to = message.to();
        let reader = self.reader_of(to);
        let own = reader.as_ref().map(|(port, _)| *port);
        // What one identity of a node writes to another has no way to take.
        let chosen = match own {
            Some(port) if matches!(hop, Hop::Port(_)) || !self.waits.defences.follow_row => Some(Hop::Port(port)),
            // The copies of a flood lay scent of who asked by many ways, of which some lead round: with choices by chance a letter of two hops
            // would arrive less often than one of one.
            _ => self.scent.strongest(to, self.now.instant, |next| self.usable(next, hop, own)),
        };
        match (chosen, reader) {
            (Some(Hop::Link(link)), _) => {
                self.counters.letters.passed(hop, 1);
                self.send(link, hop, Frame::Letter { message });
            }
            (Some(Hop::Port(_)), Some((port, key))) => {
                self.counters.letters.delivered += 1;
                let (from, id, sealed) = (message.author(), message.id(), message.sealed());
                self.tell(port, hop, Matter::Question, Event::Letter { from, id, key, sealed });
            }
            _ => self.counters.drops.no_scent += 1,
        }
    }

    /// The port that letters to `to` are for, and the one-time key if that is what they are sealed to.
    fn reader_of(&self, to: Address) -> Option<(PortId, Option<IdentityKey>)> {
        if let Some(port) = self.owners.get(&to) {
            return Some((*port, None));
        }
        let reply = self.reply_keys.get(&to)?;
        Some((reply.port, Some(self.crypto.identity(&reply.seed))))
    }
}
