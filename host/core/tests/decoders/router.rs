//! The router under random programs: no panic, every bound held, every table consistent.

use std::path::Path;

use mute_core::{
    fuzzing::{Ran, read_corpus, run_crowd, run_program},
    limits,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Runs random programs of so many inputs in all, of what neighbours, ports and the clock do.
fn run(inputs: usize, seed: u64) -> Ran {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut sum = Ran::default();
    while sum.steps < inputs {
        let mut program = vec![0; 64 + (rng.next_u32() % 32_768) as usize];
        rng.fill_bytes(&mut program);
        sum = sum.plus(run_program(&program));
    }
    // Programs that get nowhere would prove nothing.
    let least = inputs as u64 / 1000;
    let Ran { trails, packets, violations, held, walks, spread, unhidden, spared, restarts, drops, .. } = sum;
    let often = [trails, packets, held, walks, spread, unhidden, spared];
    assert!(often.iter().all(|times| *times > least) && violations.min(restarts) > least / 10, "{sum:?}");
    // Of all reasons but want of room, which is a crowd's.
    assert!(drops.iter().enumerate().all(|(reason, times)| reason == 4 || *times > least / 10), "{sum:?}");
    sum
}

#[test]
fn random_programs_break_nothing() {
    run(200_000, 1);
}

/// `cargo test -p mute-core --all-features --test decoders -- --ignored --nocapture a_million`
#[test]
#[ignore = "takes a minute"]
fn a_million_random_inputs_break_nothing() {
    println!("{:?}", run(1_000_000, 2));
}

#[test]
fn a_crowd_of_links_fills_every_table_and_none_overflows() {
    let [ids, rows, seeks, hidden] = run_crowd(400_000);
    assert_eq!([ids, rows], [limits::MAX_SEEN, limits::MAX_ROWS].map(|most| most as u64));
    assert!(seeks > 500 && hidden > limits::MAX_HIDDEN_PER_HOP as u64, "{seeks} Seeks, {hidden} hidden messages");
}

#[test]
fn kept_programs_break_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/router");
    let programs = read_corpus(&folder).expect("the corpus is readable");
    assert!(!programs.is_empty());
    for program in programs {
        assert!(run_program(&program).steps > 0);
    }
}
