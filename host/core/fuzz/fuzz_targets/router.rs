//! A router among neighbours and ports that do anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mute_core::fuzzing::run_program;

fuzz_target!(|program: &[u8]| {
    run_program(program);
});
