//! The simulator by itself, so that a cluster needs no plugin host to run seeds.

use std::process::ExitCode;

fn main() -> ExitCode {
    mute_sim::main(std::env::args_os().skip(1), &[])
}
