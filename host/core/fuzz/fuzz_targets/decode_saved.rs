//! `decode_saved` of the list of decoders.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mute_core::fuzzing::check;

fuzz_target!(|input: &[u8]| {
    check("decode_saved", input);
});
