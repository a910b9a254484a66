//! The parameters of the QUIC inside MUTE, the same for all, so that they tell nobody from another.

use std::{
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use quinn::{
    AckFrequencyConfig, ClientConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt,
    congestion::CubicConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use quinn_proto::RandomConnectionIdGenerator;

use mute_core::Shape;

use super::{Error, seal, window};

/// The largest inner packet where there are no size classes, in bytes, used from the start: what the prototype carried at 0.9 of the
/// floor's speed.
const MTU: u16 = 15_000;

/// The largest inner packet, in bytes, used from the start: the one that fills the largest size class, where there are some.
fn mtu(shape: &Shape) -> u16 {
    seal::longest_payload(shape).and_then(|longest| u16::try_from(longest).ok()).unwrap_or(MTU)
}

/// The room for a received packet, in bytes: what is opened ends with its envelope (perhaps a proof, what fills it up, a kind).
fn place(shape: &Shape) -> u16 {
    let largest = shape.sizes.last().and_then(|largest| u16::try_from(*largest).ok());
    largest.unwrap_or(MTU + seal::PROOF as u16 + 1)
}

/// The congestion window before anything is known, in packets. One or two would leave nothing to detect a loss by; RFC 9002 has
/// ten, of a tenth the size. At 1 MB/s it is 120 ms of queue, which CoDel bears.
const INITIAL_PACKETS: u64 = 8;

/// The round trip before anything is known, beside what the two identities add. The handshake only starts once a trail is laid, so waiting
/// for a lost first packet is three times this; QUIC's 333 ms would be a second, which a user notices.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// How many packets may overtake one before it counts as lost: classes and queues on the way reorder a little, and QUIC's
/// 3 would take that for congestion.
const PACKET_THRESHOLD: u32 = 64;

/// How many packets may come before they are acknowledged (or after `MAX_ACK_DELAY`): with 15 KB each, an answer to
/// every second one is a third of all packets for nothing.
const ACK_EVERY: u32 = 10;

/// How long an acknowledgement may be held back; QUIC's default.
const MAX_ACK_DELAY: Duration = Duration::from_millis(25);

/// A connection without a sign of the peer ends after this. Longer than the router takes to lay a lost trail anew or to
/// give up, so that the router's answer comes first.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a silent connection waits before it says that it is alive: several times within [`IDLE_TIMEOUT`].
const KEEP_ALIVE: Duration = Duration::from_secs(17);

/// Channels that a peer may have open at once on one connection; more wait.
const MAX_CHANNELS: u32 = 256;

/// What one attempt to connect may have in store before it is accepted, in bytes.
const INCOMING_BUFFER: u64 = 64 << 10;

/// The one server name: never looked at, always the same.
const SERVER_NAME: &str = "mute";

/// The parameters of every connection.
fn transport(shape: &Shape) -> Arc<TransportConfig> {
    let mtu = mtu(shape);
    let mut cubic = CubicConfig::default();
    cubic.initial_window(INITIAL_PACKETS * u64::from(mtu));
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(ACK_EVERY.into()).max_ack_delay(Some(MAX_ACK_DELAY));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(MAX_CHANNELS.into())
        .max_concurrent_uni_streams(0_u32.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(IDLE_TIMEOUT).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(varint(window::CHANNEL_RECEIVE))
        .receive_window(varint(window::MIN_RECEIVE))
        .send_window(window::MIN_SEND)
        .packet_threshold(PACKET_THRESHOLD)
        .initial_rtt(INITIAL_RTT + 2 * shape.turnaround)
        // Never another size: the search for one, and its fall back after losses that are congestion, know nothing of trails.
        .initial_mtu(mtu)
        .min_mtu(mtu)
        .mtu_discovery_config(None)
        .ack_frequency_config(Some(acks))
        .allow_spin(false)
        .congestion_controller_factory(Arc::new(cubic))
        .enable_segmentation_offload(false);
    Arc::new(transport)
}

fn varint(bytes: u64) -> VarInt {
    VarInt::from_u64(bytes).unwrap_or(VarInt::MAX)
}

/// The made-up address of this end. Each connection has a socket of its own (see [`super::socket`]), so two constants do.
pub(crate) const HERE: SocketAddr = made_up(1);
/// The made-up address of the peer.
pub(crate) const THERE: SocketAddr = made_up(2);

const fn made_up(host: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host)), 1)
}

/// The parameters of every endpoint.
pub(crate) fn endpoint(shape: &Shape) -> Result<EndpointConfig, Error> {
    let mut config = EndpointConfig::default();
    // Of no length: nothing in a packet names its connection, the trail does.
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(0)));
    config.max_udp_payload_size(place(shape)).map_err(|_| Error::internal("a packet size that QUIC does not know"))?;
    Ok(config)
}

/// The dialling side.
pub(crate) fn client(tls: rustls::ClientConfig, shape: &Shape) -> Result<ClientConfig, Error> {
    let tls = QuicClientConfig::try_from(tls).map_err(|_| Error::internal("no cipher for QUIC"))?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(transport(shape));
    Ok(config)
}

/// The listening side.
pub(crate) fn server(tls: rustls::ServerConfig, shape: &Shape) -> Result<ServerConfig, Error> {
    let tls = QuicServerConfig::try_from(tls).map_err(|_| Error::internal("no cipher for QUIC"))?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(transport(shape))
        .max_incoming(1)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER)
        .migration(false);
    Ok(config)
}

/// Begins a handshake.
pub(crate) fn connect(endpoint: &quinn::Endpoint, config: ClientConfig) -> Result<quinn::Connecting, Error> {
    endpoint
        .connect_with(config, THERE, SERVER_NAME)
        .map_err(|_| Error::internal("the connection could not be started"))
}
