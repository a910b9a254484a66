//! The floor: plain QUIC forwarders. Each takes streams from the hop before it and copies them to and from the next one.

use std::{net::SocketAddr, sync::Arc};

use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};

use super::traffic::Stream;
use crate::{
    error::{Context as _, Error, Result},
    link::{NodeKey, NodeSecret, SERVER_NAME, tls},
};

/// The UDP payload of every packet, as on the links of MUTE once they know the path.
const MTU_BYTES: u16 = 1452;
/// What one stream may have in flight; the same as in the prototype whose figures are the aim's base.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// The same for a connection.
const WINDOW_BYTES: u32 = 16 << 20;
/// How much is copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// One forwarder, or an end of the chain.
pub(super) struct Plain {
    endpoint: Endpoint,
    secret: NodeSecret,
    next: Option<Connection>,
}

/// The error of a chain that could not be made.
fn refused(error: impl std::fmt::Display) -> Error {
    Error::failure(format!("quic refuses: {error}"))
}

fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .initial_mtu(MTU_BYTES)
        .mtu_discovery_config(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES))
        .keep_alive_interval(Some(std::time::Duration::from_secs(5)));
    Arc::new(config)
}

impl Plain {
    /// A forwarder on a port that the system chooses, on loopback.
    pub(super) fn bind(secret: NodeSecret) -> Result<Self> {
        let crypto = QuicServerConfig::try_from(tls::server(&secret).map_err(refused)?).map_err(refused)?;
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        server.transport_config(transport());
        let socket =
            std::net::UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).context("cannot open a socket")?;
        crate::link::widen(&socket);
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(server), socket, Arc::new(quinn::TokioRuntime));
        Ok(Self { endpoint: endpoint.context("cannot open a socket")?, secret, next: None })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.endpoint.local_addr().context("cannot read the socket's address")
    }

    /// Connects to the next hop.
    pub(super) async fn link(&mut self, key: NodeKey, address: SocketAddr) -> Result<()> {
        let crypto = tls::client(&self.secret, key).map_err(refused)?;
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto).map_err(refused)?));
        config.transport_config(transport());
        let connecting = self.endpoint.connect_with(config, address, SERVER_NAME).map_err(refused)?;
        self.next = Some(connecting.await.map_err(refused)?);
        Ok(())
    }

    /// A stream to the far end, over the next hop.
    pub(super) async fn open(&self) -> Result<Stream> {
        let next = self.next.as_ref().ok_or_else(|| refused("there is no next hop"))?;
        let (writer, reader) = next.open_bi().await.map_err(refused)?;
        Ok(Stream::Plain(writer, reader))
    }

    /// Forwards streams from the hop before this one, or answers them where there is no next hop.
    pub(super) fn serve(&self) {
        let (endpoint, next) = (self.endpoint.clone(), self.next.clone());
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let Ok(connection) = incoming.await else { continue };
                tokio::spawn(streams(connection, next.clone()));
            }
        });
    }
}

async fn streams(connection: Connection, next: Option<Connection>) {
    while let Ok((writer, reader)) = connection.accept_bi().await {
        let Some(next) = next.clone() else {
            tokio::spawn(Stream::Plain(writer, reader).answer());
            continue;
        };
        tokio::spawn(async move {
            let Ok((onward, back)) = next.open_bi().await else { return };
            // A copy that breaks drops its streams, which resets them; the ends notice.
            let _ = tokio::join!(copy(reader, onward), copy(back, writer));
        });
    }
}

async fn copy(mut from: RecvStream, mut to: SendStream) -> Option<()> {
    while let Some(chunk) = from.read_chunk(CHUNK_BYTES, true).await.ok()? {
        to.write_chunk(chunk.bytes).await.ok()?;
    }
    to.finish().ok()?;
    to.stopped().await.ok()?;
    Some(())
}
