//! Fetching a page of an anonymous site.

use crate::body::{Lines, prints};
use crate::head::{PROTOCOL, Request, Response, read_response, write_request};
use crate::media::is_text;
use crate::page::meaning;
use crate::path::typed_target;
use crate::save::Download;
use mute_plugin::{Address, ConnectOptions, Connection, Error, Identity, Output, Reader, Result, Writer, text, time};
use serde::Serialize;
use std::time::Duration;

/// How long finding the site and connecting to it may take.
const CONNECT: Duration = Duration::from_secs(60);
/// How long the site may be silent.
const STALL: Duration = Duration::from_secs(60);
/// Pages that send us on to another before we give up: a site could send us round in circles.
const MOVES: usize = 4;
/// Bytes taken at a time.
const CHUNK: usize = 64 * 1024;
/// The longest body of unknown length that is taken: a site could send without end.
const UNKNOWN_MAX: u64 = 64 * 1024 * 1024;

/// A page that the user names: `ADDRESS` or `ADDRESS/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) address: Address,
    pub(crate) target: String,
}

impl std::str::FromStr for Page {
    type Err = Error;

    fn from_str(typed: &str) -> Result<Self> {
        let (address, path) = typed.split_at(typed.find(['/', '?', '#']).unwrap_or(typed.len()));
        let target = typed_target(path);
        // "ADDRESS?query" means the site's own page.
        let target = if target.starts_with('/') { target } else { format!("/{target}") };
        Ok(Self { address: address.parse()?, target })
    }
}

/// What became of a page.
#[derive(Debug, Serialize)]
pub(crate) struct Fetched {
    address: Address,
    path: String,
    status: u16,
    #[serde(rename = "type")]
    media: Option<String>,
    etag: Option<String>,
    /// Of the body, as received; of a page whose head alone was asked for, as the site says.
    bytes: Option<u64>,
    /// The name in the downloads folder.
    file: Option<String>,
}

/// Where the body goes.
pub(crate) enum Sink {
    /// To the user, as text.
    Text,
    /// Into a file of the downloads folder.
    File(String),
    /// Nowhere: only the head is asked for.
    Nowhere,
}

/// Fetches a page.
///
/// # Errors
/// What the network says; [`Error::NOT_FOUND`] and others for a page that is not there, by [`check_status`].
pub(crate) async fn fetch(page: Page, sink: Sink, output: &mut Output) -> Result<()> {
    // One address per page: no site can tell that two visits are of one visitor.
    let identity = Identity::ephemeral()?;
    output.progress("looking for the site", 0, None, "bytes").await?;
    let connection = identity.connect(page.address, &ConnectOptions::new(PROTOCOL).timeout(CONNECT)).await?;
    let method = if matches!(sink, Sink::Nowhere) { "HEAD" } else { "GET" };
    let mut target = page.target;
    for _ in 0..=MOVES {
        let (_writer, mut reader, response) = ask(&connection, method, &target).await?;
        if let Some(moved) = moved_to(&response)? {
            target = moved;
            continue;
        }
        check_status(response.status)?;
        let header = |name| response.headers.get(name).map(str::to_owned);
        let mut fetched = Fetched {
            address: page.address,
            path: target,
            status: response.status,
            media: header("content-type"),
            etag: header("etag"),
            bytes: response.length(),
            file: None,
        };
        return match sink {
            Sink::Text => show(&mut fetched, &response, &mut reader, output).await,
            Sink::File(name) => save(&mut fetched, name, &response, &mut reader, output).await,
            Sink::Nowhere => {
                let media = text::harmless_line(fetched.media.as_deref().unwrap_or("unknown type"));
                let bytes = fetched.bytes.map_or("unknown".to_owned(), |bytes| bytes.to_string());
                output.result(format!("{} {media}, {bytes} bytes", fetched.status), &fetched).await
            }
        };
    }
    Err(Error::invalid("the site sends us from page to page"))
}

/// Asks for a target; the writer is to be kept until the answer is read.
async fn ask(connection: &Connection, method: &str, target: &str) -> Result<(Writer, Reader, Response)> {
    let (mut writer, mut reader) = connection.open().await?.split();
    let response = async {
        write_request(&mut writer, Request::new(method, target)).await?;
        read_response(&mut reader).await
    };
    let response = time::timeout(STALL, response).await.ok_or_else(silent)??;
    Ok((writer, reader, response))
}

fn silent() -> Error {
    Error::new(Error::TIMED_OUT, "the site is silent")
}

/// Where a response sends us, within its site; anything else is not followed.
fn moved_to(response: &Response) -> Result<Option<String>> {
    if ![301, 302, 303, 307, 308].contains(&response.status) {
        return Ok(None);
    }
    let location = response.headers.get("location").unwrap_or_default();
    // "//" would begin another host's name.
    let is_own = location.starts_with('/') && !location.starts_with("//");
    let told = || Error::new(Error::REFUSED, "the page has moved to another place, which is not followed");
    is_own.then(|| Some(location.to_owned())).ok_or_else(told)
}

/// What is no success is an error, so that scripts notice.
fn check_status(status: u16) -> Result<()> {
    let code = match status {
        200..=299 => return Ok(()),
        404 | 410 => Error::NOT_FOUND,
        503 => Error::BUSY,
        _ => Error::PLUGIN + u32::from(status),
    };
    Err(Error::new(code, format!("{status}: {}", meaning(status))))
}

async fn show(fetched: &mut Fetched, response: &Response, reader: &mut Reader, output: &mut Output) -> Result<()> {
    let media = fetched.media.as_deref().unwrap_or_default();
    if !is_text(media) {
        let media = text::harmless_line(if media.is_empty() { "of unknown type" } else { media });
        return Err(Error::invalid(format!("the page is {media}, not text; --output FILE saves it")));
    }
    let mut body = Incoming::new(response, reader);
    let mut lines = Lines::default();
    while let Some(bytes) = body.next().await? {
        print(&lines.decode(&bytes)?, output).await?;
    }
    print(&lines.finish()?, output).await?;
    fetched.bytes = Some(body.received);
    output.json(fetched).await
}

/// Prints lines: for people harmless, for programs as they are.
async fn print(lines: &str, output: &mut Output) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    for print in prints(&text::harmless(lines)) {
        output.text(print).await?;
    }
    output.json(&serde_json::json!({ "text": lines })).await
}

async fn save(
    fetched: &mut Fetched,
    name: String,
    response: &Response,
    reader: &mut Reader,
    output: &mut Output,
) -> Result<()> {
    let download = Download::start(name, response.length()).await?;
    let mut body = Incoming::new(response, reader);
    let mut writer = download.write();
    while let Some(bytes) = body.next().await? {
        writer.write_vec(bytes).await?;
        output.progress("receiving", body.received, response.length(), "bytes").await?;
    }
    writer.finish().await?;
    fetched.bytes = Some(body.received);
    let name = download.keep().await?;
    fetched.file = Some(name.clone());
    output.result(format!("{} bytes saved as {name} in the downloads folder", body.received), fetched).await
}

/// A body as it comes, checked against the length that its head promised.
struct Incoming<'a> {
    reader: &'a mut Reader,
    length: Option<u64>,
    received: u64,
}

impl<'a> Incoming<'a> {
    fn new(response: &Response, reader: &'a mut Reader) -> Self {
        Self { reader, length: response.length(), received: 0 }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let bytes = time::timeout(STALL, self.reader.read(CHUNK)).await.ok_or_else(silent)??;
        self.received += bytes.as_ref().map_or(0, Vec::len) as u64;
        check_length(self.length, self.received, bytes.is_none())?;
        Ok(bytes)
    }
}

fn check_length(length: Option<u64>, received: u64, is_end: bool) -> Result<()> {
    match length {
        Some(length) if received > length || (is_end && received < length) => {
            Err(Error::invalid("the page is not as long as the site said"))
        }
        None if received > UNKNOWN_MAX => Err(Error::too_large("the page has no stated length, and does not end")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address() -> Address {
        Address::from_bytes([7; 32])
    }

    #[test]
    fn pages_are_named_by_address_and_path() {
        for (path, target) in [
            ("", "/"),
            ("/", "/"),
            ("/a/b c.html", "/a/b%20c.html"),
            ("/é?x=1#y", "/%C3%A9?x=1"),
            ("?x", "/?x"),
            ("#y", "/"),
        ] {
            let page: Page = format!("{}{path}", address()).parse().unwrap();
            assert_eq!((page.address, page.target.as_str()), (address(), target));
        }
        for typed in ["", "/", "http://x/", "mute1abc/", "example.org"] {
            assert_eq!(typed.parse::<Page>().unwrap_err().code(), Error::INVALID, "{typed}");
        }
    }

    #[test]
    fn only_success_is_success() {
        check_status(200).unwrap();
        check_status(206).unwrap();
        for (status, code) in [
            (404, Error::NOT_FOUND),
            (410, Error::NOT_FOUND),
            (503, Error::BUSY),
            (400, 1400),
            (500, 1500),
            (304, 1304),
        ] {
            let error = check_status(status).unwrap_err();
            assert_eq!(error.code(), code);
            assert!(error.message().starts_with(&status.to_string()));
        }
    }

    #[test]
    fn moves_stay_on_the_site() {
        let to = |status, location: &str| {
            moved_to(&Response {
                headers: Response::new(status).headers.with("location", location),
                ..Response::new(status)
            })
        };
        assert_eq!(to(200, "/x").unwrap(), None);
        assert_eq!(to(301, "/a/").unwrap(), Some("/a/".to_owned()));
        for location in ["", "a", "//example.org/", "http://example.org/", "javascript:x"] {
            assert_eq!(to(302, location).unwrap_err().code(), Error::REFUSED, "{location}");
        }
        assert!(moved_to(&Response::new(301)).is_err());
    }

    #[test]
    fn a_body_is_as_long_as_was_said() {
        check_length(Some(5), 3, false).unwrap();
        check_length(Some(5), 5, true).unwrap();
        check_length(None, UNKNOWN_MAX, true).unwrap();
        assert!(check_length(Some(5), 4, true).is_err() && check_length(Some(5), 6, false).is_err());
        assert_eq!(check_length(None, UNKNOWN_MAX + 1, false).unwrap_err().code(), Error::TOO_LARGE);
    }

    proptest! {
        #[test]
        fn what_is_typed_becomes_a_target_or_an_error(path in "[/?#].*") {
            let page: Page = format!("{}{path}", address()).parse().unwrap();
            prop_assert!(page.target.starts_with('/'));
            prop_assert!(page.target.bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
        }
    }
}
