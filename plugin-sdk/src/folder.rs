//! The folders that the user granted.
//!
//! Paths are relative to the folder, with `/` between names. The host refuses any that would leave it.

use crate::bindings::plugin::mute::plugin::folders as host;
use crate::stream::End;
use crate::{Reader, Result, Writer};
use std::future::IntoFuture as _;
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader};

/// A folder that the user granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name to open it by.
    pub name: String,
    /// Whether it may be changed.
    pub can_write: bool,
}

/// The folders that the user granted.
pub fn granted() -> Vec<Grant> {
    host::granted().into_iter().map(|host::Grant { name, can_write }| Grant { name, can_write }).collect()
}

/// A file or folder, as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the granted folder.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was changed last, in milliseconds since 1970-01-01 UTC.
    pub modified_ms: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl From<host::Entry> for Entry {
    fn from(entry: host::Entry) -> Self {
        let host::Entry { path, size_bytes, modified_ms, is_folder } = entry;
        Self { path, size: size_bytes, modified_ms, is_folder }
    }
}

/// A granted folder. Clones are the same folder.
#[derive(Clone)]
pub struct Folder(Rc<host::Folder>);

impl Folder {
    /// The folder granted under this name.
    ///
    /// # Errors
    /// [`crate::Error::DENIED`].
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self(Rc::new(host::Folder::open(name)?)))
    }

    /// What is at that path.
    ///
    /// # Errors
    /// [`crate::Error::NOT_FOUND`], [`crate::Error::INVALID`].
    pub async fn stat(&self, path: &str) -> Result<Entry> {
        Ok(self.0.stat(path.to_owned()).await?.into())
    }

    /// Everything in it, at any depth.
    pub fn walk(&self) -> Walk {
        let (entries, end) = self.0.walk();
        Walk { entries, end: Some(end) }
    }

    /// What changes in it from now on.
    pub fn changes(&self) -> Changes {
        Changes(self.0.changes())
    }

    /// Opens a file; to write, makes it if need be.
    ///
    /// # Errors
    /// [`crate::Error::NOT_FOUND`], [`crate::Error::DENIED`], [`crate::Error::INVALID`].
    pub async fn open_file(&self, path: &str, write: bool) -> Result<File> {
        Ok(File(Rc::new(self.0.open_file(path.to_owned(), write).await?)))
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// [`crate::Error::DENIED`], [`crate::Error::INVALID`].
    pub async fn create_folder(&self, path: &str) -> Result<()> {
        Ok(self.0.create_folder(path.to_owned()).await?)
    }

    /// Renames; never replaces what is there.
    ///
    /// # Errors
    /// [`crate::Error::INVALID`] if the target exists, [`crate::Error::NOT_FOUND`], [`crate::Error::DENIED`].
    pub async fn rename(&self, source: &str, target: &str) -> Result<()> {
        Ok(self.0.rename(source.to_owned(), target.to_owned()).await?)
    }

    /// Removes a file or an empty folder.
    ///
    /// # Errors
    /// [`crate::Error::NOT_FOUND`], [`crate::Error::DENIED`].
    pub async fn remove(&self, path: &str) -> Result<()> {
        Ok(self.0.remove(path.to_owned()).await?)
    }

    /// Bytes free on its disk.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn free_bytes(&self) -> Result<u64> {
        Ok(self.0.free_bytes().await?)
    }
}

/// What is in a folder.
pub struct Walk {
    entries: StreamReader<host::Entry>,
    end: Option<FutureReader<End>>,
}

impl Walk {
    /// The next; none when that was all.
    ///
    /// # Errors
    /// Why not all could be listed.
    pub async fn next(&mut self) -> Result<Option<Entry>> {
        if let Some(entry) = self.entries.next().await {
            return Ok(Some(entry.into()));
        }
        match self.end.take() {
            Some(end) => Ok(end.into_future().await.map(|()| None)?),
            None => Ok(None),
        }
    }
}

/// What changes in a folder.
pub struct Changes(StreamReader<String>);

impl Changes {
    /// A path that changed; empty if anything may have. None when the folder is no longer granted.
    pub async fn next(&mut self) -> Option<String> {
        self.0.next().await
    }
}

/// An open file. Clones are the same file.
#[derive(Clone)]
pub struct File(Rc<host::File>);

impl File {
    /// Reads from `offset` on, `length` bytes or to the end.
    pub fn read(&self, offset: u64, length: Option<u64>) -> Reader {
        Reader::new(self.0.read(offset, length))
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// [`crate::Error::CLOSED`] if the file ends before, and what the disk says.
    pub async fn read_exact_at(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.read(offset, Some(bytes.len() as u64)).read_exact(bytes).await
    }

    /// Writes from `offset` on.
    pub fn write(&self, offset: u64) -> Writer {
        let file = Rc::clone(&self.0);
        Writer::start(|stream, end| async move { file.write(offset, stream, end).await })
    }

    /// Makes it that many bytes long.
    ///
    /// # Errors
    /// What the disk says: [`crate::Error::QUOTA`] if it is full.
    pub async fn truncate(&self, size: u64) -> Result<()> {
        Ok(self.0.truncate(size).await?)
    }

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn sync(&self) -> Result<()> {
        Ok(self.0.sync().await?)
    }
}
