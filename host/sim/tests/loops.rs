//! What is sent for an address that is gone dies down.

use mute_sim::scenarios::loops::Loops;

#[test]
fn a_ring_of_scent_falls_silent() {
    let record = Loops { nodes: 20, messages: 1000, seconds: 100 }.run(1);
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).map(|check| &check.name).collect();
    assert!(record.passed() && failed.is_empty(), "{failed:?}");
}
