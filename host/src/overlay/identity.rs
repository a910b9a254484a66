//! A living address: what it listens to, whom it talks to.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use mute_core::{Address, ConnectionId, IdentityKey, MessageId, Shape, Topic, TrailId, TrailKeys};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ConnectOptions, Connection, Error, Subscription,
    below::Below,
    dial,
    error::code,
    letter,
    listener::{self, Listener},
    mailbox::{Mailbox, Subject},
    preface::is_name,
    socket::TrailSocket,
    tls, transport,
    window::{Budget, Share},
};

/// Connections of one identity at once that it has dialled.
const MAX_DIALLED: usize = 128;

/// Connections of one identity at once that peers have dialled. Counted apart, so that no peer can keep it from dialling.
const MAX_ACCEPTED: usize = 192;

/// Trails to an identity on which nothing has come yet. Each waits for a round trip at most, if its seeker is honest.
const MAX_NEW_TRAILS: usize = 64;

/// Protocols, topics of broadcasts, and topics of letters that one identity listens to, each.
const MAX_SUBJECTS: usize = 64;

/// The longest body of a broadcast, in bytes.
pub const MAX_BROADCAST: usize = 1024;

/// A living address. Cheap to clone; it closes when the last clone is dropped and all that came of it: connections,
/// listeners, subscriptions.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<Life>);

/// What keeps an identity alive.
pub(crate) struct Life {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.shared.ending.cancel();
    }
}

/// What the handles and tasks of an identity share. Keeps nothing alive.
pub(crate) struct Shared {
    pub(crate) key: IdentityKey,
    /// What the network adds.
    pub(crate) shape: Shape,
    pub(crate) address: Address,
    pub(crate) below: Arc<dyn Below>,
    pub(crate) endpoint: quinn::EndpointConfig,
    pub(crate) server: quinn::ServerConfig,
    pub(crate) new_trails: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the last handle is dropped or the node has stopped.
    pub(crate) ending: CancellationToken,
    /// What the identity wants to hear has changed.
    pub(crate) wishes: Notify,
    pub(crate) letters_unheard: AtomicU64,
    pub(crate) letters_refused: AtomicU64,
    life: OnceLock<Weak<Life>>,
    dialled: Arc<Semaphore>,
    accepted: Arc<Semaphore>,
    budget: Arc<Budget>,
    table: Mutex<Table>,
}

/// Who is interested in what.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) listeners: HashMap<String, mpsc::Sender<Connection>>,
    pub(crate) broadcasts: HashMap<Topic, (String, Arc<Mailbox>)>,
    pub(crate) letters: HashMap<String, Arc<Mailbox>>,
    /// Connections that this side has asked for.
    pub(crate) sought: HashMap<ConnectionId, Sought>,
    /// Connections that a peer has asked for, by the Seek id of their first trail.
    pub(crate) owned: HashMap<MessageId, (Arc<TrailSocket>, TrailKeys)>,
    pub(crate) trails: HashMap<TrailId, Arc<TrailSocket>>,
}

/// A connection that this side has asked for.
pub(crate) struct Sought {
    pub(crate) socket: Arc<TrailSocket>,
    /// Its trails, oldest first: one of them will turn out to be the first that the peer has seen.
    pub(crate) laid: Vec<(TrailId, MessageId, TrailKeys)>,
}

/// Who has asked for a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// This identity.
    Dialled,
    /// A peer.
    Accepted,
}

/// Letters that were not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LettersDropped {
    /// Nobody here subscribes to their topic.
    pub unheard: u64,
    /// Damaged, forged, expired or seen before.
    pub refused: u64,
}

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle, unless the last one has been dropped.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        self.life.get()?.upgrade()
    }

    /// Room for one more connection.
    pub(crate) fn admit(&self, side: Side) -> Result<(OwnedSemaphorePermit, Share), Error> {
        let places = match side {
            Side::Dialled => &self.dialled,
            Side::Accepted => &self.accepted,
        };
        let permit = places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Error::new(code::BUSY, "the identity has too many connections"))?;
        let share = self
            .budget
            .first_share(side == Side::Dialled)
            .ok_or_else(|| Error::new(code::BUSY, "the connections of this host hold all the memory that they may"))?;
        Ok((permit, share))
    }
}

/// Seconds since 1970.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Life {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(task);
    }

    pub(crate) fn unsubscribe(&self, subject: &Subject) {
        let mut table = self.shared.table();
        match subject {
            Subject::Broadcasts(topic) => drop(table.broadcasts.remove(topic)),
            Subject::Letters(topic) => drop(table.letters.remove(topic)),
        }
        drop(table);
        self.shared.wishes.notify_one();
    }
}

impl Identity {
    /// An identity on a port; [`super::events::run`] drives it. `ending` is cancelled when its last handle is dropped.
    pub(crate) fn new(
        key: IdentityKey,
        shape: Shape,
        below: Arc<dyn Below>,
        budget: Arc<Budget>,
        ending: CancellationToken,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            address: key.address(),
            endpoint: transport::endpoint(&shape)?,
            server: transport::server(tls::server(&key)?, &shape)?,
            shape,
            key,
            below,
            new_trails: Arc::new(Semaphore::new(MAX_NEW_TRAILS)),
            tasks: TaskTracker::new(),
            ending,
            wishes: Notify::new(),
            letters_unheard: AtomicU64::new(0),
            letters_refused: AtomicU64::new(0),
            life: OnceLock::new(),
            dialled: Arc::new(Semaphore::new(MAX_DIALLED)),
            accepted: Arc::new(Semaphore::new(MAX_ACCEPTED)),
            budget,
            table: Mutex::default(),
        });
        let life = Arc::new(Life { shared: shared.clone() });
        shared.life.get_or_init(|| Arc::downgrade(&life));
        Ok(Self(life))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The address.
    pub fn address(&self) -> Address {
        self.shared().address
    }

    /// Signs for a plugin, with a prefix of its own: "mute/1 plugin signature" ‖ length-prefixed context ‖ data.
    pub fn sign(&self, context: &str, data: &[u8]) -> [u8; 64] {
        self.shared().key.sign(&plugin_text(context, data))
    }

    /// Floods a question to all in reach that listen to the topic.
    ///
    /// # Errors
    /// `too-large`: more than [`MAX_BROADCAST`] bytes. `invalid`: the topic's name. `closed`: the node has stopped.
    pub async fn broadcast(&self, topic: &str, body: Bytes) -> Result<(), Error> {
        check_name(topic)?;
        if body.len() > MAX_BROADCAST {
            return Err(Error::new(code::TOO_LARGE, "a broadcast holds at most 1024 bytes"));
        }
        Ok(self.shared().below.broadcast(Topic::of(topic), body).await?)
    }

    /// Sends a letter, which may be lost. Returns when it is queued here.
    ///
    /// # Errors
    /// `too-large`: more than [`letter::MAX_BODY`] bytes. `invalid`: the topic's name, or an address that is no key.
    /// `closed`: the node has stopped.
    pub async fn send(&self, to: Address, topic: &str, body: Bytes) -> Result<(), Error> {
        let sealed = letter::seal(&self.shared().key, to, topic, &body, unix_s())?;
        Ok(self.shared().below.letter(to, sealed).await?)
    }

    /// The broadcasts that are heard on a topic. Bounded: the oldest is dropped and counted.
    ///
    /// # Errors
    /// `invalid`: the topic's name, or there is a subscription to it. `busy`: too many topics. `closed`: the identity has ended.
    pub fn broadcasts(&self, topic: &str) -> Result<Subscription, Error> {
        check_name(topic)?;
        let hash = Topic::of(topic);
        let mailbox = Arc::new(Mailbox::default());
        let mut table = self.open_table()?;
        check_room(table.broadcasts.contains_key(&hash), table.broadcasts.len())?;
        table.broadcasts.insert(hash, (topic.to_owned(), mailbox.clone()));
        drop(table);
        self.shared().wishes.notify_one();
        Ok(Subscription { mailbox, subject: Subject::Broadcasts(hash), life: self.0.clone() })
    }

    /// The letters that come under a topic. Bounded: the oldest is dropped and counted.
    ///
    /// # Errors
    /// As for [`Self::broadcasts`].
    pub fn letters(&self, topic: &str) -> Result<Subscription, Error> {
        check_name(topic)?;
        let mailbox = Arc::new(Mailbox::default());
        let mut table = self.open_table()?;
        check_room(table.letters.contains_key(topic), table.letters.len())?;
        table.letters.insert(topic.to_owned(), mailbox.clone());
        drop(table);
        Ok(Subscription { mailbox, subject: Subject::Letters(topic.to_owned()), life: self.0.clone() })
    }

    /// Letters that came to this identity and were not delivered.
    pub fn letters_dropped(&self) -> LettersDropped {
        LettersDropped {
            unheard: self.shared().letters_unheard.load(Ordering::Relaxed),
            refused: self.shared().letters_refused.load(Ordering::Relaxed),
        }
    }

    /// Connects to the owner of an address. Dropping the future gives up.
    ///
    /// # Errors
    /// `no-route`, `timed-out` (the message says how far it came), `refused` (nobody there speaks the protocol, or the
    /// address was not proven), `busy`, `invalid` (the own address, the protocol's name), `closed`.
    pub async fn connect(&self, to: Address, options: ConnectOptions) -> Result<Connection, Error> {
        check_name(&options.protocol)?;
        if to == self.address() {
            return Err(Error::invalid("an identity cannot connect to itself"));
        }
        dial::connect(self.0.clone(), to, &options).await
    }

    /// Takes connections for a protocol. Until the listener is dropped, there is no other for it.
    ///
    /// # Errors
    /// As for [`Self::broadcasts`].
    pub fn listen(&self, protocol: &str) -> Result<Listener, Error> {
        check_name(protocol)?;
        let (sender, connections) = mpsc::channel(listener::BACKLOG);
        let mut table = self.open_table()?;
        check_room(table.listeners.contains_key(protocol), table.listeners.len())?;
        table.listeners.insert(protocol.to_owned(), sender);
        drop(table);
        self.shared().wishes.notify_one();
        Ok(Listener::new(connections, protocol, self.0.clone()))
    }

    /// The table, while the identity lives: what is put in later would never be cleaned up.
    fn open_table(&self) -> Result<MutexGuard<'_, Table>, Error> {
        let table = self.shared().table();
        if self.shared().ending.is_cancelled() { Err(Error::stopped()) } else { Ok(table) }
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        Ok(())
    } else {
        Err(Error::invalid("a topic or protocol has 1 to 128 bytes and no control characters"))
    }
}

fn check_room(taken: bool, count: usize) -> Result<(), Error> {
    if taken {
        Err(Error::invalid("this identity listens to that already"))
    } else if count >= MAX_SUBJECTS {
        Err(Error::new(code::BUSY, "this identity listens to too much"))
    } else {
        Ok(())
    }
}

/// What is signed for a plugin.
pub(crate) fn plugin_text(context: &str, data: &[u8]) -> Vec<u8> {
    let length = (context.len() as u64).to_be_bytes();
    [b"mute/1 plugin signature", &length[..], context.as_bytes(), data].concat()
}

/// Checks [`Identity::sign`].
pub fn verify(signer: &Address, context: &str, data: &[u8], signature: &[u8]) -> bool {
    signature.try_into().is_ok_and(|signature| letter::verify(signer, &plugin_text(context, data), signature))
}

/// A connection's place in the table and in the router; dropping it clears both.
pub(crate) struct Line {
    shared: Arc<Shared>,
    socket: Arc<TrailSocket>,
    /// What the router was asked for, at the end that seeks.
    intent: Option<ConnectionId>,
    _permit: OwnedSemaphorePermit,
}

impl Line {
    pub(crate) fn new(shared: Arc<Shared>, intent: Option<ConnectionId>, permit: OwnedSemaphorePermit) -> Self {
        let socket = TrailSocket::new(shared.below.clone());
        if let Some(intent) = intent {
            shared.table().sought.insert(intent, Sought { socket: socket.clone(), laid: Vec::new() });
        }
        Self { shared, socket, intent, _permit: permit }
    }

    pub(crate) fn socket(&self) -> &Arc<TrailSocket> {
        &self.socket
    }

    /// Resolves when the identity ends.
    pub(crate) async fn ending(&self) {
        self.shared.ending.cancelled().await;
    }

    /// Closes the trails whose time is over; tells when to come again.
    pub(crate) fn retire(&self) -> Option<Instant> {
        let (over, next) = self.socket.retire(Instant::now());
        let mut table = self.shared.table();
        for trail in over {
            table.trails.remove(&trail);
            self.shared.below.close_trail(trail);
        }
        next
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let trails = self.socket.detach_all();
        let mut table = self.shared.table();
        if let Some(intent) = self.intent {
            table.sought.remove(&intent);
            self.shared.below.disconnect(intent);
        }
        table.owned.retain(|_, (socket, _)| !Arc::ptr_eq(socket, &self.socket));
        for trail in trails {
            table.trails.remove(&trail);
            self.shared.below.close_trail(trail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_signature_holds_for_its_context_and_data_only() {
        let key = IdentityKey::from_seed(&[1; 32]);
        let signature = key.sign(&plugin_text("context", b"data"));
        let signer = key.address();
        assert!(verify(&signer, "context", b"data", &signature));
        assert!(!verify(&signer, "contextd", b"ata", &signature));
        assert!(!verify(&signer, "context", b"date", &signature));
        assert!(!verify(&signer, "context", b"data", &signature[..63]));
        assert!(!verify(&IdentityKey::from_seed(&[2; 32]).address(), "context", b"data", &signature));
        assert!(!verify(&Address([0; 32]), "context", b"data", &signature));
    }
}
