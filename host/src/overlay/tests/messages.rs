//! Letters and broadcasts.

use super::*;
use crate::overlay::{error::code, letter};

#[tokio::test]
async fn letters_arrive_once_under_their_topic() {
    let pair = Pair::new().await;
    let mut letters = pair.bob.letters("post").expect("a subscription");
    pair.alice.send(pair.bob.address(), "post", Bytes::from_static(b"hello")).await.expect("it is queued");
    let letter = within(letters.next()).await.expect("a letter");
    assert_eq!(letter.sender, pair.alice.address());
    assert_eq!((&*letter.topic, &*letter.body), ("post", &b"hello"[..]));
    // The network delivers each letter twice.
    assert!(tokio::time::timeout(Duration::from_millis(50), letters.next()).await.is_err());
    pair.alice.send(pair.bob.address(), "other", Bytes::new()).await.expect("it is queued");
    settle().await;
    let dropped = pair.bob.letters_dropped();
    assert_eq!((dropped.unheard, dropped.refused), (1, 2));
}

#[tokio::test]
async fn too_large_is_said_before_it_is_sent() {
    let pair = Pair::new().await;
    let large = Bytes::from(vec![0; letter::MAX_BODY + 1]);
    let error = pair.alice.send(pair.bob.address(), "t", large.clone()).await.expect_err("too large");
    assert_eq!(error.code, code::TOO_LARGE);
    assert_eq!(pair.alice.broadcast("t", large).await.expect_err("too large").code, code::TOO_LARGE);
}

#[tokio::test]
async fn broadcasts_are_heard_by_those_who_listen() {
    let pair = Pair::new().await;
    let mut heard = pair.bob.broadcasts("news").expect("a subscription");
    assert_eq!(pair.bob.broadcasts("news").err().expect("taken").code, code::INVALID);
    settle().await;
    pair.alice.broadcast("other", Bytes::new()).await.expect("it is queued");
    pair.alice.broadcast("news", Bytes::from_static(b"!")).await.expect("it is queued");
    let message = within(heard.next()).await.expect("a broadcast");
    assert_eq!((&*message.topic, &*message.body), ("news", &b"!"[..]));
    assert_ne!(message.sender, pair.alice.address());
    drop(heard);
    settle().await;
    assert!(pair.bob.broadcasts("news").is_ok());
}
