//! MUTE.
