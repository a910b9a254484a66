//! Relays that swallow what they are given: another way is found within three Seeks.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use mute_core::{
    Event, MessageId, Role,
    wire::{Frame, SeekMode, Verified},
};

use crate::network::Network;

const SECOND: Duration = Duration::from_secs(1);

/// What a black hole passes on.
type Passes = fn(&Frame<Verified>) -> bool;

fn all_but_data(frame: &Frame<Verified>) -> bool {
    !matches!(frame, Frame::Data { .. })
}

fn neither_data_nor_keeps(frame: &Frame<Verified>) -> bool {
    !matches!(frame, Frame::Data { .. } | Frame::Keep { .. })
}

fn only_what_attracts(frame: &Frame<Verified>) -> bool {
    matches!(frame, Frame::Flood { .. } | Frame::Seek { mode: SeekMode::Flood(_), .. } | Frame::Trail { .. })
}

fn nothing(_: &Frame<Verified>) -> bool {
    false
}

const KINDS: [(&str, Passes); 4] = [
    ("swallows data", all_but_data),
    ("swallows data and keeps", neither_data_nor_keeps),
    ("swallows all that is directed", only_what_attracts),
    ("answers nothing", nothing),
];

/// What it took until packets went both ways.
#[derive(Debug)]
struct Recovery {
    seeks: usize,
    time: Duration,
}

/// A seeker that sends a packet now and then, as one whose handshake is not answered, and an owner that answers each, until one answer arrives
/// after `start`.
fn talk(network: &mut Network, seeker: usize, owner: usize, patience: Duration) -> Option<Recovery> {
    let seeks: Rc<RefCell<BTreeSet<MessageId>>> = Rc::default();
    let start = network.clock();
    let seen = seeks.clone();
    let mut passes = std::mem::replace(&mut network.passes, Box::new(|_, _, _| true));
    network.passes = Box::new(move |from, to, frame| {
        if let (true, Frame::Seek { message, .. }) = (from == seeker, frame) {
            // Of those that it relays there are none here.
            seen.borrow_mut().insert(message.id());
        }
        passes(from, to, frame)
    });
    let mut heard = network.happened.len();
    while network.clock() - start < patience {
        let opened = network.opened(seeker, false);
        if let Some(trail) = opened.last() {
            network.send(seeker, *trail, "hello?");
        }
        network.run(SECOND / 2);
        let fresh: Vec<_> = network.happened[heard..]
            .iter()
            .filter_map(|happened| match happened.event {
                Event::Data { trail, .. } => Some((happened.node, trail)),
                _ => None,
            })
            .collect();
        heard = network.happened.len();
        if fresh.iter().any(|(node, _)| *node == seeker) {
            return Some(Recovery { seeks: seeks.borrow().len(), time: network.clock() - start });
        }
        for (node, trail) in fresh {
            assert_eq!(node, owner);
            network.send(owner, trail, "here");
        }
    }
    None
}

/// The relays of the trail between two nodes.
fn relays(network: &Network, ends: [usize; 2]) -> Vec<usize> {
    (0..network.nodes.len()).filter(|node| !ends.contains(node) && network.counters(*node).live.bindings > 0).collect()
}

/// A node turns into a black hole, for good, and is fast.
fn turn(network: &mut Network, hole: usize, passes: Passes) {
    network.passes = Box::new(move |from, _, frame| from != hole || passes(frame));
    network.delay = Box::new(move |from, to| if from == hole || to == hole { SECOND / 1000 } else { SECOND / 50 });
}

#[test]
fn a_relay_that_becomes_a_black_hole_is_got_round_within_three_seeks() {
    for (name, passes) in KINDS {
        for nth in 0..3 {
            let mut network = Network::grid(4, 4, 2);
            network.connect(0, 15);
            network.run(SECOND);
            network.talk(0, 15);
            let on_path = relays(&network, [0, 15]);
            turn(&mut network, on_path[nth % on_path.len()], passes);
            let recovery = talk(&mut network, 0, 15, 3 * 60 * SECOND);
            let recovery = recovery.unwrap_or_else(|| panic!("relay {nth} {name} for ever"));
            assert!(recovery.seeks <= 3, "relay {nth} {name}: {recovery:?}");
            assert!(recovery.time < 120 * SECOND, "relay {nth} {name}: {recovery:?}");
        }
    }
}

#[test]
fn a_magnet_that_was_there_first_is_got_round_within_three_seeks_and_seconds() {
    for (name, passes) in KINDS {
        // A ring of eight, and a node that links three of them and is faster than all.
        for hole_links in [[0, 1, 4], [0, 3, 4], [7, 1, 5], [2, 4, 5]] {
            let mut network = Network::ring(8, 3);
            let hole = 8;
            network.nodes.push(None);
            network.start(hole);
            hole_links.iter().for_each(|node| network.link(hole, *node));
            turn(&mut network, hole, passes);
            network.connect(0, 4);
            let recovery = talk(&mut network, 0, 4, 3 * 60 * SECOND);
            let recovery = recovery.unwrap_or_else(|| panic!("a hole at {hole_links:?} that {name}: for ever"));
            assert!(
                recovery.seeks <= 3 && recovery.time < 30 * SECOND,
                "a hole at {hole_links:?} that {name}: {recovery:?}"
            );
        }
    }
}

#[test]
fn a_trail_that_works_is_never_given_up() {
    for seed in 0..4 {
        let mut network = Network::grid(4, 4, seed);
        network.connect(0, 15);
        network.run(SECOND);
        for _ in 0..50 {
            network.talk(0, 15);
        }
        network.run(60 * SECOND);
        // One that only the seeker uses, and one that nobody uses.
        network.connect(3, 12);
        network.connect(5, 10);
        network.run(SECOND);
        let trail = network.last_trail(3, false);
        for _ in 0..400 {
            network.send(3, trail, "x");
            network.run(SECOND / 4);
        }
        for seeker in [0, 3, 5] {
            assert_eq!(network.opened(seeker, false).len(), 1, "seeker {seeker}, seed {seed}");
        }
        let closed = |event: &Event| matches!(event, Event::TrailClosed { .. });
        assert!(!network.happened.iter().any(|happened| closed(&happened.event)));
    }
}

#[test]
fn who_makes_trails_fail_again_and_again_makes_nobody_flood() {
    let mut network = Network::line(3, 1);
    turn(&mut network, 1, all_but_data);
    network.connect(0, 2);
    assert!(talk(&mut network, 0, 2, 120 * SECOND).is_none(), "there is no other way");
    let opened = |event: &Event| matches!(event, Event::TrailOpened { role: Role::Seeker { .. }, .. });
    let trails = network.happened.iter().filter(|happened| opened(&happened.event)).count();
    assert!((3..=12).contains(&trails), "{trails} trails in two minutes");
}
