//! What a plugin can call: every import of `plugin.wit`.
//!
//! A guest's mistake is answered by an error of the interface; a trap would only mean that the host broke its own rules.
//! An interface that was not granted answers `denied` at each of its doors; behind them nothing can be held without it.

#![expect(
    unreachable_pub,
    reason = "the bindings export the resources again, which needs them public in a private module"
)]

mod basics;
mod bytes;
mod channel;
mod connection;
mod file;
mod folder;
mod folder_changes;
mod routing;
mod storage;
mod streams;

pub use channel::Channel;
pub use connection::Connection;
pub use file::File;
pub use folder::Folder;
pub use routing::{ConnectOptions, Identity};
pub(in crate::plugin) use streams::{Forward, Once, ReceiverBytes};

use super::{
    bindings::mute::plugin::{folders, routing as routing_wit, types},
    code, limits,
    state::State,
};

/// What an import answers: the outer error is a trap.
type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl types::Host for State {}
impl routing_wit::Host for State {
    fn verify(
        &mut self,
        signer: Vec<u8>,
        context: String,
        data: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<bool> {
        let Ok(signer) = <[u8; 32]>::try_from(signer) else { return Ok(false) };
        Ok(self.host.network.verify(&mute_core::Address(signer), &context, &data, &signature))
    }
}
impl folders::Host for State {
    fn granted(&mut self) -> wasmtime::Result<Vec<folders::Grant>> {
        if !self.shared.grants.permissions.folders {
            return Ok(Vec::new());
        }
        let grants = self.shared.grants.all();
        Ok(grants.iter().map(|grant| folders::Grant { name: grant.name.clone(), can_write: grant.can_write }).collect())
    }
}

/// An address as a guest gave it.
fn address(bytes: &[u8]) -> Result<mute_core::Address, types::Error> {
    let key = <[u8; 32]>::try_from(bytes).map_err(|_| types::Error::new(code::INVALID, "an address has 32 bytes"))?;
    Ok(mute_core::Address(key))
}

/// The bounds of a topic, a protocol or a context.
fn check_name(what: &str, name: &str) -> Result<(), types::Error> {
    if name.is_empty() || name.len() > limits::NAME_BYTES {
        let message = format!("a {what} has 1 to {} bytes", limits::NAME_BYTES);
        return Err(types::Error::new(code::INVALID, message));
    }
    Ok(())
}
