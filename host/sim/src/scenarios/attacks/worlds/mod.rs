//! Two worlds: does the target own an address, or only relay it to who owns it, one hop behind it or further?
//!
//! The attackers have two links to the target and are told all that happens elsewhere. They send everything that there is ([`probes`]); a
//! classifier ([`learn`]) is trained on half of the seeds and tested on the rest ([`mod@area`]). Both worlds of a seed have the same graph,
//! secrets, times and traffic, and differ in the node that the address lives at.

pub(super) mod area;
mod attack;
mod features;
pub(super) mod learn;
mod probes;
mod town;

use std::time::Duration;

use clap::Args;
use mute_core::{Defences, Finding, Profile, Shape};
use serde::Serialize;

use crate::{LinkParams, Record, Table};
use area::{Pair, area, judge};
use probes::{Moves, trial};
use town::{Setting, World};

/// The arguments of `attacks worlds`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Worlds {
    /// Trials in each world; a fifth of them for rows beside the curve.
    #[arg(long, default_value_t = 2_000)]
    pub trials: usize,
    /// Few trials of the rows that show most: for tests.
    #[arg(long)]
    pub small: bool,
    /// One way between two neighbours, in ms: the onward round trip is twice that.
    #[arg(long, default_value_t = 20, value_name = "MS")]
    pub delay: u64,
    /// The mean wait of identities at which the area must be low, in ms.
    #[arg(long, default_value_t = 500, value_name = "MS")]
    pub hard: u64,
    /// Only rows whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}

/// Mean waits of identities on the curve, in ms.
const CURVE: [u64; 8] = [0, 25, 50, 100, 200, 300, 500, 800];

/// What the area may be where the wait is long enough, and what it is above where a defence is missing.
const ALIKE: f64 = 0.55;

/// Half the interval's width at the full number of trials.
const HALF_WIDTH: f64 = 0.02;

/// A planted leak, much below the network's own times: the classifier must find it.
const PLANT: Duration = Duration::from_millis(4);

/// The rows of a small run.
const SMALL: [&str; 2] = ["fast", "all defences"];

/// One in so many trials is enough for rows beside the curve: what must tell there does so almost surely.
const PART: usize = 5;

/// Trials of a small run.
const SMALL_TRIALS: usize = 40;

/// What a row must show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    Nothing,
    /// Owner and relay look alike.
    Hide,
    /// They do not.
    Tell,
}

struct Line {
    name: String,
    setting: Setting,
    must: Must,
    /// One in so many of the trials is enough.
    part: usize,
}

impl Worlds {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("attacks worlds", self, seed);
        let columns = ["what", "wait μ (ms)", "trials", "area", "from", "to", "the delay alone"];
        let mut table =
            Table::new("Does the target own the address? The area under the curve, with 95 % intervals", &columns);
        let mut telling = Table::new("What tells most by itself, with its area", &["what", "first", "second", "third"]);
        let mut curve = Vec::new();
        for line in self.lines() {
            let started = std::time::Instant::now();
            let trials = self.count(line.part);
            let (names, pairs) = self.play(seed, &line.setting, trials);
            let area = judge(&pairs, seed);
            let mean = line.setting.shape.turnaround;
            let theory = self.theory(&line.setting);
            table.row([
                line.name.as_str().into(),
                (mean.as_millis() as u64).into(),
                (trials as u64).into(),
                area.mean.into(),
                area.low.into(),
                area.high.into(),
                theory.into(),
            ]);
            let [first, second, third] = most_telling(&names, &pairs);
            telling.row([line.name.as_str().into(), first.into(), second.into(), third.into()]);
            if line.name.starts_with("curve") {
                curve.push([mean.as_secs_f64() * 1e3, area.mean]);
            }
            let detail = format!("{:.3}, {:.3} to {:.3}", area.mean, area.low, area.high);
            // A run takes long: each row is told as it comes.
            eprintln!("{}: {detail} ({:.0} s)", line.name, started.elapsed().as_secs_f64());
            match line.must {
                Must::Nothing => {}
                // Few trials say only that it is not above it for sure.
                Must::Hide if self.small => {
                    record.check(&format!("{}: lower bound ≤ {ALIKE}", line.name), area.low <= ALIKE, detail);
                }
                Must::Hide => record.check(&format!("{}: area ≤ {ALIKE}", line.name), area.mean <= ALIKE, detail),
                Must::Tell => {
                    record.check(&format!("{}: lower bound > {ALIKE}", line.name), area.low > ALIKE, detail);
                }
            }
            if !self.small && line.part == 1 && line.must == Must::Hide {
                let half = (area.high - area.low) / 2.0;
                let name = format!("{}: half the interval ≤ {HALF_WIDTH}", line.name);
                record.check(&name, half <= HALF_WIDTH, format!("{half:.4}"));
            }
            record.machine(
                &format!("{}: a trial", line.name),
                "ms",
                started.elapsed().as_secs_f64() * 1e3 / (2 * trials.max(1)) as f64,
            );
        }
        let axes = ["mean wait (ms)", "area"];
        let theory = curve.iter().map(|[mean, _]| [*mean, self.law(Duration::from_secs_f64(*mean / 1e3), 1)]).collect();
        record.series("two worlds", "measured", axes, curve);
        record.series("two worlds", "the delay alone", axes, theory);
        record.tables.extend([table, telling]);
        record
    }

    /// Each row: the name, the setting, and what it must show. Those that decide come first.
    fn lines(&self) -> Vec<Line> {
        let balanced = Profile::Balanced.shape();
        let base = Setting {
            shape: Shape { turnaround: Duration::from_millis(self.hard), ..balanced },
            defences: Defences::default(),
            finding: Finding::Floods,
            behind: 1,
            link: LinkParams { rate: 0, delay: Duration::from_millis(self.delay), ..LinkParams::default() },
            plant: Duration::ZERO,
            moves: Moves { cold: false, brief: false, questions: false, crowd: 0, ends: 0, bad: false, wait: true },
        };
        let line = |name: &str, must, setting| Line { name: name.to_owned(), setting, must, part: 1 };
        let side = |name: &str, must, setting| Line { part: PART, ..line(name, must, setting) };
        let moves = |change: fn(Moves) -> Moves| Setting { moves: change(base.moves), ..base };
        let mut lines = vec![
            line("all defences", Must::Hide, base),
            line("and questions", Must::Hide, moves(|moves| Moves { questions: true, ..moves })),
        ];
        lines.extend(CURVE.iter().map(|mean| {
            let shape = Shape { turnaround: Duration::from_millis(*mean), ..balanced };
            let brief = Moves { brief: true, ..base.moves };
            line(&format!("curve {mean}"), Must::Nothing, Setting { shape, moves: brief, ..base })
        }));
        let cold = moves(|moves| Moves { cold: true, ..moves });
        lines.push(side("an address that nobody asked for", Must::Hide, cold));
        for (name, moves, change) in switches() {
            let mut defences = Defences::default();
            change(&mut defences);
            let setting = Setting { defences, moves: moves(base.moves), ..base };
            lines.push(side(&format!("without {name}"), Must::Tell, setting));
        }
        lines.push(side("fast", Must::Tell, Setting { shape: Profile::Fast.shape(), ..base }));
        lines.push(side("planted leak", Must::Tell, Setting { plant: PLANT, ..base }));
        let jitter = Shape { jitter: Duration::from_millis(10), ..base.shape };
        let jittered = moves(|moves| Moves { questions: true, ..moves });
        lines.push(side("with jitter of floods", Must::Tell, Setting { shape: jitter, ..jittered }));
        lines.push(side("walks", Must::Hide, Setting { finding: Finding::Walks, ..base }));
        lines.push(side("seekers whose trails proved bad", Must::Hide, moves(|moves| Moves { bad: true, ..moves })));
        let household = LinkParams { rate: LinkParams::default().rate, ..base.link };
        lines.push(side("links of 10 Mbit/s", Must::Hide, Setting { link: household, ..base }));
        let uneven = LinkParams { jitter: Duration::from_millis(1), ..base.link };
        lines.push(side("links that jitter", Must::Hide, Setting { link: uneven, ..base }));
        let ends = moves(|moves| Moves { questions: true, ends: 2, ..moves });
        lines.push(side("questions at a flood's end", Must::Hide, ends));
        for behind in [2, 3] {
            lines.push(side(&format!("owner {behind} hops behind"), Must::Nothing, Setting { behind, ..base }));
        }
        lines.push(side("a crowd", Must::Hide, moves(|moves| Moves { crowd: 350, brief: true, ..moves })));
        let wanted = |name: &str| match &self.only {
            Some(only) => name.contains(only.as_str()),
            None => !self.small || SMALL.contains(&name),
        };
        lines.retain(|line| wanted(&line.name));
        lines
    }

    /// All trials of one setting, and what the classifier makes of them.
    fn play(&self, seed: u64, setting: &Setting, trials: usize) -> (Vec<String>, Vec<Pair>) {
        let threads = self.threads.max(1);
        let mut pairs: Vec<(usize, Vec<String>, Pair)> = std::thread::scope(|scope| {
            let part = |thread: usize| {
                let own = (thread..trials).step_by(threads);
                own.map(|number| {
                    let seed = seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
                    let owns = trial(seed, World::Owns, setting);
                    let relays = trial(seed, World::Relays, setting);
                    assert_eq!(owns.names, relays.names, "the same is measured in both worlds");
                    (number, owns.names, Pair { owns: owns.values, relays: relays.values })
                })
                .collect::<Vec<_>>()
            };
            let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
            running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        pairs.sort_by_key(|(number, ..)| *number);
        let names = pairs.first().map(|(_, names, _)| names.clone()).unwrap_or_default();
        let pairs: Vec<Pair> = pairs.into_iter().map(|(.., pair)| pair).collect();
        (names, pairs)
    }

    /// What the answers' delay alone tells: 1 − ½e^(−r/μ).
    fn law(&self, mean: Duration, behind: u32) -> f64 {
        let onward = 2.0 * f64::from(behind) * self.delay as f64 / 1e3;
        1.0 - 0.5 * (-onward / mean.as_secs_f64()).exp()
    }

    fn theory(&self, setting: &Setting) -> f64 {
        self.law(setting.shape.turnaround, setting.behind)
    }

    fn count(&self, part: usize) -> usize {
        if self.small { self.trials.min(SMALL_TRIALS) } else { self.trials.div_ceil(part) }
    }
}

/// A defence, by name, what the attackers do to see that it is missing, and how to leave it out.
type Switch = (&'static str, fn(Moves) -> Moves, fn(&mut Defences));

fn switches() -> [Switch; 7] {
    [
        ("passing floods on", |moves| Moves { questions: true, ..moves }, |defences| defences.pass_floods_on = false),
        ("following the row", |moves| Moves { cold: true, ..moves }, |defences| defences.follow_row = false),
        ("following scent", |moves| moves, |defences| defences.follow_scent = false),
        ("holding questions", |moves| moves, |defences| defences.hold_questions = false),
        ("holding packets", |moves| moves, |defences| defences.hold_packets = false),
        ("stable holds", |moves| moves, |defences| defences.stable_holds = false),
        ("one hold", |moves| moves, |defences| defences.one_hold = false),
    ]
}

/// The features that tell most by themselves, each with its area.
fn most_telling(names: &[String], pairs: &[Pair]) -> [String; 3] {
    let area_of = |at: usize| {
        // What is missing is below all.
        let value = |features: &[f64]| if features[at].is_nan() { f64::MIN } else { features[at] };
        let cases = pairs.iter().flat_map(|pair| [(value(&pair.owns), false), (value(&pair.relays), true)]);
        area(&cases.collect::<Vec<_>>())
    };
    let mut order: Vec<(f64, usize)> = (0..names.len()).map(|at| (area_of(at), at)).collect();
    order.sort_by(|a, b| (b.0 - 0.5).abs().total_cmp(&(a.0 - 0.5).abs()));
    [0, 1, 2].map(|place| match order.get(place) {
        Some((area, at)) => format!("{} ({area:.2})", names[*at]),
        None => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(only: &str) -> Record {
        let worlds = Worlds { trials: 40, small: true, delay: 20, hard: 500, only: Some(only.to_owned()), threads: 1 };
        worlds.run(1)
    }

    fn shows(name: &str) {
        let record = record(name);
        assert!(record.checks.len() == 1 && record.passed(), "{}", record.render());
    }

    #[test]
    fn with_all_defences_nothing_tells_for_sure() {
        shows("all defences");
        shows("an address that nobody asked for");
    }

    #[test]
    fn each_defence_that_is_left_out_tells() {
        shows("fast");
        switches().iter().for_each(|(name, ..)| shows(&format!("without {name}")));
    }
}
