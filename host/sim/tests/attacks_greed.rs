//! Greed costs the greedy; without its defence each case costs others.

use mute_sim::scenarios::attacks::greed::Greed;

#[test]
fn greed_costs_the_greedy() {
    let record = Greed { networks: 1, small: true }.run(1);
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
