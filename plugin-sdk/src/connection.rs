//! Connections between two anonymous addresses, and their channels.

use crate::bindings::plugin::mute::plugin::routing as host;
use crate::{Address, Error, Reader, Result, Writer};
use std::rc::Rc;
use std::time::Duration;
use wit_bindgen::StreamReader;

/// The connections that others make to an identity.
pub struct Incoming(StreamReader<host::Connection>);

impl Incoming {
    pub(crate) fn new(stream: StreamReader<host::Connection>) -> Self {
        Self(stream)
    }

    /// The next; none when the identity is gone.
    pub async fn next(&mut self) -> Option<Connection> {
        self.0.next().await.map(Connection::new)
    }
}

/// A reliable, encrypted connection. Clones are the same connection, which ends when the last is dropped.
#[derive(Clone)]
pub struct Connection(Rc<host::Connection>);

/// How a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionStats {
    /// The time to the peer and back.
    pub round_trip: Duration,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// What the host waits for, as a code of [`Error`]; 0 for nothing.
    pub waiting_for: u32,
}

impl Connection {
    pub(crate) fn new(connection: host::Connection) -> Self {
        Self(Rc::new(connection))
    }

    /// The peer's address, or the one-time one that it shows.
    pub fn peer(&self) -> Address {
        Address::from_host(&self.0.peer())
    }

    /// Whether the peer has proven that address to be its own.
    pub fn peer_is_proven(&self) -> bool {
        self.0.peer_is_proven()
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// Why the connection ended.
    pub async fn open(&self) -> Result<Channel> {
        Ok(Channel::new(self.0.open().await?))
    }

    /// The channels that the peer opens.
    pub fn accept(&self) -> Channels {
        Channels(self.0.accept())
    }

    /// How it does.
    pub fn stats(&self) -> ConnectionStats {
        let stats = self.0.stats();
        ConnectionStats {
            round_trip: Duration::from_millis(stats.round_trip_ms.into()),
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            waiting_for: stats.waiting_for,
        }
    }

    /// Ends it, with a code and a reason that the peer is told.
    pub fn close(&self, code: u32, reason: &str) {
        self.0.close(code, reason);
    }

    /// Waits until it has ended; why.
    pub async fn closed(&self) -> Error {
        self.0.closed().await.into()
    }
}

/// The channels that the peer opens.
pub struct Channels(StreamReader<host::Channel>);

impl Channels {
    /// The next; none when the connection has ended.
    pub async fn next(&mut self) -> Option<Channel> {
        self.0.next().await.map(Channel::new)
    }
}

/// A stream of bytes in both directions.
pub struct Channel(Rc<host::Channel>);

/// Breaks a channel off, from wherever it is needed.
#[derive(Clone)]
pub struct Resetter(Rc<host::Channel>);

impl Channel {
    fn new(channel: host::Channel) -> Self {
        Self(Rc::new(channel))
    }

    /// Its two directions.
    pub fn split(self) -> (Writer, Reader) {
        let reader = Reader::new(self.0.receive());
        let writer = Writer::start(|stream, end| async move { self.0.send(stream, end).await });
        (writer, reader)
    }

    /// A handle that breaks it off later, when its directions are in use.
    pub fn resetter(&self) -> Resetter {
        Resetter(Rc::clone(&self.0))
    }

    /// Breaks both directions off, with a code that the peer is told.
    pub fn reset(self, code: u32) {
        self.0.reset(code);
    }
}

impl Resetter {
    /// Breaks both directions off, with a code that the peer is told.
    pub fn reset(&self, code: u32) {
        self.0.reset(code);
    }
}
