//! The join process: how a network comes to be when every node follows the neighbour policy, and who ends up beside whom.

mod adversary;
mod measures;
mod population;
mod world;

use std::time::Duration;

use mute_core::neighbours::Rules;

pub use adversary::Strategy;
pub use measures::Measured;

use crate::Topology;
use population::Census;
use world::World;

/// How long nodes stay and stay away: Weibull's law with this shape (Stutzbach and Rejaie, 2006, found 0.38 and a mean of 42.4 minutes).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// Weibull's shape.
    pub shape: f64,
    /// How long a node stays, on average.
    pub mean_up: Duration,
    /// How long it stays away.
    pub mean_down: Duration,
}

/// What a join process is made with.
#[derive(Clone, Debug)]
pub struct JoinConfig {
    /// Honest nodes.
    pub honest: usize,
    /// The adversary's.
    pub adversaries: usize,
    /// The /24s that the adversary's are in.
    pub prefixes: usize,
    /// The /16s that those are in.
    pub providers: usize,
    /// What it does.
    pub strategy: Strategy,
    /// Friends of each honest node, honest as well; an even number.
    pub friends: usize,
    /// Honest hosts that everybody knows from the start; they never leave.
    pub known: usize,
    /// The share of honest nodes that others can dial.
    pub reachable: f64,
    /// How long nodes stay; `None`: for good.
    pub churn: Option<Churn>,
    /// What honest nodes hold to.
    pub rules: Rules,
}

/// How long a network without churn has to come to rest after the last one has joined.
const REST: Duration = Duration::from_secs(600);

impl JoinConfig {
    /// Honest nodes only, that stay for good.
    pub fn new(honest: usize) -> Self {
        Self {
            honest,
            adversaries: 0,
            prefixes: 1,
            providers: 1,
            strategy: Strategy::Stay,
            friends: 0,
            known: 3.min(honest),
            reachable: 1.0,
            churn: None,
            rules: Rules::default(),
        }
    }

    fn census(&self) -> Census {
        let &Self { honest, adversaries, prefixes, providers, reachable, .. } = self;
        Census { honest, adversaries, prefixes, providers, reachable }
    }

    /// Lets everybody join, lets `settle` pass, then measures over `time`.
    pub fn run(&self, settle: Duration, time: Duration, seed: u64) -> (Measured, Topology) {
        let mut world = World::new(self, seed);
        let joined = world.all_joined + settle;
        world.run(joined);
        world.forget_exposure();
        world.run(joined + time);
        (world.measure(), world.graph().0)
    }
}

/// The links of `nodes` honest nodes that have joined one after the other and stay.
pub fn topology(nodes: usize, seed: u64) -> Topology {
    JoinConfig::new(nodes).run(REST, Duration::ZERO, seed).1
}
