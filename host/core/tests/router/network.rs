//! Real routers in memory: a virtual clock, links with a delay, and every frame through the real wire format.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mute_core::{
    Address, ConnectionId, Counters, Defences, Ecn, Event, Finding, FloodRules, IdentityKey, Input, Instant, LinkId,
    NeighbourId, NetworkId, Now, Output, PortId, Profile, Role, Router, RouterConfig, Shape, TrailId, WalkShape,
    limits,
    wire::{Decoded, Frame, FrameReader, Verified, decode_frame},
};

pub(crate) const NETWORK: NetworkId = NetworkId([7; 16]);
pub(crate) const NO_ROUTE_AFTER: Duration = Duration::from_secs(30);
const DELAY: Duration = Duration::from_millis(10);
/// Not at the start of a minute, nor of a day.
const START_UNIX_S: u64 = 1_800_000_037;

/// Whether a frame from one node to another arrives.
type Fault = dyn FnMut(usize, usize, &Frame<Verified>) -> bool;

/// What a node's port learned, and when.
pub(crate) struct Happened {
    pub(crate) at: Duration,
    pub(crate) node: usize,
    pub(crate) port: PortId,
    pub(crate) event: Event,
}

pub(crate) struct Network {
    pub(crate) nodes: Vec<Option<Router>>,
    clock: Duration,
    in_flight: BTreeMap<(Duration, u64), (usize, LinkId, Bytes)>,
    wires: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    pub(crate) happened: Vec<Happened>,
    trace: blake3::Hasher,
    seed: u8,
    next: u64,
    setting: Setting,
    /// Frames that this says no to are lost; for faults.
    pub(crate) passes: Box<Fault>,
    /// How long a frame from one node to another takes.
    pub(crate) delay: Box<dyn Fn(usize, usize) -> Duration>,
}

/// What a node's router is like.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) shape: Shape,
    pub(crate) defences: Defences,
    pub(crate) finding: Finding,
    pub(crate) walkers_log2: u8,
    /// Its secret's part that differs from world to world.
    pub(crate) world: u32,
    pub(crate) floods: FloodRules,
}

impl Setting {
    pub(crate) fn of(profile: Profile) -> Self {
        Self {
            shape: profile.shape(),
            defences: Defences::default(),
            finding: Finding::Floods,
            walkers_log2: limits::WALKERS_LOG2,
            world: 0,
            floods: FloodRules::default(),
        }
    }
}

/// The identity of a node's port.
pub(crate) fn identity(node: usize) -> IdentityKey {
    IdentityKey::from_seed(&[node as u8 + 1; 32])
}

pub(crate) fn address(node: usize) -> Address {
    identity(node).address()
}

/// Every node has one port, of this name.
pub(crate) const PORT: PortId = PortId(1);

impl Network {
    pub(crate) fn new(nodes: usize, seed: u8) -> Self {
        Self::within(Setting::of(Profile::Fast), nodes, seed)
    }

    pub(crate) fn within(setting: Setting, nodes: usize, seed: u8) -> Self {
        let mut network = Self {
            nodes: Vec::new(),
            clock: Duration::ZERO,
            in_flight: BTreeMap::new(),
            wires: BTreeMap::new(),
            happened: Vec::new(),
            trace: blake3::Hasher::new(),
            seed,
            next: 0,
            setting,
            passes: Box::new(|_, _, _| true),
            delay: Box::new(|_, _| DELAY),
        };
        for node in 0..nodes {
            network.nodes.push(None);
            network.start(node);
        }
        network
    }

    /// Starts a node (again): a router that knows nothing yet, with one listening port.
    pub(crate) fn start(&mut self, node: usize) {
        self.start_as(node, self.setting);
    }

    /// Starts a node whose router is not like those of the others.
    pub(crate) fn start_as(&mut self, node: usize, setting: Setting) {
        let mut seed = [self.seed; 32];
        seed[0] = node as u8;
        seed[1] = self.clock.as_secs() as u8;
        let mut secret = [node as u8 ^ 0x55; 32];
        secret[..4].copy_from_slice(&setting.world.to_be_bytes());
        let config = RouterConfig {
            no_route_after: NO_ROUTE_AFTER,
            finding: setting.finding,
            floods: setting.floods,
            walks: WalkShape { walkers_log2: setting.walkers_log2, ..WalkShape::default() },
            ..RouterConfig::new(NETWORK, seed, secret)
        };
        self.nodes[node] = Some(Router::new(config, self.now()).reshaped(setting.shape, setting.defences));
        self.input(node, Input::OpenPort { port: PORT, key: identity(node) });
        self.input(node, Input::Listen { port: PORT, listening: true });
    }

    pub(crate) fn line(nodes: usize, seed: u8) -> Self {
        Self::line_within(Setting::of(Profile::Fast), nodes, seed)
    }

    pub(crate) fn line_within(setting: Setting, nodes: usize, seed: u8) -> Self {
        let mut network = Self::within(setting, nodes, seed);
        for node in 1..nodes {
            network.link(node - 1, node);
        }
        network
    }

    pub(crate) fn ring(nodes: usize, seed: u8) -> Self {
        let mut network = Self::line(nodes, seed);
        network.link(nodes - 1, 0);
        network
    }

    pub(crate) fn grid(width: usize, height: usize, seed: u8) -> Self {
        Self::grid_within(Setting::of(Profile::Fast), width, height, seed)
    }

    pub(crate) fn grid_within(setting: Setting, width: usize, height: usize, seed: u8) -> Self {
        let mut network = Self::within(setting, width * height, seed);
        for y in 0..height {
            for x in 0..width {
                let node = y * width + x;
                if x + 1 < width {
                    network.link(node, node + 1);
                }
                if y + 1 < height {
                    network.link(node, node + width);
                }
            }
        }
        network
    }

    pub(crate) fn link(&mut self, a: usize, b: usize) {
        let (to_b, to_a) = (LinkId(self.number()), LinkId(self.number()));
        self.wires.insert((a, to_b), (b, to_a));
        self.wires.insert((b, to_a), (a, to_b));
        self.input(a, Input::LinkUp { link: to_b, neighbour: NeighbourId(b as u64), initiator: true });
        self.input(b, Input::LinkUp { link: to_a, neighbour: NeighbourId(a as u64), initiator: false });
    }

    /// A node vanishes: its neighbours' links go down.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node] = None;
        let ends: Vec<_> = self.wires.iter().filter(|((at, _), _)| *at == node).map(|(a, b)| (*a, *b)).collect();
        for (here, there) in ends {
            self.cut(here, there);
        }
    }

    fn cut(&mut self, here: (usize, LinkId), there: (usize, LinkId)) {
        self.wires.remove(&here);
        self.wires.remove(&there);
        for (node, link) in [here, there] {
            if self.nodes[node].is_some() {
                self.input(node, Input::LinkDown { link });
            }
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { instant: Instant::from_origin(self.clock), unix_s: START_UNIX_S + self.clock.as_secs() }
    }

    pub(crate) fn clock(&self) -> Duration {
        self.clock
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn input(&mut self, node: usize, input: Input) {
        let now = self.now();
        if let Some(router) = &mut self.nodes[node] {
            router.handle(input, now);
        }
        self.drain(node);
    }

    pub(crate) fn counters(&self, node: usize) -> Counters {
        self.nodes[node].as_ref().expect("the node is alive").counters()
    }

    pub(crate) fn connect(&mut self, from: usize, to: usize) -> ConnectionId {
        let connection = ConnectionId(self.number());
        self.input(from, Input::Connect { port: PORT, connection, target: address(to) });
        connection
    }

    pub(crate) fn send(&mut self, node: usize, trail: TrailId, body: impl Into<Bytes>) {
        self.input(node, Input::Data { trail, ecn: Ecn::Capable0, body: body.into() });
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.clock + time;
        loop {
            let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
            let wake_up =
                self.nodes.iter().flatten().filter_map(Router::next_deadline).map(Instant::since_origin).min();
            let Some(next) = [arrival, wake_up].into_iter().flatten().min().filter(|next| *next <= until) else {
                break;
            };
            self.clock = self.clock.max(next);
            while let Some(((at, _), _)) = self.in_flight.first_key_value()
                && *at <= self.clock
                && let Some((_, (node, link, bytes))) = self.in_flight.pop_first()
            {
                self.arrive(node, link, bytes);
            }
            self.wake_up();
        }
        self.clock = until;
    }

    fn wake_up(&mut self) {
        let now = self.now();
        for node in 0..self.nodes.len() {
            if let Some(router) = &mut self.nodes[node]
                && router.next_deadline().is_some_and(|due| due <= now.instant)
            {
                router.tick(now);
                self.drain(node);
            }
        }
    }

    fn arrive(&mut self, node: usize, link: LinkId, mut bytes: Bytes) {
        if !self.wires.contains_key(&(node, link)) {
            return;
        }
        let frame = FrameReader::new().decode_next(&mut bytes).expect("a router's frame is framed");
        let decoded = decode_frame(frame.expect("it came whole")).expect("a router's frame decodes");
        let Decoded::Frame(frame) = decoded else { panic!("a router sends frames") };
        let frame = frame.verify(NETWORK).expect("a router's signatures hold");
        self.input(node, Input::Frame { link, frame });
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].as_mut().and_then(Router::poll) {
            match output {
                Output::Send { link, frame, .. } => self.transmit(node, link, &frame),
                Output::Event { port, event } => {
                    self.trace.update(format!("{:?} {node} {event:?}", self.clock).as_bytes());
                    self.happened.push(Happened { at: self.clock, node, port, event });
                }
                Output::Violation { violation, .. } => {
                    panic!("node {node} accuses an honest neighbour: {violation}")
                }
            }
        }
    }

    fn transmit(&mut self, from: usize, link: LinkId, frame: &Frame<Verified>) {
        let Some((to, at)) = self.wires.get(&(from, link)).copied() else {
            return;
        };
        let mut bytes = BytesMut::new();
        frame.write_header(&mut bytes);
        bytes.extend_from_slice(&frame.body());
        assert_eq!(bytes.len(), frame.encoded_len());
        self.trace.update(format!("{:?} {from} {to}", self.clock).as_bytes());
        self.trace.update(&bytes);
        if (self.passes)(from, to, frame) {
            let key = (self.clock + (self.delay)(from, to), self.number());
            self.in_flight.insert(key, (to, at, bytes.freeze()));
        }
    }

    /// All that the routers sent and said, as one hash.
    pub(crate) fn trace(&self) -> String {
        self.trace.finalize().to_hex().to_string()
    }

    /// The trails opened at a node, in order: with the given role.
    pub(crate) fn opened(&self, node: usize, owner: bool) -> Vec<TrailId> {
        self.happened
            .iter()
            .filter(|happened| happened.node == node)
            .filter_map(|happened| match &happened.event {
                Event::TrailOpened { trail, role, .. } if (*role == Role::Owner) == owner => Some(*trail),
                _ => None,
            })
            .collect()
    }

    /// The packets that arrived at a node, in order.
    pub(crate) fn received(&self, node: usize) -> Vec<(TrailId, Bytes)> {
        self.happened
            .iter()
            .filter(|happened| happened.node == node)
            .filter_map(|happened| match &happened.event {
                Event::Data { trail, body, .. } => Some((*trail, body.clone())),
                _ => None,
            })
            .collect()
    }

    /// The last trail opened at a node.
    pub(crate) fn last_trail(&self, node: usize, owner: bool) -> TrailId {
        *self.opened(node, owner).last().expect("a trail was laid")
    }

    /// Sends from `seeker` to `owner` and back on their last trails, and checks that both arrive.
    pub(crate) fn talk(&mut self, seeker: usize, owner: usize) {
        let (ours, theirs) = (self.last_trail(seeker, false), self.last_trail(owner, true));
        let (question, answer) = (format!("q{}", self.number()), format!("a{}", self.number()));
        self.send(seeker, ours, question.clone());
        self.run(Duration::from_secs(1));
        assert!(self.received(owner).contains(&(theirs, Bytes::from(question))), "the owner hears the seeker");
        self.send(owner, theirs, answer.clone());
        self.run(Duration::from_secs(1));
        assert!(self.received(seeker).contains(&(ours, Bytes::from(answer))), "the seeker hears the owner");
    }
}
