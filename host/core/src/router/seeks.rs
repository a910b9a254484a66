//! Seeks: how an address's owner is found, and how its answer finds the way back.

use rand_core::Rng as _;

use super::{
    Arrival, Close, Event, Hop, Role, Router,
    data::End,
    floods::Flooded,
    limits::{MAX_OWNED_TRAILS_PER_PORT, SEEK_SILENCE, WAKE_UPS_PER_TICK},
    shares::Room,
    timers::Timer,
    trails::Side,
};
use crate::{
    Address, ConnectionId, MessageId, PortId, TrailKeys,
    keys::{ShareSecret, TrailEnd},
    wire::{Frame, Phase, Seek, SeekMode, Signed, Trail, Verified},
};

impl Router {
    pub(super) fn on_seek(&mut self, hop: Hop, mode: SeekMode, message: Signed<Seek, Verified>) {
        let (id, stamp, author) = (message.id(), message.stamp(), message.author());
        let arrival = match mode {
            SeekMode::Walk(_) => self.arrive_walking(hop, id, stamp, author),
            SeekMode::Directed | SeekMode::Flood(_) => self.arrive(hop, id, stamp, author),
        };
        let Some(arrival) = arrival else {
            return;
        };
        let first = arrival.is_first();
        if first && !self.remember(hop, &message, arrival, None) {
            return;
        }
        self.remember_copy(hop, message.id());
        match mode {
            SeekMode::Directed if first => self.direct_seek(hop, message),
            SeekMode::Directed => {}
            SeekMode::Walk(way) if self.seeks.get(message.id()).is_some() => self.walk_seek(hop, way, arrival, message),
            SeekMode::Flood(phase) if self.scent.is_bad(author, hop, self.now.instant) => {
                if first {
                    self.wait_for_another_way(hop, phase, &message);
                }
            }
            SeekMode::Flood(phase) if self.seeks.get(message.id()).is_some() => self.flood_seek(hop, phase, message),
            // A late copy of one that is forgotten: no Trail would find its way back.
            SeekMode::Flood(_) | SeekMode::Walk(_) => {}
        }
    }

    /// A flooded Seek has come. Where trails of its target pass it follows them, and spreads no further.
    ///
    /// Else whoever puts in Seeks would learn from their Trails how long each way round is, and that there is one: behind a relay the ways of
    /// hidden floods differ, at an owner none does. A row with live trails is no promise of yesterday: both ends' Keeps come along them.
    pub(super) fn flood_seek(&mut self, hop: Hop, phase: Phase, message: Signed<Seek, Verified>) {
        match self.live_way(message.target()) {
            None => self.flood(hop, phase, Flooded::Seek(message)),
            // It came from where it would go to: whoever sent it is nearer.
            Some(next) if next == hop => {}
            // One that spreads elsewhere may be answered there: only one that is hidden, and comes to nothing here, says anything of the way.
            Some(_) => self.follow(hop, message, phase == Phase::Hidden),
        }
    }

    /// Where trails of an address go that are alive and well, in networks that hide whose they are.
    fn live_way(&self, address: Address) -> Option<Hop> {
        if self.waits.shape.turnaround.is_zero() || !self.waits.defences.follow_scent {
            return None;
        }
        let own = self.owners.get(&address).copied();
        self.scent.live_way(address, self.now.instant, |next| match next {
            Hop::Link(link) => self.links.get(&link).map(|link| link.load),
            Hop::Port(port) => (own == Some(port)).then(|| self.delays.level()),
        })
    }

    /// Remembers a Seek that has arrived first. `false`: there is no room for it.
    pub(super) fn remember(
        &mut self,
        hop: Hop,
        message: &Signed<Seek, Verified>,
        arrival: Arrival,
        connection: Option<ConnectionId>,
    ) -> bool {
        let Some(number) = self.hop_number(hop) else {
            return false;
        };
        let ends = [message.target(), message.author()];
        if !self.seeks.insert(message.id(), ends, number, connection, self.now.instant) {
            self.counters.drops.full += 1;
            return false;
        }
        if let Some(entry) = self.seeks.get_mut(message.id()) {
            entry.doubtful = arrival == Arrival::Doubtful;
        }
        self.watch_seeks();
        true
    }

    fn remember_copy(&mut self, hop: Hop, id: MessageId) {
        if let Some(number) = self.hop_number(hop) {
            self.seeks.add_hop(id, number);
        }
    }

    /// Wakes up for the first Seek that is due.
    fn watch_seeks(&mut self) {
        match self.seeks.next_due() {
            Some(at) => self.timers.set(Timer::Seeks, at),
            None => self.timers.cancel(Timer::Seeks),
        }
    }

    /// Sends a Seek along the scent of its target. One for an identity of this node goes where the row says as well, which may be a neighbour:
    /// then somebody else answers, or nobody.
    pub(super) fn direct_seek(&mut self, hop: Hop, message: Signed<Seek, Verified>) {
        self.follow(hop, message, true);
    }

    /// Sends a Seek along scent. `judged`: that nobody answers tells against the way it took.
    fn follow(&mut self, hop: Hop, message: Signed<Seek, Verified>, judged: bool) {
        let id = message.id();
        if self.seeks.get_mut(id).is_some_and(|entry| core::mem::replace(&mut entry.followed, true)) {
            return;
        }
        let own = self.owners.get(&message.target()).copied();
        let random = self.random();
        let chosen = match own {
            Some(port) if !self.waits.defences.follow_row => Some(Hop::Port(port)),
            _ => self.scent.choose(message.target(), random, self.now.instant, |next| self.usable(next, hop, own)),
        };
        let Some(next) = chosen else {
            return self.scent_lost(hop, message);
        };
        if let Some(number) = self.hop_number(next).filter(|_| judged) {
            let silence = SEEK_SILENCE + self.waits.shape.longest_turnaround();
            self.seeks.choose(message.id(), number, self.now.instant + silence);
            self.watch_seeks();
        }
        match next {
            Hop::Link(link) => {
                self.counters.seeks.passed(hop, 1);
                self.send(link, hop, Frame::Seek { mode: SeekMode::Directed, message });
            }
            Hop::Port(port) => self.offer_to_owner(port, hop, &message),
        }
    }

    /// Lets a local owner hear a flooded Seek. Whether there is one.
    pub(super) fn deliver_seek(&mut self, hop: Hop, message: &Signed<Seek, Verified>) -> bool {
        let own = self.owners.get(&message.target()).copied();
        if let Some(port) = own {
            self.offer_to_owner(port, hop, message);
        }
        own.is_some()
    }

    /// Where the flood of a Seek ends it follows scent: else whoever puts in a Seek at its end would learn from the answer that the owner is not
    /// far behind.
    pub(super) fn follow_from_the_end(&mut self, hop: Hop, message: Signed<Seek, Verified>) {
        let own = self.owners.get(&message.target()).copied();
        let smells = || self.scent.has(message.target(), |next| self.usable(next, hop, own).is_some());
        if self.waits.defences.follow_scent && smells() {
            self.direct_seek(hop, message);
        }
    }

    /// Judges silence and forgets, a portion at a time.
    pub(super) fn seeks_due(&mut self) {
        let now = self.now.instant;
        for _ in 0..WAKE_UPS_PER_TICK {
            let Some(silence) = self.seeks.take_due(now) else {
                break;
            };
            if let Some((target, chosen)) = silence
                && let Some(hop) = self.hop_of(chosen)
            {
                self.scent.weaken_for_silence(target, hop, now);
            }
        }
        self.watch_seeks();
    }

    /// A link is gone for good: Seeks that came by no other have no way back.
    pub(super) fn forget_lost_seeks(&mut self) {
        let numbers = &self.numbers;
        self.seeks.forget_lost(|hop| numbers.contains_key(&hop));
    }

    /// Lets a local owner answer, when it has heard of the Seek: each once, by the hop that it came by first.
    fn offer_to_owner(&mut self, port: PortId, hop: Hop, message: &Signed<Seek, Verified>) {
        let now = self.now.instant;
        if !self.ports.get(&port).is_some_and(|port| port.listening) {
            return;
        }
        if self.seeks.get_mut(message.id()).is_some_and(|entry| core::mem::replace(&mut entry.offered, true)) {
            return;
        }
        self.counters.seeks.delivered += 1;
        if self.budgets(hop).is_some_and(|budgets| budgets.answers.take(1, now)) {
            self.bring_seek(port, hop, message);
        } else {
            self.counters.drops.budget += 1;
        }
    }

    /// A port answers a Seek, if it still listens and has room for one more trail.
    pub(super) fn answer(&mut self, port: PortId, hop: Hop, message: &Signed<Seek, Verified>) {
        if !self.ports.get(&port).is_some_and(|port| port.listening) || !self.make_room_at(port, hop) {
            return;
        }
        let seek = message.id();
        let secret = self.share_secret();
        let stamp = self.stamp();
        let Some(owner) = self.ports.get(&port) else {
            return;
        };
        let share = secret.public();
        let Ok(answer) = Signed::<Trail, Verified>::sign(self.network, &owner.key, stamp, seek, &share) else {
            return;
        };
        let Some(keys) = TrailKeys::agree(&secret, &message.share(), seek, answer.id(), TrailEnd::Owner) else {
            return;
        };
        let trail = self.next_trail();
        let Some((binding, to)) = self.bind(Side::Port { port, trail }, answer) else {
            return;
        };
        let end = End { charged: Some(hop), ..End::new(port, binding, to, Role::Owner, None) };
        self.ends.insert(trail, end);
        if let Some(owner) = self.ports.get_mut(&port) {
            owner.owned.insert(hop, trail);
        }
        self.start_keeps(trail);
        self.event(port, Event::TrailOpened { trail, role: Role::Owner, seek, keys });
    }

    /// Makes room for one more trail of a port, to answer what came by `hop`. `false`: there is none.
    fn make_room_at(&mut self, port: PortId, hop: Hop) -> bool {
        let Some(owner) = self.ports.get(&port) else {
            return false;
        };
        let used = |trail| self.ends.get(&trail).map(|end| self.received(end));
        match owner.owned.room(hop, MAX_OWNED_TRAILS_PER_PORT, used) {
            Room::Free => true,
            Room::InsteadOf(trail) if self.waits.defences.share_places => {
                if let Some(end) = self.ends.get(&trail) {
                    self.unbind(end.binding, None, Close::Busy);
                }
                true
            }
            Room::InsteadOf(_) | Room::None => {
                self.counters.drops.full += 1;
                false
            }
        }
    }

    /// A fresh secret for a trail's agreement.
    pub(super) fn share_secret(&mut self) -> ShareSecret {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *bytes);
        self.crypto.share(*bytes)
    }
}
