//! The plugin's anonymous addresses, and the small messages they send and hear.

use crate::bindings::plugin::mute::plugin::routing as host;
use crate::{Address, Connection, Error, Incoming, Result, frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use wit_bindgen::StreamReader;

/// The most bytes that a broadcast or a letter holds.
pub const MESSAGE_MAX: usize = 1024;

/// An address that this plugin owns. No key links it to those of any other plugin.
pub struct Identity(host::Identity);

impl Identity {
    /// The identity kept under this name in the plugin's own key ring; made on first use.
    ///
    /// # Errors
    /// [`Error::DENIED`], [`Error::QUOTA`].
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self(host::Identity::open(name)?))
    }

    /// A fresh identity, forgotten when dropped.
    ///
    /// # Errors
    /// [`Error::DENIED`], [`Error::QUOTA`].
    pub fn ephemeral() -> Result<Self> {
        Ok(Self(host::Identity::ephemeral()?))
    }

    /// The names in the key ring.
    pub fn names() -> Vec<String> {
        host::Identity::names()
    }

    /// Forgets the key of that name for ever.
    ///
    /// # Errors
    /// [`Error::NOT_FOUND`].
    pub fn retire(name: &str) -> Result<()> {
        Ok(host::Identity::retire(name)?)
    }

    /// Its address.
    pub fn address(&self) -> Address {
        Address::from_host(&self.0.address())
    }

    /// A signature that [`verify`] accepts for the same context and data.
    pub fn sign(&self, context: &str, data: &[u8]) -> Vec<u8> {
        self.0.sign(context, data)
    }

    /// Floods a question to all in reach that listen to `topic`. Answers come as letters or connections: so the question
    /// says where to.
    ///
    /// # Errors
    /// [`Error::TOO_LARGE`] beyond [`MESSAGE_MAX`] encoded bytes, [`Error::BUSY`].
    pub async fn broadcast<T: Serialize + ?Sized>(&self, topic: &str, value: &T) -> Result<()> {
        Ok(self.0.broadcast(topic.to_owned(), frame::encode(value, MESSAGE_MAX)?).await?)
    }

    /// Sends a sealed letter, which may get lost; returns when it is queued here.
    ///
    /// # Errors
    /// [`Error::TOO_LARGE`] beyond [`MESSAGE_MAX`] encoded bytes, [`Error::NO_ROUTE`], [`Error::BUSY`].
    pub async fn send<T: Serialize + ?Sized>(&self, to: Address, topic: &str, value: &T) -> Result<()> {
        let body = frame::encode(value, MESSAGE_MAX)?;
        Ok(self.0.send(to.as_bytes().to_vec(), topic.to_owned(), body).await?)
    }

    /// The broadcasts heard on a topic, once per topic and identity. Those not taken in time are dropped, oldest first.
    ///
    /// # Errors
    /// [`Error::BUSY`] if this identity hears the topic already.
    pub fn broadcasts(&self, topic: &str) -> Result<Messages> {
        Ok(Messages(self.0.broadcasts(topic)?))
    }

    /// The letters that come for this identity with a topic.
    ///
    /// # Errors
    /// As [`Identity::broadcasts`].
    pub fn letters(&self, topic: &str) -> Result<Messages> {
        Ok(Messages(self.0.letters(topic)?))
    }

    /// Connects to the owner of `to`: reliable, encrypted, and sure to be the owner.
    ///
    /// # Errors
    /// [`Error::NO_ROUTE`], [`Error::TIMED_OUT`], [`Error::REFUSED`].
    pub async fn connect(&self, to: Address, options: &ConnectOptions) -> Result<Connection> {
        let wanted = options.for_host();
        Ok(Connection::new(self.0.connect(to.as_bytes().to_vec(), &wanted).await?))
    }

    /// The connections that others make to this identity with `protocol`.
    ///
    /// # Errors
    /// [`Error::BUSY`] if this identity listens to it already.
    pub fn listen(&self, protocol: &str) -> Result<Incoming> {
        Ok(Incoming::new(self.0.listen(protocol)?))
    }
}

/// Whether `signer` signed that.
pub fn verify(signer: Address, context: &str, data: &[u8], signature: &[u8]) -> bool {
    host::verify(signer.as_bytes(), context, data, signature)
}

/// What a connection shall be like.
#[derive(Clone)]
pub struct ConnectOptions {
    protocol: String,
    show_identity: bool,
    bulk: bool,
    timeout: Option<Duration>,
}

impl ConnectOptions {
    /// A connection for short messages, that shows the peer a one-time address.
    pub fn new(protocol: impl Into<String>) -> Self {
        Self { protocol: protocol.into(), show_identity: false, bulk: false, timeout: None }
    }

    /// Proves to the peer which address we are.
    #[must_use]
    pub fn show_identity(self) -> Self {
        Self { show_identity: true, ..self }
    }

    /// For much data: yields to short messages.
    #[must_use]
    pub fn bulk(self) -> Self {
        Self { bulk: true, ..self }
    }

    /// How long connecting may take.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self }
    }

    fn for_host(&self) -> host::ConnectOptions {
        let options = host::ConnectOptions::new(&self.protocol);
        options.set_show_identity(self.show_identity);
        options.set_urgency(u8::from(self.bulk));
        if let Some(limit) = self.timeout {
            options.set_timeout_ms(u32::try_from(limit.as_millis()).unwrap_or(u32::MAX));
        }
        options
    }
}

/// Broadcasts or letters, as they come.
pub struct Messages(StreamReader<host::Message>);

impl Messages {
    /// The next; none when the identity is gone.
    pub async fn next(&mut self) -> Option<Message> {
        self.0.next().await.map(Message)
    }
}

/// A broadcast or a letter.
pub struct Message(host::Message);

impl Message {
    /// A letter's sender; of a broadcast the one-time address that asks.
    pub fn sender(&self) -> Address {
        Address::from_host(&self.0.sender)
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// What tells it from all others.
    pub fn id(&self) -> &[u8] {
        &self.0.id
    }

    /// What it says, in bytes.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// What it says.
    ///
    /// # Errors
    /// [`Error::INVALID`] if it is no `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        if self.0.body.len() > MESSAGE_MAX {
            return Err(Error::too_large("a message of more than 1 KiB"));
        }
        frame::decode(&self.0.body)
    }
}
