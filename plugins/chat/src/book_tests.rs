use super::*;
use crate::model::Limits;
use crate::store::memory::MemoryStore;
use crate::wire::TEXT_MAX;
use mute_plugin::futures::FutureExt as _;
use proptest::prelude::*;

/// A store in memory never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory does not wait")
}

fn peer(number: u8) -> Address {
    Address::from_bytes([number; 32])
}

fn theirs(id: u64, time_s: u64, text: &str) -> Entry {
    let mut long = [0; 16];
    long[..8].copy_from_slice(&id.to_be_bytes());
    Entry { id: long, mine: false, time_s, text: text.to_owned() }
}

fn mine(id: u64, time_s: u64) -> Entry {
    Entry { mine: true, ..theirs(id, time_s, "mine") }
}

fn texts(store: &MemoryStore, peer: Address) -> Vec<String> {
    let found = now(store.scan::<Entry>(&entries_of(peer), None, 5_000)).unwrap();
    found.into_iter().map(|(_, entry)| entry.text).collect()
}

/// What a plugin that starts anew finds is what the running one has in memory, and what is in the store.
fn check(book: &Book, store: &MemoryStore) {
    let anew = now(Book::load(store)).unwrap();
    assert_eq!(format!("{anew:?}"), format!("{book:?}"));
    assert_eq!((&anew.contacts, &anew.talks), (&book.contacts, &book.talks));
    let known = book.talks.values().filter(|talk| talk.is_known).count();
    assert!(known <= KNOWN_TALKS && book.talks.len() - known <= STRANGER_TALKS);
    for (peer, talk) in &book.talks {
        let found = now(store.scan::<Entry>(&entries_of(*peer), None, 5_000)).unwrap();
        assert_eq!(found.len() as u64, talk.count());
        assert_eq!(found.iter().map(|(_, entry)| entry.cost()).sum::<u64>(), talk.bytes);
        let unread = found.iter().filter(|(key, entry)| !entry.mine && decode_entry_number(key).unwrap() >= talk.read);
        assert_eq!(unread.count() as u64, talk.unread);
        assert!(talk.count() <= talk.limits().messages && talk.bytes <= talk.limits().bytes);
        assert_eq!(store.keys(&ids_of(*peer)), found.iter().filter(|(_, entry)| !entry.mine).count());
    }
    let counted: u64 = book.talks.values().map(|talk| talk.bytes + 400).sum();
    assert!(store.bytes() <= counted + 400 * (book.contacts.len() as u64 + 1), "more bytes than counted");
}

#[test]
fn a_message_is_stored_once_and_survives_a_restart() {
    let (store, mut book) = (MemoryStore::default(), Book::default());
    assert_eq!(now(book.record(&store, peer(1), theirs(1, 10, "hi"))).unwrap(), Recorded::New(0));
    assert_eq!(now(book.record(&store, peer(1), theirs(1, 11, "hi"))).unwrap(), Recorded::Known);
    let mut anew = now(Book::load(&store)).unwrap();
    assert_eq!(now(anew.record(&store, peer(1), theirs(1, 12, "hi"))).unwrap(), Recorded::Known);
    // The same id of another address is another message.
    assert_eq!(now(anew.record(&store, peer(2), theirs(1, 13, "ho"))).unwrap(), Recorded::New(0));
    assert_eq!((texts(&store, peer(1)), texts(&store, peer(2))), (vec!["hi".to_owned()], vec!["ho".to_owned()]));
    check(&anew, &store);
}

#[test]
fn nobody_can_pass_off_a_message_as_stored_by_our_own_ids() {
    let (store, mut book) = (MemoryStore::default(), Book::default());
    now(book.record(&store, peer(1), mine(1, 10))).unwrap();
    assert_eq!(now(book.record(&store, peer(1), theirs(1, 11, "hi"))).unwrap(), Recorded::New(1));
}

#[test]
fn a_full_disk_is_an_error_and_changes_nothing() {
    let (store, mut book) = (MemoryStore::default(), Book::default());
    now(book.record(&store, peer(1), theirs(1, 10, "hi"))).unwrap();
    store.is_full.set(true);
    assert_eq!(now(book.record(&store, peer(1), theirs(2, 11, "ho"))).unwrap_err().code(), Error::QUOTA);
    assert_eq!(now(book.add(&store, "alice", peer(1))).unwrap_err().code(), Error::QUOTA);
    assert_eq!(now(book.remove(&store, "alice")).unwrap_err().code(), Error::NOT_FOUND);
    check(&book, &store);
}

#[test]
fn an_unknown_address_fills_its_small_place_only() {
    let (store, mut book) = (MemoryStore::default(), Book::default());
    for id in 0..500 {
        now(book.record(&store, peer(1), theirs(id, 10, "spam"))).unwrap();
    }
    assert_eq!(texts(&store, peer(1)).len() as u64, Limits::STRANGER.messages);
    assert_eq!(book.talk(peer(1)).unwrap().dropped, 500 - Limits::STRANGER.messages);
    for id in 500..520 {
        now(book.record(&store, peer(1), theirs(id, 10, &"x".repeat(TEXT_MAX)))).unwrap();
    }
    assert_eq!(texts(&store, peer(1)).len(), 3);
    check(&book, &store);
}

#[test]
fn many_unknown_addresses_push_out_each_other_but_no_friend() {
    let (store, mut book) = (MemoryStore::default(), Book::default());
    now(book.add(&store, "alice", peer(255))).unwrap();
    now(book.record(&store, peer(255), theirs(1, 1, "old friend"))).unwrap();
    now(book.record(&store, peer(254), mine(1, 2))).unwrap();
    for number in 0..200 {
        now(book.record(&store, peer(number), theirs(1, 100 + u64::from(number), "spam"))).unwrap();
    }
    assert_eq!(book.talks().count(), STRANGER_TALKS + 2);
    assert_eq!(book.lost(), 200 - STRANGER_TALKS as u64);
    assert!(book.talk(peer(0)).is_none() && book.talk(peer(199)).is_some() && book.is_known(peer(254)));
    assert_eq!(texts(&store, peer(255)), ["old friend"]);
    check(&book, &store);
}

#[test]
fn friends_are_bounded_too() {
    let (store, mut book) = (MemoryStore::default(), Book::default());
    for number in 0..KNOWN_TALKS {
        let mut bytes = [1; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let friend = Address::from_bytes(bytes);
        now(book.add(&store, &format!("friend{number}"), friend)).unwrap();
        now(book.record(&store, friend, mine(1, 1))).unwrap();
    }
    assert_eq!(now(book.add(&store, "more", peer(9))).unwrap_err().code(), Error::QUOTA);
    assert_eq!(book.check_room_for(peer(9)).unwrap_err().code(), Error::QUOTA);
    now(book.remove(&store, "friend0")).unwrap();
    now(book.add(&store, "more", peer(9))).unwrap();
    // Whoever is a contact, but finds all places for friends taken, gets one of a stranger.
    now(book.record(&store, peer(9), theirs(1, 1, "hi"))).unwrap();
    assert!(!book.talk(peer(9)).unwrap().is_known);
    check(&book, &store);
}

#[test]
fn contacts_have_one_name_each() {
    let (store, mut book) = (MemoryStore::default(), Book::default());
    now(book.record(&store, peer(1), theirs(1, 1, "it's me"))).unwrap();
    assert!(!book.is_known(peer(1)));
    now(book.add(&store, "alice", peer(1))).unwrap();
    now(book.add(&store, "alice", peer(1))).unwrap();
    assert!(book.talk(peer(1)).unwrap().is_known);
    assert!(now(book.add(&store, "alice", peer(2))).unwrap_err().message().contains("another address"));
    assert!(now(book.add(&store, "bob", peer(1))).unwrap_err().message().contains("called alice"));
    assert_eq!(book.resolve("alice").unwrap(), peer(1));
    assert_eq!(book.resolve(&peer(2).to_string()).unwrap(), peer(2));
    assert_eq!(book.resolve("bob").unwrap_err().code(), Error::NOT_FOUND);
    assert_eq!(book.resolve("mute1xyz").unwrap_err().code(), Error::INVALID);
    assert_eq!(now(book.remove(&store, "alice")).unwrap(), peer(1));
    assert!(book.is_known(peer(1)), "who was known stays known");
    check(&book, &store);
}

#[test]
fn a_conversation_can_be_forgotten_and_begun_anew() {
    let (store, mut book) = (MemoryStore::default(), Book::default());
    now(book.record(&store, peer(1), theirs(1, 1, "hi"))).unwrap();
    // As if the removal broke off after its first step.
    now(store.remove_prefix(&entries_of(peer(1)))).unwrap();
    for id in 2..60 {
        now(book.record(&store, peer(1), theirs(id, 2, &"x".repeat(1024)))).unwrap();
    }
    assert_eq!(texts(&store, peer(1)).len() as u64, book.talk(peer(1)).unwrap().count());
    now(book.forget(&store, peer(1))).unwrap();
    assert_eq!(now(book.forget(&store, peer(1))).unwrap_err().code(), Error::NOT_FOUND);
    assert_eq!(store.bytes(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Theirs(u8, u64, usize),
    Mine(u8),
    Add(u8),
    Remove(u8),
    Forget(u8),
    Read(u8, u64),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..80_u8, 0..200_u64, 0..TEXT_MAX).prop_map(|(peer, id, length)| Step::Theirs(peer % 70, id, length)),
        8 => (0..3_u8, any::<u64>(), 0..3000_usize).prop_map(|(peer, id, length)| Step::Theirs(peer, id, length)),
        2 => (0..70_u8).prop_map(Step::Mine),
        1 => (0..70_u8).prop_map(Step::Add),
        1 => (0..70_u8).prop_map(Step::Remove),
        1 => (0..70_u8).prop_map(Step::Forget),
        2 => (0..3_u8, 0..100_u64).prop_map(|(peer, count)| Step::Read(peer, count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_the_bounds_hold_and_the_store_agrees(steps in prop::collection::vec(steps(), 0..300)) {
        let (store, mut book) = (MemoryStore::default(), Book::default());
        for (time_s, step) in (1..).zip(steps) {
            match step {
                Step::Theirs(number, id, length) => {
                    now(book.record(&store, peer(number), theirs(id, time_s, &"x".repeat(length)))).unwrap();
                }
                Step::Mine(number) => {
                    now(book.record(&store, peer(number), mine(time_s, time_s))).unwrap();
                }
                Step::Add(number) => now(book.add(&store, &format!("n{number}"), peer(number))).unwrap(),
                Step::Remove(number) => {
                    let _ = now(book.remove(&store, &format!("n{number}")));
                }
                Step::Forget(number) => {
                    let _ = now(book.forget(&store, peer(number)));
                }
                Step::Read(number, count) => {
                    let Some(talk) = book.talk(peer(number)).cloned() else { continue };
                    let upto = (talk.read + count).min(talk.next);
                    let found = now(store.scan::<Entry>(&entries_of(peer(number)), None, 5_000)).unwrap();
                    let is_shown = |key: &str| (talk.read..upto).contains(&decode_entry_number(key).unwrap());
                    let shown = found.iter().filter(|(key, entry)| !entry.mine && is_shown(key)).count();
                    now(book.mark_read(&store, peer(number), upto, shown as u64)).unwrap();
                }
            }
        }
        check(&book, &store);
    }
}
