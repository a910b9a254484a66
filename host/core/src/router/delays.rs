//! What waits: for an identity to hear it, and for a neighbour that is to hear of a flood a moment later.
//!
//! [`crate::profile`] says why. Everything that happens to an identity passes here, in order, as over a link that always takes
//! equally long; what a network's profile does not delay passes at once. What waits is bounded in bytes over all, and shared by a
//! dynamic threshold (Choudhury and Hahne 1998): nobody may hold more than is free, so that whoever takes all he can leaves as much to
//! the next, and pushes nobody out.

use core::time::Duration;
use std::collections::BTreeMap;

use super::{
    Close, Event, Hop, Output, Role, Router,
    data::End,
    limits::{HELD_BYTES, LEAST_HELD_BYTES, MAX_OUTPUTS, OTHER_WAY_PATIENCE, RELEASES_PER_TICK},
    ports::Port,
    trails::{BindingId, Side, Towards},
};
use crate::{
    Address, ConnectionId, Ecn, Instant, LinkId, NeighbourId, PortId, TrailId,
    profile::{Defences, Shape, exponential},
    wire::{Frame, Phase, Seek, Signed, Verified},
};

/// What something that waits is about, for the defences.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Matter {
    /// It may be answered.
    Question,
    /// It belongs to a trail.
    Packet,
}

/// How long things wait: draws that hang on a secret, so that nobody else can make them.
pub(super) struct Waits {
    key: [u8; 32],
    pub(super) shape: Shape,
    pub(super) defences: Defences,
}

impl Waits {
    pub(super) fn new(secret: &[u8; 32], shape: Shape) -> Self {
        Self { key: blake3::derive_key("mute/1 waits", secret), shape, defences: Defences::default() }
    }

    /// How long an identity waits for all that it hears.
    pub(super) fn of_identity(&self, address: Address) -> Duration {
        exponential(self.draw(&[b"identity", &address.0]), self.shape.turnaround)
    }

    /// The same by the neighbour that something came from, for experiments.
    fn of_identity_and_neighbour(&self, address: Address, neighbour: NeighbourId) -> Duration {
        let draw = self.draw(&[b"identity and neighbour", &address.0, &neighbour.0.to_be_bytes()]);
        exponential(draw, self.shape.turnaround)
    }

    /// How long a copy of a flooded message waits before it goes to a neighbour: equally long for all that look for the same address, or
    /// are about the same topic.
    fn of_copy<S>(&self, neighbour: NeighbourId, frame: &Frame<S>) -> Duration {
        if self.shape.jitter.is_zero() {
            return Duration::ZERO;
        }
        let neighbour = neighbour.0.to_be_bytes();
        let draw = match frame {
            Frame::Seek { message, .. } => self.draw(&[b"seek", &message.target().0, &neighbour]),
            Frame::Flood { message, .. } => self.draw(&[b"flood", &message.topic().0, &neighbour]),
            // Nothing else is flooded.
            _ => return Duration::ZERO,
        };
        exponential(draw, self.shape.jitter)
    }

    fn draw(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().as_bytes().first_chunk().map_or(0, |draw| u64::from_be_bytes(*draw))
    }
}

/// Who is charged for what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Account {
    /// What came by this hop for this port.
    Port(PortId, Hop),
    /// Flooded messages that came by this hop.
    Flood(Hop),
}

/// What waits.
pub(super) enum Held {
    /// A port is to hear of something.
    Event(PortId, Event),
    /// A Seek is to be answered by its target's port.
    Seek { port: PortId, hop: Hop, message: Signed<Seek, Verified> },
    /// A flooded Seek came by a hop through which trails of its author proved bad: it goes on unless it has come by another.
    BadSeek { hop: Hop, phase: Phase, message: Signed<Seek, Verified> },
    /// An end of a trail is to hear that the trail has proved bad.
    BadNews(TrailId),
    /// A Trail that its seeker has no use for is to be closed.
    Unwanted(BindingId),
    /// A copy of a flooded message is to go to a neighbour.
    Copy { link: LinkId, ingress: Hop, frame: Frame<Verified> },
}

impl Held {
    fn bytes(&self) -> usize {
        let bytes = match self {
            Self::Event(_, Event::Data { body, .. } | Event::Heard { body, .. }) => body.len(),
            Self::Event(_, Event::Letter { sealed, .. }) => sealed.len(),
            Self::Seek { message, .. } | Self::BadSeek { message, .. } => message.bytes().len(),
            Self::Copy { frame, .. } => frame.encoded_len(),
            Self::Event(..) | Self::BadNews(..) | Self::Unwanted(_) => 0,
        };
        bytes.max(LEAST_HELD_BYTES)
    }

    /// Whether it may be lost: others repeat it, or do without.
    fn may_be_lost(&self) -> bool {
        match self {
            Self::Event(_, event) => {
                matches!(event, Event::Data { .. } | Event::Heard { .. } | Event::Letter { .. })
            }
            Self::Seek { .. } | Self::BadSeek { .. } | Self::Copy { .. } => true,
            Self::BadNews(..) | Self::Unwanted(_) => false,
        }
    }
}

struct Waiting {
    account: Account,
    bytes: usize,
    what: Held,
}

/// All that waits, in the order in which it is due.
#[derive(Default)]
pub(super) struct Delays {
    due: BTreeMap<(Instant, u64), Waiting>,
    held: BTreeMap<Account, usize>,
    bytes: usize,
    next: u64,
}

/// What becomes of something that is to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Plenty,
    /// There is room, and its account holds half of what it may.
    Scarce,
    None,
}

impl Delays {
    fn room(&self, account: Account, bytes: usize) -> Room {
        let free = HELD_BYTES.saturating_sub(self.bytes);
        match self.held.get(&account).map_or(bytes, |held| held + bytes) {
            held if held > free => Room::None,
            held if held > free / 2 => Room::Scarce,
            _ => Room::Plenty,
        }
    }

    fn put(&mut self, at: Instant, account: Account, what: Held) {
        let bytes = what.bytes();
        *self.held.entry(account).or_default() += bytes;
        self.bytes += bytes;
        self.due.insert((at, self.next), Waiting { account, bytes, what });
        self.next += 1;
    }

    /// Takes the first that is due.
    fn take(&mut self, now: Instant) -> Option<Held> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let Waiting { account, bytes, what } = first.remove();
        self.bytes -= bytes;
        if let Some(held) = self.held.get_mut(&account) {
            *held -= bytes;
            if *held == 0 {
                self.held.remove(&account);
            }
        }
        Some(what)
    }

    /// When the first is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much of the room is taken, 0 to 3, as of a link's queue.
    pub(super) fn level(&self) -> u8 {
        // At most 3.
        (self.bytes * 4 / HELD_BYTES).min(3) as u8
    }
}

#[cfg(any(feature = "fuzzing", feature = "simulation"))]
impl Delays {
    /// Panics if the sums are wrong, too much is held, or something waits for longer than anything may.
    pub(super) fn assert_consistent(&self, now: Instant, longest: Duration) {
        let mut held: BTreeMap<Account, usize> = BTreeMap::new();
        for ((at, number), waiting) in &self.due {
            assert!(*at <= now + longest && *number < self.next);
            *held.entry(waiting.account).or_default() += waiting.bytes;
        }
        assert_eq!(held.values().sum::<usize>(), self.bytes);
        assert_eq!(held, self.held);
        let waiting = self.due.range((now, u64::MAX)..).map(|(_, waiting)| waiting.bytes).sum::<usize>();
        assert!(waiting <= HELD_BYTES);
    }
}

impl Port {
    /// Whether what it hears waits at all.
    pub(super) fn waits(&self) -> bool {
        !self.hold.is_zero()
    }
}

impl Router {
    /// How long what came by `hop` waits for a port.
    fn hold(&mut self, port: PortId, hop: Hop, matter: Matter) -> Duration {
        let Some((address, hold)) = self.ports.get(&port).map(|port| (port.address, port.hold)) else {
            return Duration::ZERO;
        };
        let Defences { hold_questions, hold_packets, stable_holds, one_hold, .. } = self.waits.defences;
        match matter {
            Matter::Question if !hold_questions => Duration::ZERO,
            Matter::Packet if !hold_packets => Duration::ZERO,
            Matter::Question if !stable_holds => exponential(self.random(), self.waits.shape.turnaround),
            _ if !one_hold => match hop {
                Hop::Link(link) => self
                    .links
                    .get(&link)
                    .map_or(hold, |link| self.waits.of_identity_and_neighbour(address, link.neighbour)),
                Hop::Port(_) => hold,
            },
            _ => hold,
        }
    }

    /// What a port hears of by itself waits as long as what it hears by any neighbour.
    pub(super) fn hold_of(&mut self, port: PortId) -> Duration {
        self.hold(port, Hop::Port(port), Matter::Packet)
    }

    /// A port is to hear of something that came by `hop`.
    pub(super) fn tell(&mut self, port: PortId, hop: Hop, matter: Matter, mut event: Event) {
        if !self.ports.get(&port).is_some_and(Port::waits) {
            return self.hear(port, event);
        }
        let account = Account::Port(port, hop);
        if let Event::Data { ecn: ecn @ (Ecn::Capable0 | Ecn::Capable1), body, .. } = &mut event
            && self.delays.room(account, body.len()) == Room::Scarce
        {
            *ecn = Ecn::Experienced;
        }
        let wait = self.hold(port, hop, matter);
        if wait.is_zero() {
            return self.release(Held::Event(port, event));
        }
        self.put_off(wait, account, Held::Event(port, event));
    }

    /// Hands a port an event at once.
    fn hear(&mut self, port: PortId, event: Event) {
        self.outputs.push_back(Output::Event { port, event });
    }

    /// Something that happens to an identity by itself.
    pub(super) fn event(&mut self, port: PortId, event: Event) {
        self.tell(port, Hop::Port(port), Matter::Packet, event);
    }

    /// A Seek has reached the port of its target.
    pub(super) fn bring_seek(&mut self, port: PortId, hop: Hop, message: &Signed<Seek, Verified>) {
        let wait = self.hold(port, hop, Matter::Question);
        if wait.is_zero() {
            return self.answer(port, hop, message);
        }
        self.put_off(wait, Account::Port(port, hop), Held::Seek { port, hop, message: message.detached() });
    }

    /// A flooded Seek has come by a bad way first: it waits a moment for another.
    pub(super) fn wait_for_another_way(&mut self, hop: Hop, phase: Phase, message: &Signed<Seek, Verified>) {
        let what = Held::BadSeek { hop, phase, message: message.detached() };
        self.put_off(OTHER_WAY_PATIENCE, Account::Flood(hop), what);
    }

    /// The other end's Keep has shown an end that its trail is bad.
    pub(super) fn bring_bad_news(&mut self, port: PortId, trail: TrailId) {
        let wait = self.hold_of(port);
        if wait.is_zero() {
            return self.hear_bad_news(trail);
        }
        self.put_off(wait, Account::Port(port, Hop::Port(port)), Held::BadNews(trail));
    }

    /// A Trail has come that the port which sought has no use for any more: it refuses it when it hears of it. `None`: it does so at once.
    pub(super) fn refuse_later(
        &mut self,
        port: PortId,
        connection: ConnectionId,
        binding: BindingId,
        owner: Side,
    ) -> Option<Side> {
        let wait = self.hold_of(port);
        if wait.is_zero() {
            return None;
        }
        let trail = self.next_trail();
        let end = End { unwanted: true, ..End::new(port, binding, owner, Role::Seeker { connection }, None) };
        self.ends.insert(trail, end);
        self.put_off(wait, Account::Port(port, Hop::Port(port)), Held::Unwanted(binding));
        Some(Side::Port { port, trail })
    }

    /// Sends a copy of a flooded message to a neighbour, a moment later.
    pub(super) fn send_copy(&mut self, link: LinkId, ingress: Hop, frame: Frame<Verified>) {
        let Some(wait) = self.links.get(&link).map(|to| self.waits.of_copy(to.neighbour, &frame)) else {
            return;
        };
        if wait.is_zero() {
            return self.send(link, ingress, frame);
        }
        self.put_off(wait, Account::Flood(ingress), Held::Copy { link, ingress, frame });
    }

    /// Sends a copy of a Seek to a neighbour through which trails to its target proved bad: what goes by others is to be faster.
    pub(super) fn send_late(&mut self, link: LinkId, ingress: Hop, frame: Frame<Verified>) {
        self.put_off(OTHER_WAY_PATIENCE, Account::Flood(ingress), Held::Copy { link, ingress, frame });
    }

    /// Lets something wait, if there is room; what must not be lost is due at once where there is none.
    fn put_off(&mut self, wait: Duration, account: Account, what: Held) {
        let now = self.now.instant;
        match self.delays.room(account, what.bytes()) {
            Room::None if what.may_be_lost() => self.counters.drops.full += 1,
            Room::None if self.delays.bytes + what.bytes() > HELD_BYTES => self.delays.put(now, account, what),
            _ => self.delays.put(now + wait, account, what),
        }
    }

    /// Does what has waited long enough.
    pub(super) fn release_due(&mut self) {
        for _ in 0..RELEASES_PER_TICK {
            let Some(what) = self.delays.take(self.now.instant) else {
                return;
            };
            self.release(what);
        }
    }

    fn release(&mut self, what: Held) {
        match what {
            Held::Event(port, event) => {
                if let Event::Data { trail, .. } = &event {
                    if self.outputs.len() >= MAX_OUTPUTS {
                        self.counters.drops.full += 1;
                        return;
                    }
                    self.count_heard(*trail);
                }
                self.hear(port, event);
            }
            Held::Seek { port, hop, message } => self.answer(port, hop, &message),
            Held::BadSeek { hop, phase, message } => self.flood_seek(hop, phase, message),
            Held::BadNews(trail) => self.hear_bad_news(trail),
            Held::Unwanted(binding) => self.break_at(binding, Towards::Seeker, Close::Busy),
            Held::Copy { link, ingress, frame } => self.send(link, ingress, frame),
        }
    }
}
