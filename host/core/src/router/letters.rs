//! Letters: sealed messages that follow scent without a trail.

use super::{Arrival, Event, Hop, Router};
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
        if self.arrive(hop, message.id(), message.stamp(), message.author()) != Some(Arrival::First) {
            return;
        }
        let to = message.to();
        if let Some((port, key)) = self.reader_of(to) {
            self.counters.letters.delivered += 1;
            let (from, id, sealed) = (message.author(), message.id(), message.sealed());
            return self.event(port, Event::Letter { from, id, key, sealed });
        }
        let random = self.random();
        let Some(Hop::Link(link)) = self.scent.choose(to, random, |next| self.usable(next, hop)) else {
            self.counters.drops.no_scent += 1;
            return;
        };
        self.counters.letters.passed(hop, 1);
        self.send(link, hop, Frame::Letter { message });
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
