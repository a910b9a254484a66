//! `find`: Walks against floods for finding addresses, at equal bytes: announcing costs all the time, a flood only when somebody seeks.

mod run;

use std::time::Instant;

use clap::Args;
use mute_core::limits;
use serde::Serialize;

use super::crowd::{
    connect::interval,
    rules::{End, Find as Finding, Rules, Start},
};
use run::{Measured, measure};

use crate::{
    Kind, Record, Table,
    stats::{Estimate, share},
};

/// The arguments of `find`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Find {
    /// Nodes.
    #[arg(long, default_value_t = 10_000)]
    pub nodes: usize,
    /// The graph.
    #[arg(long, value_enum, default_value_t = Kind::RandomRegular)]
    pub topology: Kind,
    /// Links of a node on average.
    #[arg(long, default_value_t = 8)]
    pub degree: usize,
    /// Addresses that want to be found. What each costs does not hang on how many others there are.
    #[arg(long, default_value_t = 200)]
    pub addresses: usize,
    /// Seeks in all, each of a node by chance for one of the addresses.
    #[arg(long, default_value_t = 1000)]
    pub seeks: usize,
    /// Seeks that flood as far as floods go, to see what that costs.
    #[arg(long, default_value_t = 50)]
    pub whole: usize,
    /// Minutes over which the seeks are spread: the walks that they meet are up to five minutes old.
    #[arg(long, default_value_t = 10)]
    pub minutes: u64,
    /// How often an address is sought in a minute, which the cost of its walks is shared among: in ordinary life once in five.
    #[arg(long, default_value_t = 0.2)]
    pub rate: f64,
    /// The share of frames that are lost on a link and sent again.
    #[arg(long, default_value_t = 0.01)]
    pub loss: f64,
    /// Nobody comes or goes. (Otherwise nodes do, with sessions from a Weibull law of shape 0.38 and mean 42.4 minutes.)
    #[arg(long)]
    pub steady: bool,
    /// What the routers do.
    #[command(flatten)]
    #[serde(flatten)]
    pub rules: Rules,
}

/// Seeks that find out what a flood of some reach costs.
const CALIBRATION: usize = 20;

impl Find {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("find", self, seed);
        let started = Instant::now();
        let walks = measure(self, Rules { find: Some(Finding::Walks), ..self.rules.clone() }, self.seeks, seed);
        let bytes = walks.bytes_of_a_seek(self.rate);
        let mut rows = vec![("walks".to_owned(), walks)];
        let mut even = Vec::new();
        for (others, fan_out) in [("two", 2), ("all", limits::MAX_LINKS)] {
            let hops = self.hops_for(fan_out, bytes, seed);
            let of = |hops| measure(self, floods(&self.rules, fan_out, hops), self.seeks, seed);
            let (less, more) = (of(hops - 1), of(hops));
            even.push((others, evened(&less, &more, bytes, self.rate)));
            for (hops, measured) in [(hops - 1, less), (hops, more)] {
                rows.push((format!("floods to {others} others, {hops} hops"), measured));
            }
        }
        let whole = Rules { find: Some(Finding::Floods), ..self.rules.clone() };
        rows.push(("floods as far as they go".to_owned(), measure(self, whole, self.whole, seed)));
        self.judge(&mut record, &rows, &even);
        record.machine("time", "s", started.elapsed().as_secs_f64());
        record
    }

    /// The fewest hops with which floods to so many others cost at least as much.
    fn hops_for(&self, fan_out: usize, bytes: f64, seed: u64) -> u8 {
        let calibrated = Self { steady: true, addresses: 20, minutes: 1, ..self.clone() };
        let enough = |hops: &u8| {
            measure(&calibrated, floods(&self.rules, fan_out, *hops), CALIBRATION, seed).bytes_of_a_seek(self.rate)
                >= bytes
        };
        (2..MOST_HOPS).find(enough).unwrap_or(MOST_HOPS)
    }

    fn judge(&self, record: &mut Record, rows: &[(String, Measured)], even: &[(&str, Estimate)]) {
        let (Some((_, walks)), Some((_, whole))) = (rows.first(), rows.last()) else {
            return;
        };
        record.tables.push(self.table(rows));
        let found = share(walks.found, walks.sought);
        interval(record, "found by walks", "", found);
        record.figure("time to find by walks, median", "s", walks.median);
        record.figure("nodes that a walk lays scent at", "", walks.laid);
        record.figure("rows that one address costs each node", "", walks.laid / self.nodes as f64);
        let mut curves = vec![("walks".to_owned(), found.mean)];
        for (others, even) in even {
            let way = format!("floods of as many bytes, to {others}");
            interval(record, &format!("found by {way}"), "", *even);
            record.check(
                &format!("walks find more than {way}"),
                found.low > even.high,
                format!("{:.4} or more against {:.4} or less", found.low, even.high),
            );
            curves.push((way, even.mean));
        }
        interval(record, "found by floods as far as they go", "", share(whole.found, whole.sought));
        let cost = walks.walk_bytes / (whole.seek_bytes - walks.seek_bytes);
        record.figure("seeks for an address in an hour at which both cost the same", "/h", 60.0 * cost);
        for (way, found) in curves {
            let points = vec![[self.nodes as f64, found]];
            record.series("addresses found by the first try", &way, ["nodes", "share found"], points);
        }
        for (way, measured) in [("walks", walks), ("floods as far as they go", whole)] {
            let points = vec![[self.nodes as f64, measured.bytes_of_a_seek(self.rate)]];
            record.series("bytes to find an address, with its share of the walks", way, ["nodes", "bytes"], points);
        }
    }

    fn table(&self, rows: &[(String, Measured)]) -> Table {
        let columns = [
            "way",
            "found",
            "low",
            "high",
            "median s",
            "95 % s",
            "ratio",
            "bytes a seek",
            "walks' bytes a minute",
            "all bytes a seek",
        ];
        let mut table = Table::new("first tries", &columns);
        for (name, measured) in rows {
            let found = share(measured.found, measured.sought);
            table.row([
                name.as_str().into(),
                found.mean.into(),
                found.low.into(),
                found.high.into(),
                measured.median.into(),
                measured.late.into(),
                measured.ratio.into(),
                measured.seek_bytes.into(),
                measured.walk_bytes.into(),
                measured.bytes_of_a_seek(self.rate).into(),
            ]);
        }
        table
    }
}

/// Floods to so many others that go so many hops, and end at once.
fn floods(rules: &Rules, fan_out: usize, hops: u8) -> Rules {
    Rules {
        find: Some(Finding::Floods),
        start: Some(Start::Path),
        hops: Some(hops),
        fan_out: Some(fan_out),
        end: Some(End::KeyedStop),
        ..rules.clone()
    }
}

/// What floods find that cost on average exactly so many bytes: some go a hop further than others, by chance.
fn evened(less: &Measured, more: &Measured, bytes: f64, rate: f64) -> Estimate {
    let [low, high] = [less, more].map(|measured| measured.bytes_of_a_seek(rate));
    let weight = if high > low { ((bytes - low) / (high - low)).clamp(0.0, 1.0) } else { 1.0 };
    let [few, many] = [less, more].map(|measured| share(measured.found, measured.sought));
    let mixed = |of: fn(&Estimate) -> f64| (1.0 - weight) * of(&few) + weight * of(&many);
    // The ends of both at once: wider than the interval of the mixture, so that it errs against the verdict.
    Estimate {
        mean: mixed(|at| at.mean),
        low: mixed(|at| at.low),
        high: mixed(|at| at.high),
        count: few.count + many.count,
    }
}

/// Hops of a flood to two others that would reach a million nodes.
const MOST_HOPS: u8 = 18;
