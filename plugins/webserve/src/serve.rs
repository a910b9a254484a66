//! The service: answers those who visit the sites.

use crate::Webserve;
use crate::answer::{Answer, Body, Disk, answer, refusal};
use crate::head::{read_request, write_response};
use crate::sites::Running;
use mute_plugin::folder::{Entry, Folder};
use mute_plugin::futures::future::Either;
use mute_plugin::{
    Channel, Channels, Connection, Error, Incoming, Permit, Reader, Result, Stop, Writer, first, spawn, time,
};
use std::rc::Rc;
use std::time::Duration;

/// Connections of all sites together.
pub(crate) const CONNECTIONS: usize = 128;
/// Requests that are answered at a time, of all sites together. Each holds a folder and a file open; the host lets a
/// plugin have 256.
pub(crate) const REQUESTS: usize = 96;
/// Requests of one connection at a time; browsers ask for six.
const REQUESTS_EACH: usize = 8;
/// How long a connection may be without requests.
const IDLE: Duration = Duration::from_secs(120);
/// How long a request may take to arrive.
const REQUEST: Duration = Duration::from_secs(30);
/// How long a visitor may take for one [`CHUNK`], before the place is free for others.
const STALL: Duration = Duration::from_secs(60);
/// Bytes of a body sent at a time, all that is held of it.
const CHUNK: usize = 64 * 1024;

/// Serves all sites until `stop`.
pub(crate) async fn run(webserve: Rc<Webserve>, stop: Stop) -> Result<()> {
    webserve.start_all().await?;
    loop {
        while let Some((site, incoming)) = webserve.take_started() {
            spawn(serve(Rc::clone(&webserve), site, incoming));
        }
        if let Either::Left(()) = first(stop.wait(), webserve.started.wait()).await {
            return Ok(());
        }
    }
}

async fn serve(webserve: Rc<Webserve>, site: Rc<Running>, mut incoming: Incoming) {
    while let Some(Some(connection)) = site.stop.or(incoming.next()).await {
        match webserve.connections.enter() {
            Some(place) => spawn(visit(Rc::clone(&webserve), Rc::clone(&site), connection, place)),
            None => connection.close(Error::BUSY, "too many visitors"),
        }
    }
}

async fn visit(webserve: Rc<Webserve>, site: Rc<Running>, connection: Connection, _place: Permit) {
    let mut channels = connection.accept();
    // One clone for each request that is being answered.
    let busy = Rc::new(());
    while let Some(channel) = next_channel(&site, &mut channels, &busy).await {
        if Rc::strong_count(&busy) > REQUESTS_EACH {
            channel.reset(Error::BUSY);
            continue;
        }
        match webserve.requests.enter() {
            Some(place) => spawn(handle(Rc::clone(&site), channel, Rc::clone(&busy), place)),
            None => channel.reset(Error::BUSY),
        }
    }
    connection.close(Error::CLOSED, "nothing was asked for long, or the site is no more");
}

/// The next request's channel; none when the connection has ended, nothing was asked for long, or the site stops.
async fn next_channel(site: &Running, channels: &mut Channels, busy: &Rc<()>) -> Option<Channel> {
    let mut next = std::pin::pin!(channels.next());
    loop {
        match site.stop.or(time::timeout(IDLE, &mut next)).await? {
            Some(channel) => return channel,
            None if Rc::strong_count(busy) == 1 => return None,
            // A long body is on its way.
            None => {}
        }
    }
}

async fn handle(site: Rc<Running>, channel: Channel, _busy: Rc<()>, _place: Permit) {
    // Dropping the work half-way breaks the channel off, so nobody takes a part for the whole.
    if let Some(Err(error)) = site.stop.or(exchange(&site.folder, channel)).await {
        mute_plugin::debug!("a page was not sent whole: {error}");
    }
}

async fn exchange(folder: &str, channel: Channel) -> Result<()> {
    let (mut writer, mut reader) = channel.split();
    let request = time::timeout(REQUEST, read_request(&mut reader)).await.ok_or_else(slow)?;
    let disk = HostDisk::open(folder);
    let answer = match request {
        Ok(request) => answer(&request, disk.as_ref()).await,
        Err(error) if [Error::INVALID, Error::TOO_LARGE].contains(&error.code()) => refusal(400),
        Err(error) => return Err(error),
    };
    let (response, source) = match source(answer.body, disk.as_ref()).await {
        Ok(source) => (answer.response, source),
        // It was there a moment ago.
        Err(_) => {
            let Answer { response, body } = refusal(503);
            (response, source(body, None).await?)
        }
    };
    time::timeout(STALL, write_response(&mut writer, response)).await.ok_or_else(slow)??;
    send(source, &mut writer).await?;
    time::timeout(STALL, writer.finish()).await.ok_or_else(slow)?
}

/// Where the bytes of a body come from.
enum Source {
    Memory(Vec<u8>),
    /// A file, and how many bytes were promised.
    File(Reader, u64),
}

async fn source(body: Body, disk: Option<&HostDisk>) -> Result<Source> {
    match (body, disk) {
        (Body::None, _) => Ok(Source::Memory(Vec::new())),
        (Body::Page(page), _) => Ok(Source::Memory(page.into_bytes())),
        (Body::File { path, offset, length }, Some(disk)) => {
            let file = disk.0.open_file(&path, false).await?;
            Ok(Source::File(file.read(offset, Some(length)), length))
        }
        (Body::File { .. }, None) => Err(Error::not_found("the site's folder is gone")),
    }
}

async fn send(source: Source, writer: &mut Writer) -> Result<()> {
    let (mut reader, mut left) = match source {
        Source::Memory(bytes) => return time::timeout(STALL, writer.write_vec(bytes)).await.ok_or_else(slow)?,
        Source::File(reader, length) => (reader, length),
    };
    while let Some(bytes) = reader.read(CHUNK).await? {
        left = left.saturating_sub(bytes.len() as u64);
        time::timeout(STALL, writer.write_vec(bytes)).await.ok_or_else(slow)??;
    }
    if left == 0 { Ok(()) } else { Err(Error::closed("the file became shorter while it was sent")) }
}

fn slow() -> Error {
    Error::new(Error::TIMED_OUT, "the visitor is too slow")
}

/// A site's folder, opened for one request: a folder that vanished or is no longer granted is noticed at once.
struct HostDisk(Folder);

impl HostDisk {
    fn open(name: &str) -> Option<Self> {
        Folder::open(name).ok().map(Self)
    }
}

impl Disk for HostDisk {
    async fn stat(&self, path: &str) -> Result<Entry> {
        self.0.stat(path).await
    }
}
