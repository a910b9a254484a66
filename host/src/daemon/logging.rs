//! Where the daemon's log goes.
//!
//! The rule: no address, no IP address and no content above debug level. Our own code keeps it; other crates' words are
//! left out above debug, for some name sockets in their warnings.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer as _, filter::Targets, fmt, layer::SubscriberExt as _};

use crate::{
    config::{Level, Log},
    error::{Context as _, Error, Result},
    home::Home,
};

/// When the log has grown to this, it becomes `mute.log.old` and a new one is begun.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Starts the log of this process: to standard error unless `quiet`, and to the home's file if that is wanted.
pub(super) fn start(home: &Home, log: &Log, quiet: bool, colour: bool) -> Result<()> {
    let terminal = (!quiet).then(|| {
        fmt::layer().with_writer(io::stderr).with_ansi(colour).with_target(false).with_filter(filter(log.level))
    });
    let file = if log.file { Some(LogFile::open(home.log_file())?) } else { None };
    let file = file
        .map(|file| fmt::layer().with_writer(Shared(Mutex::new(file))).with_ansi(false).with_filter(filter(log.level)));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(terminal).with(file))
        .map_err(|_| Error::failure("the log was started twice"))
}

/// What is logged at this level, and by whom.
fn filter(level: Level) -> Targets {
    let (ours, others) = match level {
        Level::Off => (LevelFilter::OFF, LevelFilter::OFF),
        Level::Error => (LevelFilter::ERROR, LevelFilter::OFF),
        Level::Warn => (LevelFilter::WARN, LevelFilter::OFF),
        Level::Info => (LevelFilter::INFO, LevelFilter::OFF),
        Level::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        Level::Trace => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    Targets::new().with_target("mute", ours).with_target("mute_core", ours).with_default(others)
}

/// A file that does not grow without bound.
struct LogFile {
    file: File,
    path: PathBuf,
    written: u64,
}

impl LogFile {
    fn open(path: PathBuf) -> Result<Self> {
        let file = append(&path).context(format_args!("cannot write {}", path.display()))?;
        let written = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(Self { file, path, written })
    }

    fn turn_over(&mut self) -> io::Result<()> {
        std::fs::rename(&self.path, self.path.with_extension("log.old"))?;
        self.file = append(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.written >= MAX_FILE_BYTES {
            self.turn_over()?;
        }
        let count = self.file.write(line)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file, for all threads.
struct Shared(Mutex<LogFile>);

/// Its turn.
struct Turn<'a>(MutexGuard<'a, LogFile>);

impl Write for Turn<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a> fmt::MakeWriter<'a> for Shared {
    type Writer = Turn<'a>;

    fn make_writer(&'a self) -> Turn<'a> {
        // A panic in the middle of a line leaves half a line, no more.
        Turn(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_turned_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mute.log");
        let mut log = LogFile::open(path.clone()).unwrap();
        log.written = MAX_FILE_BYTES;
        log.write_all(b"new\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new\n");
        assert!(folder.path().join("mute.log.old").exists());
    }

    #[test]
    fn other_crates_are_silent_above_debug() {
        for level in [Level::Error, Level::Warn, Level::Info] {
            assert!(!filter(level).would_enable("quinn_udp", &tracing::Level::ERROR));
            assert!(filter(level).would_enable("mute::link", &tracing::Level::ERROR));
        }
        assert!(filter(Level::Debug).would_enable("quinn_udp", &tracing::Level::WARN));
    }
}
