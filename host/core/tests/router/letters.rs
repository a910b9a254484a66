//! Floods that are heard, and letters that answer them.

use std::time::Duration;

use bytes::Bytes;
use mute_core::{
    Address, Event, IdentityKey, Input, Profile, Topic, limits,
    wire::{LENGTH_PREFIX, MAX_FLOOD_BODY, SIGNED_OVERHEAD},
};

use crate::network::{Network, PORT, Setting, address};

const SECOND: Duration = Duration::from_secs(1);

fn heard(network: &Network) -> Vec<(usize, Address, Bytes)> {
    network
        .happened
        .iter()
        .filter_map(|happened| match &happened.event {
            Event::Heard { from, body, .. } => Some((happened.node, *from, body.clone())),
            _ => None,
        })
        .collect()
}

fn letters(network: &Network, node: usize) -> Vec<(Address, Option<IdentityKey>, Bytes)> {
    network
        .happened
        .iter()
        .filter(|happened| happened.node == node)
        .filter_map(|happened| match &happened.event {
            Event::Letter { from, key, sealed, .. } => Some((*from, key.clone(), sealed.clone())),
            _ => None,
        })
        .collect()
}

fn listening(mut network: Network, topic: Topic, nodes: &[usize]) -> Network {
    for node in nodes {
        network.input(*node, Input::Subscribe { port: PORT, topic });
    }
    network
}

fn ask(network: &mut Network, node: usize, topic: Topic, question: &'static str) {
    network.input(node, Input::Broadcast { port: PORT, topic, body: Bytes::from(question) });
}

#[test]
fn a_flood_reaches_whoever_listens_once_and_nobody_else() {
    let topic = Topic::of("search");
    let mut network = listening(Network::grid(4, 4, 1), topic, &[0, 5, 15]);
    ask(&mut network, 0, topic, "what?");
    network.run(SECOND);
    let mut nodes: Vec<usize> = heard(&network).iter().map(|(node, _, _)| *node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, vec![5, 15], "not the one who asked");
    network.input(5, Input::Unsubscribe { port: PORT, topic });
    ask(&mut network, 0, topic, "what?");
    network.run(SECOND);
    assert_eq!(heard(&network).len(), 3);
    let froms: Vec<Address> = heard(&network).iter().map(|(_, from, _)| *from).collect();
    assert_ne!(froms[0], froms[2], "a key for each flood");
    assert!(froms.iter().all(|from| *from != address(0)), "never the identity's own");
}

#[test]
fn a_flood_ends_after_its_hops() {
    let topic = Topic::of("search");
    let everybody: Vec<usize> = (0..40).collect();
    let mut furthest = Vec::new();
    for seed in 0..20 {
        // Coins hang on secrets, not on seeds.
        let setting = Setting { world: u32::from(seed), ..Setting::of(Profile::Fast) };
        let mut network = listening(Network::line_within(setting, 40, seed), topic, &everybody);
        ask(&mut network, 0, topic, "how far?");
        network.run(SECOND);
        furthest.push(heard(&network).iter().map(|(node, _, _)| *node).max().expect("somebody heard it"));
    }
    assert!(furthest.iter().all(|hops| *hops >= 7), "{furthest:?}");
    assert!(furthest.iter().any(|hops| *hops != furthest[0]), "nobody can count back: {furthest:?}");
    let mean = furthest.iter().sum::<usize>() as f64 / furthest.len() as f64;
    assert!((7.0..12.0).contains(&mean), "{mean}");
}

#[test]
fn a_letter_answers_a_flood_along_its_scent_and_brings_the_key_that_opens_it() {
    let topic = Topic::of("search");
    let mut network = listening(Network::line(5, 1), topic, &[4]);
    ask(&mut network, 0, topic, "what?");
    network.run(SECOND);
    let from = heard(&network)[0].1;
    network.input(4, Input::Letter { port: PORT, to: from, sealed: Bytes::from_static(b"this") });
    network.run(SECOND);
    let (writer, key, sealed) = letters(&network, 0).pop().expect("the letter arrives");
    assert_eq!(sealed, "this");
    assert_eq!(key.map(|key| key.address()), Some(from), "sealed to the flood's key");
    // And the letter can be answered in turn.
    network.input(0, Input::Letter { port: PORT, to: writer, sealed: Bytes::from_static(b"thanks") });
    network.run(SECOND);
    assert_eq!(letters(&network, 4).pop().map(|(_, _, sealed)| sealed), Some(Bytes::from_static(b"thanks")));
    // Ten minutes later nobody knows the key any more.
    network.run(Duration::from_secs(601));
    network.input(4, Input::Letter { port: PORT, to: from, sealed: Bytes::from_static(b"late") });
    network.run(SECOND);
    assert_eq!(letters(&network, 0).len(), 1);
    assert_eq!(network.counters(4).drops.no_scent, 1);
}

#[test]
fn a_letter_to_an_address_follows_the_scent_of_its_trails() {
    let mut network = Network::line(5, 1);
    network.input(0, Input::Letter { port: PORT, to: address(4), sealed: Bytes::from_static(b"lost") });
    assert_eq!(network.counters(0).drops.no_scent, 1, "nobody smells of it yet");
    network.connect(0, 4);
    network.run(SECOND);
    network.input(0, Input::Letter { port: PORT, to: address(4), sealed: Bytes::from_static(b"found") });
    network.run(SECOND);
    let (_, key, sealed) = letters(&network, 4).pop().expect("the letter arrives");
    assert_eq!(sealed, "found");
    assert!(key.is_none(), "sealed to the identity's own key");
    assert_eq!(letters(&network, 4).len(), 1);
}

#[test]
fn a_port_cannot_flood_more_than_its_budget_or_say_more_than_fits() {
    let topic = Topic::of("search");
    let mut network = listening(Network::line(2, 1), topic, &[1]);
    for _ in 0..2000 {
        network.input(0, Input::Broadcast { port: PORT, topic, body: vec![1; 1000].into() });
    }
    network.run(SECOND);
    let arrived = heard(&network).len();
    let length = LENGTH_PREFIX + 2 + SIGNED_OVERHEAD + 16 + 1000;
    assert_eq!(arrived as u64, limits::FLOOD_BURST_BYTES / length as u64);
    assert_eq!(network.counters(0).drops.budget as usize, 2000 - arrived);
    network.input(0, Input::Broadcast { port: PORT, topic, body: vec![1; MAX_FLOOD_BODY + 1].into() });
    assert_eq!(network.counters(0).drops.invalid, 1);
}
