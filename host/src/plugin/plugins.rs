//! All plugins of a node: found, watched, listed, commanded.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{
    cache::Cache,
    code,
    command::{Call, CallError, Command, Invocation, Invoke, Life},
    component::{Compiler, Source},
    engine::Machine,
    grants::{Grants, Permissions},
    limits::{self, Timing},
    network::Network,
    source::{Folder, Refused},
    state::Host,
    status::{LogLine, Origin, PluginInfo, Shared},
    supervisor::{Common, Order, Supervisor},
    watch::{Watch, Watches},
};
use crate::store::{FolderGrant, Store, StoreError};

/// A plugin that is part of this program: its name and its component.
pub type Embedded = (&'static str, &'static [u8]);

/// What the plugins of a node are and may do.
pub struct Options {
    /// Where plugin files are dropped.
    pub folder: PathBuf,
    /// Where compiled plugins are kept.
    pub cache: PathBuf,
    /// Folders that no plugin is ever granted, nor one that holds them: they hold keys and code.
    pub protected: Vec<PathBuf>,
    /// The plugins that are part of this program.
    pub embedded: Vec<Embedded>,
    /// What plugins may do, by name: the configuration's `[plugins.NAME]`. An embedded one that is not named may use every
    /// interface; any other may use none.
    pub permissions: BTreeMap<String, Permissions>,
    /// Folders that plugins are granted by the configuration, by plugin.
    pub folders: BTreeMap<String, Vec<FolderGrant>>,
    /// The times of their life cycle.
    pub timing: Timing,
}

/// Why the plugin host could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder or thread could not be made.
    #[error("the plugin host can't start: {0}")]
    System(#[from] std::io::Error),
    /// The engine refused its own settings.
    #[error("the plugin engine can't start: {0}")]
    Engine(String),
}

/// Why a plugin can't be told what it was to be told.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is none of this name.
    #[error("there is no plugin named {0:?}: `mute plugin list` shows all")]
    Unknown(String),
    /// It has too many orders waiting.
    #[error("the plugin is busy: try again")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder can't be granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

/// Why a folder can't be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The name is empty, too long or holds control characters.
    #[error("a folder's name has 1 to 64 characters and no control character")]
    Name,
    /// The path is no folder, or can't be reached.
    #[error("{0}")]
    Path(String),
    /// It holds the node's keys or code.
    #[error("this folder holds mute's own keys or plugins, so no plugin may have it: choose another")]
    Protected,
}

/// The longest name of a granted folder.
const FOLDER_NAME_CHARACTERS: usize = 64;

/// All plugins of a node. Cheap to clone. Stop them with [`Plugins::shutdown`].
#[derive(Clone)]
pub struct Plugins {
    inner: Arc<Inner>,
}

struct Inner {
    common: Arc<Common>,
    options: Options,
    plugins: Mutex<BTreeMap<String, Plugin>>,
    refused: Mutex<Vec<Refused>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

/// A plugin as the others see it.
#[derive(Clone)]
struct Plugin {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The holders only insert and remove; what a panic leaves is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plugins {
    /// Starts the plugins that are enabled and watches the folder for more. Call it within the runtime of the node.
    pub async fn start(options: Options, store: Store, network: Arc<dyn Network>) -> Result<Self, StartError> {
        let common = {
            let (folder, cache, timing) = (options.folder.clone(), options.cache.clone(), options.timing.clone());
            let made = tokio::task::spawn_blocking(move || make_common(&folder, &cache, timing, store, network));
            made.await.map_err(std::io::Error::other)??
        };
        let inner = Inner {
            common: Arc::new(common),
            options,
            plugins: Mutex::default(),
            refused: Mutex::default(),
            watcher: Mutex::default(),
        };
        let this = Self { inner: Arc::new(inner) };
        let mut folder = Folder::default();
        this.scan(&mut folder, true).await?;
        let watcher = tokio::spawn(keep_watching(Arc::downgrade(&this.inner), folder));
        *lock(&this.inner.watcher) = Some(watcher);
        Ok(this)
    }

    /// Looks at the plugins folder and does what its changes mean.
    async fn scan(&self, folder: &mut Folder, is_first: bool) -> Result<(), StartError> {
        let (mut looking, path) = (std::mem::take(folder), self.inner.options.folder.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let changes = looking.scan(&path);
            (looking, changes)
        });
        let (looked, changes) = looked.await.map_err(std::io::Error::other)?;
        *folder = looked;
        let changes = changes?;
        *lock(&self.inner.refused) = changes.refused;
        let mut found = BTreeMap::from_iter(changes.found);
        if is_first {
            for (name, component) in &self.inner.options.embedded {
                found.entry((*name).to_owned()).or_insert_with(|| source_of(component));
            }
        }
        for (name, source) in found {
            self.put(&name, source).await?;
        }
        for name in changes.gone {
            match self.inner.options.embedded.iter().find(|(embedded, _)| *embedded == name) {
                Some((_, component)) => self.put(&name, source_of(component)).await?,
                None => self.remove(&name).await,
            }
        }
        Ok(())
    }

    /// Adds a plugin, or gives it a new version.
    async fn put(&self, name: &str, source: Source) -> Result<(), StartError> {
        let known = lock(&self.inner.plugins).get(name).cloned();
        let plugin = match known {
            Some(plugin) => plugin,
            None => self.add(name).await?,
        };
        // The supervisor takes orders as long as the plugin is in the map.
        let _ = plugin.orders.send(Order::Replace(source)).await;
        Ok(())
    }

    async fn add(&self, name: &str) -> Result<Plugin, StartError> {
        let options = &self.inner.options;
        // A file with the name of an embedded plugin stands in its place, with its grants: the user put it there.
        let embedded =
            options.embedded.iter().find(|(embedded, _)| *embedded == name).map(|(_, component)| source_of(component));
        let default = if embedded.is_some() { Permissions::ALL } else { Permissions::default() };
        let permissions = options.permissions.get(name).copied().unwrap_or(default);
        let mut folders = options.folders.get(name).cloned().unwrap_or_default();
        let (store, owner) = (self.inner.common.host.store.clone(), name.to_owned());
        let (granted, enabled, used) =
            blocking(move || Ok((store.folders(&owner)?, store.enabled(&owner)?, store.used_bytes(&owner)?))).await?;
        folders.extend(granted);
        let shared = Arc::new(Shared::new(name, Grants::new(permissions, folders)));
        shared.storage_used.store(used, Ordering::Relaxed);
        let (orders, inbox) = mpsc::channel(limits::ORDERS);
        let supervisor = Supervisor::new(
            Arc::clone(&self.inner.common),
            Arc::clone(&shared),
            inbox,
            enabled.unwrap_or(true),
            embedded,
        );
        tokio::spawn(supervisor.run());
        let plugin = Plugin { shared, orders };
        lock(&self.inner.plugins).insert(name.to_owned(), plugin.clone());
        Ok(plugin)
    }

    async fn remove(&self, name: &str) {
        let plugin = lock(&self.inner.plugins).remove(name);
        if let Some(plugin) = plugin {
            end(&plugin).await;
        }
    }

    fn plugin(&self, name: &str) -> Result<Plugin, PluginError> {
        lock(&self.inner.plugins).get(name).cloned().ok_or_else(|| PluginError::Unknown(name.to_owned()))
    }

    fn order(&self, name: &str, order: Order) -> Result<(), PluginError> {
        self.plugin(name)?.orders.try_send(order).map_err(|_| PluginError::Busy)
    }

    /// All plugins, by name.
    pub fn list(&self) -> Vec<PluginInfo> {
        lock(&self.inner.plugins).values().map(|plugin| plugin.shared.info()).collect()
    }

    /// Files of the plugins folder that are no plugins, and why.
    pub fn refused(&self) -> Vec<Refused> {
        lock(&self.inner.refused).clone()
    }

    /// The last lines that a plugin logged, oldest first.
    pub fn logs(&self, name: &str) -> Result<Vec<LogLine>, PluginError> {
        Ok(self.plugin(name)?.shared.log_lines())
    }

    /// The commands that a running plugin brings.
    pub async fn commands(&self, name: &str) -> Result<Vec<Command>, CallError> {
        let (reply, list) = oneshot::channel();
        let life = self.life(name)?;
        self.call(name, Call::List(reply))?;
        match timeout(self.inner.common.timing.list, list).await {
            Ok(Ok(list)) => list,
            Ok(Err(_)) => Err(life.broke_off().await),
            Err(_) => Err(CallError::new(code::TIMED_OUT, "the plugin does not answer")),
        }
    }

    /// Runs a command of a running plugin. `input` is what it reads; it should hold few and bounded chunks.
    pub fn invoke(
        &self,
        name: &str,
        command: &str,
        arguments: Vec<(String, String)>,
        input: mpsc::Receiver<Bytes>,
    ) -> Result<Invocation, CallError> {
        let (invoke, invocation) = Invoke::new(command.to_owned(), arguments, input, self.life(name)?);
        self.call(name, Call::Invoke(invoke))?;
        Ok(invocation)
    }

    fn call(&self, name: &str, call: Call) -> Result<(), CallError> {
        self.order(name, Order::Call(call)).map_err(of_plugin)
    }

    fn life(&self, name: &str) -> Result<Life, CallError> {
        Ok(Life::of(self.plugin(name).map_err(of_plugin)?.shared))
    }

    /// Switches a plugin on, now and at later starts; a quarantine ends.
    pub async fn enable(&self, name: &str) -> Result<(), PluginError> {
        self.switch(name, true).await?;
        self.order(name, Order::Enable)
    }

    /// Switches a plugin off, now and at later starts.
    pub async fn disable(&self, name: &str) -> Result<(), PluginError> {
        self.switch(name, false).await?;
        self.order(name, Order::Disable)
    }

    async fn switch(&self, name: &str, enabled: bool) -> Result<(), PluginError> {
        self.plugin(name)?;
        let (store, owner) = (self.inner.common.host.store.clone(), name.to_owned());
        Ok(blocking(move || store.set_enabled(&owner, enabled)).await?)
    }

    /// Stops a plugin and starts it anew; a quarantine ends.
    pub fn reload(&self, name: &str) -> Result<(), PluginError> {
        self.order(name, Order::Reload)
    }

    /// Grants a folder to a plugin under a name, now and at later starts. The plugin sees it at once; a grant of the same name
    /// is replaced, and what was open on it ends.
    pub async fn grant_folder(
        &self,
        plugin: &str,
        name: &str,
        path: &Path,
        can_write: bool,
    ) -> Result<FolderGrant, PluginError> {
        let shared = self.plugin(plugin)?.shared;
        if name.is_empty() || name.chars().count() > FOLDER_NAME_CHARACTERS || name.chars().any(char::is_control) {
            return Err(GrantError::Name.into());
        }
        let (store, owner, path) = (self.inner.common.host.store.clone(), plugin.to_owned(), path.to_owned());
        let (protected, name) = (self.protected(), name.to_owned());
        let granted = tokio::task::spawn_blocking(move || {
            let path = check_folder(&path, &protected)?;
            store.grant_folder(&owner, &name, &path, can_write)?;
            Ok::<_, PluginError>(FolderGrant { name, path, can_write })
        });
        let granted = granted.await.map_err(|_| StoreError::Failed("the task was lost".to_owned()))??;
        shared.grants.grant(granted.clone());
        Ok(granted)
    }

    /// Takes a folder back; what is open on it ends. False if it was not granted.
    pub async fn revoke_folder(&self, plugin: &str, name: &str) -> Result<bool, PluginError> {
        let shared = self.plugin(plugin)?.shared;
        let (store, owner, folder) = (self.inner.common.host.store.clone(), plugin.to_owned(), name.to_owned());
        blocking(move || store.revoke_folder(&owner, &folder)).await?;
        Ok(shared.grants.revoke(name))
    }

    /// The folders that a plugin may open.
    pub fn folders(&self, plugin: &str) -> Result<Vec<FolderGrant>, PluginError> {
        let grants = self.plugin(plugin)?.shared.grants.all();
        let grant = |grant: Arc<super::grants::Grant>| FolderGrant {
            name: grant.name.clone(),
            path: grant.path.clone(),
            can_write: grant.can_write,
        };
        Ok(grants.into_iter().map(grant).collect())
    }

    fn protected(&self) -> Vec<PathBuf> {
        let options = &self.inner.options;
        let mut protected = options.protected.clone();
        protected.extend([options.folder.clone(), options.cache.clone()]);
        protected
    }

    /// Asks all plugins to stop, and stops those that don't.
    pub async fn shutdown(&self) {
        if let Some(watcher) = lock(&self.inner.watcher).take() {
            watcher.abort();
        }
        let plugins = std::mem::take(&mut *lock(&self.inner.plugins));
        futures_util::future::join_all(plugins.values().map(end)).await;
    }
}

/// Why a call could not be passed on.
fn of_plugin(error: PluginError) -> CallError {
    let code = if matches!(error, PluginError::Busy) { code::BUSY } else { code::NOT_FOUND };
    CallError::new(code, error.to_string())
}

/// Ends a plugin and waits until it has stopped.
async fn end(plugin: &Plugin) {
    let (done, ended) = oneshot::channel();
    if plugin.orders.send(Order::End(done)).await.is_ok() {
        // The supervisor answers, or is gone.
        let _ = ended.await;
    }
}

fn source_of(component: &'static [u8]) -> Source {
    Source::new(Origin::Embedded, Bytes::from_static(component))
}

/// Runs a step on the database where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Failed("the task was lost".to_owned()))?
}

fn make_common(
    folder: &Path,
    cache: &Path,
    timing: Timing,
    store: Store,
    network: Arc<dyn Network>,
) -> Result<Common, StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    // What is in it is code that will be run: only its owner may write to it.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let machine = Arc::new(Machine::start()?);
    let cache = Cache::open(cache, &store)?;
    let compiler = Compiler::new(Arc::clone(&machine), cache).map_err(|error| StartError::Engine(error.to_string()))?;
    let watches = Watches::start(timing.debounce);
    Ok(Common { machine, compiler: Arc::new(compiler), host: Arc::new(Host { store, network, watches }), timing })
}

/// A folder's true path, if a plugin may have it.
fn check_folder(path: &Path, protected: &[PathBuf]) -> Result<PathBuf, GrantError> {
    let unreachable = |error: std::io::Error| GrantError::Path(format!("this folder can't be reached: {error}"));
    let path = path.canonicalize().map_err(unreachable)?;
    if !path.metadata().map_err(unreachable)?.is_dir() {
        return Err(GrantError::Path("this is not a folder".to_owned()));
    }
    for protected in protected {
        let protected = protected.canonicalize().unwrap_or_else(|_| protected.clone());
        if protected.starts_with(&path) || path.starts_with(&protected) {
            return Err(GrantError::Protected);
        }
    }
    Ok(path)
}

/// Looks at the plugins folder whenever something changed in it, and now and then, as long as the plugins live.
async fn keep_watching(inner: std::sync::Weak<Inner>, mut folder: Folder) {
    let Some(mut watch) = begin_watching(&inner).await else { return };
    while let Some(rescan) = inner.upgrade().map(|inner| inner.options.timing.rescan) {
        // Whether it woke us or the time did, what is there counts.
        let _ = timeout(rescan, watch.next()).await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = (Plugins { inner }).scan(&mut folder, false).await {
            tracing::warn!(%error, "the plugins folder can't be read");
        }
    }
}

async fn begin_watching(inner: &std::sync::Weak<Inner>) -> Option<Watch> {
    let inner = inner.upgrade()?;
    let (watches, folder) = (inner.common.host.watches.clone(), inner.options.folder.clone());
    tokio::task::spawn_blocking(move || watches.watch(&folder)).await.ok()
}
