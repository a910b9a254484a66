//! How links come to be: a socket that listens, and dialling. Either ends with both sides having said Hello.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use mute_core::NetworkId;
use quinn::{Connection, ConnectionError, Endpoint, Incoming, RecvStream, SendStream};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{
    CloseCode, FromLink, NodeKey, NodeSecret, PeerAddress, SERVER_NAME,
    budget::{AcceptRates, network_of},
    endpoint::{client_config, peer_key},
    hello::{self, HelloError},
    meaning,
};

/// Incoming handshakes at once: each costs about a millisecond of computing and 100 KB.
const MAX_HANDSHAKES: usize = 64;

/// Of those, from one IP address: whoever wants to use them all up needs eight.
const MAX_HANDSHAKES_PER_ADDRESS: usize = MAX_HANDSHAKES / 8;

/// Beyond so many at once, whoever begins another proves first that its IP address is its own.
const BUSY_HANDSHAKES: usize = 8;

/// A neighbour that has not finished QUIC's handshake by then never will: it is three round trips of the slowest path,
/// and twice the time that QUIC itself waits in silence.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(6);

/// The same for the first message after it.
const HELLO_TIMEOUT: Duration = Duration::from_secs(3);

/// Of a name with many addresses, so many are tried.
const MAX_ADDRESSES: usize = 4;

/// A connection whose both sides have proven their keys and said Hello.
#[derive(Debug)]
pub(crate) struct Established {
    /// The neighbour.
    pub(crate) key: NodeKey,
    /// Whether this node dialled.
    pub(crate) dialled: bool,
    pub(crate) connection: Connection,
    /// The control stream that we opened.
    pub(super) control_out: SendStream,
    /// The control stream that the neighbour opened.
    pub(super) control_in: RecvStream,
}

/// Why dialling failed. Names no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialError {
    /// The name has no address.
    #[error("its host name has no address")]
    NoSuchHost,
    /// The address cannot be reached from our socket (another IP version).
    #[error("its address cannot be reached from the address that this node listens on")]
    Unusable,
    /// Nobody answers.
    #[error("it does not answer")]
    Unreachable,
    /// Whoever answers there does not prove the key, or is no MUTE node.
    #[error("who answers there does not prove the expected key")]
    Identity,
    /// The neighbour closed the link.
    #[error("{}", meaning(*.0))]
    Refused(u64),
    /// We closed the link.
    #[error("{0}")]
    Closed(CloseCode),
}

impl From<ConnectionError> for DialError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Refused(close.error_code.into_inner()),
            ConnectionError::TransportError(error) if is_tls(error.code.into()) => Self::Identity,
            ConnectionError::ConnectionClosed(close) if is_tls(close.error_code.into()) => Self::Identity,
            _ => Self::Unreachable,
        }
    }
}

/// Whether a transport error code is an alert of TLS (RFC 9001, 4.8).
fn is_tls(code: u64) -> bool {
    (0x100..0x200).contains(&code)
}

/// Says and hears Hello on a fresh connection; closes it with the reason if that fails.
async fn greet(connection: Connection, network: NetworkId, dialled: bool) -> Result<Established, DialError> {
    let greetings = async {
        let key = peer_key(&connection).ok_or(HelloError::Refused(CloseCode::NotWelcome))?;
        let (control_out, control_in) =
            tokio::try_join!(hello::say(&connection, network), hello::hear(&connection, network))?;
        Ok((key, control_out, control_in))
    };
    let failure = match timeout(HELLO_TIMEOUT, greetings).await {
        Ok(Ok((key, control_out, control_in))) => {
            return Ok(Established { key, dialled, connection, control_out, control_in });
        }
        Ok(Err(HelloError::Lost(lost))) => return Err(lost.into()),
        Ok(Err(HelloError::Refused(code))) => code,
        Err(_) => CloseCode::HelloTimeout,
    };
    connection.close(failure.code().into(), b"");
    Err(DialError::Closed(failure))
}

/// Dials a neighbour: each of its addresses in turn.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    secret: &NodeSecret,
    network: NetworkId,
    peer: &PeerAddress,
) -> Result<Established, DialError> {
    let config = client_config(secret, peer.key).map_err(|_| DialError::Unusable)?;
    let place = (peer.host.as_str(), peer.port);
    let addresses = timeout(HANDSHAKE_TIMEOUT, tokio::net::lookup_host(place)).await;
    let addresses: Vec<SocketAddr> = match addresses {
        Ok(Ok(addresses)) => addresses.take(MAX_ADDRESSES).collect(),
        _ => return Err(DialError::NoSuchHost),
    };
    let mut failure = DialError::NoSuchHost;
    for address in addresses {
        let Ok(connecting) = endpoint.connect_with(config.clone(), address, SERVER_NAME) else {
            failure = DialError::Unusable;
            continue;
        };
        match timeout(HANDSHAKE_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => return greet(connection, network, true).await,
            Ok(Err(error)) => failure = error.into(),
            Err(_) => failure = DialError::Unreachable,
        }
    }
    Err(failure)
}

/// Takes what others dial, until the endpoint is closed. Few handshakes at once, few from each IP address.
pub(crate) async fn accept(endpoint: Endpoint, network: NetworkId, node: mpsc::Sender<FromLink>) {
    let mut door = Door::default();
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = handshakes.join_next_with_id() => {
                door.under_way.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { return };
                let address = network_of(incoming.remote_address().ip());
                if let Some(incoming) = door.admit(incoming, address) {
                    let id = handshakes.spawn(welcome(incoming, network, node.clone())).id();
                    door.under_way.insert(id, address);
                }
            }
        }
    }
}

/// Finishes one incoming handshake and tells the node. Who the other side is has to be known before it can be refused.
async fn welcome(incoming: Incoming, network: NetworkId, node: mpsc::Sender<FromLink>) {
    let Ok(connecting) = incoming.accept() else {
        return;
    };
    let Ok(Ok(connection)) = timeout(HANDSHAKE_TIMEOUT, connecting).await else {
        return;
    };
    match greet(connection, network, false).await {
        // Fails only when the node has stopped; the connection is closed by being dropped.
        Ok(established) => drop(node.send(FromLink::Established(established)).await),
        Err(error) => tracing::debug!(%error, "an incoming link came to nothing"),
    }
}

/// Who may begin a handshake.
#[derive(Default)]
struct Door {
    /// Attempts by IP addresses that may be forged.
    unproven: AcceptRates,
    /// Attempts by IP addresses that have answered, so that nobody uses up another's rate.
    proven: AcceptRates,
    /// From where the handshakes come that are under way.
    under_way: HashMap<tokio::task::Id, IpAddr>,
}

impl Door {
    /// Lets a handshake begin, asks for a proof of its IP address, or drops it without an answer (which could be
    /// reflected at somebody else).
    fn admit(&mut self, incoming: Incoming, address: IpAddr) -> Option<Incoming> {
        let now = Instant::now();
        let under_way = self.under_way.len();
        let from_there = self.under_way.values().filter(|from| **from == address).count();
        if under_way >= MAX_HANDSHAKES || from_there >= MAX_HANDSHAKES_PER_ADDRESS {
            incoming.ignore();
            return None;
        }
        if incoming.remote_address_validated() {
            if self.proven.admit(address, now) {
                return Some(incoming);
            }
            incoming.ignore();
            return None;
        }
        if under_way < BUSY_HANDSHAKES && self.unproven.admit(address, now) {
            return Some(incoming);
        }
        // Fails only for those that have answered one already, which were told apart above.
        if let Err(error) = incoming.retry() {
            error.into_incoming().ignore();
        }
        None
    }
}
