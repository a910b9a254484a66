//! How the command line talks to the daemon: MessagePack messages, each with its length before it, over a unix socket
//! in the home that only its owner can open.
//!
//! A client says [`Request::Hello`] first; then it sends one request at a time and reads replies until
//! [`Reply::Done`] or [`Reply::Failed`]. It may say [`Request::Cancel`] in between; going away cancels as well.

mod client;
mod codec;
mod protocol;
mod server;

pub use client::Client;
pub(crate) use client::unexpected;
pub use codec::{decode_reply, decode_request};
pub use protocol::{Argument, PROTOCOL, PluginArgument, PluginCommand, Reply, Request, Resources, Status, Step};
pub use server::{Replies, Server, Service};
