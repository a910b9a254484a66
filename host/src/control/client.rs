//! The command line's end of the control socket.

use std::io::ErrorKind;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use super::{
    PROTOCOL, Reply, Request, Status,
    codec::{MAX_REPLY_BYTES, MAX_REQUEST_BYTES, decode_reply, encode, framing},
};
use crate::{
    error::{Context as _, Error, Kind, Result},
    home::Home,
};

/// A connection to the daemon of a home.
pub struct Client {
    reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    writer: FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>,
}

impl Client {
    /// Connects to the daemon of `home` and agrees on the protocol.
    pub async fn connect(home: &Home) -> Result<Self> {
        home.must_be_initialised()?;
        home.check_socket_path()?;
        let stream = UnixStream::connect(home.control_socket()).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::new(
                Kind::NotRunning,
                format!("the daemon does not run: start it with `mute run{}`", home.flag()),
            ),
            _ => Error::failure(format!("cannot reach the daemon: {error}")),
        })?;
        let (reader, writer) = stream.into_split();
        let mut client = Self {
            reader: FramedRead::new(reader, framing(MAX_REPLY_BYTES)),
            writer: FramedWrite::new(writer, framing(MAX_REQUEST_BYTES)),
        };
        client.send(&Request::Hello { protocol: PROTOCOL }).await?;
        match client.next().await? {
            Some(Reply::Hello { protocol: PROTOCOL, .. }) => Ok(client),
            Some(Reply::Hello { version, .. }) => Err(Error::failure(format!(
                "the daemon is MUTE {version}, this is {}: restart the daemon",
                env!("CARGO_PKG_VERSION")
            ))),
            _ => Err(unexpected()),
        }
    }

    /// Sends a request; its replies come from [`Self::next`].
    pub async fn send(&mut self, request: &Request) -> Result<()> {
        self.writer.send(encode(request, MAX_REQUEST_BYTES)?).await.context("the daemon has gone")
    }

    /// The next reply to the request; `None` when it ended well, the daemon's error when it failed.
    pub async fn next(&mut self) -> Result<Option<Reply>> {
        let frame = self.reader.next().await.ok_or_else(|| Error::failure("the daemon has gone"))?;
        match decode_reply(&frame.context("the daemon has gone")?)? {
            Reply::Done => Ok(None),
            Reply::Failed(error) => Err(error),
            reply => Ok(Some(reply)),
        }
    }

    /// Sends a request and collects its replies.
    pub async fn call(&mut self, request: &Request) -> Result<Vec<Reply>> {
        self.send(request).await?;
        let mut replies = Vec::new();
        while let Some(reply) = self.next().await? {
            replies.push(reply);
        }
        Ok(replies)
    }

    /// How the node is.
    pub async fn status(&mut self) -> Result<Status> {
        match self.call(&Request::Status).await?.pop() {
            Some(Reply::Status(status)) => Ok(*status),
            _ => Err(unexpected()),
        }
    }
}

/// The error of a reply that does not answer what was asked.
pub(crate) fn unexpected() -> Error {
    Error::failure("the daemon gave an answer that does not fit the question")
}
