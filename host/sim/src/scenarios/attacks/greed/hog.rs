//! A hog: a hundred transfers over a link that a bystander's one transfer needs too.

use std::time::Duration;

use super::{Run, slow};
use crate::{
    Network, NodeId, QueueKind, Topology,
    traffic::{Flow, Source, Traffic, WindowParams},
};

/// A link's bytes a second.
const RATE: u64 = 100_000;

/// The hog's transfers: together they send twice what the link carries, whatever becomes of it.
const TRANSFERS: u32 = 100;

/// How long it takes.
const TIME: Duration = Duration::from_secs(40);

const BYSTANDER: NodeId = 0;
const HOG: NodeId = 1;

/// The bystander's goodput in bytes a second.
pub(super) fn goodput(run: Run, seed: u64) -> f64 {
    // Both come over a relay of their own to the link from 4 to 5, behind which the owners are.
    let topology = Topology::joined(8, [(0, 2), (1, 3), (2, 4), (3, 4), (4, 5), (5, 6), (5, 7)]);
    let queue = if run == Run::Undefended { QueueKind::FIFO } else { QueueKind::default() };
    let mut net = Network::new(crate::Config { queue, ..slow(seed, RATE) }, &topology);
    let mut traffic = Traffic::new(seed);
    let flow = |net: &mut Network, node: NodeId, owner: NodeId, number: u32, source| {
        let (port, _) = net.open(node, number);
        let (_, to) = net.open(owner, number);
        Flow { node, port, to, download: false, source, packet: 1200, size: None }
    };
    let wanted = flow(&mut net, BYSTANDER, 6, 0, Source::Window(WindowParams::default()));
    let id = traffic.start(&mut net, wanted);
    if run != Run::Quiet {
        for transfer in 0..TRANSFERS {
            let rate = 2 * RATE / u64::from(TRANSFERS);
            let flow = flow(&mut net, HOG, 7, transfer, Source::Constant { rate });
            traffic.start(&mut net, flow);
            net.run(&mut traffic, Duration::from_millis(50 * u64::from(transfer)));
        }
    }
    let from = net.clock();
    let before = traffic.stats(id).goodput;
    net.run(&mut traffic, from + TIME);
    (traffic.stats(id).goodput - before) as f64 / TIME.as_secs_f64()
}
