//! Ten users with one flow each, by as many neighbours, over one link.

use std::time::Duration;

use super::{
    Fairness,
    flows::{Asker, Users},
    queues,
};
use crate::{Config, LinkParams, Network, NodeId, Random, Record, Table, Topology, stats::jain};

const USERS: usize = 10;

/// The shared link, in bytes a second.
const RATE: u64 = 250_000;

/// What is known as fair.
const BOUND: f64 = 0.95;

/// Users' distances: one is next door, another behind a satellite. In milliseconds.
const DELAYS: [u64; 2] = [2, 250];

pub(super) fn run(fairness: &Fairness, seed: u64, record: &mut Record) {
    let mut table = Table::new("ten equal flows over one link", &["queue", "Jain", "least / mean", "most / mean"]);
    for (name, queue) in queues() {
        let goodput = measure(fairness, Config { queue, ..Config::new(seed) }, seed);
        let index = jain(&goodput);
        let mean = goodput.iter().sum::<f64>() / goodput.len() as f64;
        let least = goodput.iter().copied().fold(f64::INFINITY, f64::min);
        let most = goodput.iter().copied().fold(0.0, f64::max);
        table.row([name.into(), index.into(), (least / mean).into(), (most / mean).into()]);
        if name == "fair" {
            record.at_least("ten equal flows: Jain", "", index, BOUND);
        } else {
            record.figure("ten equal flows, FIFO: Jain", "", index);
            record.check("the control is red: Jain", index < BOUND, format!("{index}"));
        }
    }
    record.tables.push(table);
}

/// Users 3 to 12 by node 0 over a link to node 1 and on to node 2.
fn measure(fairness: &Fairness, config: Config, seed: u64) -> Vec<f64> {
    let users = 3..3 + USERS as NodeId;
    let mut random = Random::new(seed, "distances");
    let edges = [(0, 1), (1, 2)].into_iter().chain(users.clone().map(|user| (user, 0)));
    let fast = LinkParams { rate: 10 * RATE, ..LinkParams::default() };
    let mut net = Network::new(Config { link: fast, ..config }, &Topology::joined(3 + USERS, edges));
    net.set_link(0, LinkParams { rate: RATE, ..fast });
    let [near, far] = DELAYS;
    for place in 0..USERS as u64 {
        let even = near + (far - near) * place / (USERS as u64 - 1);
        let delay = Duration::from_millis(even) + Duration::from_micros(random.below(1000) as u64);
        net.set_link(2 + place as usize, LinkParams { delay, ..fast });
    }
    let askers: Vec<Asker> = users.map(|user| Asker::honest(user, 2)).collect();
    let mut users = Users::new(&mut net, &askers, seed);
    users.measure(&mut net, Duration::from_secs(30), Duration::from_secs(fairness.window))
}
