//! Bindings: what a Trail leaves at each node it passes, and how that ends.

use super::{
    Close, Hop, Role, Router,
    data::Route,
    limits::{
        EARLY_KEEP_INTERVAL, FIRST_KEEP_PATIENCE, KEEP_INTERVAL, MAX_BINDINGS, MAX_LABELS, MAX_SEEK_HOPS, NONE_ARRIVED,
        OVERDUE, TRAIL_LIFE,
    },
    minute,
    shares::Room,
    stamps,
    timers::Timer,
};
use crate::{
    Address, Instant, Label, LinkId, MessageId, PortId, TrailId, Violation,
    wire::{Frame, KeepReport, Signed, Trail, Verified},
};
use rand_core::Rng as _;

/// A binding's name in this router, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BindingId(u64);

impl BindingId {
    pub(super) const FIRST: Self = Self(0);
}

/// One of the two sides of a trail at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It goes on over a link.
    Link { link: LinkId, label: Label },
    /// It ends here.
    Port { port: PortId, trail: TrailId },
}

impl Side {
    pub(super) fn hop(&self) -> Hop {
        match self {
            Self::Link { link, .. } => Hop::Link(*link),
            Self::Port { port, .. } => Hop::Port(*port),
        }
    }
}

/// An end of a trail: where to find it in a binding's pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    Seeker = 0,
    Owner = 1,
}

impl Towards {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Seeker => Self::Owner,
            Self::Owner => Self::Seeker,
        }
    }
}

/// What a node knows of one of a trail's ends.
pub(super) struct Far {
    /// Who signs its Keeps.
    pub(super) address: Address,
    /// On which side of this node it lies.
    pub(super) side: Side,
    /// Its last Keep.
    pub(super) report: KeepReport,
    /// What had passed here by then.
    pub(super) passed: Passed,
    /// When that came, or the trail was laid.
    pub(super) heard: Instant,
    /// Keeps in a row by which much was lost between this node and that end.
    pub(super) lossy: u8,
    /// Without another Keep until then the binding is forgotten; an end at this node needs none.
    pub(super) deadline: Option<Instant>,
}

impl Far {
    /// Whether a Keep of this end should have come.
    fn is_overdue(&self, now: Instant) -> bool {
        let between = if self.report.number == 0 { EARLY_KEEP_INTERVAL } else { KEEP_INTERVAL };
        matches!(self.side, Side::Link { .. }) && now.saturating_since(self.heard) > between[1] + OVERDUE
    }
}

/// Packets of a trail that passed a node.
#[derive(Clone, Copy, Default)]
pub(super) struct Passed {
    /// From an end.
    pub(super) from: u64,
    /// To it.
    pub(super) to: u64,
}

/// A trail's place at this node: two sides, bound to each other.
pub(super) struct Binding {
    pub(super) seek: MessageId,
    /// Its Seek may have been answered before the start: then what its ends sign now, too, may have come before, and lays no scent.
    pub(super) doubtful: bool,
    ends: [Far; 2],
    ends_at: Instant,
    /// The Trail, until something came along it from the seeker's side: where the hop that it was offered to refuses it, another of the
    /// Seek's list gets it. And who of that list was asked.
    pub(super) offer: Option<(Signed<Trail, Verified>, Asked)>,
}

/// The hops of a Seek's list that a Trail was offered to, a bit for each place.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked(u8);

const _: () = assert!(MAX_SEEK_HOPS <= u8::BITS as usize, "there is a bit for each place");

impl Binding {
    pub(super) fn end(&self, end: Towards) -> &Far {
        &self.ends[end as usize]
    }

    pub(super) fn end_mut(&mut self, end: Towards) -> &mut Far {
        &mut self.ends[end as usize]
    }

    fn due(&self) -> Instant {
        self.ends.iter().filter_map(|end| end.deadline).fold(self.ends_at, Instant::min)
    }
}

impl Router {
    pub(super) fn on_trail(&mut self, link: LinkId, label: Label, message: Signed<Trail, Verified>) {
        let Some(neighbour) = self.links.get(&link) else {
            return;
        };
        if !neighbour.may_be_theirs(label) {
            return self.violation(link, Violation::LabelDirection);
        }
        let seeker = match self.seeks.get(message.seek()) {
            Some(entry) if entry.target != message.author() => {
                return self.violation(link, Violation::ForeignTrail);
            }
            Some(entry) => {
                entry.hops().first().copied().filter(|_| !entry.answered).and_then(|first| self.hop_of(first))
            }
            None => None,
        };
        if !stamps::is_fresh(message.stamp().minute, minute(self.now)) {
            self.counters.drops.stale += 1;
        } else if let Some(seeker) = seeker {
            if !self.routes.contains_key(&(link, label))
                && self.make_room_for_theirs(link, seeker)
                && self.bind(Side::Link { link, label }, message).is_some()
            {
                return;
            }
        } else {
            self.counters.drops.unknown_seek += 1;
        }
        self.answer_close(link, label);
    }

    /// Binds a Trail that came from `owner` to the first hop of its Seek's list that takes it. `None`: none did.
    pub(super) fn bind(&mut self, owner: Side, message: Signed<Trail, Verified>) -> Option<(BindingId, Side)> {
        if self.bindings.len() >= MAX_BINDINGS && !self.make_room_in_all(owner.hop()) {
            return None;
        }
        let (seek, address) = (message.seek(), message.author());
        // A copy of its own: kept for a while it must not hold on to all that arrived together with it.
        let message = message.detached();
        let id = self.next_binding;
        self.next_binding = BindingId(id.0 + 1);
        let (seeker, asked) = self.offer(id, owner, &message, Asked::default())?;
        let entry = self.seeks.get_mut(seek)?;
        entry.answered = true;
        let (seeker_address, doubtful) = (entry.author, entry.doubtful);
        let (seeker_deadline, owner_deadline) = (self.first_deadline(&seeker), self.first_deadline(&owner));
        let now = self.now.instant;
        let far = |address, side, deadline| Far {
            address,
            side,
            report: KeepReport::default(),
            passed: Passed::default(),
            heard: now,
            lossy: 0,
            deadline,
        };
        let binding = Binding {
            seek,
            doubtful,
            ends: [far(seeker_address, seeker, seeker_deadline), far(address, owner, owner_deadline)],
            ends_at: self.now.instant + TRAIL_LIFE,
            offer: Some((message, asked)),
        };
        self.timers.set(Timer::Binding(id), binding.due());
        self.bindings.insert(id, binding);
        self.route(id, Towards::Seeker, seeker, owner);
        self.route(id, Towards::Owner, owner, seeker);
        if let Side::Link { link, .. } = owner
            && let Some(neighbour) = self.links.get_mut(&link)
        {
            neighbour.theirs.insert(seeker.hop(), id);
        }
        if !doubtful || matches!(owner, Side::Port { .. }) {
            self.lay(address, owner.hop(), 0);
        }
        self.scent.count_live(address, true, self.now.instant);
        self.scent.count_live(seeker_address, true, self.now.instant);
        Some((id, seeker))
    }

    /// Offers a Trail to the hops of its Seek's list in order, those last whose trails to the seeker proved bad lately. Gives the side that took
    /// it.
    fn offer(
        &mut self,
        id: BindingId,
        owner: Side,
        message: &Signed<Trail, Verified>,
        mut asked: Asked,
    ) -> Option<(Side, Asked)> {
        let (entry, connection) = (self.seeks.get(message.seek())?, self.seeks.connection(message.seek()));
        let mut hops: Vec<(bool, usize, Hop)> = Vec::with_capacity(entry.hops().len());
        for (place, number) in entry.hops().iter().enumerate().filter(|(place, _)| asked.0 & 1 << place == 0) {
            if let Some(hop) = self.hop_of(*number) {
                hops.push((self.scent.is_bad(entry.author, hop, self.now.instant), place, hop));
            }
        }
        hops.sort_unstable();
        for (_, place, hop) in hops {
            asked.0 |= 1 << place;
            let side = match hop {
                _ if hop == owner.hop() => None,
                Hop::Link(link) => self.offer_to_link(link, id, owner.hop(), message),
                Hop::Port(port) => match self.accept_trail(connection?, id, owner, message) {
                    Some(trail) => Some(Side::Port { port, trail }),
                    None => self.refuse_later(port, connection?, id, owner),
                },
            };
            if let Some(side) = side {
                return Some((side, asked));
            }
        }
        None
    }

    fn offer_to_link(
        &mut self,
        link: LinkId,
        id: BindingId,
        ingress: Hop,
        message: &Signed<Trail, Verified>,
    ) -> Option<Side> {
        let neighbour = self.links.get(&link)?;
        // The binding itself, which may be there already, is no room for itself.
        let room = neighbour.ours.room(ingress, MAX_LABELS, |other| self.used(other).filter(|_| other != id));
        if !self.take_room(room) {
            return None;
        }
        let neighbour = self.links.get_mut(&link)?;
        neighbour.ours.insert(ingress, id);
        let bit = u64::from(neighbour.initiator);
        let label = loop {
            let label = Label(self.rng.next_u64() & !1 | bit);
            if !self.routes.contains_key(&(link, label)) {
                break label;
            }
        };
        self.counters.trails.passed(ingress, 1);
        self.send(link, ingress, Frame::Trail { label, message: message.clone() });
        Some(Side::Link { link, label })
    }

    /// Makes room for one more label of a neighbour's choice, for a trail whose other side lies at `seeker`. `false`: there is none.
    fn make_room_for_theirs(&mut self, link: LinkId, seeker: Hop) -> bool {
        let Some(neighbour) = self.links.get(&link) else {
            return false;
        };
        let room = neighbour.theirs.room(seeker, MAX_LABELS, |other| self.used(other));
        self.take_room(room)
    }

    /// Makes room for one more binding: on the link on which most trails go on to their seekers.
    fn make_room_in_all(&mut self, owner: Hop) -> bool {
        let fullest = self.links.values().max_by_key(|link| link.ours.len());
        let room = fullest.map(|link| link.ours.room(owner, 0, |other| self.used(other)));
        self.take_room(room.unwrap_or(Room::None))
    }

    fn take_room(&mut self, room: Room<BindingId>) -> bool {
        match room {
            Room::Free => true,
            Room::InsteadOf(other) if self.waits.defences.share_places => {
                self.unbind(other, None, Close::Busy);
                true
            }
            Room::InsteadOf(_) | Room::None => {
                self.counters.drops.full += 1;
                false
            }
        }
    }

    /// How many packets went along a trail, either way.
    fn used(&self, id: BindingId) -> Option<u64> {
        let binding = self.bindings.get(&id)?;
        let passed = |side: Side| match side {
            Side::Link { link, label } => self.routes.get(&(link, label)).map_or(0, |route| route.packets),
            Side::Port { trail, .. } => self.ends.get(&trail).map_or(0, |end| end.sent),
        };
        Some(binding.ends.iter().map(|end| passed(end.side)).sum())
    }

    /// Data that comes from `end`, at `from`, goes on `to` the other side.
    fn route(&mut self, binding: BindingId, end: Towards, from: Side, to: Side) {
        if let Side::Link { link, label } = from {
            self.routes.insert((link, label), Route::new(binding, end, to));
        }
    }

    /// When the first Keep of an end has to be there: a link end needs Keeps; a port is at hand.
    fn first_deadline(&self, side: &Side) -> Option<Instant> {
        match side {
            Side::Link { .. } => Some(self.now.instant + FIRST_KEEP_PATIENCE),
            Side::Port { .. } => None,
        }
    }

    /// A Close never has an answer; what it names and is not known has ended already.
    pub(super) fn on_close(&mut self, link: LinkId, label: Label) {
        self.counters.closes_received += 1;
        let Some(route) = self.routes.get(&(link, label)) else {
            return;
        };
        let (id, end) = (route.binding, route.end);
        self.break_at(id, end, Close::ByPeer);
    }

    /// The bindings with such a side.
    pub(super) fn bindings_at(&self, at: impl Fn(&Side) -> bool) -> Vec<BindingId> {
        let here = |binding: &Binding| binding.ends.iter().any(|end| at(&end.side));
        self.bindings.iter().filter(|(_, binding)| here(binding)).map(|(id, _)| *id).collect()
    }

    /// The side of a binding that `at` tells is gone.
    pub(super) fn break_from(&mut self, id: BindingId, at: impl Fn(&Side) -> bool, why: Close) {
        let Some(binding) = self.bindings.get(&id) else {
            return;
        };
        let end = if at(&binding.end(Towards::Seeker).side) { Towards::Seeker } else { Towards::Owner };
        self.break_at(id, end, why);
    }

    /// A trail is broken towards `end`: the other side is told, unless the next hop of the Seek's list takes its place.
    pub(super) fn break_at(&mut self, id: BindingId, end: Towards, why: Close) {
        let Some(binding) = self.bindings.get(&id) else {
            return;
        };
        let far = binding.end(end);
        self.scent.weaken(far.address, far.side.hop());
        if end == Towards::Owner || !self.offer_again(id) {
            self.unbind(id, Some(end), why);
        }
    }

    /// The hop towards the seeker refused the Trail, or is gone before anything came from it.
    fn offer_again(&mut self, id: BindingId) -> bool {
        let Some(binding) = self.bindings.get_mut(&id) else {
            return false;
        };
        let (refused, owner) = (binding.end(Towards::Seeker).side, binding.end(Towards::Owner).side);
        if let Side::Port { trail, .. } = refused
            && !self.ends.get(&trail).is_some_and(|end| end.unwanted)
        {
            return false;
        }
        let Some((message, asked)) = binding.offer.take() else {
            return false;
        };
        let Some((seeker, asked)) = self.offer(id, owner, &message, asked) else {
            return false;
        };
        match refused {
            Side::Link { link, label } => self.unroute(id, link, label, Towards::Seeker, owner.hop()),
            Side::Port { trail, .. } => drop(self.ends.remove(&trail)),
        }
        if let Side::Link { link, .. } = owner
            && let Some(neighbour) = self.links.get_mut(&link)
        {
            neighbour.theirs.remove(refused.hop(), id);
            neighbour.theirs.insert(seeker.hop(), id);
        }
        let deadline = self.first_deadline(&seeker);
        if let Some(binding) = self.bindings.get_mut(&id) {
            binding.offer = Some((message, asked));
            let far = binding.end_mut(Towards::Seeker);
            (far.side, far.heard, far.deadline) = (seeker, self.now.instant, deadline);
            self.timers.set(Timer::Binding(id), binding.due());
        }
        self.route(id, Towards::Seeker, seeker, owner);
        self.redirect(owner, seeker);
        true
    }

    /// Forgets a label and whom it was charged to. `other`: the trail's other side.
    fn unroute(&mut self, id: BindingId, link: LinkId, label: Label, end: Towards, other: Hop) {
        self.routes.remove(&(link, label));
        let Some(neighbour) = self.links.get_mut(&link) else {
            return;
        };
        match end {
            Towards::Owner => neighbour.theirs.remove(other, id),
            Towards::Seeker => neighbour.ours.remove(other, id),
        }
    }

    /// Ends a binding. Both sides are told, but for the one that `broken` says is gone or has told us.
    pub(super) fn unbind(&mut self, id: BindingId, broken: Option<Towards>, why: Close) {
        self.take_binding(id, why, |end| broken != Some(end));
    }

    fn take_binding(&mut self, id: BindingId, why: Close, tell: impl Fn(Towards) -> bool) {
        let Some(binding) = self.bindings.remove(&id) else {
            return;
        };
        self.timers.cancel(Timer::Binding(id));
        for end in [Towards::Seeker, Towards::Owner] {
            let (far, now) = (binding.end(end), self.now.instant);
            if far.is_overdue(now) {
                self.shun(far.address, far.side.hop());
            }
            self.scent.count_live(far.address, false, now);
            self.watch_scent();
            let ingress = binding.end(end.other()).side.hop();
            match far.side {
                Side::Link { link, label } => {
                    self.unroute(id, link, label, end, ingress);
                    if tell(end) {
                        self.close_label(link, label, ingress);
                    }
                }
                Side::Port { port, trail } => self.end_closed(port, trail, why),
            }
        }
    }

    /// An end at a port is no more.
    fn end_closed(&mut self, port: PortId, trail: TrailId, why: Close) {
        self.timers.cancel(Timer::Keep(trail));
        let Some(end) = self.ends.remove(&trail) else {
            return;
        };
        if end.unwanted {
            return;
        }
        let useless = self.waits.defences.judge_trails && end.sent >= NONE_ARRIVED && self.received(&end) == 0;
        self.tell_closed(port, trail, why);
        match end.role {
            Role::Seeker { connection } => self.connection_lost(connection, trail, useless.then(|| end.to.hop())),
            Role::Owner => {
                let Some(port) = self.ports.get_mut(&port) else {
                    return;
                };
                if let Some(charged) = end.charged {
                    port.owned.remove(charged, trail);
                }
            }
        }
    }

    pub(super) fn binding_due(&mut self, id: BindingId) {
        let now = self.now.instant;
        let Some(binding) = self.bindings.get(&id) else {
            return;
        };
        if binding.ends_at <= now {
            // Every node of the trail ends it at this time by itself.
            return self.take_binding(id, Close::Expired, |_| false);
        }
        if binding.ends.iter().any(|end| end.deadline.is_some_and(|deadline| deadline <= now)) {
            // So does every node of the trail, at nearly the same time.
            self.take_binding(id, Close::Expired, |_| false);
        } else {
            self.timers.set(Timer::Binding(id), binding.due());
        }
    }

    /// The port has no more use for a trail.
    pub(super) fn close_trail(&mut self, trail: TrailId) {
        if let Some(end) = self.ends.get(&trail) {
            self.unbind(end.binding, None, Close::Local);
        }
    }

    /// When the binding is due next has changed.
    pub(super) fn watch_binding(&mut self, id: BindingId) {
        if let Some(binding) = self.bindings.get(&id) {
            self.timers.set(Timer::Binding(id), binding.due());
        }
    }
}
