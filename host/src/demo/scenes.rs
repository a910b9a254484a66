//! What is shown: a file found and downloaded, a message each way, a page. The plugins' words are known here alone.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    ALICE, BOB, Network, Stage,
    files::{self, Expected},
    network::{Answer, Host},
    report::{Delivered, Outcome},
};
use crate::{
    cli::{one_line, show_bytes},
    control::Step,
    error::{Context as _, Error, Kind, Result},
};

/// How long a shared folder may take to be searchable, a message to arrive, a page to be found.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked again.
const POLL: Duration = Duration::from_millis(200);
/// How long one search takes answers, in seconds. What is not hashed yet does not answer; it is searched again.
const SEARCH_S: &str = "2";
/// What Alice writes.
const HELLO: &str = "did you find the tide table?";
/// What Bob answers.
const ANSWER: &str = "yes, it came through two relays at least";

/// Plays everything.
pub(super) async fn all(stage: &mut Stage, network: &Network, share: Option<&Path>, folder: &Path) -> Result<Outcome> {
    let (alice, bob) = (&network.hosts[ALICE], &network.hosts[BOB]);
    let files = files(stage, alice, bob, share, folder).await?;
    let messages = stage.scene("chat", "a message each way", chat(alice, bob)).await?;
    let page = stage.scene("page", "alice publishes a page, bob fetches it", page(alice, bob, folder)).await?;
    Ok(Outcome { files, messages, page })
}

/// Alice shares, Bob searches and downloads.
async fn files(
    stage: &mut Stage,
    alice: &Host,
    bob: &Host,
    share: Option<&Path>,
    folder: &Path,
) -> Result<Vec<Delivered>> {
    let (shared, expected, words) = if let Some(share) = share {
        let (file, words) = files::choose(share)?;
        (share.to_owned(), vec![file], words)
    } else {
        let made = folder.join("tides");
        crate::home::make_private_folder(&made)?;
        let files = files::generate(&made)?;
        (made, files, files::GENERATED_WORDS.to_owned())
    };
    let total: u64 = expected.iter().map(|file| file.size).sum();
    let what = format!("alice shares {} of random bytes in {} files", show_bytes(total), expected.len());
    let what = if share.is_some() { format!("alice shares {}", shared.display()) } else { what };
    stage.scene("share", &what, self::share(alice, &shared)).await?;
    let what = format!("bob asks for \"{}\"", one_line(&words));
    let hits = stage.scene("search", &what, search(bob, &words, &expected)).await?;

    let started = Instant::now();
    let mut progress = stage.output.progress();
    let mut delivered = Vec::new();
    let mut before = 0;
    for (file, link) in expected.iter().zip(hits) {
        let show = |step: &Step| {
            let done = before + if step.unit == "bytes" { step.done.min(file.size) } else { 0 };
            progress.show(&Step { label: "bob downloads".into(), done, total: Some(total), unit: "bytes".into() });
        };
        let path = download(bob, &link, file, show).await.context("the demo failed at download")?;
        before += file.size;
        delivered.push(path);
    }
    let time = started.elapsed();
    drop(progress);
    let mut results = Vec::new();
    for (file, path) in expected.into_iter().zip(delivered) {
        results.push(compare(file, &path).await.context("the demo failed at download")?);
    }
    stage.done("download", &format!("{} at bob's, SHA-256 equal", show_bytes(total)), time, Some(total))?;
    Ok(results)
}

/// Shares a folder and waits until its files are hashed.
pub(crate) async fn share(host: &Host, folder: &Path) -> Result<()> {
    let folder = folder.to_str().ok_or_else(|| Error::usage("the folder's path is not UTF-8"))?;
    host.invoke("fileshare", "share", &[("folder", folder)], |_| {}).await.map(drop)
}

/// Searches until every expected file was found; their links, in the order of `expected`.
pub(crate) async fn search(host: &Host, words: &str, expected: &[Expected]) -> Result<Vec<String>> {
    let words = words.split(' ').map(|word| ("words", word));
    let arguments: Vec<(&str, &str)> = words.chain([("seconds", SEARCH_S)]).collect();
    let mut links: Vec<Option<String>> = vec![None; expected.len()];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = host.invoke("fileshare", "search", &arguments, |_| {}).await?;
        for hit in &answer.json {
            let (Some(name), Some(link)) = (text(hit, "name"), text(hit, "link")) else { continue };
            for (file, slot) in expected.iter().zip(&mut links) {
                if file.name == name && hit.get("size").and_then(Value::as_u64) == Some(file.size) {
                    slot.get_or_insert_with(|| link.to_owned());
                }
            }
        }
        if let Some(links) = links.iter().cloned().collect::<Option<Vec<_>>>() {
            return Ok(links);
        }
        if Instant::now() > deadline {
            let found = links.iter().flatten().count();
            return Err(Error::new(Kind::NotFound, format!("{found} of {} files were found", expected.len())));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Downloads a file; where it is.
pub(crate) async fn download(
    host: &Host,
    link: &str,
    file: &Expected,
    progress: impl FnMut(&Step),
) -> Result<std::path::PathBuf> {
    let answer = host.invoke("fileshare", "get", &[("link", link)], progress).await?;
    // It has another name where one of the wanted name was there before.
    let name = find(&answer, "name").unwrap_or(&file.name);
    let name = Path::new(name).file_name().unwrap_or_default();
    Ok(host.downloads().join(name))
}

/// Compares what was downloaded with what was shared.
pub(crate) async fn compare(expected: Expected, path: &Path) -> Result<Delivered> {
    let owned = path.to_owned();
    let hash = tokio::task::spawn_blocking(move || files::sha256(&owned)).await;
    let found = hash.map_err(|error| Error::failure(error.to_string()))??;
    if found != expected.sha256 {
        return Err(Error::failure(format!("{} differs from what was shared", one_line(&expected.name))));
    }
    Ok(Delivered { name: expected.name, size: expected.size, shared: expected.sha256, downloaded: found })
}

/// A message each way, read at the other end; both texts as they arrived.
async fn chat(alice: &Host, bob: &Host) -> Result<Vec<String>> {
    let (alices, bobs) = (me(alice).await?, me(bob).await?);
    let mut arrived = Vec::new();
    for (from, to, address, text) in [(alice, bob, &bobs, HELLO), (bob, alice, &alices, ANSWER)] {
        from.invoke("chat", "send", &[("who", address), ("text", text)], |_| {}).await?;
        arrived.push(wait_for_message(to, text).await?);
    }
    Ok(arrived)
}

async fn me(host: &Host) -> Result<String> {
    let answer = host.invoke("chat", "me", &[], |_| {}).await?;
    find(&answer, "address").map(str::to_owned).ok_or_else(|| Error::failure("chat does not say its address"))
}

async fn wait_for_message(host: &Host, expected: &str) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = host.invoke("chat", "read", &[], |_| {}).await?;
        let received = answer.json.iter().filter(|message| message.get("mine") == Some(&Value::Bool(false)));
        if let Some(text) = received.filter_map(|message| text(message, "text")).find(|text| *text == expected) {
            return Ok(text.to_owned());
        }
        if Instant::now() > deadline {
            return Err(Error::new(Kind::NoRoute, format!("{} received no message", host.name)));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Alice publishes a folder; Bob fetches the page in it. The address.
async fn page(alice: &Host, bob: &Host, folder: &Path) -> Result<String> {
    let site = folder.join("site");
    crate::home::make_private_folder(&site)?;
    let content = "<!doctype html><title>Tides</title><p>High water at noon.";
    std::fs::write(site.join("index.html"), content).context("cannot write the page")?;
    let site = site.to_str().ok_or_else(|| Error::usage("the folder's path is not UTF-8"))?;
    let published = alice.invoke("webserve", "publish", &[("folder", site)], |_| {}).await?;
    let address = find(&published, "address").ok_or_else(|| Error::failure("webserve does not say the address"))?;
    let fetched = bob.invoke("webserve", "fetch", &[("page", &format!("{address}/"))], |_| {}).await?;
    let body: String = fetched.json.iter().filter_map(|part| text(part, "text")).collect();
    if body.trim_end() != content {
        return Err(Error::failure("the page that was fetched is not the one that was published"));
    }
    Ok(address.to_owned())
}

fn find<'a>(answer: &'a Answer, field: &str) -> Option<&'a str> {
    answer.json.iter().find_map(|value| text(value, field))
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}
