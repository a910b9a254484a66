//! Keeps the index in step with the shared folders: finds what is new, changed or gone, and hashes it in the background.

use crate::hash::Hash;
use crate::index::{FILES_MAX, Place, Record, is_shareable};
use crate::state::State;
use crate::tree::{self, Shape};
use mute_plugin::folder::{self, Changes, Entry, Folder};
use mute_plugin::futures::FutureExt as _;
use mute_plugin::futures::future::{LocalBoxFuture, select_all};
use mute_plugin::{Error, Result, Stop, debug, first, info, time, warn};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How long changes may gather before they are looked at: a file being copied changes all the time.
const SETTLE: Duration = Duration::from_secs(2);
/// How often folders are looked at even if nobody says that they changed.
const PERIOD: Duration = Duration::from_secs(600);

/// Watches until `stop`.
pub(crate) async fn watch(state: Rc<State>, stop: Stop) -> Result<()> {
    state.load().await?;
    let mut watched = BTreeMap::new();
    while stop.or(pass_and_wait(&state, &mut watched)).await.is_some() {}
    Ok(())
}

/// The folders watched; none for one whose watch has ended.
type Watched = BTreeMap<String, Option<Changes>>;

async fn pass_and_wait(state: &State, watched: &mut Watched) {
    match pass(state, watched).await {
        Ok(0) => {}
        Ok(added) => info!("{added} shared files hashed, {} in all", state.index.borrow().len()),
        Err(error) => warn!("shared folders can't be looked through: {error}"),
    }
    state.waiting.set(0);
    let asked = first(state.rescan.wait(), something_changes(watched));
    let _ = first(asked, time::sleep(PERIOD)).await;
    time::sleep(SETTLE).await;
}

async fn something_changes(watched: &mut Watched) {
    let mut next: Vec<LocalBoxFuture<'_, ()>> = Vec::new();
    for changes in watched.values_mut().filter(|changes| changes.is_some()) {
        next.push(
            async move {
                let more = match changes {
                    Some(open) => open.next().await.is_some(),
                    None => false,
                };
                if !more {
                    *changes = None;
                    std::future::pending::<()>().await;
                }
            }
            .boxed_local(),
        );
    }
    if next.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(next).await;
}

/// Looks through all shared folders; how many files it hashed.
async fn pass(state: &State, watched: &mut Watched) -> Result<usize> {
    let granted: BTreeSet<String> = folder::granted().into_iter().map(|grant| grant.name).collect();
    let shares: BTreeSet<String> = state.shares().await?.into_iter().filter(|share| granted.contains(share)).collect();
    watched.retain(|share, _| shares.contains(share));
    forget(state, |place| !shares.contains(&place.share)).await?;

    let mut fresh = Vec::new();
    for share in &shares {
        match look_through(state, share, watched).await {
            Ok(found) => fresh.extend(found),
            Err(error) => warn!("a shared folder can't be looked through: {error}"),
        }
    }
    let mut added = 0;
    for (done, (place, entry)) in fresh.iter().enumerate() {
        state.waiting.set(fresh.len() - done);
        match hash(state, place, entry).await {
            Ok(()) => added += 1,
            Err(error) if error.code() == Error::QUOTA => return Err(error),
            Err(error) => debug!("a file is not shared: {error}"),
        }
    }
    Ok(added)
}

/// The files of a share that are new or changed. Those that are gone are forgotten.
async fn look_through(state: &State, share: &str, watched: &mut Watched) -> Result<Vec<(Place, Entry)>> {
    let folder = Folder::open(share)?;
    // Watched before it is walked: no change falls between.
    watched.entry(share.to_owned()).or_insert_with(|| Some(folder.changes()));
    let (mut seen, mut fresh) = (BTreeSet::new(), Vec::new());
    let mut walk = folder.walk();
    while let Some(entry) = walk.next().await? {
        if !is_shareable(&entry) {
            continue;
        }
        if seen.len() >= FILES_MAX {
            warn!("only {FILES_MAX} files of a shared folder are shared");
            break;
        }
        let place = Place { share: share.to_owned(), path: entry.path.clone() };
        seen.insert(entry.path.clone());
        if !state.index.borrow().record(&place).is_some_and(|record| record.is_of(&entry)) {
            fresh.push((place, entry));
        }
    }
    forget(state, |place| place.share == share && !seen.contains(&place.path)).await?;
    Ok(fresh)
}

async fn forget(state: &State, gone: impl Fn(&Place) -> bool) -> Result<()> {
    let gone: Vec<Place> = {
        let index = state.index.borrow();
        index.files().map(|(place, _)| place).filter(|place| gone(place)).cloned().collect()
    };
    for place in gone {
        state.remove(&place).await?;
    }
    Ok(())
}

/// Hashes a file and adds it to the index, if it stays as it is meanwhile.
async fn hash(state: &State, place: &Place, entry: &Entry) -> Result<()> {
    let shape = Shape::of(entry.size).ok_or_else(|| Error::too_large("a file of more than 256 GiB"))?;
    let folder = Folder::open(&place.share)?;
    let mut reader = folder.open_file(&place.path, false).await?.read(0, None);
    let mut blocks = Vec::with_capacity(shape.blocks());
    let mut content = Vec::with_capacity(tree::BLOCK);
    for block in 0..shape.blocks() {
        content.clear();
        while content.len() < shape.block_len(block) {
            let (before, missing) = (content.len(), shape.block_len(block) - content.len());
            content = reader.append(content, missing).await?;
            if content.len() == before {
                return Err(Error::not_found("it became shorter while it was hashed"));
            }
        }
        blocks.push(shape.block_value(&shape.group_values(block, &content)));
    }
    let hash: Hash = tree::file_hash(&blocks);
    let record = Record { size: entry.size, modified_ms: entry.modified_ms, hash };
    if !record.is_of(&folder.stat(&place.path).await?) {
        return Err(Error::not_found("it changed while it was hashed"));
    }
    state.add(place.clone(), record, &blocks).await
}
