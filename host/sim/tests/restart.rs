//! What a restart costs is over after two minutes, and nothing where the node was away for as long.

use mute_sim::scenarios::restart::Restart;

#[test]
fn a_restart_costs_its_own_answers_for_two_minutes_and_no_connection() {
    let record = Restart { nodes: 30, restarts: 6 }.run(1);
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).collect();
    assert!(record.passed() && failed.is_empty(), "{failed:?}");
    let cost = record.figures.iter().find(|figure| figure.name == "Quick: own answers after 2 s");
    assert!(cost.is_some_and(|cost| cost.value == 0.0), "what it heard may have been heard before: {cost:?}");
}
