//! Forged and replayed messages lay no scent.

use mute_sim::scenarios::attacks::spoofing::Spoofing;

#[test]
fn forgeries_and_replays_gain_no_row() {
    let record = Spoofing { authors: 40, letters: 25, replays: 20, small: true }.run(1);
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).collect();
    assert!(record.passed() && failed.is_empty(), "{failed:?}");
}
