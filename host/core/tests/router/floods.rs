//! The end of a flood, at one node.

use mute_core::{
    Event, FloodEnd, Input, Topic, limits,
    wire::{Flood, Frame, Phase, Seek, SeekMode, Signed, Verified},
};

use crate::lone::{Done, Lone, key};
use crate::network::PORT;

const ENDS: [FloodEnd; 3] = [FloodEnd::DropTree, FloodEnd::KeyedStop, FloodEnd::Fading];
/// The topic of the floods that neighbours make.
const TOPIC: Topic = Topic([0; 16]);

/// A node with eight neighbours and an identity that listens, as one of many.
fn node(number: u8, end: FloodEnd) -> Lone {
    let mut lone = Lone::configured(8, |config| {
        config.secret = [number; 32];
        config.floods.end = end;
    });
    lone.input(Input::Subscribe { port: PORT, topic: TOPIC });
    lone
}

fn flood(lone: &mut Lone, link: u64, phase: Phase, message: &Signed<Flood, Verified>) -> Done {
    lone.frame(link, Frame::Flood { phase, message: message.clone() })
}

/// Whether an identity heard it, and how it went on to whom.
fn outcome(done: &Done) -> (bool, Vec<(u64, Phase)>) {
    let passed = done.sent.iter().map(|(link, _, frame)| match frame {
        Frame::Flood { phase, .. } | Frame::Seek { mode: SeekMode::Flood(phase), .. } => (link.0, *phase),
        other => panic!("{other:?}"),
    });
    (done.events.iter().any(|(_, event)| matches!(event, Event::Heard { .. })), passed.collect())
}

#[test]
fn a_question_repeated_at_the_end_meets_the_same_end() {
    for end in ENDS {
        let (mut heard, mut passed) = (0, 0);
        for number in 0..40 {
            let mut lone = node(number, end);
            let phase = if end == FloodEnd::Fading { Phase::Counted(8) } else { Phase::Ending };
            let mut outcomes = (0..5).map(|_| {
                let message = lone.flood(&key(1));
                outcome(&flood(&mut lone, 0, phase, &message))
            });
            let first = outcomes.next().expect("five");
            assert!(outcomes.all(|again| again == first), "{end:?} of node {number}");
            heard += u32::from(first.0);
            passed += u32::from(first.1.iter().any(|(_, phase)| !matches!(phase, Phase::Tail(_))));
        }
        assert!(heard > 0 && passed > 0 && (heard < 40 || passed < 40), "{end:?}: {heard} heard, {passed} passed on");
    }
}

#[test]
fn the_last_count_is_heard_and_goes_on_to_all() {
    for end in ENDS {
        let mut lone = node(1, end);
        let message = lone.flood(&key(1));
        let (heard, passed) = outcome(&flood(&mut lone, 3, Phase::Counted(limits::COUNTED_HOPS), &message));
        let next = if end == FloodEnd::Fading { Phase::Counted(limits::COUNTED_HOPS + 1) } else { Phase::Ending };
        assert!(heard || end == FloodEnd::Fading);
        assert_eq!(passed, [0, 1, 2, 4, 5, 6, 7].map(|link| (link, next)));
    }
}

#[test]
fn nobody_silences_a_question_by_being_first_with_its_end() {
    for end in ENDS {
        let mut lone = node(1, end);
        let message = lone.flood(&key(1));
        assert!(!outcome(&flood(&mut lone, 0, Phase::Tail(1), &message)).0, "a tail is not heard");
        let (heard, passed) = outcome(&flood(&mut lone, 1, Phase::Counted(2), &message));
        assert!(heard);
        assert_eq!(passed.len(), 7);
        for phase in [Phase::Hidden, Phase::Counted(1), Phase::Ending, Phase::Tail(2)] {
            assert_eq!(outcome(&flood(&mut lone, 2, phase, &message)), (false, Vec::new()), "only once");
        }
        let seek = lone.seek(&key(1), key(2).address());
        let mut seek = |link, phase| {
            let frame = Frame::Seek { mode: SeekMode::Flood(phase), message: seek.clone() };
            outcome(&lone.frame(link, frame)).1.len()
        };
        assert_eq!([seek(0, Phase::Tail(1)), seek(1, Phase::Counted(2)), seek(2, Phase::Counted(2))], [0, 7, 0]);
    }
}

#[test]
fn a_seek_whose_flood_ends_follows_scent_at_its_owner_as_elsewhere() {
    let mut lone = node(1, FloodEnd::DropTree);
    let own = key(crate::lone::OWN).address();
    let seek = lone.seek(&key(1), own);
    let frame =
        |phase, seek: &Signed<Seek, Verified>| Frame::Seek { mode: SeekMode::Flood(phase), message: seek.clone() };
    let done = lone.frame(0, frame(Phase::Tail(2), &seek));
    assert!(done.trail_label().is_none(), "nobody hears a tail, and there is no scent yet");
    assert_eq!(outcome(&done).1, (1..8).map(|link| (link, Phase::Tail(1))).collect::<Vec<_>>());
    let done = lone.frame(1, frame(Phase::Counted(7), &seek));
    assert!(done.trail_label().is_some(), "in earnest it is answered");
    let seek = lone.seek(&key(1), own);
    let done = lone.frame(0, frame(Phase::Tail(1), &seek));
    assert!(done.trail_label().is_some(), "its answer laid scent at its port");
    let done = lone.frame(1, frame(Phase::Counted(7), &seek));
    assert!(done.trail_label().is_none(), "once");
    // Behind link 3 it smells of another owner.
    let letter = lone.letter(&key(2), key(99).address());
    lone.frame(3, Frame::Letter { message: letter });
    let seek = lone.seek(&key(1), key(2).address());
    let done = lone.frame(0, frame(Phase::Tail(1), &seek));
    let directed = |frame: &&&Frame<Verified>| matches!(frame, Frame::Seek { mode: SeekMode::Directed, .. });
    assert_eq!(done.to(3).iter().filter(directed).count(), 1);
}
