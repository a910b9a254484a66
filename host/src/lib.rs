//! The MUTE host: an anonymous network that hosts sandboxed plugins.
