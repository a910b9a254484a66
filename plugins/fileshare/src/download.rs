//! Gets a file: from one source after the other, over broken connections, into a part that survives a crash. It takes
//! its final name when every byte is verified and on the disk.

use crate::hash::Hash;
use crate::ledger::{Download, Standing};
use crate::names;
use crate::protocol::TRANSFERS;
use crate::state::State;
use crate::transfer::{Source, Trouble};
use crate::tree::{self, Shape, Value};
use mute_plugin::folder::{File, Folder};
use mute_plugin::futures::future::join;
use mute_plugin::{Address, Error, Identity, Output, Result, time};
use std::collections::VecDeque;
use std::time::Duration;

/// The granted folder that downloads go to.
pub(crate) const FOLDER: &str = "downloads";
/// How long we go on trying while nothing arrives, unless the user says otherwise; and the longest.
pub(crate) const PATIENCE_S: u64 = 180;
pub(crate) const PATIENCE_MAX_S: u64 = 86_400;
/// Pauses between tries: the first, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Bytes that stay free on the disk.
const SPARE: u64 = 16 * 1024 * 1024;
/// Names tried before we give up: `name (1000).ext`.
const NAMES_MAX: u32 = 1000;
/// How often progress is shown, at most.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// A file that is wanted.
pub(crate) struct Wanted {
    pub(crate) hash: Hash,
    /// Bytes, if known.
    pub(crate) size: Option<u64>,
    /// Clean.
    pub(crate) name: String,
    pub(crate) sources: VecDeque<Address>,
    /// How long to go on trying while nothing arrives.
    pub(crate) patience: Duration,
}

/// A file that was got.
pub(crate) struct Got {
    /// Its name in the folder of downloads.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) size: u64,
}

/// Gets a file.
///
/// # Errors
/// Why not. What has arrived is kept and serves the next try.
pub(crate) async fn get(state: &State, wanted: Wanted, output: &mut Output) -> Result<Got> {
    if !state.downloading.borrow_mut().insert(wanted.hash) {
        return Err(Error::new(Error::BUSY, "this file is being downloaded already"));
    }
    let _entered = Entered { state, hash: wanted.hash };
    let folder = Folder::open(FOLDER).map_err(|error| error.during("the folder for downloads"))?;
    let mut job = Job { state, wanted, folder, part: None, output, shown: Duration::ZERO };
    let result = job.run().await;
    // A failed note must not hide how the download ended.
    let standing = if result.is_ok() { Standing::Done } else { Standing::Stopped };
    let noted = job.note(standing).await;
    let got = result?;
    noted.map(|()| got)
}

/// That a file is being downloaded, until dropped: the user may cancel at any `.await`.
struct Entered<'a> {
    state: &'a State,
    hash: Hash,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.state.downloading.borrow_mut().remove(&self.hash);
    }
}

/// What has arrived: verified blocks, from the first on, in a file of their own.
struct Part {
    file: File,
    name: String,
    shape: Shape,
    values: Vec<Value>,
    /// Blocks verified and written.
    done: usize,
}

impl Part {
    fn verified(&self) -> u64 {
        self.shape.offset(self.done).min(self.shape.size())
    }
}

struct Job<'a> {
    state: &'a State,
    wanted: Wanted,
    folder: Folder,
    part: Option<Part>,
    output: &'a mut Output,
    /// When progress was shown last.
    shown: Duration,
}

impl Job<'_> {
    async fn run(&mut self) -> Result<Got> {
        let identity = Identity::ephemeral()?;
        let mut pause = PAUSE_MIN;
        let mut since = time::elapsed();
        loop {
            let Some(source) = self.wanted.sources.front().copied() else {
                return Err(Error::not_found("no source left for this file"));
            };
            let before = self.done();
            let trouble = match self.attempt(&identity, source).await {
                Ok(()) => return self.finish().await,
                Err(trouble) => trouble,
            };
            if self.done() > before {
                (pause, since) = (PAUSE_MIN, time::elapsed());
            }
            match trouble {
                Trouble::Here(error) => return Err(error),
                Trouble::Source(error) => {
                    self.wanted.sources.pop_front();
                    if self.wanted.sources.is_empty() {
                        return Err(error);
                    }
                }
                Trouble::Way(error) => {
                    if time::elapsed().saturating_sub(since) + pause > self.wanted.patience {
                        let what =
                            format!("gave up after {} s (get it again to resume)", self.wanted.patience.as_secs());
                        return Err(error.during(what));
                    }
                    self.output.text(format!("{error}; trying again in {} s", pause.as_secs())).await?;
                    time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    self.wanted.sources.rotate_left(1);
                }
            }
        }
    }

    fn done(&self) -> usize {
        self.part.as_ref().map_or(0, |part| part.done)
    }

    /// Connects and gets what is missing.
    async fn attempt(&mut self, identity: &Identity, address: Address) -> Result<(), Trouble> {
        if self.part.as_ref().is_some_and(|part| part.done == part.shape.blocks()) {
            return Ok(());
        }
        let mut source = Source::connect(identity, address, TRANSFERS).await?;
        let mut part = match self.part.take() {
            Some(part) => part,
            None => {
                let (shape, values) = source.tree(self.wanted.hash, self.wanted.size).await?;
                self.open_part(shape, values).await.map_err(Trouble::Here)?
            }
        };
        let received =
            if part.done < part.shape.blocks() { self.receive(&mut source, &mut part).await } else { Ok(()) };
        self.part = Some(part);
        received
    }

    /// Opens the part, and verifies what an earlier try left in it.
    async fn open_part(&mut self, shape: Shape, values: Vec<Value>) -> Result<Part> {
        let name = names::part(&self.wanted.name, &self.wanted.hash);
        let there = match self.folder.stat(&name).await {
            Ok(entry) => entry.size,
            Err(error) if error.code() == Error::NOT_FOUND => 0,
            Err(error) => return Err(error),
        };
        let free = self.folder.free_bytes().await?;
        let needed = shape.size().saturating_sub(there).saturating_add(SPARE);
        if free < needed {
            return Err(Error::new(Error::QUOTA, format!("{needed} bytes are needed on the disk, {free} are free")));
        }
        let file = self.folder.open_file(&name, true).await?;
        let mut part = Part { file, name, shape, values, done: 0 };
        self.verify_left(&mut part, there).await?;
        // What follows the last verified block is worth nothing.
        if there > part.verified() {
            part.file.truncate(part.verified()).await?;
        }
        self.wanted.size = Some(shape.size());
        let verified = part.verified();
        self.note_at(Standing::Running, shape.size(), verified).await?;
        Ok(part)
    }

    async fn verify_left(&mut self, part: &mut Part, there: u64) -> Result<()> {
        if there == 0 {
            return Ok(());
        }
        let mut reader = part.file.read(0, Some(there.min(part.shape.size())));
        let mut content = vec![0; tree::BLOCK];
        while part.done < part.shape.blocks() {
            let content = &mut content[..part.shape.block_len(part.done)];
            if reader.read_exact(content).await.is_err() {
                break;
            }
            let groups = part.shape.group_values(part.done, content);
            if part.shape.block_value(&groups) != part.values[part.done] {
                break;
            }
            part.done += 1;
            self.show("verifying what is there", part.verified(), part.shape.size()).await?;
        }
        Ok(())
    }

    /// Receives blocks, each while the one before is written.
    async fn receive(&mut self, source: &mut Source, part: &mut Part) -> Result<(), Trouble> {
        source.start(self.wanted.hash, part.shape, part.done).await?;
        let mut writer = part.file.write(part.shape.offset(part.done));
        let shape = part.shape;
        let mut arrived: Option<Vec<u8>> = None;
        let mut next = part.done;
        let mut accepted = 0;
        let outcome = loop {
            let block = next;
            let value = part.values.get(block).copied();
            let write = async {
                match arrived.take() {
                    Some(content) => writer.write_vec(content).await.map(|()| 1),
                    None => Ok(0),
                }
            };
            let receive = async {
                match value {
                    Some(value) => source.block(shape, block, &value, Vec::new()).await.map(Some),
                    None => Ok(None),
                }
            };
            let (written, received) = join(write, receive).await;
            match written {
                Ok(count) => accepted += count,
                Err(error) => break Err(Trouble::Here(error.during("writing the file"))),
            }
            match received {
                Ok(Some(content)) => {
                    next += 1;
                    arrived = Some(content);
                }
                Ok(None) => break Ok(()),
                Err(trouble) => break Err(trouble),
            }
            let verified = shape.offset(next).min(shape.size());
            if let Err(error) = self.show("downloading", verified, shape.size()).await {
                break Err(Trouble::Here(error));
            }
        };
        // Written blocks count when the host has taken them all.
        writer.finish().await.map_err(|error| Trouble::Here(error.during("writing the file")))?;
        part.done += accepted;
        outcome
    }

    /// Gives the whole file its name.
    async fn finish(&mut self) -> Result<Got> {
        let part = self.part.as_ref().ok_or_else(|| Error::internal("no part to finish"))?;
        part.file.sync().await?;
        let size = part.shape.size();
        for number in 1..=NAMES_MAX {
            let name = names::numbered(&self.wanted.name, number);
            if self.folder.stat(&name).await.is_ok() {
                continue;
            }
            match self.folder.rename(&part.name, &name).await {
                Ok(()) => {
                    self.shown = Duration::ZERO;
                    self.show("downloading", size, size).await?;
                    return Ok(Got { name, size });
                }
                // Somebody else was faster with that name.
                Err(_) if self.folder.stat(&name).await.is_ok() => {}
                Err(error) => return Err(error.during("naming the file")),
            }
        }
        Err(Error::invalid("too many files of that name in the folder for downloads"))
    }

    async fn show(&mut self, label: &str, done: u64, total: u64) -> Result<()> {
        let now = time::elapsed();
        if !self.shown.is_zero() && now < self.shown + SHOW_EVERY {
            return Ok(());
        }
        self.shown = now;
        self.output.progress(label, done, Some(total), "bytes").await
    }

    async fn note(&self, standing: Standing) -> Result<()> {
        let verified = self.part.as_ref().map_or(0, Part::verified);
        match self.wanted.size {
            Some(size) => self.note_at(standing, size, verified).await,
            // Nothing is known of it: no source was reached.
            None => Ok(()),
        }
    }

    async fn note_at(&self, standing: Standing, size: u64, verified: u64) -> Result<()> {
        let (name, at_s) = (self.wanted.name.clone(), time::unix_s());
        self.state.ledger.note(self.wanted.hash, Download { name, size, verified, standing, at_s }).await
    }
}
