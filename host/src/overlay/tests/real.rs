//! The overlay on real nodes in a line, each linked with the next over loopback.

use std::time::Instant;

use mute_core::{IdentityKey, NetworkId};

use super::*;
use crate::{
    link::{NodeSecret, PeerAddress},
    node::{self, Handle, NodeConfig, Status},
    overlay::{Overlay, error::code},
};

/// Starts nodes in a line and waits until they are linked.
async fn line(length: u8) -> Vec<Handle> {
    line_in(Profile::Fast, length).await
}

async fn line_in(profile: Profile, length: u8) -> Vec<Handle> {
    let network = NetworkId::derive("overlay", profile);
    let mut nodes: Vec<Handle> = Vec::new();
    for seed in 1..=length {
        let mut config = NodeConfig::new(NodeSecret::from_seed(&[seed; 32]), network, profile);
        // Time for a second and a third try, and short enough to wait for.
        config.no_route_after = Duration::from_secs(10);
        if let Some(previous) = nodes.last() {
            let Status { key, listen, .. } = previous.status().await.expect("it runs");
            config.peers.push(PeerAddress { key, host: listen.ip().to_string(), port: listen.port() });
        }
        nodes.push(node::start(config).await.expect("a node"));
    }
    within(async {
        for (n, node) in nodes.iter().enumerate() {
            let wanted = usize::from(n > 0) + usize::from(n + 1 < nodes.len());
            let linked = async || {
                let neighbours = node.status().await.expect("it runs").neighbours;
                neighbours.iter().filter(|neighbour| neighbour.link.is_some()).count()
            };
            while linked().await < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    })
    .await;
    nodes
}

/// An identity at each end of a line, the second of which listens to "test".
async fn ends(nodes: &[Handle]) -> (Identity, Identity, Listener) {
    let identity = async |node: &Handle, seed: u8| {
        Overlay::new(node.clone()).identity(IdentityKey::from_seed(&[seed; 32])).await.expect("an identity")
    };
    let alice = identity(&nodes[0], 101).await;
    let bob = identity(nodes.last().expect("a node"), 102).await;
    let listener = bob.listen("test").expect("a listener");
    settle().await;
    (alice, bob, listener)
}

async fn connect(alice: &Identity, bob: &Identity, listener: &mut Listener) -> (Connection, Connection) {
    let ours = within(alice.connect(bob.address(), options("test"))).await.expect("a connection");
    (ours, within(listener.next()).await.expect("a connection"))
}

/// Bytes per second.
async fn transfer(ours: &Connection, theirs: &Connection, length: usize) -> f64 {
    let (here, mut there) = channel(ours, theirs).await;
    let bytes = content(length);
    let hash = blake3::hash(&bytes);
    let start = Instant::now();
    let (sent, received) = within(async { tokio::join!(send_all(here, bytes), receive_all(&mut there)) }).await;
    let took = start.elapsed();
    assert_eq!(sent, Ok(()));
    assert_eq!(received, Ok((length, hash)));
    length as f64 / took.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_through_a_relay() {
    let nodes = line(3).await;
    let (alice, bob, mut listener) = ends(&nodes).await;
    let (ours, theirs) = connect(&alice, &bob, &mut listener).await;
    assert_eq!(theirs.peer(), alice.address());
    transfer(&ours, &theirs, 100_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balanced_network_carries_streams_questions_and_answers() {
    let nodes = line_in(Profile::Balanced, 3).await;
    let (alice, bob, mut listener) = ends(&nodes).await;
    let mut asked = bob.broadcasts("search").expect("a subscription");
    let mut answers = alice.letters("search").expect("a subscription");
    settle().await;
    alice.broadcast("search", Bytes::from_static(b"who?")).await.expect("it is queued");
    let question = within(asked.next()).await.expect("a question");
    bob.send(question.sender, "search", Bytes::from_static(b"me")).await.expect("it is queued");
    assert_eq!(&*within(answers.next()).await.expect("an answer").body, b"me");
    let (ours, theirs) = connect(&alice, &bob, &mut listener).await;
    transfer(&ours, &theirs, 10_000_000).await;
    transfer(&theirs, &ours, 1_000_000).await;
    for node in &nodes {
        let status = node.status().await.expect("it runs");
        assert_eq!((status.router.violations, status.router.drops.invalid), (0, 0));
    }
    // The relay passed nothing on that is of no class: it would have closed the link.
    let relayed = nodes[1].status().await.expect("it runs").router;
    assert!(relayed.data.relayed > 0 && relayed.data_bytes.relayed.is_multiple_of(256));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_identities_on_one_node() {
    let nodes = line(1).await;
    let (alice, bob, mut listener) = ends(&nodes).await;
    let (ours, theirs) = connect(&alice, &bob, &mut listener).await;
    transfer(&ours, &theirs, 5_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_and_answers_without_a_connection() {
    let nodes = line(3).await;
    let (alice, bob, _listener) = ends(&nodes).await;
    let mut asked = bob.broadcasts("search").expect("a subscription");
    let mut answers = alice.letters("search").expect("a subscription");
    settle().await;
    alice.broadcast("search", Bytes::from_static(b"who?")).await.expect("it is queued");
    let question = within(asked.next()).await.expect("a question");
    assert_eq!(&*question.body, b"who?");
    // The question's one-time address leads back to who asked.
    bob.send(question.sender, "search", Bytes::from_static(b"me")).await.expect("it is queued");
    let answer = within(answers.next()).await.expect("an answer");
    assert_eq!((&*answer.body, answer.sender), (&b"me"[..], bob.address()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_dies_ends_the_stream_with_an_error() {
    let nodes = line(3).await;
    let (alice, bob, mut listener) = ends(&nodes).await;
    let (ours, theirs) = connect(&alice, &bob, &mut listener).await;
    let (mut here, mut there) = channel(&ours, &theirs).await;
    let writing = tokio::spawn(async move {
        loop {
            if let Err(error) = here.writer.write(content(64 << 10)).await {
                return error;
            }
        }
    });
    assert!(within(there.reader.read(1 << 20)).await.expect("it flows").is_some());
    nodes[1].stop().await;
    let error = within(writing).await.expect("no panic");
    assert!(matches!(error.code, code::NO_ROUTE | code::TIMED_OUT), "{error:?}");
    // The other side waits for a new trail until the connection is idle for too long.
    let read_on = async {
        loop {
            match there.reader.read(1 << 20).await {
                Ok(Some(_)) => {}
                other => break other,
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(5), read_on).await;
    assert!(!matches!(ended, Ok(Ok(_))), "a truncated stream looks ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_address_lives_once_at_a_time() {
    let nodes = line(1).await;
    let overlay = Overlay::new(nodes[0].clone());
    let key = IdentityKey::from_seed(&[7; 32]);
    let first = overlay.identity(key.clone()).await.expect("an identity");
    assert_eq!(overlay.identity(key.clone()).await.err().expect("taken").code, code::INVALID);
    drop(first);
    let again = within(overlay.identity(key)).await.expect("it is free again");
    nodes[0].stop().await;
    let mut letters = match again.letters("t") {
        Ok(letters) => letters,
        Err(error) => {
            assert_eq!(error.code, code::CLOSED);
            return;
        }
    };
    assert!(within(letters.next()).await.is_none());
}

/// Not a test: prints what the machine can do. `cargo test -p mute measure -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measure() {
    for (profile, length) in [2, 4, 7].into_iter().flat_map(|length| Profile::ALL.map(|profile| (profile, length))) {
        let nodes = line_in(profile, length).await;
        let (alice, bob, mut listener) = ends(&nodes).await;
        let start = Instant::now();
        let (ours, theirs) = connect(&alice, &bob, &mut listener).await;
        let connected = start.elapsed();
        let mut speeds = Vec::new();
        for _ in 0..3 {
            speeds.push(transfer(&ours, &theirs, 200_000_000).await / 1e6);
        }
        let (mut here, mut there) = channel(&ours, &theirs).await;
        tokio::spawn(async move {
            while let Ok(Some(bytes)) = there.reader.read(64).await {
                if there.writer.write(bytes).await.is_err() {
                    break;
                }
            }
        });
        let mut trips = Vec::new();
        for _ in 0..100 {
            let start = Instant::now();
            here.writer.write(content(64)).await.expect("it is open");
            let mut got = 0;
            while got < 64 {
                got += here.reader.read(64).await.expect("it is open").expect("not the end").len();
            }
            trips.push(start.elapsed());
        }
        trips.sort();
        let stats = ours.0.quinn.stats().path;
        println!(
            "{profile}, {} links: {speeds:.0?} MB/s, connect {connected:?}, 64 bytes p50 {:?} p99 {:?}, lost {} of {}, congestion {}, window {}, round trip {:?}",
            length - 1,
            trips[50],
            trips[98],
            stats.lost_packets,
            stats.sent_packets,
            stats.congestion_events,
            stats.cwnd,
            stats.rtt,
        );
        for node in &nodes {
            node.stop().await;
        }
    }
}
