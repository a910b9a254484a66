//! The router under random programs: no panic, every bound held, every table consistent.

use std::path::Path;

use mute_core::fuzzing::{Ran, read_corpus, run_program};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Steps in all: what a neighbour, a port or the clock does.
const STEPS: usize = 1_000_000;

#[test]
fn random_programs_break_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut sum = Ran::default();
    while sum.steps < STEPS {
        let mut program = vec![0; 64 + (rng.next_u32() % 32_768) as usize];
        rng.fill_bytes(&mut program);
        let ran = run_program(&program);
        sum.steps += ran.steps;
        sum.trails += ran.trails;
        sum.packets += ran.packets;
        sum.violations += ran.violations;
        sum.held += ran.held;
        sum.walks += ran.walks;
        sum.spread += ran.spread;
    }
    // Programs that get nowhere would prove nothing.
    assert!(sum.trails > 1000 && sum.packets > 1000 && sum.violations > 100 && sum.held > 1000, "{sum:?}");
    assert!(sum.walks > 1000 && sum.spread > 10_000, "{sum:?}");
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
