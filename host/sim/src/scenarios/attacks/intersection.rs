//! `attacks intersection`: whoever asks for an address now and then sees when it answers, and colluders see when their neighbours are there. An
//! address lives at a node that is there whenever it answers: how fast does that leave one node only?
//!
//! Nodes come and go as measured in Gnutella (Weibull sessions of shape 0.38 and mean 42.4 minutes, absences as long); one honest node in five never
//! leaves. Colluders never leave either. One of them connects to every address every five minutes, through the real routers, and lets go. The others'
//! presence is known to
//! - *one neighbour*: a colluder who happens to be the owner's neighbour, of its own neighbours,
//! - *5 %* and *15 %* of the nodes, of all their neighbours,
//! - *everywhere*: an observer who sees all nodes come and go (an operator of networks, or somebody who crawled them).
//!
//! Each has a posterior over all honest nodes, by Bayes' rule: a node whose presence is known explains each answer and each silence or does not; one
//! whose presence is not explains them as well as any other's coming and going would (a Markov chain that learns while it looks).

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use mute_core::{Address, ConnectionId, Event, PortId, Role};
use serde::Serialize;

use crate::{
    App, Config, Network, NodeId, Random, Record, Table, Timer, Topology,
    churn::{Churn, ChurnParams},
    stats::{Estimate, bootstrap, quantile, share, sorted},
};

/// The arguments of `attacks intersection`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Intersection {
    /// Nodes, in a random graph of eight neighbours each.
    #[arg(long, default_value_t = 200)]
    pub nodes: usize,
    /// For how long the addresses are watched: as long as they are the same.
    #[arg(long, default_value_t = 16)]
    pub hours: u64,
    /// A small run, for a test.
    #[arg(long)]
    pub small: bool,
}

/// From one question for an address to the next.
const ROUND: Duration = Duration::from_secs(300);

/// How long an answer is waited for: two tries of a Seek.
const PATIENCE: Duration = Duration::from_secs(10);

/// Addresses: as many as fit into a round one after the other. Half of them live at nodes that come and go, half at nodes that stay.
const ADDRESSES: usize = 30;

/// The share of honest nodes that never leave.
const STAY: f64 = 0.2;

/// The largest share of colluders, and the smaller one, whose nodes are among them.
const COLLUDERS: [f64; 2] = [0.15, 0.05];

/// What colluders think how often an address is silent whose node is there, and answers though its node seems to be gone.
const SILENT: f64 = 0.03;
const GHOST: f64 = 0.002;

/// A node is named when it is as likely as this.
const SURE: f64 = 0.95;

/// Who observes.
const OBSERVERS: [&str; 4] = ["one neighbour", "5 %", "15 %", "everywhere"];

/// An address that is asked for.
struct Asked {
    owner: NodeId,
    address: Address,
    stays: bool,
    /// Who sees when which nodes are there, by observer: nodes that are never seen are none.
    seen: Vec<Vec<NodeId>>,
    /// For each round: whether it answered, whether its owner ran, and which nodes seemed to be there.
    rounds: Vec<(bool, bool, Vec<bool>)>,
    /// The owner's sessions up to each round.
    sessions: Vec<u32>,
}

/// The network's life: churn, and whether the address that is asked for answers.
struct Life {
    churn: Option<Churn>,
    owned: BTreeMap<NodeId, u32>,
    sessions: Vec<u32>,
    waits: Option<ConnectionId>,
    answered: bool,
}

impl App for Life {
    fn event(&mut self, _: &mut Network, _: NodeId, _: PortId, event: Event) {
        if let Event::TrailOpened { role: Role::Seeker { connection }, .. } = event {
            self.answered |= self.waits == Some(connection);
        }
    }

    fn timer(&mut self, net: &mut Network, timer: Timer) {
        if let Some(churn) = &mut self.churn {
            churn.timer(net, timer);
        }
    }

    fn started(&mut self, net: &mut Network, node: NodeId) {
        self.sessions[node as usize] += 1;
        if let Some(number) = self.owned.get(&node) {
            net.open(node, *number);
        }
    }
}

impl Intersection {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("attacks intersection", self, seed);
        let small = Self { nodes: 100, hours: 6, small: true };
        let sizes = if self.small { small } else { self.clone() };
        let (asked, healthy, honest) = sizes.watch(seed);
        judge(&mut record, &asked, &honest, sizes.hours, seed);
        record.check("the network's own checks", healthy, "of the whole time");
        record
    }

    /// Hours of life. What was seen, whether the network's own checks held, and which nodes are honest.
    fn watch(&self, seed: u64) -> (Vec<Asked>, bool, Vec<bool>) {
        let topology = Topology::random_regular(self.nodes, 8, seed);
        let neighbours = topology.neighbours();
        let mut order: Vec<NodeId> = (0..self.nodes as NodeId).collect();
        Random::new(seed, "who is who").shuffle(&mut order);
        let [many, few] = COLLUDERS.map(|share| ((self.nodes as f64 * share) as usize).max(1));
        let (colluders, good) = order.split_at(many);
        let (stayers, churners) = good.split_at((good.len() as f64 * STAY) as usize);
        let honest: Vec<bool> = (0..self.nodes as NodeId).map(|node| good.contains(&node)).collect();
        let mut net = Network::new(Config { check_every: Duration::from_secs(600), ..Config::new(seed) }, &topology);
        let half = ADDRESSES / 2;
        let owners = churners.iter().map(|node| (*node, false)).take(half);
        let mut asked: Vec<Asked> = owners
            .chain(stayers.iter().map(|node| (*node, true)).take(half))
            .map(|(owner, stays)| {
                let near = |node: &NodeId| neighbours[owner as usize].contains(node);
                let around = |nodes: &[NodeId]| {
                    let all = nodes.iter().flat_map(|node| neighbours[*node as usize].iter().copied());
                    let mut all: Vec<NodeId> = all.filter(|node| honest[*node as usize]).collect();
                    all.sort_unstable();
                    all.dedup();
                    all
                };
                let one: Vec<NodeId> = colluders.iter().copied().filter(near).take(1).collect();
                let seen = vec![around(&one), around(&colluders[..few]), around(colluders), good.to_vec()];
                let address = net.address(owner, 1);
                Asked { owner, address, stays, seen, rounds: Vec::new(), sessions: Vec::new() }
            })
            .collect();
        let mut life = Life {
            churn: None,
            owned: asked.iter().map(|asked| (asked.owner, 1)).collect(),
            sessions: vec![0; self.nodes],
            waits: None,
            answered: false,
        };
        life.churn = Some(Churn::start(&mut net, ChurnParams::default(), seed, churners.iter().copied()));
        let (asker, port) = (colluders[0], net.open(colluders[0], 2).0);
        // Half are there only after a while.
        net.run(&mut life, Duration::from_secs(7200));
        for _ in 0..self.hours * 3600 / ROUND.as_secs() {
            for asked in &mut asked {
                ask(&mut net, &mut life, asked, asker, port);
            }
        }
        net.finish();
        let healthy = net.checks.failures().1 == 0;
        (asked, healthy, honest)
    }
}

/// One connects to the address and lets go, and all colluders look who is there.
fn ask(net: &mut Network, life: &mut Life, asked: &mut Asked, asker: NodeId, port: PortId) {
    let runs = net.runs(asked.owner);
    let there = (0..net.len() as NodeId).map(|node| net.runs(node)).collect();
    let connection = net.connect(asker, port, asked.address);
    (life.waits, life.answered) = (Some(connection), false);
    let until = net.clock() + PATIENCE;
    net.run(life, until);
    net.disconnect(asker, connection);
    // An owner that came or went meanwhile says nothing about whether addresses answer.
    let steady = runs == net.runs(asked.owner);
    asked.rounds.push((life.answered, runs && steady, there));
    asked.sessions.push(life.sessions[asked.owner as usize]);
}

/// The posterior of one observer after so many rounds, over all nodes.
fn posterior(asked: &Asked, observer: usize, honest: &[bool], rounds: usize) -> Vec<f64> {
    let mut logarithms = vec![0.0; honest.len()];
    // What a node explains whose presence is not known: answers follow answers, and silence silence, as often as they did.
    let (mut unknown, mut before) = (0.0, None);
    let mut follows = [[0.5; 2]; 2];
    let known = [[1.0 - GHOST, GHOST], [SILENT, 1.0 - SILENT]].map(|of: [f64; 2]| of.map(f64::ln));
    for (answered, _, there) in &asked.rounds[..rounds] {
        let answered = usize::from(*answered);
        unknown += match before {
            None => 0.5f64,
            Some(before) => {
                let counts: &mut [f64; 2] = &mut follows[before];
                let probability = counts[answered] / (counts[0] + counts[1]);
                counts[answered] += 1.0;
                probability
            }
        }
        .ln();
        before = Some(answered);
        for node in &asked.seen[observer] {
            logarithms[*node as usize] += known[usize::from(there[*node as usize])][answered];
        }
    }
    for (node, logarithm) in logarithms.iter_mut().enumerate() {
        if !honest[node] {
            *logarithm = f64::NEG_INFINITY;
        } else if asked.seen[observer].binary_search(&(node as NodeId)).is_err() && observer < OBSERVERS.len() - 1 {
            *logarithm = unknown;
        }
    }
    let most = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logarithms.iter().map(|logarithm| (logarithm - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// What one observer has of the addresses of one kind after some hours.
struct Found {
    stays: bool,
    observer: usize,
    hours: u64,
    set: Estimate,
    named: Estimate,
    wrong: u64,
    /// The median number of the owner's sessions until he was named, for good; NaN if fewer than half were.
    sessions: f64,
}

/// `last`: also after how many sessions, which takes a while.
fn found(asked: &[Asked], [stays, last]: [bool; 2], observer: usize, hours: u64, honest: &[bool], seed: u64) -> Found {
    let rounds = (hours * 3600 / ROUND.as_secs()) as usize;
    let (mut sets, mut named, mut wrong, mut until) = (Vec::new(), 0, 0, Vec::new());
    // One neighbour: only who has one among the colluders.
    let watched = |asked: &&Asked| asked.stays == stays && !asked.seen[observer].is_empty();
    for asked in asked.iter().filter(watched) {
        let weights = posterior(asked, observer, honest, rounds);
        let bits: f64 = weights.iter().filter(|weight| **weight > 0.0).map(|weight| -weight * weight.log2()).sum();
        sets.push(bits.exp2());
        let surest = weights.iter().position(|weight| *weight >= SURE);
        if surest == Some(asked.owner as usize) {
            named += 1;
            if !last {
                continue;
            }
            let sure = |round: &usize| posterior(asked, observer, honest, *round)[asked.owner as usize] >= SURE;
            let first = (1..=rounds).rev().take_while(sure).last().unwrap_or(rounds);
            until.push(f64::from(asked.sessions[first - 1] - asked.sessions[0] + 1));
        } else if surest.is_some() {
            wrong += 1;
        }
    }
    let named = share(named, sets.len() as u64);
    until.resize(sets.len(), f64::INFINITY);
    let sessions = if last { quantile(&sorted(until), 0.5) } else { f64::NAN };
    let set = bootstrap(&sets, seed, |sets| quantile(&sorted(sets.to_vec()), 0.5));
    Found { stays, observer, hours, set, named, wrong, sessions }
}

fn judge(record: &mut Record, asked: &[Asked], honest: &[bool], end: u64, seed: u64) {
    let looks: Vec<u64> = [1, 2, 4, 8, 16, 32].into_iter().filter(|look| *look < end).chain([end]).collect();
    let columns = [
        "owner",
        "observer",
        "hours",
        "set",
        "set from",
        "set to",
        "named",
        "named from",
        "named to",
        "wrongly",
        "sessions",
    ];
    let mut table = Table::new("who owns an address? (set: median of 2^bits, bootstrap; named: Wilson)", &columns);
    let mut last: BTreeMap<(bool, usize), Found> = BTreeMap::new();
    for stays in [false, true] {
        for (observer, name) in OBSERVERS.iter().enumerate() {
            let mut points = Vec::new();
            for hours in &looks {
                let found = found(asked, [stays, *hours == end], observer, *hours, honest, seed);
                table.row([
                    if stays { "stays" } else { "comes and goes" }.into(),
                    (*name).into(),
                    format!("{hours}").into(),
                    found.set.mean.into(),
                    found.set.low.into(),
                    found.set.high.into(),
                    found.named.mean.into(),
                    found.named.low.into(),
                    found.named.high.into(),
                    found.wrong.into(),
                    found.sessions.into(),
                ]);
                points.push([found.hours as f64, found.set.mean]);
                last.insert((found.stays, found.observer), found);
            }
            let curve = format!("{}, {name}", if stays { "stays" } else { "comes and goes" });
            record.series("intersection: nodes that an owner hides among", &curve, ["hours", "nodes"], points);
        }
    }
    record.tables.push(table);
    let rounds = || asked.iter().flat_map(|asked| &asked.rounds);
    let up = rounds().filter(|(_, runs, _)| *runs).count() as u64;
    let heard = rounds().filter(|(answered, runs, _)| *runs && *answered).count() as u64;
    record.at_least("addresses that answer while their node is there", "", heard as f64 / up as f64, 0.97);
    let stayers = asked.iter().filter(|asked| asked.stays).count();
    let of = |stays, observer| {
        last.get(&(stays, observer)).map_or((f64::NAN, f64::NAN), |found| (found.set.mean, found.named.mean))
    };
    record.figure("addresses at nodes that stay", "", stayers as f64);
    record.at_least("control: named who come and go, by who sees all", "", of(false, 3).1, 0.9);
    record.at_most("named who stay, by who sees all", "", of(true, 3).1, 0.0);
    record.at_least(
        "nodes among which who stays hides from who sees all",
        "",
        of(true, 3).0,
        honest.iter().filter(|honest| **honest).count() as f64 * STAY / 2.0,
    );
    record.at_most("named who stay, by one neighbour", "", of(true, 0).1, 0.0);
}
