//! What the command line takes.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use mute_core::Profile;

/// Shown below the help of `mute`.
const EXAMPLES: &str = "\
Examples:
  mute demo                                 a private network of six nodes on this machine, shown at work
  mute init && mute run                     a node of your own
  mute peer add KEY@192.0.2.7:4848          a neighbour for it
  mute fileshare share ~/Music              what the plugins bring; each tells more by --help
  mute fileshare search blue train

Exit codes:
  0 done · 1 failed · 2 wrong usage or configuration · 3 the daemon does not run · 4 no route, or no answer in time
  5 refused or not granted · 6 not found · 7 taken by somebody else · 130 cancelled

Results go to standard output, messages to standard error. With --json each result is one JSON document on a line,
and a failure is {\"error\": {\"kind\": …, \"message\": …}}. NO_COLOR turns colours off.";

/// An anonymous network that hosts sandboxed plugins.
#[derive(Debug, Parser)]
#[command(name = "mute", version, after_help = EXAMPLES, infer_long_args = false, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What applies to every command.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Global {
    /// Keep everything of the node in this folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Print results as JSON, one document a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no messages and no progress, only results and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// What `mute` can do by itself; all else is a plugin's.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a node: its folders, its key and a configuration file that explains itself.
    Init(Init),
    /// Run the node until it is told to stop.
    Run(Run),
    /// Say how the node is: neighbours, what went through it, what it uses.
    Status,
    /// Tell the running node to stop.
    Stop,
    /// The nodes that this one has a link to.
    #[command(subcommand, arg_required_else_help = true)]
    Peer(Peer),
    /// The sandboxed plugins.
    #[command(subcommand, arg_required_else_help = true)]
    Plugin(Plugin),
    /// Show the network at work: six nodes as separate processes on this machine, real files through relays.
    Demo(Demo),
    /// Measure streams over 1, 3 and 6 links against plain QUIC forwarders on the same machine.
    Bench(Bench),
    /// Simulate networks of the real router, from ten nodes to a hundred thousand: `mute sim --help` lists the scenarios.
    #[command(disable_help_flag = true)]
    Sim {
        /// A scenario and its options.
        #[arg(value_name = "SCENARIO", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// A process of `mute bench`; told what to do by its parent.
    #[command(hide = true)]
    BenchWorker(BenchWorker),
    /// A command of a plugin.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// `mute init`
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:\n  mute init --listen 0.0.0.0:4848")]
pub(crate) struct Init {
    /// The network to belong to.
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
    /// What that network adds to what it carries: balanced or fast. The same at all its nodes.
    ///
    /// balanced (the default): every address answers late by a time of its own, 0.2 s on average and at most 1 s, and packets
    /// are filled up to one of four sizes. Your neighbours can then hardly tell whether an address lives here or behind you. It does not hide
    /// that you are online, nor how much you transfer from somebody who watches many lines.
    ///
    /// fast: no delays and no padding, for closed groups that trust each other's relays: a neighbour that measures can tell.
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<Profile>,
    /// Where neighbours reach this node, by UDP.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
}

/// `mute run`
#[derive(Args, Debug, Default)]
pub(crate) struct Run {
    /// End when standard input ends: a parent that dies, however it dies, takes the node with it.
    #[arg(long, hide = true)]
    pub(crate) with_parent: bool,
}

/// `mute peer`
#[derive(Debug, Subcommand)]
pub(crate) enum Peer {
    /// List the neighbours.
    List,
    /// Keep a link to a neighbour, now and after a restart.
    #[command(after_help = "Example:\n  mute peer add KEY@192.0.2.7:4848    (KEY and port: `mute status` over there)")]
    Add {
        /// The neighbour's key and address.
        #[arg(value_name = "KEY@HOST:PORT")]
        peer: String,
    },
    /// Forget a neighbour and close the link to it.
    Remove {
        /// The neighbour's key.
        key: String,
    },
}

/// `mute plugin`
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// List the plugins and how they are.
    List,
    /// Run a plugin, now and after a restart.
    Enable {
        /// Its name.
        plugin: String,
    },
    /// Stop a plugin, and leave it stopped after a restart.
    Disable {
        /// Its name.
        plugin: String,
    },
    /// Print the newest lines that a plugin has logged.
    Logs {
        /// Its name.
        plugin: String,
    },
}

/// `mute demo`
#[derive(Args, Debug, Default)]
#[command(
    after_help = "Examples:\n  mute demo\n  mute demo --profile balanced\n  mute demo --share ~/Pictures --keep\n  mute demo --json"
)]
pub(crate) struct Demo {
    /// Share this folder instead of a generated one.
    #[arg(long, value_name = "DIR")]
    pub(crate) share: Option<PathBuf>,
    /// The network's profile: fast, so that nobody waits, or balanced, as `mute init` makes it.
    #[arg(long, value_name = "PROFILE", default_value_t = Profile::Fast)]
    pub(crate) profile: Profile,
    /// Leave the network running at the end, until Ctrl-C.
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `mute bench`
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  mute bench\n  mute bench --links 3 --size 1G --rounds 3\n  mute bench --file 1G --file 4G"
)]
pub(crate) struct Bench {
    /// How many bytes go through in each round.
    #[arg(long, value_name = "BYTES", default_value = "300M", value_parser = super::size::parse)]
    pub(crate) size: u64,
    /// Lengths of the chains, in links.
    #[arg(long, value_name = "N", default_values_t = [1, 3, 6], value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) links: Vec<u8>,
    /// Alternating rounds; the median counts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=99))]
    pub(crate) rounds: u8,
    /// Round trips of 64 bytes to time in each round.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) pings: u32,
    /// Instead: share a file of this size in the demo's network, download it, and print each process's peak memory;
    /// may be given more than once.
    #[arg(long, value_name = "BYTES", value_parser = super::size::parse)]
    pub(crate) file: Vec<u64>,
}

/// `mute bench-worker`
#[derive(Args, Debug)]
pub(crate) struct BenchWorker {
    /// A plain QUIC forwarder instead of a MUTE node.
    #[arg(long)]
    pub(crate) plain: bool,
}
