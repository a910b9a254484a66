//! Watching folders: one watcher for all of them, quiet until a folder has been quiet for a moment.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache, new_debouncer_opt};
use tokio::{sync::mpsc, time::Interval};

use super::limits;

/// How often a folder that can't be watched counts as changed: the system may have no watches left.
const UNWATCHED: Duration = Duration::from_secs(60);

/// All watched folders. Cheap to clone.
#[derive(Clone)]
pub(super) struct Watches {
    debouncer: Arc<Mutex<Option<Debouncer<RecommendedWatcher, NoCache>>>>,
    roots: Arc<Mutex<Roots>>,
    ids: Arc<AtomicU64>,
}

/// Who looks at which folder.
type Roots = BTreeMap<PathBuf, BTreeMap<u64, Watcher>>;

/// One who looks.
struct Watcher {
    paths: mpsc::Sender<String>,
    missed: Arc<AtomicBool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The holders only insert and remove; a panic between leaves a map that is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watches {
    /// Starts the watcher. Where the system has none, folders are looked at from time to time.
    pub(super) fn start(debounce: Duration) -> Self {
        let roots: Arc<Mutex<Roots>> = Arc::default();
        let listeners = Arc::clone(&roots);
        let config = notify::Config::default().with_follow_symlinks(false);
        let handler = move |events: DebounceEventResult| notify_all(&lock(&listeners), events);
        let debouncer = new_debouncer_opt(debounce, None, handler, NoCache, config)
            .inspect_err(|error| tracing::warn!(%error, "folders can't be watched: they are looked at now and then"))
            .ok();
        Self { debouncer: Arc::new(Mutex::new(debouncer)), roots, ids: Arc::default() }
    }

    /// Watches a folder and all in it. Walks the folder, so it blocks.
    pub(super) fn watch(&self, root: &Path) -> Watch {
        let (sender, paths) = mpsc::channel(limits::CHANGES);
        let missed = Arc::<AtomicBool>::default();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let watcher = Watcher { paths: sender, missed: Arc::clone(&missed) };
        let is_new = {
            let mut roots = lock(&self.roots);
            let watchers = roots.entry(root.to_owned()).or_default();
            watchers.insert(id, watcher);
            watchers.len() == 1
        };
        let watched = !is_new || self.begin(root);
        Watch { watches: self.clone(), root: root.to_owned(), id, paths, missed, unwatched: !watched, interval: None }
    }

    fn begin(&self, root: &Path) -> bool {
        let mut debouncer = lock(&self.debouncer);
        let Some(debouncer) = debouncer.as_mut() else { return false };
        // The error names a path, which belongs into no log above debug level.
        debouncer
            .watch(root, RecursiveMode::Recursive)
            .inspect_err(|error| tracing::debug!(%error, "a folder can't be watched"))
            .is_ok()
    }

    /// Forgets one who looked. True if it was the last one at this folder.
    fn forget(&self, root: &Path, id: u64) -> bool {
        let mut roots = lock(&self.roots);
        let Some(watchers) = roots.get_mut(root) else { return false };
        watchers.remove(&id);
        let is_last = watchers.is_empty();
        if is_last {
            roots.remove(root);
        }
        is_last
    }

    /// Ends the system's watch of a folder. Walks what is within it, so it blocks.
    fn end(&self, root: &Path) {
        let others: Vec<PathBuf> = lock(&self.roots).keys().cloned().collect();
        // A folder around it, or somebody who came to look at it meanwhile, still needs the watch.
        if others.iter().any(|other| root.starts_with(other)) {
            return;
        }
        if let Some(debouncer) = lock(&self.debouncer).as_mut() {
            // Fails if the folder is gone, and its watch with it.
            let _ = debouncer.unwatch(root);
        }
        // The system knows one watch for each folder, so this ended those of folders within, too. What changed in them until they
        // are watched again nobody saw: they are looked at as a whole.
        for within in others.iter().filter(|other| other.starts_with(root)) {
            self.begin(within);
            if let Some(watchers) = lock(&self.roots).get(within) {
                watchers.values().for_each(|watcher| watcher.tell(String::new()));
            }
        }
    }
}

/// Tells each watcher what changed in its folder.
fn notify_all(roots: &Roots, events: DebounceEventResult) {
    let Ok(events) = events else {
        let all = roots.values().flat_map(BTreeMap::values);
        return all.for_each(|watcher| watcher.tell(String::new()));
    };
    for event in events {
        if event.need_rescan() {
            roots.values().flat_map(BTreeMap::values).for_each(|watcher| watcher.tell(String::new()));
        }
        // Reading a file is no change; without this a plugin that hashes a folder would wake itself for ever.
        if matches!(event.kind, EventKind::Access(_)) {
            continue;
        }
        for path in &event.paths {
            for (root, watchers) in roots.iter().filter(|(root, _)| path.starts_with(root)) {
                // A name that is no text can't be told: the plugin looks at everything.
                let inner = path.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or_default();
                watchers.values().for_each(|watcher| watcher.tell(inner.to_owned()));
            }
        }
    }
}

impl Watcher {
    fn tell(&self, path: String) {
        if self.paths.try_send(path).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }
}

/// The changes of one folder.
pub(super) struct Watch {
    watches: Watches,
    root: PathBuf,
    id: u64,
    paths: mpsc::Receiver<String>,
    missed: Arc<AtomicBool>,
    unwatched: bool,
    interval: Option<Interval>,
}

impl Watch {
    /// The next path that changed, relative to the folder; empty: look at everything. Needs tokio's timers.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        if self.missed.swap(false, Ordering::AcqRel) {
            while self.paths.try_recv().is_ok() {}
            return Poll::Ready(String::new());
        }
        // The sender lives as long as this watch, so the end is never seen.
        if let Poll::Ready(Some(path)) = self.paths.poll_recv(cx) {
            return Poll::Ready(path);
        }
        if self.unwatched {
            let interval = self
                .interval
                .get_or_insert_with(|| tokio::time::interval_at(tokio::time::Instant::now() + UNWATCHED, UNWATCHED));
            return interval.poll_tick(cx).map(|_| String::new());
        }
        Poll::Pending
    }

    /// See [`Watch::poll_next`].
    pub(super) async fn next(&mut self) -> String {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.watches.forget(&self.root, self.id) {
            return;
        }
        let (watches, root) = (self.watches.clone(), std::mem::take(&mut self.root));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || watches.end(&root))),
            Err(_) => watches.end(&root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(watch: &mut Watch) -> String {
        tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("a change in time")
    }

    #[tokio::test]
    async fn changes_are_told_below_their_folder_and_reading_is_none() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("shared");
        std::fs::create_dir_all(folder.join("inner")).expect("made");
        std::fs::write(folder.join("old"), b"old").expect("written");
        let watches = Watches::start(Duration::from_millis(50));
        let mut outer = watches.watch(&folder);
        let mut inner = watches.watch(&folder.join("inner"));
        std::fs::read(folder.join("old")).expect("read");
        std::fs::write(folder.join("inner").join("new"), b"new").expect("written");
        assert_eq!(next(&mut outer).await, "inner/new");
        assert_eq!(next(&mut inner).await, "new");
    }

    /// Waits for a path; others may be told before it, such as that of its folder.
    async fn until(watch: &mut Watch, wanted: &str) {
        while next(watch).await != wanted {}
    }

    #[tokio::test]
    async fn the_end_of_a_watch_ends_no_other() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("shared");
        let deepest = folder.join("inner").join("deepest");
        std::fs::create_dir_all(&deepest).expect("made");
        let watches = Watches::start(Duration::from_millis(50));
        let mut outer = watches.watch(&folder);
        let inner = watches.watch(&folder.join("inner"));
        let mut innermost = watches.watch(&deepest);

        drop(inner);
        std::fs::write(deepest.join("one"), b"1").expect("written");
        until(&mut outer, "inner/deepest/one").await;
        until(&mut innermost, "one").await;

        // The system's watches within end with the one around them: who looks there is told to look at everything.
        drop(outer);
        until(&mut innermost, "").await;
        std::fs::write(deepest.join("two"), b"2").expect("written");
        until(&mut innermost, "two").await;
        drop(innermost);
        assert!(lock(&watches.roots).is_empty());
    }

    #[tokio::test]
    async fn too_many_changes_mean_everything() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let watches = Watches::start(Duration::from_millis(50));
        let mut watch = watches.watch(home.path());
        for n in 0..=limits::CHANGES {
            lock(&watches.roots)[home.path()].values().for_each(|watcher| watcher.tell(n.to_string()));
        }
        assert_eq!(next(&mut watch).await, "");
        lock(&watches.roots)[home.path()].values().for_each(|watcher| watcher.tell("later".to_owned()));
        assert_eq!(next(&mut watch).await, "later");
    }
}
