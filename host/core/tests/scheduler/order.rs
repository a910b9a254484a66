//! What may overtake what.

use std::collections::BTreeMap;

use mute_core::{
    Ecn, Label,
    scheduler::{Lane, Lanes},
    wire::Frame,
};
use proptest::prelude::*;

use crate::tools::{close, data, label_of, link, ms, numbered, queue};

#[test]
fn a_close_goes_behind_what_waits_of_its_trail() {
    let mut queue = queue();
    for label in [2, 4] {
        for _ in 0..3 {
            queue.push(link(1), data(label, 16_000), ms(0));
        }
    }
    queue.push(link(1), close(2), ms(1));
    queue.push(link(1), close(600), ms(1));
    let order: Vec<_> =
        (0..).map_while(|_| queue.pop(ms(2))).map(|frame| (label_of(&frame), frame.is_data())).collect();
    assert_eq!(order[0], (600, false), "a Close of a trail with nothing waiting goes first");
    assert_eq!(order[1..], [(2, true), (2, true), (2, true), (2, false), (4, true), (4, true), (4, true)]);
}

#[test]
fn a_close_outlives_the_data_before_it() {
    let mut queue = queue();
    queue.push(link(1), data(2, 16_000), ms(0));
    queue.push(link(1), close(2), ms(0));
    assert_eq!(queue.pop(ms(60_000)), Some(close(2)));
    assert_eq!(queue.counters().expired, 1);
    // Or gives way to what comes, when the queue is full, and goes as control.
    queue.push(link(1), data(2, 16_000), ms(60_000));
    queue.push(link(1), close(2), ms(60_000));
    while queue.counters().evicted < 10 {
        queue.push(link(1), data(2, 16_000), ms(60_000));
    }
    assert_eq!(queue.pop(ms(60_000)), Some(close(2)));
}

/// What happens to a queue.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push { ingress: u64, trail: u64, length: usize },
    Pop { lanes: u8 },
    Wait { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (0..3_u64, 0..6_u64, prop_oneof![30..1200_usize, 30..16_000_usize])
        .prop_map(|(ingress, trail, length)| Step::Push { ingress, trail, length });
    let pop = prop_oneof![4 => Just(0x7f), 1 => 0..0x80_u8].prop_map(|lanes| Step::Pop { lanes });
    let wait = prop_oneof![3 => 0..20_u64, 1 => 0..2_000_u64].prop_map(|ms| Step::Wait { ms });
    prop::collection::vec(prop_oneof![4 => push, 3 => pop, 1 => wait], 1..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 500 } else { 2_000 }))]

    /// Whatever comes and whichever lanes are blocked, each trail's packets leave in the order in which they came.
    #[test]
    fn a_trails_packets_stay_in_order(steps in steps()) {
        let mut queue = queue();
        let (mut now, mut number) = (0, 0);
        let mut last = BTreeMap::new();
        for step in steps {
            match step {
                Step::Push { ingress, trail, length } => {
                    number += 1;
                    // A trail has one ingress; two pairs of trails share a place in the table.
                    let label = 2 * (ingress * 1000 + trail % 4 + trail / 4 * 4 * 256);
                    queue.push(link(ingress), numbered(label, length, Ecn::Capable0, number), ms(now));
                }
                Step::Pop { lanes } => {
                    let set = Lane::all().filter(|lane| lanes >> lane.number() & 1 == 1);
                    let set = set.fold(Lanes::NONE, Lanes::with);
                    if let Some((lane, Frame::Data { label: Label(label), body, .. })) = queue.pop_from(set, ms(now)) {
                        prop_assert!(set.has(lane));
                        let mut number = [0; 8];
                        number.copy_from_slice(&body[..8]);
                        let number = u64::from_be_bytes(number);
                        let before = last.insert(label, number);
                        prop_assert!(before.is_none_or(|before| before < number), "{before:?} then {number}");
                    }
                }
                Step::Wait { ms } => now += ms,
            }
        }
    }
}
