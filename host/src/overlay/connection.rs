//! A connection between two addresses.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mute_core::Address;
use quinn::VarInt;
use tokio::sync::Notify;

use super::{
    Channel, Error,
    error::{code, own_reason},
    identity::{Life, Line},
    socket::TrailSocket,
    window::Windows,
};

/// How often a connection looks whether channels wait for a larger window: too seldom for a host to notice, and a stall
/// takes three looks at most.
const LOOK: Duration = Duration::from_millis(500);

/// How long a connection that nobody holds any more stays open, so that the acknowledgement of what was read last goes
/// out first: twice what QUIC may hold one back.
const LINGER: Duration = Duration::from_millis(50);

/// How long a closed connection tells the peer so.
pub(crate) const DRAIN: Duration = Duration::from_secs(3);

/// How a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The smoothed round trip to the peer.
    pub round_trip: Duration,
    /// Bytes written to channels.
    pub bytes_sent: u64,
    /// Bytes read from channels.
    pub bytes_received: u64,
    /// 0 nothing, 1 a route, 2 the peer.
    pub waiting_for: u32,
}

/// A reliable, encrypted connection between two addresses. Cheap to clone; it closes when the last clone and the last
/// channel are dropped.
#[derive(Clone)]
pub struct Connection(pub(crate) Arc<Live>);

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection(…)")
    }
}

/// What the clones and channels of a connection share.
pub(crate) struct Live {
    pub(crate) quinn: quinn::Connection,
    pub(crate) windows: Windows,
    /// Who waits for bytes or channels of the peer.
    pub(crate) waiting: AtomicU32,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    peer: Address,
    peer_is_proven: bool,
    socket: Arc<TrailSocket>,
    state: Arc<State>,
    /// An identity lives as long as its connections.
    _life: Arc<Life>,
}

/// What a connection and its steward tell each other.
#[derive(Default)]
struct State {
    /// Why this side closed.
    closed: OnceLock<Error>,
    /// Nobody holds the connection any more.
    abandoned: Notify,
}

/// What a handshake has brought about.
pub(crate) struct Parts {
    pub(crate) quinn: quinn::Connection,
    pub(crate) endpoint: quinn::Endpoint,
    pub(crate) windows: Windows,
    pub(crate) peer: Address,
    pub(crate) peer_is_proven: bool,
}

impl Connection {
    /// Starts the steward, which keeps the trails in order and cleans up at the end.
    pub(crate) fn start(parts: Parts, line: Line, life: Arc<Life>) -> Self {
        let Parts { quinn, endpoint, windows, peer, peer_is_proven } = parts;
        let state = Arc::new(State::default());
        let live = Arc::new(Live {
            quinn: quinn.clone(),
            windows,
            waiting: AtomicU32::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            peer,
            peer_is_proven,
            socket: line.socket().clone(),
            state: state.clone(),
            _life: life.clone(),
        });
        let steward = Steward { quinn, endpoint, live: Arc::downgrade(&live), state, line };
        life.spawn(steward.run());
        Self(live)
    }

    /// The peer's address; a one-time address where the peer does not show its own.
    pub fn peer(&self) -> Address {
        self.0.peer
    }

    /// Whether [`Self::peer`] is an identity that the peer has proven to own.
    pub fn peer_is_proven(&self) -> bool {
        self.0.peer_is_proven
    }

    /// Opens a channel; waits while the peer has as many as it allows. The peer hears of it at once.
    ///
    /// # Errors
    /// Why the connection ended.
    pub async fn open(&self) -> Result<Channel, Error> {
        let (send, receive) = self.0.quinn.open_bi().await.map_err(|error| self.0.error(&error))?;
        Channel::opened(send, receive, self.0.clone()).await
    }

    /// The next channel that the peer opened.
    ///
    /// # Errors
    /// Why the connection ended.
    pub async fn accept(&self) -> Result<Channel, Error> {
        let waiting = Waiting::new(&self.0);
        let (send, receive) = self.0.quinn.accept_bi().await.map_err(|error| self.0.error(&error))?;
        drop(waiting);
        Ok(Channel::accepted(send, receive, self.0.clone()))
    }

    /// How the connection is doing.
    pub fn stats(&self) -> Stats {
        Stats {
            round_trip: self.0.quinn.rtt(),
            bytes_sent: self.0.sent.load(Ordering::Relaxed),
            bytes_received: self.0.received.load(Ordering::Relaxed),
            waiting_for: if self.0.quinn.close_reason().is_some() { 0 } else { self.0.socket.waiting_for() },
        }
    }

    /// Ends the connection at once, whatever is under way. The peer sees the code and (at most 256 bytes of) the reason.
    pub fn close(&self, code: u32, reason: &str) {
        self.0.close(Error::new(code, "the connection was closed on this side"), reason);
    }

    /// Waits for the end of the connection and tells why.
    pub async fn closed(&self) -> Error {
        let error = self.0.quinn.closed().await;
        self.0.error(&error)
    }
}

/// One of [`Live::waiting`].
struct Waiting<'a>(&'a Live);

impl<'a> Waiting<'a> {
    fn new(live: &'a Live) -> Self {
        live.waiting.fetch_add(1, Ordering::Relaxed);
        Self(live)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Live {
    /// Why the connection ended, also where this side ended it.
    pub(crate) fn error(&self, error: &quinn::ConnectionError) -> Error {
        match (error, self.state.closed.get()) {
            (quinn::ConnectionError::LocallyClosed, Some(why)) => why.clone(),
            _ => error.into(),
        }
    }

    fn close(&self, why: Error, reason: &str) {
        close(&self.quinn, &self.state, why, reason);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.state.abandoned.notify_one();
    }
}

fn close(quinn: &quinn::Connection, state: &State, why: Error, reason: &str) {
    let code = why.code;
    let _ = state.closed.set(why);
    quinn.close(VarInt::from_u32(code), own_reason(reason));
}

/// Looks after a connection from its handshake to its end.
struct Steward {
    quinn: quinn::Connection,
    endpoint: quinn::Endpoint,
    live: Weak<Live>,
    state: Arc<State>,
    line: Line,
}

impl Steward {
    async fn run(self) {
        self.attend().await;
        // The peer should hear of the end before the trail is taken away.
        let _ = tokio::time::timeout(DRAIN, self.endpoint.wait_idle()).await;
    }

    /// Returns when the connection has ended.
    async fn attend(&self) {
        let socket = self.line.socket();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut next = None;
        loop {
            tokio::select! {
                _ = self.quinn.closed() => return,
                error = socket.failed() => {
                    // Nobody hears the reason: there is no way to the peer.
                    return close(&self.quinn, &self.state, error, "");
                }
                () = self.line.ending() => {
                    let why = Error::closed("the identity was closed");
                    return close(&self.quinn, &self.state, why, "");
                }
                () = self.state.abandoned.notified() => {
                    tokio::time::sleep(LINGER).await;
                    return close(&self.quinn, &self.state, Error::new(code::CLOSED, "the connection was dropped"), "");
                }
                () = socket.retirement() => next = self.line.retire(),
                () = until(next) => next = self.line.retire(),
                _ = look.tick() => self.look(),
            }
        }
    }

    fn look(&self) {
        let Some(live) = self.live.upgrade() else { return };
        if live.waiting.load(Ordering::Relaxed) > 0 {
            live.windows.on_waiting(&self.quinn);
        }
    }
}

/// Waits for a point in time, or for ever.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
