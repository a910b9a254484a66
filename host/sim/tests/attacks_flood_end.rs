//! Repeating a question teaches nothing, and an end without an edge tells less than one with it.

use mute_sim::scenarios::attacks::flood_end::FloodEnds;

#[test]
fn repeated_questions_teach_nothing_and_fading_tells_least() {
    let record = FloodEnds { networks: 0, targets: 0, questions: 0, repeats: 0, small: true }.run(1);
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
