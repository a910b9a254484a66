//! What `scale` found, as figures.

use super::{Run, Scale};
use crate::{
    Network, PACKET_OVERHEAD, Record,
    scenarios::crowd::{
        connect::{average, interval},
        held::{Held, drops},
        meter::{Amount, Kind, by_kind},
    },
    stats::{bootstrap, quantile, sorted},
};

/// Connections that must be laid where both stay and there is a way.
const DELIVERED: f64 = 0.99;

/// Writes down all of it.
pub(super) fn judge(scale: &Scale, record: &mut Record, net: &Network, run: &Run) {
    record.figure("overhead of a packet", "bytes", PACKET_OVERHEAD as f64);
    floods(scale, record, run);
    connections(scale, record, run, net.clock().as_secs_f64());
    load(scale, record, net, run);
    let seconds = net.clock().as_secs_f64();
    by_kind(record, "what the links carried", run.meter.all(), scale.nodes as f64, seconds);
}

fn floods(scale: &Scale, record: &mut Record, run: &Run) {
    let heard: Vec<f64> = run.asked.iter().map(|asked| asked.heard as f64).collect();
    let shares: Vec<f64> = run.asked.iter().map(|asked| asked.heard as f64 / asked.others.max(1) as f64).collect();
    interval(record, "horizon: share of the nodes that hear a flood", "", bootstrap(&shares, record.seed, average));
    interval(record, "horizon: nodes that hear a flood", "", bootstrap(&heard, record.seed, average));
    record.figure("nodes that hear a flood, least", "", quantile(&sorted(heard.clone()), 0.0));
    let last: Vec<f64> = run.asked.iter().map(|asked| (asked.last - asked.at).as_secs_f64()).collect();
    record.figure("time until the last hears it", "s", average(&last));
    let (floods, amount) = (run.asked.len().max(1) as f64, run.meter.amount(Kind::Flood));
    let (frames, bytes) = (amount.frames as f64 / floods, amount.bytes as f64 / floods);
    record.figure("messages of a flood", "", frames);
    record.figure("bytes of a flood", "bytes", bytes);
    let hearers = heard.iter().sum::<f64>().max(1.0);
    record.figure("bytes of a flood for each node that hears it", "bytes", amount.bytes as f64 / hearers);
    point(scale, record, "nodes that hear a flood", "nodes", average(&heard));
    point(scale, record, "share of the network that hears a flood", "share", average(&shares));
    point(scale, record, "messages of a flood", "messages", frames);
    point(scale, record, "bytes of a flood", "bytes", bytes);
}

fn connections(scale: &Scale, record: &mut Record, run: &Run, seconds: f64) {
    let found = run.connecting.found(&run.meter, 0);
    found.record(record);
    let (laid, wanted) = (found.laid(), found.laid() + found.failed);
    let enough = laid as f64 >= DELIVERED * wanted as f64;
    record.check("connections laid ≥ 0.99", enough, format!("{laid} of {wanted}"));
    record.figure("probes that arrived", "share", run.arrived as f64 / found.laid().max(1) as f64);
    let seeks = [Kind::FloodedSeek, Kind::WalkingSeek, Kind::DirectedSeek];
    let seeks = seeks.into_iter().fold(Amount::default(), |sum, kind| sum + run.meter.amount(kind));
    let attempts = run.connecting.attempts.len().max(1) as f64;
    record.figure("messages of a search for an address", "", seeks.frames as f64 / attempts);
    record.figure("bytes of a search for an address", "bytes", seeks.bytes as f64 / attempts);
    let walks = run.meter.amount(Kind::Walk).bytes as f64;
    let per_minute = walks / scale.listening.min(scale.nodes).max(1) as f64 / (seconds / 60.0);
    record.figure("bytes of an address's walks in a minute", "bytes", per_minute);
    point(
        scale,
        record,
        "connections laid",
        "share",
        found.laid() as f64 / (found.laid() + found.failed).max(1) as f64,
    );
    point(scale, record, "time to connect, median", "s", quantile(&found.times, 0.5));
    point(scale, record, "links of a trail over the shortest way", "ratio", average(&found.ratios));
    point(scale, record, "bytes of a search for an address", "bytes", seeks.bytes as f64 / attempts);
}

fn load(scale: &Scale, record: &mut Record, net: &Network, run: &Run) {
    let (nodes, seconds) = (scale.nodes as f64, net.clock().as_secs_f64());
    let sent = net.sent();
    record.figure("bytes sent by a node in a second", "bytes/s", (sent.sent + sent.resent) as f64 / nodes / seconds);
    record.figure("events of a node in a second", "/s", net.stats().events as f64 / nodes / seconds);
    let most = |of: &dyn Fn(&Held) -> f64| run.held.iter().map(of).fold(0.0, f64::max);
    record.figure("ids that a router remembers, on average at the fullest minute", "", most(&|held| held.seen));
    record.figure("rows of scent, likewise", "", most(&|held| held.rows));
    record.figure("seeks, likewise", "", most(&|held| held.seeks));
    record.figure("bindings, likewise", "", most(&|held| held.bindings));
    record.figure("state of a router, likewise", "bytes", most(&|held| held.bytes));
    record.figure("state of the fullest router", "bytes", most(&|held| held.most_bytes));
    point(scale, record, "state of a router", "bytes", most(&|held| held.bytes));
    point(scale, record, "events of a node in a second", "events/s", net.stats().events as f64 / nodes / seconds);
    drops(record, net);
}

/// A point of a curve over the sizes of networks: records of several sizes make the curve.
fn point(scale: &Scale, record: &mut Record, plot: &str, unit: &str, value: f64) {
    let name = clap::ValueEnum::to_possible_value(&scale.topology);
    let name = name.map_or_else(String::new, |name| name.get_name().to_owned());
    record.series(plot, &name, ["nodes", unit], vec![[scale.nodes as f64, value]]);
}
