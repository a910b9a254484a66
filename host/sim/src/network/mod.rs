//! The network: nodes with real routers, links between them, a virtual clock.
//!
//! A run is a function of its seed: events are ordered by time and then by when they were added, each purpose draws from a stream of its
//! own, and no table is iterated in an order that a hash decides.

mod driving;
mod life;
mod lines;
mod warm;
mod work;

use std::{collections::VecDeque, time::Duration};

use mute_core::{
    Event, Instant, LinkId, NetworkId, Now, PortId, Router,
    wire::{Frame, Verified},
};

use crate::{
    app::{App, Behaviour, NodeId, Timer},
    check::Checks,
    events::{Events, Nanos, What},
    link::{Edge, Flights, Half, HalfCounters, LinkParams, link_id},
    queue::{Queue, QueueKind},
    random::Random,
    topology::Topology,
};

/// The network that all simulated nodes belong to.
pub const NETWORK: NetworkId = NetworkId(*b"mute simulation ");

/// The wall clock at a run's start: not at the start of a minute, nor of a day.
const START_UNIX_S: u64 = 1_800_000_037;

/// How signatures are made and checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// Stand-ins that cost a hash, taken for good: see [`mute_core::Router::simulated`].
    #[default]
    Stub,
    /// Ed25519 and X25519, and every frame goes through the wire format and is verified at each hop, as between daemons.
    Real,
}

/// Changes what a node's router is made with.
pub type Configure = std::rc::Rc<dyn Fn(NodeId, &mut mute_core::RouterConfig)>;

/// What a node's router adds and how it defends itself, in place of its profile's.
pub type Reshape = std::rc::Rc<dyn Fn(NodeId) -> (mute_core::Shape, mute_core::Defences)>;

/// How a node's neighbour, the second, stands with it as an ingress of its queues.
pub type StandingOf = std::rc::Rc<dyn Fn(NodeId, NodeId) -> mute_core::scheduler::Standing>;

/// What a network is made with.
#[derive(Clone)]
pub struct Config {
    /// The run's seed.
    pub seed: u64,
    /// How signatures are made.
    pub signatures: Signatures,
    /// The links that [`Network::new`] makes.
    pub link: LinkParams,
    /// What all links of a node share, in bytes a second; 0: no limit beyond the links' own.
    pub upload: u64,
    /// The queues.
    pub queue: QueueKind,
    /// Who is a stranger to whom, and weighs how much in fair queues; `None`: all are friends of weight 1.
    pub standing: Option<StandingOf>,
    /// Frames that find a line free and its queue empty go past it, and empty queues keep no memory (nor what fair queues remember of
    /// the last seconds): for networks of more than some 10⁴ nodes.
    pub lean_queues: bool,
    /// Changes what each node's router is made with, its defaults being [`RouterConfig::new`](mute_core::RouterConfig::new)'s: how floods end, profiles.
    pub router: Option<Configure>,
    /// Gives each node other numbers than its profile's, or fewer defences; `None`: they are the profile's.
    pub reshape: Option<Reshape>,
    /// How long a link to a node that crashed stays up, as the links' idle timeout has it.
    pub crash_silence: Duration,
    /// How often the checkers look at everything.
    pub check_every: Duration,
}

impl Config {
    /// The defaults with this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            signatures: Signatures::Stub,
            link: LinkParams::default(),
            upload: 0,
            queue: QueueKind::default(),
            standing: None,
            lean_queues: false,
            router: None,
            reshape: None,
            crash_silence: Duration::from_secs(10),
            check_every: Duration::from_secs(10),
        }
    }
}

/// A node.
pub(crate) struct Node {
    /// `None`: it does not run.
    pub(crate) router: Option<Box<Router>>,
    /// Its halves, of links that are up or not.
    pub(crate) halves: Vec<u32>,
    /// When a `Tick` is ahead that counts.
    pub(crate) tick_at: Nanos,
    /// Shared by its links, bytes a second; 0: no limit.
    pub(crate) upload: u64,
    pub(crate) free_at: Nanos,
    /// Halves that wait for the upload.
    pub(crate) ring: VecDeque<u32>,
    pub(crate) upload_scheduled: bool,
    pub(crate) loads_scheduled: bool,
    pub(crate) behaviour: Option<Box<dyn Behaviour>>,
    /// Counts its starts.
    pub(crate) incarnation: u32,
    /// When it stopped last, in seconds since 1970; a node that crashes does not know.
    pub(crate) stopped: Option<u64>,
}

/// What the engine did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events taken from the heap.
    pub events: u64,
    /// Frames that routers took.
    pub frames: u64,
    /// Times that routers were due.
    pub ticks: u64,
    /// Things that ports learned.
    pub port_events: u64,
    /// Neighbours that a router accused, and why they were.
    pub violations: u64,
    /// The most events that were ahead at once.
    pub most_ahead: u64,
}

/// What the scenario is to hear next.
enum Pending {
    Event { node: NodeId, port: PortId, event: Event },
    Started(NodeId),
    Stopped(NodeId),
}

/// A delayed act.
enum Act {
    Transmit { node: NodeId, link: LinkId, frame: Frame<Verified> },
    Deliver { node: NodeId, link: LinkId, frame: Frame<Verified> },
}

/// Sees each frame that a node queues for a neighbour: when, the node, its link, the frame.
pub type Tap = Box<dyn FnMut(Duration, NodeId, LinkId, &Frame<Verified>)>;

/// A simulated network.
pub struct Network {
    /// Sees all that is sent, and changes nothing.
    pub tap: Option<Tap>,
    config: Config,
    clock: Nanos,
    events: Events,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// The kinds of lines that edges have.
    pub(crate) kinds: Vec<LinkParams>,
    pub(crate) halves: Vec<Half>,
    /// Before each half's line.
    pub(crate) queues: Vec<Queue>,
    pub(crate) flights: Flights,
    pending: VecDeque<Pending>,
    acts: Vec<Option<Act>>,
    free_acts: Vec<u32>,
    losses: Random,
    next_id: u64,
    stats: Stats,
    trace: Option<blake3::Hasher>,
    /// What is checked throughout.
    pub checks: Checks,
}

impl Network {
    /// A network of running nodes with the links of `topology`, all up.
    pub fn new(config: Config, topology: &Topology) -> Self {
        let (seed, link) = (config.seed, config.link);
        let mut net = Self {
            tap: None,
            config,
            clock: 0,
            events: Events::default(),
            nodes: Vec::with_capacity(topology.nodes),
            edges: Vec::with_capacity(topology.edges.len()),
            kinds: Vec::new(),
            halves: Vec::with_capacity(2 * topology.edges.len()),
            queues: Vec::with_capacity(2 * topology.edges.len()),
            flights: Flights::default(),
            pending: VecDeque::new(),
            acts: Vec::new(),
            free_acts: Vec::new(),
            losses: Random::new(seed, "losses"),
            next_id: 0,
            stats: Stats::default(),
            trace: None,
            checks: Checks::default(),
        };
        for _ in 0..topology.nodes {
            let node = net.add_node();
            net.start(node);
        }
        for (a, b) in &topology.edges {
            net.add_link(*a, *b, link);
        }
        net.set_check_timer();
        net
    }

    /// One more node, which does not run yet.
    pub fn add_node(&mut self) -> NodeId {
        self.nodes.push(Node {
            router: None,
            halves: Vec::new(),
            tick_at: Nanos::MAX,
            upload: self.config.upload,
            free_at: 0,
            ring: VecDeque::new(),
            upload_scheduled: false,
            loads_scheduled: false,
            behaviour: None,
            incarnation: 0,
            stopped: None,
        });
        self.nodes.len() as u32 - 1
    }

    /// Lets virtual time pass, up to `until` after the run's start.
    pub fn run(&mut self, app: &mut dyn App, until: Duration) {
        let until = nanos(until);
        loop {
            self.tell(app);
            let (next, refilled) = self.events.pop(until);
            if refilled {
                self.warm();
            }
            let Some((at, what)) = next else {
                break;
            };
            self.clock = at;
            self.stats.events += 1;
            match what {
                What::Arrive { half } => self.arrive(half),
                What::Line { half } => self.line_free(half),
                What::Upload { node } => self.upload_free(node),
                What::Tick { node } => self.tick(node),
                What::Loads { node } => self.report_loads(node),
                What::Down { half, generation } => self.notice_down(half, generation),
                What::Act { place } => self.act(place),
                What::App { component, node, token } => app.timer(self, Timer { component, node, token }),
                What::Behaviour { node, token } => self.behaviour_timer(node, token),
                What::Check => self.check(),
            }
        }
        self.clock = self.clock.max(until);
    }

    /// Lets the scenario hear what happened.
    fn tell(&mut self, app: &mut dyn App) {
        while let Some(pending) = self.pending.pop_front() {
            match pending {
                Pending::Event { node, port, event } => {
                    self.stats.port_events += 1;
                    app.event(self, node, port, event);
                }
                Pending::Started(node) => app.started(self, node),
                Pending::Stopped(node) => app.stopped(self, node),
            }
        }
    }

    /// The virtual time since the run's start.
    pub fn clock(&self) -> Duration {
        Duration::from_nanos(self.clock)
    }

    /// What the nodes' clocks say.
    pub fn now(&self) -> Now {
        Now {
            instant: Instant::from_origin(Duration::from_nanos(self.clock)),
            unix_s: START_UNIX_S + self.clock / 1_000_000_000,
        }
    }

    /// What the network was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How many nodes there are, running or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What the engine did.
    pub fn stats(&self) -> Stats {
        Stats { most_ahead: self.stats.most_ahead.max(self.events.len() as u64), ..self.stats }
    }

    /// A node's router, if it runs.
    pub fn router(&self, node: NodeId) -> Option<&Router> {
        self.nodes.get(node as usize)?.router.as_deref()
    }

    /// A number that nothing else has: for ports, connections, flows.
    pub fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Wakes the scenario `after` from now.
    pub fn set_timer(&mut self, after: Duration, timer: Timer) {
        let Timer { component, node, token } = timer;
        self.events.push(self.clock + nanos(after), What::App { component, node, token });
    }

    /// Wakes a node's behaviour `after` from now.
    pub fn set_behaviour_timer(&mut self, after: Duration, node: NodeId, token: u64) {
        self.events.push(self.clock + nanos(after), What::Behaviour { node, token });
    }

    /// The links of a node that are up: the neighbour, and the node's own name for the link.
    pub fn links(&self, node: NodeId) -> Vec<(NodeId, LinkId)> {
        let Some(at) = self.nodes.get(node as usize) else {
            return Vec::new();
        };
        let up = |half: &u32| {
            let edge = &self.edges[*half as usize / 2];
            edge.up.then(|| (edge.ends[1 - *half as usize % 2], link_id(*half, edge.generation)))
        };
        at.halves.iter().filter_map(up).collect()
    }

    /// The nodes that a node has a link with or once had.
    pub fn acquainted(&self, node: NodeId) -> Vec<NodeId> {
        let halves = self.nodes.get(node as usize).map_or(&[][..], |node| &node.halves);
        halves.iter().map(|half| self.edges[*half as usize / 2].ends[1 - *half as usize % 2]).collect()
    }

    /// What went over all lines of a node, away from it.
    pub fn sent_by(&self, node: NodeId) -> HalfCounters {
        let halves = self.nodes.get(node as usize).map_or(&[][..], |node| &node.halves);
        halves.iter().fold(HalfCounters::default(), |sum, half| sum + self.halves[*half as usize].counters)
    }

    /// What went over all lines.
    pub fn sent(&self) -> HalfCounters {
        self.halves.iter().fold(HalfCounters::default(), |sum, half| sum + half.counters)
    }

    /// Hashes all that is sent and learned from now on: [`Self::trace`] tells two runs apart.
    pub fn start_trace(&mut self) {
        self.trace = Some(blake3::Hasher::new());
    }

    /// The hash of all that was sent and learned since [`Self::start_trace`].
    pub fn trace(&self) -> Option<String> {
        self.trace.as_ref().map(|trace| trace.finalize().to_hex().to_string())
    }

    fn set_check_timer(&mut self) {
        let every = nanos(self.config.check_every);
        if every > 0 {
            self.events.push(self.clock + every, What::Check);
        }
    }

    fn check(&mut self) {
        self.stats.most_ahead = self.stats.most_ahead.max(self.events.len() as u64);
        let mut checks = std::mem::take(&mut self.checks);
        checks.look(self);
        self.checks = checks;
        self.set_check_timer();
    }

    /// Checks everything once more, at the end of a run: then [`Checks::failures`] says it all.
    pub fn finish(&mut self) {
        let mut checks = std::mem::take(&mut self.checks);
        checks.look(self);
        checks.finish(self);
        self.checks = checks;
    }
}

/// Virtual nanoseconds; what is too long for them never happens.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX / 2)
}
