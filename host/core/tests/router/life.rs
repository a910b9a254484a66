//! A trail's life: renewal under a stream, keeps, silence, loss, and the end of everything.

use std::{cell::Cell, collections::BTreeMap, rc::Rc, time::Duration};

use bytes::Bytes;
use mute_core::{
    Close, Event, Gauges, Input, MessageId, Role, SuccessionProof, Topic, TrailId, TrailKeys,
    wire::{DecodeError, Frame},
};

use crate::network::{NO_ROUTE_AFTER, Network, PORT};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

struct Opened {
    trail: TrailId,
    seek: MessageId,
    keys: TrailKeys,
}

fn opened(network: &Network, node: usize) -> Vec<Opened> {
    let open = |event: &Event| match event {
        Event::TrailOpened { trail, seek, keys, .. } => Some(Opened { trail: *trail, seek: *seek, keys: keys.clone() }),
        _ => None,
    };
    network
        .happened
        .iter()
        .filter(|happened| happened.node == node)
        .filter_map(|happened| open(&happened.event))
        .collect()
}

fn closed(network: &Network, node: usize) -> Vec<(TrailId, Close, Duration)> {
    network
        .happened
        .iter()
        .filter(|happened| happened.node == node)
        .filter_map(|happened| match happened.event {
            Event::TrailClosed { trail, why } => Some((trail, why, happened.at)),
            _ => None,
        })
        .collect()
}

/// What the overlay does, without the seal: the first packet of a successor says which trail it continues.
struct Stream {
    /// At the seeker: the first trail, and the one to send on.
    first: Option<(MessageId, TrailKeys)>,
    current: Option<TrailId>,
    unproven: Option<MessageId>,
    sent: u32,
    /// At the owner: the trails that belong to the connection.
    members: Vec<TrailId>,
    first_keys: Option<TrailKeys>,
    received: BTreeMap<u32, u32>,
    seen: usize,
}

impl Stream {
    fn new() -> Self {
        Self {
            first: None,
            current: None,
            unproven: None,
            sent: 0,
            members: Vec::new(),
            first_keys: None,
            received: BTreeMap::new(),
            seen: 0,
        }
    }

    /// Takes in what happened since the last time.
    fn look(&mut self, network: &Network, seeker: usize, owner: usize) {
        let owned: Vec<Opened> = opened(network, owner);
        for happened in &network.happened[self.seen..] {
            match &happened.event {
                Event::TrailOpened { trail, role: Role::Seeker { .. }, seek, keys } if happened.node == seeker => {
                    match self.first {
                        None => self.first = Some((*seek, keys.clone())),
                        Some(_) => self.unproven = Some(*seek),
                    }
                    self.current = Some(*trail);
                }
                Event::Data { trail, body, .. } if happened.node == owner => self.take(*trail, body, &owned),
                _ => {}
            }
        }
        self.seen = network.happened.len();
    }

    fn take(&mut self, trail: TrailId, body: &Bytes, owned: &[Opened]) {
        let (flag, rest) = (body[0], body.slice(1..));
        let rest = if flag == 1 {
            let proof = SuccessionProof::decode_succession(&rest[..32]).expect("32 bytes");
            let keys = self.first_keys.as_ref().expect("a successor comes after a first");
            let successor = owned.iter().find(|opened| opened.trail == trail).expect("it was opened");
            assert!(proof.check(keys, successor.seek), "the proof holds");
            self.members.push(trail);
            rest.slice(32..)
        } else {
            if self.members.is_empty() {
                self.members.push(trail);
                self.first_keys = owned.iter().find(|opened| opened.trail == trail).map(|opened| opened.keys.clone());
            }
            rest
        };
        assert!(self.members.contains(&trail), "a packet on a trail that proved nothing");
        let number = u32::from_be_bytes(rest[..4].try_into().expect("4 bytes"));
        *self.received.entry(number).or_default() += 1;
    }

    fn send(&mut self, network: &mut Network, seeker: usize) {
        let trail = self.current.expect("there is a trail");
        let mut body = Vec::new();
        match (self.unproven.take(), &self.first) {
            (Some(seek), Some((first, keys))) => {
                body.push(1);
                body.extend(SuccessionProof::make(keys, *first, seek).encode());
            }
            _ => body.push(0),
        }
        body.extend(self.sent.to_be_bytes());
        self.sent += 1;
        network.send(seeker, trail, body);
    }
}

#[test]
fn renewal_under_a_stream_loses_and_repeats_nothing() {
    let mut network = Network::ring(7, 3);
    network.connect(0, 3);
    network.run(SECOND);
    let mut stream = Stream::new();
    // Half an hour: at least three renewals.
    for _ in 0..30 * 60 * 4 {
        stream.look(&network, 0, 3);
        stream.send(&mut network, 0);
        network.run(SECOND / 4);
    }
    network.run(SECOND);
    stream.look(&network, 0, 3);
    assert_eq!(stream.received.len() as u32, stream.sent);
    assert!(stream.received.values().all(|copies| *copies == 1));
    let (trails, ends) = (opened(&network, 0), closed(&network, 0));
    assert!(trails.len() >= 4, "{} trails in half an hour", trails.len());
    assert!(ends.iter().all(|(_, why, _)| *why == Close::Replaced));
    assert_eq!(ends.len(), trails.len() - 1, "each trail but the last is closed once its successor carries");
    assert_eq!(stream.members.len(), trails.len());
    for (successor, (_, _, end)) in trails.iter().skip(1).zip(&ends) {
        let laid = network.happened.iter().find(
            |happened| matches!(happened.event, Event::TrailOpened { trail, role: Role::Seeker { .. }, .. } if trail == successor.trail),
        );
        let overlap = *end - laid.expect("it was laid").at;
        assert!(overlap >= 30 * SECOND && overlap < 31 * SECOND, "both carried for {overlap:?}");
    }
    assert_eq!(network.counters(3).drops.early, 0);
}

#[test]
fn both_ends_derive_the_same_keys() {
    let mut network = Network::line(3, 1);
    network.connect(0, 2);
    network.run(SECOND);
    let (seeker, owner) = (opened(&network, 0).remove(0), opened(&network, 2).remove(0));
    assert_eq!(seeker.seek, owner.seek);
    assert_eq!(seeker.keys.send.seal, owner.keys.receive.seal);
    assert_eq!(seeker.keys.receive.seal, owner.keys.send.seal);
    assert_ne!(seeker.keys.send.seal, seeker.keys.receive.seal);
}

#[test]
fn a_trail_ends_after_ten_minutes_whatever_keeps_say() {
    let mut network = Network::line(4, 1);
    network.connect(0, 3);
    network.run(SECOND);
    let laid = network.clock() - SECOND;
    // No Seek passes any more, so there is no successor.
    network.passes = Box::new(|_, _, frame| !matches!(frame, Frame::Seek { .. }));
    network.run(9 * MINUTE);
    network.talk(0, 3);
    assert!(closed(&network, 0).is_empty());
    network.run(2 * MINUTE);
    let (_, why, at) = closed(&network, 0)[0];
    assert_eq!(why, Close::Expired);
    let lived = at - laid;
    assert!(lived >= 10 * MINUTE && lived < 10 * MINUTE + SECOND, "{lived:?}");
    for relay in 1..3 {
        assert_eq!(network.counters(relay).live.bindings, 0);
    }
    assert!(
        network
            .happened
            .iter()
            .any(|happened| matches!(happened.event, Event::ConnectFailed { why: Close::NoRoute, .. }))
    );
}

#[test]
fn a_binding_without_the_keeps_of_one_end_is_forgotten() {
    for silent in [0, 3] {
        let mut network = Network::line(4, 1);
        network.connect(0, 3);
        // Until each end has said once that it lives.
        network.run(5 * SECOND);
        let mute = move |from: usize, to: usize, frame: &Frame<_>| {
            let leaves = (silent == 0 && from == 0 && to == 1) || (silent == 3 && from == 3 && to == 2);
            !(leaves && matches!(frame, Frame::Keep { .. }))
        };
        network.passes = Box::new(mute);
        let before = network.counters(1).live.bindings;
        assert_eq!(before, 1);
        network.run(55 * SECOND);
        assert_eq!(network.counters(1).live.bindings, 1, "patience is at least a minute");
        network.run(100 * SECOND);
        assert!(!closed(&network, 3).is_empty(), "silent {silent}");
        let (_, why, at) = closed(&network, 0)[0];
        // Nobody says a word: each end forgets it by itself, 75 s after what it heard last.
        assert!(at >= 75 * SECOND && at <= 152 * SECOND, "{at:?} {why:?}");
        // The seeker found another trail over the same line meanwhile, whose Keeps are lost as well.
        assert!(opened(&network, 0).len() >= 2);
    }
}

#[test]
fn heavy_loss_makes_the_seeker_find_another_way() {
    for lossy in [(0, 1), (1, 0)] {
        let mut network = Network::ring(4, 1);
        network.connect(0, 2);
        network.run(SECOND);
        network.talk(0, 2);
        let relay = if network.counters(1).live.bindings > 0 { 1 } else { 3 };
        let (from, to) = if lossy == (0, 1) { (0, relay) } else { (relay, 0) };
        let count = Rc::new(Cell::new(0u32));
        let counting = count.clone();
        // Nine in ten packets are lost in one direction of one link; all else passes.
        network.passes = Box::new(move |a, b, frame| {
            let data = matches!(frame, Frame::Data { .. }) && (a, b) == (from, to);
            counting.set(counting.get() + u32::from(data));
            !data || counting.get().is_multiple_of(10)
        });
        let (ours, theirs) = (network.last_trail(0, false), network.last_trail(2, true));
        for _ in 0..130 * 10 {
            network.send(0, ours, "x");
            network.send(2, theirs, "y");
            network.run(SECOND / 10);
        }
        assert!(count.get() > 500, "the lossy link was in use");
        assert_eq!(opened(&network, 0).len(), 2, "one successor, found by a flood, and not one for each Keep");
        assert!(network.counters(4 - relay).live.bindings > 0 || network.counters(relay).live.bindings > 0);
    }
}

#[test]
fn a_closed_trail_ends_at_the_other_end_and_a_connection_is_sought_again() {
    let mut network = Network::line(4, 1);
    let connection = network.connect(0, 3);
    network.run(SECOND);
    let owned = network.last_trail(3, true);
    network.input(3, Input::CloseTrail { trail: owned });
    network.run(SECOND);
    assert_eq!(closed(&network, 3)[0].1, Close::Local);
    assert_eq!(closed(&network, 0)[0].1, Close::ByPeer);
    assert_eq!(opened(&network, 0).len(), 2, "sought again at once");
    network.talk(0, 3);
    network.input(0, Input::Disconnect { connection });
    network.run(SECOND);
    assert_eq!(closed(&network, 3).last().map(|(_, why, _)| *why), Some(Close::ByPeer));
    assert!((0..4).all(|node| network.counters(node).live.bindings == 0));
}

#[test]
fn whoever_breaks_young_trails_again_and_again_does_not_make_a_seeker_flood() {
    let mut network = Network::line(3, 1);
    network.connect(0, 2);
    let mut broken = 0;
    for _ in 0..600 {
        network.run(SECOND / 10);
        while let Some(trail) = network.opened(2, true).get(broken).copied() {
            network.input(2, Input::CloseTrail { trail });
            broken += 1;
        }
    }
    assert!(broken >= 3, "it is sought again");
    assert!(broken <= 12, "{broken} times in a minute");
}

#[test]
fn after_ten_idle_minutes_nothing_is_left() {
    let mut network = Network::grid(3, 3, 1);
    let topic = Topic::of("search");
    for node in 0..9 {
        network.input(node, Input::Subscribe { port: PORT, topic });
    }
    let connections = [network.connect(0, 8), network.connect(2, 6), network.connect(4, 5)];
    network.input(3, Input::Broadcast { port: PORT, topic, body: Bytes::from_static(b"what is there?") });
    network.run(2 * MINUTE);
    network
        .input(8, Input::Letter { port: PORT, to: crate::network::address(0), sealed: Bytes::from_static(b"letter") });
    let busy = network.counters(4).live;
    assert!(busy.scent_rows > 0 && busy.seen > 0 && busy.timers > 0 && busy.bindings > 0);
    for (node, connection) in [(0, connections[0]), (2, connections[1]), (4, connections[2])] {
        network.input(node, Input::Disconnect { connection });
    }
    network.run(10 * MINUTE + SECOND);
    for node in 0..9 {
        let live = network.counters(node).live;
        assert_eq!(live, Gauges { links: live.links, ports: 1, ..Gauges::default() }, "node {node}");
    }
}

#[test]
fn no_answer_at_all_leaves_nothing_behind_either() {
    let mut network = Network::line(2, 1);
    let connection = mute_core::ConnectionId(1000);
    let target = mute_core::IdentityKey::from_seed(&[99; 32]).address();
    network.input(0, Input::Connect { port: PORT, connection, target });
    network.run(NO_ROUTE_AFTER + 10 * MINUTE + SECOND);
    for node in 0..2 {
        let live = network.counters(node).live;
        assert_eq!(live, Gauges { links: 1, ports: 1, ..Gauges::default() });
    }
}

#[test]
fn a_succession_proof_has_one_length() {
    assert_eq!(SuccessionProof::decode_succession(&[0; 31]).err(), Some(DecodeError::TooShort));
    assert_eq!(SuccessionProof::decode_succession(&[0; 33]).err(), Some(DecodeError::TooLong));
}
