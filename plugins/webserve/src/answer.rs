//! What a request is answered: decided from the request and the disk, sent by `serve`.

use crate::head::{Headers, Request, Response};
use crate::media::{HTML, type_of};
use crate::page;
use crate::path::{Place, Refused, decode_target, folder_target};
use crate::range::{Part, decode_range, etag, has_tag};
use mute_plugin::folder::Entry;
use mute_plugin::{Error, Result};

/// What stands for a folder.
const INDEX: &str = "index.html";
/// A site's own page for what it does not have.
const MISSING: &str = "404.html";

/// A site's folder, as far as an answer depends on it.
pub(crate) trait Disk {
    /// What is at a path.
    async fn stat(&self, path: &str) -> Result<Entry>;
}

/// An answer, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) body: Body,
}

/// What follows the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// A page of ours.
    Page(String),
    /// `length` bytes of a file, from `offset` on.
    File { path: String, offset: u64, length: u64 },
}

/// The answer to a request; of a site whose folder can't be opened, `disk` is none.
pub(crate) async fn answer<D: Disk>(request: &Request, disk: Option<&D>) -> Answer {
    if !["GET", "HEAD"].contains(&request.method.as_str()) {
        let mut answer = refusal(405);
        answer.response.headers = answer.response.headers.with("allow", "GET, HEAD");
        return answer;
    }
    let mut answer = match (decode_target(&request.target), disk) {
        (Err(Refused::Malformed), _) => refusal(400),
        (_, None) => refusal(503),
        (Err(Refused::Outside), Some(disk)) => missing(disk).await,
        (Ok(place), Some(disk)) => match find(place, disk).await {
            Ok(Found::File(entry)) => file(request, &entry),
            Ok(Found::Moved(target)) => moved(target),
            Ok(Found::Nothing) => missing(disk).await,
            Err(_) => refusal(503),
        },
    };
    if request.method == "HEAD" {
        answer.body = Body::None;
    }
    answer
}

/// An answer that says by its status what is wrong, and in a page to whoever reads it.
pub(crate) fn refusal(status: u16) -> Answer {
    let page = page::refusal(status);
    let headers = of_body(HTML, page.len() as u64);
    Answer { response: Response { status, headers }, body: Body::Page(page) }
}

enum Found {
    File(Entry),
    Moved(String),
    Nothing,
}

/// The file that a place means. No list of a folder is ever made.
async fn find<D: Disk>(place: Place, disk: &D) -> Result<Found> {
    let path = match &place {
        Place::File(path) => path.clone(),
        Place::Folder(path) if path.is_empty() => INDEX.to_owned(),
        Place::Folder(path) => format!("{path}/{INDEX}"),
    };
    match (stat(disk, &path).await?, place) {
        (Some(entry), _) if !entry.is_folder => Ok(Found::File(entry)),
        // So that the links of its index, which are relative to it, work.
        (Some(_), Place::File(path)) => Ok(Found::Moved(folder_target(&path))),
        _ => Ok(Found::Nothing),
    }
}

/// What is at a path, if anything that may be shown.
async fn stat<D: Disk>(disk: &D, path: &str) -> Result<Option<Entry>> {
    match disk.stat(path).await {
        Ok(entry) => Ok(Some(Entry { path: path.to_owned(), ..entry })),
        Err(error) if [Error::NOT_FOUND, Error::INVALID, Error::DENIED, Error::TOO_LARGE].contains(&error.code()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn file(request: &Request, entry: &Entry) -> Answer {
    let tag = etag(entry.size, entry.modified_ms);
    let header = |name| request.headers.get(name);
    if header("if-none-match").is_some_and(|tags| has_tag(tags, &tag)) {
        let headers = Headers::default().with("etag", tag);
        return Answer { response: Response { status: 304, headers }, body: Body::None };
    }
    let is_same = header("if-range").is_none_or(|wanted| wanted == tag);
    // A range is defined for GET only.
    let range = header("range").filter(|_| is_same && request.method == "GET");
    let (status, offset, length) = match range.map_or(Part::Whole, |range| decode_range(range, entry.size)) {
        Part::Whole => (200, 0, entry.size),
        Part::Range { offset, length } => (206, offset, length),
        Part::Unsatisfiable => {
            let mut answer = refusal(416);
            answer.response.headers = answer.response.headers.with("content-range", format!("bytes */{}", entry.size));
            return answer;
        }
    };
    let mut headers = of_body(type_of(&entry.path), length).with("etag", tag).with("accept-ranges", "bytes");
    if status == 206 {
        let last = offset + length - 1;
        headers = headers.with("content-range", format!("bytes {offset}-{last}/{}", entry.size));
    }
    let body = Body::File { path: entry.path.clone(), offset, length };
    Answer { response: Response { status, headers }, body }
}

fn moved(target: String) -> Answer {
    let mut answer = refusal(301);
    answer.response.headers = answer.response.headers.with("location", target);
    answer
}

/// The answer for what is not there: the site's own page if it has one.
async fn missing<D: Disk>(disk: &D) -> Answer {
    match stat(disk, MISSING).await {
        Ok(Some(entry)) if !entry.is_folder => {
            let headers = of_body(type_of(MISSING), entry.size);
            let body = Body::File { path: entry.path, offset: 0, length: entry.size };
            Answer { response: Response { status: 404, headers }, body }
        }
        _ => refusal(404),
    }
}

fn of_body(media: &str, length: u64) -> Headers {
    Headers::default().with("content-type", media).with("content-length", length.to_string())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
