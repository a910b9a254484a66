use super::*;
use crate::store::memory::MemoryStore;
use mute_plugin::Shown;
use mute_plugin::futures::FutureExt as _;

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory does not wait")
}

fn peer(number: u8) -> Address {
    Address::from_bytes([number; 32])
}

fn desk(store: &MemoryStore) -> Rc<Desk<MemoryStore>> {
    Rc::new(Desk::with(store.clone()))
}

fn said(desk: &Rc<Desk<MemoryStore>>, from: u8, id: u8, text: &str) {
    let entry = Entry { id: [id; 16], mine: false, time_s: id.into(), text: text.to_owned() };
    now(desk.record(peer(from), entry)).unwrap();
}

/// What a command prints for people and for programs.
fn run(command: impl AsyncFnOnce(&mut Output) -> Result<()>) -> (Vec<String>, Vec<serde_json::Value>) {
    let (mut output, kept) = Output::kept();
    now(command(&mut output)).unwrap();
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for shown in kept.take() {
        match shown {
            Shown::Text(text) => texts.push(text),
            Shown::Json(json) => values.push(serde_json::from_str(&json).unwrap()),
            Shown::Progress { .. } => {}
        }
    }
    (texts, values)
}

#[test]
fn messages_are_new_until_they_are_read_and_survive_a_restart() {
    let store = MemoryStore::default();
    let first = desk(&store);
    said(&first, 1, 1, "hi");
    said(&first, 1, 2, "there");
    let (texts, values) = run(async |output| do_read(&first, None, false, output).await);
    assert!(texts.len() == 2 && texts.iter().all(|line| line.starts_with("* ")));
    assert_eq!((&values[1]["text"], &values[1]["new"]), (&"there".into(), &true.into()));

    let second = desk(&store);
    let (texts, _) = run(async |output| do_read(&second, Some(&peer(1).to_string()), false, output).await);
    assert!(texts.len() == 2 && texts.iter().all(|line| line.starts_with("  ")));
    said(&second, 1, 3, "again");
    let (texts, _) = run(async |output| do_read(&second, None, true, output).await);
    assert!(texts.len() == 1 && texts[0].ends_with(": again"));
    let (texts, _) = run(async |output| do_read(&second, None, true, output).await);
    assert_eq!(texts, ["no new messages"]);
}

#[test]
fn contacts_are_added_listed_and_removed() {
    let desk = desk(&MemoryStore::default());
    run(async |output| do_add(&desk, "alice", peer(1), output).await);
    let (texts, values) = run(async |output| do_contacts(&desk, output).await);
    assert_eq!(texts, [format!("alice {}", peer(1))]);
    assert_eq!(values[0]["address"], peer(1).to_string());
    said(&desk, 1, 1, "hi");
    let (texts, _) = run(async |output| do_list(&desk, output).await);
    assert!(texts[0].ends_with("alice: 1 messages, 1 new"), "{texts:?}");
    run(async |output| do_remove(&desk, "alice", output).await);
    let (texts, _) = run(async |output| do_list(&desk, output).await);
    assert!(texts[0].contains("unknown address mute1"), "{texts:?}");
}

#[test]
fn a_wrong_name_is_told_and_leaves_all_as_it_was() {
    let desk = desk(&MemoryStore::default());
    said(&desk, 1, 1, "hi");
    for (who, code) in [("bob", Error::NOT_FOUND), ("mute1abc", Error::INVALID), ("a b", Error::INVALID)] {
        let (mut output, _) = Output::kept();
        assert_eq!(now(do_forget(&desk, who, &mut output)).unwrap_err().code(), code, "{who}");
        assert_eq!(now(do_read(&desk, Some(who), false, &mut output)).unwrap_err().code(), code, "{who}");
    }
    let (mut output, _) = Output::kept();
    assert!(now(do_add(&desk, "-x", peer(1), &mut output)).is_err());
    assert_eq!(now(desk.look(|book| book.talks().count())).unwrap(), 1);
    run(async |output| do_forget(&desk, &peer(1).to_string(), output).await);
    let (texts, _) = run(async |output| do_list(&desk, output).await);
    assert_eq!(texts, ["no conversations yet"]);
}

#[test]
fn who_listens_hears_each_message_once() {
    let desk = desk(&MemoryStore::default());
    let (mut output, kept) = Output::kept();
    let mut listening = Box::pin(do_listen(&desk, &mut output));
    assert!((&mut listening).now_or_never().is_none());
    said(&desk, 1, 1, "hi\u{1b}[31m");
    said(&desk, 1, 1, "hi\u{1b}[31m");
    assert!((&mut listening).now_or_never().is_none());
    let shown = kept.borrow();
    assert_eq!(shown.len(), 2, "a line and a document");
    assert!(matches!(&shown[0], Shown::Text(line) if line.ends_with(": hi\u{fffd}[31m")));
}

#[test]
fn dropped_messages_are_told() {
    let desk = desk(&MemoryStore::default());
    for id in 0..60 {
        said(&desk, 1, id, "spam");
    }
    let (texts, values) = run(async |output| do_read(&desk, None, false, output).await);
    assert_eq!(texts[0], "  10 older messages were dropped, as there is room for 50");
    assert_eq!((texts.len(), &values[0]["dropped"]), (51, &10.into()));
}
