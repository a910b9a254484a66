//! The commands: `mute fileshare …`.

use crate::download::{self, PATIENCE_MAX_S, PATIENCE_S, Wanted};
use crate::ledger::Standing;
use crate::link::Link;
use crate::names;
use crate::protocol::Hit;
use crate::search::Search;
use crate::state::State;
use crate::{Fileshare, size};
use mute_plugin::prelude::*;
use serde_json::json;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a search takes answers, and the longest that a user may ask for.
const SEARCH_S: u64 = 10;
const SEARCH_MAX_S: u64 = 600;
/// Files that `list` shows, unless asked for more.
const LIST: usize = 1000;

/// What the plugin offers on the command line.
pub(crate) fn all() -> Commands<Fileshare> {
    let seconds = "how long to take answers (10)";
    Commands::new()
        .add(
            Command::new("share", "share a folder")
                .required("folder", "the folder")
                .example("mute fileshare share ~/Music"),
            share,
        )
        .add(
            Command::new("unshare", "no longer share a folder")
                .required("name", "its name, as `shares` shows it")
                .example("mute fileshare unshare Music"),
            unshare,
        )
        .add(Command::new("shares", "the folders that are shared").example("mute fileshare shares"), shares)
        .add(
            Command::new("list", "the files that are shared, with links")
                .optional("limit", "how many at most (1000)")
                .example("mute fileshare list"),
            list,
        )
        .add(
            Command::new("search", "ask everybody in reach for files")
                .required_many("words", "words that the file's path holds, all of them")
                .optional("seconds", seconds)
                .example("mute fileshare search bach cello"),
            search,
        )
        .add(
            Command::new("get", "download a file; every 16 KiB is verified")
                .required("link", "a link (mute:?…), or a file's hash")
                .optional("seconds", "how long to look for sources, if the link names none (10)")
                .optional("patience", "how many seconds to go on trying while nothing arrives (180)")
                .example("mute fileshare get 'mute:?hash=…'"),
            get,
        )
        .add(Command::new("downloads", "how downloads stand").example("mute fileshare downloads"), downloads)
        .add(Command::new("uploads", "what was uploaded, never to whom").example("mute fileshare uploads"), uploads)
}

async fn share(plugin: Rc<Fileshare>, mut call: Call) -> Result<()> {
    let name = call.arguments.required("folder")?;
    plugin.state.share(name).await?;
    call.output.result(format!("{name} is shared; hashing goes on in the background"), &json!({ "share": name })).await
}

async fn unshare(plugin: Rc<Fileshare>, mut call: Call) -> Result<()> {
    let name = call.arguments.required("name")?;
    plugin.state.load().await?;
    plugin.state.unshare(name).await?;
    call.output.result(format!("{name} is no longer shared"), &json!({ "unshared": name })).await
}

async fn shares(plugin: Rc<Fileshare>, mut call: Call) -> Result<()> {
    let granted = folder::granted();
    for name in plugin.state.shares().await? {
        let open = granted.iter().any(|grant| grant.name == name);
        let note = if open { "" } else { " (not granted)" };
        call.output.result(format!("{name}{note}"), &json!({ "share": name, "granted": open })).await?;
    }
    Ok(())
}

async fn list(plugin: Rc<Fileshare>, mut call: Call) -> Result<()> {
    let state = &plugin.state;
    let limit = call.arguments.parsed("limit")?.unwrap_or(LIST);
    state.load().await?;
    let from = state.identity()?.address();
    let files: Vec<_> = {
        let index = state.index.borrow();
        index.files().take(limit).map(|(place, record)| (place.clone(), *record)).collect()
    };
    for (place, record) in files {
        let name = names::clean(place.name());
        let link = Link { hash: record.hash, size: Some(record.size), name: Some(name.clone()), from: Some(from) };
        let text = format!("{}/{}  {}  {link}", place.share, place.path, size(record.size));
        let json = json!({
            "share": place.share, "path": place.path, "name": name, "size": record.size, "hash": record.hash,
            "link": link.to_string(),
        });
        call.output.result(text, &json).await?;
    }
    let waiting = state.waiting.get();
    if waiting > 0 {
        call.output.text(format!("{waiting} more files are still to be hashed")).await?;
    }
    Ok(())
}

fn seconds(call: &Call) -> Result<Duration> {
    let seconds = call.arguments.parsed("seconds")?.unwrap_or(SEARCH_S);
    if (1..=SEARCH_MAX_S).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Error::invalid(format!("seconds: from 1 to {SEARCH_MAX_S}")))
}

fn patience(call: &Call) -> Result<Duration> {
    let seconds = call.arguments.parsed("patience")?.unwrap_or(PATIENCE_S);
    if seconds <= PATIENCE_MAX_S {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Error::invalid(format!("patience: at most {PATIENCE_MAX_S}")))
}

fn link_to(hit: &Hit, from: Address) -> Link {
    Link { hash: hit.hash, size: Some(hit.size), name: Some(hit.name.clone()), from: Some(from) }
}

async fn search(plugin: Rc<Fileshare>, mut call: Call) -> Result<()> {
    let words: Vec<&str> = call.arguments.all("words").collect();
    let mut search = Search::start(Rc::clone(&plugin.state), &words.join(" "), None, seconds(&call)?).await?;
    let mut count = 0;
    while let Some((hit, from)) = search.next().await {
        count += 1;
        let link = link_to(&hit, from).to_string();
        let text = format!("{}  {}  {link}", hit.name, size(hit.size));
        let json = json!({ "name": hit.name, "size": hit.size, "hash": hit.hash, "from": from, "link": link });
        call.output.result(text, &json).await?;
    }
    call.output.text(format!("{count} found")).await
}

async fn get(plugin: Rc<Fileshare>, mut call: Call) -> Result<()> {
    let link: Link = call.arguments.required("link")?.parse()?;
    let limit = seconds(&call)?;
    let patience = patience(&call)?;
    let wanted = Wanted { patience, ..find(&plugin.state, link, limit, &mut call.output).await? };
    let hash = wanted.hash;
    let got = download::get(&plugin.state, wanted, &mut call.output).await?;
    let text = format!("{}/{}  {}, every byte verified", download::FOLDER, got.name, size(got.size));
    let json = json!({ "name": got.name, "folder": download::FOLDER, "size": got.size, "hash": hash });
    call.output.result(text, &json).await
}

/// A link's file and who has it: as the link says, as a search said, or as a search now says.
async fn find(state: &Rc<State>, link: Link, limit: Duration, output: &mut Output) -> Result<Wanted> {
    let hash = link.hash;
    let sources = VecDeque::from_iter(link.from);
    let patience = Duration::from_secs(PATIENCE_S);
    let mut wanted = Wanted { hash, size: link.size, name: String::new(), sources, patience };
    let mut name = link.name;
    if let Some(known) = state.known(&hash) {
        add_sources(&mut wanted.sources, known.sources);
        name = name.or(Some(known.name));
    }
    if wanted.sources.is_empty() {
        output.text(format!("looking for sources for {} s", limit.as_secs())).await?;
        let mut search = Search::start(Rc::clone(state), "", Some(hash), limit).await?;
        while let Some((hit, from)) = search.next().await {
            if hit.hash == hash {
                name = name.or(Some(hit.name));
                add_sources(&mut wanted.sources, [from]);
            }
        }
        if wanted.sources.is_empty() {
            return Err(Error::not_found("nobody in reach shares this file now"));
        }
    }
    wanted.name = name.unwrap_or_else(|| hash.to_string());
    Ok(wanted)
}

fn add_sources(sources: &mut VecDeque<Address>, more: impl IntoIterator<Item = Address>) {
    for source in more {
        if !sources.contains(&source) {
            sources.push_back(source);
        }
    }
}

async fn downloads(plugin: Rc<Fileshare>, mut call: Call) -> Result<()> {
    for (hash, row) in plugin.state.ledger.downloads.rows().await? {
        // One that a crash or its user interrupted is noted as running.
        let runs = plugin.state.downloading.borrow().contains(&hash);
        let standing = if row.standing == Standing::Running && !runs { Standing::Stopped } else { row.standing };
        let told = match standing {
            Standing::Running => "running",
            Standing::Stopped => "stopped (get it again to resume)",
            Standing::Done => "done",
        };
        let verified = if runs { String::new() } else { format!("{} of ", size(row.verified)) };
        let text = format!("{}  {verified}{}  {told}", row.name, size(row.size));
        let json = json!({
            "name": row.name, "size": row.size, "verified": row.verified, "standing": standing, "hash": hash,
            "at_s": row.at_s,
        });
        call.output.result(text, &json).await?;
    }
    Ok(())
}

async fn uploads(plugin: Rc<Fileshare>, mut call: Call) -> Result<()> {
    let rows = plugin.state.ledger.uploads.rows().await?;
    let (mut requests, mut bytes) = (0_u64, 0_u64);
    for (hash, row) in rows {
        (requests, bytes) = (requests.saturating_add(row.requests), bytes.saturating_add(row.bytes));
        let text = format!("{}  {} in {} requests", row.name, size(row.bytes), row.requests);
        let json = json!({ "name": row.name, "bytes": row.bytes, "requests": row.requests, "hash": hash });
        call.output.result(text, &json).await?;
    }
    call.output.text(format!("{} in {requests} requests in all", size(bytes))).await
}
