//! Links between nodes, over real sockets on loopback.

mod common;

use std::time::Duration;

use common::{NETWORK, Raw, config, connect, is_up, neighbour, peer, secret, start, status, until};
use mute::{
    link::{BindError, PeerAddress},
    node::{self, NeighbourState, NodeConfig, StartError, Stopped},
};
use mute_core::NetworkId;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_link_up_and_know_each_other() {
    let (a, b) = (start(1).await, start(2).await);
    connect(&a, &b).await;
    let (at_a, at_b) = (status(&a).await, status(&b).await);
    assert_eq!((at_a.remotes, at_b.remotes.len()), (vec![at_b.listen], 1));
    let link = |status: &node::Status, key| {
        let neighbour = neighbour(status, key).expect("a neighbour").clone();
        assert_eq!(neighbour.state, NeighbourState::Up);
        neighbour.link.expect("a link")
    };
    assert!(link(&status(&a).await, at_b.key).initiator);
    assert!(!link(&status(&b).await, at_a.key).initiator);
    assert_eq!(status(&a).await.router.live.links, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_proves_another_key_is_refused() {
    let (a, b) = (start(1).await, start(2).await);
    let stranger = secret(3).key();
    a.add_peer(PeerAddress { key: stranger, ..peer(&b).await }).await.expect("a peer");
    let refused = |status: &node::Status| neighbour(status, stranger).is_some_and(|n| n.last_end.is_some());
    let at_a = until(&a, "the refusal", refused).await;
    let end = neighbour(&at_a, stranger).and_then(|n| n.last_end.clone()).expect("a reason");
    assert_eq!(end, "who answers there does not prove the expected key");
    assert!(at_a.remotes.is_empty() && status(&b).await.remotes.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_network_is_refused_by_both() {
    let a = start(1).await;
    let b =
        node::start(NodeConfig::new(secret(2), NetworkId([8; 16]), mute_core::Profile::Fast)).await.expect("a node");
    let theirs = peer(&b).await;
    a.add_peer(theirs.clone()).await.expect("a peer");
    let refused = |status: &node::Status| neighbour(status, theirs.key).is_some_and(|n| n.last_end.is_some());
    let end = neighbour(&until(&a, "the refusal", refused).await, theirs.key).and_then(|n| n.last_end.clone());
    assert!(end.expect("a reason").contains("another network"));
    assert!(status(&b).await.remotes.is_empty());
    // The code by itself.
    assert_eq!(Raw::greet(3, &theirs).await.0.close_code().await, 0x102);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_keep_one_link() {
    for round in 0..8 {
        let (a, b) = (start(2 * round + 1).await, start(2 * round + 2).await);
        let (to_a, to_b) = (peer(&a).await, peer(&b).await);
        let (one, other) = tokio::join!(a.add_peer(to_b.clone()), b.add_peer(to_a.clone()));
        one.and(other).expect("peers");
        until(&a, "a's link", |status| is_up(status, to_b.key)).await;
        until(&b, "b's link", |status| is_up(status, to_a.key)).await;
        // Whatever is still under way has come to its end when each has one link and it is the same.
        let same = async {
            loop {
                let (at_a, at_b) = (status(&a).await, status(&b).await);
                let initiator = |status: &node::Status, key| {
                    neighbour(status, key).and_then(|n| n.link.as_ref()).map(|link| (link.initiator, link.remote))
                };
                if let (Some((a_dialled, remote_of_a)), Some((b_dialled, remote_of_b))) =
                    (initiator(&at_a, to_b.key), initiator(&at_b, to_a.key))
                    && a_dialled != b_dialled
                {
                    assert_eq!((at_a.remotes.len(), at_b.remotes.len()), (1, 1));
                    assert_eq!((remote_of_a, remote_of_b), (at_b.listen, at_a.listen));
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(40), same).await.expect("both keep the same link");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_stops_says_so_and_returns() {
    let (a, b) = (start(1).await, start(2).await);
    connect(&a, &b).await;
    let theirs = peer(&b).await;
    b.stop().await;
    assert_eq!(b.status().await.expect_err("it has stopped"), Stopped);
    let down = until(&a, "the end", |status| !is_up(status, theirs.key)).await;
    let end = neighbour(&down, theirs.key).and_then(|n| n.last_end.clone());
    assert!(end.is_some_and(|end| end == "it is going away" || end == "it does not answer"));
    let mut again = config(2);
    again.listen.set_port(theirs.port);
    let b = node::start(again).await.expect("the port is free again");
    until(&a, "the return", |status| is_up(status, theirs.key)).await;
    until(&b, "the return", |status| !status.remotes.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_crashes_is_noticed_and_returns() {
    let a = start(1).await;
    // Its tasks vanish with their runtime, without a word to anybody.
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let b = doomed.spawn(start(2)).await.expect("a node");
    connect(&a, &b).await;
    let theirs = peer(&b).await;
    tokio::task::spawn_blocking(move || doomed.shutdown_timeout(Duration::from_secs(5))).await.expect("the end");
    assert_eq!(b.status().await.expect_err("it is gone"), Stopped);
    let noticed = |status: &node::Status| {
        neighbour(status, theirs.key).is_some_and(|n| n.link.is_none() && n.state != NeighbourState::Up)
    };
    until(&a, "the loss", noticed).await;
    let mut again = config(2);
    again.listen.set_port(theirs.port);
    let b = node::start(again).await.expect("the port is free again");
    until(&a, "the return", |status| is_up(status, theirs.key)).await;
    assert_eq!(until(&b, "the return", |status| !status.remotes.is_empty()).await.remotes.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_welcome_or_finds_no_room_is_told() {
    let closed = node::start(NodeConfig { fixed_topology: true, welcome: vec![secret(2).key()], ..config(1) });
    let closed = closed.await.expect("a node");
    assert_eq!(Raw::greet(3, &peer(&closed).await).await.0.close_code().await, 3);
    let friend = start(2).await;
    connect(&friend, &closed).await;

    let full = node::start(NodeConfig { max_links: 1, ..config(4) }).await.expect("a node");
    connect(&friend, &full).await;
    assert_eq!(Raw::greet(5, &peer(&full).await).await.0.close_code().await, 2);
    assert_eq!(status(&full).await.remotes.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_peer_stays_out_until_it_is_added() {
    let (a, b) = (start(1).await, start(2).await);
    connect(&a, &b).await;
    let (to_a, to_b) = (peer(&a).await, peer(&b).await);
    assert!(b.remove_peer(to_a.key).await.expect("it runs"));
    assert!(!b.remove_peer(to_a.key).await.expect("it runs"));
    let refused = |status: &node::Status| {
        neighbour(status, to_b.key).is_some_and(|n| n.last_end.as_ref().is_some_and(|end| end.contains("not told of")))
    };
    until(&a, "the refusal", refused).await;
    assert!(status(&b).await.remotes.is_empty());
    b.add_peer(to_a.clone()).await.expect("a peer");
    until(&b, "the return", |status| is_up(status, to_a.key)).await;
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line() {
    let first = start(1).await;
    let listen = status(&first).await.listen;
    let error = node::start(NodeConfig { listen, ..config(2) }).await.err().expect("the port is taken");
    assert!(matches!(error, StartError::Bind(BindError::Taken(address)) if address == listen));
    let line = error.to_string();
    assert!(line.starts_with(&format!("cannot listen on {listen}: the port is taken")) && !line.contains('\n'));
    assert_eq!(NETWORK, config(2).network);
}
