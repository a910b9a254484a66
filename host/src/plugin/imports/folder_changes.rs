//! What is in a folder, and what changes in it, as streams.

use std::{
    future::Future as _,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use cap_std::fs::{Dir, ReadDir};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinHandle,
};

use super::{bytes::End, folder::entry, streams::Polled};
use crate::plugin::{
    bindings::mute::plugin::{folders::Entry, types::Error},
    code,
    grants::Grant,
    limits,
    watch::{Watch, Watches},
};

/// The entries of a walk.
pub(super) struct Entries(pub(super) mpsc::Receiver<Entry>);

impl Polled for Entries {
    type Item = Entry;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Entry>> {
        self.0.poll_recv(cx)
    }
}

/// Walks a folder, as fast as the guest takes the entries, and says at the end how it ended.
pub(super) fn walk(
    dir: Arc<Dir>,
    grant: Arc<Grant>,
    entries: mpsc::Sender<Entry>,
    end: oneshot::Sender<End>,
    place: OwnedSemaphorePermit,
) {
    tokio::spawn(async move {
        let ended = walk_all(&dir, &grant, &entries).await;
        // First the stream's end, then its reason: the guest reads them in this order.
        drop(entries);
        let _ = end.send(ended);
        drop(place);
    });
}

async fn walk_all(dir: &Arc<Dir>, grant: &Grant, entries: &mpsc::Sender<Entry>) -> Result<(), Error> {
    let mut walk = Some(Walk { dir: Arc::clone(dir), open: Vec::new(), begun: false });
    while let Some(mut this) = walk.take() {
        if !grant.holds() {
            return Err(Error::new(code::DENIED, "the folder is no longer granted"));
        }
        // A batch at a time, so that no thread waits for a guest.
        let step = tokio::task::spawn_blocking(move || this.batch().map(|batch| (this, batch)));
        let (this, batch) = step.await.map_err(|_| Error::new(code::INTERNAL, "the walk failed"))??;
        if batch.is_empty() {
            return Ok(());
        }
        for entry in batch {
            if entries.send(entry).await.is_err() {
                return Err(Error::new(code::CANCELLED, "the walk was dropped before its end"));
            }
        }
        walk = Some(this);
    }
    Ok(())
}

/// A walk that stands somewhere in a folder. Links are not followed and not listed, nor is what is neither file nor folder.
struct Walk {
    dir: Arc<Dir>,
    /// The folders that it is in, with their paths; at most [`limits::WALK_DEPTH`].
    open: Vec<(String, Dir, ReadDir)>,
    begun: bool,
}

impl Walk {
    /// The next entries; none at the end.
    fn batch(&mut self) -> Result<Vec<Entry>, Error> {
        if !std::mem::replace(&mut self.begun, true) {
            let root = self.dir.try_clone()?;
            let entries = root.entries()?;
            self.open.push((String::new(), root, entries));
        }
        let mut batch = Vec::new();
        while batch.len() < limits::WALK_ENTRIES {
            let Some((path, dir, entries)) = self.open.last_mut() else { break };
            // What can't be read (a file that just went, a folder of somebody else's) is left out, not the rest.
            let Some(Ok(found)) = entries.next() else {
                self.open.pop();
                continue;
            };
            let Ok(name) = found.file_name().into_string() else { continue };
            let Ok(metadata) = found.metadata() else { continue };
            if !metadata.is_file() && !metadata.is_dir() {
                continue;
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            if path.len() > limits::PATH_BYTES {
                continue;
            }
            batch.push(entry(path.clone(), &metadata));
            let inner = metadata.is_dir().then(|| open_inner(dir, &name)).flatten();
            if let Some((dir, entries)) = inner
                && self.open.len() < limits::WALK_DEPTH
            {
                self.open.push((path, dir, entries));
            }
        }
        Ok(batch)
    }
}

/// A folder within, unless it became a link meanwhile.
fn open_inner(dir: &Dir, name: &str) -> Option<(Dir, ReadDir)> {
    if !dir.symlink_metadata(Path::new(name)).ok()?.is_dir() {
        return None;
    }
    let inner = dir.open_dir(name).ok()?;
    let entries = inner.entries().ok()?;
    Some((inner, entries))
}

/// The changes of a folder.
pub(super) enum Changes {
    /// There is nothing to wait for.
    Ended,
    /// The folder is being walked to watch all in it.
    Starting(JoinHandle<Watch>, Arc<Grant>, OwnedSemaphorePermit),
    /// Changes come.
    Watching(Watch, Arc<Grant>, #[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit),
}

impl Changes {
    pub(super) fn none() -> Self {
        Self::Ended
    }

    pub(super) fn start(watches: Watches, grant: Arc<Grant>, place: OwnedSemaphorePermit) -> Self {
        let root = grant.path.clone();
        Self::Starting(tokio::task::spawn_blocking(move || watches.watch(&root)), grant, place)
    }
}

impl Polled for Changes {
    type Item = String;

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        loop {
            match self {
                Self::Ended => return Poll::Ready(None),
                Self::Starting(starting, ..) => {
                    let started = std::task::ready!(Pin::new(starting).poll(cx));
                    let Self::Starting(_, grant, place) = std::mem::replace(self, Self::Ended) else { continue };
                    if let Ok(watch) = started {
                        *self = Self::Watching(watch, grant, place);
                    }
                }
                Self::Watching(watch, grant, _) => {
                    let path = std::task::ready!(watch.poll_next(cx));
                    if grant.holds() {
                        return Poll::Ready(Some(path));
                    }
                    *self = Self::Ended;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_lists_plain_files_and_folders_and_follows_no_link() {
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(home.path().join("a/b")).expect("made");
        std::fs::write(home.path().join("a/b/file"), b"12345").expect("written");
        std::os::unix::fs::symlink("/etc", home.path().join("link")).expect("linked");
        std::os::unix::fs::symlink("..", home.path().join("a/loop")).expect("linked");
        let dir = Dir::open_ambient_dir(home.path(), cap_std::ambient_authority()).expect("opens");
        let mut walk = Walk { dir: Arc::new(dir), open: Vec::new(), begun: false };
        let mut found = Vec::new();
        loop {
            let batch = walk.batch().expect("walks");
            if batch.is_empty() {
                break;
            }
            found.extend(batch.into_iter().map(|entry| (entry.path, entry.size_bytes, entry.is_folder)));
        }
        found.sort();
        let expected = [("a", 0, true), ("a/b", 0, true), ("a/b/file", 5, false)];
        assert_eq!(found, expected.map(|(path, size, is_folder)| (path.to_owned(), size, is_folder)));
    }

    #[test]
    fn a_walk_has_a_depth() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let deep: std::path::PathBuf = std::iter::repeat_n("d", limits::WALK_DEPTH + 5).collect();
        std::fs::create_dir_all(home.path().join(deep)).expect("made");
        let dir = Dir::open_ambient_dir(home.path(), cap_std::ambient_authority()).expect("opens");
        let mut walk = Walk { dir: Arc::new(dir), open: Vec::new(), begun: false };
        assert_eq!(walk.batch().expect("walks").len(), limits::WALK_DEPTH);
        assert_eq!(walk.batch().expect("walks").len(), 0);
    }
}
