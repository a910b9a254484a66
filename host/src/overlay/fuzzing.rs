//! What property tests and fuzzers need of this module (feature `fuzzing`).

use mute_core::{Address, IdentityKey};

use super::{letter, preface::Preface};

/// What was read and written again must be the same.
pub(crate) fn check_preface(input: &[u8]) -> bool {
    let Some(preface) = Preface::decode_preface(input) else { return false };
    let again = preface.encode().expect("it was read before");
    assert_eq!(Preface::decode_preface(&again), Some(preface));
    true
}

/// Prefaces of both kinds.
pub(crate) fn prefaces() -> Vec<Vec<u8>> {
    [false, true]
        .map(|shown| Preface { protocol: "chat/1".into(), shown, bulk: !shown })
        .iter()
        .map(|preface| preface.encode().expect("a preface can be encoded"))
        .collect()
}

/// Opened letters, an empty and a full one.
pub(crate) fn letters(from: &IdentityKey, to: Address) -> Vec<Vec<u8>> {
    [&[][..], &[7; 900]].map(|body| letter::write(from, to, "a topic", body, 1_700_000_000, [3; 16]).to_vec()).into()
}
