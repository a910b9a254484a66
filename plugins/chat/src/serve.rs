//! The service: takes in what others say.

use crate::Chat;
use crate::book::Recorded;
use crate::guests::{Guest, Pace};
use crate::model::Entry;
use crate::wire::{PROTOCOL, Receipt, Say, read_say, write};
use mute_plugin::{Channel, Connection, Error, Result, Stop, spawn, time};
use std::rc::Rc;
use std::time::Duration;

/// How long a peer may be silent before its place is free for others, and how long it may take for a receipt.
const IDLE: Duration = Duration::from_secs(60);

/// Serves until `stop`.
pub(crate) async fn run(chat: Rc<Chat>, stop: Stop) -> Result<()> {
    let mut incoming = chat.identity()?.listen(PROTOCOL)?;
    while let Some(connection) = stop.or(incoming.next()).await {
        let connection = connection.ok_or_else(|| Error::closed("the identity takes no more connections"))?;
        if !connection.peer_is_proven() {
            connection.close(Error::REFUSED, "chat needs to know who speaks");
            continue;
        }
        let peer = connection.peer();
        let is_known = chat.desk.look(|book| book.is_known(peer)).await?;
        let (guest, leaving) = chat.guests.enter(peer, is_known, connection.clone());
        for leaving in leaving {
            leaving.close(Error::BUSY, "the place is needed");
        }
        let pace = if is_known { Rc::new(Pace::of_friend()) } else { Rc::clone(&chat.strangers) };
        spawn(receive(Rc::clone(&chat), connection, guest, pace));
    }
    Ok(())
}

async fn receive(chat: Rc<Chat>, connection: Connection, _place: Guest<Connection>, pace: Rc<Pace>) {
    let mut channels = connection.accept();
    // One channel at a time: more would be more of one peer than of others.
    while let Some(Some(channel)) = time::timeout(IDLE, channels.next()).await {
        if let Err(error) = hear(&chat, &connection, channel, &pace).await {
            mute_plugin::debug!("a conversation broke off: {error}");
            connection.close(error.code(), "not understood");
            return;
        }
    }
    connection.close(Error::TIMED_OUT, "silent for long");
}

async fn hear(chat: &Rc<Chat>, connection: &Connection, channel: Channel, pace: &Pace) -> Result<()> {
    let slow = || Error::new(Error::TIMED_OUT, "the peer is too slow");
    let (mut writer, mut reader) = channel.split();
    while let Some(say) = time::timeout(IDLE, read_say(&mut reader)).await.ok_or_else(slow)?? {
        let wait = pace.turn(time::elapsed());
        if !wait.is_zero() {
            time::sleep(wait).await;
        }
        let receipt = store(chat, connection, say).await;
        time::timeout(IDLE, write(&mut writer, &receipt)).await.ok_or_else(slow)??;
    }
    time::timeout(IDLE, writer.finish()).await.ok_or_else(slow)?
}

/// Stores a message; the receipt says whether that worked.
async fn store(chat: &Rc<Chat>, connection: &Connection, say: Say) -> Receipt {
    let Say { id, text } = say;
    let entry = Entry { id, mine: false, time_s: time::unix_s(), text };
    match chat.desk.record(connection.peer(), entry).await {
        Ok(Recorded::New(_) | Recorded::Known) => Receipt { id, code: Receipt::STORED },
        Err(error) => {
            mute_plugin::warn!("a message could not be stored: {error}");
            Receipt { id, code: error.code().max(1) }
        }
    }
}
