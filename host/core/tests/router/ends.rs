//! What an end sees: two identities on one node, limits of ports, and what is invalid.

use std::time::Duration;

use mute_core::{Close, ConnectionId, Ecn, Event, IdentityKey, Input, PortId, Role, limits};

use crate::network::{Network, PORT, address, identity};

const SECOND: Duration = Duration::from_secs(1);
const OTHER: PortId = PortId(2);

fn with_two_identities(network: &mut Network) -> mute_core::Address {
    let key = IdentityKey::from_seed(&[77; 32]);
    let address = key.address();
    network.input(0, Input::OpenPort { port: OTHER, key });
    network.input(0, Input::Listen { port: OTHER, listening: true });
    address
}

#[test]
fn two_identities_of_one_node_reach_each_other_and_the_seek_leaves_as_well() {
    let mut network = Network::line(2, 1);
    let target = with_two_identities(&mut network);
    let connection = ConnectionId(500);
    network.input(0, Input::Connect { port: PORT, connection, target });
    assert_eq!(network.counters(0).seeks.sent, 1, "sent out as if nobody here had the address");
    network.run(SECOND);
    let (mut ours, mut theirs) = (None, None);
    for happened in &network.happened {
        match happened.event {
            Event::TrailOpened { trail, role: Role::Owner, .. } => theirs = Some((happened.port, trail)),
            Event::TrailOpened { trail, role: Role::Seeker { .. }, .. } => ours = Some((happened.port, trail)),
            _ => {}
        }
    }
    let ((seeker, ours), (owner, theirs)) = (ours.expect("an end"), theirs.expect("an end"));
    assert_eq!((seeker, owner), (PORT, OTHER));
    network.send(0, theirs, "too early");
    assert_eq!(network.counters(0).drops.early, 1);
    network.send(0, ours, "there");
    network.send(0, theirs, "and back");
    let arrived: Vec<_> = network.received(0).into_iter().collect();
    assert_eq!(arrived, vec![(theirs, "there".into()), (ours, "and back".into())]);
    // For an hour: renewed as any other.
    network.run(Duration::from_secs(3600));
    assert!(network.opened(0, false).len() >= 7);
    network.input(0, Input::ClosePort { port: OTHER });
    network.run(Duration::from_secs(60));
    let failed = network.happened.iter().any(|happened| matches!(happened.event, Event::ConnectFailed { .. }));
    assert!(failed, "the other identity is gone");
    assert_eq!(network.counters(0).live.trails, 0);
}

#[test]
fn a_local_identity_is_found_without_any_link() {
    let mut network = Network::new(1, 1);
    let target = with_two_identities(&mut network);
    network.input(0, Input::Connect { port: PORT, connection: ConnectionId(500), target });
    assert_eq!((network.opened(0, true).len(), network.opened(0, false).len()), (1, 1));
}

#[test]
fn ones_own_address_an_unknown_port_and_a_taken_connection_are_invalid() {
    let mut network = Network::line(2, 1);
    let failed = |network: &mut Network, port, connection, target| {
        network.happened.clear();
        network.input(0, Input::Connect { port, connection: ConnectionId(connection), target });
        network.happened.iter().find_map(|happened| match happened.event {
            Event::ConnectFailed { why, .. } => Some(why),
            _ => None,
        })
    };
    assert_eq!(failed(&mut network, PORT, 1000, address(0)), Some(Close::Invalid));
    assert_eq!(failed(&mut network, PortId(99), 1001, address(1)), Some(Close::Invalid));
    assert_eq!(failed(&mut network, PORT, 1002, address(1)), None);
    assert_eq!(failed(&mut network, PORT, 1002, address(1)), Some(Close::Invalid));
    assert_eq!(network.counters(0).live.connections, 1);
}

#[test]
fn a_port_has_only_so_many_connections() {
    let mut network = Network::new(1, 1);
    let target = IdentityKey::from_seed(&[99; 32]).address();
    for connection in 0..300 {
        let connection = ConnectionId(2000 + connection);
        network.input(0, Input::Connect { port: PORT, connection, target });
    }
    let busy = |event: &Event| matches!(event, Event::ConnectFailed { why: Close::Busy, .. });
    let busy = network.happened.iter().filter(|happened| busy(&happened.event)).count();
    assert_eq!(busy, 300 - limits::MAX_CONNECTIONS_PER_PORT);
    assert_eq!(network.counters(0).live.connections as usize, limits::MAX_CONNECTIONS_PER_PORT);
}

#[test]
fn the_owner_waits_for_the_seekers_first_packet() {
    let mut network = Network::line(3, 1);
    network.connect(0, 2);
    network.run(SECOND);
    let (ours, theirs) = (network.last_trail(0, false), network.last_trail(2, true));
    network.send(2, theirs, "too early");
    network.run(SECOND);
    assert_eq!((network.received(0).len(), network.counters(2).drops.early), (0, 1));
    network.send(0, ours, "first");
    network.run(SECOND);
    network.send(2, theirs, "now");
    network.run(SECOND);
    assert_eq!(network.received(0), vec![(ours, "now".into())]);
}

#[test]
fn the_congestion_mark_and_the_bytes_arrive_unchanged() {
    let mut network = Network::line(3, 1);
    network.connect(0, 2);
    network.run(SECOND);
    let ours = network.last_trail(0, false);
    let body: bytes::Bytes = (0..mute_core::wire::MAX_DATA_BODY).map(|n| n as u8).collect::<Vec<_>>().into();
    network.input(0, Input::Data { trail: ours, ecn: Ecn::Experienced, body: body.clone() });
    network.run(SECOND);
    let arrived = network
        .happened
        .iter()
        .any(|h| matches!(&h.event, Event::Data { ecn: Ecn::Experienced, body: arrived, .. } if *arrived == body));
    assert!(arrived);
    let mut longer = body.to_vec();
    longer.push(0);
    network.send(0, ours, longer);
    network.send(0, ours, "");
    assert_eq!(network.counters(0).drops.invalid, 2);
}

#[test]
fn an_address_lives_at_one_port_only_and_again_when_that_is_closed() {
    let mut network = Network::line(2, 1);
    network.input(0, Input::OpenPort { port: OTHER, key: identity(0) });
    assert_eq!(network.counters(0).live.ports, 1);
    network.input(0, Input::ClosePort { port: PORT });
    network.input(0, Input::OpenPort { port: OTHER, key: identity(0) });
    network.input(0, Input::Listen { port: OTHER, listening: true });
    network.connect(1, 0);
    network.run(SECOND);
    network.talk(1, 0);
}
