//! Streams and letters between addresses, on top of the node's trails.
//!
//! Two addresses talk QUIC inside MUTE: [a socket](socket) carries a connection's datagrams as [sealed](seal) packets on
//! trails, [TLS](tls) proves the addresses, [the transport's parameters](transport) suit packets of 15 or 16 KB. An identity is
//! driven by [one task](events) that hears the router; [dialling](dial) and [listening](listener) make
//! [connections](connection), each looked after by a task of its own, and those carry [channels](channel). What needs no
//! connection goes as [letters](letter) and broadcasts into [mailboxes](mailbox). All connections of a host share
//! [one budget](window) of memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mute_core::{Address, IdentityKey};
use tokio_util::sync::CancellationToken;

mod below;
mod channel;
mod connection;
mod dial;
pub mod error;
mod events;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod identity;
pub mod letter;
mod listener;
mod mailbox;
mod preface;
pub mod seal;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
#[cfg(feature = "relay-view")]
mod unsealed;
mod window;

pub use channel::{Channel, ChannelReader, ChannelWriter};
pub use connection::{Connection, Stats};
pub use error::Error;
pub(crate) use identity::plugin_text;
pub use identity::{Identity, LettersDropped, MAX_BROADCAST, verify};
pub use listener::Listener;
pub use mailbox::{Message, Subscription};

use crate::node;
use window::Budget;

/// What a connection shall be like.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// What to speak: 1 to 128 bytes.
    pub protocol: String,
    /// Prove the own address to the peer; otherwise it sees a one-time address.
    pub show_identity: bool,
    /// Much will be carried, and nobody waits for the single byte: more is sent ahead.
    pub bulk: bool,
    /// How long to try, at most ten minutes.
    pub timeout: Duration,
}

/// Makes identities on one node. Cheap to clone.
#[derive(Clone)]
pub struct Overlay(Arc<Inner>);

struct Inner {
    node: node::Handle,
    budget: Arc<Budget>,
    living: Arc<Mutex<HashMap<Address, Lifetime>>>,
}

/// The two ends of an identity: its last handle is dropped, its port is closed.
#[derive(Clone)]
struct Lifetime {
    ending: CancellationToken,
    ended: CancellationToken,
}

impl Overlay {
    /// Identities on this node.
    pub fn new(node: node::Handle) -> Self {
        Self(Arc::new(Inner { node, budget: Arc::default(), living: Arc::default() }))
    }

    /// Brings an identity to life. If one with the same address is about to close, waits for that.
    ///
    /// # Errors
    /// `invalid`: the address lives here already. `closed`: the node has stopped.
    pub async fn identity(&self, key: IdentityKey) -> Result<Identity, Error> {
        let claim = self.claim(key.address()).await?;
        let port = self.0.node.open_port(key.clone()).await?;
        let sender = Arc::new(port.sender.clone());
        let identity =
            Identity::new(key, self.0.node.profile().shape(), sender, self.0.budget.clone(), claim.0.ending.clone())?;
        let shared = identity.0.shared.clone();
        tokio::spawn(async move {
            let mut port = port;
            events::run(shared, &mut port.events).await;
            // First the port is closed, then the address is free.
            drop(port);
            drop(claim);
        });
        Ok(identity)
    }

    /// Takes the address for one identity.
    async fn claim(&self, address: Address) -> Result<Claim, Error> {
        loop {
            let earlier = {
                let mut living = self.0.living.lock().unwrap_or_else(PoisonError::into_inner);
                match living.get(&address) {
                    Some(earlier) if !earlier.ending.is_cancelled() => {
                        return Err(Error::invalid("this identity is in use already"));
                    }
                    Some(earlier) => earlier.ended.clone(),
                    None => {
                        let lifetime = Lifetime { ending: CancellationToken::new(), ended: CancellationToken::new() };
                        living.insert(address, lifetime.clone());
                        return Ok(Claim(lifetime, address, self.0.living.clone()));
                    }
                }
            };
            earlier.cancelled().await;
        }
    }
}

/// An address that is taken; dropping it leaves the address to others.
struct Claim(Lifetime, Address, Arc<Mutex<HashMap<Address, Lifetime>>>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.2.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
        self.0.ended.cancel();
    }
}
