//! How long it gets: CoDel, marks, drops and the expiry.

use mute_core::{Ecn, scheduler::limits, wire::Frame};

use crate::tools::{Run, link, ms, numbered, queue, us};

const RATE: u64 = 1_250_000;

/// A sender at `rate` for a while, in packets of 1,400 bytes.
fn send(run: &mut Run, ecn: Ecn, rate: u64, from_us: u64, until_us: u64) {
    let mut next = from_us;
    for now in (from_us..until_us).step_by(100) {
        while next <= now {
            run.queue.push(link(1), numbered(2, 1400, ecn, now), us(now));
            next += 1400 * 1_000_000 / rate;
        }
        run.drain(now);
    }
}

#[test]
fn a_burst_is_borne_and_a_standing_queue_is_not() {
    let mut run = Run::new(RATE);
    for _ in 0..60 {
        run.queue.push(link(1), numbered(2, 1400, Ecn::NotCapable, 0), us(0));
    }
    run.drain(1_000_000);
    // 84,000 bytes are 67 ms: above the target, but not for an interval.
    assert_eq!((run.queue.counters().congested, run.sent[&2]), (0, 84_000));
    send(&mut run, Ecn::NotCapable, RATE * 5 / 4, 1_000_000, 3_000_000);
    assert!(run.queue.counters().congested >= 5, "{:?}", run.queue.counters());
    assert_eq!(run.queue.counters().marked, 0);
}

#[test]
fn marks_come_before_drops_where_they_are_understood() {
    for (ecn, marks) in [(Ecn::Capable0, true), (Ecn::Capable1, true), (Ecn::NotCapable, false)] {
        let mut run = Run::new(RATE);
        send(&mut run, ecn, RATE * 5 / 4, 0, 2_000_000);
        let counters = run.queue.counters();
        assert_eq!(counters.marked > 5, marks, "{ecn:?} {counters:?}");
        assert_eq!(counters.congested > 5, !marks, "{ecn:?} {counters:?}");
    }
}

#[test]
fn marks_are_what_goes_out() {
    let mut queue = queue();
    let (mut marked, mut sent) = (0, 0);
    for n in 0..2_000_u64 {
        for _ in 0..2 {
            queue.push(link(1), numbered(2, 1400, Ecn::Capable0, n), ms(n));
        }
        if let Some(Frame::Data { ecn, .. }) = queue.pop(ms(n)) {
            sent += 1;
            marked += u64::from(ecn == Ecn::Experienced);
        }
    }
    assert_eq!((marked, sent), (queue.counters().marked, 2_000));
    assert!(marked > 10);
}

#[test]
fn half_full_marks_at_once() {
    let mut queue = queue();
    let mut marks = |count: usize, at: u64| {
        for n in 0..count {
            queue.push(link(1), numbered(2, 1 << 14, Ecn::Capable0, n as u64), us(at));
        }
        let before = queue.counters().marked;
        while queue.pop(us(at + 1)).is_some() {}
        queue.counters().marked - before
    };
    let half = limits::MAX_INGRESS_BYTES / 2 / (1 << 14);
    assert_eq!(marks(half, 0), 0);
    assert_eq!(marks(half + 10, 10), 9);
}

#[test]
fn it_recovers() {
    let mut run = Run::new(RATE);
    send(&mut run, Ecn::Capable0, 2 * RATE, 0, 2_000_000);
    run.drain(10_000_000);
    let before = run.queue.counters();
    assert!(before.marked > 10 && run.queue.is_empty());
    send(&mut run, Ecn::Capable0, RATE * 3 / 4, 10_000_000, 15_000_000);
    assert_eq!(run.queue.counters(), before, "below the link's rate nothing is marked");
}

#[test]
fn what_reacts_is_kept_near_the_target() {
    // Halves for a mark, as TCP Reno does, once in a round trip of 50 ms; adds a packet per round trip.
    let mut run = Run::new(RATE);
    let (mut rate, mut next, mut marks, mut react) = (2 * RATE, 0, 0, 0);
    let mut late = 0;
    for now in (0..20_000_000).step_by(100) {
        while next <= now {
            run.queue.push(link(1), numbered(2, 1400, Ecn::Capable0, now), us(now));
            next += 1400 * 1_000_000 / rate;
        }
        run.drain(now);
        if now >= react {
            react = now + 50_000;
            let seen = run.queue.counters().marked;
            rate = if seen > marks { (rate * 7 / 10).max(RATE / 20) } else { rate + 28_000 };
            marks = seen;
        }
        late += u64::from(now > 2_000_000 && run.queue.bytes() as u64 > RATE / 10);
    }
    let sent: u64 = run.sent.values().sum();
    assert!(sent >= RATE * 20 * 85 / 100, "the link is idle: {sent}");
    assert!(late <= 18_000_000 / 100 / 20, "above 100 ms for {late} of 180,000 steps");
    let counters = run.queue.counters();
    assert_eq!((counters.congested, counters.expired, counters.evicted), (0, 0, 0));
}

#[test]
fn what_does_not_react_expires() {
    let mut run = Run::new(RATE);
    send(&mut run, Ecn::Capable0, 3 * RATE, 0, 10_000_000);
    let counters = run.queue.counters();
    assert!(counters.expired > 0, "{counters:?}");
    assert!(run.delays[&2] < 1_000_000, "{}", run.delays[&2]);
}

#[test]
fn a_slow_link_does_not_drop_what_it_could_not_send_sooner() {
    // 5 KB/s: the largest packet takes 3.3 s. One at a time, from each of four ingresses.
    let mut run = Run::new(5_000);
    for now in (0..120_000_000_u64).step_by(10_000) {
        if now % 16_000_000 == 0 {
            for n in 0..4 {
                run.queue.push(link(n), numbered(2 * n, 16_000, Ecn::NotCapable, now), us(now));
            }
        }
        run.drain(now);
    }
    let counters = run.queue.counters();
    let sent: u64 = run.sent.values().sum();
    assert_eq!((counters.congested, counters.expired), (0, 0), "{sent}");
    assert!(sent >= 4_000 * 120, "{sent}");
}
