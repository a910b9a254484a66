//! What `mute run` puts together: store, node, overlay, plugins and the control socket, from the bottom up; and how it
//! all ends, from the top down.

mod folders;
mod logging;
mod peers;
mod service;

use std::{io::Read as _, sync::Arc, time::Duration};

use mute_core::NetworkId;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Output, interrupted},
    config::Config,
    control::Server,
    error::{Error, Kind, Result},
    home::{Home, make_private_folder},
    link::{BindError, NodeSecret},
    node::{self, NodeConfig, StartError},
    overlay::Overlay,
    plugin::{Options, Plugins, Timing, network::overlay::OverlayNetwork},
    store::{FolderGrant, Store, StoreError},
};

/// The name of the folder that every plugin may write to.
const DOWNLOADS: &str = "downloads";
/// How long plugins and links may take to end well; after it the process ends anyhow.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Makes the node's key on its first use; its text.
pub(crate) fn make_key(home: &Home) -> Result<String> {
    let seed = open_store(home)?.node_key().map_err(store_failed)?;
    Ok(NodeSecret::from_seed(&seed).key().to_string())
}

/// Leaves the plugins of this program off in a home that has not run yet.
pub(crate) fn disable_plugins(home: &Home) -> Result<()> {
    let store = open_store(home)?;
    crate::embedded::EMBEDDED.iter().try_for_each(|(name, _)| store.set_enabled(name, false).map_err(store_failed))
}

fn open_store(home: &Home) -> Result<Store> {
    Store::open(&home.store_file()).map_err(store_failed)
}

fn store_failed(error: StoreError) -> Error {
    let kind = if matches!(error, StoreError::InUse) { Kind::Busy } else { Kind::Failure };
    Error::new(kind, error.to_string())
}

/// Runs the node of `home` until a signal, `mute stop`, or (`with_parent`) the end of standard input.
pub(crate) async fn run(home: Home, output: Output, with_parent: bool) -> Result<()> {
    home.must_be_initialised()?;
    let config = Config::load(&home.config_file())?;
    // Held until the end: a second daemon on this home finds it taken.
    let _lock = home.lock()?;
    logging::start(&home, &config.log, output.is_quiet(), output.is_coloured())?;
    let stop = CancellationToken::new();
    if with_parent {
        end_with_parent(stop.clone());
    }
    let daemon = Daemon::start(home, config).await?;
    output.message(&format!("ready, listening on {}", daemon.status().await?.listen));
    daemon.serve(stop).await
}

/// A node with all its parts.
struct Daemon {
    home: Home,
    node: node::Handle,
    plugins: Plugins,
    service: Arc<service::Service>,
    server: Server,
    store: Store,
}

impl Daemon {
    async fn start(home: Home, config: Config) -> Result<Self> {
        let server = Server::bind(&home)?;
        let store = open_store(&home)?;
        let node = start_node(&config, &store).await?;
        let overlay = Overlay::new(node.clone());
        for folder in [home.plugins_folder(), home.cache_folder(), home.downloads_folder()] {
            make_private_folder(&folder)?;
        }
        // Plugins run on threads of their own; what they set going in the network belongs to this runtime.
        let network = Arc::new(OverlayNetwork::new(overlay, tokio::runtime::Handle::current()));
        let plugins = Plugins::start(plugin_options(&home, &config), store.clone(), network)
            .await
            .map_err(|error| Error::failure(error.to_string()))?;
        let service = Arc::new(service::Service::new(&home, &config, node.clone(), store.clone(), plugins.clone()));
        tracing::info!("the node runs");
        Ok(Self { home, node, plugins, service, server, store })
    }

    async fn status(&self) -> Result<node::Status> {
        self.node.status().await.map_err(|error| Error::failure(error.to_string()))
    }

    /// Serves the control socket until the end, then ends everything in order.
    async fn serve(self, stop: CancellationToken) -> Result<()> {
        // Outlives the plugins, so that whoever asked for the end hears of it.
        let server_stop = CancellationToken::new();
        let server = tokio::spawn(self.server.run(Arc::clone(&self.service), server_stop.clone()));
        tokio::select! {
            () = interrupted() => {}
            () = stop.cancelled() => {}
            () = self.service.stop_asked() => {}
        }
        tracing::info!("stopping");
        let ending = async {
            self.plugins.shutdown().await;
            self.node.stop().await;
        };
        tokio::select! {
            ended = tokio::time::timeout(SHUTDOWN_PATIENCE, ending) => {
                match ended {
                    // Else the next run takes it that this one heard messages until it was killed.
                    Ok(()) => end_run(&self.store).await,
                    Err(_) => tracing::warn!("not all ended in time"),
                }
            }
            // The second signal forces it.
            () = interrupted() => {}
        }
        server_stop.cancel();
        let _ = server.await;
        // A leftover does no harm: the next daemon removes it.
        let _ = std::fs::remove_file(self.home.control_socket());
        Ok(())
    }
}

/// Notes when this run ended. Whatever goes wrong costs the next run two minutes of scent.
async fn end_run(store: &Store) {
    let store = store.clone();
    if !matches!(tokio::task::spawn_blocking(move || store.end_run(unix_now())).await, Ok(Ok(()))) {
        tracing::warn!("the end of this run was not written down");
    }
}

/// Seconds since 1970-01-01 UTC.
fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn start_node(config: &Config, store: &Store) -> Result<node::Handle> {
    let seed = store.node_key().map_err(store_failed)?;
    let network = NetworkId::derive(&config.network, config.profile);
    let mut node = NodeConfig::new(NodeSecret::from_seed(&seed), network, config.profile);
    node.heard_until = store.begin_run(unix_now()).map_err(store_failed)?;
    node.listen = config.listen;
    // Checked when the configuration was loaded.
    node.peers = config.peer_addresses().map_err(Error::usage)?;
    node.peers.extend(peers::load(store)?);
    node.welcome = config.welcome_keys().map_err(Error::usage)?;
    node.fixed_topology = config.fixed_neighbours;
    node::start(node).await.map_err(|error| {
        let kind = match error {
            StartError::Bind(BindError::Taken(_)) => Kind::Busy,
            StartError::Bind(BindError::NoSuchAddress(_)) | StartError::Peer(_) => Kind::Usage,
            _ => Kind::Failure,
        };
        Error::new(kind, error.to_string())
    })
}

fn plugin_options(home: &Home, config: &Config) -> Options {
    let embedded = crate::embedded::EMBEDDED.to_vec();
    let downloads = FolderGrant { name: DOWNLOADS.into(), path: home.downloads_folder(), can_write: true };
    let folders = embedded.iter().map(|(name, _)| ((*name).to_owned(), vec![downloads.clone()])).collect();
    Options {
        folder: home.plugins_folder(),
        cache: home.cache_folder(),
        protected: vec![home.store_file(), home.config_file()],
        embedded,
        permissions: config.permissions(),
        folders,
        timing: Timing::default(),
    }
}

/// Stops when standard input ends. A thread of its own waits for that: one of the runtime's would keep the process.
fn end_with_parent(stop: CancellationToken) {
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while matches!(std::io::stdin().read(&mut buffer), Ok(count) if count > 0) {}
        stop.cancel();
    });
}
