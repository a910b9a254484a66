//! The victim, its neighbours, and what reaches it.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use bytes::BytesMut;
use mute_core::{
    Address, Label, LinkId, MessageId, PortId, Topic,
    wire::{
        Flood, Frame, Keep, KeepReport, LENGTH_PREFIX, Letter, Phase, Seek, SeekMode, Signed, Stamp, Trail, Verified,
        Walk, Way,
    },
};

use super::{ATTACKER, HONEST, PACE, Silent, VICTIM};
use crate::{Config, NETWORK, Network, NodeId, Signatures, Topology};

/// Where the stamp's random bits lie in a signed message: after the prefix, the network, the kind, the author and the minute.
const STAMP_RANDOM: usize = 6 + 16 + 1 + 32 + 4;

/// A victim and its two neighbours.
pub(super) struct Scene {
    pub(super) net: Network,
    authors: Vec<Address>,
    messages: Vec<Frame<Verified>>,
}

impl Scene {
    pub(super) fn new(seed: u64, signatures: Signatures) -> Self {
        let topology = Topology::joined(3, [(VICTIM, HONEST), (VICTIM, ATTACKER)]);
        let mut net = Network::new(Config { signatures, ..Config::new(seed) }, &topology);
        net.set_behaviour(ATTACKER, Some(Box::new(Silent)));
        Self { net, authors: Vec::new(), messages: Vec::new() }
    }

    /// Signs a message of each of so many authors, whose clocks are so many minutes ahead.
    pub(super) fn sign(&mut self, kind: usize, authors: u32, ahead: u32) {
        let minute = (self.net.now().unix_s / 60) as u32 + ahead;
        for author in 0..authors {
            let key = self.net.key(HONEST, 1000 + author);
            let stamp = Stamp { minute, random: u64::from(author) };
            let target = self.net.address(HONEST, 1);
            let (unknown, label) = (MessageId([author as u8; 16]), Label(u64::from(author) << 1));
            let frame = match kind {
                0 => Signed::<Flood, _>::sign(NETWORK, &key, stamp, Topic::of("spoofing"), b"who?")
                    .map(|message| Frame::Flood { phase: Phase::Hidden, message }),
                1 => Signed::<Seek, _>::sign(NETWORK, &key, stamp, target, &[9; 32])
                    .map(|message| Frame::Seek { mode: SeekMode::Directed, message }),
                2 => Signed::<Letter, _>::sign(NETWORK, &key, stamp, target, b"sealed")
                    .map(|message| Frame::Letter { message }),
                3 => {
                    Signed::<Walk, _>::sign(NETWORK, &key, stamp).map(|message| Frame::Walk { way: Way::Stem, message })
                }
                4 => Signed::<Trail, _>::sign(NETWORK, &key, stamp, unknown, &[9; 32])
                    .map(|message| Frame::Trail { label, message }),
                _ => Signed::<Keep, _>::sign(
                    NETWORK,
                    &key,
                    stamp,
                    unknown,
                    KeepReport { number: 1, ..KeepReport::default() },
                )
                .map(|message| Frame::Keep { label, message }),
            };
            self.authors.push(key.address());
            self.messages.extend(frame);
        }
    }

    /// The victim's link to a neighbour, which comes up again if it is down: an attacker dials again.
    pub(super) fn link(&mut self, neighbour: NodeId) -> Option<LinkId> {
        if let Some(edge) = self.net.edge_between(VICTIM, neighbour) {
            self.net.link_up(edge);
        }
        self.net.links(VICTIM).into_iter().find(|(other, _)| *other == neighbour).map(|(_, link)| link)
    }

    /// All messages reach the victim by a neighbour. `forged`: with other random bits than were signed.
    pub(super) fn say(&mut self, by: NodeId, forged: bool) {
        for place in 0..self.messages.len() {
            let Some(link) = self.link(by) else {
                return;
            };
            let frame = &self.messages[place];
            let mut bytes = BytesMut::with_capacity(frame.encoded_len());
            frame.write_header(&mut bytes);
            let head = bytes.len();
            bytes.extend_from_slice(&frame.body());
            if forged {
                bytes[head + STAMP_RANDOM] ^= 1;
            }
            self.net.deliver_bytes(VICTIM, link, bytes.freeze().slice(LENGTH_PREFIX..));
            self.net.rest(PACE);
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.net.router(VICTIM).map_or(0, |router| router.counters().live.scent_rows)
    }

    /// Waits until so many seconds of a minute of the wall clock have passed: of the next one, if this one's are over or just now.
    pub(super) fn wait_for(&mut self, second: u64) {
        let now = self.net.now().unix_s % 60;
        self.net.rest(Duration::from_secs((second + 59 - now) % 60 + 1));
    }

    pub(super) fn restart(&mut self, crash: bool) {
        if crash {
            self.net.crash(VICTIM);
            // Its neighbours notice when it is back, as a new link from it tells them.
            for neighbour in [HONEST, ATTACKER] {
                if let Some(edge) = self.net.edge_between(VICTIM, neighbour) {
                    self.net.link_down(edge);
                }
            }
        } else {
            self.net.stop(VICTIM);
        }
        self.net.start(VICTIM);
        self.net.rest(Duration::from_secs(1));
    }

    /// Ids that the victim remembers.
    pub(super) fn remembers(&self) -> u64 {
        self.net.router(VICTIM).map_or(0, |router| router.counters().live.seen)
    }

    /// The victim hears so many messages of others by the honest neighbour, and then as many by links of the attacker, each of which brings a few, as
    /// fill its memory.
    pub(super) fn evict(&mut self, [each, before]: [u64; 2], room: u64) {
        let minute = (self.net.now().unix_s / 60) as u32;
        let key = self.net.key(ATTACKER, 1);
        for number in 0..before + room {
            let by = if number < before { HONEST } else { ATTACKER };
            if number >= before
                && (number - before).is_multiple_of(each)
                && let Some(edge) = self.net.edge_between(VICTIM, ATTACKER)
            {
                self.net.link_down(edge);
            }
            let stamp = Stamp { minute, random: (1 << 32) + number };
            if let Some(link) = self.link(by)
                && let Ok(message) = Signed::<Walk, Verified>::sign(NETWORK, &key, stamp)
            {
                self.net.deliver(VICTIM, link, Frame::Walk { way: Way::Roam(0), message });
            }
        }
        self.net.rest(Duration::from_secs(1));
    }

    /// The victim writes to the authors. How many letters go to the attacker, of how many.
    pub(super) fn write(&mut self, letters: u32) -> (u64, u64) {
        let (port, _): (PortId, _) = self.net.open(VICTIM, 0);
        let Some(link) = self.link(ATTACKER) else {
            return (0, 0);
        };
        let known: BTreeSet<Address> = self.authors.iter().copied().collect();
        let drawn = Rc::new(RefCell::new(0u64));
        let of_tap = Rc::clone(&drawn);
        self.net.tap = Some(Box::new(move |_, node, by, frame| {
            if let Frame::Letter { message } = frame
                && (node, by) == (VICTIM, link)
                && known.contains(&message.to())
            {
                *of_tap.borrow_mut() += 1;
            }
        }));
        for _ in 0..letters {
            for author in self.authors.clone() {
                self.net.letter(VICTIM, port, author, "sealed");
                self.net.rest(PACE);
            }
        }
        self.net.tap = None;
        let drawn = *drawn.borrow();
        (drawn, u64::from(letters) * self.authors.len() as u64)
    }
}
