//! Who gets how much: small sizes of `fairness`. Each part runs with first-in-first-out queues as well, and is red if those meet the bound too.

use mute_sim::{
    Record,
    scenarios::fairness::{Fairness, Part},
};

fn run(part: Part, runs: u32) -> Record {
    Fairness { parts: vec![part], window: 15, runs, control_runs: runs.div_ceil(10) }.run(2)
}

fn assert_holds(record: &Record, checks: usize) {
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty() && record.checks.len() == checks, "{failed:?}");
}

#[test]
fn ten_equal_flows_get_the_same() {
    assert_holds(&run(Part::Equal, 0), 2);
}

#[test]
fn a_bystander_keeps_its_share_beside_hogs() {
    // Four hogs, beside none, one and three others, with both queues.
    assert_holds(&run(Part::Hogs, 0), 24);
}

#[test]
fn twice_the_load_costs_little_goodput() {
    assert_holds(&run(Part::Overload, 0), 2);
}

#[test]
fn nothing_waits_for_ever() {
    assert_holds(&run(Part::Stuck, 40), 3);
}
