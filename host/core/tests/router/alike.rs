//! Whether an identity lives at a node or behind it: what its neighbours can tell.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use mute_core::{
    Close, Defences, Ecn, Event, FloodStart, Input, Label, LinkId, PortId, Profile, Role, Topic, TrailId, Violation,
    limits,
    wire::{Frame, Phase, SeekMode},
};

use crate::{
    lone::{Done, Lone, OWN, data, flooded, key},
    network::{Network, PORT, Setting},
};

const SECOND: Duration = Duration::from_secs(1);
/// What the longest turnaround of a balanced network is below.
const LONG: Duration = Duration::from_secs(2);

/// What copies of floods wait on average, in an experiment.
const JITTER: Duration = Duration::from_millis(10);

fn balanced() -> Setting {
    Setting::of(Profile::Balanced)
}

fn without(change: impl FnOnce(&mut Defences)) -> Setting {
    let mut setting = balanced();
    change(&mut setting.defences);
    setting
}

fn world(setting: Setting, world: u32) -> Setting {
    Setting { world, ..setting }
}

/// With floods that go to all neighbours from the first hop, which is what attackers would have theirs do.
fn unhidden(mut setting: Setting) -> Setting {
    setting.floods.start = FloodStart::Everywhere;
    setting
}

/// Steps until something is done that `found` finds, for [`LONG`] at most: how long that took, and what else was done.
fn wait<T>(lone: &mut Lone, found: impl Fn(&Done) -> Option<T>) -> Option<(Duration, T)> {
    let start = lone.clock;
    while let Some(done) = lone.next(start + LONG) {
        if let Some(found) = found(&done) {
            return Some((lone.clock - start, found));
        }
    }
    None
}

/// A flooded Seek for the router's identity comes by `link`: how long its Trail takes.
fn answer_time(lone: &mut Lone, link: u64, seeker: u8) -> Duration {
    let seek = lone.seek(&key(seeker), key(OWN).address());
    let done = lone.frame(link, flooded(seek));
    assert!(done.trail_label().is_none(), "an answer at once");
    let (time, (at, _)) = wait(lone, Done::trail_label).expect("it is answered");
    assert_eq!(at, LinkId(link));
    time
}

/// A trail to the router's identity by `link`, on which a packet has come and was heard: its label, its end, and how long the packet took.
fn laid(lone: &mut Lone, link: u64, seeker: u8) -> (Label, TrailId, Duration) {
    let seek = lone.seek(&key(seeker), key(OWN).address());
    lone.frame(link, flooded(seek));
    let (_, (_, label)) = wait(lone, Done::trail_label).expect("it is answered");
    lone.frame(link, packet(label));
    let heard = |done: &Done| done.events.iter().find_map(heard_at);
    let (time, trail) = wait(lone, heard).expect("it is heard");
    (label, trail, time)
}

fn heard_at((_, event): &(PortId, Event)) -> Option<TrailId> {
    match event {
        Event::Data { trail, .. } => Some(*trail),
        _ => None,
    }
}

/// A packet of the smallest class.
fn packet(label: Label) -> Frame<mute_core::wire::Verified> {
    data(label, &[0x5a; 256])
}

fn bulk(label: Label) -> Frame<mute_core::wire::Verified> {
    Frame::Data { label, ecn: Ecn::Capable0, body: Bytes::from_static(&[0x5a; 16 * 1024]) }
}

/// The probability that one of `later` is above one of `earlier`, ties counting half.
fn area(earlier: &[f64], later: &[f64]) -> f64 {
    let above = |a: f64, b: f64| if b > a { 1.0 } else { f64::from(u8::from(b == a)) / 2.0 };
    let sum: f64 = earlier.iter().flat_map(|a| later.iter().map(move |b| above(*a, *b))).sum();
    sum / (earlier.len() * later.len()) as f64
}

#[test]
fn an_identity_waits_equally_long_each_time_whoever_asks_and_after_a_restart() {
    let mut lone = Lone::within(balanced(), 3);
    let first = answer_time(&mut lone, 0, 1);
    assert!(first > Duration::ZERO);
    for (link, seeker) in [(0, 1), (0, 2), (1, 1), (1, 3), (2, 4)] {
        assert_eq!(answer_time(&mut lone, link, seeker), first);
        lone.run(SECOND);
    }
    assert_eq!(answer_time(&mut Lone::within(balanced(), 1), 0, 9), first, "the same secret");
    assert_ne!(answer_time(&mut Lone::within(world(balanced(), 1), 1), 0, 1), first, "another secret");
}

#[test]
fn what_an_identity_hears_of_a_trail_waits_as_long_as_a_question_and_keeps_its_order() {
    let mut lone = Lone::within(balanced(), 2);
    let question = answer_time(&mut lone, 0, 1);
    let (label, trail, time) = laid(&mut lone, 1, 2);
    assert_eq!(time, question);
    for number in 0..50_u8 {
        let body = Bytes::from(vec![number; 256]);
        lone.frame(1, Frame::Data { label, ecn: Ecn::NotCapable, body });
        lone.run(Duration::from_millis(u64::from(number % 7)));
    }
    let mut heard = Vec::new();
    let until = lone.clock + LONG;
    while let Some(done) = lone.next(until) {
        heard.extend(done.events.iter().filter_map(|(_, event)| match event {
            Event::Data { body, .. } => Some(body[0]),
            _ => None,
        }));
    }
    let late = heard.clone();
    heard.sort_unstable();
    assert_eq!(heard, late, "in the order in which they came");
    assert_eq!(heard.last(), Some(&49));
    // What it sends leaves at once: only the sum of both ways shows.
    let sent = lone.input(Input::Data { trail, ecn: Ecn::NotCapable, body: Bytes::from_static(&[1; 256]) });
    assert_eq!(sent.to(1).len(), 1);
    // And the end of a trail is heard as late as all else.
    lone.frame(1, Frame::Close { label });
    let closed = |done: &Done| done.events.iter().find(|(_, e)| matches!(e, Event::TrailClosed { .. })).map(|_| ());
    assert_eq!(wait(&mut lone, closed).map(|(time, ())| time), Some(question));
}

#[test]
fn a_flood_and_its_letter_lie_as_far_apart_as_a_question_and_its_answer() {
    let mut lone = Lone::within(balanced(), 2);
    let question = answer_time(&mut lone, 0, 1);
    lone.input(Input::Subscribe { port: PORT, topic: Topic([0; 16]) });
    let flood = lone.flood(&key(2));
    lone.frame(0, Frame::Flood { phase: Phase::Counted(1), message: flood });
    let heard = |done: &Done| done.events.iter().find(|(_, e)| matches!(e, Event::Heard { .. })).map(|_| ());
    assert_eq!(wait(&mut lone, heard).map(|(time, ())| time), Some(question));
    let answer = Input::Letter { port: PORT, to: key(2).address(), sealed: Bytes::from_static(b"sealed") };
    assert!(matches!(lone.input(answer).to(0)[..], [Frame::Letter { .. }]));
}

#[test]
fn a_fast_network_adds_nothing() {
    let mut lone = Lone::within(Setting::of(Profile::Fast), 2);
    lone.input(Input::Subscribe { port: PORT, topic: Topic([0; 16]) });
    let seek = lone.seek(&key(1), key(OWN).address());
    let done = lone.frame(0, flooded(seek));
    let (_, label) = done.trail_label().expect("answered at once");
    assert_eq!(done.to(1).len(), 1, "passed on at once");
    assert_eq!(lone.frame(0, data(label, b"of any length")).events.len(), 1);
    let flood = lone.flood(&key(2));
    let done = lone.frame(0, Frame::Flood { phase: Phase::Counted(1), message: flood });
    assert_eq!((done.events.len(), done.to(1).len()), (1, 1));
    assert_eq!((lone.counters().live.held, lone.counters().live.held_bytes), (0, 0));
}

/// The law of waits over many identities, measured at the router's edge.
#[test]
fn the_waits_of_identities_follow_the_exponential_law() {
    let mean = balanced().shape.turnaround.as_secs_f64();
    let mut waits: Vec<f64> = (0..1000)
        .map(|secret| answer_time(&mut Lone::within(world(balanced(), secret), 1), 0, 1).as_secs_f64() / mean)
        .collect();
    waits.sort_by(f64::total_cmp);
    let (all, mass) = (waits.len() as f64, 1.0 - (-5_f64).exp());
    let distance = waits.iter().enumerate().map(|(rank, wait)| {
        let expected = (1.0 - (-wait).exp()) / mass;
        (rank as f64 / all - expected).abs().max(((rank + 1) as f64 / all - expected).abs())
    });
    let distance = distance.fold(0.0, f64::max);
    assert!(distance < 1.63 / all.sqrt(), "{distance}: one sample in 100 is further from its law");
}

/// When the answers to two attackers' Seeks come, who are the only neighbours of a node that owns the address, or passes on to who does.
fn trail_times(setting: Setting, owns: bool) -> [f64; 2] {
    let setting = unhidden(setting);
    let mut network = Network::within(setting, 4, 1);
    let (node, attackers, behind) = (0, [1, 2], 3);
    for attacker in attackers {
        network.start_as(attacker, unhidden(Setting::of(Profile::Fast)));
        network.link(attacker, node);
    }
    network.link(node, behind);
    attackers.map(|attacker| {
        let asked = network.clock();
        network.connect(attacker, if owns { node } else { behind });
        network.run(4 * SECOND);
        let opened = network.happened.iter().find(|happened| {
            happened.node == attacker && matches!(happened.event, Event::TrailOpened { role: Role::Seeker { .. }, .. })
        });
        (opened.expect("it is answered").at - asked).as_secs_f64()
    })
}

fn worlds(setting: Setting, count: u32) -> [Vec<[f64; 2]>; 2] {
    [true, false].map(|owns| (0..count).map(|number| trail_times(world(setting, number), owns)).collect())
}

fn map(worlds: &[Vec<[f64; 2]>; 2], of: impl Fn(&[f64; 2]) -> f64) -> [Vec<f64>; 2] {
    [0, 1].map(|kind| worlds[kind].iter().map(&of).collect())
}

#[test]
fn the_time_of_an_answer_tells_owner_from_relay_as_little_as_the_law_says() {
    let mut setting = balanced();
    setting.shape.jitter = Duration::ZERO;
    let [owner, relay] = map(&worlds(setting, 400), |times| times[0]);
    let found = area(&owner, &relay);
    // The link behind takes 10 ms each way.
    let expected = 1.0 - 0.5 * (-0.020 / setting.shape.turnaround.as_secs_f64()).exp();
    // With 400 worlds of each kind the half-width of the area's 95 % interval is 0.04 (Hanley and McNeil).
    assert!((found - expected).abs() < 0.04, "{found} where the law says {expected}");
    let [owner, relay] = map(&worlds(without(|defences| defences.hold_questions = false), 50), |times| times[0]);
    assert!(area(&owner, &relay) > 0.99, "without the wait it tells all");
}

/// Why there is one wait for each identity and not one for each neighbour that asks it.
#[test]
fn two_links_to_one_node_tell_no_more_than_one() {
    let apart = |times: &[f64; 2]| (times[0] - times[1]).abs();
    // Behind a relay the waits for two neighbours are one, that for the relay; at the owner they are two.
    let [owner, relay] = map(&worlds(without(|defences| defences.one_hold = false), 100), apart);
    let with_a_draw_each = area(&relay, &owner);
    assert!(with_a_draw_each > 0.9, "{with_a_draw_each}");
    let [owner, relay] = map(&worlds(balanced(), 100), apart);
    let with_one = area(&relay, &owner);
    assert!((with_one - 0.5).abs() < 0.06, "{with_one}");
}

#[test]
fn fresh_waits_average_out() {
    let mut setting = without(|defences| defences.stable_holds = false);
    let mut lone = Lone::within(setting, 1);
    let mut times: Vec<_> = (0..8).map(|n| answer_time(&mut lone, 0, 1 + n)).collect();
    times.dedup();
    assert!(times.len() > 4, "{times:?}");
    setting.defences.stable_holds = true;
    let mut lone = Lone::within(setting, 1);
    let mut times: Vec<_> = (0..8).map(|n| answer_time(&mut lone, 0, 1 + n)).collect();
    times.dedup();
    assert_eq!(times.len(), 1);
}

/// What becomes of directed Seeks for the router's identity that come by link 0, `tries` of them: answered, and passed on to link 1.
fn directed(setting: Setting, tries: usize) -> (usize, usize) {
    let mut lone = Lone::within(setting, 3);
    // The identity's answer lays its scent at its own port.
    answer_time(&mut lone, 2, 1);
    let (mut answered, mut passed) = (0, 0);
    for _ in 0..tries {
        // One of its own messages came back by link 1: somebody carried it there. That halves the port's scent and adds as much as the
        // port had; the identity's next message does the reverse.
        let carried = lone.letter(&key(OWN), key(99).address());
        lone.frame(1, Frame::Letter { message: carried });
        let seek = lone.seek(&key(2), key(OWN).address());
        let done = lone.frame(0, Frame::Seek { mode: SeekMode::Directed, message: seek });
        passed += done.to(1).len();
        let trail = wait(&mut lone, Done::trail_label);
        answered += usize::from(trail.is_some());
        lone.run(20 * SECOND);
        answer_time(&mut lone, 2, 3);
        lone.run(60 * SECOND);
    }
    (answered, passed)
}

#[test]
fn a_directed_seek_for_an_own_address_goes_where_the_row_says() {
    const TRIES: usize = 200;
    let (answered, passed) = directed(balanced(), TRIES);
    assert_eq!(answered + passed, TRIES, "either, never both");
    // Just after the carried message link 1 has more scent than the port.
    assert!(passed > TRIES / 2 && answered > TRIES / 20, "{answered} answered, {passed} passed on");
    let (answered, passed) = directed(without(|defences| defences.follow_row = false), 20);
    assert_eq!((answered, passed), (20, 0));
}

#[test]
fn a_flooded_seek_goes_on_from_its_target_as_from_anywhere() {
    let copies = |setting| {
        let mut lone = Lone::within(setting, 3);
        let seek = lone.seek(&key(1), key(OWN).address());
        let done = lone.frame(0, flooded(seek));
        let seeks = |link| done.to(link).iter().filter(|frame| matches!(frame, Frame::Seek { .. })).count();
        [seeks(0), seeks(1), seeks(2)]
    };
    assert_eq!(copies(balanced()), [0, 1, 1]);
    assert_eq!(copies(without(|defences| defences.pass_floods_on = false)), [0, 0, 0]);
}

/// How many Seeks go to each link, and how.
fn seeks(done: &Done) -> Vec<(u64, SeekMode)> {
    let seek = |(link, _, frame): &(LinkId, _, Frame<_>)| match frame {
        Frame::Seek { mode, .. } => Some((link.0, *mode)),
        _ => None,
    };
    done.sent.iter().filter_map(seek).collect()
}

#[test]
fn a_flooded_seek_follows_the_trails_of_its_target_and_spreads_no_further() {
    let spread = SeekMode::Flood(Phase::Counted(2));
    let missing = without(|defences| defences.follow_scent = false);
    let owner = |setting| {
        let mut lone = Lone::within(setting, 3);
        answer_time(&mut lone, 2, 1);
        let seek = lone.seek(&key(2), key(OWN).address());
        let done = lone.frame(0, flooded(seek));
        assert!(wait(&mut lone, Done::trail_label).is_some());
        seeks(&done)
    };
    assert_eq!(owner(balanced()), []);
    assert_eq!(owner(missing), [(1, spread), (2, spread)]);
    let relay = |setting, by| {
        let mut lone = Lone::within(setting, 3);
        lone.bind(1, 5, 41);
        let seek = lone.seek(&key(2), key(5).address());
        (seeks(&lone.frame(by, flooded(seek))), lone)
    };
    assert_eq!(relay(balanced(), 2).0, [(1, SeekMode::Directed)]);
    assert_eq!(relay(balanced(), 1).0, [], "who sent it is nearer");
    assert_eq!(relay(missing, 2).0, [(0, spread), (1, spread)]);
    assert_eq!(relay(Setting::of(Profile::Fast), 2).0, [(0, spread), (1, spread)], "nothing is hidden there");
    // Whoever keeps up a trail, but lets Seeks vanish, draws them for a moment only.
    let (_, mut lone) = relay(balanced(), 2);
    let seek = lone.seek(&key(3), key(5).address());
    let hidden = Frame::Seek { mode: SeekMode::Flood(Phase::Hidden), message: seek };
    assert_eq!(seeks(&lone.frame(2, hidden)), [(1, SeekMode::Directed)]);
    lone.run(8 * SECOND);
    let seek = lone.seek(&key(3), key(5).address());
    assert_eq!(seeks(&lone.frame(2, flooded(seek))), [(0, spread), (1, spread)]);
}

#[test]
fn a_letter_for_a_flood_of_ours_goes_where_it_smells_most() {
    let mut lone = Lone::within(unhidden(balanced()), 3);
    let done = lone.input(Input::Broadcast { port: PORT, topic: Topic([1; 16]), body: Bytes::from_static(b"?") });
    let flood = done.sent.first().map(|(_, _, frame)| frame.clone());
    let Some(Frame::Flood { message, .. }) = flood else { panic!("the flood leaves") };
    lone.run(SECOND);
    // A neighbour brings it back, as in any network with a circle: half the scent of the port.
    let from = message.author();
    lone.frame(1, Frame::Flood { phase: Phase::Counted(1), message });
    for _ in 0..100 {
        let letter = lone.letter(&key(7), from);
        let done = lone.frame(0, Frame::Letter { message: letter });
        let heard = |done: &Done| done.events.iter().find(|(_, e)| matches!(e, Event::Letter { .. })).map(|_| ());
        assert!(done.to(1).is_empty() && wait(&mut lone, heard).is_some(), "always the same way, and no chance");
    }
}

#[test]
fn copies_of_a_flood_leave_at_different_times_and_those_of_ours_like_others() {
    let leave = |own: bool| {
        let mut setting = unhidden(balanced());
        setting.shape.jitter = JITTER;
        let mut lone = Lone::within(setting, 5);
        if own {
            lone.input(Input::Broadcast { port: PORT, topic: Topic([0; 16]), body: Bytes::from_static(b"?") });
        } else {
            let flood = lone.flood(&key(1));
            lone.frame(4, Frame::Flood { phase: Phase::Hidden, message: flood });
        }
        let (start, mut times) = (lone.clock, BTreeMap::new());
        while let Some(done) = lone.next(start + LONG) {
            times.extend(done.sent.iter().map(|(link, _, _)| (*link, lone.clock - start)));
        }
        times
    };
    for times in [leave(false), leave(true)] {
        assert!(times.len() >= 4);
        let distinct: std::collections::BTreeSet<_> = times.values().collect();
        assert_eq!(distinct.len(), times.len());
        assert!(times.values().all(|time| !time.is_zero() && *time <= 5 * JITTER));
    }
    assert_eq!(leave(false), leave(false), "the same topic waits equally long again");
}

#[test]
fn whoever_holds_all_he_can_pushes_nobody_out() {
    let mut lone = Lone::within(balanced(), 2);
    let (hog, _, _) = laid(&mut lone, 0, 1);
    let (modest, trail, _) = laid(&mut lone, 1, 2);
    let before = lone.counters();
    for _ in 0..4096 {
        lone.frame(0, bulk(hog));
    }
    let dropped = lone.counters().drops.full - before.drops.full;
    assert!(dropped > 0, "64 MiB are more than there is room for");
    assert!(lone.counters().live.held_bytes as usize <= limits::HELD_BYTES / 2, "half of the room is left");
    for _ in 0..100 {
        lone.frame(1, bulk(modest));
    }
    assert_eq!(lone.counters().drops.full - before.drops.full, dropped, "the other lost nothing");
    let done = lone.run(LONG);
    let heard = done.events.iter().filter(|event| heard_at(event) == Some(trail)).count();
    assert_eq!(heard, 100);
    let marked = |(_, event): &&(PortId, Event)| matches!(event, Event::Data { ecn: Ecn::Experienced, .. });
    let marks = done.events.iter().filter(marked).count() as u64;
    assert!(marks > 0 && marks < 4096 - dropped, "{marks}: senders hear of it before something is lost");
    assert_eq!((lone.counters().live.held, lone.counters().live.held_bytes), (0, 0));
}

#[test]
fn data_of_a_length_that_the_network_does_not_have_is_an_offence() {
    let mut lone = Lone::within(balanced(), 2);
    let (label, trail, _) = laid(&mut lone, 0, 1);
    let odd = lone.input(Input::Data { trail, ecn: Ecn::NotCapable, body: Bytes::from_static(&[0; 255]) });
    assert!(odd.sent.is_empty());
    assert_eq!(lone.counters().drops.invalid, 1, "this node's own is only dropped");
    let done = lone.frame(0, data(label, &[0; 257]));
    assert_eq!(done.violations, [(LinkId(0), Violation::DataSize)]);
    assert_eq!(lone.counters().live.links, 1);
}

#[test]
fn a_trail_that_its_seeker_has_no_use_for_is_refused_as_late_as_from_afar() {
    let setting = unhidden(balanced());
    let question = answer_time(&mut Lone::within(setting, 1), 0, 1);
    let mut lone = Lone::within(setting, 2);
    let connection = mute_core::ConnectionId(1);
    lone.input(Input::Connect { port: PORT, connection, target: key(5).address() });
    let mut seeks = Vec::new();
    while seeks.len() < 2 {
        let done = lone.next(lone.clock + 20 * SECOND).expect("it tries again");
        seeks.extend(done.to(0).iter().filter_map(|frame| match frame {
            Frame::Seek { message, .. } => Some(message.id()),
            _ => None,
        }));
    }
    let trail = lone.trail(&key(5), seeks[0]);
    lone.frame(0, Frame::Trail { label: Label(1), message: trail });
    assert_eq!(lone.counters().trails.delivered, 1);
    let trail = lone.trail(&key(5), seeks[1]);
    let done = lone.frame(0, Frame::Trail { label: Label(3), message: trail });
    assert!(done.closes().is_empty(), "a relay could not know yet");
    let closed = wait(&mut lone, |done| done.closes().first().copied());
    assert_eq!(closed, Some((question, (LinkId(0), Label(3)))));
    let told = lone.run(SECOND).events.iter().any(|(_, event)| matches!(event, Event::TrailClosed { .. }));
    assert!(!told, "the port never knew of it");
    // The trail that carries breaks: the next Seek leaves when the identity has heard of it.
    lone.frame(0, Frame::Close { label: Label(1) });
    let sought = |done: &Done| done.sent.iter().find(|(_, _, f)| matches!(f, Frame::Seek { .. })).map(|_| ());
    let (time, ()) = wait(&mut lone, sought).expect("it seeks again");
    assert!(time >= question && time <= question + 5 * setting.shape.jitter, "{time:?}");
}

#[test]
fn a_keep_does_not_count_what_its_sender_has_not_heard_yet() {
    let mut lone = Lone::within(balanced(), 1);
    let (label, _, turnaround) = laid(&mut lone, 0, 1);
    // A packet every millisecond, until a Keep comes.
    let (mut sent_at, mut keep) = (vec![Duration::ZERO], None);
    while keep.is_none() {
        lone.frame(0, packet(label));
        sent_at.push(lone.clock);
        let until = lone.clock + Duration::from_millis(1);
        while let Some(done) = lone.next(until) {
            keep = done.sent.iter().find_map(|(_, _, frame)| match frame {
                Frame::Keep { message, .. } => Some((lone.clock, message.report().received)),
                _ => None,
            });
        }
        lone.clock = until;
    }
    let (at, received) = keep.expect("it came");
    let heard = sent_at.iter().filter(|sent| **sent + turnaround <= at).count() as u64;
    assert_eq!(received, heard);
    assert!(sent_at.len() as u64 > received, "some were on their way");
}

#[test]
fn a_balanced_network_connects_talks_and_forgets() {
    for seed in 0..3 {
        let mut network = Network::grid_within(world(balanced(), u32::from(seed)), 4, 4, seed);
        let connection = network.connect(0, 15);
        network.run(10 * SECOND);
        let (ours, theirs) = (network.last_trail(0, false), network.last_trail(15, true));
        network.send(0, ours, vec![1; 256]);
        network.run(5 * SECOND);
        network.send(15, theirs, vec![2; 4096]);
        network.run(5 * SECOND);
        assert_eq!(network.received(15).len(), 1);
        assert_eq!(network.received(0), [(ours, Bytes::from(vec![2; 4096]))]);
        network.input(0, Input::Disconnect { connection });
        network.run(5 * SECOND);
        let closed = |happened: &&crate::network::Happened| {
            happened.node == 15 && matches!(happened.event, Event::TrailClosed { why: Close::ByPeer, .. })
        };
        assert_eq!(network.happened.iter().filter(closed).count(), 1);
        assert!((0..16).all(|node| network.counters(node).live.bindings == 0));
        assert!((0..16).all(|node| network.counters(node).live.held == 0));
    }
}

/// What following the row costs: how many directed Seeks are answered of those that a network sends where each owner was found before.
fn directed_found(setting: Setting) -> (usize, usize) {
    let (owner, earlier) = (24, [0, 20, 4, 12]);
    let (mut answered, mut sought) = (0, 0);
    for number in 0..4_u8 {
        let mut network = Network::grid_within(world(setting, u32::from(number)), 5, 5, number);
        for from in earlier {
            network.connect(from, owner);
            network.run(10 * SECOND);
        }
        for from in (0..24).filter(|from| !earlier.contains(from)) {
            let passed = |network: &Network| (0..25).map(|node| network.counters(node).seeks.relayed).sum::<u64>();
            let (trails, before) = (network.opened(from, false).len(), passed(&network));
            network.connect(from, owner);
            network.run(5 * SECOND / 2);
            // A flood would have been passed on by everybody.
            if passed(&network) - before < 20 {
                sought += 1;
                answered += usize::from(network.opened(from, false).len() > trails);
            }
            network.run(20 * SECOND);
        }
    }
    (answered, sought)
}

#[test]
fn directed_seeks_still_find_their_way() {
    let (answered, sought) = directed_found(balanced());
    assert!(sought >= 40, "{sought}");
    assert!(answered * 100 >= sought * 95, "{answered} of {sought}");
}

/// How many letters reach whoever asked, of those that all others of a network answer a flood with.
fn letters_delivered(setting: Setting) -> (usize, usize) {
    let topic = Topic::of("search");
    let (mut delivered, mut sent) = (0, 0);
    for number in 0..6_u8 {
        let mut network = Network::grid_within(world(setting, u32::from(number)), 5, 5, number);
        for node in 1..25 {
            network.input(node, Input::Subscribe { port: PORT, topic });
        }
        network.input(0, Input::Broadcast { port: PORT, topic, body: Bytes::from_static(b"?") });
        network.run(5 * SECOND);
        let heard: Vec<_> = network
            .happened
            .iter()
            .filter_map(|happened| match happened.event {
                Event::Heard { from, .. } => Some((happened.node, from)),
                _ => None,
            })
            .collect();
        for (node, from) in heard {
            network.input(node, Input::Letter { port: PORT, to: from, sealed: Bytes::from_static(b"this") });
            sent += 1;
        }
        network.run(5 * SECOND);
        let read =
            |happened: &&crate::network::Happened| happened.node == 0 && matches!(happened.event, Event::Letter { .. });
        delivered += network.happened.iter().filter(read).count();
    }
    (delivered, sent)
}

#[test]
fn letters_still_find_their_way() {
    let (delivered, sent) = letters_delivered(balanced());
    assert!(sent >= 100, "{sent}");
    assert!(delivered * 100 >= sent * 95, "{delivered} of {sent}");
}
