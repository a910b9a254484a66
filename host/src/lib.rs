//! The MUTE host: an anonymous network that hosts sandboxed plugins.

/// Plugins and what they may do.
pub mod plugin;
/// What a node keeps on disk.
pub mod store;
