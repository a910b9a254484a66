//! The attackers: two neighbours of the target that share all they see, send what they like, and relay nothing.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use mute_core::{
    Address, DecodeError, Ecn, Hop, Label, LinkId, MessageId,
    wire::{Flood, Frame, Keep, KeepReport, Letter, Phase, Seek, SeekMode, Signed, Stamp, Trail, Verified, Walk, Way},
};

use super::{
    features::{Features, ms},
    town::{ATTACKERS, Life, TARGET, topic},
};
use crate::{Behaviour, NETWORK, Network, NodeId, Random, derive};

/// One of the attackers' two links: 0 or 1.
pub(super) type Side = usize;

/// Both.
pub(super) const SIDES: [Side; 2] = [0, 1];

/// A Trail that came.
#[derive(Clone)]
pub(super) struct Laid {
    pub(super) at: Duration,
    pub(super) side: Side,
    pub(super) label: Label,
    pub(super) message: Signed<Trail, Verified>,
}

/// All that the attackers saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) trails: BTreeMap<MessageId, Vec<Laid>>,
    pub(super) seeks: BTreeMap<(MessageId, Side), (Duration, SeekMode)>,
    pub(super) floods: BTreeMap<(MessageId, Side), (Duration, Phase)>,
    /// Letters, by whom they are for.
    pub(super) letters: BTreeMap<Address, Vec<(Duration, Side)>>,
    pub(super) data: BTreeMap<(Side, Label), Vec<Duration>>,
    pub(super) closes: BTreeMap<(Side, Label), Vec<Duration>>,
    pub(super) keeps: BTreeMap<(Side, Label), Vec<Duration>>,
    /// How many frames came, by kind.
    kinds: [BTreeMap<&'static str, u64>; 2],
    /// Walks that were shown on the other link.
    carried: BTreeSet<MessageId>,
    /// Seeks whose Trail is refused as soon as it comes.
    pub(super) refused: BTreeSet<MessageId>,
}

impl Seen {
    fn note(&mut self, at: Duration, side: Side, frame: Frame<Verified>) {
        let kind = match frame {
            Frame::Flood { phase, message } => {
                self.floods.entry((message.id(), side)).or_insert((at, phase));
                "floods"
            }
            Frame::Seek { mode, message } => {
                self.seeks.entry((message.id(), side)).or_insert((at, mode));
                match mode {
                    SeekMode::Directed => "directed seeks",
                    SeekMode::Flood(_) => "flooded seeks",
                    SeekMode::Walk(_) => "walking seeks",
                }
            }
            Frame::Trail { label, message } => {
                self.trails.entry(message.seek()).or_default().push(Laid { at, side, label, message });
                "trails"
            }
            Frame::Keep { label, .. } => {
                self.keeps.entry((side, label)).or_default().push(at);
                "keeps"
            }
            Frame::Letter { message } => {
                self.letters.entry(message.to()).or_default().push((at, side));
                "letters"
            }
            Frame::Walk { .. } => "walks",
            Frame::Data { label, .. } => {
                self.data.entry((side, label)).or_default().push(at);
                "packets"
            }
            Frame::Close { label } => {
                self.closes.entry((side, label)).or_default().push(at);
                "closes"
            }
        };
        *self.kinds[side].entry(kind).or_default() += 1;
    }
}

/// Lies around an attacker's router, which hears nothing.
struct Ear {
    side: Side,
    seen: Rc<RefCell<Seen>>,
}

impl Ear {
    /// Genuine Walks of one link are shown on the other at once: it shall smell there of their authors.
    fn carry(&self, net: &mut Network, seen: &mut Seen, walk: &Signed<Walk, Verified>) {
        let other = ATTACKERS[1 - self.side];
        let link = net.links(other).into_iter().find(|(neighbour, _)| *neighbour == TARGET).map(|(_, link)| link);
        if let Some(link) = link
            && seen.carried.insert(walk.id())
        {
            net.transmit(other, link, Hop::Link(link), Frame::Walk { way: Way::Stem, message: walk.clone() });
        }
    }
}

impl Behaviour for Ear {
    fn inbound(
        &mut self,
        net: &mut Network,
        node: NodeId,
        link: LinkId,
        frame: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        let mut seen = self.seen.borrow_mut();
        if let Frame::Trail { label, message } = &frame
            && seen.refused.remove(&message.seek())
        {
            net.transmit(node, link, Hop::Link(link), Frame::Close { label: *label });
        }
        if let Frame::Walk { message, .. } = &frame {
            self.carry(net, &mut seen, message);
        }
        seen.note(net.clock(), self.side, frame);
        None
    }
}

/// An attack under way.
pub(super) struct Attack<'a> {
    pub(super) net: &'a mut Network,
    pub(super) life: &'a mut Life,
    pub(super) seen: Rc<RefCell<Seen>>,
    pub(super) target: Address,
    pub(super) random: Random,
    pub(super) features: Features,
    /// The longest that an answer takes, and some more.
    pub(super) patience: Duration,
    links: [LinkId; 2],
    made: u32,
    /// Which key signs Seeks now, and which signed each.
    seeker: u32,
    seekers: BTreeMap<MessageId, u32>,
}

impl<'a> Attack<'a> {
    /// Puts the attackers in place.
    pub(super) fn new(
        net: &'a mut Network,
        life: &'a mut Life,
        target: Address,
        seed: u64,
        patience: Duration,
    ) -> Self {
        let seen = Rc::new(RefCell::new(Seen::default()));
        let links = ATTACKERS.map(|node| {
            let link = net.links(node).into_iter().find(|(neighbour, _)| *neighbour == TARGET);
            link.map_or(LinkId(0), |(_, link)| link)
        });
        for (side, node) in ATTACKERS.into_iter().enumerate() {
            net.set_behaviour(node, Some(Box::new(Ear { side, seen: Rc::clone(&seen) })));
        }
        let (random, features) = (Random::new(seed, "attack"), Features::default());
        Self {
            net,
            life,
            seen,
            target,
            random,
            features,
            patience,
            links,
            made: 0,
            seeker: 1,
            seekers: BTreeMap::new(),
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.net.clock() + time;
        self.net.run(self.life, until);
    }

    /// Lets a little time pass, between 5 and 15 ms.
    pub(super) fn pause(&mut self) {
        let time = Duration::from_micros(5_000 + self.random.below(10_000) as u64);
        self.pass(time);
    }

    pub(super) fn now(&self) -> Duration {
        self.net.clock()
    }

    /// Sends a frame to the target. When that was.
    pub(super) fn send(&mut self, side: Side, frame: Frame<Verified>) -> Duration {
        self.net.transmit(ATTACKERS[side], self.links[side], Hop::Link(self.links[side]), frame);
        self.net.clock()
    }

    fn stamp(&mut self) -> Stamp {
        Stamp { minute: (self.net.now().unix_s / 60) as u32, random: self.random.bits() }
    }

    /// A number of its own, for one-time keys.
    fn number(&mut self) -> u32 {
        self.made += 1;
        1 + self.made
    }

    /// From now on other seekers ask, whom nobody knows.
    pub(super) fn change_seekers(&mut self) {
        self.seeker = self.number();
    }

    /// A Seek for the address.
    pub(super) fn seek(&mut self, side: Side) -> Signed<Seek, Verified> {
        let (key, stamp) = (self.net.key(ATTACKERS[side], self.seeker), self.stamp());
        let share = derive(stamp.random, "share", 0);
        let message = made(Signed::<Seek, Verified>::sign(NETWORK, &key, stamp, self.target, &share));
        self.seekers.insert(message.id(), self.seeker);
        message
    }

    /// A question on the owner's topic, by a one-time key.
    pub(super) fn question(&mut self, side: Side, body: &[u8]) -> Signed<Flood, Verified> {
        let (number, stamp) = (self.number(), self.stamp());
        let key = self.net.key(ATTACKERS[side], number);
        made(Signed::<Flood, Verified>::sign(NETWORK, &key, stamp, topic(), body))
    }

    /// A letter to the address, by a one-time key.
    pub(super) fn letter(&mut self, side: Side) -> Signed<Letter, Verified> {
        let (number, stamp) = (self.number(), self.stamp());
        let key = self.net.key(ATTACKERS[side], number);
        made(Signed::<Letter, Verified>::sign(NETWORK, &key, stamp, self.target, &[0; 100]))
    }

    /// A Keep of a seeker's end of a trail.
    pub(super) fn keep(&mut self, laid: &Laid, author: Side, number: u32) -> Frame<Verified> {
        let seeker = self.seekers.get(&laid.message.seek()).copied().unwrap_or_default();
        let (key, stamp) = (self.net.key(ATTACKERS[author], seeker), self.stamp());
        let report = KeepReport { number, received: 0, sent: 0 };
        let message = made(Signed::<Keep, Verified>::sign(NETWORK, &key, stamp, laid.message.seek(), report));
        Frame::Keep { label: laid.label, message }
    }

    /// Sends a packet on a trail.
    pub(super) fn packet(&mut self, laid: &Laid, what: u8, size: usize) -> Duration {
        let mut body = vec![0; size];
        body[0] = what;
        self.send(laid.side, Frame::Data { label: laid.label, ecn: Ecn::Capable0, body: Bytes::from(body) })
    }

    /// A label of this side's choice.
    pub(super) fn label(&mut self, side: Side) -> Label {
        // The first attacker has dialled.
        Label(self.random.bits() & !1 | u64::from(side == 0))
    }

    /// What there is of a kind, on each side.
    pub(super) fn count_kinds(&mut self) {
        const KINDS: [&str; 10] = [
            "floods",
            "directed seeks",
            "flooded seeks",
            "walking seeks",
            "walks",
            "trails",
            "keeps",
            "letters",
            "packets",
            "closes",
        ];
        for side in SIDES {
            for kind in KINDS {
                let count = self.seen.borrow().kinds[side].get(kind).copied().unwrap_or(0);
                self.features.put(format!("{kind} on link {side}"), count as f64);
            }
        }
    }

    /// The first Trail that came for a Seek.
    pub(super) fn laid(&self, seek: MessageId) -> Option<Laid> {
        self.seen.borrow().trails.get(&seek).and_then(|laid| laid.first().cloned())
    }

    /// How long after `sent` something came, in ms.
    pub(super) fn since(sent: Duration, came: Option<Duration>) -> Option<f64> {
        came.map(|came| ms(came.saturating_sub(sent)))
    }
}

/// What an attacker makes is well formed: all lengths are constant, and no share is weak but by a chance of 2⁻²⁵⁰.
fn made<T>(message: Result<T, DecodeError>) -> T {
    message.expect("lengths are constant and shares random")
}
