//! A plugin host in a folder of its own, and the components that the tests drop into it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use mute::{
    plugin::{
        CallError, Embedded, Options, Output, Permissions, PluginInfo, PluginState, Plugins, Timing,
        network::memory::MemoryNetwork,
    },
    store::Store,
};
use tokio::sync::mpsc;

/// A plugin that can misbehave as it is told.
pub(crate) static SPECIMEN: LazyLock<Vec<u8>> = LazyLock::new(|| compile("specimen"));
/// A plugin that returns at once.
pub(crate) static QUITTER: LazyLock<Vec<u8>> = LazyLock::new(|| compile("quitter"));

/// How long anything may take here: far more than it does, so that only what hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn compile(name: &str) -> Vec<u8> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name);
    let program = std::env::current_exe().expect("the test program has a path");
    let folder = mute_plugin_build::build_folder(&program).expect("it lies in a target folder");
    mute_plugin_build::build_crate(&package, name, &folder).expect("the guest compiles").bytes
}

/// The same component with other bytes: a custom section more.
pub(crate) fn variant(component: &[u8], mark: u8) -> Vec<u8> {
    let mut variant = component.to_vec();
    variant.extend([0, 3, 1, b'v', mark]);
    variant
}

/// Short times, so that a quarantine comes within seconds.
pub(crate) fn timing() -> Timing {
    Timing {
        spin: Duration::from_millis(400),
        stop: Duration::from_millis(700),
        start: Duration::from_millis(500),
        backoff: Duration::from_millis(50),
        backoff_most: Duration::from_millis(200),
        crashes: 3,
        debounce: Duration::from_millis(100),
        rescan: Duration::from_secs(2),
        ..Timing::default()
    }
}

pub(crate) struct Bench {
    pub home: tempfile::TempDir,
    pub store: Store,
    pub plugins: Plugins,
}

impl Bench {
    /// A host with these plugin files; those named in `granted` may use every interface, with a quota of 1 MB.
    pub(crate) async fn new(files: &[(&str, &[u8])], granted: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(home.path().join("plugins")).expect("made");
        for (name, component) in files {
            std::fs::write(home.path().join("plugins").join(format!("{name}.wasm")), component).expect("written");
        }
        let store = Store::open(&home.path().join("mute.redb")).expect("a store");
        Self::start(home, store, granted).await
    }

    pub(crate) async fn start(home: tempfile::TempDir, store: Store, granted: &[&str]) -> Self {
        Self::start_with(home, store, granted, Vec::new()).await
    }

    pub(crate) async fn start_with(
        home: tempfile::TempDir,
        store: Store,
        granted: &[&str],
        embedded: Vec<Embedded>,
    ) -> Self {
        let permissions = Permissions { storage_quota_bytes: 1_000_000, ..Permissions::ALL };
        let options = Options {
            folder: home.path().join("plugins"),
            cache: home.path().join("cache"),
            protected: vec![home.path().join("mute.redb")],
            embedded,
            permissions: granted.iter().map(|name| ((*name).to_owned(), permissions)).collect(),
            folders: BTreeMap::new(),
            timing: timing(),
        };
        let network = Arc::new(MemoryNetwork::default());
        let plugins = Plugins::start(options, store.clone(), network).await.expect("the host starts");
        Self { home, store, plugins }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join("plugins").join(format!("{name}.wasm"))
    }

    /// A folder beside the host's own.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).expect("made");
        folder
    }

    /// What `run` of a specimen does at its next start.
    pub(crate) fn set_mode(&self, plugin: &str, mode: &str) {
        let value = rmp_serde::to_vec(mode).expect("encodes");
        self.store.put(plugin, &[("mode".to_owned(), Some(value))], u64::MAX).expect("stored");
    }

    pub(crate) fn info(&self, plugin: &str) -> PluginInfo {
        let list = self.plugins.list();
        list.into_iter().find(|info| info.name == plugin).expect("the plugin is listed")
    }

    pub(crate) fn last_error(&self, plugin: &str) -> String {
        self.info(plugin).last_error.expect("it has failed")
    }

    /// Waits until the plugin is as `wanted`.
    pub(crate) async fn until(&self, plugin: &str, wanted: impl Fn(&PluginInfo) -> bool) -> PluginInfo {
        let waiting = async {
            loop {
                let found = self.plugins.list().into_iter().find(|info| info.name == plugin);
                if let Some(info) = found.filter(|info| wanted(info)) {
                    return info;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(info) => info,
            Err(_) => panic!("{plugin} never became so: {:?}", self.plugins.list()),
        }
    }

    pub(crate) async fn running(&self, plugin: &str) -> PluginInfo {
        self.until(plugin, |info| info.state == PluginState::Running).await
    }

    /// Waits until a specimen runs and echoes, and says where.
    pub(crate) async fn echoing(&self, plugin: &str) -> String {
        self.running(plugin).await;
        let address = self.said(plugin, "address", &[]).await;
        let arguments = [("to", address.as_str()), ("bytes", "0")];
        let echoing = async {
            while self.command(plugin, "transfer", &arguments).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, echoing).await.expect("it echoes");
        address
    }

    /// Runs a command to its end.
    pub(crate) async fn command(
        &self,
        plugin: &str,
        name: &str,
        arguments: &[(&str, &str)],
    ) -> Result<Vec<Output>, CallError> {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (_, input) = mpsc::channel(1);
        let mut invocation = self.plugins.invoke(plugin, name, arguments, input)?;
        let running = async {
            let mut said = Vec::new();
            while let Some(output) = invocation.next().await {
                said.push(output);
            }
            invocation.end().await.map(|()| said)
        };
        tokio::time::timeout(PATIENCE, running).await.expect("the command ends")
    }

    /// What a command says in one line.
    pub(crate) async fn said(&self, plugin: &str, name: &str, arguments: &[(&str, &str)]) -> String {
        match self.command(plugin, name, arguments).await {
            Ok(said) => match said.into_iter().next() {
                Some(Output::Text(text) | Output::Json(text)) => text,
                other => panic!("{name} said {other:?}"),
            },
            Err(error) => panic!("{name} failed: {error}"),
        }
    }

    /// The JSON value that a command puts out.
    pub(crate) async fn json(&self, plugin: &str, name: &str, arguments: &[(&str, &str)]) -> serde_json::Value {
        serde_json::from_str(&self.said(plugin, name, arguments).await).expect("it is JSON")
    }
}
