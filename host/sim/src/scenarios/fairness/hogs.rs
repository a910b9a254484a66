//! A bystander beside hogs.
//!
//! ```text
//!   bystander ── o ── o ──┐
//!        honest users ────R ══ S ── owners of all addresses      ══: the link that is too narrow
//!            hog's nodes ─┘
//! ```
//! The bystander is three links away from R, where ways meet, and comes in by another neighbour than the hog.

use std::{rc::Rc, time::Duration};

use mute_core::scheduler::Standing;

use super::{
    Fairness,
    flows::{Asker, Users},
    queues,
};
use crate::{Cell, Config, LinkParams, Network, NodeId, Record, Table, Topology, traffic::Source};

/// The narrow link, in bytes a second.
const RATE: u64 = 250_000;

/// What a bystander keeps of its fair share.
const BOUND: f64 = 0.8;

/// The flows of a hog.
const MANY: u32 = 100;

/// The nodes that a hog makes.
const MINTED: u32 = 4;

/// Who else uses the narrow link.
const HONEST: [u32; 3] = [0, 1, 3];

const R: NodeId = 0;
const S: NodeId = 1;
const OWNERS: NodeId = 2;
/// The bystander, and the two nodes between it and R.
const BYSTANDER: NodeId = 5;
/// The first of the honest users, and then of the hog's nodes.
const FIRST: NodeId = 6;

/// How somebody takes more than others.
#[derive(Clone, Copy, PartialEq)]
struct Hog {
    name: &'static str,
    /// Nodes, identities at each, flows in all.
    nodes: u32,
    identities: u32,
    flows: u32,
    /// It sends four times what the link takes, whatever comes of it.
    deaf: bool,
    /// The bystander and the honest users are strangers too.
    all_strangers: bool,
}

const PLAIN: Hog = Hog { name: "", nodes: 1, identities: 1, flows: MANY, deaf: false, all_strangers: false };

const HOGS: [Hog; 5] = [
    Hog { name: "100 transfers", ..PLAIN },
    Hog { name: "100 transfers, deaf to congestion", deaf: true, ..PLAIN },
    Hog { name: "100 addresses", identities: MANY, ..PLAIN },
    Hog { name: "4 minted nodes", nodes: MINTED, ..PLAIN },
    Hog { name: "4 minted nodes, all are strangers", nodes: MINTED, all_strangers: true, ..PLAIN },
];

pub(super) fn run(fairness: &Fairness, seed: u64, record: &mut Record) {
    let columns = ["hog", "honest users beside", "queue", "fair share, B/s", "kept", "the hog's, of its own"];
    let mut table = Table::new("a bystander three hops away", &columns);
    for hog in HOGS {
        for honest in HONEST {
            for (name, queue) in queues() {
                let config = Config { queue, ..Config::new(seed) };
                let (kept, fair, hogs) = measure(fairness, config, hog, honest, seed);
                let others: Cell = f64::from(honest).into();
                table.row([hog.name.into(), others, name.into(), fair.into(), kept.into(), hogs.into()]);
                let what = format!("{}, {honest} beside", hog.name);
                match name {
                    _ if hog.all_strangers => record.figure(&format!("kept, {what}, {name}"), "", kept),
                    "fair" => record.at_least(&format!("kept, {what}"), "", kept, BOUND),
                    _ => record.check(&format!("the control is red: {what}"), kept < BOUND, format!("{kept}")),
                }
            }
        }
    }
    record.tables.push(table);
}

/// What the bystander keeps of its fair share, that share, and what the hog gets of its own.
fn measure(fairness: &Fairness, config: Config, hog: Hog, honest: u32, seed: u64) -> (f64, f64, f64) {
    let users = FIRST..FIRST + honest;
    let hogs = users.end..users.end + hog.nodes;
    let nodes = hogs.end as usize;
    let edges = [(R, S), (S, OWNERS), (3, R), (4, 3), (BYSTANDER, 4)];
    let edges = edges.into_iter().chain(users.clone().chain(hogs.clone()).map(|node| (node, R)));
    let fast = LinkParams { rate: 10 * RATE, ..LinkParams::default() };
    let minted = if hog.nodes > 1 { hogs.clone() } else { 0..0 };
    let standing = move |_: NodeId, other: NodeId| Standing {
        stranger: hog.all_strangers || minted.contains(&other),
        ..Standing::default()
    };
    let config = Config { link: fast, standing: Some(Rc::new(standing)), ..config };
    let mut net = Network::new(config, &Topology::joined(nodes, edges));
    net.set_link(0, LinkParams { rate: RATE, ..fast });
    let source = match hog.deaf {
        true => Source::Constant { rate: 4 * RATE / u64::from(hog.flows) },
        false => Source::Window(Default::default()),
    };
    let greedy = Asker { nodes: hogs.collect(), to: OWNERS, identities: hog.identities, flows: hog.flows, source };
    let mut askers = vec![Asker::honest(BYSTANDER, OWNERS), greedy];
    askers.extend(users.map(|user| Asker::honest(user, OWNERS)));
    let mut users = Users::new(&mut net, &askers, seed);
    let goodput = users.measure(&mut net, Duration::from_secs(30), Duration::from_secs(fairness.window));
    let fair = users.fair_shares(&net);
    assert_eq!(users.hops_before_meeting(0, 1), Some(3), "the bystander comes from three links away");
    (goodput[0] / fair[0], fair[0], goodput[1] / fair[1])
}
