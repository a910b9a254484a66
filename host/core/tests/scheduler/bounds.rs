//! What a scheduler can be made to hold, and that it loses count of nothing.

use mute_core::{
    Ecn, Scheduler, SchedulerConfig,
    scheduler::{Lane, Lanes, Verdict, limits},
    wire::Verified,
};
use proptest::prelude::*;

use crate::tools::{Queue, close, data, flood, link, ms, numbered, port, queue};

#[test]
fn an_empty_one_is_small() {
    assert!(size_of::<Queue>() < 200, "{}", size_of::<Queue>());
    let mut queue = queue();
    assert_eq!((queue.pop(ms(0)), queue.bytes(), queue.level()), (None, 0, 0));
    queue.push(link(1), data(2, 1400), ms(0));
    queue.shrink();
    assert_eq!(queue.bytes(), 1400, "what waits is kept");
    assert!(queue.pop(ms(0)).is_some());
    queue.shrink();
    assert!(queue.is_empty() && queue.pop(ms(0)).is_none());
}

#[test]
fn who_holds_most_gives_way() {
    let mut queue = Queue::new(SchedulerConfig { max_bytes: 100_000, max_ingress_bytes: 100_000 });
    for n in 0..10 {
        queue.push(link(2), numbered(2, 1000, Ecn::Capable0, n), ms(0));
    }
    for n in 0..10_000 {
        queue.push(link(1), numbered(16 * n, 1000, Ecn::Capable0, n), ms(0));
        assert!(queue.bytes() <= 100_000);
    }
    let left = (0..).map_while(|_| queue.pop(ms(0))).filter(|frame| crate::tools::label_of(frame) == 2).count();
    assert_eq!(left, 10, "who holds little loses nothing");
    assert_eq!(queue.counters().evicted, 10_000 - 90);
}

#[test]
fn one_ingress_fills_its_own_share_only() {
    let mut queue = queue();
    for n in 0..2_000 {
        queue.push(link(1), data(2 * n, 16_000), ms(0));
    }
    assert!(queue.bytes() <= limits::MAX_INGRESS_BYTES);
    assert_eq!(queue.level(), 3);
    let before = queue.counters().evicted;
    for n in 0..100 {
        queue.push(link(2), data(2 * n, 16_000), ms(0));
    }
    assert_eq!(queue.counters().evicted, before);
}

#[test]
fn ingresses_that_come_and_go_are_forgotten() {
    let mut queue = queue();
    for n in 0..10_000 {
        assert_eq!(queue.push(link(n), data(2, 1400), ms(n)), Verdict::Queued);
        assert_eq!(queue.push(link(n), close(7), ms(n)), Verdict::Queued);
        assert_eq!(queue.push(link(n), flood(), ms(n)), Verdict::Queued);
        assert!((0..3).all(|_| queue.pop(ms(n)).is_some()));
    }
    assert!(queue.is_empty());
    // More than there is room for, at once: those beyond are refused, and there is room again later.
    let taken = (0..1000).filter(|n| queue.push(link(*n), data(2, 1400), ms(20_000)) == Verdict::Queued).count();
    assert_eq!(taken, limits::MAX_INGRESSES);
    assert_eq!(queue.counters().refused, 1000 - taken as u64);
    while queue.pop(ms(20_000)).is_some() {}
    assert_eq!(queue.push(link(5_000), data(2, 1400), ms(20_000)), Verdict::Queued);
}

#[test]
fn the_level_follows_the_wait() {
    let mut queue = queue();
    // A link of 1 MB/s, always busy.
    let mut now = 0;
    let mut keep = |queue: &mut Queue, bytes: usize| {
        for _ in 0..400 {
            while queue.bytes() < bytes {
                queue.push(link(1), numbered(2, 1000, Ecn::Capable0, 0), ms(now));
            }
            queue.pop(ms(now));
            now += 1;
        }
        queue.level()
    };
    assert_eq!([5_000, 30_000, 100_000, 500_000].map(|bytes| keep(&mut queue, bytes)), [0, 1, 2, 3]);
}

/// What happens to a queue.
#[derive(Clone, Copy, Debug)]
enum Step {
    Data { ingress: u64, label: u64, length: usize, ecn: u8 },
    Close { ingress: u64, label: u64 },
    Flood { ingress: u64 },
    Pop { lanes: u8, times: u8 },
    Wait { us: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ingress = || prop_oneof![4 => 0..4_u64, 1 => 0..300_u64];
    let data = (ingress(), 0..40_u64, prop_oneof![30..400_usize, 30..16_000_usize], 0..4_u8)
        .prop_map(|(ingress, label, length, ecn)| Step::Data { ingress, label, length, ecn });
    let close = (ingress(), 0..40_u64).prop_map(|(ingress, label)| Step::Close { ingress, label });
    let flood = ingress().prop_map(|ingress| Step::Flood { ingress });
    let pop = (prop_oneof![Just(0x7f), 0..0x80_u8], 1..20_u8).prop_map(|(lanes, times)| Step::Pop { lanes, times });
    let wait = prop_oneof![0..20_000_u64, 0..3_000_000_u64].prop_map(|us| Step::Wait { us });
    prop::collection::vec(prop_oneof![6 => data, 2 => close, 2 => flood, 2 => pop, 1 => wait], 1..800)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 2_000 }))]

    /// Whatever comes: no more waits than may, and each frame is sent, or counted as lost, or refused; and all that waits comes out in the end.
    #[test]
    fn bounds_hold_and_nothing_is_lost_uncounted(steps in steps()) {
        let config = SchedulerConfig { max_bytes: 200_000, max_ingress_bytes: 100_000 };
        let mut queue: Scheduler<Verified> = Scheduler::new(config);
        let (mut now, mut pushed, mut popped) = (0, 0_u64, 0_u64);
        for step in steps {
            match step {
                Step::Data { ingress, label, length, ecn } => {
                    let ecn = Ecn::from_bits(ecn).expect("two bits");
                    let hop = if ingress == 0 { port(label) } else { link(ingress) };
                    pushed += 1;
                    queue.push(hop, numbered(2 * label, length, ecn, 0), crate::tools::us(now));
                }
                Step::Close { ingress, label } => {
                    pushed += 1;
                    queue.push(link(ingress), close(2 * label), crate::tools::us(now));
                }
                Step::Flood { ingress } => {
                    pushed += 1;
                    queue.push(link(ingress), flood(), crate::tools::us(now));
                }
                Step::Pop { lanes, times } => {
                    let set = Lane::all().filter(|lane| lanes >> lane.number() & 1 == 1);
                    let set = set.fold(Lanes::NONE, Lanes::with);
                    for _ in 0..times {
                        let Some((lane, frame)) = queue.pop_from(set, crate::tools::us(now)) else { break };
                        prop_assert!(set.has(lane) && lane.admits(&frame));
                        popped += 1;
                    }
                }
                Step::Wait { us } => now += us,
            }
            prop_assert!(queue.bytes() <= config.max_bytes + limits::CONTROL_BYTES + limits::FLOOD_BYTES);
            prop_assert!(queue.level() <= 3);
        }
        while queue.pop(crate::tools::us(now)).is_some() {
            popped += 1;
        }
        prop_assert!(queue.is_empty() && queue.bytes() == 0);
        let counters = queue.counters();
        let lost = counters.congested + counters.expired + counters.evicted + counters.refused;
        prop_assert_eq!(pushed, popped + lost);
    }

    /// The same steps give the same frames.
    #[test]
    fn it_is_deterministic(lengths in prop::collection::vec((0..5_u64, 30..16_000_usize), 1..300)) {
        let run = || {
            let mut queue = queue();
            let mut sent = Vec::new();
            for (n, (ingress, length)) in (0..).zip(&lengths) {
                queue.push(link(*ingress), numbered(2 * ingress, *length, Ecn::Capable0, n), ms(n));
                if n % 2 == 0 {
                    sent.extend(queue.pop(ms(n)));
                }
            }
            sent.extend(std::iter::from_fn(|| queue.pop(ms(10_000))));
            sent
        };
        prop_assert_eq!(run(), run());
    }
}
