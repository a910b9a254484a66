//! Saving a body in the downloads folder: under its name only once it is whole, and never over another file.

use crate::path::is_file_name;
use mute_plugin::folder::{File, Folder};
use mute_plugin::{Error, Result, Writer, random, spawn};

/// The name by which the host grants the folder.
const DOWNLOADS: &str = "downloads";

/// A file that is on its way. Dropped before it is kept, it is removed.
pub(crate) struct Download {
    folder: Folder,
    file: File,
    name: String,
    part: String,
    is_kept: bool,
}

impl Download {
    /// Begins a file of that name, for so many bytes if that is known.
    pub(crate) async fn start(name: String, length: Option<u64>) -> Result<Self> {
        if !is_file_name(&name) {
            return Err(Error::invalid("the output is a file's name only: it goes into the downloads folder"));
        }
        let folder = Folder::open(DOWNLOADS)?;
        if folder.stat(&name).await.is_ok() {
            return Err(exists(&name));
        }
        if let Some(length) = length.filter(|length| *length > 0) {
            let free = folder.free_bytes().await?;
            if length > free {
                return Err(Error::new(Error::QUOTA, format!("the page has {length} bytes, the disk has {free} free")));
            }
        }
        // Hidden until it is whole; random, so that two downloads do not write into one.
        let part = format!(".{name}.{:016x}.part", random::number()?);
        let file = folder.open_file(&part, true).await?;
        Ok(Self { folder, file, name, part, is_kept: false })
    }

    /// Where the bytes go.
    pub(crate) fn write(&self) -> Writer {
        self.file.write(0)
    }

    /// Gives the whole file its name; says it.
    pub(crate) async fn keep(mut self) -> Result<String> {
        self.file.sync().await?;
        let renamed = self.folder.rename(&self.part, &self.name).await;
        renamed.map_err(|error| if error.code() == Error::INVALID { exists(&self.name) } else { error })?;
        self.is_kept = true;
        Ok(self.name.clone())
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if !self.is_kept {
            let (folder, part) = (self.folder.clone(), std::mem::take(&mut self.part));
            spawn(async move {
                if let Err(error) = folder.remove(&part).await {
                    mute_plugin::warn!("a part of a download could not be removed: {error}");
                }
            });
        }
    }
}

fn exists(name: &str) -> Error {
    Error::invalid(format!("there is a {name} in the downloads folder already"))
}
