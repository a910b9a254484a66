//! `sanity`: lines, rings and grids. Two nodes connect and talk, a relay of their trail dies, and they talk again where
//! another way is left within a flood's reach.

use std::time::Duration;

use clap::{Args, ValueEnum};
use mute_core::{Close, Event, PortId, Role, TrailId};
use serde::Serialize;

use crate::{App, Checks, Config, Network, NodeId, Record, Topology};

/// The arguments of `sanity`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Sanity {
    /// The shape.
    #[arg(long, value_enum, default_value_t = Shape::Grid)]
    pub shape: Shape,
    /// Nodes; a grid takes the largest square that they fill.
    #[arg(long, default_value_t = 16)]
    pub nodes: usize,
}

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One after the other.
    Line,
    /// A line whose ends meet.
    Ring,
    /// Rows and columns.
    Grid,
}

/// How long the network takes at most to notice a crash and lay another trail: the idle timeout, and three Seeks.
const RECOVERY: Duration = Duration::from_secs(40);

/// The other end is at most so many hops away: a flood, which is how a Seek starts, ends seven hops after its counter has started.
const FARTHEST: u32 = 6;

/// The two ends of one conversation.
#[derive(Default)]
struct Talk {
    seeker: Option<(NodeId, TrailId)>,
    owner: Option<(NodeId, TrailId)>,
    opened: u32,
    questions: u32,
    answers: u32,
    failed: Option<Close>,
}

impl App for Talk {
    fn event(&mut self, net: &mut Network, node: NodeId, _port: PortId, event: Event) {
        match event {
            Event::TrailOpened { trail, role: Role::Seeker { .. }, .. } => {
                self.seeker = Some((node, trail));
                self.opened += 1;
            }
            Event::TrailOpened { trail, role: Role::Owner, .. } => self.owner = Some((node, trail)),
            Event::Data { trail, .. } if self.owner == Some((node, trail)) => {
                self.questions += 1;
                net.send_data(node, trail, "answer");
            }
            Event::Data { .. } => self.answers += 1,
            Event::TrailClosed { trail, .. } if self.seeker == Some((node, trail)) => self.seeker = None,
            Event::ConnectFailed { why, .. } => self.failed = Some(why),
            _ => {}
        }
    }
}

impl Talk {
    /// Asks once, if there is a trail, and waits for the answer.
    fn ask(&mut self, net: &mut Network) -> bool {
        let before = self.answers;
        if let Some((node, trail)) = self.seeker {
            net.send_data(node, trail, "question");
        }
        let until = net.clock() + Duration::from_secs(3);
        net.run(self, until);
        self.answers == before + 1
    }
}

impl Sanity {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("sanity", self, seed);
        let topology = match self.shape {
            Shape::Line => Topology::line(self.nodes),
            Shape::Ring => Topology::ring(self.nodes),
            Shape::Grid => Topology::grid(self.nodes.isqrt(), self.nodes.isqrt()),
        };
        let from = 0;
        let distances = Topology::distances(&topology.neighbours(), from);
        let within = |node: &NodeId| distances[*node as usize].is_some_and(|hops| hops <= FARTHEST);
        let far = |node: &NodeId| (distances[*node as usize], *node);
        let to = (0..topology.nodes as NodeId).filter(within).max_by_key(far).unwrap_or(0);
        let mut net = Network::new(Config::new(seed), &topology);
        net.checks.strict = true;
        let (port, _) = net.open(from, 0);
        let (_, target) = net.open(to, 0);
        let mut talk = Talk::default();
        net.connect(from, port, target);
        let trail = Checks::expect(&mut net, "a Trail", to, from, Duration::from_secs(10));
        net.run(&mut talk, Duration::from_secs(9));
        if talk.opened > 0 {
            net.checks.fulfil(trail);
        }
        record.check("a trail is laid", talk.opened == 1, format!("{} laid", talk.opened));
        let both = talk.ask(&mut net);
        record.check("both ends hear each other", both, format!("{} questions", talk.questions));

        let relay = (0..topology.nodes as NodeId).find(|node| {
            *node != from && *node != to && net.router(*node).is_some_and(|router| router.counters().data.relayed > 0)
        });
        let died = net.clock();
        if let Some(relay) = relay {
            net.crash(relay);
        }
        let until = died + RECOVERY;
        net.run(&mut talk, until);
        let left = Topology::distances(&net.live_topology().neighbours(), from)[to as usize];
        let again = talk.ask(&mut net);
        record.check("a relay was there to die", relay.is_some() == (topology.nodes > 2), format!("{relay:?}"));
        if left.is_some_and(|hops| hops <= FARTHEST) {
            record.check("they talk again over the way that is left", again, format!("{left:?} hops"));
        }
        if left.is_none() {
            let until = net.clock() + Duration::from_secs(60);
            net.run(&mut talk, until);
            let told = talk.failed == Some(Close::NoRoute);
            record.check("where there is none the seeker is told", told, format!("{:?}", talk.failed));
        }
        record.figure("trails laid", "", f64::from(talk.opened));
        record.figure("frames", "", net.stats().frames as f64);
        net.finish();
        record.network(&net);
        record
    }
}
