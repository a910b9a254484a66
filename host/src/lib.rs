//! The MUTE host: an anonymous network that hosts sandboxed plugins.

pub mod link;
pub mod node;
pub mod overlay;
pub mod plugin;
pub mod store;
