//! Thousands of small random networks under more load than they bear, in none of which anything may wait for ever.
//!
//! Each has a few files to carry between random nodes, beside senders who for some seconds send far more than there is room for. When those
//! have stopped every file must arrive, and no queue may hold anything. Queues that drop cannot lock each other; the control, in which nodes send only what the next
//! node has room for and lose nothing, can and does ([`super::lossless`]).

use std::time::Duration;

use super::{Fairness, lossless};
use crate::{
    Config, LinkParams, Network, NodeId, QueueKind, Random, Record, Topology,
    network::nanos,
    random::derive,
    traffic::{Flow, FlowId, Source, Traffic},
};

/// Everything has arrived by then, unless something is stuck.
const AT_MOST: Duration = Duration::from_secs(600);

/// How long the senders go on who send more than there is room for.
const FLOODED: Duration = Duration::from_secs(5);

/// How one run ended.
#[derive(Clone, Copy, Debug)]
struct End {
    /// When the last file had arrived; `None`: one had not.
    done: Option<Duration>,
    /// Nothing was in any queue then.
    empty: bool,
    /// What the engine's checkers found.
    failures: u64,
}

pub(super) fn run(fairness: &Fairness, seed: u64, record: &mut Record) {
    let mut stuck = Vec::new();
    let (mut failures, mut longest) = (0, Duration::ZERO);
    for number in 0..fairness.runs {
        let end = one(seed, number, QueueKind::default(), false);
        failures += end.failures;
        match end.done {
            Some(done) if end.empty => longest = longest.max(done),
            _ => stuck.push(number),
        }
    }
    record.figure("random runs", "", f64::from(fairness.runs));
    record.figure("random runs: the longest", "s", longest.as_secs_f64());
    record.exactly("random runs: stuck", "", stuck.len() as f64, 0.0);
    let detail = format!("{failures} failures; stuck: {:?}", &stuck[..stuck.len().min(10)]);
    record.check("random runs: nothing twice, bounds held, bytes conserved", failures == 0, detail);
    if fairness.control_runs > 0 {
        let stuck = |number: &u32| one(seed, *number, lossless::QUEUE, true).done.is_none();
        let stuck = (0..fairness.control_runs).filter(stuck).count();
        record.figure("without loss, by credit: stuck", "share", stuck as f64 / f64::from(fairness.control_runs));
        let detail = format!("{stuck} of {}", fairness.control_runs);
        record.check("the control is red: a lossless network gets stuck", stuck > 0, detail);
    }
}

/// The `number`th run.
fn one(seed: u64, number: u32, queue: QueueKind, credit: bool) -> End {
    let run = u64::from_le_bytes(derive(seed, "random run", u64::from(number))[..8].try_into().unwrap_or_default());
    let mut random = Random::new(run, "shape");
    let nodes = 3 + random.below(8);
    let topology = match random.below(3) {
        0 => Topology::ring(nodes),
        1 => Topology::grid(2, nodes.div_ceil(2)),
        _ => Topology::random_regular(nodes, 3, run),
    };
    let mut net = Network::new(Config { queue, check_every: Duration::from_secs(60), ..Config::new(run) }, &topology);
    for edge in 0..topology.edges.len() {
        net.set_link(edge, link(&mut random));
    }
    if credit {
        lossless::around_all(&mut net);
    }
    let nodes = topology.nodes;
    let mut traffic = Traffic::new(run);
    let files = start(&mut net, &mut traffic, &mut random, nodes);
    let arrived = |traffic: &Traffic| {
        files.iter().map(|file| traffic.stats(*file).done).try_fold(Duration::ZERO, |last, done| Some(last.max(done?)))
    };
    while arrived(&traffic).is_none() && net.clock() < AT_MOST {
        let until = net.clock() + Duration::from_secs(1);
        net.run(&mut traffic, until);
    }
    let done = arrived(&traffic);
    // What is on its way arrives; Keeps go on.
    let until = net.clock() + Duration::from_secs(10);
    net.run(&mut traffic, until);
    net.finish();
    let now = nanos(net.clock());
    let waits = |half: &crate::link::Half| !half.empty && half.free_at <= now;
    End { done, empty: !net.halves.iter().any(waits), failures: net.checks.failures().1 }
}

/// A link from a modem's to ten times an ordinary one's in what it carries, near or far, in one of four cases with losses.
fn link(random: &mut Random) -> LinkParams {
    let rate = (10_000.0 * 100f64.powf(random.unit())) as u64;
    let delay = Duration::from_millis(1 + random.below(100) as u64);
    let loss = if random.chance(0.25) { 0.02 } else { 0.0 };
    LinkParams { rate, delay, loss, ..LinkParams::default() }
}

/// Starts the files, and those who send too much; these stop before this returns.
fn start(net: &mut Network, traffic: &mut Traffic, random: &mut Random, nodes: usize) -> Vec<FlowId> {
    let mut flow = |net: &mut Network, random: &mut Random, identity: u32, source, size| {
        let from = random.below(nodes);
        let to = (from + 1 + random.below(nodes - 1)) % nodes;
        let (port, _) = net.open(from as NodeId, 2 * identity);
        let (_, to) = net.open(to as NodeId, 2 * identity + 1);
        let packet = [256, 1200, 4096][random.below(3)];
        let flow = Flow { node: from as NodeId, port, to, download: random.chance(0.5), source, packet, size };
        traffic.start(net, flow)
    };
    let count = 2 + random.below(5) as u32;
    let files = (0..count).map(|file| {
        let size = Some(2_000 + random.below(40_000) as u64);
        flow(net, random, file, Source::Window(Default::default()), size)
    });
    let files: Vec<FlowId> = files.collect();
    let loud = (0..1 + random.below(3) as u32).map(|loud| {
        let rate = 50_000 + random.below(200_000) as u64;
        flow(net, random, count + loud, Source::Constant { rate }, None)
    });
    let loud: Vec<FlowId> = loud.collect();
    net.run(traffic, FLOODED);
    for flow in loud {
        traffic.stop(net, flow);
    }
    files
}
