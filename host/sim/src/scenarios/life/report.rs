//! What `life` found, as figures.

use mute_core::limits::WALK_INTERVAL;

use super::{Life, Run};
use crate::{
    Network, PACKET_OVERHEAD, Record,
    scenarios::crowd::{
        connect::{average, interval},
        held::drops,
        meter::{Kind, by_kind},
    },
    stats::{bootstrap, quantile, share, sorted},
};

/// The share of its upload that a node may spend on floods, Seeks and Walks.
const FLOODS_SHARE: f64 = 0.1;

/// Writes down all of it.
pub(super) fn judge(life: &Life, record: &mut Record, net: &Network, run: &Run) {
    let seconds = life.seconds as f64;
    record.figure("overhead of a packet", "bytes", PACKET_OVERHEAD as f64);
    record.figure("nodes that run", "", run.running as f64);
    let of = |kind: Kind| run.during[kind as usize].bytes as f64 / run.running as f64 / seconds;
    let floods = of(Kind::Flood) + of(Kind::FloodedSeek);
    // All walk at once when the run starts, and again when what is measured is over: they are spread here as they would be in a network that has
    // long been there.
    let mean = WALK_INTERVAL.iter().sum::<std::time::Duration>().as_secs_f64() / WALK_INTERVAL.len() as f64;
    let walks = run.before[Kind::Walk as usize].bytes as f64 / run.running as f64 / mean;
    let seeks = of(Kind::WalkingSeek) + of(Kind::DirectedSeek);
    let finding = seeks + walks;
    let all: f64 = Kind::ALL.iter().filter(|(kind, _)| *kind != Kind::Walk).map(|(kind, _)| of(*kind)).sum();
    record.figure("bytes of a node in a second", "bytes/s", all + walks);
    record.figure("of that, floods", "bytes/s", floods);
    record.figure("of that, what seeks on scent or walks", "bytes/s", seeks);
    record.figure("of that, walks of addresses, spread over the time between two", "bytes/s", walks);
    let upload = life.upload as f64;
    record.at_most("floods' share of a node's upload", "", floods / upload, FLOODS_SHARE);
    record.figure("the share of floods, seeks and walks", "", (floods + finding) / upload);
    searches(record, run);
    connections(record, run);
    record.figure("searches in ten minutes at which floods take a tenth, if all grows alike", "", {
        let per_search = of(Kind::Flood) / life.searches.max(f64::MIN_POSITIVE);
        (FLOODS_SHARE * upload - of(Kind::FloodedSeek)) / per_search
    });
    let held = run.held;
    record.figure("ids that a router remembers, at the end", "", held.seen);
    record.figure("rows of scent, likewise", "", held.rows);
    record.figure("state of a router, likewise", "bytes", held.bytes);
    record.figure("state of the fullest router", "bytes", held.most_bytes);
    drops(record, net);
    by_kind(record, "what the links carried", run.during, run.running as f64, seconds);
}

fn searches(record: &mut Record, run: &Run) {
    let measured: Vec<_> = run.searches.iter().skip(run.first_measured[0]).collect();
    record.figure("searches", "", measured.len() as f64);
    let shares: Vec<f64> = measured.iter().map(|search| search.heard as f64 / search.others.max(1) as f64).collect();
    let seed = record.seed;
    interval(record, "horizon: share of the nodes that hear a search", "", bootstrap(&shares, seed, average));
    let counted = || measured.iter().filter(|search| search.counts);
    let answered = counted().map(|search| search.answered).sum();
    let came = counted().map(|search| search.answers.len() as u64).sum();
    let estimate = share(came, answered);
    interval(record, "answers that came, of those sent to who stayed", "", estimate);
    record.check("answers that came ≥ 0.99", estimate.mean >= DELIVERED, format!("{came} of {answered}"));
    let times = sorted(counted().flat_map(|search| search.answers.iter().copied()).collect());
    record.figure("time to an answer, median", "s", quantile(&times, 0.5));
    record.figure("time to an answer, 95 %", "s", quantile(&times, 0.95));
}

/// What must arrive where there is a way.
const DELIVERED: f64 = 0.99;

fn connections(record: &mut Record, run: &Run) {
    let found = run.connecting.found(&run.meter, run.first_measured[1]);
    found.record(record);
    let (laid, all) = (found.laid(), found.laid() + found.failed);
    let enough = laid as f64 >= DELIVERED * all as f64;
    record.check("connections laid ≥ 0.99", enough, format!("{laid} of {all}"));
    let talks = || run.talks.iter().filter(|talk| talk.counts);
    let sent = talks().map(|talk| u64::from(talk.sent) + u64::from(talk.answered)).sum();
    let came = talks().map(|talk| u64::from(talk.heard) + u64::from(talk.back)).sum();
    let estimate = share(came, sent);
    interval(record, "messages that came, on connections whose ends stayed", "", estimate);
    record.check("messages that came ≥ 0.99", estimate.mean >= DELIVERED, format!("{came} of {sent}"));
}
