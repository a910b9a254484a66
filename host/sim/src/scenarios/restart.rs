//! `restart`: what it costs a node that it must not believe what it may have heard before its restart. Others ask in floods which all answer:
//! how many of its answers arrive, and of those that it passes on, so many seconds after?

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use clap::Args;
use mute_core::{Address, ConnectionId, Event, PortId, Role, Topic};
use serde::Serialize;

use crate::{
    App, Config, Network, NodeId, Random, Record, Table, Topology,
    stats::{quantile, share, sorted},
};

/// The arguments of `restart`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Restart {
    /// Nodes.
    #[arg(long, default_value_t = 60)]
    pub nodes: usize,
    /// Restarts in each case, each of another node at a random second of a minute.
    #[arg(long, default_value_t = 30)]
    pub restarts: u32,
}

/// How a node comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// Nothing is restarted.
    Never,
    /// At once, and it is taken for a first start: what there would be without the rule.
    Forgetful,
    /// At once.
    Quick,
    /// It was away for 130 s.
    Slow,
}

const CASES: [Case; 4] = [Case::Never, Case::Forgetful, Case::Quick, Case::Slow];

/// When somebody asks, in seconds after the start.
const ASKED: [u64; 6] = [2, 25, 50, 75, 100, 125];

/// Answers and trails come within this time, or are lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the nodes do: answer.
#[derive(Default)]
struct Town {
    ports: BTreeMap<NodeId, (PortId, Address)>,
    /// Who answered what asker's question.
    answers: Vec<NodeId>,
    asker: NodeId,
    /// When a trail was there.
    opened: Option<(ConnectionId, Duration)>,
}

impl App for Town {
    fn event(&mut self, net: &mut Network, node: NodeId, port: PortId, event: Event) {
        match event {
            Event::Heard { from, .. } => net.letter(node, port, from, node.to_be_bytes().to_vec()),
            Event::Letter { sealed, .. } if node == self.asker => {
                self.answers.extend(sealed.first_chunk().map(|from| NodeId::from_be_bytes(*from)));
            }
            Event::TrailOpened { role: Role::Seeker { connection }, .. } => {
                self.opened.get_or_insert((connection, net.clock()));
            }
            _ => {}
        }
    }

    fn started(&mut self, net: &mut Network, node: NodeId) {
        let opened = net.open(node, 0);
        net.subscribe(node, opened.0, Topic::of("town"));
        self.ports.insert(node, opened);
    }
}

impl Town {
    fn rest(&mut self, net: &mut Network, time: Duration) {
        let until = net.clock() + time;
        net.run(self, until);
    }
}

/// What became of the questions that were asked at one time.
#[derive(Clone, Default)]
struct Asked {
    own: u64,
    others: u64,
    /// Milliseconds until somebody's connection to the node was there.
    connects: Vec<f64>,
    questions: u64,
}

impl Restart {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("restart", self, seed);
        let columns = [
            "case",
            "seconds after",
            "own answers",
            "low",
            "high",
            "others' answers",
            "low",
            "high",
            "connect p95, ms",
        ];
        let mut table = Table::new("answers that arrive after a restart", &columns);
        let mut connected = [0.0; CASES.len()];
        for case in CASES {
            let asked = self.play(case, seed, &mut record);
            for (after, Asked { own, others, connects, questions }) in ASKED.iter().zip(asked) {
                let others_sent = questions * (self.nodes as u64 - 2);
                let [own, others] = [share(own, questions), share(others, others_sent)];
                table.row([
                    format!("{case:?}").into(),
                    (*after).into(),
                    own.mean.into(),
                    own.low.into(),
                    own.high.into(),
                    others.mean.into(),
                    others.low.into(),
                    others.high.into(),
                    quantile(&sorted(connects.clone()), 0.95).into(),
                ]);
                for (whose, arrived) in [("own", own.mean), ("others'", others.mean)] {
                    let name = format!("{case:?}: {whose} answers after {after} s");
                    if *after == 125 || case != Case::Quick {
                        record.at_least(&name, "", arrived, 0.95);
                    } else {
                        record.figure(&name, "", arrived);
                    }
                }
                let name = format!("{case:?}: connections to it after {after} s");
                record.figure(&name, "", connects.len() as f64);
                connected[case as usize] += connects.len() as f64;
            }
        }
        record.tables.push(table);
        // What the rule costs: a new node is found no sooner.
        let [quick, forgetful] = [Case::Quick, Case::Forgetful].map(|case| connected[case as usize]);
        record.at_least("connections after a quick restart, of those without the rule", "", quick / forgetful, 0.95);
        record
    }

    fn play(&self, case: Case, seed: u64, record: &mut Record) -> Vec<Asked> {
        let mut config = Config::new(seed);
        if case == Case::Forgetful {
            config.router = Some(Rc::new(|_, config| config.heard_until = None));
        }
        let mut net = Network::new(config, &Topology::random_regular(self.nodes, 8, seed));
        let (mut town, mut random) = (Town::default(), Random::new(seed, "restart"));
        let mut asked = vec![Asked::default(); ASKED.len()];
        for number in 0..self.restarts {
            let node = number % self.nodes as NodeId;
            town.rest(&mut net, Duration::from_secs(60 + random.below(60) as u64));
            if case != Case::Never {
                net.stop(node);
                town.rest(&mut net, Duration::from_secs(if case == Case::Slow { 130 } else { 1 }));
                net.start(node);
            }
            let start = net.clock();
            for (after, asked) in ASKED.iter().zip(&mut asked) {
                net.run(&mut town, start + Duration::from_secs(*after));
                let asker = (node + 1 + random.below(self.nodes - 1) as NodeId) % self.nodes as NodeId;
                town.ask(&mut net, node, asker, asked);
            }
        }
        net.finish();
        let (failures, failed) = net.checks.failures();
        record.check(&format!("{case:?}: the network's own checks"), failed == 0, failures.join("; "));
        asked
    }
}

impl Town {
    /// Somebody asks all, and connects to the node that was restarted.
    fn ask(&mut self, net: &mut Network, node: NodeId, asker: NodeId, asked: &mut Asked) {
        let (Some((port, _)), Some((_, target))) = (self.ports.get(&asker).copied(), self.ports.get(&node).copied())
        else {
            return;
        };
        (self.asker, self.opened) = (asker, None);
        self.answers.clear();
        let before = net.clock();
        net.broadcast(asker, port, Topic::of("town"), "who?");
        let connection = net.connect(asker, port, target);
        self.rest(net, PATIENCE);
        net.input(asker, mute_core::Input::Disconnect { connection });
        self.answers.sort_unstable();
        self.answers.dedup();
        asked.questions += 1;
        asked.own += u64::from(self.answers.contains(&node));
        asked.others += self.answers.iter().filter(|from| **from != node && **from != asker).count() as u64;
        if let Some((_, at)) = self.opened.filter(|(opened, _)| *opened == connection) {
            asked.connects.push((at - before).as_secs_f64() * 1000.0);
        }
    }
}
