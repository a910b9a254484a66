//! Addresses that want to be found, and Seeks that find them without asking everybody.

use std::{cell::Cell, rc::Rc, time::Duration};

use mute_core::{
    Event, Finding, Input, LinkId, Profile, limits,
    wire::{Frame, SeekMode, Way},
};

use crate::{
    lone::{Lone, OWN, key},
    network::{Network, PORT, Setting},
};

const SECOND: Duration = Duration::from_secs(1);
const NODES: usize = 100;

/// A ring with chords: four to six neighbours each, and few hops between any two.
fn network(finding: Finding, seed: u8) -> Network {
    let setting = Setting { finding, walkers_log2: 3, ..Setting::of(Profile::Fast) };
    let mut network = Network::within(setting, NODES, seed);
    for node in 0..NODES {
        network.link(node, (node + 1) % NODES);
        network.link(node, (node * 7 + 3) % NODES);
        network.link(node, (node * 3 + 31) % NODES);
    }
    network
}

#[test]
fn who_listens_walks_and_a_seek_that_walks_finds_him_without_a_flood() {
    let mut network = network(Finding::Walks, 1);
    network.run(5 * SECOND);
    let floods = Rc::new(Cell::new(0));
    let counting = floods.clone();
    network.passes = Box::new(move |_, _, frame| {
        let flood = matches!(frame, Frame::Seek { mode: SeekMode::Flood(_), .. });
        counting.set(counting.get() + u32::from(flood));
        true
    });
    for (seeker, owner) in [(0, 50), (13, 71), (77, 5)] {
        network.connect(seeker, owner);
        network.run(2 * SECOND);
        network.talk(seeker, owner);
    }
    assert_eq!(floods.get(), 0);
    let rows: u64 = (0..NODES).map(|node| network.counters(node).live.scent_rows).sum();
    assert!(rows < (NODES * NODES / 2) as u64, "{rows}: a walk does not reach everybody");
}

#[test]
fn an_address_walks_again_before_it_is_forgotten_and_no_more_when_it_listens_no_more() {
    let mut network = network(Finding::Floods, 1);
    network.run(SECOND);
    network.start_as(7, Setting { finding: Finding::Walks, ..Setting::of(Profile::Fast) });
    network.link(7, 8);
    network.run(5 * SECOND);
    let walks = |network: &Network| network.counters(7).walks.sent;
    let first = walks(&network);
    assert!(first >= 1, "{first}");
    network.run(limits::WALK_INTERVAL[1]);
    let second = walks(&network);
    assert!(second > first);
    network.input(7, Input::Listen { port: PORT, listening: false });
    network.run(2 * limits::WALK_INTERVAL[1]);
    assert_eq!(walks(&network), second);
}

#[test]
fn where_nobody_walks_the_third_try_floods() {
    let mut network = network(Finding::Floods, 1);
    network.run(5 * SECOND);
    assert!((0..NODES).all(|node| network.counters(node).walks.sent == 0));
    network.start_as(0, Setting { finding: Finding::Walks, ..Setting::of(Profile::Fast) });
    let modes = Rc::new(Cell::new([0u32; 2]));
    let counting = modes.clone();
    network.passes = Box::new(move |from, _, frame| {
        if let (0, Frame::Seek { mode, .. }) = (from, frame) {
            let mut modes = counting.get();
            modes[usize::from(matches!(mode, SeekMode::Flood(_)))] += 1;
            counting.set(modes);
        }
        true
    });
    // Its links are gone with the router that it was.
    for other in [1, 30, 70] {
        network.link(0, other);
    }
    network.connect(0, 50);
    network.run(30 * SECOND);
    network.talk(0, 50);
    let [walking, flooded] = modes.get();
    assert!(walking >= limits::WALKING_TRIES && flooded == 3, "{walking} walking, {flooded} flooded");
}

#[test]
fn a_walk_lays_scent_of_its_author_and_goes_on_as_one_or_as_many() {
    let mut lone = Lone::new(8);
    for stamp in 0..40 {
        let message = lone.walk(&key(1));
        let done = lone.frame(0, Frame::Walk { way: Way::Stem, message: message.clone() });
        let ways: Vec<Way> = done
            .sent
            .iter()
            .map(|(link, _, frame)| match frame {
                Frame::Walk { way, message: onward } if link.0 != 0 && *onward == message => *way,
                other => panic!("{other:?}"),
            })
            .collect();
        let roams = ways == [Way::Roam(limits::WALKERS_LOG2 - 2); 4];
        assert!(ways == [Way::Stem] || roams, "{ways:?} of walk {stamp}");
    }
    assert_eq!(lone.counters().live.scent_rows, 1);
    let letter = lone.letter(&key(3), key(1).address());
    assert_eq!(lone.frame(5, Frame::Letter { message: letter }).to(0).len(), 1);
}

#[test]
fn a_node_passes_a_walk_on_a_few_times_and_no_more() {
    let mut lone = Lone::new(8);
    let message = lone.walk(&key(1));
    let passed = (0..100)
        .filter(|n| {
            let frame = Frame::Walk { way: Way::Roam(2), message: message.clone() };
            !lone.frame(n % 8, frame).sent.is_empty()
        })
        .count();
    assert_eq!(passed, usize::from(limits::MAX_WALK_VISITS));
}

#[test]
fn a_walking_seek_is_directed_where_its_target_smells_and_answered_by_a_relay_as_by_an_owner() {
    let mut lone = Lone::new(8);
    let message = lone.walk(&key(2));
    lone.frame(3, Frame::Walk { way: Way::Roam(0), message });
    let seek = lone.seek(&key(1), key(2).address());
    let done = lone.frame(0, Frame::Seek { mode: SeekMode::Walk(Way::Roam(4)), message: seek });
    assert_eq!(done.sent.len(), 1);
    assert!(matches!(done.to(3)[0], Frame::Seek { mode: SeekMode::Directed, .. }));
    // Of its own identity no message came yet: it walks on, as where nobody knows it.
    let own = key(OWN).address();
    let seek = lone.seek(&key(1), own);
    let done = lone.frame(0, Frame::Seek { mode: SeekMode::Walk(Way::Roam(4)), message: seek });
    assert!(done.trail_label().is_none() && done.sent.len() == 4);
    let opened =
        |done: &crate::lone::Done| done.events.iter().any(|(_, event)| matches!(event, Event::TrailOpened { .. }));
    assert!(!opened(&done));
}

#[test]
fn where_scent_ends_a_directed_seek_walks_on_if_addresses_are_found_by_walks() {
    let onward = |finding| {
        let mut lone = Lone::configured(8, |config| config.finding = finding);
        let walk = lone.walk(&key(2));
        lone.frame(3, Frame::Walk { way: Way::Roam(0), message: walk });
        lone.input(Input::LinkDown { link: LinkId(3) });
        let seek = lone.seek(&key(1), key(2).address());
        let done = lone.frame(0, Frame::Seek { mode: SeekMode::Directed, message: seek });
        let walkers = |(link, _, frame): &(LinkId, _, Frame<_>)| match frame {
            Frame::Seek { mode: SeekMode::Walk(Way::Roam(log2)), .. } if link.0 != 0 => 1 << log2,
            _ => 0,
        };
        (done.sent.len(), done.sent.iter().map(walkers).sum::<u32>())
    };
    assert_eq!(onward(Finding::Floods), (0, 0));
    assert_eq!(onward(Finding::Walks), (4, 1 << limits::LOST_WALKERS_LOG2));
}
