//! Saying something to an address: delivered and receipted, or an error that says how far it came.

use crate::Chat;
use crate::model::Entry;
use crate::wire::{MessageId, PROTOCOL, Receipt, Say, check_text, read_receipt, write};
use mute_plugin::futures::lock::Mutex;
use mute_plugin::{Address, ConnectOptions, Connection, Error, Identity, Output, Result, random, time};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// How long finding the address and connecting to it may take.
const CONNECT: Duration = Duration::from_secs(60);
/// How long a receipt may take once we are connected.
const RECEIPT: Duration = Duration::from_secs(60);
/// A connection may break while the receipt is on its way; the same message sent again is stored once.
const ATTEMPTS: u32 = 2;

/// What is being done, in order, as a progress of steps.
const STEPS: u64 = 3;

/// Delivers a text and stores it; returns when, in seconds since 1970-01-01 UTC.
pub(crate) async fn send(chat: &Rc<Chat>, to: Address, text: String, output: &mut Output) -> Result<u64> {
    check_text(&text)?;
    let identity = chat.identity()?;
    if to == identity.address() {
        return Err(Error::invalid("that is your own address"));
    }
    chat.desk.look(|book| book.check_room_for(to)).await??;
    let turn = chat.turns.of(to);
    let _turn = turn.lock().await;

    let id: MessageId = random::array()?;
    deliver(&identity, to, &Say { id, text: text.clone() }, output).await?;
    let entry = Entry { id, mine: true, time_s: time::unix_s(), text };
    let time_s = entry.time_s;
    let told = |error: Error| error.during("the message was delivered, but could not be kept here");
    chat.desk.record(to, entry).await.map_err(told)?;
    Ok(time_s)
}

async fn deliver(identity: &Identity, to: Address, say: &Say, output: &mut Output) -> Result<()> {
    let mut is_said = false;
    let mut attempt = 1;
    loop {
        let error = match once(identity, to, say, &mut is_said, output).await {
            Ok(receipt) => return check_receipt(&receipt, say),
            Err(error) => error,
        };
        let may_help = matches!(error.code(), Error::CLOSED | Error::TIMED_OUT | Error::BUSY);
        if !is_said || !may_help || attempt == ATTEMPTS {
            return Err(undelivered(error, is_said));
        }
        attempt += 1;
    }
}

/// One attempt. `is_said` becomes true when the peer may have the message.
async fn once(identity: &Identity, to: Address, say: &Say, is_said: &mut bool, output: &mut Output) -> Result<Receipt> {
    output.progress("looking for the address", 0, Some(STEPS), "steps").await?;
    let options = ConnectOptions::new(PROTOCOL).show_identity().timeout(CONNECT);
    let connection = identity.connect(to, &options).await?;
    output.progress("connected, sending", 1, Some(STEPS), "steps").await?;
    *is_said = true;
    let receipt = async {
        let receipt = exchange(&connection, say, output).await?;
        output.progress("delivered", STEPS, Some(STEPS), "steps").await?;
        Ok(receipt)
    };
    let silent = || Error::new(Error::TIMED_OUT, "no receipt came");
    time::timeout(RECEIPT, receipt).await.ok_or_else(silent)?
}

async fn exchange(connection: &Connection, say: &Say, output: &mut Output) -> Result<Receipt> {
    let (mut writer, mut reader) = connection.open().await?.split();
    write(&mut writer, say).await?;
    output.progress("waiting for the receipt", 2, Some(STEPS), "steps").await?;
    let receipt = read_receipt(&mut reader).await?;
    let receipt = receipt.ok_or_else(|| Error::closed("the channel ended without a receipt"))?;
    // A farewell: what matters is done, whether it arrives or not.
    let _ = writer.finish().await;
    Ok(receipt)
}

fn check_receipt(receipt: &Receipt, say: &Say) -> Result<()> {
    if receipt.id != say.id {
        return Err(Error::invalid("not delivered: the receipt is for another message"));
    }
    match receipt.code {
        Receipt::STORED => Ok(()),
        Error::QUOTA => Err(Error::new(Error::REFUSED, "not delivered: the other side has no room for it")),
        code => {
            Err(Error::new(Error::REFUSED, format!("not delivered: the other side could not store it (code {code})")))
        }
    }
}

/// Nothing is sent later by itself, and the user is told so.
fn undelivered(error: Error, is_said: bool) -> Error {
    let how = match error.code() {
        Error::CANCELLED => return error,
        _ if is_said => "no receipt, so it may or may not have arrived, and it is not sent again by itself",
        _ => "not delivered, and not sent later by itself",
    };
    error.during(how)
}

/// Whose turn it is to speak to an address: one message at a time, so that they arrive in the order they were said.
#[derive(Default)]
pub(crate) struct Turns(RefCell<BTreeMap<Address, Rc<Mutex<()>>>>);

impl Turns {
    /// The lock of an address. Those that nobody holds go, so there are never more than commands that run.
    fn of(&self, to: Address) -> Rc<Mutex<()>> {
        let mut turns = self.0.borrow_mut();
        turns.retain(|_, turn| Rc::strong_count(turn) > 1);
        Rc::clone(turns.entry(to).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say() -> Say {
        Say { id: [1; 16], text: "hi".to_owned() }
    }

    #[test]
    fn only_the_right_receipt_is_one() {
        check_receipt(&Receipt { id: [1; 16], code: Receipt::STORED }, &say()).unwrap();
        assert!(check_receipt(&Receipt { id: [2; 16], code: Receipt::STORED }, &say()).is_err());
        for code in [Error::QUOTA, Error::INTERNAL, 77] {
            let error = check_receipt(&Receipt { id: [1; 16], code }, &say()).unwrap_err();
            assert_eq!(error.code(), Error::REFUSED);
            assert!(error.message().starts_with("not delivered"));
        }
    }

    #[test]
    fn errors_say_how_far_it_came_and_keep_their_code() {
        let error = undelivered(Error::new(Error::NO_ROUTE, "no way to the address is known"), false);
        assert_eq!(error.code(), Error::NO_ROUTE);
        assert_eq!(error.message(), "not delivered, and not sent later by itself: no way to the address is known");
        assert!(undelivered(Error::closed("gone"), true).message().contains("may or may not have arrived"));
        assert_eq!(undelivered(Error::cancelled(), true), Error::cancelled());
    }

    #[test]
    fn turns_are_by_address_and_few() {
        let turns = Turns::default();
        let one = turns.of(Address::from_bytes([1; 32]));
        let held = one.try_lock().unwrap();
        assert!(turns.of(Address::from_bytes([1; 32])).try_lock().is_none());
        assert!(turns.of(Address::from_bytes([2; 32])).try_lock().is_some());
        drop(held);
        assert!(turns.of(Address::from_bytes([3; 32])).try_lock().is_some());
        assert_eq!(turns.0.borrow().len(), 2, "the held one and the last asked for");
    }
}
