//! Liars on the path are got round, by what Keeps report and by what is remembered of it.

use mute_sim::scenarios::attacks::black_holes::{BlackHoles, Set};

/// The share of trials with one fast liar that recover within three Seeks, and the checks of ends that lie.
fn run(defences: Set) -> (f64, bool) {
    let profile = mute_core::Profile::Balanced;
    let record = BlackHoles { trials: 5, patience: 420, profile, defences: Some(defences), small: true }.run(1);
    let within = record.figures.iter().find(|figure| figure.name == "one fast liar: within 3 Seeks");
    let mut ends = record.checks.iter().filter(|check| !check.name.contains("liar:"));
    (within.map_or(f64::NAN, |within| within.value), ends.all(|check| check.passed))
}

#[test]
fn one_liar_is_got_round_within_three_seeks_and_ends_that_lie_cost_nobody_else() {
    let (within, ends) = run(Set::All);
    // Of these few trials; docs/threat-model.md has many.
    assert!(within >= 0.85 && ends, "{within}");
}

#[test]
fn without_either_defence_it_is_not() {
    for set in [Set::NoJudging, Set::NoShunning] {
        let (within, _) = run(set);
        assert!(within <= 0.6, "{set:?}: {within}");
    }
}
