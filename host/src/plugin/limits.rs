//! What a plugin may use. A plugin is hostile until shown otherwise: every bound stands here with its reason.

use std::time::Duration;

/// The largest component file. The three plugins of this repository are below 1 MiB; compiling costs time by size.
pub const COMPONENT_BYTES: u64 = 32 * 1024 * 1024;
/// Linear memory of a plugin, all of its memories together.
pub const MEMORY_BYTES: usize = 128 * 1024 * 1024;
/// Elements of one table: functions a large plugin takes the address of, several times over.
pub(super) const TABLE_ELEMENTS: usize = 100_000;
/// Core instances of one component: its module, and the shims that `wit-component` adds.
pub(super) const INSTANCES: usize = 64;
/// Memories of one plugin; a component has one.
pub(super) const MEMORIES: usize = 8;
/// Tables of one plugin; a component has two or three.
pub(super) const TABLES: usize = 64;
/// What one call may hand to the host: the largest put and a little more.
pub(super) const CALL_BYTES: usize = crate::store::MAX_SCAN_BYTES + 1024 * 1024;
/// The wasm stack of one guest task.
pub(super) const WASM_STACK_BYTES: usize = 512 * 1024;
/// The whole stack of one guest task: wasm, and the host function that it called.
pub(super) const TASK_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Host resources that one plugin holds at a time: the sum of the kinds below, so that a kind's own bound always speaks first.
pub(super) const RESOURCES: usize = IDENTITIES + CONNECTIONS + CHANNELS + FILES + OPTIONS;
/// Guest tasks, host calls, streams and futures in flight: 1,000 connections with two streams each and their ends.
pub(super) const CONCURRENT: usize = 32_768;
/// Handles of the component model that a guest holds; each costs host memory.
pub(super) const HANDLES: usize = 32_768;
/// Living identities of one plugin; each is a port in the router and an endpoint.
pub(super) const IDENTITIES: usize = 64;
/// Connections of one plugin; each holds windows and timers.
pub(super) const CONNECTIONS: usize = 256;
/// Channels of one plugin, over all its connections.
pub(super) const CHANNELS: usize = 512;
/// Open folders and files of one plugin: a process may often open no more than 1,024.
pub(super) const FILES: usize = 128;
/// Connect options of one plugin; they live for the moment of a call.
pub(super) const OPTIONS: usize = 64;
/// Subscriptions, listeners, walks and watches of one plugin; each has a queue.
pub(super) const SUBSCRIPTIONS: usize = 256;
/// Disk operations of one plugin at a time, so that no plugin occupies all threads that wait for the disk.
pub(super) const DISK_TASKS: usize = 4;
/// Threads that wait for the disk, for all plugins.
pub(super) const DISK_THREADS: usize = 16;
/// Threads that run guests: two, so that one that spins never holds up all others, and no more, so that links keep their cores.
pub(super) const GUEST_THREADS: usize = 2;

/// Bytes read from a file at a time: large enough that the hand-over between threads does not count.
pub(super) const FILE_CHUNK: usize = 256 * 1024;
/// Chunks that wait between the disk and a guest, in either direction.
pub(super) const FILE_CHUNKS: usize = 2;
/// Bytes taken from a channel at a time.
pub(super) const CHANNEL_CHUNK: usize = 256 * 1024;
/// Chunks of one copy from guest memory to the disk's queue.
pub(super) const COPY_CHUNK: usize = FILE_CHUNK;
/// Entries of a walk that wait for the guest.
pub(super) const WALK_ENTRIES: usize = 256;
/// How deep a walk goes: deeper than people nest folders, and each level holds a descriptor.
pub(super) const WALK_DEPTH: usize = 32;
/// Changed paths that wait for the guest; beyond, it is told to look at everything.
pub(super) const CHANGES: usize = 256;
/// The longest path, in bytes, as Linux has it.
pub(super) const PATH_BYTES: usize = 4096;
/// Topics, protocols, signature contexts: names, in bytes.
pub(super) const NAME_BYTES: usize = 256;
/// Random bytes of one call.
pub(super) const RANDOM_BYTES: u32 = 64 * 1024;

/// A broadcast's or letter's body, in bytes.
pub(super) const MESSAGE_BYTES: usize = 1024;
/// The longest time a plugin may wait for a connection.
pub(super) const CONNECT_MOST: Duration = Duration::from_secs(600);
/// How long a connection attempt waits unless the plugin says otherwise.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Log lines kept of each plugin.
pub(super) const LOG_LINES: usize = 256;
/// The longest log line, error message or name that is kept, in bytes.
pub(super) const TEXT_BYTES: usize = 2048;

/// Commands of one plugin that run at a time.
pub(super) const COMMANDS: usize = 16;
/// Commands that one plugin may list, and arguments of each.
pub(super) const COMMAND_LIST: usize = 64;
/// Output items of a command that wait for the reader.
pub(super) const OUTPUT_ITEMS: usize = 16;
/// The largest output item, in bytes.
pub(super) const OUTPUT_BYTES: usize = 1024 * 1024;
/// Orders that wait for a plugin's supervisor.
pub(super) const ORDERS: usize = 32;
/// Plugins of one node: each has its memory limit, and its worst case is what counts.
pub(super) const PLUGINS: usize = 64;

/// How often guests are interrupted to let others run: below what a person or a window of QUIC notices.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The times of a plugin's life cycle; tests shorten them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long a guest may compute without returning to its event loop: far above any honest step, short enough that a
    /// plugin that hangs is noticed.
    pub spin: Duration,
    /// How long a plugin may take to stop after it was asked to.
    pub stop: Duration,
    /// How long a new version must live to have started.
    pub start: Duration,
    /// The first pause after a crash; it doubles with each further one.
    pub backoff: Duration,
    /// The longest pause after a crash.
    pub backoff_most: Duration,
    /// This many crashes …
    pub crashes: usize,
    /// … within this time, and a plugin is quarantined.
    pub crash_window: Duration,
    /// How long the plugins folder must be quiet before it is read.
    pub debounce: Duration,
    /// How often it is read without a sign of change: some file systems give none.
    pub rescan: Duration,
    /// How long the list of a plugin's commands may take.
    pub list: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            spin: Duration::from_secs(10),
            stop: Duration::from_secs(5),
            start: Duration::from_secs(2),
            backoff: Duration::from_secs(1),
            backoff_most: Duration::from_secs(60),
            crashes: 5,
            crash_window: Duration::from_secs(600),
            debounce: Duration::from_millis(500),
            rescan: Duration::from_secs(30),
            list: Duration::from_secs(5),
        }
    }
}
