//! Who is connected with whom, and why not.

use super::*;
use crate::overlay::error::code;

async fn refused(pair: &Pair, to: mute_core::Address, options: ConnectOptions) -> Error {
    within(pair.alice.connect(to, options)).await.expect_err("no connection")
}

#[tokio::test]
async fn both_sides_know_the_other() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    assert_eq!(ours.peer(), pair.bob.address());
    assert!(ours.peer_is_proven());
    assert_eq!(theirs.peer(), pair.alice.address());
    assert!(theirs.peer_is_proven());
}

#[tokio::test]
async fn an_identity_that_is_not_shown_is_not_seen() {
    let mut pair = Pair::new().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let hidden = ConnectOptions { show_identity: false, ..options("test") };
        let (ours, theirs) =
            within(async { tokio::join!(pair.alice.connect(pair.bob.address(), hidden), pair.listener.next()) }).await;
        ours.expect("a connection");
        let theirs = theirs.expect("a connection");
        assert!(!theirs.peer_is_proven());
        seen.push(theirs.peer());
    }
    assert_ne!(seen[0], pair.alice.address());
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn who_cannot_be_reached_says_why() {
    let pair = Pair::new().await;
    let bob = pair.bob.address();
    assert_eq!(refused(&pair, mute_core::Address([3; 32]), options("test")).await.code, code::NO_ROUTE);
    assert_eq!(refused(&pair, pair.alice.address(), options("test")).await.code, code::INVALID);
    assert_eq!(refused(&pair, bob, options("")).await.code, code::INVALID);
    let other = refused(&pair, bob, options("other")).await;
    assert_eq!((other.code, &*other.message), (code::REFUSED, "nobody here speaks this protocol"));
    assert_eq!(pair.net.disconnected(), 2);
}

#[tokio::test]
async fn an_impostor_is_refused() {
    let pair = Pair::new().await;
    let victim = mute_core::IdentityKey::from_seed(&[7; 32]).address();
    pair.net.impersonate(victim, pair.bob.address());
    let error = refused(&pair, victim, options("test")).await;
    assert_eq!((error.code, &*error.message), (code::REFUSED, "the peer did not prove the address"));
}

#[tokio::test]
async fn a_timeout_says_how_far_it_came() {
    let pair = Pair::new().await;
    pair.net.set_silent(true);
    let hasty = ConnectOptions { timeout: Duration::from_millis(50), ..options("test") };
    let error = refused(&pair, pair.bob.address(), hasty).await;
    assert_eq!((error.code, &*error.message), (code::TIMED_OUT, "no route to the address was found in time"));
    assert!(pair.net.connections().is_empty(), "it is not sought any more");
}

#[tokio::test]
async fn giving_up_stops_the_search() {
    let pair = Pair::new().await;
    pair.net.set_silent(true);
    let searching = tokio::spawn({
        let (alice, bob) = (pair.alice.clone(), pair.bob.address());
        async move { alice.connect(bob, options("test")).await.err() }
    });
    settle().await;
    assert_eq!(pair.net.connections().len(), 1);
    searching.abort();
    settle().await;
    assert!(pair.net.connections().is_empty());
    assert_eq!(pair.net.disconnected(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_backlog_is_busy() {
    let pair = Pair::new().await;
    let bob = pair.bob.address();
    let mut waiting = Vec::new();
    let error = loop {
        match within(pair.alice.connect(bob, options("test"))).await {
            Ok(connection) => waiting.push(connection),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, code::BUSY);
    assert_eq!(waiting.len(), crate::overlay::listener::BACKLOG);
}

#[tokio::test]
async fn one_listener_for_a_protocol() {
    let pair = Pair::new().await;
    assert_eq!(pair.bob.listen("test").err().expect("taken").code, code::INVALID);
    drop(pair.listener);
    let again = pair.bob.listen("test");
    assert!(again.is_ok());
}

#[tokio::test]
async fn an_identity_lives_while_anything_of_it_does() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    drop((pair.alice, pair.bob, pair.listener));
    settle().await;
    assert_eq!(pair.net.ports(), 2);
    let (mut here, mut there) = channel(&ours, &theirs).await;
    drop((ours, theirs));
    here.writer.write(Bytes::from_static(b"still")).await.expect("it is open");
    assert_eq!(within(there.reader.read(100)).await, Ok(Some(Bytes::from_static(b"still"))));
    drop((here, there));
    within(async {
        while pair.net.ports() > 0 {
            settle().await;
        }
    })
    .await;
}
