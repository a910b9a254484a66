//! `attacks black-holes`: relays that swallow what they are given and do all they can to be chosen. How many Seeks, and how long, until two
//! identities talk again?
//!
//! Either so many relays of a trail that works turn at once, or so many magnets have been there from the start, linked to each other and to the
//! ends. Liars are faster than all others; *eager* ones also send every Seek at once to all, as one that has just begun to be counted, and flood
//! those that were directed. What Keeps say is signed by the ends, so relays can keep them back or repeat them, and [`ends`] lies in its own.

mod ends;
mod liar;
mod trial;

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use mute_core::{Defences, Profile};
use serde::Serialize;

use crate::{
    Record, Table, Topology, derive,
    stats::{Estimate, quantile, share, sorted},
};
pub use liar::Lie;
use trial::{Outcome, Place, Trial};

/// The arguments of `attacks black-holes`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct BlackHoles {
    /// Trials for each topology, place, lie and set of defences.
    #[arg(long, default_value_t = 5)]
    pub trials: u32,
    /// How long the liars are given, in seconds.
    #[arg(long, default_value_t = 420)]
    pub patience: u64,
    /// The network's profile.
    #[arg(long, default_value_t = Profile::Balanced)]
    pub profile: Profile,
    /// Only with these defences: what is then asked is the same.
    #[arg(long, value_enum)]
    pub defences: Option<Set>,
    /// A small run, for a test.
    #[arg(long)]
    pub small: bool,
}

/// Which of the router's defences there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// All.
    All,
    /// What Keeps report of a trail is not held against what passed.
    NoJudging,
    /// Hops that trails proved bad through are not avoided.
    NoShunning,
}

/// The bound: so many Seeks.
const SEEKS: u64 = 3;

/// The share of trials that are to recover within [`SEEKS`].
const SHARE: f64 = 0.95;

/// What the trials of one row have in common.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    set: Set,
    eager: bool,
    place: Place,
    lie: Lie,
}

/// What the trials of a row came to.
#[derive(Default)]
struct Sum {
    trials: u64,
    within: u64,
    seeks: Vec<f64>,
    after: Vec<f64>,
}

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        let seeks = match outcome {
            Outcome::Void => return,
            Outcome::Never { seeks } => seeks,
            Outcome::Recovered { seeks, after } => {
                self.within += u64::from(seeks <= SEEKS);
                self.after.push(after.as_secs_f64());
                seeks
            }
        };
        self.trials += 1;
        self.seeks.push(seeks as f64);
    }

    fn join(&mut self, other: &Self) {
        self.trials += other.trials;
        self.within += other.within;
        self.seeks.extend(&other.seeks);
        self.after.extend(&other.after);
    }

    fn within(&self) -> Estimate {
        share(self.within, self.trials)
    }

    fn cells(&self) -> [crate::Cell; 8] {
        let within = self.within();
        let after = sorted(self.after.clone());
        [
            self.trials.into(),
            within.mean.into(),
            within.low.into(),
            within.high.into(),
            (self.trials - self.after.len() as u64).into(),
            quantile(&sorted(self.seeks.clone()), 0.95).into(),
            quantile(&after, 0.5).into(),
            quantile(&after, 0.95).into(),
        ]
    }
}

const COLUMNS: [&str; 8] = ["trials", "≤ 3 seeks", "low", "high", "never", "seeks p95", "s p50", "s p95"];

impl Place {
    fn name(self) -> String {
        match self {
            Self::Path(count) => format!("{count} of the path turn"),
            Self::Magnets(count) => format!("{count} magnets"),
        }
    }
}

impl Case {
    /// All cases with these defences.
    fn with(set: Set, small: bool) -> Vec<Self> {
        let places: &[Place] = match small {
            true => &[Place::Path(1), Place::Magnets(1)],
            false => &[
                Place::Path(1),
                Place::Path(2),
                Place::Path(3),
                Place::Magnets(1),
                Place::Magnets(2),
                Place::Magnets(4),
            ],
        };
        let of = |eager, place| Lie::ALL.map(|lie| Self { set, eager, place, lie });
        [false, true].iter().flat_map(|eager| places.iter().flat_map(move |place| of(*eager, *place))).collect()
    }

    /// A number that trials with and without defences share.
    fn number(self) -> u64 {
        let place = match self.place {
            Place::Path(count) => count,
            Place::Magnets(count) => 10 + count,
        };
        (place * Lie::ALL.len() + self.lie as usize) as u64
    }

    fn liars(self) -> usize {
        match self.place {
            Place::Path(count) | Place::Magnets(count) => count,
        }
    }
}

impl BlackHoles {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("attacks black-holes", self, seed);
        let sets = match self.defences {
            Some(set) => vec![set],
            None => vec![Set::All, Set::NoJudging, Set::NoShunning],
        };
        let mut cases: BTreeMap<Case, Sum> = BTreeMap::new();
        let mut graphs: BTreeMap<(Set, &'static str), Sum> = BTreeMap::new();
        for case in sets.iter().flat_map(|set| Case::with(*set, self.small)) {
            self.trials_of(case, seed, &mut cases, &mut graphs);
        }
        let mut table = Table::new("by what is swallowed", &["defences", "liars", "where", "what is swallowed"]);
        table.columns.extend(COLUMNS.map(str::to_owned));
        for (case, sum) in &cases {
            let draw = if case.eager { "eager" } else { "fast" };
            let names = [format!("{:?}", case.set), draw.to_owned(), case.place.name(), format!("{:?}", case.lie)];
            table.rows.push(names.map(crate::Cell::from).into_iter().chain(sum.cells()).collect());
        }
        record.tables.push(table);
        let mut table = Table::new("by network", &["defences", "network"]);
        table.columns.extend(COLUMNS.map(str::to_owned));
        for ((set, graph), sum) in &graphs {
            let names = [format!("{set:?}"), (*graph).to_owned()];
            table.rows.push(names.map(crate::Cell::from).into_iter().chain(sum.cells()).collect());
        }
        record.tables.push(table);
        judge(&mut record, &sets, &cases);
        ends::run(&mut record, self.profile, seed);
        record
    }

    fn trials_of(
        &self,
        case: Case,
        seed: u64,
        cases: &mut BTreeMap<Case, Sum>,
        graphs: &mut BTreeMap<(Set, &'static str), Sum>,
    ) {
        let defences = Defences {
            judge_trails: case.set != Set::NoJudging,
            shun_bad_hops: case.set != Set::NoShunning,
            ..Defences::default()
        };
        let (networks, trials) = if self.small { (2, 2) } else { (GRAPHS, self.trials) };
        for (network, trial) in (0..networks).flat_map(|network| (0..trials).map(move |trial| (network, trial))) {
            let name = derive(seed, "trial", case.number() << 32 | network << 24 | u64::from(trial));
            let seed = name.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
            let (graph, topology) = graph(network, seed);
            let patience = Duration::from_secs(self.patience);
            let Case { eager, place, lie, .. } = case;
            let trial =
                Trial { topology: &topology, place, lie, eager, profile: self.profile, defences, patience, seed };
            let outcome = trial.run();
            cases.entry(case).or_default().add(outcome);
            graphs.entry((case.set, graph)).or_default().add(outcome);
        }
    }
}

/// The trials of the cases that are wanted, together.
fn sum(cases: &BTreeMap<Case, Sum>, wanted: impl Fn(Case) -> bool) -> Sum {
    let mut all = Sum::default();
    cases.iter().filter(|(case, _)| wanted(**case)).for_each(|(_, sum)| all.join(sum));
    all
}

fn judge(record: &mut Record, sets: &[Set], cases: &BTreeMap<Case, Sum>) {
    let first = sets[0];
    for (name, eager, many) in [
        ("one fast liar", false, false),
        ("one eager liar", true, false),
        ("more fast liars", false, true),
        ("more eager liars", true, true),
    ] {
        let of = sum(cases, |case| case.set == first && case.eager == eager && (case.liars() > 1) == many);
        if of.trials == 0 {
            continue;
        }
        let within = of.within();
        record.figure(&format!("{name}: trials"), "", of.trials as f64);
        record.figure(&format!("{name}: within 3 Seeks, at least (Wilson)"), "", within.low);
        record.at_least(&format!("{name}: within 3 Seeks"), "", within.mean, SHARE);
    }
    let with = sum(cases, |case| case.set == first).within();
    for set in &sets[1..] {
        let without = sum(cases, |case| case.set == *set).within();
        let detail = format!(
            "{:.3} [{:.3}, {:.3}] against {:.3} [{:.3}, {:.3}] (Wilson)",
            without.mean, without.low, without.high, with.mean, with.low, with.high
        );
        record.check(&format!("{set:?} recovers less often"), without.high < with.low, detail);
    }
}

/// How many of them there are.
const GRAPHS: u64 = 4;

/// One of the graphs.
fn graph(number: u64, seed: u64) -> (&'static str, Topology) {
    match number {
        0 => ("grid of 8 by 8", Topology::grid(8, 8)),
        1 => ("random 6-regular, 100", Topology::random_regular(100, 6, seed)),
        2 => ("small world, 100", Topology::watts_strogatz(100, 6, 0.1, seed)),
        _ => ("scale-free, 100", Topology::barabasi_albert(100, 3, seed)),
    }
}
