//! `attacks flood-end`: a neighbour puts in questions with high counts, as if floods ended at the node that it asks. Does that node answer itself, or
//! somebody behind it? (CVE-2005-4726 in the original MUTE, where only the node asked could answer.)
//!
//! Each question is answered by the target, or by one of its neighbours, always the same (the hardest case to tell: whoever answers from further away
//! is told more easily); a *popular* one by every tenth node besides. The prober asks each in every phase that ends nearby, counts the answers, and
//! knows what the target's link answers to questions of which it knows that neither holds them. How many answers come is looked at, not when: times
//! are `attacks worlds`' affair. A classifier is trained on half of the networks and tested on the rest; of a set of
//! questions that are all the target's, or all the neighbour's, the scores are summed.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use mute_core::{
    Address, Event, FloodEnd, Hop, LinkId, PortId, Topic, limits,
    wire::{Flood, Frame, Phase, Signed, Stamp, Verified},
};
use serde::Serialize;

use super::worlds::{
    area::area,
    learn::{Model, Row},
};
use crate::{
    App, Behaviour, Config, NETWORK, Network, NodeId, Random, Record, Table, Topology,
    stats::{Estimate, bootstrap, mean},
};

/// The arguments of `attacks flood-end`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct FloodEnds {
    /// Networks of 60 nodes with eight neighbours each: half to learn from, half to be tested on.
    #[arg(long, default_value_t = 8)]
    pub networks: usize,
    /// Nodes of each that are asked, by a prober each.
    #[arg(long, default_value_t = 20)]
    pub targets: usize,
    /// Questions of each kind.
    #[arg(long, default_value_t = 16)]
    pub questions: usize,
    /// How often some are repeated.
    #[arg(long, default_value_t = 100)]
    pub repeats: usize,
    /// A small run, for a test.
    #[arg(long)]
    pub small: bool,
}

/// Nodes of a network that probers ask in.
const NODES: usize = 60;

/// Of the network in which honest floods are counted.
const WIDE_NODES: usize = 1000;

/// Honest floods that are counted.
const WIDE_FLOODS: usize = 20;

/// A popular question is answered by one node in so many.
const POPULAR: f64 = 0.1;

/// From one probe to the next: all answers of the profile "fast" are in.
const STEP: Duration = Duration::from_millis(600);

/// The ends, and the phases that probe each: those from which a flood does not go far.
const ENDS: [(FloodEnd, &str, &[Phase]); 3] = [
    (FloodEnd::DropTree, "drop tree", &EDGE),
    (FloodEnd::KeyedStop, "keyed stop", &EDGE),
    (FloodEnd::Fading, "fading", &SLOPE),
];

const EDGE: [Phase; 3] = [Phase::Counted(7), Phase::Ending, Phase::Tail(2)];

/// Those at which fewer nodes hear a question than before.
const SLOPE: [Phase; (limits::FADE_TO - limits::FADE_FROM) as usize] = {
    let mut phases = [Phase::Ending; (limits::FADE_TO - limits::FADE_FROM) as usize];
    let mut step = 0;
    while step < phases.len() {
        phases[step] = Phase::Counted(limits::FADE_FROM + step as u8);
        step += 1;
    }
    phases
};

/// Who answers a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Every tenth node, of those that are neither asked nor behind: what the prober calibrates by.
    Control,
    /// One node: the target, or else the one behind it.
    Rare { own: bool },
    /// That one, and every tenth.
    Popular { own: bool },
}

const KINDS: [Kind; 5] = [
    Kind::Control,
    Kind::Rare { own: true },
    Kind::Rare { own: false },
    Kind::Popular { own: true },
    Kind::Popular { own: false },
];

/// A probe's place: target, kind, question, phase.
type Probe = [usize; 4];

/// What came back: answers to each probe, and whose one-time key is whose probe.
#[derive(Default)]
struct Answers {
    probes: HashMap<Address, usize>,
    counts: Vec<u32>,
}

/// A prober: its own router hears and says nothing.
struct Prober(Rc<RefCell<Answers>>);

impl Behaviour for Prober {
    fn inbound(&mut self, _: &mut Network, _: NodeId, _: LinkId, frame: Frame<Verified>) -> Option<Frame<Verified>> {
        if let Frame::Letter { message } = frame {
            let answers = &mut *self.0.borrow_mut();
            if let Some(count) = answers.probes.get(&message.to()).and_then(|probe| answers.counts.get_mut(*probe)) {
                *count += 1;
            }
        }
        None
    }

    fn outbound(
        &mut self,
        _: &mut Network,
        _: NodeId,
        _: LinkId,
        _: Hop,
        _: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        None
    }
}

/// Answers by letter what a node holds; a question's body is its number.
struct Holders {
    holds: Vec<BTreeSet<NodeId>>,
    heard: u64,
}

impl App for Holders {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        let Event::Heard { from, body, .. } = event else {
            return;
        };
        self.heard += 1;
        let question = body.first_chunk().map_or(usize::MAX, |number| u64::from_be_bytes(*number) as usize);
        if self.holds.get(question).is_some_and(|holds| holds.contains(&node)) {
            net.letter(node, port, from, "here");
        }
    }
}

/// A network with probers at some nodes.
struct Scene {
    net: Network,
    holders: Holders,
    answers: Rc<RefCell<Answers>>,
    /// Each prober and its link to the node that it asks.
    links: Vec<(NodeId, LinkId)>,
    stamps: Random,
}

impl Scene {
    fn new(sizes: &FloodEnds, end: FloodEnd, seed: u64) -> Self {
        let graph = Topology::random_regular(NODES, 8, seed);
        let targets = sizes.targets.min(NODES) as NodeId;
        let probers = (0..targets).map(|target| (NODES as NodeId + target, target));
        let topology = Topology::joined(NODES + targets as usize, graph.edges.iter().copied().chain(probers));
        let mut net = network(end, &topology, seed);
        let answers = Rc::new(RefCell::new(Answers::default()));
        let mut links = Vec::new();
        for target in 0..targets {
            let prober = NODES as NodeId + target;
            net.set_behaviour(prober, Some(Box::new(Prober(Rc::clone(&answers)))));
            links.extend(net.links(prober).first().map(|(_, link)| (prober, *link)));
        }
        let mut random = Random::new(seed, "who holds what");
        let neighbours = graph.neighbours();
        let behind: Vec<NodeId> =
            (0..targets as usize).filter_map(|at| random.pick(&neighbours[at]).copied()).collect();
        let mut holds = Vec::new();
        for target in 0..targets {
            let pair = [behind[target as usize], target];
            for kind in KINDS {
                for _ in 0..sizes.questions {
                    let others = (0..NODES as NodeId).filter(|node| !pair.contains(node) && random.chance(POPULAR));
                    let mut of: BTreeSet<NodeId> =
                        if matches!(kind, Kind::Rare { .. }) { BTreeSet::new() } else { others.collect() };
                    if let Kind::Rare { own } | Kind::Popular { own } = kind {
                        of.insert(pair[usize::from(own)]);
                    }
                    holds.push(of);
                }
            }
        }
        let stamps = Random::new(seed, "stamps");
        Self { net, holders: Holders { holds, heard: 0 }, answers, links, stamps }
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.net.clock() + time;
        self.net.run(&mut self.holders, until);
    }

    /// All probers ask their targets this in this phase. Where the counts are, of one after the other.
    fn ask(&mut self, question: impl Fn(usize) -> usize, phase: Phase) -> std::ops::Range<usize> {
        let first = self.answers.borrow().counts.len();
        for target in 0..self.links.len() {
            let (prober, link) = self.links[target];
            let key = self.net.key(prober, self.answers.borrow().counts.len() as u32 + 1);
            let minute = (self.net.now().unix_s / 60) as u32;
            let stamp = Stamp { minute, random: self.stamps.bits() };
            let body = (question(target) as u64).to_be_bytes();
            let Ok(message) = Signed::<Flood, _>::sign(NETWORK, &key, stamp, Topic::of("probes"), &body) else {
                continue;
            };
            let mut answers = self.answers.borrow_mut();
            let place = answers.counts.len();
            answers.probes.insert(message.author(), place);
            answers.counts.push(0);
            drop(answers);
            self.net.transmit(prober, link, Hop::Link(link), Frame::Flood { phase, message });
        }
        self.run_for(STEP);
        first..self.answers.borrow().counts.len()
    }
}

fn network(end: FloodEnd, topology: &Topology, seed: u64) -> Network {
    let config = Config {
        router: Some(Rc::new(move |_, config| {
            // The phases that probe are those of seven counted hops.
            config.floods.hops = 7;
            config.floods.end = end;
        })),
        check_every: Duration::from_secs(60),
        ..Config::new(seed)
    };
    let mut net = Network::new(config, topology);
    for node in 0..topology.nodes.min(NODES.max(WIDE_NODES)) as NodeId {
        let (port, _) = net.open(node, 0);
        net.subscribe(node, port, Topic::of("probes"));
    }
    net
}

/// What one end came to.
struct Outcome {
    name: &'static str,
    /// Areas by popularity and number of questions.
    areas: Vec<(&'static str, usize, Estimate)>,
    /// Probes whose answers changed when they were repeated, and how many there were.
    changed: [u64; 2],
    /// Frames of a probe on average, and of an honest flood.
    frames: [Estimate; 2],
    /// The share of the nodes that hear an honest flood.
    hear: f64,
    healthy: bool,
}

/// Answers by probe; probes by target, kind, question.
type Counts = Vec<(Probe, u32)>;

impl FloodEnds {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("attacks flood-end", self, seed);
        let small = Self { networks: 2, targets: 16, questions: 6, repeats: 5, small: true };
        let sizes = if self.small { small } else { self.clone() };
        let outcomes: Vec<Outcome> =
            ENDS.iter().map(|(end, name, phases)| sizes.end(*end, name, phases, seed)).collect();
        tables(&mut record, &outcomes);
        verdict(&mut record, &outcomes);
        record
    }

    fn end(&self, end: FloodEnd, name: &'static str, phases: &[Phase], seed: u64) -> Outcome {
        let (mut all, mut changed, mut frames, mut healthy) = (Vec::new(), [0; 2], Vec::new(), true);
        for number in 0..self.networks {
            let mut scene = Scene::new(self, end, seed * 1000 + number as u64);
            scene.run_for(STEP);
            let before = scene.net.sent().frames;
            let counts = self.probe(&mut scene, phases);
            frames.push((scene.net.sent().frames - before) as f64 / counts.len() as f64);
            if number == 0 {
                changed = self.repeat(&mut scene, phases);
            }
            scene.net.finish();
            healthy &= scene.net.checks.failures().1 == 0;
            all.push(counts);
        }
        let areas = self.areas(&all, phases.len(), seed);
        let (floods, hear, sound) = honest(end, if self.small { NODES } else { WIDE_NODES }, seed);
        Outcome { name, areas, changed, frames: [mean(&frames), floods], hear, healthy: healthy && sound }
    }

    /// Every question in every phase.
    fn probe(&self, scene: &mut Scene, phases: &[Phase]) -> Counts {
        let mut counts = Vec::new();
        for kind in 0..KINDS.len() {
            for question in 0..self.questions {
                for (place, phase) in phases.iter().enumerate() {
                    let asked = scene.ask(|target| self.number(target, kind, question), *phase);
                    let answers = scene.answers.borrow();
                    let probes =
                        asked.enumerate().map(|(target, at)| ([target, kind, question, place], answers.counts[at]));
                    counts.extend(probes);
                }
            }
        }
        counts
    }

    fn number(&self, target: usize, kind: usize, question: usize) -> usize {
        (target * KINDS.len() + kind) * self.questions + question
    }

    /// A popular question of each target, over and over: how often is the number of its answers another than the first time?
    fn repeat(&self, scene: &mut Scene, phases: &[Phase]) -> [u64; 2] {
        let mut changed = [0; 2];
        for phase in phases {
            let mut first: Vec<u32> = Vec::new();
            for _ in 0..self.repeats {
                let asked = scene.ask(|target| self.number(target, 3, 0), *phase);
                let answers = scene.answers.borrow();
                let counts = answers.counts[asked].to_vec();
                if first.is_empty() {
                    first = counts;
                    continue;
                }
                changed[0] += first.iter().zip(&counts).filter(|(a, b)| a != b).count() as u64;
                changed[1] += counts.len() as u64;
            }
        }
        changed
    }

    /// Trained on half of the networks, tested on the rest: areas for sets of questions.
    fn areas(&self, all: &[Counts], phases: usize, seed: u64) -> Vec<(&'static str, usize, Estimate)> {
        let half = all.len() / 2;
        let mut areas = Vec::new();
        for (name, [own, other]) in [("rare", [1, 2]), ("popular", [3, 4])] {
            let of = |networks: &[Counts]| -> Vec<[Vec<Vec<f64>>; 2]> {
                let targets = networks.iter().flat_map(|counts| (0..self.targets).map(move |target| (counts, target)));
                targets
                    .map(|(counts, target)| [own, other].map(|kind| self.features(counts, target, kind, phases)))
                    .collect()
            };
            let (train, test) = (of(&all[..half]), of(&all[half..]));
            let rows: Vec<Row<'_>> = train
                .iter()
                .flat_map(|[own, other]| [(own, true), (other, false)])
                .flat_map(|(questions, class)| questions.iter().map(move |features| Row { features, class }))
                .collect();
            let model = Model::train(&rows, seed);
            let scores: Vec<[Vec<f64>; 2]> = test
                .iter()
                .map(|worlds| {
                    worlds.each_ref().map(|questions| questions.iter().map(|features| model.score(features)).collect())
                })
                .collect();
            for set in [1, self.questions / 4, self.questions] {
                let places: Vec<f64> = (0..scores.len()).map(|place| place as f64).collect();
                let found = bootstrap(&places, seed, |sample| {
                    let cases = sample.iter().flat_map(|place| {
                        let [own, other] = &scores[*place as usize];
                        let sums = |scores: &[f64], class| -> Vec<(f64, bool)> {
                            scores.chunks_exact(set.max(1)).map(|set| (set.iter().sum(), class)).collect()
                        };
                        [sums(own, true), sums(other, false)].concat()
                    });
                    area(&cases.collect::<Vec<_>>())
                });
                areas.push((name, set, found));
            }
        }
        areas
    }

    /// For each question the answers in each phase, and what the target's control questions got there on average.
    fn features(&self, counts: &Counts, target: usize, kind: usize, phases: usize) -> Vec<Vec<f64>> {
        let mut control = vec![0.0; phases];
        let mut features = vec![vec![0.0; phases]; self.questions];
        for ([at, of, question, phase], count) in counts {
            if *at == target && *of == 0 {
                control[*phase] += f64::from(*count) / self.questions as f64;
            }
            if *at == target && *of == kind {
                features[*question][*phase] = f64::from(*count);
            }
        }
        features.iter_mut().for_each(|question| question.extend(&control));
        features
    }
}

/// Frames of an honest flood with this end, the share of the nodes that hear it, and whether the network's own checks held.
fn honest(end: FloodEnd, nodes: usize, seed: u64) -> (Estimate, f64, bool) {
    let topology = Topology::random_regular(nodes, 8, seed);
    let mut net = network(end, &topology, seed);
    let mut holders = Holders { holds: Vec::new(), heard: 0 };
    let mut frames = Vec::new();
    for node in 0..WIDE_FLOODS.min(nodes) as NodeId {
        let before = net.sent().frames;
        let (port, _) = net.open(node, 1);
        net.broadcast(node, port, Topic::of("probes"), Bytes::from(u64::MAX.to_be_bytes().to_vec()));
        let until = net.clock() + Duration::from_secs(5);
        net.run(&mut holders, until);
        frames.push((net.sent().frames - before) as f64);
    }
    net.finish();
    let hear = holders.heard as f64 / (frames.len() * nodes) as f64;
    (mean(&frames), hear, net.checks.failures().1 == 0)
}

fn tables(record: &mut Record, outcomes: &[Outcome]) {
    let mut areas = Table::new(
        "does the node that is asked answer itself? (area; bootstrap over targets)",
        &["end", "question", "asked", "area", "low", "high"],
    );
    let mut costs =
        Table::new("the ends", &["end", "frames a probe", "frames a flood", "share that hears", "changed", "of"]);
    for outcome in outcomes {
        for (question, set, area) in &outcome.areas {
            areas.row([
                outcome.name.into(),
                (*question).into(),
                format!("{set}").into(),
                area.mean.into(),
                area.low.into(),
                area.high.into(),
            ]);
        }
        let [probe, flood] = outcome.frames;
        costs.row([
            outcome.name.into(),
            probe.mean.into(),
            flood.mean.into(),
            outcome.hear.into(),
            outcome.changed[0].into(),
            outcome.changed[1].into(),
        ]);
    }
    record.tables.extend([areas, costs]);
}

fn verdict(record: &mut Record, outcomes: &[Outcome]) {
    for outcome in outcomes {
        let [changed, of] = outcome.changed;
        record.check(
            &format!("{}: a question repeated is answered alike", outcome.name),
            changed == 0 && of > 0,
            format!("{changed} of {of} repetitions differ"),
        );
    }
    let of = |name: &str, question: &str| {
        let mut areas = outcomes.iter().filter(|outcome| outcome.name == name).flat_map(|outcome| &outcome.areas);
        areas.find(|(kind, ..)| *kind == question).map(|(.., area)| *area)
    };
    for name in ["drop tree", "keyed stop"] {
        if let (Some(fading), Some(edge)) = (of("fading", "rare"), of(name, "rare")) {
            record.check(
                &format!("one rare question: fading tells less than a {name}"),
                fading.high < edge.low,
                format!(
                    "{:.3} [to {:.3}] against {:.3} [from {:.3}] (bootstrap)",
                    fading.mean, fading.high, edge.mean, edge.low
                ),
            );
        }
    }
    let healthy = outcomes.iter().all(|outcome| outcome.healthy);
    record.check("the networks' own checks", healthy, "of every end");
}
