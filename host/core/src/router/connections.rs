//! Connections: what a port wants, kept up by seeking, renewing and seeking again.

use super::{
    Arrival, Close, Event, Finding, Hop, Role, Router,
    data::End,
    floods::Flooded,
    limits::{
        BAD_TRAILS, FIRST_RETRY, HASTEN_INTERVAL, HASTENED, LONGEST_RETRY, MAX_CONNECTIONS_PER_PORT, MAX_PENDING_SEEKS,
        OVERLAP, RENEW_AFTER, SEEK_MEMORY, WALKING_TRIES, YOUNG_TRAIL,
    },
    timers::Timer,
    trails::{BindingId, Side},
};
use crate::{
    Address, ConnectionId, IdentityKey, Instant, MessageId, PortId, TrailId, TrailKeys,
    keys::{ShareSecret, TrailEnd},
    wire::{Frame, Phase, Seek, SeekMode, Signed, Trail, Verified, Way},
};

/// A port's wish to be connected.
pub(super) struct Connection {
    pub(super) port: PortId,
    target: Address,
    /// The trail to send on.
    trail: Option<TrailId>,
    opened: Instant,
    /// The trail before it, and until when it carries.
    old: Option<(TrailId, Instant)>,
    pending: Vec<PendingSeek>,
    /// Seeks since the last trail was laid, or lost.
    tries: u32,
    /// The last trail proved bad: scent leads there, for Seeks that walk as well, so what is asked next is a flood.
    misled: bool,
    /// Trails lost young, in a row.
    losses: u32,
    next_seek: Instant,
    /// The end of patience, while there is no trail.
    fails_at: Option<Instant>,
}

/// A Seek whose Trail is welcome.
struct PendingSeek {
    id: MessageId,
    secret: ShareSecret,
    /// The key of the day, which signs this end's Keeps.
    key: IdentityKey,
    expires: Instant,
}

impl Connection {
    /// The trails that carry it.
    pub(super) fn trails(&self) -> impl Iterator<Item = TrailId> {
        self.trail.into_iter().chain(self.old.map(|(trail, _)| trail))
    }

    fn due(&self) -> Instant {
        let old = self.old.map(|(_, until)| until);
        [self.fails_at, old].into_iter().flatten().fold(self.next_seek, Instant::min)
    }
}

impl Router {
    pub(super) fn connect(&mut self, port: PortId, id: ConnectionId, target: Address) {
        let why = match self.ports.get_mut(&port) {
            None => Some(Close::Invalid),
            Some(_) if self.connections.contains_key(&id) => Some(Close::Invalid),
            Some(owner) if owner.address == target => Some(Close::Invalid),
            Some(owner) if owner.connections >= MAX_CONNECTIONS_PER_PORT => Some(Close::Busy),
            Some(owner) => {
                owner.connections += 1;
                None
            }
        };
        if let Some(why) = why {
            return self.event(port, Event::ConnectFailed { connection: id, why });
        }
        let now = self.now.instant;
        let connection = Connection {
            port,
            target,
            trail: None,
            opened: now,
            old: None,
            pending: Vec::new(),
            tries: 0,
            misled: false,
            losses: 0,
            next_seek: now,
            fails_at: Some(now + self.no_route_after),
        };
        self.connections.insert(id, connection);
        self.seek(id);
    }

    pub(super) fn disconnect(&mut self, id: ConnectionId) {
        self.forget_connection(id);
    }

    /// Takes a connection out, with its trails.
    pub(super) fn forget_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.timers.cancel(Timer::Connection(id));
        if let Some(port) = self.ports.get_mut(&connection.port) {
            port.connections -= 1;
        }
        for trail in connection.trails() {
            self.close_trail(trail);
        }
    }

    pub(super) fn connection_due(&mut self, id: ConnectionId) {
        let now = self.now.instant;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if let Some((old, until)) = connection.old
            && until <= now
        {
            connection.old = None;
            self.replace(old);
        }
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if connection.fails_at.is_some_and(|at| at <= now) {
            let port = connection.port;
            self.forget_connection(id);
            return self.event(port, Event::ConnectFailed { connection: id, why: Close::NoRoute });
        }
        if connection.next_seek <= now {
            self.seek(id);
        } else {
            self.watch_connection(id);
        }
    }

    /// One try: directed where there is scent; else, and from the second try on, as a walk where addresses are found so, and at last as a flood.
    fn seek(&mut self, id: ConnectionId) {
        let now = self.now.instant;
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let (port, target, tries, misled) = (connection.port, connection.target, connection.tries, connection.misled);
        let hop = Hop::Port(port);
        let wait = self.backoff(tries);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.pending.retain(|seek| seek.expires > now);
            connection.tries = tries.saturating_add(1);
            connection.next_seek = now + wait;
        }
        self.watch_connection(id);
        let own = self.owners.get(&target).copied();
        let directed = tries == 0 && self.scent.has(target, |next| self.usable(next, hop, own).is_some());
        let mode = match self.finding {
            _ if directed => SeekMode::Directed,
            Finding::Walks if tries < WALKING_TRIES && !misled => SeekMode::Walk(Way::Stem),
            _ => SeekMode::Flood(Phase::Hidden),
        };
        let Some(key) = self.seek_key(port, target) else {
            return;
        };
        let (secret, stamp) = (self.share_secret(), self.stamp());
        let share = secret.public();
        let Ok(message) = Signed::<Seek, Verified>::sign(self.network, &key, stamp, target, &share) else {
            return;
        };
        if !self.pay(hop, &Frame::Seek { mode, message: message.clone() })
            || self.arrive(hop, message.id(), stamp, message.author()) != Some(Arrival::First)
            || !self.remember(hop, &message, Arrival::First, Some(id))
        {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            if connection.pending.len() >= MAX_PENDING_SEEKS {
                connection.pending.remove(0);
            }
            connection.pending.push(PendingSeek { id: message.id(), secret, key, expires: now + SEEK_MEMORY });
        }
        match mode {
            SeekMode::Directed => self.direct_seek(hop, message),
            SeekMode::Walk(way) => self.walk_seek(hop, way, Arrival::First, message),
            SeekMode::Flood(phase) => self.flood(hop, phase, Flooded::Seek(message)),
        }
    }

    /// The key of the day for Seeks of `port` for `target`: by it the target's answers and relays' scent find one seeker, and nobody the
    /// identity.
    fn seek_key(&self, port: PortId, target: Address) -> Option<IdentityKey> {
        let identity = &self.ports.get(&port)?.key;
        let base = zeroize::Zeroizing::new(blake3::derive_key("mute/1 seek key", &*identity.seed()));
        let mut hasher = blake3::Hasher::new_keyed(&base);
        hasher.update(&target.0);
        hasher.update(&(self.now.unix_s / (24 * 60 * 60)).to_be_bytes());
        let seed = zeroize::Zeroizing::new(*hasher.finalize().as_bytes());
        Some(self.crypto.identity(&seed))
    }

    /// The wait after a try, doubled each time, a quarter more or less by chance.
    fn backoff(&mut self, tries: u32) -> core::time::Duration {
        let first = FIRST_RETRY + self.waits.shape.longest_turnaround();
        let wait = first.saturating_mul(1 << tries.min(8)).min(LONGEST_RETRY);
        self.between([wait * 3 / 4, wait * 5 / 4])
    }

    /// A Trail for a Seek of this node: the connection's new trail, if it still wants one.
    pub(super) fn accept_trail(
        &mut self,
        id: ConnectionId,
        binding: BindingId,
        owner: Side,
        message: &Signed<Trail, Verified>,
    ) -> Option<TrailId> {
        let now = self.now.instant;
        let seek = message.seek();
        let pending = &self.connections.get(&id)?.pending;
        let pending = pending.iter().find(|pending| pending.id == seek)?;
        let keys = TrailKeys::agree(&pending.secret, &message.share(), seek, message.id(), TrailEnd::Seeker)?;
        let key = pending.key.clone();
        let renewal = now + self.between(RENEW_AFTER);
        let trail = self.next_trail();
        let port = self.connections.get(&id)?.port;
        let overlap = OVERLAP + self.hold_of(port);
        let connection = self.connections.get_mut(&id)?;
        // Other Seeks of this search may still be answered: one trail is enough.
        connection.pending.clear();
        connection.tries = 0;
        connection.misled = false;
        connection.next_seek = renewal;
        connection.fails_at = None;
        connection.opened = now;
        let before = connection.trail.replace(trail);
        let older = match before {
            Some(before) => connection.old.replace((before, now + overlap)),
            None => None,
        };
        if let Some((older, _)) = older {
            self.replace(older);
        }
        let role = Role::Seeker { connection: id };
        self.ends.insert(trail, End::new(port, binding, owner, role, Some(key)));
        self.counters.trails.delivered += 1;
        self.event(port, Event::TrailOpened { trail, role, seek, keys });
        self.start_keeps(trail);
        self.watch_connection(id);
        Some(trail)
    }

    /// Ends a trail that its successor has replaced.
    fn replace(&mut self, trail: TrailId) {
        if let Some(end) = self.ends.get(&trail) {
            self.unbind(end.binding, None, Close::Replaced);
        }
    }

    /// A seeker's end is no more. If it was the one that carried the connection, the connection is sought at once; if it had
    /// not lived for long, only after a wait, lest somebody who lays trails and breaks them make us flood. `useless`: the hop that it went
    /// by, if nothing ever came back.
    pub(super) fn connection_lost(&mut self, id: ConnectionId, trail: TrailId, useless: Option<Hop>) {
        let now = self.now.instant;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.old.is_some_and(|(old, _)| old == trail) {
            connection.old = None;
        }
        if connection.trail != Some(trail) {
            return;
        }
        connection.trail = connection.old.take().map(|(old, _)| old);
        // A first try would follow the scent, which led there.
        connection.tries = u32::from(useless.is_some());
        connection.misled = useless.is_some() && self.waits.defences.shun_bad_hops;
        let target = connection.target;
        let young = now.saturating_since(connection.opened) < YOUNG_TRAIL;
        connection.losses = if young { connection.losses.saturating_add(1) } else { 0 };
        let (losses, port) = (connection.losses, connection.port);
        if connection.trail.is_none() {
            connection.fails_at = Some(now + self.no_route_after);
        }
        if let Some(hop) = useless {
            self.shun(target, hop);
        }
        let wait = if losses > 1 { self.backoff(losses - 2) } else { core::time::Duration::ZERO };
        let hold = self.hold_of(port);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.next_seek = now + hold + wait;
        }
        self.watch_connection(id);
    }

    /// The trail proved bad: a flood is to find another way. The trail carries on until it has a successor.
    pub(super) fn seek_elsewhere(&mut self, id: ConnectionId, trail: TrailId) {
        let now = self.now.instant;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.trail != Some(trail) || connection.tries > 0 {
            return;
        }
        // A first try would follow the scent, which led here.
        connection.tries = 1;
        connection.misled = self.waits.defences.shun_bad_hops;
        connection.losses = connection.losses.saturating_add(1);
        let losses = connection.losses;
        let wait = losses.checked_sub(BAD_TRAILS).map_or(core::time::Duration::ZERO, |again| self.backoff(again));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.next_seek = now + wait;
        }
        self.watch_connection(id);
    }

    /// There is a new link: who waits to seek again does so soon, but not for each link of a neighbour that comes and goes.
    pub(super) fn hasten_connections(&mut self) {
        let now = self.now.instant;
        if self.hastened.is_some_and(|at| now.saturating_since(at) < HASTEN_INTERVAL) {
            return;
        }
        self.hastened = Some(now);
        let waiting: Vec<_> = self.connections.iter().filter(|(_, at)| at.trail.is_none()).map(|(id, _)| *id).collect();
        for id in waiting {
            let at = now + self.between(HASTENED);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.next_seek = connection.next_seek.min(at);
            }
            self.watch_connection(id);
        }
    }

    fn watch_connection(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(&id) {
            self.timers.set(Timer::Connection(id), connection.due());
        }
    }

    /// A name for an end of a trail.
    pub(super) fn next_trail(&mut self) -> TrailId {
        self.next_trail += 1;
        TrailId(self.next_trail)
    }
}
