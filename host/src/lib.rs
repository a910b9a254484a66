//! The MUTE host: an anonymous network that hosts sandboxed plugins.

/// Streams over MUTE against plain QUIC, measured.
mod bench;
pub mod cli;
/// The configuration file.
pub mod config;
pub mod control;
/// A running node: what `mute run` puts together.
mod daemon;
/// A private network of six nodes, shown at work.
mod demo;
/// Failures as users see them.
pub mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
/// The folders of a node.
pub mod home;
pub mod link;
pub mod node;
pub mod overlay;
/// What a process uses of the machine.
mod resources;

/// The plugins that come with this program, compiled by the build script.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}
pub mod plugin;
pub mod store;
