//! Packets on trails over several nodes, through real sockets.

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{End, connect, lay, neighbour, peer, start, status, until};
use mute::{
    link::FrameKind,
    node::{Handle, Stopped},
};
use mute_core::{Close, Ecn, Event, IdentityKey};

/// A line of nodes, each linked with the next.
async fn line(length: u8) -> Vec<Handle> {
    let mut nodes = vec![start(1).await];
    for number in 2..=length {
        let node = start(number).await;
        connect(&node, nodes.last().expect("a node before it")).await;
        nodes.push(node);
    }
    nodes
}

/// Sends `count` packets of `length` bytes from one end to the other, at most `window` on the way, each with its number,
/// and returns how long it took. Small packets may overtake large ones of other trails only.
async fn transfer(from: &mut End, to: &mut End, count: u64, length: usize, window: u64) -> Duration {
    let begun = Instant::now();
    let sending = async {
        let mut confirmed = 0;
        for number in 0..count {
            while number >= confirmed + window {
                let confirmation = from.receive().await;
                confirmed = u64::from_be_bytes(confirmation.body[..8].try_into().expect("eight bytes"));
            }
            let mut body = vec![0x5a; length];
            body[..8].copy_from_slice(&number.to_be_bytes());
            from.send(body.into()).await;
        }
        while confirmed + window / 4 <= count {
            let confirmation = from.receive().await;
            confirmed = u64::from_be_bytes(confirmation.body[..8].try_into().expect("eight bytes"));
        }
    };
    let receiving = async {
        for number in 0..count {
            let packet = to.receive().await;
            assert_eq!(packet.body.len(), length);
            assert_eq!(packet.body[..8], number.to_be_bytes(), "in order, and none is lost");
            if (number + 1) % (window / 4) == 0 {
                to.send(Bytes::copy_from_slice(&(number + 1).to_be_bytes())).await;
            }
        }
    };
    tokio::join!(sending, receiving);
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_cross_relays_in_order_and_are_counted() {
    let nodes = line(4).await;
    let (mut seeker, mut owner) = lay(&nodes[0], &nodes[3], 1).await;
    transfer(&mut seeker, &mut owner, 2_000, 15_000, 64).await;
    transfer(&mut owner, &mut seeker, 2_000, 300, 64).await;
    let relay = status(&nodes[1]).await;
    let next = neighbour(&relay, peer(&nodes[2]).await.key).and_then(|n| n.link.clone()).expect("a link");
    assert!(next.counters.sent[&FrameKind::Data].bytes >= 2_000 * 15_000);
    assert!(next.counters.received[&FrameKind::Data].frames >= 2_000);
    assert_eq!(next.counters.dropped, 0);
    assert!(relay.router.data.relayed >= 4_000 && relay.router.data.delivered == 0);
    // The ends have no socket in common.
    let ends = [status(&nodes[0]).await, status(&nodes[3]).await];
    assert!(!ends[0].remotes.contains(&ends[1].listen) && !ends[1].remotes.contains(&ends[0].listen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_marks_and_drops_and_the_link_goes_on() {
    let nodes = line(3).await;
    let (seeker, mut owner) = lay(&nodes[0], &nodes[2], 1).await;
    let sent = 40_000;
    // Nobody confirms anything: what is too much is marked, then dropped, and nobody waits for it.
    let sending = async {
        for _ in 0..sent {
            seeker.send(vec![0; 15_000].into()).await;
        }
        seeker
    };
    let receiving = async {
        let mut marked = 0_u64;
        while let Ok(Some(packet)) = tokio::time::timeout(Duration::from_secs(2), owner.packets.recv()).await {
            marked += u64::from(packet.ecn == Ecn::Experienced);
        }
        (marked, owner)
    };
    let (mut seeker, (marked, mut owner)) = tokio::join!(sending, receiving);
    let first = status(&nodes[0]).await;
    let link = neighbour(&first, peer(&nodes[1]).await.key).and_then(|n| n.link.clone()).expect("a link");
    assert!(link.counters.marked > 0 && marked > 0, "{link:?}");
    assert!(link.queued_bytes < 1 << 20, "it has drained");
    transfer(&mut seeker, &mut owner, 100, 15_000, 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_relay_closes_trails_and_a_stopped_node_its_ports() {
    let nodes = line(3).await;
    let (mut seeker, mut owner) = lay(&nodes[0], &nodes[2], 1).await;
    nodes[1].stop().await;
    for end in [&mut seeker, &mut owner] {
        let why = loop {
            match tokio::time::timeout(Duration::from_secs(30), end.port.events.recv()).await {
                Ok(Some(Event::TrailClosed { trail, why })) if trail == end.trail => break why,
                Ok(Some(_)) => {}
                other => panic!("the trail was not closed: {other:?}"),
            }
        };
        assert!(matches!(why, Close::LinkLost | Close::ByPeer), "{why:?}");
        assert_eq!(end.packets.recv().await, None, "the receiver of its packets hears its end, too");
    }
    nodes[0].stop().await;
    assert_eq!(seeker.port.sender.listen(true).await, Err(Stopped));
    assert_eq!(seeker.port.sender.writable().await, Err(Stopped));
    while seeker.port.events.recv().await.is_some() {}
    assert!(nodes[0].open_port(IdentityKey::from_seed(&[5; 32])).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_port_is_closed() {
    let nodes = line(2).await;
    let (seeker, mut owner) = lay(&nodes[0], &nodes[1], 1).await;
    let trails = |status: &mute::node::Status| status.router.live.trails;
    assert_eq!((trails(&status(&nodes[0]).await), trails(&status(&nodes[1]).await)), (1, 1));
    drop(seeker);
    until(&nodes[0], "the port's end", |status| status.ports.open == 0 && status.router.live.ports == 0).await;
    until(&nodes[1], "the trail's end", |status| trails(status) == 0).await;
    while let Some(event) = owner.port.events.recv().await {
        if matches!(event, Event::TrailClosed { .. }) {
            break;
        }
    }
    assert_eq!(owner.packets.recv().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_identities_of_one_node_reach_each_other() {
    let node = start(1).await;
    let (mut seeker, mut owner) = lay(&node, &node, 1).await;
    transfer(&mut seeker, &mut owner, 500, 15_000, 32).await;
}
