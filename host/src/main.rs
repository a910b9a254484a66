//! MUTE.
fn main() {}
