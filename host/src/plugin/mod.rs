//! The plugin host: WebAssembly components that reach nothing but what `plugin.wit` offers and the user granted.
//!
//! [`Plugins`] is the whole of it. One [`supervisor`] task for each plugin owns its life; the [`instance`] runs on threads of its
//! own, so that no guest can delay a link; what a guest can call stands in [`imports`]; what it may use, in [`limits`].

mod bindings;
mod cache;
mod code;
mod command;
mod component;
mod engine;
mod grants;
mod imports;
mod instance;
mod limits;
/// The anonymous network as the plugins' routing needs it.
pub mod network;
mod plugins;
mod source;
mod state;
mod status;
mod supervisor;
mod watch;

pub use command::{Argument, CallError, Command, Invocation, Output};
pub use grants::{DEFAULT_QUOTA_BYTES, Permissions};
pub use limits::{COMPONENT_BYTES, MEMORY_BYTES, Timing};
pub use plugins::{Embedded, GrantError, Options, PluginError, Plugins, StartError};
pub use source::Refused;
pub use status::{LogLine, Origin, PluginInfo, PluginState};
