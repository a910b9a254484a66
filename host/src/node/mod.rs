//! The node: one task that owns the router, between the links below and the identities above.
//!
//! Inputs come from links (batches of verified frames), from ports (commands and sealed packets), from its user
//! ([`Handle`]) and from the clock. The task takes what there is of each, lets the router work, and puts what comes out
//! into the queues of links and ports: once per batch, without ever waiting for any of them.

mod config;
mod mailbox;
mod neighbours;
mod port;
mod status;
mod task;
mod trails;

use std::sync::Arc;

use mute_core::{IdentityKey, Profile};
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use config::{DEFAULT_MAX_LINKS, DEFAULT_NO_ROUTE_AFTER, NodeConfig};
pub use neighbours::AddPeerError;
pub use port::{Packet, Port, PortSender};
pub use status::{LinkStatus, NeighbourState, NeighbourStatus, PortsStatus, Status};

use crate::link::{BindError, NodeKey, PeerAddress};
use port::PortShared;

/// Requests of users that wait for the node.
const COMMANDS: usize = 64;

/// Ports at most; who opens one more waits until another is closed.
const MAX_PORTS: usize = 256;

/// The node is gone: it was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It has no socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A neighbour in its configuration cannot be one.
    #[error("cannot take a peer of the configuration: {0}")]
    Peer(#[from] AddPeerError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// What a user wants of the node.
enum Command {
    Status(oneshot::Sender<Status>),
    AddPeer(PeerAddress, oneshot::Sender<Result<(), AddPeerError>>),
    RemovePeer(NodeKey, oneshot::Sender<bool>),
    Stop(oneshot::Sender<()>),
}

/// A handle to the node task. Cheap to clone; when the last one and all ports are dropped the node stops.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    ports: Arc<port::Ports>,
    places: Arc<Semaphore>,
    profile: Profile,
}

/// Starts a node on the current tokio runtime.
///
/// # Errors
/// The socket cannot be opened (the port is taken), or the configuration holds what cannot be.
pub async fn start(config: NodeConfig) -> Result<Handle, StartError> {
    let (commands, requests) = mpsc::channel(COMMANDS);
    let (ports, profile) = (Arc::new(port::Ports::default()), config.profile);
    let node = task::Node::new(config, Arc::clone(&ports))?;
    tokio::spawn(node.run(requests));
    Ok(Handle { commands, ports, places: Arc::new(Semaphore::new(MAX_PORTS)), profile })
}

impl Handle {
    /// What the node's network adds to what it carries.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Opens a port for an identity. Everything but its packets arrives in [`Port::events`]. Waits if as many ports are
    /// open as may be. (A second port for an address that has one hears nothing.)
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn open_port(&self, key: IdentityKey) -> Result<Port, Stopped> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Stopped)?;
        let shared = Arc::new(PortShared::new(self.ports.port_id(), Arc::clone(&self.ports), place));
        let port = Port::open(Arc::clone(&shared), key);
        if shared.is_closed() { Err(Stopped) } else { Ok(port) }
    }

    /// The node at this moment, for `mute status`, `mute peer` and the demo's table.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn status(&self) -> Result<Status, Stopped> {
        self.ask(Command::Status).await
    }

    /// Adds a neighbour to dial, and to dial again whenever its link ends.
    ///
    /// # Errors
    /// It cannot be one, or the node has stopped.
    pub async fn add_peer(&self, peer: PeerAddress) -> Result<(), AddPeerError> {
        self.ask(|reply| Command::AddPeer(peer, reply)).await.map_err(|Stopped| AddPeerError::Stopped)?
    }

    /// Ends the link with a neighbour, forgets where it is and does not let it in again. `false`: there was none.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn remove_peer(&self, key: NodeKey) -> Result<bool, Stopped> {
        self.ask(|reply| Command::RemovePeer(key, reply)).await
    }

    /// Closes trails and links, telling the neighbours, and returns when the socket is closed.
    pub async fn stop(&self) {
        // A node that is gone is stopped.
        let _ = self.ask(Command::Stop).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}
