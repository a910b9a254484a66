//! Contacts and conversations. Each change is on disk before it counts.

use crate::model::{
    CONTACTS, Entry, KNOWN_TALKS, LOST, STRANGER_TALKS, TALKS, Talk, check_name, contact_key, decode_entry_number,
    entries_of, entry_key, id_key, ids_of, talk_key,
};
use crate::store::{Changes, Store, Value};
use mute_plugin::{Address, Error, Result};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Entries read at a time: of the longest texts together 1 MiB.
pub(crate) const PAGE: u32 = 64;

/// What is known of contacts and conversations; the messages themselves stay in the store.
#[derive(Debug, Default)]
pub(crate) struct Book {
    contacts: BTreeMap<String, Address>,
    talks: BTreeMap<Address, Talk>,
    /// How many conversations with unknown addresses were dropped.
    lost: u64,
}

/// What became of a message that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It is stored, under this number.
    New(u64),
    /// It was stored before.
    Known,
}

impl Book {
    /// Reads it from the store.
    pub(crate) async fn load<S: Store>(store: &S) -> Result<Self> {
        let mut book = Self::default();
        for (key, address) in all::<Address, S>(store, CONTACTS).await? {
            book.contacts.insert(key[CONTACTS.len()..].to_owned(), address);
        }
        for (key, talk) in all::<Talk, S>(store, TALKS).await? {
            book.talks.insert(key[TALKS.len()..].parse()?, talk);
        }
        book.lost = store.get(LOST).await?.unwrap_or(0);
        Ok(book)
    }

    /// All contacts, by petname.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = (&str, Address)> {
        self.contacts.iter().map(|(name, address)| (name.as_str(), *address))
    }

    /// All conversations, by address.
    pub(crate) fn talks(&self) -> impl Iterator<Item = (Address, &Talk)> {
        self.talks.iter().map(|(address, talk)| (*address, talk))
    }

    /// The conversation with an address.
    pub(crate) fn talk(&self, peer: Address) -> Option<&Talk> {
        self.talks.get(&peer)
    }

    /// How many conversations with unknown addresses were dropped to make room for others.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// The petname of an address.
    pub(crate) fn name_of(&self, peer: Address) -> Option<&str> {
        self.contacts.iter().find(|(_, address)| **address == peer).map(|(name, _)| name.as_str())
    }

    /// Whether it is a contact's, or one to whom we have written.
    pub(crate) fn is_known(&self, peer: Address) -> bool {
        self.name_of(peer).is_some() || self.talk(peer).is_some_and(|talk| talk.is_known)
    }

    /// The address that a user means: by petname, or itself.
    pub(crate) fn resolve(&self, who: &str) -> Result<Address> {
        if let Some(address) = self.contacts.get(who) {
            return Ok(*address);
        }
        if check_name(who).is_ok() {
            return Err(Error::not_found(format!("no contact is called {who}; `mute chat add` makes one")));
        }
        who.parse()
    }

    /// Gives an address a petname.
    pub(crate) async fn add<S: Store>(&mut self, store: &S, name: &str, address: Address) -> Result<()> {
        check_name(name)?;
        if self.contacts.get(name).is_some_and(|taken| *taken != address) {
            return Err(Error::invalid(format!("{name} is another address; `mute chat remove {name}` frees the name")));
        }
        if let Some(known) = self.name_of(address).filter(|known| *known != name) {
            return Err(Error::invalid(format!("that address is called {known} already")));
        }
        if self.contacts.len() >= KNOWN_TALKS && !self.contacts.contains_key(name) {
            return Err(full());
        }
        let mut changes = vec![(contact_key(name), Some(Value::Contact(address)))];
        let mut talk = self.talks.get(&address).cloned();
        if let Some(talk) = talk.as_mut().filter(|talk| !talk.is_known) {
            self.check_room_for_known()?;
            talk.is_known = true;
            changes.push((talk_key(address), Some(Value::Talk(talk.clone()))));
        }
        store.put(changes).await?;
        self.contacts.insert(name.to_owned(), address);
        self.talks.extend(talk.map(|talk| (address, talk)));
        Ok(())
    }

    /// Forgets a petname; the conversation stays.
    pub(crate) async fn remove<S: Store>(&mut self, store: &S, name: &str) -> Result<Address> {
        let none = || Error::not_found("no contact is called that");
        let address = *self.contacts.get(name).ok_or_else(none)?;
        store.put(vec![(contact_key(name), None)]).await?;
        self.contacts.remove(name);
        Ok(address)
    }

    /// Forgets a conversation; a petname stays.
    pub(crate) async fn forget<S: Store>(&mut self, store: &S, peer: Address) -> Result<()> {
        if !self.talks.contains_key(&peer) {
            return Err(Error::not_found("there is no conversation with that address"));
        }
        // The talk last: should this break off half-way, the rest can be forgotten again.
        store.remove_prefix(&entries_of(peer)).await?;
        store.remove_prefix(&ids_of(peer)).await?;
        store.put(vec![(talk_key(peer), None)]).await?;
        self.talks.remove(&peer);
        Ok(())
    }

    /// Whether a message to that address could be recorded.
    pub(crate) fn check_room_for(&self, peer: Address) -> Result<()> {
        if self.talk(peer).is_some_and(|talk| talk.is_known) { Ok(()) } else { self.check_room_for_known() }
    }

    /// Stores a message, in place of the oldest where the conversation is full. One of theirs that is stored already is
    /// not stored again.
    pub(crate) async fn record<S: Store>(&mut self, store: &S, peer: Address, entry: Entry) -> Result<Recorded> {
        let id_key = id_key(peer, &entry.id);
        if !entry.mine && store.get::<u64>(&id_key).await?.is_some() {
            return Ok(Recorded::Known);
        }
        let mut talk = self.talks.get(&peer).cloned().unwrap_or_default();
        if !talk.is_known && (entry.mine || self.name_of(peer).is_some()) {
            talk.is_known = self.check_room_for_known().is_ok();
        }
        let mut changes = Changes::new();
        let is_new_stranger = !talk.is_known && !self.talks.contains_key(&peer);
        let gone = if is_new_stranger { self.drop_silent_stranger(store, &mut changes).await? } else { None };
        make_room(store, peer, &mut talk, entry.cost(), &mut changes).await?;

        let number = talk.next;
        talk.next += 1;
        talk.bytes += entry.cost();
        talk.last_s = entry.time_s;
        if entry.mine {
            // Who answers has read.
            if talk.unread == 0 {
                talk.read = talk.next;
            }
        } else {
            talk.unread += 1;
            changes.push((id_key, Some(Value::Number(number))));
        }
        changes.push((entry_key(peer, number), Some(Value::Entry(entry))));
        changes.push((talk_key(peer), Some(Value::Talk(talk.clone()))));
        store.put(changes).await?;
        self.talks.insert(peer, talk);
        if let Some(gone) = gone {
            self.talks.remove(&gone);
            self.lost += 1;
        }
        Ok(Recorded::New(number))
    }

    /// Notes that the messages before `upto`, `shown` unread ones among them, were shown.
    pub(crate) async fn mark_read<S: Store>(&mut self, store: &S, peer: Address, upto: u64, shown: u64) -> Result<()> {
        let Some(mut talk) = self.talks.get(&peer).filter(|talk| talk.read < upto).cloned() else { return Ok(()) };
        talk.read = upto;
        talk.unread = if upto >= talk.next { 0 } else { talk.unread.saturating_sub(shown) };
        store.put(vec![(talk_key(peer), Some(Value::Talk(talk.clone())))]).await?;
        self.talks.insert(peer, talk);
        Ok(())
    }

    fn check_room_for_known(&self) -> Result<()> {
        let known = self.talks.values().filter(|talk| talk.is_known).count();
        if known < KNOWN_TALKS { Ok(()) } else { Err(full()) }
    }

    /// Adds to `changes` that the unknown address that was silent longest goes, if there are too many; says which.
    async fn drop_silent_stranger<S: Store>(&self, store: &S, changes: &mut Changes) -> Result<Option<Address>> {
        let strangers = self.talks.iter().filter(|(_, talk)| !talk.is_known);
        if strangers.clone().count() < STRANGER_TALKS {
            return Ok(None);
        }
        let Some((peer, _)) = strangers.min_by_key(|(_, talk)| talk.last_s) else { return Ok(None) };
        for (key, entry) in store.scan::<Entry>(&entries_of(*peer), None, PAGE).await? {
            changes.push((id_key(*peer, &entry.id), None));
            changes.push((key, None));
        }
        changes.push((talk_key(*peer), None));
        changes.push((LOST.to_owned(), Some(Value::Number(self.lost + 1))));
        Ok(Some(*peer))
    }
}

fn full() -> Error {
    let message =
        format!("{KNOWN_TALKS} are the most contacts and conversations; `mute chat remove` and `forget` make room");
    Error::new(Error::QUOTA, message)
}

/// Adds to `changes` that the oldest messages go, until one of that cost fits.
async fn make_room<S: Store>(
    store: &S,
    peer: Address,
    talk: &mut Talk,
    cost: u64,
    changes: &mut Changes,
) -> Result<()> {
    if talk.has_room(cost) {
        return Ok(());
    }
    // One page is enough: the longest message takes the place of at most 33 of the shortest.
    let oldest = store.scan::<Entry>(&entries_of(peer), None, PAGE).await?;
    if oldest.is_empty() {
        // The sums are of messages that are gone: a removal of the conversation broke off half-way.
        (talk.first, talk.read, talk.bytes, talk.unread) = (talk.next, talk.next, 0, 0);
    }
    for (key, oldest) in oldest {
        if talk.has_room(cost) {
            return Ok(());
        }
        let number = decode_entry_number(&key).unwrap_or(talk.first);
        if !oldest.mine {
            changes.push((id_key(peer, &oldest.id), None));
            talk.unread = talk.unread.saturating_sub(u64::from(number >= talk.read));
        }
        talk.first = number + 1;
        talk.read = talk.read.max(talk.first);
        talk.bytes = talk.bytes.saturating_sub(oldest.cost());
        talk.dropped += 1;
        changes.push((key, None));
    }
    Ok(())
}

/// All entries with that prefix; their number is bounded by who writes them.
async fn all<T: DeserializeOwned, S: Store>(store: &S, prefix: &str) -> Result<Vec<(String, T)>> {
    let mut found: Vec<(String, T)> = Vec::new();
    loop {
        let after = found.last().map(|(key, _)| key.clone());
        let page = store.scan(prefix, after.as_deref(), PAGE).await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
