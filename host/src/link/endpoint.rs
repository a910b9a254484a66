//! The socket of a node and how QUIC is set up on it.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Weak},
    time::Duration,
};

use mute_core::scheduler::Lane;
use quinn::{
    AsyncUdpSocket, ClientConfig, Endpoint, EndpointConfig, IdleTimeout, Runtime as _, ServerConfig, TransportConfig,
    VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use quinn_proto::HashedConnectionIdGenerator;

use super::{NodeKey, NodeSecret, tls};

/// How often a silent link says that it lives.
pub const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// A link that has said nothing for so long is lost. Three keep-alives (1.5 s) would do on a quiet machine; six, because
/// where two cores compile plugins, seal and verify, the tasks that answer can wait for more than a second, and a link
/// that flaps under load costs every trail on it. What a user waits for after a loss is this and a new trail.
pub const LOST_AFTER: Duration = Duration::from_secs(3);

/// What a neighbour may have sent on one stream without our having read it: the product of 250 MB/s and 16 ms.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// The same for the link as a whole: two stalled streams stall it. Bounds what a neighbour can make us hold.
const LINK_WINDOW_BYTES: u32 = 8 << 20;

/// What QUIC may hold of ours before it has a connection's congestion window; [`ahead`] follows that from there.
const SEND_WINDOW_BYTES: u64 = 64 << 10;

/// What QUIC may hold of ours that it cannot send yet, at least: two of the largest packets, so that there is something to send when an
/// acknowledgement comes. At 10 Mbit/s that is 26 ms.
const MIN_AHEAD_BYTES: u64 = 32 << 10;

/// The same where the path is fast: what it takes in half of the scheduler's target, for tasks wait for a processor that long.
const AHEAD: Duration = Duration::from_millis(5);

/// The same at most.
const MAX_AHEAD_BYTES: u64 = 1 << 20;

/// How large a socket buffer we ask for: what arrives in 20 ms at 200 MB/s. The system may grant less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Handshakes that QUIC may hold before we have seen them.
const MAX_INCOMING: usize = 64;

/// What each of those may have sent: a ClientHello with its ML-KEM key is about 1.5 KB.
const INCOMING_BUFFER_BYTES: u64 = 16 << 10;

/// The largest UDP payload of Ethernet, which is also what MTU discovery aims at.
const MAX_UDP_PAYLOAD_BYTES: u16 = 1472;

/// Why a node has no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is another program's, or another host's of ours.
    #[error("cannot listen on {0}: the port is taken; is another host running, or is another port free?")]
    Taken(SocketAddr),
    /// This machine does not have the address.
    #[error("cannot listen on {0}: this machine does not have that address")]
    NoSuchAddress(SocketAddr),
    /// Anything else that the system says.
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, io::Error),
    /// The cryptographic library refuses the configuration.
    #[error("cannot set up tls: {0}")]
    Tls(rustls::Error),
}

/// What QUIC may hold of ours that it cannot send yet, on a path with this congestion window and round trip: as little as keeps it busy, so that the rest waits
/// in our scheduler, where it can be ordered, marked and dropped.
pub(super) fn ahead(congestion_window: u64, round_trip: Duration) -> u64 {
    let round_trip_us = (round_trip.as_micros() as u64).max(1);
    let bytes = congestion_window.saturating_mul(AHEAD.as_micros() as u64) / round_trip_us;
    bytes.clamp(MIN_AHEAD_BYTES, MAX_AHEAD_BYTES)
}

/// What QUIC may hold of ours in all, unsent or unacknowledged.
pub(super) fn send_window(congestion_window: u64, ahead: u64) -> u64 {
    congestion_window.saturating_add(ahead).min(u64::from(LINK_WINDOW_BYTES))
}

/// What QUIC does on every link.
fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    let lost_after = u32::try_from(LOST_AFTER.as_millis()).unwrap_or(u32::MAX);
    config
        .max_concurrent_uni_streams(VarInt::from_u32(u32::from(Lane::COUNT)))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(LINK_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(lost_after))))
        .allow_spin(false);
    Arc::new(config)
}

/// The node's UDP socket with QUIC on it.
pub(crate) struct Bound {
    pub(crate) endpoint: Endpoint,
    /// Tells when the last task has let go of the socket.
    pub(crate) released: Released,
}

/// Tells when a socket is closed: quinn's tasks hold it a little longer than we do.
pub(crate) struct Released(Weak<dyn AsyncUdpSocket>);

impl Released {
    /// Waits until the port is free again, for whoever starts the next node on it.
    pub(crate) async fn wait(self, at_most: Duration) {
        let until = tokio::time::Instant::now() + at_most;
        while self.0.strong_count() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Opens the node's socket and QUIC on it.
pub(crate) fn bind(secret: &NodeSecret, listen: SocketAddr) -> Result<Bound, BindError> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken(listen),
        io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress(listen),
        _ => BindError::Other(listen, error),
    };
    let socket = UdpSocket::bind(listen).map_err(refused)?;
    widen(&socket);
    let runtime = Arc::new(quinn::TokioRuntime);
    let socket = runtime.wrap_udp_socket(socket).map_err(refused)?;
    let released = Released(Arc::downgrade(&socket));
    let mut config = EndpointConfig::new(Arc::new(reset_key(secret)));
    let ids = connection_ids(secret);
    config
        .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)))
        .max_udp_payload_size(MAX_UDP_PAYLOAD_BYTES)
        .map_err(|error| refused(io::Error::other(error)))?;
    let server = server_config(secret).map_err(BindError::Tls)?;
    let endpoint = Endpoint::new_with_abstract_socket(config, Some(server), socket, runtime).map_err(refused)?;
    Ok(Bound { endpoint, released })
}

/// Asks for large buffers. A system that grants less makes links slower, not wrong.
pub(crate) fn widen(socket: &UdpSocket) {
    use rustix::net::sockopt;
    for result in [
        sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER_BYTES),
        sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER_BYTES),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "the system keeps its own socket buffers");
        }
    }
}

/// With a key that is the same over restarts, a node that comes back can tell its neighbours at once that their links
/// with it are gone (RFC 9000, 10.3).
fn reset_key(secret: &NodeSecret) -> aws_lc_rs::hmac::Key {
    let key = secret.derive("mute/1 stateless reset key");
    aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_slice())
}

/// The key of the connection ids, the same over restarts: only to ids that it has made does a node answer with a reset.
fn connection_ids(secret: &NodeSecret) -> u64 {
    let key = secret.derive("mute/1 connection id key");
    let [a, b, c, d, e, f, g, h, ..] = *key;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn server_config(secret: &NodeSecret) -> Result<ServerConfig, rustls::Error> {
    let crypto = QuicServerConfig::try_from(tls::server(secret)?)
        .map_err(|_| rustls::Error::General("no cipher suite for QUIC's first packets".into()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    // A token would let whoever sees one link follow a node to another address.
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0);
    config
        .transport_config(transport())
        .validation_token_config(tokens)
        .migration(false)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER_BYTES)
        .incoming_buffer_size_total(INCOMING_BUFFER_BYTES * MAX_INCOMING as u64);
    Ok(config)
}

/// How to dial the node with this key.
pub fn client_config(secret: &NodeSecret, expected: NodeKey) -> Result<ClientConfig, rustls::Error> {
    let crypto = QuicClientConfig::try_from(tls::client(secret, expected)?)
        .map_err(|_| rustls::Error::General("no cipher suite for QUIC's first packets".into()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport());
    Ok(config)
}

/// The key that the other side of a connection has proven.
pub(crate) fn peer_key(connection: &quinn::Connection) -> Option<NodeKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()?;
    match identity.as_slice() {
        [spki] => tls::node_key(spki),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = bind(&NodeSecret::from_seed(&[1; 32]), ([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = first.endpoint.local_addr().expect("an address");
        let error = bind(&NodeSecret::from_seed(&[2; 32]), address).err().expect("the port is taken");
        assert!(matches!(error, BindError::Taken(taken) if taken == address));
        assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"));
    }

    #[test]
    fn the_send_window_follows_the_path_within_bounds() {
        let window = |congestion_window, round_trip| {
            send_window(congestion_window, ahead(congestion_window, Duration::from_micros(round_trip)))
        };
        assert_eq!(window(12_000, 100_000), 12_000 + (32 << 10));
        assert_eq!(window(4_000_000, 100_000), 4_200_000);
        assert_eq!(window(100_000, 1_000), 600_000);
        assert_eq!(window(1 << 20, 0), 2 << 20);
        assert_eq!(window(u64::MAX, 1), 8 << 20);
    }
}
