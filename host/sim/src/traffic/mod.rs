//! Sources of traffic on trails: constant, on and off, or with a window that reacts to losses and congestion marks as QUIC does.
//!
//! A flow is a connection of a port to an address and packets in one direction. Bodies have the sizes of sealed packets; the routers see no more of
//! them than of the daemon's. [`Traffic`] holds both ends of all flows of a run and is a part of a scenario's [`App`]: hand it
//! events and timers first.

mod congestion;
mod packet;
mod received;
mod sender;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use mute_core::{Address, Close, ConnectionId, Ecn, Event, Input, PortId, Role, TrailId};

pub use congestion::Algorithm;
pub use packet::INNER_OVERHEAD;
pub use sender::WindowParams;

use crate::{
    Network,
    app::{App, NodeId, Timer},
    events::Nanos,
    network::nanos,
    random::Random,
};
use packet::Packet;
use received::{Arrived, Received};
use sender::{May, Sender};

/// How a source sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// So many bytes of bodies a second, evenly, whatever happens to them.
    Constant {
        /// Bytes a second.
        rate: u64,
    },
    /// Constant while it is on; both times exponential.
    OnOff {
        /// Bytes a second while it is on.
        rate: u64,
        /// How long it is on, on average.
        on: Duration,
        /// How long it is off, on average.
        off: Duration,
    },
    /// As much as a congestion window lets it.
    Window(WindowParams),
}

/// A flow that is to be.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The node that connects.
    pub node: NodeId,
    /// Its port.
    pub port: PortId,
    /// Whom it connects to.
    pub to: Address,
    /// The packets go from the owner to who connected, as in a download.
    pub download: bool,
    /// How the source sends.
    pub source: Source,
    /// The size of each body, in bytes; [`INNER_OVERHEAD`] of it is no payload.
    pub packet: u64,
    /// The source ends after so much payload.
    pub size: Option<u64>,
}

/// A flow's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId(pub u32);

/// What became of a flow so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowStats {
    /// Packets sent.
    pub sent: u64,
    /// Packets that arrived, each counted once.
    pub received: u64,
    /// Payload of them, in bytes.
    pub goodput: u64,
    /// Packets that arrived with a congestion mark.
    pub marked: u64,
    /// Packets that arrived again.
    pub twice: u64,
    /// Packets that the sender took for lost (windows only).
    pub lost: u64,
    /// Times that the window was cut.
    pub cuts: u64,
    /// The smoothed round trip in seconds (windows only).
    pub rtt: f64,
    /// The window in bytes (windows only).
    pub window: f64,
    /// When it was started.
    pub started: Duration,
    /// When its first trail was laid.
    pub opened: Option<Duration>,
    /// When its first packet arrived.
    pub first: Option<Duration>,
    /// When all of its `size` had arrived.
    pub done: Option<Duration>,
    /// Trails laid for it.
    pub trails: u32,
    /// Why it could not be.
    pub failed: Option<Close>,
    /// The sum of its packets' times on the way, in seconds.
    pub latency_sum: f64,
}

/// One end of a flow.
struct End {
    node: NodeId,
    trail: Option<TrailId>,
}

struct State {
    flow: Flow,
    connection: ConnectionId,
    /// Who connected, and the owner.
    ends: [Option<End>; 2],
    stats: FlowStats,
    sender: Option<Sender>,
    received: Received,
    /// When unacknowledged packets were sent: for their latency.
    sent_at: BTreeMap<u64, Nanos>,
    next: u64,
    on: bool,
    /// The timer that counts: another one is void.
    wake: Option<Nanos>,
    stopped: bool,
}

const SEEKER: usize = 0;
const OWNER: usize = 1;

/// How long who connected waits before it asks again for a download that does not come.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Sending times kept for packets that may never arrive.
const MAX_SENT_AT: usize = 4096;

/// What a timer is for, in its token's lowest bits.
const WAKE: u64 = 0;
const ACK: u64 = 1;
const TOGGLE: u64 = 2;
const ASK: u64 = 3;

/// All flows of a run.
pub struct Traffic {
    flows: Vec<State>,
    connections: BTreeMap<ConnectionId, FlowId>,
    /// The trails of both ends.
    trails: BTreeMap<(NodeId, TrailId), FlowId>,
    random: Random,
    /// Adversaries of this run repeat packets, so arriving twice is not the routers' fault. (The seal's replay window drops what comes
    /// again, as is done here.)
    pub replays: bool,
}

impl Traffic {
    /// The [`Timer::component`] of its timers.
    pub const COMPONENT: u16 = u16::MAX;

    /// No flow yet.
    pub fn new(seed: u64) -> Self {
        Self {
            flows: Vec::new(),
            connections: BTreeMap::new(),
            trails: BTreeMap::new(),
            random: Random::new(seed, "traffic"),
            replays: false,
        }
    }

    /// Connects, and sends as soon as there is a trail.
    pub fn start(&mut self, net: &mut Network, flow: Flow) -> FlowId {
        let id = FlowId(self.flows.len() as u32);
        let connection = ConnectionId(net.number());
        let sender = match flow.source {
            Source::Window(params) => Some(Sender::new(params, flow.packet)),
            Source::Constant { .. } | Source::OnOff { .. } => None,
        };
        self.flows.push(State {
            flow,
            connection,
            ends: [Some(End { node: flow.node, trail: None }), None],
            stats: FlowStats { started: net.clock(), ..FlowStats::default() },
            sender,
            received: Received::default(),
            sent_at: BTreeMap::new(),
            next: 0,
            on: true,
            wake: None,
            stopped: false,
        });
        self.connections.insert(connection, id);
        if let Source::OnOff { on, .. } = flow.source {
            let after = self.random.exponential(on.as_secs_f64());
            self.timer_after(net, id, TOGGLE, Duration::from_secs_f64(after));
        }
        net.input(flow.node, Input::Connect { port: flow.port, connection, target: flow.to });
        id
    }

    /// Ends a flow: its trails are closed.
    pub fn stop(&mut self, net: &mut Network, id: FlowId) {
        let Some(state) = self.flows.get_mut(id.0 as usize) else {
            return;
        };
        state.stopped = true;
        let connection = state.connection;
        self.connections.remove(&connection);
        net.disconnect(state.flow.node, connection);
    }

    /// How many flows were started.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// What became of a flow.
    pub fn stats(&self, id: FlowId) -> FlowStats {
        let Some(state) = self.flows.get(id.0 as usize) else {
            return FlowStats::default();
        };
        let mut stats = state.stats;
        if let Some(sender) = &state.sender {
            (stats.lost, stats.cuts) = (sender.lost, sender.cuts);
            (stats.rtt, stats.window) = (sender.rtt() as f64 / 1e9, sender.window());
        }
        stats
    }

    /// What became of each flow, in the order in which they were started.
    pub fn all(&self) -> Vec<FlowStats> {
        (0..self.flows.len() as u32).map(|flow| self.stats(FlowId(flow))).collect()
    }

    /// Hears an event. `false`: it is about none of these flows.
    pub fn event(&mut self, net: &mut Network, node: NodeId, _port: PortId, event: &Event) -> bool {
        match event {
            Event::TrailOpened { trail, role: Role::Seeker { connection }, .. } => {
                let Some(id) = self.connections.get(connection).copied() else {
                    return false;
                };
                self.opened(net, id, *trail);
                true
            }
            Event::TrailOpened { role: Role::Owner, .. } | Event::Heard { .. } | Event::Letter { .. } => false,
            Event::Data { trail, ecn, body } => self.data(net, node, *trail, *ecn, body),
            Event::TrailClosed { trail, .. } => self.closed(node, *trail),
            Event::ConnectFailed { connection, why } => {
                let Some(id) = self.connections.remove(connection) else {
                    return false;
                };
                if let Some(state) = self.flows.get_mut(id.0 as usize) {
                    state.stats.failed = Some(*why);
                    state.stopped = true;
                }
                true
            }
        }
    }

    /// A timer is due. `false`: it is none of these flows'.
    pub fn timer(&mut self, net: &mut Network, timer: Timer) -> bool {
        if timer.component != Self::COMPONENT {
            return false;
        }
        let id = FlowId((timer.token >> 2) as u32);
        match timer.token & 3 {
            WAKE => {
                let now = nanos(net.clock());
                if let Some(state) = self.flows.get_mut(id.0 as usize)
                    && state.wake == Some(now)
                {
                    state.wake = None;
                    if let Some(sender) = &mut state.sender {
                        sender.due(now);
                    }
                    self.send(net, id);
                }
            }
            ACK => self.acknowledge(net, id, false),
            TOGGLE => self.toggle(net, id),
            _ => self.ask(net, id),
        }
        true
    }

    fn timer_after(&self, net: &mut Network, id: FlowId, what: u64, after: Duration) {
        net.set_timer(after, Timer { component: Self::COMPONENT, node: 0, token: u64::from(id.0) << 2 | what });
    }

    /// A trail is laid, the first or a successor.
    fn opened(&mut self, net: &mut Network, id: FlowId, trail: TrailId) {
        let Some(state) = self.flows.get_mut(id.0 as usize) else {
            return;
        };
        state.stats.trails += 1;
        state.stats.opened.get_or_insert(net.clock());
        if let Some(end) = &mut state.ends[SEEKER] {
            end.trail = Some(trail);
            self.trails.insert((end.node, trail), id);
        }
        if state.flow.download {
            self.ask(net, id);
        } else {
            if let Some(sender) = &mut state.sender {
                sender.moved();
            }
            self.send(net, id);
        }
    }

    /// Who connected tells the owner of a trail, until something comes back on it.
    fn ask(&mut self, net: &mut Network, id: FlowId) {
        let Some(state) = self.flows.get_mut(id.0 as usize) else {
            return;
        };
        let Some(End { node, trail: Some(trail) }) = state.ends[SEEKER] else {
            return;
        };
        let answered = matches!(&state.ends[OWNER], Some(End { trail: Some(_), .. }));
        if state.stopped || (answered && state.received.heard_on == Some(trail)) {
            return;
        }
        let body = packet::encode(id.0, &Packet::Ask, 0);
        net.input(node, Input::Data { trail, ecn: Ecn::Capable0, body });
        self.timer_after(net, id, ASK, ASK_EVERY);
    }

    fn closed(&mut self, node: NodeId, trail: TrailId) -> bool {
        let id = self.trails.remove(&(node, trail));
        let Some(state) = id.and_then(|id| self.flows.get_mut(id.0 as usize)) else {
            return false;
        };
        for end in state.ends.iter_mut().flatten() {
            if end.node == node && end.trail == Some(trail) {
                end.trail = None;
            }
        }
        true
    }

    fn data(&mut self, net: &mut Network, node: NodeId, trail: TrailId, ecn: Ecn, body: &Bytes) -> bool {
        let Some((flow, packet)) = packet::read(body) else {
            return false;
        };
        let id = FlowId(flow);
        let Some(state) = self.flows.get_mut(flow as usize) else {
            return false;
        };
        // The owner learns of a trail, the first or a successor, by what comes on it; routers number trails in order.
        let from_seeker = matches!(
            (&packet, state.flow.download),
            (Packet::Ask, _) | (Packet::Data { .. }, false) | (Packet::Ack(_), true)
        );
        if from_seeker {
            self.trails.insert((node, trail), id);
            match &mut state.ends[OWNER] {
                Some(end) if end.node == node => end.trail = end.trail.max(Some(trail)),
                owner => *owner = Some(End { node, trail: Some(trail) }),
            }
        } else {
            state.received.heard_on = Some(trail);
        }
        match packet {
            Packet::Ask => self.send(net, id),
            Packet::Data { number } => self.arrived(net, id, number, ecn == Ecn::Experienced),
            Packet::Ack(ack) => {
                if let Some(sender) = &mut state.sender {
                    sender.acked(&ack, nanos(net.clock()));
                    self.send(net, id);
                }
            }
        }
        true
    }

    fn arrived(&mut self, net: &mut Network, id: FlowId, number: u64, marked: bool) {
        let now = nanos(net.clock());
        let Some(state) = self.flows.get_mut(id.0 as usize) else {
            return;
        };
        let (every, delay) = match state.flow.source {
            Source::Window(params) => (params.ack_every, nanos(params.ack_delay)),
            Source::Constant { .. } | Source::OnOff { .. } => (u32::MAX, Nanos::MAX / 2),
        };
        let waited = state.received.due.is_some();
        let arrived = state.received.arrive(number, marked, now, every, delay);
        if arrived == Arrived::Twice {
            state.stats.twice += 1;
            if !self.replays {
                net.checks.fail(format!("packet {number} of flow {} arrived twice", id.0));
            }
            return;
        }
        state.stats.received += 1;
        state.stats.marked += u64::from(marked);
        state.stats.goodput += state.flow.packet.saturating_sub(INNER_OVERHEAD);
        state.stats.first.get_or_insert(net.clock());
        if let Some(sent) = state.sent_at.remove(&number) {
            state.stats.latency_sum += (now - sent) as f64 / 1e9;
        }
        if state.flow.size.is_some_and(|size| state.stats.goodput >= size) {
            state.stats.done.get_or_insert(net.clock());
        }
        if state.sender.is_none() {
            return;
        }
        if arrived == Arrived::SayNow || state.stats.done.is_some() {
            self.acknowledge(net, id, true);
        } else if !waited {
            self.timer_after(net, id, ACK, Duration::from_nanos(delay));
        }
    }

    /// The receiver says what has arrived, if it is time.
    fn acknowledge(&mut self, net: &mut Network, id: FlowId, at_once: bool) {
        let now = nanos(net.clock());
        let Some(state) = self.flows.get_mut(id.0 as usize) else {
            return;
        };
        let receiver = if state.flow.download { SEEKER } else { OWNER };
        let Some(End { node, trail: Some(trail) }) = state.ends[receiver] else {
            return;
        };
        if !at_once && state.received.due.is_none_or(|due| due > now) {
            return;
        }
        let ack = state.received.ack(now);
        let body = packet::encode(id.0, &Packet::Ack(ack), 0);
        net.input(node, Input::Data { trail, ecn: Ecn::Capable0, body });
    }

    fn toggle(&mut self, net: &mut Network, id: FlowId) {
        let Some(state) = self.flows.get_mut(id.0 as usize) else {
            return;
        };
        let Source::OnOff { on, off, .. } = state.flow.source else {
            return;
        };
        if state.stopped {
            return;
        }
        state.on = !state.on;
        let mean = if state.on { on } else { off };
        let after = self.random.exponential(mean.as_secs_f64());
        self.timer_after(net, id, TOGGLE, Duration::from_secs_f64(after));
        self.send(net, id);
    }

    /// Sends what may be sent now, and sees to it that the rest is.
    fn send(&mut self, net: &mut Network, id: FlowId) {
        let now = nanos(net.clock());
        let next = loop {
            let Some(state) = self.flows.get_mut(id.0 as usize) else {
                return;
            };
            let from = if state.flow.download { OWNER } else { SEEKER };
            let Some(End { node, trail: Some(trail) }) = state.ends[from] else {
                return;
            };
            if state.stopped || !state.on || state.has_sent_all() {
                return;
            }
            let (number, wait) = match (&mut state.sender, state.flow.source) {
                (Some(sender), _) => match sender.may(now) {
                    May::Send => (sender.send(now), None),
                    May::Wait(until) => break Some(sender.deadline().map_or(until, |deadline| deadline.min(until))),
                    May::Full => break sender.deadline(),
                },
                (None, Source::Constant { rate } | Source::OnOff { rate, .. }) => {
                    if state.wake.is_some() {
                        return;
                    }
                    state.next += 1;
                    (state.next - 1, Some(now + crate::link::line_time(state.flow.packet, rate)))
                }
                (None, Source::Window(_)) => return,
            };
            state.stats.sent += 1;
            if state.sent_at.len() >= MAX_SENT_AT {
                state.sent_at.pop_first();
            }
            state.sent_at.insert(number, now);
            let body = packet::encode(id.0, &Packet::Data { number }, state.flow.packet as usize);
            net.input(node, Input::Data { trail, ecn: Ecn::Capable0, body });
            if wait.is_some() {
                break wait;
            }
        };
        if let (Some(next), Some(state)) = (next, self.flows.get_mut(id.0 as usize)) {
            let next = next.max(now + 1);
            if state.wake.is_none_or(|wake| wake > next) {
                state.wake = Some(next);
                self.timer_after(net, id, WAKE, Duration::from_nanos(next - now));
            }
        }
    }
}

impl State {
    /// A sender with a window goes on until all has arrived, since what is lost is sent again in new packets; one without, until all was sent.
    fn has_sent_all(&self) -> bool {
        match (&self.sender, self.flow.size) {
            (_, None) => false,
            (Some(_), Some(_)) => self.stats.done.is_some(),
            (None, Some(size)) => self.next * self.flow.packet.saturating_sub(INNER_OVERHEAD) >= size,
        }
    }
}

/// Traffic alone is a scenario.
impl App for Traffic {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        Traffic::event(self, net, node, port, &event);
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        Traffic::timer(self, net, timer);
    }
}
