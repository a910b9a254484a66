//! What the service and the commands share.

use crate::hash::Hash;
use crate::index::{Index, Place, Record};
use crate::ledger::Ledger;
use crate::protocol::Hit;
use crate::tree::{self, VALUE, Value};
use mute_plugin::{Address, Error, Identity, Result, Signal, storage};
use serde_bytes::ByteBuf;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The folder that is shared without being asked for, where the user granted one of that name.
const DEFAULT_SHARE: &str = "shared";
/// Folders shared: as many as anybody keeps an overview of.
const SHARES_MAX: usize = 64;
/// Block values in one entry of the store: 512 KiB, half of what an entry may hold.
const VALUES_PER_ENTRY: usize = 16 * 1024;
/// Files whose sources are remembered from searches.
const KNOWN_MAX: usize = 1000;
/// Sources remembered of each.
const SOURCES_MAX: usize = 16;
/// Records read from the store at once.
const PAGE: u32 = 500;

/// Where the identity that shares is kept.
const IDENTITY: &str = "share";
/// The key of the list of shared folders.
const SHARES: &str = "shares";
/// What the key of a file's record starts with; the share's name, a NUL and the path follow.
const FILE: &str = "file/";
/// What the key of a file's block values starts with; the hash, a slash and a number follow.
const BLOCKS: &str = "blocks/";

/// What a search said of a file.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) sources: Vec<Address>,
}

/// What the service and the commands share.
#[derive(Default)]
pub(crate) struct State {
    identity: OnceCell<Rc<Identity>>,
    pub(crate) index: RefCell<Index>,
    /// Whether the index was read from the store.
    loaded: Cell<bool>,
    /// Files that the scanner still has to hash.
    pub(crate) waiting: Cell<usize>,
    /// Raised when something may have changed in what is shared.
    pub(crate) rescan: Signal,
    known: RefCell<BTreeMap<Hash, Known>>,
    /// Downloads in progress: two of one file would write into one part.
    pub(crate) downloading: RefCell<BTreeSet<Hash>>,
    pub(crate) ledger: Ledger,
}

impl State {
    /// The identity that shares; made on first use.
    pub(crate) fn identity(&self) -> Result<Rc<Identity>> {
        if let Some(identity) = self.identity.get() {
            return Ok(Rc::clone(identity));
        }
        let identity = Rc::new(Identity::open(IDENTITY)?);
        Ok(Rc::clone(self.identity.get_or_init(|| identity)))
    }

    /// Remembers who has a file, for a `get` of its hash.
    pub(crate) fn remember(&self, hit: &Hit, source: Address) {
        let mut known = self.known.borrow_mut();
        if !known.contains_key(&hit.hash) && known.len() >= KNOWN_MAX {
            // Which one goes matters little: a search brings it back.
            known.pop_first();
        }
        let fresh = || Known { name: hit.name.clone(), sources: Vec::new() };
        let entry = known.entry(hit.hash).or_insert_with(fresh);
        if !entry.sources.contains(&source) && entry.sources.len() < SOURCES_MAX {
            entry.sources.push(source);
        }
    }

    /// What searches said of a file.
    pub(crate) fn known(&self, hash: &Hash) -> Option<Known> {
        self.known.borrow().get(hash).cloned()
    }

    /// Reads the index from the store, once.
    pub(crate) async fn load(&self) -> Result<()> {
        if self.loaded.get() {
            return Ok(());
        }
        let mut after: Option<String> = None;
        loop {
            let page: Vec<(String, Record)> = storage::scan(FILE, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, record) in page {
                if let Some(place) = place_of(&key) {
                    self.index.borrow_mut().insert(place, record);
                }
            }
        }
        self.loaded.set(true);
        Ok(())
    }

    /// Adds a hashed file to index and store: its values first, so that no record is without them.
    pub(crate) async fn add(&self, place: Place, record: Record, blocks: &[Value]) -> Result<()> {
        for (number, values) in blocks.chunks(VALUES_PER_ENTRY).enumerate() {
            storage::put(&blocks_key(&record.hash, number), &ByteBuf::from(tree::to_bytes(values))).await?;
        }
        storage::put(&key_of(&place), &record).await?;
        let before = self.index.borrow().record(&place).copied();
        if !self.index.borrow_mut().insert(place.clone(), record) {
            storage::remove(&key_of(&place)).await?;
            return Err(Error::new(Error::QUOTA, "more files than the index holds"));
        }
        match before {
            Some(before) if before.hash != record.hash => self.forget_values(&before.hash).await,
            _ => Ok(()),
        }
    }

    /// Forgets a file that is gone or no longer shared.
    pub(crate) async fn remove(&self, place: &Place) -> Result<()> {
        let removed = self.index.borrow_mut().remove(place);
        storage::remove(&key_of(place)).await?;
        match removed {
            Some(record) => self.forget_values(&record.hash).await,
            None => Ok(()),
        }
    }

    async fn forget_values(&self, hash: &Hash) -> Result<()> {
        if self.index.borrow().contains(hash) {
            return Ok(());
        }
        storage::remove_prefix(&format!("{BLOCKS}{hash}/")).await
    }

    /// The values of a shared file's blocks.
    pub(crate) async fn block_values(&self, hash: &Hash, count: usize) -> Result<Vec<Value>> {
        let mut bytes = Vec::with_capacity(count * VALUE);
        for number in 0..count.div_ceil(VALUES_PER_ENTRY) {
            let entry: Option<ByteBuf> = storage::get(&blocks_key(hash, number)).await?;
            bytes.extend(entry.ok_or_else(|| Error::not_found("the file's tree is not in the store"))?.into_vec());
        }
        let values = tree::from_bytes(&bytes);
        if values.len() != count || tree::file_hash(&values) != *hash {
            return Err(Error::internal("the file's tree in the store is damaged"));
        }
        Ok(values)
    }

    /// The shared folders' names.
    pub(crate) async fn shares(&self) -> Result<Vec<String>> {
        let listed: Option<Vec<String>> = storage::get(SHARES).await?;
        Ok(listed.unwrap_or_else(|| vec![DEFAULT_SHARE.to_owned()]))
    }

    /// Shares a granted folder.
    pub(crate) async fn share(&self, name: &str) -> Result<()> {
        if !mute_plugin::folder::granted().iter().any(|grant| grant.name == name) {
            return Err(Error::new(Error::DENIED, format!("no folder is granted as {name:?}")));
        }
        let mut shares = self.shares().await?;
        if !shares.iter().any(|share| share == name) {
            if shares.len() >= SHARES_MAX {
                return Err(Error::new(Error::QUOTA, format!("{SHARES_MAX} folders are shared already")));
            }
            shares.push(name.to_owned());
            storage::put(SHARES, &shares).await?;
        }
        self.rescan.raise();
        Ok(())
    }

    /// No longer shares a folder.
    pub(crate) async fn unshare(&self, name: &str) -> Result<()> {
        let mut shares = self.shares().await?;
        let before = shares.len();
        shares.retain(|share| share != name);
        if shares.len() == before {
            return Err(Error::not_found(format!("{name:?} is not shared")));
        }
        storage::put(SHARES, &shares).await?;
        // At once, not when the scanner comes round: who unshares means it.
        let gone: Vec<Place> = {
            let index = self.index.borrow();
            index.files().map(|(place, _)| place).filter(|place| place.share == name).cloned().collect()
        };
        for place in gone {
            self.remove(&place).await?;
        }
        self.rescan.raise();
        Ok(())
    }
}

fn key_of(place: &Place) -> String {
    format!("{FILE}{}\0{}", place.share, place.path)
}

fn place_of(key: &str) -> Option<Place> {
    let (share, path) = key.strip_prefix(FILE)?.split_once('\0')?;
    Some(Place { share: share.to_owned(), path: path.to_owned() })
}

fn blocks_key(hash: &Hash, number: usize) -> String {
    format!("{BLOCKS}{hash}/{number:08}")
}
