//! Connecting: a trail, a handshake, the first words.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use mute_core::Address;
use tokio::time::timeout;

use super::{
    ConnectOptions, Connection, Error,
    connection::Parts,
    error::code,
    identity::{Life, Line, Side},
    preface::{MAX_PREFACE, Preface},
    socket::TrailSocket,
    tls, transport,
    window::Windows,
};

/// The longest that a connection may be tried for. Nobody waits longer, and a wait without an end would hold memory.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// How far a connection has come, for the message of a timeout.
#[derive(Default)]
struct Progress(AtomicU8);

impl Progress {
    const ROUTE: u8 = 0;
    const HANDSHAKE: u8 = 1;
    const WELCOME: u8 = 2;

    fn reach(&self, stage: u8) {
        self.0.store(stage, Ordering::Relaxed);
    }

    fn timed_out(&self) -> Error {
        let message = match self.0.load(Ordering::Relaxed) {
            Self::ROUTE => "no route to the address was found in time",
            Self::HANDSHAKE => "a route was found, but the peer did not answer in time",
            _ => "the peer answered, but did not take the connection in time",
        };
        Error::new(code::TIMED_OUT, message)
    }
}

/// Connects; dropping the future takes everything back.
pub(crate) async fn connect(life: Arc<Life>, to: Address, options: &ConnectOptions) -> Result<Connection, Error> {
    let progress = Progress::default();
    match timeout(options.timeout.min(MAX_TIMEOUT), try_connect(life, to, options, &progress)).await {
        Ok(result) => result,
        Err(_) => Err(progress.timed_out()),
    }
}

async fn try_connect(
    life: Arc<Life>,
    to: Address,
    options: &ConnectOptions,
    progress: &Progress,
) -> Result<Connection, Error> {
    let shared = &life.shared;
    if shared.ending.is_cancelled() {
        return Err(Error::stopped());
    }
    let (permit, share) = shared.admit(Side::Dialled)?;
    let intent = shared.below.connection_id();
    // Its drop disconnects, so it comes first.
    let line = Line::new(shared.clone(), Some(intent), permit);
    shared.below.connect(intent, to).await?;
    let socket = line.socket().clone();
    tokio::select! {
        laid = socket.laid() => laid?,
        () = line.ending() => return Err(Error::stopped()),
    }
    progress.reach(Progress::HANDSHAKE);
    let key = if options.show_identity { shared.key.clone() } else { tls::one_time_key()? };
    let config = transport::client(tls::client(&key, to)?, &shared.shape)?;
    let endpoint = quinn::Endpoint::new_with_abstract_socket(
        shared.endpoint.clone(),
        None,
        socket.clone(),
        Arc::new(quinn::TokioRuntime),
    )
    .map_err(|_| Error::internal("the connection's endpoint could not be made"))?;
    let quinn = while_routed(&socket, &line, async {
        let connection = transport::connect(&endpoint, config)?;
        connection.await.map_err(|error| Error::from(&error))
    })
    .await?;
    progress.reach(Progress::WELCOME);
    while_routed(&socket, &line, introduce(&quinn, options)).await?;
    let parts = Parts { quinn, endpoint, windows: Windows::new(share, options.bulk), peer: to, peer_is_proven: true };
    Ok(Connection::start(parts, line, life.clone()))
}

/// Says what this side wants and waits until the peer wants it too.
async fn introduce(quinn: &quinn::Connection, options: &ConnectOptions) -> Result<(), Error> {
    let preface =
        Preface { protocol: options.protocol.clone(), shown: options.show_identity, bulk: options.bulk }.encode()?;
    let (mut words, mut reply) = quinn.open_bi().await.map_err(|error| Error::from(&error))?;
    words.write_all(&preface).await.map_err(|error| Error::from(&error))?;
    words.finish().map_err(|_| Error::internal("the preface was finished twice"))?;
    // The end is the answer; whatever stands before it is for versions to come.
    match reply.read_to_end(MAX_PREFACE).await {
        Ok(_) => Ok(()),
        Err(quinn::ReadToEndError::Read(error)) => Err((&error).into()),
        Err(quinn::ReadToEndError::TooLong) => Err(Error::closed("the peer broke the protocol of the connection")),
    }
}

/// Does something unless the router gives up or the identity ends before.
async fn while_routed<T>(
    socket: &TrailSocket,
    line: &Line,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        done = work => done,
        error = socket.failed() => Err(error),
        () = line.ending() => Err(Error::stopped()),
    }
}
