//! The commands: `mute chat …`.

use crate::Chat;
use crate::book::PAGE;
use crate::desk::Desk;
use crate::model::{Entry, decode_entry_number, entries_of};
use crate::send::send;
use crate::show::{MessageShown, TalkShown};
use crate::store::Store;
use mute_plugin::{Address, Call, Command, Commands, Error, Output, Result};
use serde_json::json;
use std::rc::Rc;

/// All commands.
pub(crate) fn all() -> Commands<Chat> {
    let me = Command::new("me", "prints your address, for others to write to").example("mute chat me");
    let add = Command::new("add", "gives an address a name of your own")
        .example("mute chat add alice mute1…")
        .required("name", "what you call them")
        .required("address", "their address, as `mute chat me` prints it on their side");
    let remove = Command::new("remove", "forgets a contact's name; the conversation stays")
        .example("mute chat remove alice")
        .required("name", "the contact");
    let contacts = Command::new("contacts", "lists your contacts").example("mute chat contacts");
    let list = Command::new("list", "lists your conversations").example("mute chat list");
    let send = Command::new("send", "delivers a message and waits for the receipt; it is not sent later by itself")
        .example("mute chat send alice how are you?")
        .required("who", "a contact or an address")
        .required_many("text", "what you say");
    let read = Command::new("read", "prints messages, new ones marked by *; then they are no longer new")
        .example("mute chat read --who alice")
        .optional("who", "only with this contact or address")
        .flag("new", "only new ones");
    let listen = Command::new("listen", "prints messages as they come, until you stop it").example("mute chat listen");
    let forget = Command::new("forget", "deletes the messages with an address, yours and theirs, here")
        .example("mute chat forget alice")
        .required("who", "a contact or an address");
    Commands::new()
        .add(me, do_me)
        .add(add, async |chat: Rc<Chat>, mut call: Call| {
            let (name, address) = (call.arguments.required("name")?, call.arguments.required("address")?);
            do_add(&chat.desk, name, address.parse()?, &mut call.output).await
        })
        .add(remove, async |chat: Rc<Chat>, mut call: Call| {
            do_remove(&chat.desk, call.arguments.required("name")?, &mut call.output).await
        })
        .add(contacts, async |chat: Rc<Chat>, mut call: Call| do_contacts(&chat.desk, &mut call.output).await)
        .add(list, async |chat: Rc<Chat>, mut call: Call| do_list(&chat.desk, &mut call.output).await)
        .add(send, do_send)
        .add(read, async |chat: Rc<Chat>, mut call: Call| {
            let only_new = call.arguments.flag("new");
            do_read(&chat.desk, call.arguments.get("who"), only_new, &mut call.output).await
        })
        .add(listen, async |chat: Rc<Chat>, mut call: Call| do_listen(&chat.desk, &mut call.output).await)
        .add(forget, async |chat: Rc<Chat>, mut call: Call| {
            do_forget(&chat.desk, call.arguments.required("who")?, &mut call.output).await
        })
}

async fn do_me(chat: Rc<Chat>, mut call: Call) -> Result<()> {
    let address = chat.identity()?.address();
    call.output.result(address.to_string(), &json!({ "address": address })).await
}

async fn do_send(chat: Rc<Chat>, mut call: Call) -> Result<()> {
    let who = call.arguments.required("who")?.to_owned();
    let text = call.arguments.all("text").collect::<Vec<_>>().join(" ");
    let to = resolve(&chat.desk, &who).await?;
    let time_s = send(&chat, to, text, &mut call.output).await?;
    let shown = json!({ "address": to, "delivered": true, "time_s": time_s });
    call.output.result(format!("delivered to {who}"), &shown).await
}

async fn do_add<S: Store>(desk: &Rc<Desk<S>>, name: &str, address: Address, output: &mut Output) -> Result<()> {
    let owned = name.to_owned();
    desk.change(async move |book, store| book.add(store, &owned, address).await).await?;
    output.result(format!("{name} is {address}"), &json!({ "name": name, "address": address })).await
}

async fn do_remove<S: Store>(desk: &Rc<Desk<S>>, name: &str, output: &mut Output) -> Result<()> {
    let owned = name.to_owned();
    let address = desk.change(async move |book, store| book.remove(store, &owned).await).await?;
    output.result(format!("{name} is no longer {address}"), &json!({ "name": name, "address": address })).await
}

async fn do_contacts<S: Store>(desk: &Rc<Desk<S>>, output: &mut Output) -> Result<()> {
    let contacts =
        desk.look(|book| book.contacts().map(|(name, at)| (name.to_owned(), at)).collect::<Vec<_>>()).await?;
    if contacts.is_empty() {
        return output.text("no contacts yet; `mute chat add NAME ADDRESS` makes one").await;
    }
    for (name, address) in contacts {
        output.result(format!("{name} {address}"), &json!({ "name": name, "address": address })).await?;
    }
    Ok(())
}

async fn do_list<S: Store>(desk: &Rc<Desk<S>>, output: &mut Output) -> Result<()> {
    let named = |book: &crate::book::Book| {
        let talks = book.talks().map(|(peer, talk)| (peer, book.name_of(peer).map(str::to_owned), talk.clone()));
        (talks.collect::<Vec<_>>(), book.lost())
    };
    let (mut talks, lost) = desk.look(named).await?;
    talks.sort_by_key(|(_, _, talk)| std::cmp::Reverse(talk.last_s));
    if talks.is_empty() {
        output.text("no conversations yet").await?;
    }
    for (peer, name, talk) in talks {
        let shown = TalkShown::new(peer, name.as_deref(), &talk);
        output.result(shown.line(), &shown).await?;
    }
    if lost > 0 {
        let line = format!("{lost} conversations with unknown addresses were dropped, as there is room for few");
        output.result(line, &json!({ "dropped_conversations": lost })).await?;
    }
    Ok(())
}

async fn do_read<S: Store>(desk: &Rc<Desk<S>>, who: Option<&str>, only_new: bool, output: &mut Output) -> Result<()> {
    let peers = match who {
        Some(who) => vec![resolve(desk, who).await?],
        None => desk.look(|book| book.talks().map(|(peer, _)| peer).collect()).await?,
    };
    let mut shown = 0;
    for peer in peers {
        shown += read_talk(desk, peer, only_new, output).await?;
    }
    if shown == 0 {
        output.text(if only_new { "no new messages" } else { "no messages" }).await?;
    }
    Ok(())
}

/// Prints the messages with one address, and notes that they were read; says how many it printed.
async fn read_talk<S: Store>(desk: &Rc<Desk<S>>, peer: Address, only_new: bool, output: &mut Output) -> Result<u64> {
    let look = |book: &crate::book::Book| (book.talk(peer).cloned(), book.name_of(peer).map(str::to_owned));
    let (Some(talk), name) = desk.look(look).await? else { return Ok(0) };
    if talk.dropped > 0 && !only_new {
        let line = format!("  {} older messages were dropped, as there is room for {}", talk.dropped, talk.count());
        output.result(line, &json!({ "address": peer, "dropped": talk.dropped })).await?;
    }
    let (mut shown, mut shown_new, mut upto) = (0, 0, talk.read);
    let mut after: Option<String> = None;
    'pages: loop {
        let page: Vec<(String, Entry)> = desk.store.scan(&entries_of(peer), after.as_deref(), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (key, entry) in page {
            let Some(number) = decode_entry_number(&key) else { continue };
            if number >= talk.next {
                // It came while we print: it stays new.
                break 'pages;
            }
            let is_new = !entry.mine && number >= talk.read;
            if !only_new || is_new {
                let message = MessageShown::new(peer, name.as_deref(), &entry, is_new);
                output.result(message.line(), &message).await?;
                shown += 1;
                shown_new += u64::from(is_new);
            }
            upto = upto.max(number + 1);
        }
    }
    desk.change(async move |book, store| book.mark_read(store, peer, upto, shown_new).await).await?;
    Ok(shown)
}

async fn do_listen<S: Store>(desk: &Rc<Desk<S>>, output: &mut Output) -> Result<()> {
    let listener = desk.feed.listen();
    loop {
        let (messages, missed) = listener.next().await;
        if missed > 0 {
            let line = format!("  {missed} messages came too fast to print; `mute chat read --new` has them");
            output.result(line, &json!({ "missed": missed })).await?;
        }
        for heard in messages {
            let message = MessageShown::new(heard.peer, heard.name.as_deref(), &heard.entry, true);
            output.result(message.line(), &message).await?;
        }
    }
}

async fn do_forget<S: Store>(desk: &Rc<Desk<S>>, who: &str, output: &mut Output) -> Result<()> {
    let peer = resolve(desk, who).await?;
    desk.change(async move |book, store| book.forget(store, peer).await).await?;
    output.result(format!("the messages with {who} are deleted"), &json!({ "address": peer, "forgotten": true })).await
}

async fn resolve<S: Store>(desk: &Rc<Desk<S>>, who: &str) -> Result<Address> {
    desk.look(|book| book.resolve(who)).await?.map_err(|error| match error.code() {
        Error::INVALID => Error::invalid("neither a contact's name nor an address"),
        _ => error,
    })
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
