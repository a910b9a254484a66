//! The router: a struct that takes inputs and gives outputs.
//!
//! One file per thing: [`floods`], [`seeks`], [`letters`] for what spreads or follows scent; [`trails`] for bindings and
//! their breaking, [`data`] for the fast path on them, [`keeps`] for what keeps them; [`connections`] for what a port
//! wants; [`links`] and [`ports`] for the hops; and the tables under them.

mod api;
mod budget;
mod coins;
mod connections;
#[cfg(any(feature = "fuzzing", feature = "simulation"))]
mod consistent;
mod counters;
mod data;
mod delays;
mod floods;
mod forgotten;
mod hidden;
mod horizon;
mod keeps;
mod letters;
pub mod limits;
mod links;
mod ports;
mod scent;
mod seeks;
mod seen;
mod shares;
mod sought;
mod stamps;
mod timers;
mod trails;
mod walks;

use std::collections::{BTreeMap, HashMap, VecDeque};

use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng as _};
use rand_core::Rng as _;

pub use api::{Close, Event, Hop, Input, Output, Role, RouterConfig};
#[cfg(feature = "simulation")]
pub use consistent::Fault;
pub use counters::{Counters, Drops, Gauges, Traffic};
pub use horizon::{FloodEnd, FloodRules, FloodStart};
pub use walks::{Finding, WalkShape};

use crate::hash::Keyed;
use crate::keys::Crypto;
use crate::{
    Address, ConnectionId, IdentityKey, Instant, Label, LinkId, MessageId, NetworkId, Now, PortId, Topic, TrailId,
    wire::{Frame, Stamp, Verified},
};
use connections::Connection;
use data::{End, Route};
use delays::{Delays, Waits};
use hidden::Hidden;
use horizon::Horizon;
use links::Link;
use ports::{Port, ReplyKey};
use scent::Scent;
use seen::{Arrival, HopNumber, Seen};
use sought::Sought;
use stamps::Stamps;
use timers::{Timer, Timers};
use trails::{Binding, BindingId};
use walks::Walkways;

/// The router of one node: all of the protocol above the links, as a struct.
///
/// Hand it what happens with [`Router::handle`], then drain [`Router::poll`]; call [`Router::tick`] at
/// [`Router::next_deadline`] and drain again. It never blocks, reads no clock and has no randomness of its own, so the same seed and the same
/// inputs at the same times give the same outputs. Whatever a neighbour sends, it does not panic, and what it holds stays
/// within [`limits`].
pub struct Router {
    network: NetworkId,
    no_route_after: core::time::Duration,
    crypto: Crypto,
    stamps: Stamps,
    now: Now,
    rng: ChaCha12Rng,
    horizon: Horizon,
    finding: Finding,
    walkways: Walkways,
    links: BTreeMap<LinkId, Link>,
    ports: BTreeMap<PortId, Port>,
    /// The ports by their addresses.
    owners: BTreeMap<Address, PortId>,
    /// The ports that hear a topic.
    topics: BTreeMap<Topic, Vec<PortId>>,
    reply_keys: BTreeMap<Address, ReplyKey>,
    /// The next link's or port's number, and whose those are that are given.
    next_hop: HopNumber,
    numbers: BTreeMap<HopNumber, Hop>,
    scent: Scent,
    seen: Seen,
    seeks: Sought,
    hidden: Hidden,
    bindings: BTreeMap<BindingId, Binding>,
    next_binding: BindingId,
    /// The fast path from links: what to do with Data on a label.
    routes: HashMap<(LinkId, Label), Route, Keyed>,
    /// The fast path from ports.
    ends: HashMap<TrailId, End, Keyed>,
    next_trail: u64,
    connections: BTreeMap<ConnectionId, Connection>,
    /// When a new link last hastened them.
    hastened: Option<Instant>,
    timers: Timers,
    waits: Waits,
    delays: Delays,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Router {
    /// A router without links and ports.
    pub fn new(config: RouterConfig, now: Now) -> Self {
        let mut rng = ChaCha12Rng::from_seed(config.seed);
        let keyed = Keyed::new([rng.next_u64(), rng.next_u64()]);
        Self {
            network: config.network,
            no_route_after: config.no_route_after,
            crypto: Crypto::Real,
            stamps: Stamps::new(config.heard_until, now),
            now,
            rng,
            horizon: Horizon::new(&config.secret, config.floods),
            finding: config.finding,
            walkways: Walkways::new(&config.secret, config.walks),
            links: BTreeMap::new(),
            ports: BTreeMap::new(),
            owners: BTreeMap::new(),
            topics: BTreeMap::new(),
            reply_keys: BTreeMap::new(),
            next_hop: 0,
            numbers: BTreeMap::new(),
            scent: Scent::new(keyed.clone()),
            seen: Seen::new(keyed.clone()),
            seeks: Sought::new(keyed.clone()),
            hidden: Hidden::default(),
            bindings: BTreeMap::new(),
            next_binding: BindingId::FIRST,
            routes: HashMap::with_hasher(keyed.clone()),
            ends: HashMap::with_hasher(keyed),
            next_trail: 0,
            connections: BTreeMap::new(),
            hastened: None,
            timers: Timers::default(),
            waits: Waits::new(&config.secret, config.profile.shape()),
            delays: Delays::default(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// A router whose own keys are stand-ins ([`IdentityKey::stub_from_seed`]), for simulations of many nodes.
    #[cfg(feature = "simulation")]
    pub fn simulated(config: RouterConfig, now: Now) -> Self {
        Self { crypto: Crypto::Stub, ..Self::new(config, now) }
    }

    /// The same router with other numbers than its profile's, or without some defences: for experiments, before its first input.
    #[cfg(feature = "simulation")]
    pub fn reshaped(mut self, shape: crate::Shape, defences: crate::Defences) -> Self {
        (self.waits.shape, self.waits.defences) = (shape, defences);
        self.scent.share(defences.share_places);
        self
    }

    /// Reads what a frame of `link` will need, and changes nothing: a simulator that knows the next events has the processor fetch the
    /// memory of several routers at once. In [`Self::WARM_STEPS`] steps, each of which starts from what the one before has read.
    #[cfg(feature = "simulation")]
    pub fn warm(&self, step: u8, link: LinkId, frame: &Frame<Verified>) -> u64 {
        let (id, stamp, author) = match frame {
            Frame::Flood { message, .. } => (message.id(), message.stamp(), message.author()),
            Frame::Seek { message, .. } => (message.id(), message.stamp(), message.author()),
            Frame::Letter { message } => (message.id(), message.stamp(), message.author()),
            Frame::Data { label, .. } if step > 0 => {
                return self.routes.get(&(link, *label)).map_or(0, |route| route.packets);
            }
            _ => return self.outputs.len() as u64,
        };
        match step {
            0 => (self.links.len() + self.seen.len() + self.scent.len() + self.outputs.len()) as u64 ^ self.now.unix_s,
            1 => self.links.get(&link).map_or(0, |link| u64::from(link.number)),
            2 if matches!(frame, Frame::Seek { .. }) => {
                u64::from(self.seen.knows(id, stamp.minute)) ^ u64::from(self.seeks.get(id).is_some())
            }
            2 => u64::from(self.seen.knows(id, stamp.minute)),
            _ => u64::from(self.scent.has(author, |_| true)),
        }
    }

    /// The steps of [`Self::warm`].
    #[cfg(feature = "simulation")]
    pub const WARM_STEPS: u8 = 4;

    /// Takes one input. Outputs wait for [`Self::poll`].
    pub fn handle(&mut self, input: Input, now: Now) {
        self.set_now(now);
        match input {
            Input::Frame { link, frame } => self.frame(link, frame),
            Input::Data { trail, ecn, body } => self.data_from_port(trail, ecn, body),
            Input::Load { link, level } => self.load(link, level),
            Input::LinkUp { link, neighbour, initiator } => self.link_up(link, neighbour, initiator),
            Input::LinkDown { link } => self.link_down(link),
            Input::OpenPort { port, key } => self.open_port(port, key),
            Input::ClosePort { port } => self.close_port(port),
            Input::Listen { port, listening } => self.listen(port, listening),
            Input::Subscribe { port, topic } => self.subscribe(port, topic),
            Input::Unsubscribe { port, topic } => self.unsubscribe(port, topic),
            Input::Broadcast { port, topic, body } => self.broadcast(port, topic, &body),
            Input::Letter { port, to, sealed } => self.write_letter(port, to, &sealed),
            Input::Connect { port, connection, target } => self.connect(port, connection, target),
            Input::Disconnect { connection } => self.disconnect(connection),
            Input::CloseTrail { trail } => self.close_trail(trail),
        }
    }

    /// What the router wants done, oldest first.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::tick`] is due; past due if one call could not do all.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.timers.next(), self.delays.next_due()].into_iter().flatten().min()
    }

    /// Does what is due: timeouts, renewals, Keeps, expiry.
    pub fn tick(&mut self, now: Now) {
        self.set_now(now);
        self.release_due();
        for _ in 0..limits::WAKE_UPS_PER_TICK {
            match self.timers.pop(self.now.instant) {
                Some(Timer::Seeks) => self.seeks_due(),
                Some(Timer::Hidden(id)) => self.hidden_due(id),
                Some(Timer::Binding(id)) => self.binding_due(id),
                Some(Timer::Keep(trail)) => self.keep_due(trail),
                Some(Timer::Connection(id)) => self.connection_due(id),
                Some(Timer::Walk(port)) => self.walk_due(port),
                Some(Timer::Seen) => self.seen_due(),
                Some(Timer::Scent) => self.scent_due(),
                Some(Timer::ReplyKeys) => self.reply_keys_due(),
                None => break,
            }
        }
    }

    /// What the router did since its start, and what it holds.
    pub fn counters(&self) -> Counters {
        Counters {
            live: Gauges {
                links: self.links.len() as u64,
                ports: self.ports.len() as u64,
                bindings: self.bindings.len() as u64,
                trails: self.ends.len() as u64,
                connections: self.connections.len() as u64,
                scent_rows: self.scent.len() as u64,
                seeks: self.seeks.len() as u64,
                hidden: self.hidden.len() as u64,
                seen: self.seen.len() as u64,
                reply_keys: self.reply_keys.len() as u64,
                timers: self.timers.len() as u64,
                held: self.delays.len() as u64,
                held_bytes: self.delays.bytes() as u64,
            },
            ..self.counters
        }
    }

    fn frame(&mut self, link: LinkId, frame: Frame<Verified>) {
        if let Frame::Data { label, ecn, body } = frame {
            return self.data_from_link(link, label, ecn, body);
        }
        if let Frame::Close { label } = frame {
            return self.on_close(link, label);
        }
        let hop = Hop::Link(link);
        if !self.pay(hop, &frame) {
            return;
        }
        match frame {
            Frame::Flood { phase, message } => self.on_flood(hop, phase, message),
            Frame::Seek { mode, message } => self.on_seek(hop, mode, message),
            Frame::Letter { message } => self.on_letter(hop, message),
            Frame::Walk { way, message } => self.on_walk(hop, way, message),
            Frame::Trail { label, message } => self.on_trail(link, label, message),
            Frame::Keep { label, message } => self.on_keep(link, label, message),
            Frame::Data { .. } | Frame::Close { .. } => {}
        }
    }

    /// Takes what a control frame of `hop` costs from the hop's budget. `false`: there is no such hop, or its budget is spent.
    fn pay(&mut self, hop: Hop, frame: &Frame<Verified>) -> bool {
        let (now, bounded) = (self.now.instant, self.waits.defences.budgets);
        let Some(budgets) = self.budgets(hop) else {
            return false;
        };
        let paid = budgets.pay(frame, now) || !bounded;
        if !paid {
            self.counters.drops.budget += 1;
        }
        paid
    }

    /// Notes a verified message's arrival and lays its author's scent. `None`: it is stale or there is no room, so nothing comes of it; a
    /// later copy's hop is an alternative to the first.
    fn arrive(&mut self, hop: Hop, id: MessageId, stamp: Stamp, author: Address) -> Option<Arrival> {
        let arrival = self.note(hop, id, stamp)?;
        match arrival {
            Arrival::First => self.lay(author, hop, 0),
            Arrival::Copy(rank) => self.lay(author, hop, rank),
            Arrival::Doubtful | Arrival::Repeated | Arrival::Full => {}
        }
        Some(arrival)
    }

    /// The same for one that walks. Its copies lay nothing: they have come a long way round, and lead back there.
    fn arrive_walking(&mut self, hop: Hop, id: MessageId, stamp: Stamp, author: Address) -> Option<Arrival> {
        let arrival = self.note(hop, id, stamp)?;
        if arrival == Arrival::First {
            self.lay(author, hop, 0);
        }
        Some(arrival)
    }

    /// Notes a verified message's arrival. `None`: it is stale or there is no room to remember it.
    fn note(&mut self, hop: Hop, id: MessageId, stamp: Stamp) -> Option<Arrival> {
        if !stamps::is_fresh(stamp.minute, minute(self.now)) {
            self.counters.drops.stale += 1;
            return None;
        }
        let number = self.hop_number(hop)?;
        // What an identity of this node signs is new.
        let may_lay = matches!(hop, Hop::Port(_)) || self.stamps.lay(stamp, self.now);
        let arrival = self.seen.arrive(id, stamp.minute, number, may_lay);
        self.timers.set_if_unset(Timer::Seen, self.next_minute());
        match arrival {
            Arrival::First | Arrival::Doubtful => {}
            Arrival::Copy(_) | Arrival::Repeated => self.counters.drops.duplicate += 1,
            Arrival::Full => {
                self.counters.drops.full += 1;
                return None;
            }
        }
        Some(arrival)
    }

    /// Lays scent for a verified message that cannot have laid any before.
    fn lay(&mut self, author: Address, hop: Hop, rank: u8) {
        self.scent.lay(author, hop, rank, self.now.instant);
        self.watch_scent();
    }

    /// Makes sure that scent which nothing touches any more is forgotten.
    fn watch_scent(&mut self) {
        self.timers.set_if_unset(Timer::Scent, self.now.instant + limits::ROW_IDLE);
    }

    fn scent_due(&mut self) {
        self.scent.expire(self.now.instant);
        if let Some(at) = self.scent.next_expiry() {
            self.timers.set(Timer::Scent, at);
        }
    }

    fn seen_due(&mut self) {
        self.seen.expire(minute(self.now));
        if !self.seen.is_empty() {
            self.timers.set(Timer::Seen, self.next_minute());
        }
    }

    /// How loaded a hop is that a message from `from` may go to; `None` if it cannot go there. `own`: the port that it is for, which is a
    /// hop like any other.
    fn usable(&self, hop: Hop, from: Hop, own: Option<PortId>) -> Option<u8> {
        match hop {
            _ if hop == from => None,
            Hop::Link(link) => self.links.get(&link).map(|link| link.load),
            Hop::Port(port) => (own == Some(port)).then(|| self.delays.level()),
        }
    }

    /// A stamp of this moment.
    fn stamp(&mut self) -> Stamp {
        Stamp { minute: minute(self.now), random: self.rng.next_u64() }
    }

    fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A key that signs one message.
    fn one_time_key(&mut self) -> (zeroize::Zeroizing<[u8; 32]>, IdentityKey) {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *seed);
        let key = self.crypto.identity(&seed);
        (seed, key)
    }

    /// A time between two, evenly.
    fn between(&mut self, [from, to]: [core::time::Duration; 2]) -> core::time::Duration {
        let span = to.saturating_sub(from).as_micros() as u64;
        from + core::time::Duration::from_micros(self.rng.next_u64() % (span + 1))
    }

    /// The monotonic clock at the wall clock's next minute.
    fn next_minute(&self) -> Instant {
        self.now.instant + core::time::Duration::from_secs(60 - self.now.unix_s % 60)
    }

    fn set_now(&mut self, now: Now) {
        self.stamps.watch_clock(now);
        self.now = Now { instant: now.instant.max(self.now.instant), unix_s: now.unix_s };
    }

    fn send(&mut self, link: LinkId, ingress: Hop, frame: Frame<Verified>) {
        self.outputs.push_back(Output::Send { link, ingress, frame });
    }
}

/// The wall clock's minute.
fn minute(now: Now) -> u32 {
    u32::try_from(now.unix_s / 60).unwrap_or(u32::MAX)
}

impl Traffic {
    /// Counts a frame to a neighbour that came from `ingress`.
    fn passed(&mut self, ingress: Hop, count: u64) {
        match ingress {
            Hop::Link(_) => self.relayed += count,
            Hop::Port(_) => self.sent += count,
        }
    }
}
