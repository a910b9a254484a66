//! Floods on their hidden path, at one node.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use mute_core::{
    Event, Input, LinkId, Topic, limits,
    wire::{Flood, Frame, Phase, Signed, Verified},
};

use crate::{
    lone::{Done, Lone, key, link_up},
    network::PORT,
};

const TOPIC: Topic = Topic([0; 16]);
const PATIENCE: Duration = limits::HIDDEN_PATIENCE[1];

/// A node with this many neighbours and an identity that listens, whose coin has what comes by link 0 go on hidden.
fn node(links: u64) -> Lone {
    node_that(links, true)
}

/// One whose coin has it go on hidden, or spread.
fn node_that(links: u64, hides: bool) -> Lone {
    let mut nodes = (0..).map(|secret| {
        let mut lone = Lone::configured(links, |config| config.secret = [secret; 32]);
        lone.input(Input::Subscribe { port: PORT, topic: TOPIC });
        let message = lone.flood(&key(1));
        (passed(&flood(&mut lone, 0, Phase::Hidden, &message)).len() == 1, lone)
    });
    let mut lone = nodes.find(|(hid, _)| *hid == hides).expect("two in three hide").1;
    lone.run(PATIENCE);
    lone
}

fn flood(lone: &mut Lone, link: u64, phase: Phase, message: &Signed<Flood, Verified>) -> Done {
    lone.frame(link, Frame::Flood { phase, message: message.clone() })
}

/// To whom a flood went on, and how.
fn passed(done: &Done) -> Vec<(u64, Phase)> {
    let phase = |frame: &Frame<Verified>| match frame {
        Frame::Flood { phase, .. } => Some(*phase),
        _ => None,
    };
    done.sent.iter().filter_map(|(link, _, frame)| Some((link.0, phase(frame)?))).collect()
}

fn heard(done: &Done) -> bool {
    done.events.iter().any(|(_, event)| matches!(event, Event::Heard { .. }))
}

/// A flood that came by link 0 and goes on hidden, and where.
fn hidden(lone: &mut Lone) -> (Signed<Flood, Verified>, u64) {
    let message = lone.flood(&key(1));
    let done = flood(lone, 0, Phase::Hidden, &message);
    let [(to, Phase::Hidden)] = passed(&done)[..] else {
        panic!("it does not go on hidden");
    };
    assert!(!heard(&done), "an identity is a neighbour that it does not go to");
    (message, to)
}

#[test]
fn hidden_floods_go_to_one_neighbour_and_always_the_same() {
    let mut lone = node(6);
    let paths: BTreeSet<u64> = (0..20).map(|_| hidden(&mut lone).1).collect();
    assert_eq!(paths.len(), 1);
    let mut spreads = node_that(6, false);
    for _ in 0..20 {
        let message = spreads.flood(&key(1));
        assert_eq!(
            passed(&flood(&mut spreads, 0, Phase::Hidden, &message)).len(),
            5,
            "where it spreads does not change either"
        );
    }
    for mut lone in [lone, spreads] {
        let mut own = BTreeSet::new();
        for _ in 0..20 {
            let done = lone.input(Input::Broadcast { port: PORT, topic: TOPIC, body: Bytes::from_static(b"?") });
            match passed(&done)[..] {
                [(to, Phase::Hidden)] => own.extend([to]),
                ref all => panic!("its own are always hidden: {all:?}"),
            }
        }
        assert_eq!(own.len(), 1);
    }
}

#[test]
fn what_a_neighbour_drops_spreads_a_little_later() {
    let mut lone = node(4);
    let unhidden = lone.counters().unhidden;
    let (message, to) = hidden(&mut lone);
    // The one who dropped it cannot say that it goes on.
    let said = flood(&mut lone, to, Phase::Ending, &message);
    let done = lone.run(PATIENCE);
    assert!(heard(&said) != heard(&done), "once, as it ends here or later");
    assert_eq!(passed(&done), [1, 2, 3].map(|link| (link, Phase::Counted(1))));
    assert_eq!((lone.counters().unhidden - unhidden, lone.counters().live.hidden), (1, 0));
}

#[test]
fn what_comes_back_from_elsewhere_is_heard_then_and_not_waited_for() {
    let mut lone = node(4);
    let (message, to) = hidden(&mut lone);
    let other = (1..4).find(|link| *link != to).expect("there are three");
    let done = flood(&mut lone, other, Phase::Counted(3), &message);
    assert!(heard(&done));
    assert_eq!(passed(&done).len(), 3);
    assert!(passed(&done).iter().all(|(_, phase)| *phase == Phase::Counted(4)));
    assert!(passed(&lone.run(PATIENCE)).is_empty());
    // It has come round through this node, so its author is not where it came back from.
    let letter = lone.letter(&key(2), message.author());
    let done = lone.frame(to, Frame::Letter { message: letter });
    assert_eq!(done.sent.iter().map(|(link, _, _)| *link).collect::<Vec<_>>(), [LinkId(0)]);
}

#[test]
fn a_path_that_ends_or_bites_its_tail_spreads_at_once() {
    let mut lone = node(4);
    let (message, to) = hidden(&mut lone);
    let done = flood(&mut lone, to, Phase::Hidden, &message);
    assert!(heard(&done));
    assert_eq!(passed(&done), [1, 2, 3].map(|link| (link, Phase::Counted(1))), "not to where it first came from");
    assert!(passed(&flood(&mut lone, to, Phase::Hidden, &message)).is_empty());

    let mut leaf = Lone::new(1);
    leaf.input(Input::Subscribe { port: PORT, topic: TOPIC });
    for _ in 0..20 {
        let message = leaf.flood(&key(1));
        let done = flood(&mut leaf, 0, Phase::Hidden, &message);
        assert!(heard(&done));
        assert_eq!(passed(&done), [(0, Phase::Hidden)], "whoever knows nobody else sends it back");
    }
    assert!(passed(&leaf.run(PATIENCE)).is_empty());
}

#[test]
fn a_link_that_is_lost_is_not_waited_for() {
    let mut lone = node(4);
    let (_, to) = hidden(&mut lone);
    let mut done = lone.input(Input::LinkDown { link: LinkId(to) });
    done.sent.extend(lone.run(Duration::ZERO).sent);
    assert_eq!(passed(&done).len(), 2);
}

#[test]
fn one_hop_has_so_many_hidden_messages_and_takes_no_others_room() {
    let mut lone = node(4);
    let mut waits = 0;
    for _ in 0..4 * limits::MAX_HIDDEN_PER_HOP {
        let message = lone.flood(&key(1));
        flood(&mut lone, 0, Phase::Hidden, &message);
        waits = lone.counters().live.hidden;
    }
    assert_eq!(waits, limits::MAX_HIDDEN_PER_HOP as u64);
    // A path of its own, if its coin says so.
    let other = (9..60).find(|link| {
        lone.input(link_up(*link));
        let message = lone.flood(&key(2));
        passed(&flood(&mut lone, *link, Phase::Hidden, &message)).len() == 1
    });
    assert!(other.is_some());
    assert_eq!(lone.counters().live.hidden, waits + 1, "one of another hop is hidden");
}
