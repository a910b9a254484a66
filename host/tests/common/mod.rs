//! What the tests of links and nodes share: nodes on loopback, and a neighbour that does as the test says.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use mute::{
    link::{NodeKey, NodeSecret, PeerAddress, SERVER_NAME, client_config},
    node::{self, Handle, NeighbourStatus, NodeConfig, Packet, Port, Status},
};
use mute_core::{
    Ecn, Event, IdentityKey, NetworkId, TrailId,
    wire::{Hello, LinkMessage},
};
use quinn::{Connection, ConnectionError, Endpoint, SendStream};
use tokio::sync::mpsc;

/// The network of the tests.
pub(crate) const NETWORK: NetworkId = NetworkId([7; 16]);

/// The numbers of the lanes, as they stand in the first byte of a stream.
pub(crate) const CONTROL: u8 = 0;
pub(crate) const INTERACTIVE: u8 = 1;
pub(crate) const FLOOD: u8 = 2;
pub(crate) const BULK: u8 = 3;

/// How long anything may take on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(40);

/// The secret of the node with this number.
pub(crate) fn secret(number: u8) -> NodeSecret {
    NodeSecret::from_seed(&[number; 32])
}

/// The configuration of the node with this number, on a free port.
pub(crate) fn config(number: u8) -> NodeConfig {
    NodeConfig::new(secret(number), NETWORK, mute_core::Profile::Fast)
}

/// Starts the node with this number, on a free port, without neighbours.
pub(crate) async fn start(number: u8) -> Handle {
    node::start(config(number)).await.expect("a node")
}

pub(crate) async fn status(node: &Handle) -> Status {
    node.status().await.expect("the node runs")
}

/// Where a node is dialled.
pub(crate) async fn peer(node: &Handle) -> PeerAddress {
    let status = status(node).await;
    PeerAddress { key: status.key, host: status.listen.ip().to_string(), port: status.listen.port() }
}

/// Waits until a node's status is as it should be.
pub(crate) async fn until(node: &Handle, what: &str, mut holds: impl FnMut(&Status) -> bool) -> Status {
    let wait = async {
        loop {
            let status = status(node).await;
            if holds(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(status) => status,
        Err(_) => panic!("{what} did not come to pass: {:?}", status(node).await),
    }
}

pub(crate) fn neighbour(status: &Status, key: NodeKey) -> Option<&NeighbourStatus> {
    status.neighbours.iter().find(|neighbour| neighbour.key == key)
}

/// Whether there is a link with this neighbour.
pub(crate) fn is_up(status: &Status, key: NodeKey) -> bool {
    neighbour(status, key).is_some_and(|neighbour| neighbour.link.is_some())
}

/// Dials `to` and waits until both have the link.
pub(crate) async fn connect(from: &Handle, to: &Handle) {
    let (ours, theirs) = (peer(from).await, peer(to).await);
    from.add_peer(theirs.clone()).await.expect("a peer");
    until(from, "the dialler's link", |status| is_up(status, theirs.key)).await;
    until(to, "the listener's link", |status| is_up(status, ours.key)).await;
}

/// A neighbour that speaks TLS and QUIC as it should, and above that whatever the test says.
pub(crate) struct Raw {
    pub(crate) connection: Connection,
    _endpoint: Endpoint,
}

impl Raw {
    /// Proves the key with this number to the node at `to`.
    pub(crate) async fn dial(number: u8, to: &PeerAddress) -> Self {
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket");
        let config = client_config(&secret(number), to.key).expect("a configuration");
        let address: SocketAddr = SocketAddr::new(to.host.parse().expect("an IP address"), to.port);
        let connecting = endpoint.connect_with(config, address, SERVER_NAME).expect("an attempt");
        Self { connection: connecting.await.expect("a connection"), _endpoint: endpoint }
    }

    /// The same, with a proper Hello, and the control stream that it is on.
    pub(crate) async fn greet(number: u8, to: &PeerAddress) -> (Self, SendStream) {
        let raw = Self::dial(number, to).await;
        let control = raw.open(CONTROL, &LinkMessage::Hello(Hello::new(NETWORK)).encode()).await;
        (raw, control)
    }

    /// Opens a stream for a lane and writes these bytes.
    pub(crate) async fn open(&self, lane: u8, bytes: &[u8]) -> SendStream {
        let mut stream = self.connection.open_uni().await.expect("a stream");
        // The node may close the link before it has read all.
        let _ = stream.write_all(&[&[lane], bytes].concat()).await;
        stream
    }

    /// The code that the node closes the link with.
    pub(crate) async fn close_code(&self) -> u64 {
        match tokio::time::timeout(PATIENCE, self.connection.closed()).await {
            Ok(ConnectionError::ApplicationClosed(close)) => close.error_code.into_inner(),
            other => panic!("not closed with a code: {other:?}"),
        }
    }
}

/// A frame's bytes behind its length.
pub(crate) fn framed(frame: &[u8]) -> Bytes {
    let length = u16::try_from(frame.len()).expect("a short frame");
    [&length.to_be_bytes()[..], frame].concat().into()
}

/// One end of a trail: what the streams above are built on.
pub(crate) struct End {
    /// Keeps the port open; its events are read to the end.
    pub(crate) port: Port,
    pub(crate) trail: TrailId,
    pub(crate) packets: mpsc::Receiver<Packet>,
}

impl End {
    /// Sends a packet, waiting for room.
    pub(crate) async fn send(&self, body: Bytes) {
        let mut packet = Packet { ecn: Ecn::Capable0, body };
        while let Err(back) = self.port.sender.try_send(self.trail, packet) {
            packet = back;
            self.port.sender.writable().await.expect("the node runs");
        }
    }

    /// The next packet.
    pub(crate) async fn receive(&mut self) -> Packet {
        let received = tokio::time::timeout(PATIENCE, self.packets.recv()).await;
        received.expect("a packet in time").expect("an open trail")
    }
}

/// The next trail of a port.
async fn opened(mut port: Port) -> End {
    loop {
        let event = tokio::time::timeout(PATIENCE, port.events.recv()).await.expect("an event in time");
        if let Event::TrailOpened { trail, .. } = event.expect("an open port") {
            let (to, packets) = mpsc::channel(1024);
            port.sender.route_packets(trail, to);
            return End { port, trail, packets };
        }
    }
}

/// Lays a trail from a fresh identity of one node to one of another, and sends a packet each way.
pub(crate) async fn lay(from: &Handle, to: &Handle, number: u8) -> (End, End) {
    let identity = |kind: u8| IdentityKey::from_seed(&[kind.wrapping_add(number); 32]);
    let owner = to.open_port(identity(128)).await.expect("a port");
    owner.sender.listen(true).await.expect("the node runs");
    let seeker = from.open_port(identity(64)).await.expect("a port");
    let connection = seeker.sender.connection_id();
    seeker.sender.connect(connection, identity(128).address()).await.expect("the node runs");
    let (mut seeker, mut owner) = tokio::join!(opened(seeker), opened(owner));
    seeker.send(Bytes::from_static(b"there")).await;
    assert_eq!(owner.receive().await.body, "there");
    owner.send(Bytes::from_static(b"and back")).await;
    assert_eq!(seeker.receive().await.body, "and back");
    (seeker, owner)
}
