//! Open files: read and written as streams, at any place.

use std::{io, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::PollSender;
use wasmtime::component::{Access, Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::{
    Answer,
    bytes::{End, FileChunk, FileSink, FileSource},
    channel::ended,
    folder::check_grant,
    streams::Once,
};
use crate::plugin::{
    bindings::mute::plugin::{
        folders::{HostFile, HostFileWithStore},
        types::Error,
    },
    code,
    grants::Grant,
    limits,
    state::{Quota, State},
};

/// An open file as a guest holds it.
pub struct File(OpenFile);

/// What is needed to work on a file; streams keep it while they run.
#[derive(Clone)]
struct OpenFile {
    file: Arc<std::fs::File>,
    grant: Arc<Grant>,
    can_write: bool,
    disk: Quota,
    _place: Arc<OwnedSemaphorePermit>,
}

impl File {
    pub(super) fn new(
        file: std::fs::File,
        grant: Arc<Grant>,
        can_write: bool,
        disk: Quota,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self(OpenFile { file: Arc::new(file), grant, can_write, disk, _place: Arc::new(place) })
    }
}

impl OpenFile {
    /// Runs `work` in a thread that may wait for the disk, if the grant still holds.
    async fn run<T: Send + 'static>(
        &self,
        needs_write: bool,
        work: impl FnOnce(&std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        check_grant(&self.grant, needs_write)?;
        if needs_write && !self.can_write {
            return Err(Error::new(code::DENIED, "the file was opened for reading only"));
        }
        let permit = self.disk.wait().await?;
        let file = Arc::clone(&self.file);
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&file);
            drop(permit);
            result
        });
        done.await.map_err(|_| Error::new(code::INTERNAL, "the disk operation failed"))?.map_err(Error::from)
    }

    /// Hands the file's bytes over until its end, or `length` bytes.
    async fn read_all(self, mut offset: u64, length: Option<u64>, chunks: mpsc::Sender<FileChunk>) {
        let mut left = length;
        loop {
            let most = left
                .map_or(limits::FILE_CHUNK, |left| usize::try_from(left).unwrap_or(usize::MAX).min(limits::FILE_CHUNK));
            let chunk = match most {
                0 => Ok(None),
                _ => self.run(false, move |file| read_chunk(file, offset, most)).await,
            };
            let chunk = match chunk {
                // The reader was promised more than there is: this is no end.
                Ok(None) if left.is_some_and(|left| left > 0) => {
                    Err(Error::new(code::CLOSED, "the file ends before the length that was asked for"))
                }
                other => other,
            };
            let bytes = match &chunk {
                Ok(Some(bytes)) => bytes.len() as u64,
                _ => 0,
            };
            // An error means that the guest let go of the stream.
            if chunks.send(chunk).await.is_err() || bytes == 0 {
                return;
            }
            offset = offset.saturating_add(bytes);
            left = left.map(|left| left.saturating_sub(bytes));
        }
    }

    /// Writes what comes from the guest until its stream ends.
    async fn write_all(&self, mut offset: u64, mut chunks: mpsc::Receiver<Bytes>) -> Result<(), Error> {
        while let Some(bytes) = chunks.recv().await {
            let length = bytes.len() as u64;
            let end = offset.checked_add(length);
            let end = end.ok_or_else(|| Error::new(code::TOO_LARGE, "no file is that large"))?;
            self.run(true, move |file| file.write_all_at(&bytes, offset)).await?;
            offset = end;
        }
        Ok(())
    }
}

/// The next bytes; `None` at the end of the file.
fn read_chunk(file: &std::fs::File, offset: u64, most: usize) -> io::Result<Option<Bytes>> {
    let mut chunk = vec![0; most];
    let mut filled = 0;
    while filled < most {
        let place = offset.saturating_add(filled as u64);
        match file.read_at(&mut chunk[filled..], place) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(filled);
    Ok((filled > 0).then(|| chunk.into()))
}

/// The file behind a guest's handle.
fn open(accessor: &Accessor<State, HasSelf<State>>, file: &Resource<File>) -> wasmtime::Result<OpenFile> {
    accessor.with(|mut access| Ok(access.get().table.get(file)?.0.clone()))
}

impl HostFile for State {
    fn drop(&mut self, file: Resource<File>) -> wasmtime::Result<()> {
        self.table.delete(file)?;
        Ok(())
    }
}

impl HostFileWithStore<State> for HasSelf<State> {
    fn read(
        mut host: Access<'_, State, Self>,
        file: Resource<File>,
        offset: u64,
        length: Option<u64>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<End>)> {
        let open = host.get().table.get(&file)?.0.clone();
        let (sender, chunks) = mpsc::channel(limits::FILE_CHUNKS);
        tokio::spawn(open.read_all(offset, length, sender));
        let (end, said) = oneshot::channel();
        let said = FutureReader::new(&mut host, ended(said))?;
        Ok((StreamReader::new(&mut host, FileSource { chunks, end: Some(end) })?, said))
    }

    async fn write(
        accessor: &Accessor<State, Self>,
        file: Resource<File>,
        offset: u64,
        data: StreamReader<u8>,
        end: FutureReader<End>,
    ) -> Answer<()> {
        let (open, chunks, said) = accessor.with(|mut access| {
            let open = access.get().table.get(&file)?.0.clone();
            let (sender, chunks) = mpsc::channel(limits::FILE_CHUNKS);
            data.pipe(&mut access, FileSink(PollSender::new(sender)))?;
            let (once, said) = Once::new();
            end.pipe(&mut access, once)?;
            Ok::<_, wasmtime::Error>((open, chunks, said))
        })?;
        if let Err(error) = open.write_all(offset, chunks).await {
            return Ok(Err(error));
        }
        // All that came is written. Whether that was all there was, only the guest knows.
        let dropped = |_| Err(Error::new(code::CANCELLED, "the end was dropped without a word"));
        Ok(said.await.unwrap_or_else(dropped).map_err(Error::cleaned))
    }

    async fn truncate(accessor: &Accessor<State, Self>, file: Resource<File>, size_bytes: u64) -> Answer<()> {
        let open = open(accessor, &file)?;
        Ok(open.run(true, move |file| file.set_len(size_bytes)).await)
    }

    async fn sync(accessor: &Accessor<State, Self>, file: Resource<File>) -> Answer<()> {
        let open = open(accessor, &file)?;
        Ok(open.run(false, std::fs::File::sync_all).await)
    }
}
