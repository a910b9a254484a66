//! The third case: as many transfers at a constant rate as the network bears.
//!
//! Every node is a user who wants one file, which several random others have. When all have found a source or given up, goodput is measured over ten
//! minutes, renewals of trails included.

use std::time::Duration;

use super::{
    RATE, RUNS, SeedTable,
    transfers::{Settling, Transfers, Want},
};
use crate::{Network, NodeId, Random, Record, Topology};

/// One user in so long begins.
const ARRIVAL: Duration = Duration::from_secs(3);

/// The wait before the next source for each user that there is, on average: they do not all ask at once.
const PAUSE: Duration = Duration::from_millis(500);

/// What is added to the uploads while users ask sources: what their Seeks take.
const ASKING: f64 = 0.06;

/// The share of users whose transfers must run: 520 of 1,000, where 600 is what five uploads of every byte would allow.
const BOUND: f64 = 0.52;

/// Everybody has a source or has given up by then.
const AT_MOST: Duration = Duration::from_secs(4 * 3600);

pub(super) fn run(table: &SeedTable, seed: u64, record: &mut Record) {
    let topology = Topology::random_regular(table.nodes, table.degree, seed);
    let mut net = Network::new(table.config(seed, 3 * RATE), &topology);
    let mut random = Random::new(seed, "wants");
    let nodes = table.nodes;
    let mut other_than = |node: usize| ((node + 1 + random.below(nodes - 1)) % nodes) as NodeId;
    let mut wants: Vec<Want> = (0..nodes)
        .map(|node| Want {
            node: node as NodeId,
            sources: (0..table.tries).map(|_| other_than(node)).collect(),
            begins: Duration::ZERO,
        })
        .collect();
    random.shuffle(&mut wants);
    for (place, want) in wants.iter_mut().enumerate() {
        want.begins = ARRIVAL * place as u32;
    }
    let pause = PAUSE * nodes as u32;
    let settling = Settling {
        allowance: ASKING,
        content: RUNS,
        patient: false,
        anew: false,
        pause,
        steady: Duration::from_secs(60),
        at_most: AT_MOST,
    };
    let mut app = Transfers::new(table, &mut net, wants, settling, seed);
    app.settle(&mut net);
    let found = app.measure(&mut net);
    found.report(record, "relayed", nodes, 3 * RATE);
    record.at_least("relayed: transfers at 5 KB/s", "", found.running() as f64, BOUND * nodes as f64);
    net.finish();
    record.network(&net);
}
