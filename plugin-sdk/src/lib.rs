//! Write plugins for MUTE in plain async Rust.
//!
//! A plugin owns anonymous [addresses](Identity). It asks questions of everybody in reach ([`Identity::broadcast`]),
//! sends [letters](Identity::send), and makes [connections](Identity::connect) that are reliable and encrypted. It never
//! sees an IP address, a neighbour or a hop. Beside that it has a [key-value store](storage), the [folders](folder) that
//! its user grants, [time], [randomness](random), a [log], and [commands] on the command line.
//!
//! # The smallest plugin
//! It answers every connection with what it receives:
//! ```
//! use mute_plugin::prelude::*;
//!
//! #[derive(Default)]
//! struct Echo;
//!
//! impl Plugin for Echo {
//!     async fn run(self: Rc<Self>, stop: Stop) -> Result<()> {
//!         let mut incoming = Identity::open("echo")?.listen("echo/1")?;
//!         while let Some(Some(connection)) = stop.or(incoming.next()).await {
//!             if let Some(channel) = connection.accept().next().await {
//!                 let (mut writer, mut reader) = channel.split();
//!                 while let Some(bytes) = reader.read(64 * 1024).await? {
//!                     writer.write_vec(bytes).await?;
//!                 }
//!                 writer.finish().await?;
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! mute_plugin::plugin!(Echo);
//! # fn main() {}
//! ```
//! It serves one at a time, and a connection that breaks ends the plugin; `examples/echo.rs` [`spawn`]s a task for each,
//! under a [`Limit`]. Its crate is a library of the types `cdylib` (the component) and `rlib` (its tests).
//!
//! # Commands
//! ```
//! use mute_plugin::prelude::*;
//!
//! #[derive(Default)]
//! struct Greeter {
//!     greeted: std::cell::Cell<u64>,
//! }
//!
//! impl Plugin for Greeter {
//!     fn commands() -> Commands<Self> {
//!         Commands::new().add(
//!             Command::new("greet", "greets someone").required("name", "whom").example("mute greeter greet Ada"),
//!             |plugin: Rc<Self>, mut call: Call| async move {
//!                 plugin.greeted.set(plugin.greeted.get() + 1);
//!                 let name = call.arguments.required("name")?;
//!                 call.output.result(format!("hello {name}"), &serde_json::json!({ "greeted": name })).await
//!             },
//!         )
//!     }
//! }
//!
//! mute_plugin::plugin!(Greeter, commands);
//! # fn main() {}
//! ```
//! [`Output::result`] takes a line for people and a value for programs; the host shows one. When the user cancels, the
//! command's future is dropped, and with it the work behind it: so keep what must survive in [`storage`].
//!
//! # What to know
//! - The service and all commands are tasks of one instance on one thread. They share the plugin's value by `Rc`: state
//!   that changes is in a `Cell` or `RefCell`, never borrowed over an `.await`.
//! - All that comes from others is hostile. [`frame::read_frame`] and [`Message::decode`] bound size and depth and refuse
//!   what is no such value; names, counts and offsets are yours to check. A panic ends the plugin; its text is logged.
//!   What others wrote reaches a terminal by [`text::harmless`] only.
//! - A [`Reader`] never takes a broken stream for a whole one. A [`Writer`] is whole after [`Writer::finish`].
//! - What the user did not grant answers [`Error::DENIED`].
//! - `std::time` and `std::fs` don't work, and a `HashMap` is seeded badly: prefer `BTreeMap` for keys from others.

// The macros of this crate name it by its name, here too.
extern crate self as mute_plugin;

mod address;
mod bindings;
pub mod commands;
mod connection;
mod error;
pub mod folder;
pub mod frame;
mod identity;
pub mod log;
mod output;
mod plugin;
pub mod random;
pub mod storage;
mod stream;
mod task;
pub mod text;
pub mod time;

pub use address::Address;
pub use commands::{Arguments, Call, Command, Commands};
pub use connection::{Channel, Channels, Connection, ConnectionStats, Incoming, Resetter};
pub use error::{Error, Result};
pub use futures_util as futures;
pub use identity::{ConnectOptions, Identity, MESSAGE_MAX, Message, Messages, verify};
pub use output::{Output, Shown};
pub use plugin::Plugin;
pub use stream::{Reader, Writer};
pub use task::{Limit, Permit, Signal, Stop, first, spawn, yield_now};

/// What most plugins use.
pub mod prelude {
    pub use crate::{
        Address, Call, Channel, Command, Commands, ConnectOptions, Connection, Error, Identity, Output, Plugin, Reader,
        Result, Stop, Writer, folder, spawn, storage,
    };
    pub use std::rc::Rc;
}

/// For the macros.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::{commands, plugin};
    pub use crate::plugin::{invoke, list_commands, run};
    pub use wit_bindgen;
}
