//! What the router tells an identity, and what an identity tells the router that it wants.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mute_core::{Close, ConnectionId, Event, IdentityKey, MessageId, Role, SuccessionProof, Topic, TrailId, TrailKeys};
use tokio::{sync::mpsc, time::timeout};

use super::{
    Error, Message,
    error::code,
    identity::{Shared, unix_s},
    letter,
    listener::NewTrail,
    seal::{Opener, Sealer},
    socket::{MAX_TRAILS, Trail},
};
use crate::node::Stopped;

/// Sealed packets that wait for the connection's endpoint: 4 MB, or 25 ms at 150 MB/s. More would be late anyway, and
/// what does not fit is dropped, which tells the sender to be slower.
const PACKETS: usize = 256;

/// How long the ends of connections are waited for when an identity ends.
const FAREWELL: Duration = Duration::from_secs(4);

/// Drives an identity until its last handle is dropped or the node stops.
pub(crate) async fn run(shared: Arc<Shared>, events: &mut mpsc::Receiver<Event>) {
    let wishes = tokio::spawn(wish(shared.clone()));
    let mut letters = letter::Opener::new(unix_s());
    loop {
        tokio::select! {
            biased;
            () = shared.ending.cancelled() => break,
            event = events.recv() => match event {
                Some(event) => shared.handle(event, &mut letters),
                None => break,
            },
        }
    }
    shared.ending.cancel();
    wishes.abort();
    {
        let mut table = shared.table();
        table.listeners.clear();
        for (_, (_, mailbox)) in table.broadcasts.drain() {
            mailbox.close();
        }
        for (_, mailbox) in table.letters.drain() {
            mailbox.close();
        }
    }
    shared.tasks.close();
    // While they say good-bye, trails may still close.
    let farewell = async {
        while let Some(event) = events.recv().await {
            if let Event::TrailClosed { trail, .. } = event {
                shared.trail_closed(trail);
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = timeout(FAREWELL, shared.tasks.wait()) => {}
        () = farewell => {}
    }
}

/// Tells the router what the identity wants to hear, whenever that changes.
async fn wish(shared: Arc<Shared>) -> Result<(), Stopped> {
    let mut listening = false;
    let mut topics = BTreeSet::<Topic>::new();
    loop {
        shared.wishes.notified().await;
        let (listen, wanted) = {
            let table = shared.table();
            (!table.listeners.is_empty(), table.broadcasts.keys().copied().collect::<BTreeSet<_>>())
        };
        if listen != listening {
            listening = listen;
            shared.below.listen(listening).await?;
        }
        for topic in topics.difference(&wanted) {
            shared.below.unsubscribe(*topic).await?;
        }
        for topic in wanted.difference(&topics) {
            shared.below.subscribe(*topic).await?;
        }
        topics = wanted;
    }
}

impl Shared {
    fn handle(self: &Arc<Self>, event: Event, letters: &mut letter::Opener) {
        match event {
            Event::TrailOpened { trail, role: Role::Seeker { connection }, seek, keys } => {
                self.trail_to_peer(trail, connection, seek, &keys);
            }
            Event::TrailOpened { trail, role: Role::Owner, seek, keys } => self.trail_from_peer(trail, seek, keys),
            Event::TrailClosed { trail, .. } => self.trail_closed(trail),
            Event::ConnectFailed { connection, why } => self.connect_failed(connection, why),
            Event::Heard { topic, from, id, body } => {
                if let Some((text, mailbox)) = self.table().broadcasts.get(&topic) {
                    mailbox.push(Message { sender: from, topic: text.clone(), id: id.0, body });
                }
            }
            Event::Letter { key, sealed, .. } => self.letter(key.as_ref(), &sealed, letters),
            // The node routes packets past the events.
            Event::Data { .. } => {}
        }
    }

    /// A trail that this side has sought.
    fn trail_to_peer(&self, id: TrailId, connection: ConnectionId, seek: MessageId, keys: &TrailKeys) {
        let mut table = self.table();
        let table = &mut *table;
        let (Some(sought), Some(sealer), Some(opener)) = (
            table.sought.get_mut(&connection),
            Sealer::new(&keys.send, self.shape),
            Opener::new(&keys.receive, self.shape),
        ) else {
            // The connection was given up in this moment.
            return self.below.close_trail(id);
        };
        // A trail that never brought an answer may never have reached the peer, so it cannot be succeeded.
        let first = sought.socket.first_answered();
        let first = sought.laid.iter().find(|(trail, ..)| Some(*trail) == first);
        let proof = first.map(|(_, first, keys)| SuccessionProof::make(keys, *first, seek).encode());
        if proof.is_none() {
            if sought.laid.len() == MAX_TRAILS {
                sought.laid.remove(0);
            }
            sought.laid.push((id, seek, keys.clone()));
        }
        let (sender, packets) = mpsc::channel(PACKETS);
        self.below.route_packets(id, sender);
        table.trails.insert(id, sought.socket.clone());
        let oldest = sought.socket.attach(Trail { id, sealer, opener, packets, proof }, None);
        if let Some(oldest) = oldest {
            table.trails.remove(&oldest);
            self.below.close_trail(oldest);
        }
    }

    /// A trail that a peer has sought.
    fn trail_from_peer(self: &Arc<Self>, id: TrailId, seek: MessageId, keys: TrailKeys) {
        let Ok(permit) = self.new_trails.clone().try_acquire_owned() else {
            return self.below.close_trail(id);
        };
        let (sender, packets) = mpsc::channel(PACKETS);
        self.below.route_packets(id, sender);
        self.tasks.spawn(NewTrail { id, seek, keys, packets, shared: self.clone(), permit }.run());
    }

    fn trail_closed(&self, trail: TrailId) {
        let socket = self.table().trails.remove(&trail);
        if let Some(socket) = socket {
            socket.detach(trail);
        }
    }

    fn connect_failed(&self, connection: ConnectionId, why: Close) {
        let error = match why {
            Close::Invalid => Error::invalid("there can be no connection to that address"),
            Close::Busy => Error::new(code::BUSY, "this node has no room for one more connection"),
            _ => Error::no_route(),
        };
        if let Some(sought) = self.table().sought.get(&connection) {
            sought.socket.fail(error);
        }
    }

    /// A letter to this identity, or to a one-time key of it.
    fn letter(&self, key: Option<&IdentityKey>, sealed: &[u8], letters: &mut letter::Opener) {
        match letters.open(key.unwrap_or(&self.key), sealed, unix_s()) {
            Ok(message) => match self.table().letters.get(&message.topic) {
                Some(mailbox) => mailbox.push(message),
                None => drop(self.letters_unheard.fetch_add(1, Ordering::Relaxed)),
            },
            Err(why) => {
                self.letters_refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(?why, "a letter was refused");
            }
        }
    }
}
