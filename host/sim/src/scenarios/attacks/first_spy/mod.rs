//! `attacks first-spy`: a share of the nodes collude, and want to know who asks. They run the real router, write down what comes, and know every
//! link and its delay.
//!
//! - *First spy*: it was whoever sent the first copy that any of them got.
//! - *Likelihood*: where did it begin to spread (from there it would have come when it did), and who may have sent it there hidden? All
//!   that is random in the router is random to them too, all that is fixed (laws, not coins) is known.
//! - *Predecessor*: over several messages that they know to be of one author (the same topic, target or key), the one whom first spy names most
//!   often, and the product of the likelihoods.
//!
//! Colluders of 5 % are among those of 15 %, and these among those of 25 %: since they do as the protocol says, one run serves all. The drop
//! of hidden messages ("dropped") has a run for each.

mod guess;
mod watch;

use std::{cell::RefCell, rc::Rc, time::Duration};

use clap::Args;
use mute_core::{Address, Event, Finding, FloodStart, Input, PortId, Profile, Topic};
use serde::Serialize;

use crate::{
    App, Config, LinkParams, Network, NodeId, Random, Record, Table, Topology,
    stats::{Estimate, share},
};
use guess::{Map, Start};
use watch::{Log, Sight, Spy, What};

/// The arguments of `attacks first-spy`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct FirstSpy {
    /// Nodes, in a random graph of eight neighbours each.
    #[arg(long, default_value_t = 1000)]
    pub nodes: usize,
    /// Honest nodes that say something, one after the other.
    #[arg(long, default_value_t = 100)]
    pub authors: usize,
    /// Messages of each that colluders know to be of one author.
    #[arg(long, default_value_t = 4)]
    pub sessions: usize,
    /// A small run, for a test.
    #[arg(long)]
    pub small: bool,
}

/// The shares of colluders, in percent, the largest last.
const COLLUDERS: [usize; 3] = [5, 15, 25];

/// Lines' delays are between these, one for each link, in microseconds, and vary by [`VARIES`].
const DELAYS_US: [u64; 2] = [5_000, 60_000];

/// What the delay of a line varies by.
const VARIES: Duration = Duration::from_millis(2);

/// How long a session lasts: a hidden message that got lost spreads after three seconds.
const SESSION: Duration = Duration::from_secs(5);

/// When a Seek has been sent once and not again.
const ONE_TRY: Duration = Duration::from_millis(2500);

/// What authors say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Flood,
    /// In a network of the profile "balanced".
    Balanced,
    /// With the old start of floods: everywhere at once.
    Everywhere,
    /// Colluders drop what is hidden.
    Dropped(usize),
    /// A Seek for an address that nobody smells.
    FloodedSeek,
    /// One for an address that the author had a trail to.
    DirectedSeek,
    /// An answer to a flood.
    Letter,
    /// What an address that listens says where addresses are found by Walks.
    Walk,
}

impl Case {
    const ALL: [Self; 10] = [
        Self::Flood,
        Self::Balanced,
        Self::Everywhere,
        Self::Dropped(0),
        Self::Dropped(1),
        Self::Dropped(2),
        Self::FloodedSeek,
        Self::DirectedSeek,
        Self::Letter,
        Self::Walk,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Balanced => "flood, balanced",
            Self::Everywhere => "flood, everywhere",
            Self::Dropped(_) => "flood, dropped",
            Self::FloodedSeek => "seek, flooded",
            Self::DirectedSeek => "seek, directed",
            Self::Letter => "letter",
            Self::Walk => "walk",
        }
    }

    fn start(self) -> Start {
        match self {
            Self::Everywhere => Start::Source,
            Self::DirectedSeek | Self::Letter => Start::Scent,
            _ => Start::Path { own_hides: OWN_HIDES },
        }
    }
}

/// Whether the author of a flood passes it on hidden whatever the coin says, as the router has it.
const OWN_HIDES: bool = true;

/// The cases of a small run.
const SMALL: [Case; 4] = [Case::Flood, Case::Everywhere, Case::Dropped(1), Case::Walk];

/// The estimators: see the module.
const FIRST_SPY: &str = "first spy";
const LIKELIHOOD: &str = "likelihood";
const VOTES: &str = "likelihood's votes";

/// No likelihood counts for less: the model of what is seen is not perfect.
const LEAST: f64 = 1e-6;

/// What came of one estimator with one share of colluders.
struct Outcome {
    case: Case,
    colluders: usize,
    estimator: &'static str,
    sessions: usize,
    /// Authors of whom something was seen.
    seen: u64,
    right: u64,
    authors: u64,
    /// Mean bits of what is left to guess; NaN for an estimator without a posterior.
    bits: f64,
}

impl Outcome {
    fn precision(&self) -> Estimate {
        share(self.right, self.seen)
    }

    fn recall(&self) -> Estimate {
        share(self.right, self.authors)
    }

    /// How many nodes an author hides among: 2^bits where there is a posterior, else 1/precision.
    fn set(&self) -> f64 {
        if self.bits.is_nan() { 1.0 / self.precision().mean } else { self.bits.exp2() }
    }
}

/// Hears the one-time key of a question.
#[derive(Default)]
struct Asked(Option<Address>);

impl App for Asked {
    fn event(&mut self, _: &mut Network, _: NodeId, _: PortId, event: Event) {
        if let Event::Heard { from, .. } = event {
            self.0 = Some(from);
        }
    }
}

/// A network with colluders in it.
struct Scene {
    net: Network,
    log: Rc<RefCell<Log>>,
    map: Map,
    /// Those who say something, and another honest node for each.
    authors: Vec<[NodeId; 2]>,
    /// The rank of each node: a share p of colluders are those of the lowest p.
    ranks: Vec<usize>,
}

impl Scene {
    fn new(sizes: &FirstSpy, case: Case, seed: u64) -> Self {
        let topology = Topology::random_regular(sizes.nodes, 8, seed);
        let config = Config {
            router: Some(Rc::new(move |_, config| {
                config.finding = if case == Case::Walk { Finding::Walks } else { Finding::Floods };
                match case {
                    Case::Everywhere => config.floods.start = FloodStart::Everywhere,
                    Case::Balanced => config.profile = Profile::Balanced,
                    _ => {}
                }
            })),
            ..Config::new(seed)
        };
        let mut net = Network::new(config, &topology);
        let mut random = Random::new(seed, "first spy");
        let span = (DELAYS_US[1] - DELAYS_US[0]) as usize;
        let delays: Vec<u64> = topology.edges.iter().map(|_| DELAYS_US[0] + random.below(span) as u64).collect();
        for (edge, delay) in delays.iter().enumerate() {
            let delay = Duration::from_micros(*delay);
            net.set_link(edge, LinkParams { delay, jitter: VARIES, ..LinkParams::default() });
        }
        let mut order: Vec<NodeId> = (0..sizes.nodes as NodeId).collect();
        random.shuffle(&mut order);
        let mut ranks = vec![0; sizes.nodes];
        order.iter().enumerate().for_each(|(rank, node)| ranks[*node as usize] = rank);
        let most = if let Case::Dropped(place) = case { COLLUDERS[place] } else { COLLUDERS[COLLUDERS.len() - 1] };
        let (spies, honest) = order.split_at(sizes.nodes * most / 100);
        let log = Rc::new(RefCell::new(Log::new(topology.edges.clone())));
        for spy in spies {
            let drops = matches!(case, Case::Dropped(_));
            net.set_behaviour(*spy, Some(Box::new(Spy { log: Rc::clone(&log), drops })));
        }
        let map = Map::new(&topology, &delays, spies);
        let authors = honest.iter().zip(honest.iter().rev()).take(sizes.authors).map(|(a, b)| [*a, *b]).collect();
        Self { net, log, map, authors, ranks }
    }

    fn wait(&mut self, time: Duration) {
        self.net.rest(time);
    }

    /// All that one author says.
    fn author(&mut self, case: Case, [author, other]: [NodeId; 2], sessions: usize) {
        self.log.borrow_mut().begin(false);
        let (port, own) = self.net.open(author, 0);
        let (far, address) = self.net.open(other, 1);
        let mut target = address;
        match case {
            // Nobody's.
            Case::FloodedSeek => target = self.net.address(other, 2),
            Case::DirectedSeek => {
                let connection = self.net.connect(author, port, target);
                self.wait(SESSION);
                self.net.disconnect(author, connection);
            }
            Case::Letter => {
                self.net.subscribe(author, port, Topic(own.0[..16].try_into().unwrap_or_default()));
                self.net.broadcast(other, far, Topic(own.0[..16].try_into().unwrap_or_default()), "who?");
                let (mut asked, until) = (Asked::default(), self.net.clock() + SESSION);
                self.net.run(&mut asked, until);
                target = asked.0.unwrap_or(target);
            }
            Case::Walk => self.net.input(author, Input::Listen { port, listening: false }),
            _ => {}
        }
        self.wait(SESSION);
        for session in 0..sessions {
            self.log.borrow_mut().begin(true);
            match case {
                Case::FloodedSeek | Case::DirectedSeek => {
                    let connection = self.net.connect(author, port, target);
                    self.wait(ONE_TRY);
                    self.net.disconnect(author, connection);
                }
                Case::Letter => self.net.letter(author, port, target, "sealed"),
                Case::Walk => {
                    self.net.input(author, Input::Listen { port, listening: true });
                    self.wait(ONE_TRY);
                    self.net.input(author, Input::Listen { port, listening: false });
                }
                _ => self.net.broadcast(author, port, Topic::of("first spy"), format!("question {session}")),
            }
            self.wait(SESSION);
        }
        self.net.close(author, port);
        self.net.close(other, far);
    }

    /// What colluders of a share make of all they saw.
    fn judge(&self, case: Case, colluders: usize, sessions: usize) -> Vec<Outcome> {
        let honest: Vec<bool> = self.ranks.iter().map(|rank| *rank >= self.ranks.len() * colluders / 100).collect();
        let authors = self.authors.len() as u64;
        let outcome = |(estimator, sessions)| {
            let bits = if (estimator, sessions) == (LIKELIHOOD, 1) { 0.0 } else { f64::NAN };
            Outcome { case, colluders, estimator, sessions, seen: 0, right: 0, authors, bits }
        };
        let scent = case.start() == Start::Scent;
        let estimators =
            [(FIRST_SPY, 1), (LIKELIHOOD, 1), (FIRST_SPY, sessions), (VOTES, sessions), (LIKELIHOOD, sessions)];
        let mut outcomes: Vec<Outcome> = estimators.map(outcome).into();
        let log = self.log.borrow();
        for ([author, _], sights) in self.authors.iter().zip(log.sights.chunks(sessions)) {
            let mut weights: [Vec<f64>; 5] = std::array::from_fn(|_| Vec::new());
            for (session, sights) in sights.iter().enumerate() {
                let sights = known_to(sights, &honest);
                let Some(first) = sights.first() else {
                    continue;
                };
                let posterior = self.map.posterior(&sights, &honest, case.start());
                let Some(likeliest) = guess::most_likely(&posterior) else {
                    continue;
                };
                // Of equals the one that was named first.
                let vote = 1.0 - 1e-3 * session as f64;
                let one = |node: NodeId| std::iter::once((node as usize, vote));
                if session == 0 {
                    self.add(&mut weights[0], one(first.from));
                    self.add(&mut weights[1], posterior.iter().copied().enumerate());
                    outcomes[1].bits += guess::entropy(&posterior);
                }
                self.add(&mut weights[2], one(first.from));
                self.add(&mut weights[3], one(likeliest));
                self.add(&mut weights[4], posterior.iter().map(|weight| weight.max(LEAST).ln()).enumerate());
            }
            for (outcome, weights) in outcomes.iter_mut().zip(&weights) {
                outcome.seen += u64::from(!weights.is_empty());
                outcome.right += u64::from(guess::most_likely(weights) == Some(*author));
            }
        }
        outcomes[1].bits /= outcomes[1].seen as f64;
        outcomes.retain(|outcome| !scent || outcome.estimator == FIRST_SPY);
        outcomes
    }

    fn add(&self, sums: &mut Vec<f64>, weights: impl Iterator<Item = (usize, f64)>) {
        sums.resize(self.ranks.len(), 0.0);
        weights.for_each(|(node, weight)| sums[node] += weight);
    }
}

/// What these colluders saw of a session from honest nodes, in order of time.
fn known_to(sights: &[Sight], honest: &[bool]) -> Vec<Sight> {
    let known = |sight: &&Sight| !honest[sight.spy as usize] && honest[sight.from as usize];
    let mut sights: Vec<Sight> = sights.iter().filter(known).copied().collect();
    sights.sort_by_key(|sight| (sight.at, sight.spy, sight.what != What::Hidden));
    sights
}

impl FirstSpy {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("attacks first-spy", self, seed);
        let sizes = if self.small { Self { nodes: 120, authors: 40, sessions: 4, small: true } } else { self.clone() };
        let (mut outcomes, mut healthy) = (Vec::new(), true);
        let cases = Case::ALL.into_iter().filter(|case| !self.small || SMALL.contains(case));
        for case in cases {
            let mut scene = Scene::new(&sizes, case, seed);
            for author in scene.authors.clone() {
                scene.author(case, author, sizes.sessions);
            }
            scene.net.finish();
            healthy &= scene.net.checks.failures().1 == 0;
            for (place, colluders) in COLLUDERS.into_iter().enumerate() {
                if !matches!(case, Case::Dropped(other) if other != place) {
                    outcomes.extend(scene.judge(case, colluders, sizes.sessions));
                }
            }
        }
        record.tables.push(table(&outcomes));
        verdict(&mut record, &outcomes, sizes.sessions);
        record.check("the networks' own checks", healthy, "of every case");
        record
    }
}

fn table(outcomes: &[Outcome]) -> Table {
    let columns = ["what", "colluders", "estimator", "messages", "seen", "precision", "low", "high", "recall", "set"];
    let mut table = Table::new("who said it (Wilson's intervals; set: 2^bits or 1/precision)", &columns);
    for outcome in outcomes {
        let precision = outcome.precision();
        table.row([
            outcome.case.name().into(),
            format!("{} %", outcome.colluders).into(),
            outcome.estimator.into(),
            outcome.sessions.into(),
            (outcome.seen as f64 / outcome.authors as f64).into(),
            precision.mean.into(),
            precision.low.into(),
            precision.high.into(),
            outcome.recall().mean.into(),
            outcome.set().into(),
        ]);
    }
    table
}

fn verdict(record: &mut Record, outcomes: &[Outcome], sessions: usize) {
    let of = |case, colluders, estimator, sessions| {
        let wanted = (case, colluders, estimator, sessions);
        let is = |outcome: &&Outcome| (outcome.case, outcome.colluders, outcome.estimator, outcome.sessions) == wanted;
        outcomes.iter().find(is).map_or(share(0, 0), Outcome::precision)
    };
    for colluders in COLLUDERS {
        // No protocol does better than that the first of all to hear of it tells, so that one in p authors is known (Fanti and others 2018). Besides these, one
        // may guess among the eight neighbours of where it began to spread.
        let p = colluders as f64 / 100.0;
        let bound = p + (1.0 - p) / 8.0;
        let estimators =
            [(FIRST_SPY, 1), (LIKELIHOOD, 1), (FIRST_SPY, sessions), (VOTES, sessions), (LIKELIHOOD, sessions)];
        for (estimator, messages) in estimators {
            let path = of(Case::Flood, colluders, estimator, messages);
            record.check(
                &format!(
                    "flood, {colluders} %, {estimator}, messages: {messages}: right about no more often than {bound:.3}"
                ),
                path.low <= bound,
                format!("{:.3} [{:.3}, {:.3}] (Wilson)", path.mean, path.low, path.high),
            );
        }
        let [path, everywhere] = [Case::Flood, Case::Everywhere].map(|case| of(case, colluders, LIKELIHOOD, 1));
        record.check(
            &format!("flood, {colluders} %: a path tells less than a start everywhere"),
            path.high < everywhere.low,
            format!(
                "{:.3} [to {:.3}] against {:.3} [from {:.3}]",
                path.mean, path.high, everywhere.mean, everywhere.low
            ),
        );
    }
}
