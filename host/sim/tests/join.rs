//! Nodes join by the neighbour policy, with and without an adversary.

use std::time::Duration;

use mute_sim::{
    Record,
    join::{JoinConfig, Strategy, topology},
    scenarios::join::{Join, Variant},
};

/// Small and short.
fn small() -> Join {
    Join {
        nodes: 200,
        adversary: 0.15,
        prefixes: 16,
        providers: 16,
        strategy: Strategy::Stay,
        friends: 0,
        known: 3,
        reachable: 1.0,
        hours: 1,
        stay: 0.0,
        away: 0.0,
        rules: Variant::All,
    }
}

fn figure(record: &Record, name: &str) -> f64 {
    record.figures.iter().find(|figure| figure.name == name).map_or(f64::NAN, |figure| figure.value)
}

#[test]
fn who_joins_finds_as_many_neighbours_as_it_should() {
    let record = Join { adversary: 0.0, ..small() }.run(1);
    assert!(record.passed(), "{:?}", record.checks);
    assert!(figure(&record, "first start to the fourth link, median") < 60.0, "{record:?}");
    assert_eq!(record.render(), Join { adversary: 0.0, ..small() }.run(1).render());
}

#[test]
fn rules_bound_what_an_adversary_gets() {
    let share = |rules, prefixes| {
        let join = Join { stay: 42.4, away: 42.4, prefixes, providers: prefixes, rules, ..small() };
        figure(&join.run(1), "adversary's share of neighbours")
    };
    let [all, none] = [Variant::All, Variant::None].map(|rules| share(rules, 16));
    assert!(all < 0.5 * none, "{all} with all rules, {none} with none");
    let [all, no_prefix_limit] = [Variant::All, Variant::NoPrefixLimit].map(|rules| share(rules, 2));
    assert!(all < 0.5 * no_prefix_limit, "{all} with all rules, {no_prefix_limit} without limits for prefixes");
}

#[test]
fn friends_keep_a_node_from_being_alone_with_an_adversary() {
    let alone = |friends| {
        let join = Join { friends, prefixes: 200, providers: 200, adversary: 0.5, ..small() };
        figure(&join.run(1), "time with fewer than 2 honest")
    };
    let [strangers, friends] = [alone(0), alone(4)];
    assert!(strangers > 0.01, "{strangers}");
    assert!(friends < strangers / 10.0, "{friends} with friends, {strangers} without");
}

#[test]
fn the_topology_of_those_that_joined_is_one_network() {
    let topology = topology(100, 1);
    assert_eq!(topology.nodes, 100);
    let links = 2.0 * topology.edges.len() as f64 / 100.0;
    assert!((7.0..=9.0).contains(&links), "{links}");
    let (measured, _) = JoinConfig::new(100).run(Duration::from_secs(600), Duration::from_secs(60), 1);
    assert_eq!(measured.connected, 1.0);
}
