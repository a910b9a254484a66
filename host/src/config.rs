//! The configuration file: typed, every key with a default, unknown keys refused.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    net::SocketAddr,
    ops::Range,
    path::Path,
    str::FromStr,
};

use mute_core::Profile;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Context as _, Error, Result},
    link::{NodeKey, PeerAddress},
    plugin::{DEFAULT_QUOTA_BYTES, Permissions},
};

/// More than a person writes; a larger file is a mistake and is not read into memory.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// A node has 16 neighbours at most (routing.md); more names than this are never dialled.
const MAX_PEERS: usize = 64;
/// As many as a node runs.
const MAX_PLUGINS: usize = 64;
/// A network's name is hashed and shown on one line.
const MAX_NETWORK_BYTES: usize = 64;

/// Everything that a user can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The network's name. Nodes of networks with different names don't talk to each other.
    pub network: String,
    /// What the network adds to what it carries, the same at all its nodes.
    pub profile: Profile,
    /// Where neighbours reach this node, by UDP. Port 0 lets the system choose one at each start.
    pub listen: SocketAddr,
    /// Neighbours to keep a link to, as `KEY@HOST:PORT`, beside those of `mute peer add`.
    pub peers: Vec<String>,
    /// Keys of neighbours that may dial this node; it matters with `fixed-neighbours` only.
    pub welcome: Vec<String>,
    /// Whether to link with `peers`, those of `mute peer add` and `welcome` only.
    pub fixed_neighbours: bool,
    /// What is written down.
    pub log: Log,
    /// What each plugin may use, by its name. A built-in one that is not named may use everything, any other nothing.
    pub plugins: BTreeMap<String, Plugin>,
}

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// How much. Nothing above `debug` holds an address, an IP address or content.
    pub level: Level,
    /// Whether to write to `mute.log` in the data folder as well as to the terminal.
    pub file: bool,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// And what is suspicious.
    Warn,
    /// And what happened.
    Info,
    /// And details, which may hold addresses.
    Debug,
    /// And everything.
    Trace,
}

/// What a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plugin {
    /// Addresses, messages and connections.
    pub routing: bool,
    /// A store of its own on disk.
    pub storage: bool,
    /// Folders that are granted to it by name.
    pub folders: bool,
    /// What it may keep in its store, in MiB.
    pub storage_quota_mib: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            network: "mute".into(),
            profile: Profile::default(),
            listen: SocketAddr::from(([0, 0, 0, 0], 4848)),
            peers: vec![],
            welcome: vec![],
            fixed_neighbours: false,
            log: Log::default(),
            plugins: BTreeMap::new(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, file: true }
    }
}

impl Default for Plugin {
    fn default() -> Self {
        // The default is far below 2^32 MiB.
        let quota = u32::try_from(DEFAULT_QUOTA_BYTES >> 20).unwrap_or(u32::MAX);
        Self { routing: false, storage: false, folders: false, storage_quota_mib: quota }
    }
}

/// How a plugin is configured: at the end of the file, to be taken out of its comment.
const PLUGIN_EXAMPLE: &str = "
# What a plugin may use. A built-in one that is not named here may use everything, any other nothing.
# [plugins.NAME]
# routing = true            # addresses, messages and connections
# storage = true            # a store of its own on disk
# folders = true            # folders that are granted to it by name
# storage-quota-mib = 512   # what it may keep in its store
";

/// The comment above each key of the file, in the file's order; a `[section]` has its comment too.
const COMMENTS: &[(&str, &str)] = &[
    ("network", "The network's name. Nodes of networks with different names don't talk to each other."),
    (
        "profile",
        "balanced (delays and padding hide where addresses live) or fast (neither). It is part of the network: the same at all its nodes.",
    ),
    ("listen", "Where neighbours reach this node, by UDP. Port 0 lets the system choose one at each start."),
    ("peers", "Neighbours to keep a link to, as \"KEY@HOST:PORT\", beside those of `mute peer add`."),
    ("welcome", "Keys of neighbours that may dial this node; it matters with fixed-neighbours only."),
    ("fixed-neighbours", "Whether to link with peers, those of `mute peer add` and welcome only."),
    ("[log]", "What is written down."),
    (
        "log.level",
        "off, error, warn, info, debug or trace. Nothing above debug holds an address, an IP address or content.",
    ),
    ("log.file", "Whether to write to mute.log in the data folder as well as to the terminal."),
];

impl Config {
    /// The file with these settings, each explained.
    pub fn to_file(&self) -> String {
        let plain = toml::to_string(self).unwrap_or_default();
        let plain = plain.trim_end().strip_suffix("[plugins]").unwrap_or(&plain);
        let mut section = String::new();
        let mut file =
            String::from("# Configuration of a MUTE node. Every key may be left out; these are its values.\n");
        for line in plain.lines().filter(|line| !line.is_empty()) {
            let name = match line.strip_prefix('[') {
                Some(header) => {
                    section = format!("{}.", header.trim_end_matches(']'));
                    line.to_owned()
                }
                None => format!("{section}{}", line.split(" =").next().unwrap_or(line)),
            };
            if let Some((_, comment)) = COMMENTS.iter().find(|(key, _)| *key == name) {
                // Writing to a String can't fail.
                let _ = write!(file, "\n# {comment}\n");
            }
            file.push_str(line);
            file.push('\n');
        }
        file.push_str(PLUGIN_EXAMPLE);
        file
    }

    /// Reads and checks a file. Errors name the file, the line and the key.
    pub fn load(path: &Path) -> Result<Self> {
        let shown = path.display();
        let length = std::fs::metadata(path).context(format_args!("cannot read {shown}"))?.len();
        if length > MAX_FILE_BYTES {
            return Err(Error::usage(format!("{shown}: a configuration of {length} bytes is a mistake")));
        }
        let text = std::fs::read_to_string(path).context(format_args!("cannot read {shown}"))?;
        Self::parse(&text).map_err(|problem| Error::usage(format!("{shown}{problem}")))
    }

    /// The settings in `text`; the error starts with `, line N` where there is one.
    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| describe(text, &error))?;
        config.check().map_err(|(key, problem)| format!(": {key}: {problem}"))?;
        Ok(config)
    }

    /// What plugins may use, as the plugin host takes it.
    pub(crate) fn permissions(&self) -> BTreeMap<String, Permissions> {
        let permissions = |plugin: &Plugin| Permissions {
            routing: plugin.routing,
            storage: plugin.storage,
            folders: plugin.folders,
            storage_quota_bytes: u64::from(plugin.storage_quota_mib) << 20,
        };
        self.plugins.iter().map(|(name, plugin)| (name.clone(), permissions(plugin))).collect()
    }

    /// The neighbours to dial.
    pub fn peer_addresses(&self) -> Result<Vec<PeerAddress>, String> {
        parse_all(&self.peers)
    }

    /// The keys of those that may dial this node.
    pub fn welcome_keys(&self) -> Result<Vec<NodeKey>, String> {
        parse_all(&self.welcome)
    }

    /// What the types don't say. The error is the key and what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.network.is_empty() || self.network.len() > MAX_NETWORK_BYTES || self.network.contains(char::is_control)
        {
            return Err(("network", format!("must be a name of 1 to {MAX_NETWORK_BYTES} bytes on one line")));
        }
        if self.peers.len() > MAX_PEERS {
            return Err(("peers", format!("must hold at most {MAX_PEERS} neighbours")));
        }
        if self.welcome.len() > MAX_PEERS {
            return Err(("welcome", format!("must hold at most {MAX_PEERS} keys")));
        }
        self.peer_addresses().map_err(|problem| ("peers", problem))?;
        self.welcome_keys().map_err(|problem| ("welcome", problem))?;
        if self.plugins.len() > MAX_PLUGINS {
            return Err(("plugins", format!("must name at most {MAX_PLUGINS} plugins")));
        }
        Ok(())
    }
}

fn parse_all<T: FromStr<Err: Display>>(texts: &[String]) -> Result<Vec<T>, String> {
    let parse = |text: &String| text.parse().map_err(|error| format!("`{}`: {error}", text.escape_debug()));
    texts.iter().map(parse).collect()
}

/// What is wrong with a file that TOML or the types refuse: line, key and reason on one line.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let reason = error.message().lines().collect::<Vec<_>>().join(", ");
    let Some(Range { start, .. }) = error.span() else { return format!(": {reason}") };
    let before = text.get(..start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    match line.split_once('=') {
        // The reason already names an unknown key.
        Some((key, _)) if !reason.starts_with("unknown field") => {
            format!(", line {number}: {}: {reason}", key.trim().escape_debug())
        }
        _ => format!(", line {number}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_file_is_the_default_and_explains_every_key() {
        let file = Config::default().to_file();
        assert_eq!(Config::parse(&file).unwrap(), Config::default());
        let explained = file.strip_suffix(PLUGIN_EXAMPLE).unwrap();
        let mut lines = explained.lines().skip(1).filter(|line| !line.is_empty());
        let mut keys = 0;
        while let Some(comment) = lines.next() {
            assert!(comment.starts_with("# "), "no comment above {comment}");
            assert!(!lines.next().unwrap().starts_with('#'));
            keys += 1;
        }
        assert_eq!(keys, COMMENTS.len());
    }

    #[test]
    fn the_example_of_a_plugin_is_right_and_complete() {
        let lines = PLUGIN_EXAMPLE.lines().skip(2).map(|line| line.strip_prefix("# ").unwrap());
        let example = lines.collect::<Vec<_>>().join("\n");
        let config = Config::parse(&example).unwrap();
        let plugin = &config.plugins["NAME"];
        assert_eq!(*plugin, Plugin { routing: true, storage: true, folders: true, ..Plugin::default() });
        let keys = toml::Table::try_from(plugin).unwrap();
        assert!(keys.keys().all(|key| example.contains(&format!("{key} = "))));
        assert_eq!(config.permissions()["NAME"], Permissions::ALL);
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn mistakes_are_named_by_line_and_key() {
        for (text, expected) in [
            ("network = \"a\"\nlisten = 7\n", ", line 2: listen: "),
            ("network = \"a\"\nprofile = \"strong\"", ", line 2: profile: the profile \"strong\" is not there yet"),
            ("profile = \"slow\"", ", line 1: profile: not a profile"),
            ("\n[log]\nlevel = \"loud\"\n", ", line 3: level: unknown variant `loud`"),
            ("netwrok = \"a\"\n", ", line 1: unknown field `netwrok`"),
            ("\nnetwork = \"unterminated", ", line 2: "),
            ("network = \"\"", ": network: must be"),
            ("peers = [\"x\"]", ": peers: `x`: not a peer"),
            ("welcome = [\"x\"]", ": welcome: `x`: not a node key"),
            ("[plugins.x]\nroutnig = true", ", line 2: unknown field `routnig`"),
        ] {
            let problem = Config::parse(text).unwrap_err();
            assert!(problem.starts_with(expected), "{text:?}: {problem}");
            assert!(!problem.contains('\n'), "{problem}");
        }
    }

    #[test]
    fn the_file_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listen = 1").unwrap();
        let error = Config::load(file.path()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}, line 1: listen: ", file.path().display())), "{error}");
    }
}
