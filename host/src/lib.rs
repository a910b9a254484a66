//! The MUTE host: an anonymous network that hosts sandboxed plugins.

/// What a node keeps on disk.
pub mod store;
