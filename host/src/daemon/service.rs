//! What the daemon does for the command line.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{folders, peers};
use crate::{
    cli::FOLDER,
    config::Config,
    control::{self, Argument, PluginArgument, PluginCommand, Replies, Reply, Request, Status, Step},
    error::{Error, Kind, Result},
    home::Home,
    link::{NodeKey, PeerAddress},
    node,
    plugin::{self, CallError, PluginError, Plugins},
    resources,
    store::Store,
};

/// The daemon, as its clients have it.
pub(super) struct Service {
    network: String,
    config_file: PathBuf,
    /// Neighbours that the configuration names: these come back at the next start.
    configured: Vec<PeerAddress>,
    node: node::Handle,
    store: Store,
    plugins: Plugins,
    stop: CancellationToken,
}

impl Service {
    pub(super) fn new(home: &Home, config: &Config, node: node::Handle, store: Store, plugins: Plugins) -> Self {
        Self {
            network: config.network.clone(),
            config_file: home.config_file(),
            // Checked when the configuration was loaded.
            configured: config.peer_addresses().unwrap_or_default(),
            node,
            store,
            plugins,
            stop: CancellationToken::new(),
        }
    }

    /// Resolves when a client asks for the end.
    pub(super) async fn stop_asked(&self) {
        self.stop.cancelled().await;
    }

    async fn status(&self) -> Result<Status> {
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            network: self.network.clone(),
            profile: self.node.profile(),
            node: self.node.status().await.map_err(failed)?,
            resources: resources::own(),
        })
    }

    async fn add_peer(&self, text: &str) -> Result<()> {
        let peer: PeerAddress = text.parse().map_err(usage)?;
        self.node.add_peer(peer.clone()).await.map_err(usage)?;
        self.blocking(move |store| peers::add(store, &peer)).await
    }

    async fn remove_peer(&self, text: &str, replies: &Replies) -> Result<()> {
        let key: NodeKey = text.parse().map_err(usage)?;
        let was_linked = self.node.remove_peer(key).await.map_err(failed)?;
        let was_kept = self.blocking(move |store| peers::remove(store, key)).await?;
        if self.configured.iter().any(|peer| peer.key == key) {
            let file = self.config_file.display();
            replies.send(Reply::Text(format!("it comes back at the next start: {file} names it"))).await;
        } else if !was_linked && !was_kept {
            return Err(Error::new(Kind::NotFound, "there is no such neighbour"));
        }
        Ok(())
    }

    /// Runs what waits for the disk where nobody else waits for it.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> Result<T> + Send + 'static) -> Result<T> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(failed)?
    }

    async fn commands(&self, plugin: &str) -> Result<Vec<PluginCommand>> {
        Ok(self.plugins.commands(plugin).await.map_err(of_call)?.into_iter().map(command).collect())
    }

    async fn invoke(
        &self,
        plugin: &str,
        name: String,
        arguments: Vec<Argument>,
        replies: &Replies,
        cancelled: &CancellationToken,
    ) -> Result<()> {
        let mut given = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value =
                if argument.name == FOLDER { self.grant(plugin, &argument.value).await? } else { argument.value };
            given.push((argument.name, value));
        }
        // Commands read nothing yet: what is typed belongs to the shell.
        let (_, input) = mpsc::channel(1);
        let mut run = self.plugins.invoke(plugin, &name, given, input).map_err(of_call)?;
        loop {
            tokio::select! {
                output = run.next() => match output {
                    Some(output) => replies.send(reply(output)).await,
                    None => return run.end().await.map_err(of_call),
                },
                () = cancelled.cancelled() => break,
            }
        }
        // It still says how it ended; dropping it would leave that to chance.
        run.cancel();
        while run.next().await.is_some() {}
        run.end().await.map_err(of_call)?;
        Err(Error::new(Kind::Cancelled, "cancelled"))
    }

    /// Grants a local folder to a plugin; its name there. Whoever names it on the command line has the right to.
    async fn grant(&self, plugin: &str, folder: &str) -> Result<String> {
        let path = Path::new(folder);
        if !path.is_absolute() || !path.is_dir() {
            return Err(Error::usage("the folder must be an absolute path to a folder"));
        }
        let granted = self.plugins.folders(plugin).map_err(of_plugin)?;
        let name = folders::grant_name(path, &granted);
        if !granted.iter().any(|grant| grant.name == name) {
            self.plugins.grant_folder(plugin, &name, path, false).await.map_err(of_plugin)?;
        }
        Ok(name)
    }
}

impl control::Service for Service {
    async fn serve(&self, request: Request, replies: Replies, cancelled: CancellationToken) -> Result<()> {
        match request {
            Request::Status => replies.send(Reply::Status(Box::new(self.status().await?))).await,
            Request::Stop => self.stop.cancel(),
            Request::AddPeer { peer } => self.add_peer(&peer).await?,
            Request::RemovePeer { key } => self.remove_peer(&key, &replies).await?,
            Request::Plugins => replies.send(Reply::Plugins(self.plugins.list())).await,
            Request::EnablePlugin { plugin, enabled } => {
                let switched =
                    if enabled { self.plugins.enable(&plugin).await } else { self.plugins.disable(&plugin).await };
                switched.map_err(of_plugin)?;
            }
            Request::PluginLogs { plugin } => {
                for line in self.plugins.logs(&plugin).map_err(of_plugin)? {
                    replies.send(Reply::Text(line.text)).await;
                }
            }
            Request::Commands { plugin } => replies.send(Reply::Commands(self.commands(&plugin).await?)).await,
            Request::Invoke { plugin, command, arguments } => {
                self.invoke(&plugin, command, arguments, &replies, &cancelled).await?;
            }
            Request::Hello { .. } | Request::Cancel => return Err(Error::failure("not a request")),
        }
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::failure(error.to_string())
}

fn usage(error: impl std::fmt::Display) -> Error {
    Error::usage(error.to_string())
}

/// A command's error, whose code says of what kind it is.
fn of_call(error: CallError) -> Error {
    Error::new(Kind::of_plugin_code(error.code), error.message)
}

fn of_plugin(error: PluginError) -> Error {
    let kind = match error {
        PluginError::Unknown(_) => Kind::NotFound,
        PluginError::Busy => Kind::Busy,
        PluginError::Grant(_) => Kind::Denied,
        PluginError::Store(_) => Kind::Failure,
    };
    Error::new(kind, error.to_string())
}

fn command(command: plugin::Command) -> PluginCommand {
    let argument = |argument: plugin::Argument| PluginArgument {
        name: argument.name,
        about: argument.about,
        required: argument.required,
        many: argument.many,
        takes_value: argument.takes_value,
    };
    PluginCommand {
        name: command.name,
        about: command.about,
        example: command.example,
        arguments: command.arguments.into_iter().map(argument).collect(),
    }
}

fn reply(output: plugin::Output) -> Reply {
    match output {
        plugin::Output::Text(text) => Reply::Text(text),
        plugin::Output::Json(json) => Reply::Json(json),
        plugin::Output::Progress { label, done, total, unit } => Reply::Progress(Step { label, done, total, unit }),
    }
}
