//! What a relay sees of a connection: the lengths of its packets, and nothing by them.

use std::collections::BTreeSet;

use mute_core::SIZE_CLASSES;

use super::*;

/// A conversation of small and large messages over two trails, and the lengths of its packets.
async fn lengths(profile: Profile) -> BTreeSet<usize> {
    let mut pair = Pair::within(profile).await;
    let (ours, theirs) = pair.connect().await;
    let connection = pair.net.connections()[0];
    for length in [1, 50, 500, 3_000, 100_000] {
        let (here, mut there) = channel(&ours, &theirs).await;
        let bytes = content(length);
        let hash = blake3::hash(&bytes);
        let (sent, received) = within(async { tokio::join!(send_all(here, bytes), receive_all(&mut there)) }).await;
        assert_eq!((sent, received), (Ok(()), Ok((length, hash))));
        // The first packets of the successor hold its proof as well.
        pair.net.lay(connection);
        settle().await;
    }
    ours.close(0, "done");
    settle().await;
    pair.net.lengths().into_keys().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_have_the_lengths_of_the_classes_and_no_other() {
    let seen = lengths(Profile::Balanced).await;
    assert_eq!(seen, BTreeSet::from(SIZE_CLASSES));
    // The same conversation where nothing is added has lengths of its own, so it would show.
    let seen = lengths(Profile::Fast).await;
    assert!(seen.len() > SIZE_CLASSES.len() && seen.iter().any(|length| !SIZE_CLASSES.contains(length)), "{seen:?}");
}
