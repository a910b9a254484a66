//! What QUIC is told of the lanes of a link: each is a stream, whose first byte is the lane's number.

use mute_core::scheduler::Lane;

/// QUIC sends what it has of a higher priority first: control, then interactive, then all else by turns. It has little of each; who gets how
/// much is decided before, by the scheduler.
pub(super) fn priority(lane: Lane) -> i32 {
    match lane {
        Lane::CONTROL => 2,
        Lane::INTERACTIVE => 1,
        _ => 0,
    }
}
