//! `decode_reply` of the list of decoders.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mute::fuzzing::check;

fuzz_target!(|input: &[u8]| {
    check("decode_reply", input);
});
