//! How much the routers of a network hold.

use crate::{Network, NodeId, Record};

/// What routers hold, on average over those that run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Held {
    pub(crate) seen: f64,
    pub(crate) rows: f64,
    pub(crate) seeks: f64,
    pub(crate) bindings: f64,
    /// The four, in bytes.
    pub(crate) bytes: f64,
    /// The bytes of the router that holds the most.
    pub(crate) most_bytes: f64,
}

/// Bytes of an entry of each table with its share of the table, as `mute_core::limits` has them.
const SEEN_BYTES: f64 = 80.0;
const ROW_BYTES: f64 = 150.0;
const SEEK_BYTES: f64 = 200.0;
const BINDING_BYTES: f64 = 400.0;

/// What they hold at this moment.
pub(crate) fn held(net: &Network) -> Held {
    let mut held = Held::default();
    let mut nodes = 0.0_f64;
    for router in (0..net.len() as NodeId).filter_map(|node| net.router(node)) {
        let live = router.counters().live;
        let [seen, rows, seeks, bindings] = [live.seen, live.scent_rows, live.seeks, live.bindings].map(|n| n as f64);
        let bytes = SEEN_BYTES * seen + ROW_BYTES * rows + SEEK_BYTES * seeks + BINDING_BYTES * bindings;
        nodes += 1.0;
        held.seen += seen;
        held.rows += rows;
        held.seeks += seeks;
        held.bindings += bindings;
        held.bytes += bytes;
        held.most_bytes = held.most_bytes.max(bytes);
    }
    for sum in [&mut held.seen, &mut held.rows, &mut held.seeks, &mut held.bindings, &mut held.bytes] {
        *sum /= nodes.max(1.0);
    }
    held
}

/// What routers did not pass on.
pub(crate) fn drops(record: &mut Record, net: &Network) {
    let counters = (0..net.len() as u32).filter_map(|node| net.router(node)).map(|router| router.counters());
    let [mut unhidden, mut budget, mut full] = [0; 3];
    for counters in counters {
        unhidden += counters.unhidden;
        budget += counters.drops.budget;
        full += counters.drops.full;
    }
    record.figure("floods that spread because they did not come back", "", unhidden as f64);
    record.figure("messages dropped at budgets", "", budget as f64);
    record.figure("messages dropped for want of room", "", full as f64);
}
