//! What is kept of conversations, and how much of it: the bounds that no stranger can exceed.

use crate::wire::{MessageId, TEXT_MAX};
use mute_plugin::{Address, Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// One message of a conversation, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(with = "serde_bytes")]
    pub(crate) id: MessageId,
    /// Whether we said it.
    pub(crate) mine: bool,
    /// When it was stored here, in seconds since 1970-01-01 UTC. (What a sender says of its clock would be its claim.)
    pub(crate) time_s: u64,
    /// As it came: to be made harmless before it is shown.
    pub(crate) text: String,
}

/// What an entry takes beside its text: two keys with an address each, an id, and what the host counts for them.
const ENTRY_OVERHEAD: u64 = 512;

impl Entry {
    /// What it counts, in bytes.
    pub(crate) fn cost(&self) -> u64 {
        self.text.len() as u64 + ENTRY_OVERHEAD
    }
}

/// A conversation with one address, without its messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Talk {
    /// The number of the oldest message kept.
    pub(crate) first: u64,
    /// The number that the next message gets.
    pub(crate) next: u64,
    /// Messages before this one have been read.
    pub(crate) read: u64,
    /// How many of theirs are unread.
    pub(crate) unread: u64,
    /// What the messages kept count, in bytes.
    pub(crate) bytes: u64,
    /// How many were dropped because there was no more room.
    pub(crate) dropped: u64,
    /// When the latest was stored, in seconds since 1970-01-01 UTC.
    pub(crate) last_s: u64,
    /// Whether we know them: a contact, or one to whom we have written.
    pub(crate) is_known: bool,
}

impl Talk {
    /// How many messages are kept.
    pub(crate) fn count(&self) -> u64 {
        self.next.saturating_sub(self.first)
    }

    /// What it may hold.
    pub(crate) fn limits(&self) -> Limits {
        if self.is_known { Limits::KNOWN } else { Limits::STRANGER }
    }

    /// Whether another message of that cost fits.
    pub(crate) fn has_room(&self, cost: u64) -> bool {
        let limits = self.limits();
        self.count() < limits.messages && self.bytes + cost <= limits.bytes
    }
}

/// What one conversation may hold; the oldest messages go first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Limits {
    /// Years of talk with a friend.
    pub(crate) const KNOWN: Self = Self { messages: 2_000, bytes: 1024 * 1024 };
    /// Enough to introduce oneself: anybody can make addresses.
    pub(crate) const STRANGER: Self = Self { messages: 50, bytes: 64 * 1024 };
}

/// Conversations with addresses that we know, and contacts: more than people keep in touch with.
pub(crate) const KNOWN_TALKS: usize = 256;
/// Conversations with unknown addresses; the one that was silent longest goes first.
pub(crate) const STRANGER_TALKS: usize = 64;

/// What all conversations may take; the quota that the host gives by default is 512 MiB.
const TOTAL_BYTES: u64 = KNOWN_TALKS as u64 * Limits::KNOWN.bytes + STRANGER_TALKS as u64 * Limits::STRANGER.bytes;
const _: () = assert!(TOTAL_BYTES < 384 * 1024 * 1024);
/// A message always fits, once older ones have gone.
const _: () = assert!(TEXT_MAX as u64 + ENTRY_OVERHEAD <= Limits::STRANGER.bytes);

/// The longest petname, in characters.
const NAME_MAX: usize = 32;

/// Checks a petname: short, of letters, digits, `-`, `_` and `.`, and nothing that could be taken for an address.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_fine = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.chars().count() > NAME_MAX || !name.chars().all(is_fine) {
        return Err(Error::invalid(format!("a name has 1 to {NAME_MAX} letters, digits, '-', '_' or '.'")));
    }
    if name.starts_with('-') || name.to_lowercase().starts_with("mute1") {
        return Err(Error::invalid("a name starts neither with '-' nor like an address"));
    }
    Ok(())
}

pub(crate) const CONTACTS: &str = "contact/";
pub(crate) const TALKS: &str = "talk/";
/// How many conversations with unknown addresses were dropped.
pub(crate) const LOST: &str = "lost";

pub(crate) fn contact_key(name: &str) -> String {
    format!("{CONTACTS}{name}")
}

pub(crate) fn talk_key(peer: Address) -> String {
    format!("{TALKS}{peer}")
}

/// What the keys of a conversation's messages start with.
pub(crate) fn entries_of(peer: Address) -> String {
    format!("entry/{peer}/")
}

/// Fixed in length, so that the order of keys is the order of messages.
pub(crate) fn entry_key(peer: Address, number: u64) -> String {
    format!("entry/{peer}/{number:016x}")
}

/// The number in a key that [`entry_key`] made.
pub(crate) fn decode_entry_number(key: &str) -> Option<u64> {
    let (_, number) = key.rsplit_once('/')?;
    // from_str_radix alone would take a sign.
    let is_ours = number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_ours.then(|| u64::from_str_radix(number, 16).ok()).flatten()
}

/// What the keys of a conversation's received ids start with.
pub(crate) fn ids_of(peer: Address) -> String {
    format!("id/{peer}/")
}

pub(crate) fn id_key(peer: Address, id: &MessageId) -> String {
    let mut key = ids_of(peer);
    for byte in id {
        // Writing to a string can't fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_can_be_typed_and_deceive_nobody() {
        for name in ["alice", "Zoë", "a.b-c_1", "王"] {
            check_name(name).unwrap();
        }
        let long = "x".repeat(33);
        for name in ["", "a b", "a/b", "-x", "mute1abc", "MUTE1x", "a\u{1b}[2J", "a\u{202e}b", "a\u{200d}", &long] {
            assert_eq!(check_name(name).unwrap_err().code(), Error::INVALID, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_keep_the_order(one: u64, other: u64) {
            let peer = Address::from_bytes([7; 32]);
            let keys = (entry_key(peer, one), entry_key(peer, other));
            prop_assert_eq!(one.cmp(&other), keys.0.cmp(&keys.1));
            prop_assert_eq!(decode_entry_number(&keys.0), Some(one));
            prop_assert!(keys.0.starts_with(&entries_of(peer)));
        }

        #[test]
        fn foreign_keys_have_no_number(key in ".{0,40}", number in "[+0-9a-g]{0,18}") {
            let _ = decode_entry_number(&key);
            let is_number = number.len() == 16 && !number.contains(['+', 'g']);
            prop_assert_eq!(decode_entry_number(&format!("entry/x/{number}")).is_some(), is_number);
        }
    }
}
