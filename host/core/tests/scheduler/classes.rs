//! Control, floods and Data beside one another.

use mute_core::{
    Ecn, Label,
    scheduler::{Lane, Lanes, Verdict, limits},
    wire::Frame,
};

use crate::tools::{close, data, flood, link, ms, numbered, queue};

#[test]
fn floods_get_a_tenth_while_data_waits_and_all_else_when_none_does() {
    let mut queue = queue();
    let (mut floods, mut all) = (0, 0);
    for n in 0..20_000_u64 {
        // Data of its own ingress, floods of another: both always wait.
        for frame in [numbered(2, 1400, Ecn::Capable0, n), numbered(2, 1400, Ecn::Capable0, n)] {
            queue.push(link(1), frame, ms(n));
        }
        queue.push(link(2), flood(), ms(n));
        let frame = queue.pop(ms(n)).expect("something waits");
        all += frame.encoded_len();
        floods += if matches!(frame, Frame::Flood { .. }) { frame.encoded_len() } else { 0 };
    }
    let share = floods as f64 / all as f64;
    assert!((0.095..=0.105).contains(&share), "{share}");
    while queue.pop(ms(20_000)).is_some() {}
    for _ in 0..50 {
        queue.push(link(2), flood(), ms(20_000));
    }
    assert!((0..50).all(|_| queue.pop(ms(20_000)).is_some()));
}

#[test]
fn who_floods_takes_nobody_elses_share_of_the_floods() {
    let mut queue = queue();
    let mut sent = [0_u64; 4];
    for n in 0..40_000_u64 {
        // One floods ten times as much as each of three others, and Data fills the link.
        for ingress in 0..4_u64 {
            let count = if ingress == 0 { 10 } else { 1 };
            if n % 45 == 0 {
                for _ in 0..count {
                    // The phase says whose it is.
                    let Frame::Flood { message, .. } = flood() else { unreachable!("it is a flood") };
                    let phase = mute_core::wire::Phase::Counted(1 + ingress as u8);
                    queue.push(link(ingress), Frame::Flood { phase, message }, ms(n));
                }
            }
        }
        while queue.bytes() < 2_000_000 {
            queue.push(link(9), numbered(2, 1400, Ecn::Capable0, n), ms(n));
        }
        if let Some(Frame::Flood { phase: mute_core::wire::Phase::Counted(whose), .. }) = queue.pop(ms(n)) {
            sent[usize::from(whose) - 1] += 1;
        }
    }
    let asked = 40_000 / 45;
    assert!(sent[1..].iter().all(|sent| sent * 100 >= asked * 98), "{sent:?} of {asked}");
    assert!(sent[0] < 4 * asked, "{sent:?}: more is there for the flooder's ten");
}

#[test]
fn control_goes_first_for_half_at_most() {
    let mut queue = queue();
    for _ in 0..100 {
        queue.push(link(1), data(2, 1400), ms(0));
    }
    queue.push(link(2), close(7), ms(1));
    assert_eq!(queue.pop(ms(1)), Some(close(7)));
    let (mut control, mut all) = (0, 0);
    for n in 0..20_000_u64 {
        while queue.bytes() < 200_000 {
            queue.push(link(1), numbered(2, 1400, Ecn::Capable0, n), ms(n));
            for label in 0..6 {
                queue.push(link(2), close(label), ms(n));
            }
        }
        let frame = queue.pop(ms(n)).expect("something waits");
        let charge = frame.encoded_len().max(limits::LEAST_CHARGE);
        all += charge;
        control += if frame.is_data() { 0 } else { charge };
    }
    let share = control as f64 / all as f64;
    assert!((0.49..=0.52).contains(&share), "{share}");
}

#[test]
fn no_class_starves_another() {
    let mut queue = queue();
    for window in 0..200_u64 {
        let (mut sent, mut all) = ([0; 3], 0);
        while all < 200_000 {
            for n in 0..3 {
                queue.push(link(1), numbered(2, 1400, Ecn::Capable0, n), ms(window * 100));
                queue.push(link(2), flood(), ms(window * 100));
                queue.push(link(3), close(n), ms(window * 100));
            }
            let frame = queue.pop(ms(window * 100)).expect("something waits");
            let charge = frame.encoded_len().max(limits::LEAST_CHARGE);
            let class = match frame {
                Frame::Data { .. } => 0,
                Frame::Flood { .. } => 1,
                _ => 2,
            };
            all += charge;
            sent[class] += charge;
        }
        // Half is control's, a tenth the floods', the rest Data's; in the first window what they may send ahead comes on top.
        let [data, floods, control] = sent.map(|bytes| bytes as f64 / all as f64);
        assert!(data >= 0.2 && floods >= 0.09 && control >= 0.45, "{sent:?} in window {window}");
        assert!(window == 0 || data >= 0.37 && control <= 0.52, "{sent:?} in window {window}");
    }
}

#[test]
fn control_has_a_budget_of_its_own_and_is_never_late() {
    let mut queue = queue();
    while queue.counters().evicted == 0 {
        queue.push(link(3), data(2, 16_000), ms(0));
    }
    let taken = (0..10_000).filter(|n| queue.push(link(1), close(16 * n + 8), ms(0)) == Verdict::Queued).count();
    assert_eq!(taken, limits::CONTROL_INGRESS_BYTES / limits::LEAST_CHARGE);
    assert_eq!(queue.push(link(2), close(1), ms(0)), Verdict::Queued, "another ingress has its own");
    // An hour later all Data has expired, and no Close.
    let closes = (0..).map_while(|_| queue.pop(ms(3_600_000))).filter(|frame| !frame.is_data()).count();
    assert_eq!(closes, taken + 1);
    assert!(queue.is_empty() && queue.counters().expired > 0);
}

#[test]
fn a_blocked_lane_holds_up_no_other() {
    let mut queue = queue();
    let blocked = Lane::of_bulk(Label(0));
    for _ in 0..1000 {
        queue.push(link(1), data(0, 16_000), ms(0));
    }
    for round in (0..1000).step_by(20) {
        queue.push(link(1), data(2, 16_000), ms(round));
        queue.push(link(1), data(16, 100), ms(round));
        queue.push(link(1), flood(), ms(round));
        queue.push(link(1), close(64), ms(round));
        let mut lanes = Lanes::NONE;
        while let Some((lane, frame)) = queue.pop_from(Lanes::ALL.without(blocked), ms(round)) {
            assert!(lane.admits(&frame));
            lanes = lanes.with(lane);
        }
        let all = [Lane::CONTROL, Lane::FLOOD, Lane::INTERACTIVE, Lane::of_bulk(Label(2))];
        assert!(all.into_iter().all(|lane| lanes.has(lane)), "{lanes:?} in round {round}");
    }
    assert!(!queue.is_empty());
}

#[test]
fn the_lane_of_a_trail_is_kept_while_it_sends() {
    let mut queue = queue();
    let mut lane = |length: usize, at: u64| {
        queue.push(link(1), data(2, length), ms(at));
        queue.pop_from(Lanes::ALL, ms(at)).map(|(lane, _)| lane)
    };
    assert_eq!(lane(300, 0), Some(Lane::INTERACTIVE));
    assert_eq!(lane(16_000, 10), Some(Lane::of_bulk(Label(2))));
    for at in (20..2_000).step_by(400) {
        assert_eq!(lane(300, at), Some(Lane::of_bulk(Label(2))), "at {at} ms");
    }
    assert_eq!(lane(300, 3_000), Some(Lane::INTERACTIVE), "after a silence");
}
