//! A neighbour that fills an owner's places: thousands of connections to one address, kept for nothing.

use std::time::Duration;

use mute_core::{Event, PortId, Role};

use super::{Run, with};
use crate::{App, Config, Network, NodeId, Topology};

const OWNER: NodeId = 0;
const ATTACKER: NodeId = 1;
const HONEST: NodeId = 2;

/// Connections of the attacker: more than an owner has places for.
const GREED: u32 = 2560;

/// Of each of its identities.
const PER_PORT: u32 = 128;

/// Between two of them: what the owner answers.
const PACE: Duration = Duration::from_millis(20);

/// Honest connections: some before, some after.
const HONEST_EACH: u32 = 20;

/// Counts honest trails.
#[derive(Default)]
struct Trails {
    opened: u32,
    closed: u32,
}

impl App for Trails {
    fn event(&mut self, _: &mut Network, node: NodeId, _: PortId, event: Event) {
        match event {
            Event::TrailOpened { role: Role::Seeker { .. }, .. } if node == HONEST => self.opened += 1,
            Event::TrailClosed { .. } if node == HONEST => self.closed += 1,
            _ => {}
        }
    }
}

/// The share of honest connections, by a neighbour of their own, that are made and stay.
pub(super) fn made(run: Run, seed: u64) -> f64 {
    let reshape = with(run, |defences| defences.share_places = false);
    let topology = Topology::joined(3, [(ATTACKER, OWNER), (HONEST, OWNER)]);
    let mut net = Network::new(Config { reshape, ..Config::new(seed) }, &topology);
    let (_, target) = net.open(OWNER, 0);
    let mut trails = Trails::default();
    let connect = |net: &mut Network, trails: &mut Trails, node: NodeId, count: u32| {
        let mut port = PortId(0);
        for number in 0..count {
            if number % PER_PORT == 0 {
                let fresh = net.number() as u32;
                port = net.open(node, fresh).0;
            }
            net.connect(node, port, target);
            let until = net.clock() + PACE;
            net.run(trails, until);
        }
    };
    connect(&mut net, &mut trails, HONEST, HONEST_EACH);
    if run != Run::Quiet {
        connect(&mut net, &mut trails, ATTACKER, GREED);
    }
    connect(&mut net, &mut trails, HONEST, HONEST_EACH);
    let until = net.clock() + Duration::from_secs(20);
    net.run(&mut trails, until);
    f64::from(trails.opened.saturating_sub(trails.closed)) / f64::from(2 * HONEST_EACH)
}
