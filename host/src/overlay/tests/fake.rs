//! A network without nodes: what two identities see of one, as bad as a test wants it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use mute_core::{
    Address, Close, ConnectionId, DirectionKeys, Ecn, Event, IdentityKey, MessageId, Profile, Role, Topic, TrailId,
    TrailKeys,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    node::{Packet, Stopped},
    overlay::{
        Identity,
        below::{Below, Boxed},
        events,
        window::Budget,
    },
};

/// Events that wait for an identity: more than any test makes while nobody reads.
const EVENTS: usize = 1024;

/// How packets fare, in thousandths of them.
#[derive(Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// By 2 to 6 ms, so that later ones overtake.
    pub(super) delayed: u64,
    pub(super) marked: u64,
    /// Sent again with a bit changed.
    pub(super) forged: u64,
}

#[derive(Default)]
struct State {
    random: u64,
    weather: Weather,
    ports: HashMap<u64, Port>,
    trails: HashMap<TrailId, End>,
    /// Who answers for an address that is not its own.
    impostors: HashMap<Address, Address>,
    connections: HashMap<ConnectionId, Wanted>,
    disconnected: Vec<ConnectionId>,
    /// No trail can be laid, but none is refused.
    silent: bool,
    /// The lengths of all packets.
    lengths: BTreeMap<usize, u64>,
}

struct Port {
    address: Address,
    events: mpsc::Sender<Event>,
    listening: bool,
    topics: Vec<Topic>,
}

struct Wanted {
    port: u64,
    target: Address,
    trails: Vec<TrailId>,
}

struct End {
    peer: TrailId,
    to: Option<mpsc::Sender<Packet>>,
    port: u64,
    sent: u64,
}

/// The network.
#[derive(Clone)]
pub(super) struct Net(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    next: AtomicU64,
    budget: Arc<Budget>,
    profile: Profile,
}

impl Net {
    pub(super) fn new(profile: Profile) -> Self {
        Self(Arc::new(Inner { profile, ..Inner::default() }))
    }

    /// How many packets had which length.
    pub(super) fn lengths(&self) -> BTreeMap<usize, u64> {
        self.state().lengths.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn identity(&self, seed: u8) -> Identity {
        let key = IdentityKey::from_seed(&[seed; 32]);
        let id = self.next();
        let (events, mut heard) = mpsc::channel(EVENTS);
        let port = Port { address: key.address(), events, listening: false, topics: Vec::new() };
        self.state().ports.insert(id, port);
        let below = Arc::new(Sender { net: self.clone(), id });
        let identity =
            Identity::new(key, self.0.profile.shape(), below, self.0.budget.clone(), CancellationToken::new());
        let identity = identity.expect("an identity");
        let shared = identity.0.shared.clone();
        let net = self.clone();
        tokio::spawn(async move {
            events::run(shared, &mut heard).await;
            net.state().ports.remove(&id);
        });
        identity
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    pub(super) fn set_silent(&self, silent: bool) {
        self.state().silent = silent;
    }

    /// Lets the owner of `impostor` answer for `victim`.
    pub(super) fn impersonate(&self, victim: Address, impostor: Address) {
        self.state().impostors.insert(victim, impostor);
    }

    pub(super) fn connections(&self) -> Vec<ConnectionId> {
        self.state().connections.keys().copied().collect()
    }

    pub(super) fn disconnected(&self) -> usize {
        self.state().disconnected.len()
    }

    pub(super) fn ports(&self) -> usize {
        self.state().ports.len()
    }

    pub(super) fn trails(&self) -> usize {
        self.state().trails.len()
    }

    /// Packets sent from the seeker's end of the trails of a connection, oldest trail first.
    pub(super) fn sent(&self, connection: ConnectionId) -> Vec<u64> {
        let state = self.state();
        let trails = &state.connections[&connection].trails;
        trails.iter().map(|trail| state.trails.get(trail).map_or(0, |end| end.sent)).collect()
    }

    /// Lays a (further) trail for a connection.
    pub(super) fn lay(&self, connection: ConnectionId) {
        let mut state = self.state();
        let Some(wanted) = state.connections.get(&connection) else { return };
        let (port, target) = (wanted.port, wanted.target);
        let target = state.impostors.get(&target).copied().unwrap_or(target);
        let owner = state.ports.iter().find(|(_, port)| port.address == target && port.listening).map(|(id, _)| *id);
        let Some(owner) = owner else {
            let failed = Event::ConnectFailed { connection, why: Close::NoRoute };
            let _ = state.ports[&port].events.try_send(failed);
            return;
        };
        let (here, there) = (TrailId(self.next()), TrailId(self.next()));
        state.trails.insert(here, End { peer: there, to: None, port, sent: 0 });
        state.trails.insert(there, End { peer: here, to: None, port: owner, sent: 0 });
        if let Some(wanted) = state.connections.get_mut(&connection) {
            wanted.trails.push(here);
        }
        let seek = MessageId(u128::from(self.next()).to_be_bytes());
        let (a, b, succession) = (direction(here.0 as u8), direction(there.0 as u8), [here.0 as u8; 32]);
        let keys = TrailKeys { send: a.clone(), receive: b.clone(), succession };
        let mirrored = TrailKeys { send: b, receive: a, succession };
        let opened = Event::TrailOpened { trail: there, role: Role::Owner, seek, keys: mirrored };
        let _ = state.ports[&owner].events.try_send(opened);
        let opened = Event::TrailOpened { trail: here, role: Role::Seeker { connection }, seek, keys };
        let _ = state.ports[&port].events.try_send(opened);
    }

    /// Breaks all trails of a connection.
    pub(super) fn cut(&self, connection: ConnectionId) {
        let trails = self.state().connections[&connection].trails.clone();
        for trail in trails {
            self.close(trail, Close::LinkLost);
        }
    }

    /// Closes both ends of a trail.
    fn close(&self, trail: TrailId, why: Close) {
        let mut state = self.state();
        let Some(end) = state.trails.remove(&trail) else { return };
        let ends = [(trail, Some(end.port)), (end.peer, state.trails.remove(&end.peer).map(|end| end.port))];
        for (trail, port) in ends {
            if let Some(port) = port.and_then(|port| state.ports.get(&port)) {
                let _ = port.events.try_send(Event::TrailClosed { trail, why });
            }
        }
    }

    fn deliver(&self, to: TrailId, packet: Packet) {
        if let Some(End { to: Some(to), .. }) = self.state().trails.get(&to) {
            let _ = to.try_send(packet);
        }
    }

    /// Sends a packet through the weather.
    fn send(&self, trail: TrailId, mut packet: Packet) {
        let (peer, copies, late, forged) = {
            let mut state = self.state();
            let weather = state.weather;
            let mut chance = |thousandths: u64| {
                state.random =
                    state.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state.random >> 33) % 1000 < thousandths
            };
            let copies = if chance(weather.lost) { 0 } else { 1 + u32::from(chance(weather.doubled)) };
            let (late, forged) = (chance(weather.delayed), chance(weather.forged));
            if chance(weather.marked) && packet.ecn != Ecn::NotCapable {
                packet.ecn = Ecn::Experienced;
            }
            *state.lengths.entry(packet.body.len()).or_default() += 1;
            let Some(end) = state.trails.get_mut(&trail) else { return };
            end.sent += 1;
            (end.peer, copies, late, forged)
        };
        if forged {
            let mut body = packet.body.to_vec();
            let at = body.len() * 7 / 11;
            body[at] ^= 4;
            self.deliver(peer, Packet { body: body.into(), ..packet.clone() });
        }
        for copy in 0..copies {
            let (net, packet) = (self.clone(), packet.clone());
            if late || copy > 0 {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(2 + u64::from(copy) * 4)).await;
                    net.deliver(peer, packet);
                });
            } else {
                net.deliver(peer, packet);
            }
        }
    }
}

fn direction(seed: u8) -> DirectionKeys {
    DirectionKeys { seal: [seed; 16], iv: [seed ^ 0x5a; 12], mask: [!seed; 16] }
}

struct Sender {
    net: Net,
    id: u64,
}

fn done<T: Send + 'static>(value: T) -> Boxed<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Below for Sender {
    fn listen(&self, listening: bool) -> Boxed<'_, Result<(), Stopped>> {
        if let Some(port) = self.net.state().ports.get_mut(&self.id) {
            port.listening = listening;
        }
        done(Ok(()))
    }

    fn subscribe(&self, topic: Topic) -> Boxed<'_, Result<(), Stopped>> {
        if let Some(port) = self.net.state().ports.get_mut(&self.id) {
            port.topics.push(topic);
        }
        done(Ok(()))
    }

    fn unsubscribe(&self, topic: Topic) -> Boxed<'_, Result<(), Stopped>> {
        if let Some(port) = self.net.state().ports.get_mut(&self.id) {
            port.topics.retain(|other| *other != topic);
        }
        done(Ok(()))
    }

    fn broadcast(&self, topic: Topic, body: Bytes) -> Boxed<'_, Result<(), Stopped>> {
        let id = MessageId(u128::from(self.net.next()).to_be_bytes());
        for (other, port) in &self.net.state().ports {
            if *other != self.id && port.topics.contains(&topic) {
                let from = Address([9; 32]);
                let _ = port.events.try_send(Event::Heard { topic, from, id, body: body.clone() });
            }
        }
        done(Ok(()))
    }

    fn letter(&self, to: Address, sealed: Bytes) -> Boxed<'_, Result<(), Stopped>> {
        let id = MessageId(u128::from(self.net.next()).to_be_bytes());
        for port in self.net.state().ports.values().filter(|port| port.address == to) {
            // Twice, as a hostile relay would.
            for _ in 0..2 {
                let event = Event::Letter { from: Address([9; 32]), id, key: None, sealed: sealed.clone() };
                let _ = port.events.try_send(event);
            }
        }
        done(Ok(()))
    }

    fn connection_id(&self) -> ConnectionId {
        ConnectionId(self.net.next())
    }

    fn connect(&self, connection: ConnectionId, target: Address) -> Boxed<'_, Result<(), Stopped>> {
        let silent = {
            let mut state = self.net.state();
            state.connections.insert(connection, Wanted { port: self.id, target, trails: Vec::new() });
            state.silent
        };
        if !silent {
            self.net.lay(connection);
        }
        done(Ok(()))
    }

    fn disconnect(&self, connection: ConnectionId) {
        let wanted = {
            let mut state = self.net.state();
            state.disconnected.push(connection);
            state.connections.remove(&connection)
        };
        for trail in wanted.into_iter().flat_map(|wanted| wanted.trails) {
            self.net.close(trail, Close::Local);
        }
    }

    fn close_trail(&self, trail: TrailId) {
        self.net.close(trail, Close::ByPeer);
    }

    fn route_packets(&self, trail: TrailId, to: mpsc::Sender<Packet>) {
        if let Some(end) = self.net.state().trails.get_mut(&trail) {
            end.to = Some(to);
        }
    }

    fn try_send(&self, trail: TrailId, packet: Packet) -> Result<(), Packet> {
        self.net.send(trail, packet);
        Ok(())
    }

    fn writable(&self) -> Boxed<'static, ()> {
        done(())
    }
}
