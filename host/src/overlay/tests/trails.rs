//! Trails come and go beneath a connection.

use super::{fake::Weather, *};
use crate::overlay::error::code;

/// Transfers while something happens to the trails.
async fn transfer_while(pair: &mut Pair, length: usize, happens: impl AsyncFnOnce(&Net)) {
    let (ours, theirs) = pair.connect().await;
    let (here, mut there) = channel(&ours, &theirs).await;
    let bytes = content(length);
    let hash = blake3::hash(&bytes);
    let net = pair.net.clone();
    let (sent, received, ()) =
        within(async { tokio::join!(send_all(here, bytes), receive_all(&mut there), happens(&net)) }).await;
    assert_eq!(received, Ok((length, hash)));
    assert_eq!(sent, Ok(()));
}

/// Waits until so many packets have gone out on the newest trail.
async fn used(net: &Net, connection: mute_core::ConnectionId, packets: u64) {
    while net.sent(connection).last().is_none_or(|sent| *sent < packets) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_is_laid_beneath_without_a_byte_lost() {
    let mut pair = Pair::new().await;
    pair.net.set_weather(Weather { lost: 5, delayed: 20, ..Weather::default() });
    transfer_while(&mut pair, 30_000_000, async |net| {
        let connection = net.connections()[0];
        for _ in 0..3 {
            used(net, connection, 300).await;
            net.lay(connection);
        }
        used(net, connection, 100).await;
        let before = net.sent(connection);
        assert_eq!(before.len(), 4);
        used(net, connection, 300).await;
        assert_eq!(net.sent(connection)[..3], before[..3], "only the newest is used");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_trail_is_laid_again_and_nothing_is_missing() {
    let mut pair = Pair::new().await;
    transfer_while(&mut pair, 20_000_000, async |net| {
        let connection = net.connections()[0];
        for _ in 0..2 {
            used(net, connection, 300).await;
            net.cut(connection);
            tokio::time::sleep(Duration::from_millis(150)).await;
            net.lay(connection);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_said_without_a_trail_is_held_and_goes_out_first() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (mut here, mut there) = channel(&ours, &theirs).await;
    let connection = pair.net.connections()[0];
    settle().await;
    pair.net.cut(connection);
    settle().await;
    assert_eq!(ours.stats().waiting_for, 1);
    here.writer.write(Bytes::from_static(b"held")).await.expect("it is open");
    tokio::time::sleep(Duration::from_millis(20)).await;
    pair.net.lay(connection);
    // Sooner than any timer of QUIC would send it again, did the socket not hold it.
    let read = tokio::time::timeout(Duration::from_millis(60), there.reader.read(100)).await.expect("it was held");
    assert_eq!(read, Ok(Some(Bytes::from_static(b"held"))));
    assert_eq!(theirs.stats().waiting_for, 0);
}

#[tokio::test]
async fn a_connection_ends_with_no_route_when_the_router_gives_up() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let (_here, mut there) = channel(&ours, &theirs).await;
    let connection = pair.net.connections()[0];
    pair.net.cut(connection);
    drop(pair.listener);
    settle().await;
    // Nobody listens any more, so this ends in `ConnectFailed`.
    pair.net.lay(connection);
    assert_eq!(within(ours.closed()).await.code, code::NO_ROUTE);
    // The other side can't know yet, and ends nothing.
    assert!(tokio::time::timeout(Duration::from_millis(100), there.reader.read(1)).await.is_err());
}

#[tokio::test]
async fn a_trail_that_proves_nothing_changes_nothing() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    // A second connection's first trail is not taken for a successor of the first one's.
    let (other, others) = pair.connect().await;
    for (ours, theirs, text) in [(&ours, &theirs, &b"one"[..]), (&other, &others, b"two")] {
        let (mut here, mut there) = channel(ours, theirs).await;
        here.writer.write(Bytes::from_static(text)).await.expect("it is open");
        assert_eq!(within(there.reader.read(100)).await, Ok(Some(Bytes::from_static(text))));
    }
}

#[tokio::test]
async fn all_is_given_back_at_the_end() {
    let mut pair = Pair::new().await;
    let (ours, theirs) = pair.connect().await;
    let _ = channel(&ours, &theirs).await;
    drop((ours, theirs));
    within(async {
        while pair.net.trails() > 0 || pair.net.disconnected() == 0 {
            settle().await;
        }
    })
    .await;
    assert!(pair.net.connections().is_empty());
    drop((pair.alice, pair.bob, pair.listener));
    within(async {
        while pair.net.ports() > 0 {
            settle().await;
        }
    })
    .await;
}
