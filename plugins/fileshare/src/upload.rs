//! Sends files to those who ask for them by hash.

use crate::hash::Hash;
use crate::index::{Place, Record};
use crate::protocol::{CONTROL_MAX, Reply, Request, TRANSFERS};
use crate::state::State;
use crate::tree::{self, Shape};
use mute_plugin::folder::Folder;
use mute_plugin::frame::{read_frame, write_frame};
use mute_plugin::futures::future::join;
use mute_plugin::{Channel, Connection, Error, Limit, Permit, Reader, Result, Stop, Writer, debug, spawn, time};
use std::rc::Rc;
use std::time::Duration;

/// Uploads at once; each holds two blocks and, for the largest file, 8 MiB of values.
const UPLOADS_MAX: usize = 8;
/// How long a peer may keep us waiting for a request or a channel.
const IDLE: Duration = Duration::from_secs(60);
/// How long a block may take: 9 KB/s, slower than any line that is still of use.
const STALL: Duration = Duration::from_secs(120);

/// Serves those who connect, until `stop`.
pub(crate) async fn serve(state: Rc<State>, stop: Stop) -> Result<()> {
    let mut incoming = state.identity()?.listen(TRANSFERS)?;
    let limit = Limit::new(UPLOADS_MAX);
    while let Some(Some(connection)) = stop.or(incoming.next()).await {
        match limit.enter() {
            Some(permit) => spawn(serve_connection(Rc::clone(&state), connection, stop.clone(), permit)),
            None => connection.close(Error::BUSY, "too many uploads"),
        }
    }
    Ok(())
}

async fn serve_connection(state: Rc<State>, connection: Connection, stop: Stop, _permit: Permit) {
    let mut channels = connection.accept();
    while let Some(Some(Some(channel))) = stop.or(time::timeout(IDLE, channels.next())).await {
        let resetter = channel.resetter();
        match stop.or(serve_channel(&state, channel)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                debug!("an upload broke off: {error}");
                resetter.reset(error.code());
            }
            None => break,
        }
    }
    connection.close(Error::CLOSED, "no more requests");
}

async fn serve_channel(state: &State, channel: Channel) -> Result<()> {
    let (mut writer, mut reader) = channel.split();
    loop {
        let request = time::timeout(IDLE, read_frame(&mut reader, CONTROL_MAX)).await.ok_or_else(too_slow)??;
        let Some(request) = request else { return writer.finish().await };
        let hash = match request {
            Request::Tree(hash) | Request::Blocks(hash, _) => hash,
        };
        let found = state.index.borrow().find(&hash).map(|(place, record)| (place.clone(), *record));
        let shape = found.as_ref().and_then(|(_, record)| Shape::of(record.size));
        let (Some((place, record)), Some(shape)) = (found, shape) else {
            refuse(&mut writer, Error::NOT_FOUND).await?;
            continue;
        };
        match request {
            Request::Tree(_) => send_tree(state, &mut writer, &hash, shape).await?,
            Request::Blocks(_, from) => match usize::try_from(from) {
                Ok(from) if from < shape.blocks() => {
                    send_blocks(state, &mut writer, &place, &record, shape, from).await?;
                }
                _ => refuse(&mut writer, Error::INVALID).await?,
            },
        }
    }
}

fn too_slow() -> Error {
    Error::new(Error::TIMED_OUT, "the peer is too slow")
}

async fn reply(writer: &mut Writer, code: u32, size: u64) -> Result<()> {
    let sent = time::timeout(STALL, write_frame(writer, &Reply { code, size }, CONTROL_MAX)).await;
    sent.unwrap_or_else(|| Err(too_slow()))
}

async fn refuse(writer: &mut Writer, code: u32) -> Result<()> {
    reply(writer, code, 0).await
}

async fn send_tree(state: &State, writer: &mut Writer, hash: &Hash, shape: Shape) -> Result<()> {
    let Ok(values) = state.block_values(hash, shape.blocks()).await else {
        return refuse(writer, Error::NOT_FOUND).await;
    };
    reply(writer, 0, shape.size()).await?;
    for part in values.chunks(tree::BLOCK / tree::VALUE) {
        let sent = time::timeout(STALL, writer.write_vec(tree::to_bytes(part))).await;
        sent.unwrap_or_else(|| Err(too_slow()))?;
    }
    Ok(())
}

/// Sends blocks, each read while the one before is sent, and each checked against the index: a file that changed since it
/// was hashed is not sent.
async fn send_blocks(
    state: &State,
    writer: &mut Writer,
    place: &Place,
    record: &Record,
    shape: Shape,
    from: usize,
) -> Result<()> {
    let (values, file) = match open(state, place, record, shape).await {
        Ok(opened) => opened,
        Err(error) => {
            debug!("a shared file can't be sent: {error}");
            state.rescan.raise();
            return refuse(writer, Error::NOT_FOUND).await;
        }
    };
    reply(writer, 0, shape.size()).await?;
    let mut reader = file.read(shape.offset(from), None);
    let mut content = read_block(&mut reader, shape, from).await?;
    let mut requests = 1;
    for (block, value) in values.iter().enumerate().skip(from) {
        let groups = shape.group_values(block, &content);
        if shape.block_value(&groups) != *value {
            state.rescan.raise();
            return Err(Error::not_found("a shared file has changed"));
        }
        let sent = content.len() as u64;
        let send = async {
            writer.write_vec(tree::to_bytes(&groups)).await?;
            writer.write_vec(content).await
        };
        let (written, next) = join(time::timeout(STALL, send), read_block(&mut reader, shape, block + 1)).await;
        written.unwrap_or_else(|| Err(too_slow()))?;
        content = next?;
        state.ledger.sent(record.hash, place.name(), sent, requests);
        requests = 0;
    }
    Ok(())
}

async fn open(
    state: &State,
    place: &Place,
    record: &Record,
    shape: Shape,
) -> Result<(Vec<tree::Value>, mute_plugin::folder::File)> {
    let folder = Folder::open(&place.share)?;
    if !record.is_of(&folder.stat(&place.path).await?) {
        return Err(Error::not_found("it has changed"));
    }
    let values = state.block_values(&record.hash, shape.blocks()).await?;
    Ok((values, folder.open_file(&place.path, false).await?))
}

/// A block's content; empty beyond the last.
async fn read_block(reader: &mut Reader, shape: Shape, block: usize) -> Result<Vec<u8>> {
    let length = shape.block_len(block);
    let mut content = Vec::with_capacity(length);
    while content.len() < length {
        let (before, missing) = (content.len(), length - content.len());
        content = reader.append(content, missing).await?;
        if content.len() == before {
            return Err(Error::not_found("a shared file has become shorter"));
        }
    }
    Ok(content)
}
