//! Colluders are not surer who asks than the law of hidden hops has it, and repeated questions teach them nothing.

use mute_sim::scenarios::attacks::first_spy::FirstSpy;

#[test]
fn a_path_hides_who_asks_and_a_start_everywhere_does_not() {
    let record = FirstSpy { nodes: 0, authors: 0, sessions: 0, small: true }.run(1);
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
