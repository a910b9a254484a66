//! Every decoder of the list, and the list itself.

use std::path::{Path, PathBuf};

use mute_core::fuzzing::{DECODERS, hammer, missing_from, read_corpus};

/// Inputs for each decoder.
const INPUTS: u64 = 1_000_000;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn beat(name: &str) {
    let decoder = DECODERS.iter().find(|decoder| decoder.name == name).expect("it is in the list");
    let corpus = read_corpus(&here("tests/corpus").join(name)).expect("every decoder has a corpus");
    assert!(!corpus.is_empty(), "{name} has an empty corpus");
    let hammered = hammer(decoder, &corpus, INPUTS, 1);
    assert!(hammered.inputs > INPUTS);
    let accepted = hammered.accepted;
    assert!(accepted > INPUTS / 100, "{name} accepted {accepted}: nothing gets past the first check");
}

/// One test for each decoder, so that they run beside each other.
macro_rules! beaten {
    ($($name:ident),*) => {
        $(#[test] fn $name() { beat(stringify!($name)); })*
        const BEATEN: &[&str] = &[$(stringify!($name)),*];
    };
}

beaten!(decode_frame, decode_next, decode_hello, decode_succession, decode_address, decode_node_key, decode_saved);

#[test]
fn every_listed_decoder_is_beaten_and_has_a_fuzz_target() {
    for decoder in DECODERS {
        assert!(BEATEN.contains(&decoder.name), "{} is listed and not beaten", decoder.name);
        let target = here("fuzz/fuzz_targets").join(decoder.name).with_extension("rs");
        assert!(target.is_file(), "{} has no fuzz target", decoder.name);
    }
}

#[test]
fn no_decoder_of_this_crate_is_missing_from_the_list() {
    let complaints = missing_from(&[DECODERS], &here("src")).expect("the sources are readable");
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_missing_decoder_is_noticed() {
    let (forgotten, rest) = DECODERS.split_first().expect("the list is not empty");
    let complaints = missing_from(&[rest], &here("src")).expect("the sources are readable");
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0].starts_with(forgotten.name), "{complaints:?}");
}
