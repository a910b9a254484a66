//! Folders that the user granted. `cap-std` keeps every path inside; here stand the rules that a path must keep before it is
//! tried, and that what is opened is a plain file.

use std::{io, path::Path, sync::Arc};

use cap_std::{
    ambient_authority,
    fs::{Dir, Metadata, OpenOptions, OpenOptionsExt as _},
};
use rustix::fs::{OFlags, RenameFlags};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use wasmtime::component::{Access, Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::{
    Answer,
    bytes::End,
    channel::ended,
    file::File,
    folder_changes::{Changes, Entries, walk},
    streams::Items,
};
use crate::plugin::{
    bindings::mute::plugin::{
        folders::{Entry, HostFolder, HostFolderWithStore},
        types::Error,
    },
    code,
    grants::Grant,
    limits,
    state::{Quota, State},
};

/// An open folder as a guest holds it.
pub struct Folder {
    open: OpenFolder,
    _place: OwnedSemaphorePermit,
}

/// What is needed to work in a folder.
#[derive(Clone)]
pub(super) struct OpenFolder {
    grant: Arc<Grant>,
    dir: Arc<Dir>,
    disk: Quota,
}

impl OpenFolder {
    /// Runs `work` in a thread that may wait for the disk, if the grant still holds.
    async fn run<T: Send + 'static>(
        self,
        needs_write: bool,
        work: impl FnOnce(&Dir) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        check_grant(&self.grant, needs_write)?;
        let permit = self.disk.wait().await?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&self.dir);
            drop(permit);
            result
        });
        done.await.map_err(|_| Error::new(code::INTERNAL, "the disk operation failed"))?
    }
}

/// Stops what the user did not, or no longer, grant.
pub(super) fn check_grant(grant: &Grant, needs_write: bool) -> Result<(), Error> {
    if !grant.holds() {
        return Err(Error::new(code::DENIED, "the folder is no longer granted"));
    }
    if needs_write && !grant.can_write {
        return Err(Error::new(code::DENIED, "the folder was granted for reading only"));
    }
    Ok(())
}

/// A path inside a folder: relative, of plain names. An empty one is the folder itself, where `root` allows it.
pub(super) fn check_path(path: &str, root: bool) -> Result<(), Error> {
    let invalid = |message: &str| Err(Error::new(code::INVALID, message));
    if path.is_empty() {
        return if root { Ok(()) } else { invalid("the path is empty") };
    }
    if path.len() > limits::PATH_BYTES {
        return invalid("the path is too long");
    }
    if path.contains('\0') {
        return invalid("a path holds no zero byte");
    }
    if path.starts_with('/') {
        return Err(Error::new(code::DENIED, "a path is relative to its folder"));
    }
    for name in path.split('/') {
        match name {
            ".." => return Err(Error::new(code::DENIED, "a path does not lead out of its folder")),
            "" | "." => return invalid("a path is made of plain names"),
            _ => {}
        }
    }
    Ok(())
}

/// The folder and the name in it that a path means.
fn split(path: &str) -> (Option<&str>, &str) {
    path.rsplit_once('/').map_or((None, path), |(folder, name)| (Some(folder), name))
}

/// What a plugin is told of a file or folder.
pub(super) fn entry(path: String, metadata: &Metadata) -> Entry {
    let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Entry {
        path,
        size_bytes: if metadata.is_file() { metadata.len() } else { 0 },
        modified_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        is_folder: metadata.is_dir(),
    }
}

fn special() -> Error {
    Error::new(code::INVALID, "it is neither a plain file nor a folder")
}

fn stat(dir: &Dir, path: String) -> Result<Entry, Error> {
    let metadata = if path.is_empty() { dir.dir_metadata()? } else { dir.metadata(&path)? };
    if metadata.is_file() || metadata.is_dir() { Ok(entry(path, &metadata)) } else { Err(special()) }
}

fn open_file(dir: &Dir, path: &str, write: bool) -> Result<std::fs::File, Error> {
    // Looked at first, because opening a device may already do something; and again once it is open, because what is at a path
    // can change. Not blocking, because opening a pipe would wait for its other end.
    match dir.metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(special()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(write).create(write).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = dir.open_with(path, &options)?.into_std();
    if file.metadata()?.is_file() { Ok(file) } else { Err(special()) }
}

/// Moves a file or folder, never over another one.
fn rename(dir: &Dir, source: &str, target: &str) -> Result<(), Error> {
    let ((source_folder, source_name), (target_folder, target_name)) = (split(source), split(target));
    let open = |folder: Option<&str>| folder.map_or_else(|| dir.try_clone(), |folder| dir.open_dir(folder));
    let (from, to) = (open(source_folder)?, open(target_folder)?);
    match rustix::fs::renameat_with(&from, source_name, &to, target_name, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            // This file system can't. A new link to a file never replaces one either; a folder has no such way.
            from.hard_link(source_name, &to, target_name)?;
            Ok(from.remove_file(source_name)?)
        }
        result => Ok(result.map_err(io::Error::from)?),
    }
}

fn remove(dir: &Dir, path: &str) -> Result<(), Error> {
    if dir.symlink_metadata(path)?.is_dir() { Ok(dir.remove_dir(path)?) } else { Ok(dir.remove_file(path)?) }
}

fn free_bytes(dir: &Dir) -> Result<u64, Error> {
    let system = rustix::fs::fstatvfs(dir).map_err(io::Error::from)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

impl State {
    async fn open_folder(&mut self, name: String) -> Result<Resource<Folder>, Error> {
        self.need_folders()?;
        let place = self.quotas.files.take()?;
        let grant = self.shared.grants.folder(&name);
        let grant = grant.ok_or_else(|| Error::new(code::DENIED, "no folder of this name was granted"))?;
        let path = grant.path.clone();
        let opened = tokio::task::spawn_blocking(move || open_root(&path)).await;
        let dir = opened.map_err(|_| Error::new(code::INTERNAL, "the disk operation failed"))??;
        let open = OpenFolder { grant, dir: Arc::new(dir), disk: self.quotas.disk.clone() };
        self.push(Folder { open, _place: place })
    }
}

fn open_root(path: &Path) -> io::Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority())
}

/// The open folder behind a guest's handle.
fn open(accessor: &Accessor<State, HasSelf<State>>, folder: &Resource<Folder>) -> wasmtime::Result<OpenFolder> {
    accessor.with(|mut access| Ok(access.get().table.get(folder)?.open.clone()))
}

impl HostFolder for State {
    async fn open(&mut self, name: String) -> Answer<Resource<Folder>> {
        Ok(self.open_folder(name).await)
    }

    fn drop(&mut self, folder: Resource<Folder>) -> wasmtime::Result<()> {
        self.table.delete(folder)?;
        Ok(())
    }
}

impl HostFolderWithStore<State> for HasSelf<State> {
    async fn stat(accessor: &Accessor<State, Self>, folder: Resource<Folder>, path: String) -> Answer<Entry> {
        let open = open(accessor, &folder)?;
        Ok(match check_path(&path, true) {
            Ok(()) => open.run(false, move |dir| stat(dir, path)).await,
            Err(error) => Err(error),
        })
    }

    fn walk(
        mut host: Access<'_, State, Self>,
        folder: Resource<Folder>,
    ) -> wasmtime::Result<(StreamReader<Entry>, FutureReader<End>)> {
        let state = host.get();
        let open = state.table.get(&folder)?.open.clone();
        let place = state.quotas.subscriptions.take().and_then(|place| {
            check_grant(&open.grant, false)?;
            Ok(place)
        });
        let (end, said) = oneshot::channel();
        let (sender, entries) = mpsc::channel(limits::WALK_ENTRIES);
        match place {
            Ok(place) => walk(open.dir, open.grant, sender, end, place),
            Err(error) => drop(end.send(Err(error))),
        }
        let said = FutureReader::new(&mut host, ended(said))?;
        Ok((StreamReader::new(&mut host, Items::new(Entries(entries), |_: &mut State, entry| Some(entry)))?, said))
    }

    fn changes(mut host: Access<'_, State, Self>, folder: Resource<Folder>) -> wasmtime::Result<StreamReader<String>> {
        let state = host.get();
        let grant = Arc::clone(&state.table.get(&folder)?.open.grant);
        let changes = match state.quotas.subscriptions.take() {
            Ok(place) if grant.holds() => Changes::start(state.host.watches.clone(), grant, place),
            // There is no way to answer with an error: a stream that has ended says that there is nothing to wait for.
            _ => Changes::none(),
        };
        StreamReader::new(&mut host, Items::new(changes, |_: &mut State, path| Some(path)))
    }

    async fn open_file(
        accessor: &Accessor<State, Self>,
        folder: Resource<Folder>,
        path: String,
        write: bool,
    ) -> Answer<Resource<File>> {
        let (open, place) = accessor.with(|mut access| {
            let state = access.get();
            let open = state.table.get(&folder)?.open.clone();
            Ok::<_, wasmtime::Error>((open, state.quotas.files.take()))
        })?;
        let place = match check_path(&path, false).and(place) {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        let (grant, disk) = (Arc::clone(&open.grant), open.disk.clone());
        let file = open.run(write, move |dir| open_file(dir, &path, write)).await;
        Ok(accessor.with(|mut access| access.get().push(File::new(file?, grant, write, disk, place))))
    }

    async fn create_folder(accessor: &Accessor<State, Self>, folder: Resource<Folder>, path: String) -> Answer<()> {
        let open = open(accessor, &folder)?;
        Ok(match check_path(&path, false) {
            Ok(()) => open.run(true, move |dir| Ok(dir.create_dir(path)?)).await,
            Err(error) => Err(error),
        })
    }

    async fn rename(
        accessor: &Accessor<State, Self>,
        folder: Resource<Folder>,
        source: String,
        target: String,
    ) -> Answer<()> {
        let open = open(accessor, &folder)?;
        Ok(match check_path(&source, false).and_then(|()| check_path(&target, false)) {
            Ok(()) => open.run(true, move |dir| rename(dir, &source, &target)).await,
            Err(error) => Err(error),
        })
    }

    async fn remove(accessor: &Accessor<State, Self>, folder: Resource<Folder>, path: String) -> Answer<()> {
        let open = open(accessor, &folder)?;
        Ok(match check_path(&path, false) {
            Ok(()) => open.run(true, move |dir| remove(dir, &path)).await,
            Err(error) => Err(error),
        })
    }

    async fn free_bytes(accessor: &Accessor<State, Self>, folder: Resource<Folder>) -> Answer<u64> {
        Ok(open(accessor, &folder)?.run(false, free_bytes).await)
    }
}

#[cfg(test)]
mod tests;
