//! Twice as much as there is.
//!
//! *A row* of links, each asked for as much as it has by users who need it alone, and by users who need them all, in bursts. Nobody gives way. What the links carry
//! of the long flows is wasted where a later link drops it; goodput is what arrives, in links that it came over, of what the links could carry. If each link dropped
//! evenly, a flow over all five would arrive with a sixth, and goodput be 0.877 (Floyd and Fall, *Promoting the use of end-to-end congestion control in the
//! Internet*, 1999, call it congestion collapse from undelivered packets); where upstream and local users take turns nothing is dropped that has come far.
//!
//! *A ring*, round which every node sends five links far, so that all flows are dropped after they were carried. No queue can know what is dropped later: what keeps
//! goodput up there is that senders listen to marks and losses. Printed without a bound: senders with the daemon's congestion control and those who are deaf, of
//! what max–min would bring.

use std::time::Duration;

use super::{
    Fairness,
    flows::{Asker, FRAME, PACKET, Users, payload_share},
    queues,
};
use crate::{Config, LinkParams, Network, NodeId, Record, Table, Topology, traffic::Source, wire_bytes};

/// The narrow links of the row, and those that a user of the ring needs.
const LINKS: NodeId = 5;

/// The nodes of the ring: the way there is one link shorter than the way back.
const RING: NodeId = 2 * LINKS + 1;

/// What each has, in bytes a second.
const RATE: u64 = 250_000;

/// Flows of each user. They are on and off for so long, half of the time each; so many that a user's sum is nearly even.
const FLOWS: u32 = 32;
const BURST: Duration = Duration::from_millis(500);

/// What must arrive.
const BOUND: f64 = 0.9;

const WARM_UP: Duration = Duration::from_secs(30);

pub(super) fn run(fairness: &Fairness, seed: u64, record: &mut Record) {
    let columns = ["queue", "load 1", "load 2", "load 4", "ring, 1 flow each", "ring, 4 each", "ring, load 2, deaf"];
    let mut table =
        Table::new("goodput on narrow links, of what they have (ring: of what max–min would bring)", &columns);
    for (name, queue) in queues() {
        let config = || Config { queue, ..Config::new(seed) };
        let [one, two, four] = [1, 2, 4].map(|load| row(fairness, config(), load, seed));
        let deaf = bursts(2 * RATE / u64::from(LINKS));
        let window = Source::Window(Default::default());
        let rings = [(window, 1), (window, 4), (deaf, FLOWS)];
        let [single, some, deaf] = rings.map(|(source, flows)| ring(fairness, config(), source, flows, seed));
        table.row([name.into(), one.into(), two.into(), four.into(), single.into(), some.into(), deaf.into()]);
        if name == "fair" {
            record.at_least("goodput at twice the load", "", two, BOUND);
        } else {
            record.figure("goodput at twice the load, FIFO", "", two);
            record.check("the control is red: goodput at twice the load", two < BOUND, format!("{two}"));
        }
    }
    record.tables.push(table);
}

/// One of a user's flows who sends so many bytes a second on the wire, on average.
fn bursts(rate: u64) -> Source {
    let bodies = rate as f64 * PACKET as f64 / wire_bytes((PACKET + FRAME) as usize) as f64;
    Source::OnOff { rate: (2.0 * bodies / f64::from(FLOWS)) as u64, on: BURST, off: BURST }
}

/// A network in which the first so many links are narrow.
fn network(config: Config, topology: &Topology, narrow: NodeId) -> Network {
    let fast = LinkParams { rate: 10 * RATE, ..LinkParams::default() };
    let mut net = Network::new(Config { link: fast, ..config }, topology);
    for edge in 0..narrow as usize {
        net.set_link(edge, LinkParams { rate: RATE, ..fast });
    }
    net
}

/// Nodes 0 to `LINKS` are the row; each has a node for those who send from there, and one for whom they send to.
fn row(fairness: &Fairness, config: Config, load: u64, seed: u64) -> f64 {
    let row = LINKS + 1;
    let (sends, owns) = (|at: NodeId| row + at, |at: NodeId| 2 * row + at);
    let long = 3 * row;
    let narrow = (0..LINKS).map(|at| (at, at + 1));
    let sides = (0..row).flat_map(|at| [(sends(at), at), (owns(at), at)]);
    let edges = narrow.chain(sides).chain([(long, 0)]);
    let mut net = network(config, &Topology::joined(long as usize + 1, edges), LINKS);
    // Half of each link's load is the long flows'.
    let source = bursts(RATE * load / 2);
    let asker = |from, to| Asker { source, flows: FLOWS, ..Asker::honest(from, to) };
    let mut askers = vec![asker(long, owns(LINKS))];
    askers.extend((0..LINKS).map(|at| asker(sends(at), owns(at + 1))));
    let mut users = Users::new(&mut net, &askers, seed);
    let goodput = users.measure(&mut net, WARM_UP, Duration::from_secs(fairness.window));
    let carried = goodput[0] * f64::from(LINKS) + goodput[1..].iter().sum::<f64>();
    carried / (f64::from(LINKS) * RATE as f64 * payload_share())
}

/// Nodes 0 to `RING` are the ring; each has one node for who sends from there, and one for whom they send to. What arrives, of what max–min would bring over the
/// ways that the trails took (either way round).
fn ring(fairness: &Fairness, config: Config, source: Source, flows: u32, seed: u64) -> f64 {
    let (sends, owns) = (|at: NodeId| RING + at, |at: NodeId| 2 * RING + at);
    let narrow = (0..RING).map(|at| (at, (at + 1) % RING));
    let sides = (0..RING).flat_map(|at| [(sends(at), at), (owns(at), at)]);
    let mut net = network(config, &Topology::joined(3 * RING as usize, narrow.chain(sides)), RING);
    let askers = (0..RING).map(|at| {
        let to = owns((at + LINKS) % RING);
        Asker { source, flows, ..Asker::honest(sends(at), to) }
    });
    let askers: Vec<Asker> = askers.collect();
    let mut users = Users::new(&mut net, &askers, seed);
    let goodput = users.measure(&mut net, WARM_UP, Duration::from_secs(fairness.window));
    let fair = users.fair_shares(&net);
    goodput.iter().sum::<f64>() / fair.iter().sum::<f64>()
}
