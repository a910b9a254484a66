//! What client and daemon say to each other.

use mute_core::Profile;
use serde::{Deserialize, Serialize};

use crate::{error::Error, node, plugin::PluginInfo};

/// The version of this protocol. Client and daemon of different versions part with a clear line.
pub const PROTOCOL: u16 = 1;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The first message of every client.
    Hello {
        /// The client's [`PROTOCOL`].
        protocol: u16,
    },
    /// How the node is: [`Reply::Status`].
    Status,
    /// End the daemon.
    Stop,
    /// Keep a link to this neighbour (`KEY@HOST:PORT`), now and after a restart.
    AddPeer {
        /// As text, see [`PeerAddress`](crate::link::PeerAddress).
        peer: String,
    },
    /// Forget a neighbour.
    RemovePeer {
        /// As text, see [`NodeKey`](crate::link::NodeKey).
        key: String,
    },
    /// All plugins: [`Reply::Plugins`].
    Plugins,
    /// Run a plugin, or don't; kept over restarts.
    EnablePlugin {
        /// Its name.
        plugin: String,
        /// Whether it shall run.
        enabled: bool,
    },
    /// The newest lines that a plugin has logged: [`Reply::Text`] each.
    PluginLogs {
        /// Its name.
        plugin: String,
    },
    /// The commands of a plugin: [`Reply::Commands`].
    Commands {
        /// Its name.
        plugin: String,
    },
    /// Run a command of a plugin: [`Reply::Text`], [`Reply::Json`] and [`Reply::Progress`] as they come.
    Invoke {
        /// The plugin's name.
        plugin: String,
        /// The command's name.
        command: String,
        /// What the user gave, in order.
        arguments: Vec<Argument>,
    },
    /// End the request under way. It is answered like any other ending.
    Cancel,
}

/// One value that the user gave to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// As in [`PluginArgument::name`].
    pub name: String,
    /// Empty where the argument takes none.
    pub value: String,
}

/// What the daemon answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The answer to [`Request::Hello`].
    Hello {
        /// The daemon's [`PROTOCOL`].
        protocol: u16,
        /// The daemon's version of MUTE.
        version: String,
    },
    /// How the node is.
    Status(Box<Status>),
    /// All plugins.
    Plugins(Vec<PluginInfo>),
    /// The commands of a plugin.
    Commands(Vec<PluginCommand>),
    /// A result for people.
    Text(String),
    /// The same for scripts: one JSON document.
    Json(String),
    /// How far a command is.
    Progress(Step),
    /// The request ended well.
    Done,
    /// The request failed.
    Failed(Error),
}

/// How far a command is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is being done.
    pub label: String,
    /// How much of it is done.
    pub done: u64,
    /// How much there is to do, where that is known.
    pub total: Option<u64>,
    /// Of what: `bytes` is shown as such, anything else as a count.
    pub unit: String,
}

/// How a node is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version of MUTE.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The network's name.
    pub network: String,
    /// What the network adds to what it carries.
    pub profile: Profile,
    /// Its key, neighbours and counters.
    pub node: node::Status,
    /// What the daemon used of the machine.
    pub resources: Resources,
}

/// What a process used of the machine; zero where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Milliseconds of processor time, in user and system mode.
    pub cpu_ms: u64,
    /// Bytes of memory that are resident now.
    pub resident_bytes: u64,
    /// The most that were ever resident.
    pub peak_resident_bytes: u64,
}

/// A command of a plugin, as the plugin describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginCommand {
    /// What the user types.
    pub name: String,
    /// What it does, in a line.
    pub about: String,
    /// How it is used, as one would type it.
    pub example: String,
    /// What it takes.
    pub arguments: Vec<PluginArgument>,
}

/// What a command of a plugin takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginArgument {
    /// Its name; with [`FOLDER`](crate::cli::FOLDER) the host grants the named folder to the plugin.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// Given by its place if it takes a value, else refused when absent.
    pub required: bool,
    /// Whether it may be given more than once.
    pub many: bool,
    /// Whether a value belongs to it; a mere flag otherwise.
    pub takes_value: bool,
}
