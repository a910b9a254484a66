//! Trails over lines, rings and grids, and what happens when a relay is gone.

use std::time::Duration;

use mute_core::{Close, Event};

use crate::network::{NO_ROUTE_AFTER, Network};

const SECOND: Duration = Duration::from_secs(1);

fn failures(network: &Network, node: usize) -> Vec<(Duration, Close)> {
    network
        .happened
        .iter()
        .filter(|happened| happened.node == node)
        .filter_map(|happened| match happened.event {
            Event::ConnectFailed { why, .. } => Some((happened.at, why)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_line_carries_both_ways_and_its_relays_count() {
    let mut network = Network::line(5, 1);
    network.connect(0, 4);
    network.run(SECOND);
    network.talk(0, 4);
    let bytes = [0, 4].iter().flat_map(|node| network.received(*node)).map(|(_, body)| body.len() as u64).sum::<u64>();
    for relay in 1..4 {
        let counters = network.counters(relay);
        assert_eq!((counters.data.relayed, counters.data.delivered, counters.data.sent), (2, 0, 0));
        assert_eq!((counters.data_bytes.relayed, counters.trails.relayed), (bytes, 1));
        assert_eq!((counters.live.bindings, counters.live.trails), (1, 0));
    }
    let (seeker, owner) = (network.counters(0), network.counters(4));
    assert_eq!((seeker.data.sent, seeker.data.delivered, seeker.trails.delivered), (1, 1, 1));
    assert_eq!((owner.data.sent, owner.data.delivered, owner.trails.sent), (1, 1, 1));
}

#[test]
fn a_second_seek_follows_the_scent_and_floods_nobody() {
    let mut network = Network::grid(4, 4, 1);
    network.connect(0, 5);
    network.run(SECOND);
    let before: u64 = (0..16).map(|node| network.counters(node).seeks.relayed).sum();
    network.connect(0, 5);
    network.run(SECOND);
    assert_eq!(network.opened(0, false).len(), 2);
    let relayed: u64 = (0..16).map(|node| network.counters(node).seeks.relayed).sum::<u64>() - before;
    assert!(relayed <= 3, "a directed seek over two links was relayed {relayed} times");
    network.talk(0, 5);
}

#[test]
fn two_seekers_at_once_get_a_trail_each() {
    let mut network = Network::ring(6, 1);
    network.connect(1, 3);
    network.connect(5, 3);
    network.connect(3, 1);
    network.run(SECOND);
    assert_eq!((network.opened(3, true).len(), network.opened(3, false).len()), (2, 1));
    for (at, seeker) in [1, 5].into_iter().enumerate() {
        let (ours, theirs) = (network.last_trail(seeker, false), network.opened(3, true));
        network.send(seeker, ours, format!("from {seeker}"));
        network.run(SECOND);
        let (trail, body) = network.received(3).pop().expect("it arrives");
        assert!(theirs.contains(&trail));
        assert_eq!(body, format!("from {seeker}"));
        assert_eq!(network.received(3).len(), at + 1, "each once, on one trail");
    }
    network.talk(3, 1);
}

#[test]
fn a_ring_goes_round_the_other_way_when_a_relay_is_gone() {
    let mut network = Network::ring(6, 1);
    network.connect(0, 2);
    network.run(SECOND);
    network.talk(0, 2);
    // Whichever way the seek went first.
    let relay = if network.counters(1).live.bindings > 0 { 1 } else { 5 };
    network.kill(relay);
    network.run(Duration::from_secs(10));
    assert_eq!(network.opened(0, false).len(), 2, "one trail before, one after");
    network.talk(0, 2);
    assert!(failures(&network, 0).is_empty());
}

#[test]
fn a_grid_finds_another_way_whichever_relay_is_gone() {
    for seed in 0..4 {
        let mut network = Network::grid(4, 4, seed);
        network.connect(0, 15);
        network.run(SECOND);
        network.talk(0, 15);
        let on_path: Vec<usize> = (1..15).filter(|node| network.counters(*node).live.bindings > 0).collect();
        for relay in on_path {
            // The second kill may hit a node that is on the path no more: that must not harm either.
            if [1, 4, 11, 14].contains(&relay) {
                continue;
            }
            network.kill(relay);
            network.run(Duration::from_secs(20));
            network.talk(0, 15);
        }
        assert!(failures(&network, 0).is_empty());
    }
}

#[test]
fn a_line_without_its_relay_fails_after_the_time_set_and_not_before() {
    let mut network = Network::line(4, 1);
    let connection = network.connect(0, 3);
    network.run(SECOND);
    network.talk(0, 3);
    let broken = network.clock();
    network.kill(2);
    network.run(NO_ROUTE_AFTER + Duration::from_secs(30));
    let failures = failures(&network, 0);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].1, Close::NoRoute);
    let waited = failures[0].0 - broken;
    assert!(waited >= NO_ROUTE_AFTER && waited < NO_ROUTE_AFTER + SECOND, "{waited:?}");
    assert_eq!(network.counters(0).live.connections, 0);
    network.input(0, mute_core::Input::Disconnect { connection });
}

#[test]
fn nobody_answers_for_an_address_that_does_not_listen() {
    let mut network = Network::line(3, 1);
    network.input(2, mute_core::Input::Listen { port: crate::network::PORT, listening: false });
    network.connect(0, 2);
    network.run(NO_ROUTE_AFTER + SECOND);
    assert_eq!(failures(&network, 0).len(), 1);
    assert!(network.opened(2, true).is_empty());
}

#[test]
fn a_connection_sought_before_there_is_a_link_comes_up_with_it() {
    let mut network = Network::new(2, 1);
    network.connect(0, 1);
    network.run(SECOND);
    network.link(0, 1);
    network.run(Duration::from_secs(10));
    network.talk(0, 1);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut network = Network::grid(4, 4, seed);
        for (from, to) in [(0, 15), (3, 12), (5, 6)] {
            network.connect(from, to);
        }
        network.run(Duration::from_secs(100));
        network.kill(9);
        network.run(Duration::from_secs(500));
        network.trace()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
