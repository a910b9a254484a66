//! What is known of a running plugin: its counters, its last lines of log, the reason why it failed.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    grants::{Grants, Permissions},
    limits,
};

/// Where a plugin is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// Being compiled, checked or instantiated.
    Starting,
    /// Its `run` is under way.
    Running,
    /// It failed and is started again after a pause.
    Crashed,
    /// It failed too often and stays off until it is enabled, reloaded or replaced.
    Quarantined,
    /// Switched off, or asked to stop.
    Stopped,
}

impl std::fmt::Display for PluginState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Crashed => "crashed",
            Self::Quarantined => "quarantined",
            Self::Stopped => "stopped",
        })
    }
}

/// Where a plugin's component comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Part of this program.
    Embedded,
    /// A file in the plugins folder.
    File,
}

/// A plugin as `mute plugin list` and the web page show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Its name: its file's, without the ending.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// BLAKE3 of the component that runs or is to run, in hexadecimal.
    pub hash: String,
    /// Where it is in its life.
    pub state: PluginState,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub since_unix_s: u64,
    /// What it may do.
    pub permissions: Permissions,
    /// The names of the folders it may open.
    pub folders: Vec<String>,
    /// Its linear memory now.
    pub memory_bytes: u64,
    /// The processor time it took since the daemon's start.
    pub cpu_ms: u64,
    /// Bytes that came in over its channels since the daemon's start.
    pub bytes_in: u64,
    /// Bytes that went out over its channels since the daemon's start.
    pub bytes_out: u64,
    /// Its open connections.
    pub connections: u32,
    /// What its storage holds.
    pub storage_used_bytes: u64,
    /// What its storage may hold.
    pub storage_quota_bytes: u64,
    /// How often it was started again after a failure, since the daemon's start.
    pub restarts: u32,
    /// Why it failed last, or why a new version of it was refused.
    pub last_error: Option<String>,
}

/// A line that a plugin logged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in seconds since 1970-01-01 UTC.
    pub unix_s: u64,
    /// 0 error, 1 warn, 2 info, 3 debug.
    pub level: u8,
    /// What it says, without control characters.
    pub text: String,
}

/// How long at most one waits to learn why a life ended.
const END_IS_TOLD: Duration = Duration::from_secs(10);

/// What the supervisor, the instance and those who look share of one plugin.
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) grants: Grants,
    pub(super) memory_bytes: AtomicU64,
    pub(super) cpu_ns: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) connections: AtomicU32,
    pub(super) storage_used: AtomicU64,
    life: Mutex<Life>,
    /// How many of its lives have ended, and why the last one did if it was not to.
    ended: watch::Sender<(u64, Option<String>)>,
    log: Mutex<VecDeque<LogLine>>,
}

/// What changes at the turns of its life.
struct Life {
    origin: Origin,
    hash: String,
    state: PluginState,
    since: SystemTime,
    restarts: u32,
    last_error: Option<String>,
}

impl Shared {
    pub(super) fn new(name: &str, grants: Grants) -> Self {
        Self {
            name: name.into(),
            grants,
            memory_bytes: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            connections: AtomicU32::new(0),
            storage_used: AtomicU64::new(0),
            life: Mutex::new(Life {
                origin: Origin::File,
                hash: String::new(),
                state: PluginState::Stopped,
                since: SystemTime::now(),
                restarts: 0,
                last_error: None,
            }),
            ended: watch::Sender::default(),
            log: Mutex::new(VecDeque::new()),
        }
    }

    /// How many lives have ended.
    pub(super) fn lives(&self) -> u64 {
        self.ended.borrow().0
    }

    /// A life has ended; for a reason, if it was not to end.
    pub(super) fn life_ended(&self, reason: Option<String>) {
        self.ended.send_modify(|ended| *ended = (ended.0.saturating_add(1), reason));
    }

    /// Why the life ended that was under way when `lives` had ended.
    pub(super) async fn why_ended(&self, lives: u64) -> Option<String> {
        let mut ended = self.ended.subscribe();
        // The end of a life is told after all that it was doing has broken off; it is told always, and soon.
        let told = tokio::time::timeout(END_IS_TOLD, ended.wait_for(|(count, _)| *count > lives)).await;
        told.ok()?.ok()?.1.clone()
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        // The holder of the lock only assigns fields, so what it left behind is whole.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> PluginState {
        self.life().state
    }

    pub(super) fn set_state(&self, state: PluginState) {
        let mut life = self.life();
        if life.state != state {
            life.state = state;
            life.since = SystemTime::now();
        }
    }

    pub(super) fn set_version(&self, origin: Origin, hash: &blake3::Hash) {
        let mut life = self.life();
        life.origin = origin;
        life.hash = hash.to_hex().to_string();
    }

    pub(super) fn count_restart(&self) {
        let mut life = self.life();
        life.restarts = life.restarts.saturating_add(1);
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.life().last_error.clone()
    }

    pub(super) fn set_last_error(&self, error: impl Into<String>) {
        self.life().last_error = Some(error.into());
    }

    /// Keeps a line that the plugin logged; the oldest makes room.
    pub(super) fn log(&self, level: u8, text: &str) {
        let text = clean(text);
        // What a plugin says is content: above debug level it appears in no log, only to the user who asks for this plugin's.
        tracing::debug!(plugin = &*self.name, level, "{text}");
        let line = LogLine { unix_s: unix_s(SystemTime::now()), level, text };
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == limits::LOG_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }

    pub(super) fn log_lines(&self) -> Vec<LogLine> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn info(&self) -> PluginInfo {
        let life = self.life();
        PluginInfo {
            name: self.name.to_string(),
            origin: life.origin,
            hash: life.hash.clone(),
            state: life.state,
            since_unix_s: unix_s(life.since),
            permissions: self.grants.permissions,
            folders: self.grants.names(),
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            cpu_ms: u64::try_from(Duration::from_nanos(self.cpu_ns.load(Ordering::Relaxed)).as_millis())
                .unwrap_or(u64::MAX),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            storage_used_bytes: self.storage_used.load(Ordering::Relaxed),
            storage_quota_bytes: self.grants.permissions.storage_quota_bytes,
            restarts: life.restarts,
            last_error: life.last_error.clone(),
        }
    }
}

/// Seconds since 1970-01-01 UTC; 0 on a clock that stands before.
pub(super) fn unix_s(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A plugin's text on one line, for a terminal: no control characters (they move cursors and set titles), at most
/// [`limits::TEXT_BYTES`].
pub(super) fn clean(text: &str) -> String {
    clean_with(text, limits::TEXT_BYTES, |_| false)
}

/// A plugin's text that may have lines.
pub(super) fn clean_lines(text: &str) -> String {
    clean_with(text, limits::OUTPUT_BYTES, |character| matches!(character, '\n' | '\t'))
}

fn clean_with(text: &str, most_bytes: usize, keep: impl Fn(char) -> bool) -> String {
    let mut cleaned = String::with_capacity(text.len().min(most_bytes));
    for character in text.chars() {
        let character = if is_unsafe(character) && !keep(character) { '\u{fffd}' } else { character };
        if cleaned.len() + character.len_utf8() > most_bytes {
            break;
        }
        cleaned.push(character);
    }
    cleaned
}

/// Control characters, and those that turn the direction of text, with which one line can pose as another.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_keeps_the_newest_lines_only() {
        let shared = Shared::new("x", Grants::default());
        for n in 0..limits::LOG_LINES + 10 {
            shared.log(2, &n.to_string());
        }
        let lines = shared.log_lines();
        assert_eq!(lines.len(), limits::LOG_LINES);
        assert_eq!(lines[0].text, "10");
    }

    #[test]
    fn text_loses_what_moves_a_cursor() {
        assert_eq!(clean("a\x1b[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(clean_lines("a\nb\tc\x07"), "a\nb\tc\u{fffd}");
        assert_eq!(clean(&"é".repeat(limits::TEXT_BYTES)).len(), limits::TEXT_BYTES);
    }
}
