//! The first two cases: a hundred nodes, all linked, each with upload for one transfer.
//!
//! *Direct*: half have a file, half want one. *One relay*: a third have one, a third want one, and these two thirds are not linked with each other; so each transfer
//! takes three nodes, and the router has to find a relay that has nothing to do, of 34 at first and of two in the end.

use std::time::Duration;

use super::{
    RATE, SeedTable,
    transfers::{Settling, Transfers, Want},
};
use crate::{Network, NodeId, Random, Record, Topology};

/// One transfer is asked for in so long. A Seek goes to ninety-nine neighbours by an upload of a modem.
const ARRIVAL: Duration = Duration::from_secs(60);

/// What is added to the uploads while transfers are asked for, and with which share of their rate users are content then: one transfer has all of it though a flooded
/// Seek takes a node's upload for some seconds, of two at one upload each has at most three quarters.
const ASKING: f64 = 0.5;
const CONTENT: f64 = 0.85;

/// From the last Seek until goodput is measured: what waits of Seeks has gone by then.
const QUIET: Duration = Duration::from_secs(180);

/// Two lives of trails.
const STEADY: Duration = Duration::from_secs(1200);

const AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// How often a user asks the only source. Where a trail leads is chance, one in three or so finds uploads to spare.
const TRIES: usize = 40;

pub(super) fn direct(table: &SeedTable, seed: u64, record: &mut Record) {
    let [from, to, _] = parts(table.few, 2);
    let topology = Topology::complete(table.few);
    run(table, seed, record, "direct", &topology, &from, &to);
}

pub(super) fn one_relay(table: &SeedTable, seed: u64, record: &mut Record) {
    let [from, to, _] = parts(table.few, 3);
    let mut topology = Topology::complete(table.few);
    let ends = |a: NodeId, b: NodeId| from.contains(&a) && to.contains(&b);
    topology.edges.retain(|(a, b)| !ends(*a, *b) && !ends(*b, *a));
    run(table, seed, record, "one relay", &topology, &from, &to);
}

/// Who has a file, who wants one, and the rest.
fn parts(nodes: usize, parts: usize) -> [Vec<NodeId>; 3] {
    let part = nodes / parts;
    let range = |from: usize, to: usize| (from as NodeId..to as NodeId).collect();
    [range(0, part), range(part, 2 * part), range(2 * part, nodes)]
}

fn run(
    table: &SeedTable,
    seed: u64,
    record: &mut Record,
    name: &str,
    topology: &Topology,
    from: &[NodeId],
    to: &[NodeId],
) {
    let mut net = Network::new(table.config(seed, RATE), topology);
    let mut random = Random::new(seed, name);
    let mut sources = from.to_vec();
    random.shuffle(&mut sources);
    let want = |(place, (node, source)): (u32, (&NodeId, NodeId))| Want {
        node: *node,
        sources: vec![source; TRIES],
        begins: ARRIVAL * place,
    };
    let wants = (0..).zip(to.iter().zip(sources)).map(want).collect();
    let pause = ARRIVAL * to.len() as u32;
    let settling = Settling {
        allowance: ASKING,
        content: CONTENT,
        patient: true,
        anew: true,
        pause,
        steady: STEADY,
        at_most: AT_MOST,
    };
    let mut app = Transfers::new(table, &mut net, wants, settling, seed);
    app.settle(&mut net);
    let quiet = net.clock() + QUIET;
    net.run(&mut app, quiet);
    let found = app.measure(&mut net);
    found.report(record, name, table.few, RATE);
    record.exactly(&format!("{name}: transfers at 5 KB/s"), "", found.running() as f64, to.len() as f64);
    net.finish();
    record.network(&net);
}
