//! What a neighbour can do with each kind of message, and what comes of it.

use std::time::Duration;

use mute_core::{
    Close, ConnectionId, Event, Input, Label, LinkId, MessageId, Role, Violation, limits,
    wire::{Decoded, Frame, Phase, SeekMode, decode_frame},
};

use crate::lone::{Lone, OWN, closed, data, flooded, key, link_up};
use crate::network::{NETWORK, PORT};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn data_before_its_trail_is_answered_by_close_and_harms_nothing() {
    let mut lone = Lone::new(2);
    let done = lone.frame(1, data(Label(3), b"early"));
    assert_eq!(done.closes(), vec![(LinkId(1), Label(3))]);
    assert_eq!(done.sent.len(), 1);
    let (_, towards_seeker, label) = lone.bind(1, 2, 3);
    let done = lone.frame(0, data(towards_seeker, b"there"));
    assert_eq!(done.to(1), vec![&data(label, b"there")]);
    let done = lone.frame(1, data(label, b"back"));
    assert_eq!(done.to(0), vec![&data(towards_seeker, b"back")]);
}

#[test]
fn a_taken_label_is_refused_and_the_first_trail_goes_on() {
    let mut lone = Lone::new(2);
    let (_, towards_seeker, label) = lone.bind(1, 2, 3);
    let seek = lone.seek(&key(4), key(5).address());
    let id = seek.id();
    lone.frame(0, flooded(seek));
    let trail = lone.trail(&key(5), id);
    let done = lone.frame(1, Frame::Trail { label, message: trail.clone() });
    assert_eq!(done.closes(), vec![(LinkId(1), label)]);
    assert!(done.trail_label().is_none());
    assert_eq!(lone.frame(0, data(towards_seeker, b"x")).to(1), vec![&data(label, b"x")]);
    // With a label of its own it would have been taken: the refusal has used nothing up.
    let done = lone.frame(1, Frame::Trail { label: Label(5), message: trail });
    assert!(done.trail_label().is_some());
}

#[test]
fn a_label_names_the_side_of_the_link_that_chose_it() {
    // The router dialled none of its links, so its neighbours' labels are odd and its own even.
    let mut lone = Lone::new(2);
    let (_, towards_seeker, _) = lone.bind(1, 2, 3);
    assert_eq!(towards_seeker.0 & 1, 0);
    let seek = lone.seek(&key(4), key(5).address());
    let id = seek.id();
    lone.frame(0, flooded(seek));
    let trail = lone.trail(&key(5), id);
    let done = lone.frame(1, Frame::Trail { label: Label(4), message: trail });
    assert_eq!(done.violations, vec![(LinkId(1), Violation::LabelDirection)]);
    assert_eq!(done.closes(), vec![(LinkId(0), towards_seeker)], "the liar's link is gone, and its trails with it");
    assert_eq!(lone.counters().live.links, 1);
}

#[test]
fn a_storm_of_close_is_never_answered_and_ends_only_its_own_trail() {
    let mut lone = Lone::new(3);
    let (_, towards_seeker, label) = lone.bind(1, 2, 3);
    let mut answers = 0;
    for other in 0..10_000u64 {
        // Every label but the bound one, and the bound one from the wrong links.
        answers += lone.frame(1, Frame::Close { label: Label(other * 2 + 5) }).sent.len();
        answers += lone.frame(2, Frame::Close { label }).sent.len();
        answers += lone.frame(2, Frame::Close { label: towards_seeker }).sent.len();
    }
    assert_eq!((answers, lone.counters().live.bindings), (0, 1));
    let done = lone.frame(1, Frame::Close { label });
    // The Trail's first hop may have refused it on: no other knows the way, so the seeker's side is told.
    assert_eq!(done.closes(), vec![(LinkId(0), towards_seeker)]);
    assert!(lone.frame(1, Frame::Close { label }).sent.is_empty());
}

#[test]
fn a_storm_of_data_on_unknown_labels_is_answered_within_bounds() {
    let mut lone = Lone::new(1);
    let mut closes = 0;
    for label in 0..50_000u64 {
        closes += lone.frame(0, data(Label(label), b"x")).closes().len();
    }
    assert!(closes <= limits::CLOSES_BURST as usize, "{closes}");
    let mut same = 0;
    for _ in 0..100 {
        lone.run(SECOND / 10);
        same += lone.frame(0, data(Label(1), b"x")).closes().len();
    }
    assert!((9..=10).contains(&same), "one per label and second: {same} in ten");
    assert_eq!(lone.counters().closes_held + lone.counters().closes_sent, 50_100);
}

#[test]
fn a_replayed_message_lays_no_scent_a_second_time_nor_after_a_restart() {
    let mut lone = Lone::new(3);
    let (flood, letter) = (lone.flood(&key(1)), lone.letter(&key(2), key(3).address()));
    let seek = lone.seek(&key(4), key(5).address());
    let frames =
        [Frame::Flood { phase: Phase::Hidden, message: flood }, Frame::Letter { message: letter }, flooded(seek)];
    for frame in &frames {
        lone.frame(0, frame.clone());
    }
    let rows = lone.counters().live.scent_rows;
    assert_eq!(rows, 3);
    // The rows expire ten minutes after the last touch: replays must not touch them.
    for _ in 0..9 {
        lone.run(MINUTE);
        for frame in &frames {
            assert!(lone.frame(0, frame.clone()).sent.is_empty());
        }
    }
    lone.run(MINUTE + SECOND);
    assert_eq!(lone.counters().live.scent_rows, 0);
    for frame in &frames {
        assert!(lone.frame(0, frame.clone()).sent.is_empty(), "too old by now");
    }
    assert_eq!(lone.counters().drops.stale, 3);
    // A router that starts later has seen nothing, but knows when it started.
    let mut again = Lone::new(3);
    again.clock = MINUTE;
    let config = mute_core::RouterConfig::new(NETWORK, [3; 32], [2; 32]);
    again.router = mute_core::Router::new(config, again.now());
    for link in 0..3 {
        again.input(link_up(link));
    }
    for frame in &frames {
        again.frame(0, frame.clone());
    }
    assert_eq!((again.counters().live.scent_rows, again.counters().live.seen), (0, 3));
    let fresh = again.flood(&key(6));
    again.frame(0, Frame::Flood { phase: Phase::Hidden, message: fresh });
    assert_eq!(again.counters().live.scent_rows, 1, "its own minute counts as new");
}

#[test]
fn a_spoofed_message_never_becomes_a_verified_one() {
    let mut lone = Lone::new(1);
    let message = lone.flood(&key(1));
    let frame = Frame::Flood { phase: Phase::Hidden, message };
    let mut bytes = frame.encode_header().slice(2..).to_vec();
    bytes.extend_from_slice(&frame.body());
    let honest = match decode_frame(bytes.clone().into()) {
        Ok(Decoded::Frame(frame)) => frame.verify(NETWORK),
        other => panic!("{other:?}"),
    };
    assert!(honest.is_ok());
    // Every single bit of the message counts: author, stamp, topic, body, signature.
    let mut refused = 0;
    for bit in 2 * 8..bytes.len() * 8 {
        let mut forged = bytes.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        match decode_frame(forged.into()) {
            Err(_) => refused += 1,
            Ok(Decoded::Frame(frame)) => {
                let violation = frame.verify(NETWORK).expect_err("a flipped bit breaks the signature");
                assert!(matches!(violation, Violation::BadSignature | Violation::WrongNetwork));
                refused += 1;
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, (bytes.len() - 2) * 8);
}

#[test]
fn only_the_target_can_answer_and_only_once() {
    let mut lone = Lone::new(3);
    let seek = lone.seek(&key(1), key(2).address());
    let id = seek.id();
    lone.frame(0, flooded(seek));
    let trail = lone.trail(&key(2), id);
    let done = lone.frame(1, Frame::Trail { label: Label(3), message: trail.clone() });
    assert!(done.trail_label().is_some());
    // The same Trail by another way: refused, though its signature holds.
    let done = lone.frame(2, Frame::Trail { label: Label(3), message: trail.clone() });
    assert_eq!((done.closes(), done.sent.len()), (vec![(LinkId(2), Label(3))], 1));
    // One for a Seek that nobody asked, and one by somebody else.
    let unknown = lone.trail(&key(2), MessageId([9; 16]));
    assert_eq!(lone.frame(2, Frame::Trail { label: Label(5), message: unknown }).closes().len(), 1);
    let foreign = lone.trail(&key(3), id);
    let done = lone.frame(2, Frame::Trail { label: Label(7), message: foreign });
    assert_eq!(done.violations, vec![(LinkId(2), Violation::ForeignTrail)]);
    assert_eq!(lone.counters().live.bindings, 1);
}

#[test]
fn a_refused_trail_falls_through_the_list_and_then_closes() {
    let mut lone = Lone::new(4);
    let seek = lone.seek(&key(1), key(2).address());
    let id = seek.id();
    for link in [0, 1, 2] {
        lone.frame(link, flooded(seek.clone()));
    }
    let trail = lone.trail(&key(2), id);
    let done = lone.frame(3, Frame::Trail { label: Label(3), message: trail });
    let (first, label) = done.trail_label().expect("offered");
    assert_eq!(first, LinkId(0), "to whom it came by first");
    let done = lone.frame(0, Frame::Close { label });
    let (second, label) = done.trail_label().expect("offered again");
    assert_eq!((second, done.closes().len()), (LinkId(1), 0));
    let done = lone.input(Input::LinkDown { link: LinkId(1) });
    let (third, _) = done.trail_label().expect("offered again");
    assert_eq!(third, LinkId(2));
    assert_ne!(label, Label(3));
    let (_, label) = done.trail_label().expect("offered again");
    // Data that comes along it goes to where the Trail went in the end.
    assert_eq!(lone.frame(2, data(label, b"x")).to(3), vec![&data(Label(3), b"x")]);
    assert_eq!(lone.frame(3, data(Label(3), b"y")).to(2), vec![&data(label, b"y")]);
    // It is in use now: a Close ends it.
    let done = lone.frame(2, Frame::Close { label });
    assert_eq!(done.closes(), vec![(LinkId(3), Label(3))]);
    assert_eq!(lone.counters().live.bindings, 0);
}

#[test]
fn the_last_refusal_closes_towards_the_owner() {
    let mut lone = Lone::new(2);
    let (_, towards_seeker, label) = lone.bind(1, 2, 3);
    let done = lone.frame(0, Frame::Close { label: towards_seeker });
    assert_eq!(done.closes(), vec![(LinkId(1), label)]);
}

#[test]
fn a_keep_must_come_from_the_end_that_lies_there_and_count_up() {
    let mut lone = Lone::new(2);
    let (seek, towards_seeker, label) = lone.bind(1, 2, 3);
    let first = lone.keep(&key(2), seek, 1);
    let done = lone.frame(1, Frame::Keep { label, message: first.clone() });
    assert_eq!(done.to(0).len(), 1);
    assert!(lone.frame(1, Frame::Keep { label, message: first }).sent.is_empty(), "a repeated one says nothing");
    let done = lone.frame(0, data(towards_seeker, b"x"));
    assert_eq!(done.sent.len(), 1);
    // The seeker's key from the owner's side: nobody honest passes that on.
    let wrong = lone.keep(&key(1), seek, 5);
    let done = lone.frame(1, Frame::Keep { label, message: wrong });
    assert_eq!(done.violations, vec![(LinkId(1), Violation::ForeignKeep)]);
}

#[test]
fn replayed_keeps_keep_nothing_alive() {
    let mut lone = Lone::new(2);
    let (seek, towards_seeker, label) = lone.bind(1, 2, 3);
    let keeps = [lone.keep(&key(1), seek, 1), lone.keep(&key(2), seek, 1)];
    let mut alive = 0;
    for _ in 0..20 {
        lone.frame(0, Frame::Keep { label: towards_seeker, message: keeps[0].clone() });
        lone.frame(1, Frame::Keep { label, message: keeps[1].clone() });
        lone.run(10 * SECOND);
        alive += lone.counters().live.bindings;
    }
    assert_eq!(alive, 7, "75 s after the first: {alive} times 10 s");
}

/// A Trail that comes by `link` for a Seek that came by link 0, with the first Keeps of both ends.
fn kept_trail(lone: &mut Lone, link: u64, label: u64) -> Option<(MessageId, Label)> {
    let seek = lone.seek(&key(1), key(2).address());
    let id = seek.id();
    lone.frame(0, flooded(seek));
    let trail = lone.trail(&key(2), id);
    let done = lone.frame(link, Frame::Trail { label: Label(label), message: trail });
    let (_, towards_seeker) = done.trail_label()?;
    keep_both(lone, link, Label(label), (id, towards_seeker), 1);
    Some((id, towards_seeker))
}

fn keep_both(lone: &mut Lone, link: u64, label: Label, (seek, towards_seeker): (MessageId, Label), number: u32) {
    for (end, link, label) in [(1, 0, towards_seeker), (2, link, label)] {
        let message = lone.keep(&key(end), seek, number);
        lone.frame(link, Frame::Keep { label, message });
    }
}

#[test]
fn labels_that_one_neighbour_holds_with_keeps_give_way_to_the_others() {
    let mut lone = Lone::new(3);
    let mut bound = Vec::new();
    for n in 0..limits::MAX_LABELS as u64 {
        lone.run(SECOND / 40);
        bound.push(kept_trail(&mut lone, 1, 2 * n + 1).expect("all that is free may be taken"));
        if n % 2000 == 1999 {
            let number = 2 + n as u32 / 2000;
            for (label, trail) in (1..).step_by(2).map(Label).zip(&bound) {
                lone.run(SECOND / 200);
                keep_both(&mut lone, 1, label, *trail, number);
            }
        }
    }
    let live = |lone: &Lone| lone.counters().live.bindings as usize;
    assert_eq!(live(&lone), limits::MAX_LABELS);
    // One of the first is in use.
    for _ in 0..20 {
        lone.frame(0, data(bound[3].1, b"in use"));
    }
    for n in 0..200u64 {
        lone.run(SECOND / 40);
        assert!(kept_trail(&mut lone, 2, 2 * n + 1).is_some(), "another neighbour's trails pass");
        assert_eq!(live(&lone), limits::MAX_LABELS, "and as many give way");
    }
    assert_eq!(lone.frame(0, data(bound[3].1, b"still")).to(1).len(), 1, "what is used gives way last");
    assert!(lone.frame(0, data(bound[2].1, b"x")).to(1).is_empty(), "the oldest that nobody uses gave way");
    assert!(kept_trail(&mut lone, 1, 100_001).is_some(), "as it does to those of its own neighbour");
}

#[test]
fn a_crowd_of_seeks_by_one_neighbour_leaves_room_for_the_others_and_for_newer_ones() {
    let mut lone = Lone::new(2);
    let own = key(OWN).address();
    let seek = |lone: &mut Lone, link| {
        // Fast enough for one Keep to last.
        lone.run(SECOND / 62);
        let seek = lone.seek(&key(1), own);
        let id = seek.id();
        let done = lone.frame(link, flooded(seek));
        let (_, label) = done.trail_label().expect("it is answered");
        let message = lone.keep(&key(1), id, 1);
        lone.frame(link, Frame::Keep { label, message });
        (label, done.closes())
    };
    let honest = seek(&mut lone, 0).0;
    for _ in 0..limits::USED_PACKETS {
        assert_eq!(lone.frame(0, data(honest, b"hello")).events.len(), 1);
    }
    let mut gone = Vec::new();
    for _ in 0..limits::MAX_OWNED_TRAILS_PER_PORT + 100 {
        let (label, closes) = seek(&mut lone, 0);
        // A packet that nobody can open does not make a trail a used one.
        lone.frame(0, data(label, b"junk"));
        gone.extend(closes);
    }
    assert_eq!(gone.len(), 101, "all but what there is room for");
    assert!(!gone.contains(&(LinkId(0), honest)), "what is used stays");
    for _ in 0..50 {
        let (_, closes) = seek(&mut lone, 1);
        assert_eq!(closes.iter().filter(|(link, _)| *link == LinkId(0)).count(), 1, "the crowd gives way");
    }
    assert_eq!(lone.frame(0, data(honest, b"still here")).events.len(), 1);
}

#[test]
fn a_burst_of_seeks_costs_only_so_many_answers() {
    let mut lone = Lone::new(2);
    let own = key(OWN).address();
    let answered: usize = (0..500)
        .map(|_| {
            let seek = lone.seek(&key(1), own);
            usize::from(lone.frame(0, flooded(seek)).trail_label().is_some())
        })
        .sum();
    assert_eq!(answered, limits::ANSWERS_BURST as usize);
}

#[test]
fn a_flooding_neighbour_spends_its_own_budget_only() {
    let mut lone = Lone::new(3);
    let flood = |lone: &mut Lone, link| {
        let message = lone.flood(&key(1));
        let frame = Frame::Flood { phase: Phase::Counted(1), message };
        (frame.encoded_len() as u64, lone.frame(link, frame).sent.len())
    };
    let length = flood(&mut lone, 0).0;
    let passed = 1 + (0..5000).filter(|_| flood(&mut lone, 0).1 > 0).count() as u64;
    assert_eq!(passed, limits::FLOOD_BURST_BYTES / length);
    assert_eq!(lone.counters().drops.budget, 5001 - passed);
    assert_eq!(flood(&mut lone, 1).1, 2, "the others' floods still pass");
    lone.run(SECOND);
    let passed = (0..5000).filter(|_| flood(&mut lone, 0).1 > 0).count() as u64;
    assert!(passed.abs_diff(limits::FLOOD_BYTES_PER_S / length) <= 1, "{passed} a second");
}

#[test]
fn silence_after_a_choice_turns_seeks_to_the_alternative_but_erases_nothing() {
    let mut lone = Lone::new(3);
    let target = key(2).address();
    // The target smells through link 1 some thirty times as much as through link 2.
    for link in [2, 1, 1, 1, 1] {
        let message = lone.flood(&key(2));
        lone.frame(link, Frame::Flood { phase: Phase::Counted(7), message });
    }
    let mut by_other = Vec::new();
    for _ in 0..48 {
        let message = lone.seek(&key(1), target);
        let done = lone.frame(0, Frame::Seek { mode: SeekMode::Directed, message });
        match done.sent.first() {
            Some((LinkId(link), _, _)) => by_other.push(usize::from(*link == 2)),
            None => panic!("the row was erased"),
        }
        lone.run(12 * SECOND);
    }
    assert_eq!(by_other[..5].iter().sum::<usize>(), 0, "the stronger scent first: {by_other:?}");
    let late = by_other[24..].iter().sum::<usize>();
    assert!((6..=18).contains(&late), "both in turn when neither answers: {by_other:?}");
}

#[test]
fn directed_seeks_and_letters_without_scent_go_nowhere() {
    let mut lone = Lone::new(3);
    let seek = lone.seek(&key(1), key(2).address());
    assert!(lone.frame(0, Frame::Seek { mode: SeekMode::Directed, message: seek }).sent.is_empty());
    let letter = lone.letter(&key(1), key(2).address());
    assert!(lone.frame(0, Frame::Letter { message: letter }).sent.is_empty());
    assert_eq!(lone.counters().drops.no_scent, 2);
    // Nor back to where they came from, though that is where the target smells.
    let flood = lone.flood(&key(2));
    lone.frame(0, Frame::Flood { phase: Phase::Counted(7), message: flood });
    let letter = lone.letter(&key(1), key(2).address());
    assert!(lone.frame(0, Frame::Letter { message: letter }).sent.is_empty());
    let letter = lone.letter(&key(1), key(2).address());
    assert_eq!(lone.frame(1, Frame::Letter { message: letter }).to(0).len(), 1);
}

#[test]
fn a_trail_nobody_waits_for_any_more_is_refused() {
    let mut lone = Lone::new(1);
    let connection = ConnectionId(1);
    let done = lone.input(Input::Connect { port: PORT, connection, target: key(2).address() });
    let seek = match done.to(0)[0] {
        Frame::Seek { message, .. } => message.id(),
        other => panic!("{other:?}"),
    };
    lone.input(Input::Disconnect { connection });
    let trail = lone.trail(&key(2), seek);
    let done = lone.frame(0, Frame::Trail { label: Label(3), message: trail });
    assert_eq!(done.closes(), vec![(LinkId(0), Label(3))]);
    assert!(done.events.is_empty());
}

#[test]
fn two_answers_to_two_tries_open_one_trail() {
    let mut lone = Lone::new(1);
    let connection = ConnectionId(1);
    let mut tries = vec![lone.input(Input::Connect { port: PORT, connection, target: key(2).address() })];
    tries.push(lone.run(5 * SECOND));
    let mut seeks = tries.iter().flat_map(|done| done.to(0)).filter_map(|frame| match frame {
        Frame::Seek { message, .. } => Some(message.id()),
        _ => None,
    });
    let (first, second) = (seeks.next().expect("a try"), seeks.next().expect("another"));
    let trail = lone.trail(&key(2), first);
    let done = lone.frame(0, Frame::Trail { label: Label(3), message: trail });
    assert!(matches!(done.events[0].1, Event::TrailOpened { role: Role::Seeker { .. }, .. }));
    let trail = lone.trail(&key(2), second);
    let done = lone.frame(0, Frame::Trail { label: Label(5), message: trail });
    assert_eq!((done.events.len(), done.closes()), (0, vec![(LinkId(0), Label(5))]));
    let done = lone.input(Input::LinkDown { link: LinkId(0) });
    assert_eq!(closed(&done), vec![Close::LinkLost]);
}

#[test]
fn frames_of_links_that_are_not_up_do_nothing() {
    let mut lone = Lone::new(1);
    let message = lone.flood(&key(1));
    assert!(lone.frame(9, Frame::Flood { phase: Phase::Hidden, message }).sent.is_empty());
    assert!(lone.frame(9, data(Label(1), b"x")).sent.is_empty());
    let seek = lone.seek(&key(1), key(OWN).address());
    assert!(lone.frame(9, flooded(seek)).events.is_empty());
    assert_eq!(lone.counters().live.seen, 0);
}
