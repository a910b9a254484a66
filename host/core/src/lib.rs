//! MUTE core.
