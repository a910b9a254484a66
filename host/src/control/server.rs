//! The daemon's end of the control socket.

use std::{future::Future, io, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::{
    codec::{FramedRead, FramedWrite, LengthDelimitedCodec},
    sync::CancellationToken,
};

use super::{
    PROTOCOL, Reply, Request,
    codec::{MAX_REPLY_BYTES, MAX_REQUEST_BYTES, decode_request, encode, framing},
};
use crate::{
    error::{Context as _, Error, Kind, Result},
    home::Home,
};

/// Command lines at once; more than a person or a script has, few enough that their buffers stay small.
const MAX_CLIENTS: usize = 64;
/// A client says hello at once, or is no client of ours.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Replies that wait for a slow client, before whoever makes them has to wait as well.
const WAITING_REPLIES: usize = 16;

/// What the daemon does for its clients.
pub trait Service: Send + Sync + 'static {
    /// Does what was asked. Ends early when `cancelled`; the server answers with its result.
    fn serve(
        &self,
        request: Request,
        replies: Replies,
        cancelled: CancellationToken,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Where a [`Service`] puts its replies.
#[derive(Clone)]
pub struct Replies(mpsc::Sender<Reply>);

impl Replies {
    /// Sends a reply, waiting for a slow client. Without a client it goes nowhere: the request is being cancelled.
    pub async fn send(&self, reply: Reply) {
        let _ = self.0.send(reply).await;
    }
}

/// A bound control socket.
pub struct Server {
    listener: UnixListener,
}

impl Server {
    /// Binds the socket of `home`. Only the holder of the home's lock may do this: what lies there is a leftover.
    pub fn bind(home: &Home) -> Result<Self> {
        home.check_socket_path()?;
        let path = home.control_socket();
        let bind = || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // The home is closed to others already, so nobody gets in between these two.
            let listener = UnixListener::bind(&path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        Ok(Self { listener: bind().context(format_args!("cannot listen on {}", path.display()))? })
    }

    /// Serves clients until cancelled.
    pub async fn run<S: Service>(self, service: Arc<S>, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(MAX_CLIENTS));
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, most likely: they may be fewer soon.
                    tracing::warn!(%error, "cannot accept a client on the control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // A client too many is dropped; it learns that the daemon has gone.
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
            if !is_same_user(&stream) {
                tracing::warn!("another user tried the control socket");
                continue;
            }
            let session = Session::new(stream, Arc::clone(&service));
            let stop = stop.clone();
            tokio::spawn(async move {
                if let Some(Err(error)) = stop.run_until_cancelled(session.run()).await {
                    tracing::debug!(%error, "a control client ended");
                }
                drop(slot);
            });
        }
    }
}

/// Whether the process at the other end runs as this one's user.
fn is_same_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

/// One client.
struct Session<S> {
    reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    writer: FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
    service: Arc<S>,
}

impl<S: Service> Session<S> {
    fn new(stream: UnixStream, service: Arc<S>) -> Self {
        let (reader, writer) = stream.into_split();
        let reader = FramedRead::new(reader, framing(MAX_REQUEST_BYTES));
        Self { reader, writer: FramedWrite::new(writer, framing(MAX_REPLY_BYTES)), service }
    }

    async fn run(mut self) -> Result<()> {
        let hello = timeout(HELLO_TIMEOUT, self.request()).await.map_err(|_| Error::failure("no hello in time"))??;
        let Some(Request::Hello { protocol }) = hello else { return Err(Error::failure("no hello")) };
        self.reply(Reply::Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").into() }).await?;
        if protocol != PROTOCOL {
            return Ok(());
        }
        while let Some(request) = self.request().await? {
            match request {
                // What it would cancel has ended already.
                Request::Cancel => {}
                request => self.serve(request).await?,
            }
        }
        Ok(())
    }

    /// Answers one request. An error means that the client has gone.
    async fn serve(&mut self, request: Request) -> Result<()> {
        let service = Arc::clone(&self.service);
        let cancelled = CancellationToken::new();
        // A client that goes away cancels what it asked for.
        let _guard = cancelled.clone().drop_guard();
        let (sender, mut replies) = mpsc::channel(WAITING_REPLIES);
        let mut work = std::pin::pin!(service.serve(request, Replies(sender), cancelled.clone()));
        let result = loop {
            tokio::select! {
                biased;
                Some(reply) = replies.recv() => self.reply(reply).await?,
                result = &mut work => break result,
                request = self.request() => match request? {
                    Some(Request::Cancel) => cancelled.cancel(),
                    Some(_) => return Err(Error::failure("a request in the middle of another")),
                    None => return Ok(()),
                },
            }
        };
        while let Ok(reply) = replies.try_recv() {
            self.reply(reply).await?;
        }
        self.reply(result.map_or_else(Reply::Failed, |()| Reply::Done)).await
    }

    async fn request(&mut self) -> Result<Option<Request>> {
        match self.reader.next().await {
            Some(frame) => decode_request(&frame.context("control socket")?).map(Some),
            None => Ok(None),
        }
    }

    async fn reply(&mut self, reply: Reply) -> Result<()> {
        let bytes = match encode(&reply, MAX_REPLY_BYTES) {
            Ok(bytes) => bytes,
            // The client learns of what it can't get.
            Err(error) => encode(&Reply::Failed(Error::new(Kind::Failure, error.to_string())), MAX_REPLY_BYTES)?,
        };
        self.writer.send(bytes).await.context("control socket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Client;

    /// Counts to the number that is the plugin's name, or waits until cancelled.
    struct Counting;

    impl Service for Counting {
        async fn serve(&self, request: Request, replies: Replies, cancelled: CancellationToken) -> Result<()> {
            match request {
                Request::Commands { plugin } => {
                    for number in 0..plugin.parse::<u32>().map_err(|_| Error::usage("not a number"))? {
                        replies.send(Reply::Text(number.to_string())).await;
                    }
                    Ok(())
                }
                _ => {
                    replies.send(Reply::Text("waiting".into())).await;
                    cancelled.cancelled().await;
                    Err(Error::new(Kind::Cancelled, "cancelled"))
                }
            }
        }
    }

    async fn served() -> (tempfile::TempDir, Home, CancellationToken) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(Some(&folder.path().join("h"))).unwrap();
        home.create("").unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(Server::bind(&home).unwrap().run(Arc::new(Counting), stop.clone()));
        (folder, home, stop)
    }

    #[tokio::test]
    async fn many_replies_one_error_and_the_next_request() {
        let (_folder, home, _stop) = served().await;
        let mut client = Client::connect(&home).await.unwrap();
        let count = |plugin: &str| Request::Commands { plugin: plugin.into() };
        assert_eq!(client.call(&count("1000")).await.unwrap().len(), 1000);
        assert_eq!(client.call(&count("x")).await.unwrap_err(), Error::usage("not a number"));
        assert!(matches!(&client.call(&count("1")).await.unwrap()[..], [Reply::Text(text)] if text == "0"));
    }

    #[tokio::test]
    async fn a_request_can_be_cancelled() {
        let (_folder, home, _stop) = served().await;
        let mut client = Client::connect(&home).await.unwrap();
        client.send(&Request::Status).await.unwrap();
        assert!(matches!(client.next().await.unwrap(), Some(Reply::Text(text)) if text == "waiting"));
        client.send(&Request::Cancel).await.unwrap();
        assert_eq!(client.next().await.unwrap_err().kind(), Kind::Cancelled);
    }

    #[tokio::test]
    async fn clients_beyond_the_bound_are_turned_away_and_the_others_served() {
        let (_folder, home, _stop) = served().await;
        let mut clients = Vec::new();
        for _ in 0..MAX_CLIENTS {
            clients.push(Client::connect(&home).await.unwrap());
        }
        assert!(Client::connect(&home).await.is_err());
        for client in &mut clients {
            client.call(&Request::Commands { plugin: "2".into() }).await.unwrap();
        }
    }

    #[tokio::test]
    async fn nonsense_and_another_version_end_only_their_client() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (_folder, home, _stop) = served().await;
        for nonsense in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02\xc1\xc1", b"\0\0\0\x01\xc0"] {
            let mut stream = UnixStream::connect(home.control_socket()).await.unwrap();
            stream.write_all(nonsense).await.unwrap();
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
        }
        let mut stream = UnixStream::connect(home.control_socket()).await.unwrap();
        let hello = encode(&Request::Hello { protocol: PROTOCOL + 1 }, MAX_REQUEST_BYTES).unwrap();
        FramedWrite::new(&mut stream, framing(MAX_REQUEST_BYTES)).send(hello).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.is_empty());
        Client::connect(&home).await.unwrap().call(&Request::Commands { plugin: "1".into() }).await.unwrap();
    }

    #[tokio::test]
    async fn the_socket_is_the_owners_and_no_daemon_is_told() {
        let (_folder, home, stop) = served().await;
        let mode = std::fs::metadata(home.control_socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        stop.cancel();
        loop {
            match Client::connect(&home).await {
                Err(error) if error.kind() == Kind::NotRunning => break,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}
