//! Whoever comes and goes is found by who sees all nodes; whoever stays hides among those who stay.

use mute_sim::scenarios::attacks::intersection::Intersection;

#[test]
fn who_stays_hides_among_those_who_stay() {
    let record = Intersection { nodes: 0, hours: 0, small: true }.run(1);
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
