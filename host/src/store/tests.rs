use super::*;

/// A store in a folder of its own, which lives as long as the first value.
fn store() -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&home.path().join("mute.redb")).expect("a new store opens");
    (home, store)
}

fn entry(key: &str, value: &[u8]) -> (String, Option<Vec<u8>>) {
    (key.to_owned(), Some(value.to_vec()))
}

#[test]
fn the_file_is_private_and_belongs_to_one_opener() {
    let (home, store) = store();
    let path = home.path().join("mute.redb");
    let mode = std::fs::metadata(&path).expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(Store::open(&path), Err(StoreError::InUse)));
    drop(store);
    Store::open(&path).expect("it is free again");
}

#[test]
fn a_run_learns_when_the_one_before_it_ended() {
    let (_home, store) = store();
    assert_eq!(store.begin_run(100).expect("it is written"), None, "the first");
    store.end_run(200).expect("it is written");
    assert_eq!(store.begin_run(300).expect("it is written"), Some(200));
    assert_eq!(store.begin_run(400).expect("it is written"), Some(400), "the one before it did not say");
}

#[test]
fn what_is_no_database_is_named_damaged() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().join("mute.redb");
    std::fs::write(&path, vec![7; 8192]).expect("written");
    assert!(matches!(Store::open(&path), Err(StoreError::Damaged(_))));
    let link = home.path().join("link.redb");
    std::os::unix::fs::symlink(home.path().join("elsewhere"), &link).expect("linked");
    assert!(matches!(Store::open(&link), Err(StoreError::File(_))));
}

#[test]
fn a_newer_format_is_refused() {
    let (home, store) = store();
    store
        .write(|transaction| {
            transaction.open_table(META)?.insert("format", FORMAT + 1)?;
            Ok(())
        })
        .expect("written");
    drop(store);
    assert!(matches!(Store::open(&home.path().join("mute.redb")), Err(StoreError::Newer { .. })));
}

#[test]
fn keys_stay_and_differ_by_plugin_and_name() {
    let (home, store) = store();
    let node = store.node_key().expect("made");
    let one = store.identity("chat", "me").expect("made").address();
    assert!(one == store.identity("chat", "me").expect("kept").address());
    assert!(one != store.identity("chat", "you").expect("made").address());
    assert!(one != store.identity("fileshare", "me").expect("made").address());
    assert_eq!(store.identity_names("chat").expect("listed"), ["me", "you"]);
    drop(store);
    let store = Store::open(&home.path().join("mute.redb")).expect("opens again");
    assert_eq!(*node, *store.node_key().expect("kept"));
    assert!(one == store.identity("chat", "me").expect("kept").address());
    assert!(store.retire_identity("chat", "me").expect("removed"));
    assert!(!store.retire_identity("chat", "me").expect("was gone"));
    assert!(one != store.identity("chat", "me").expect("a new one").address());
    assert!(matches!(store.identity("chat", "a\nb"), Err(StoreError::Invalid(_))));
    assert!(matches!(store.identity("chat", &"x".repeat(129)), Err(StoreError::TooLarge { .. })));
}

#[test]
fn a_put_is_all_or_nothing_within_the_quota() {
    let (_home, store) = store();
    let used = store.put("a", &[entry("k", b"value"), entry("l", b"")], 1000).expect("fits");
    assert_eq!(used, (1 + 5 + 64) + (1 + 64));
    let too_much = [entry("k", b"changed"), entry("big", &[0; 900])];
    assert!(matches!(store.put("a", &too_much, 1000), Err(StoreError::Quota { quota: 1000, .. })));
    assert_eq!(store.value("a", "k").expect("read"), Some(b"value".to_vec()));
    assert_eq!(store.value("a", "big").expect("read"), None);
    assert_eq!(store.used_bytes("a").expect("read"), used);
    // Another plugin has a quota, and keys, of its own.
    store.put("b", &[entry("big", &[0; 900])], 1000).expect("fits");
    assert_eq!(store.value("a", "big").expect("read"), None);
    // A lowered quota does not stop one from freeing space.
    assert_eq!(store.put("a", &[("k".to_owned(), None)], 10).expect("frees"), 65);
    assert_eq!(store.put("a", &[("l".to_owned(), None)], 10).expect("frees"), 0);
}

#[test]
fn the_same_key_twice_in_one_put_counts_once() {
    let (_home, store) = store();
    let used = store.put("a", &[entry("k", &[1; 100]), entry("k", &[2; 10])], 1000).expect("fits");
    assert_eq!(used, 1 + 10 + 64);
    assert_eq!(store.value("a", "k").expect("read"), Some(vec![2; 10]));
}

#[test]
fn puts_have_bounds() {
    let (_home, store) = store();
    let quota = u64::MAX;
    for bad in [
        vec![entry(&"k".repeat(MAX_KEY_BYTES + 1), b"")],
        vec![entry("k", &vec![0; MAX_VALUE_BYTES + 1])],
        (0..=MAX_ENTRIES).map(|n| entry(&n.to_string(), b"")).collect(),
        (0..9).map(|n| entry(&n.to_string(), &vec![0; MAX_VALUE_BYTES])).collect(),
    ] {
        assert!(matches!(store.put("a", &bad, quota), Err(StoreError::TooLarge { .. })));
    }
    assert!(matches!(store.put("a", &[entry("", b"")], quota), Err(StoreError::Invalid(_))));
    assert_eq!(store.used_bytes("a").expect("read"), 0);
}

#[test]
fn scans_go_page_by_page_and_stay_in_their_plugin() {
    let (_home, store) = store();
    store
        .put("a", &[entry("x/1", b"1"), entry("x/2", b"2"), entry("x/3", b"3"), entry("y", b"4")], 10_000)
        .expect("fits");
    store.put("b", &[entry("x/0", b"other")], 10_000).expect("fits");
    let keys = |after: Option<&str>, limit| -> Vec<String> {
        store.scan("a", "x/", after, limit).expect("read").into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(None, 2), ["x/1", "x/2"]);
    assert_eq!(keys(Some("x/2"), 2), ["x/3"]);
    assert_eq!(keys(Some("a"), 9), ["x/1", "x/2", "x/3"]);
    assert_eq!(keys(Some("z"), 9), [""; 0]);
    assert_eq!(store.scan("a", "", None, 9).expect("read").len(), 4);
    assert_eq!(store.scan("a", "", None, 0).expect("read").len(), 0);
    let freed = store.delete_prefix("a", "x/").expect("removed");
    assert_eq!(freed, 1 + 1 + 64);
    assert_eq!(store.scan("a", "", None, 9).expect("read"), [("y".to_owned(), b"4".to_vec())]);
    assert_eq!(store.scan("b", "", None, 9).expect("read").len(), 1);
    assert_eq!(store.delete_prefix("b", "").expect("removed"), 0);
}

#[test]
fn grants_and_switches_stay() {
    let (_home, store) = store();
    assert_eq!(store.enabled("chat").expect("read"), None);
    store.set_enabled("chat", false).expect("written");
    assert_eq!(store.enabled("chat").expect("read"), Some(false));
    store.grant_folder("fileshare", "music", Path::new("/srv/music"), false).expect("granted");
    store.grant_folder("fileshare", "music", Path::new("/srv/songs"), true).expect("changed");
    let grant = FolderGrant { name: "music".to_owned(), path: "/srv/songs".into(), can_write: true };
    assert_eq!(store.folders("fileshare").expect("read"), [grant]);
    assert_eq!(store.folders("chat").expect("read"), []);
    assert!(store.revoke_folder("fileshare", "music").expect("taken back"));
    assert!(!store.revoke_folder("fileshare", "music").expect("was gone"));
}
