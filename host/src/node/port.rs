//! An identity's end of the node, and the queues between the two: bounded, and neither ever waits for the other.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use mute_core::{Address, ConnectionId, Ecn, Event, IdentityKey, PortId, Topic, TrailId};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

use super::{
    Stopped,
    mailbox::{Mailbox, Stuck},
};

/// Packets from a port that the node has not taken yet, in bytes: what one turn of the node takes at 250 MB/s in 4 ms.
const PACKET_QUEUE_BYTES: usize = 1 << 20;

/// What the smallest packet is charged: what it and its place in the queue take in memory.
const LEAST_CHARGE_BYTES: usize = 128;

/// Commands from a port that the node has not taken yet. Those that must never wait (from a drop) may exceed it, each
/// once for every connection and trail that there is.
const COMMAND_QUEUE: usize = 256;

/// Events that a port finds ready; more wait in its [`Mailbox`].
const EVENT_CHANNEL: usize = 64;

/// A sealed packet of a trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The congestion mark.
    pub ecn: Ecn,
    /// The sealed bytes, at most [`mute_core::wire::MAX_DATA_BODY`]; longer ones and empty ones are dropped.
    pub body: Bytes,
}

/// What a port wants of the node, in the order in which it was said.
pub(super) enum PortCommand {
    /// The first one: where the events go.
    Open(IdentityKey, mpsc::Sender<Event>),
    Listen(bool),
    Subscribe(Topic),
    Unsubscribe(Topic),
    Broadcast(Topic, Bytes),
    Letter(Address, Bytes),
    Connect(ConnectionId, Address),
    Disconnect(ConnectionId),
    CloseTrail(TrailId),
    RoutePackets(TrailId, mpsc::Sender<Packet>),
    Close,
}

/// What ports have to say to the node, and its bell.
#[derive(Default)]
pub(super) struct Ports {
    ready: Mutex<Ready>,
    bell: Notify,
    next_connection: AtomicU64,
    next_port: AtomicU64,
}

/// The ports that have said something since the node last looked: each at most once.
#[derive(Default)]
struct Ready {
    ports: Vec<Arc<PortShared>>,
    /// The node is gone, and will never look again.
    stopped: bool,
}

impl Ports {
    /// A fresh name for a port.
    pub(super) fn port_id(&self) -> PortId {
        PortId(self.next_port.fetch_add(1, Ordering::Relaxed))
    }

    /// Resolves when a port has said something.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The ports that have said something.
    pub(super) fn take_ready(&self) -> Vec<Arc<PortShared>> {
        std::mem::take(&mut lock(&self.ready).ports)
    }

    /// The node is gone: whoever still says something is closed.
    pub(super) fn stop(&self) {
        let mut ready = lock(&self.ready);
        ready.stopped = true;
        let unheard = std::mem::take(&mut ready.ports);
        drop(ready);
        for port in unheard {
            port.abandon();
        }
    }

    /// Puts a port on the list. `false`: the node is gone.
    fn announce(&self, port: &Arc<PortShared>) -> bool {
        let mut ready = lock(&self.ready);
        if ready.stopped {
            return false;
        }
        ready.ports.push(Arc::clone(port));
        drop(ready);
        self.bell.notify_one();
        true
    }
}

/// Locks; a panic of another holder is no reason to stop, for none leaves the data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What waits to be taken by the node.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) commands: VecDeque<PortCommand>,
    pub(super) packets: VecDeque<(TrailId, Packet)>,
    packet_bytes: usize,
    /// The node knows that there is something.
    announced: bool,
    /// The port or the node is gone.
    closed: bool,
}

/// What a port and the node have in common. Locks are held for moments, never over an await.
pub(super) struct PortShared {
    pub(super) id: PortId,
    ports: Arc<Ports>,
    outbox: Mutex<Outbox>,
    /// Rung when the node has emptied the outbox.
    room: Notify,
    mailbox: Mutex<Mailbox>,
    /// Rung when there is something in the mailbox, or never will be.
    mail: Notify,
    /// Floods and letters lost because the port did not read.
    pub(super) lost_messages: AtomicU64,
    /// Packets lost because the receiver of their trail did not read.
    pub(super) lost_packets: AtomicU64,
    /// One of the places for ports.
    _place: OwnedSemaphorePermit,
}

impl PortShared {
    pub(super) fn new(id: PortId, ports: Arc<Ports>, place: OwnedSemaphorePermit) -> Self {
        Self {
            id,
            ports,
            outbox: Mutex::default(),
            room: Notify::new(),
            mailbox: Mutex::default(),
            mail: Notify::new(),
            lost_messages: AtomicU64::new(0),
            lost_packets: AtomicU64::new(0),
            _place: place,
        }
    }

    /// Takes what the port has said, in exchange for something empty, and lets it say more.
    pub(super) fn take(&self, empty: &mut Outbox) {
        let mut outbox = lock(&self.outbox);
        std::mem::swap(&mut outbox.commands, &mut empty.commands);
        std::mem::swap(&mut outbox.packets, &mut empty.packets);
        outbox.packet_bytes = 0;
        outbox.announced = false;
        drop(outbox);
        self.room.notify_waiters();
    }

    /// Ends the port from either side. Events that wait can still be read.
    pub(super) fn close(&self) {
        let mut outbox = lock(&self.outbox);
        outbox.closed = true;
        outbox.packets.clear();
        drop(outbox);
        self.room.notify_waiters();
        self.mail.notify_one();
    }

    /// The node is gone: nobody will ever take what was said.
    pub(super) fn abandon(&self) {
        lock(&self.outbox).commands.clear();
        self.close();
    }

    /// Whether the port or the node is gone.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.outbox).closed
    }

    /// Puts an event in the mailbox.
    pub(super) fn deliver(&self, event: Event) -> Result<(), Stuck> {
        if !lock(&self.mailbox).push(event)? {
            self.lost_messages.fetch_add(1, Ordering::Relaxed);
        }
        self.mail.notify_one();
        Ok(())
    }

    /// Carries events from the mailbox to the port until it is closed or nobody reads any more.
    pub(super) async fn carry(self: Arc<Self>, to: mpsc::Sender<Event>) {
        loop {
            // Before the mailbox is looked at: what was delivered before the close is still carried.
            let closed = lock(&self.outbox).closed;
            loop {
                let Some(event) = lock(&self.mailbox).pop() else {
                    break;
                };
                if to.send(event).await.is_err() {
                    return;
                }
            }
            if closed {
                return;
            }
            self.mail.notified().await;
        }
    }

    /// Puts something in the outbox and tells the node, if it does not know yet.
    fn say(self: &Arc<Self>, mut outbox: MutexGuard<'_, Outbox>, put: impl FnOnce(&mut Outbox)) {
        put(&mut outbox);
        let news = !std::mem::replace(&mut outbox.announced, true);
        drop(outbox);
        if news && !self.ports.announce(self) {
            self.abandon();
        }
    }

    /// Says what must neither wait nor be lost.
    fn say_now(self: &Arc<Self>, command: PortCommand) {
        let outbox = lock(&self.outbox);
        if !outbox.closed {
            self.say(outbox, |outbox| outbox.commands.push_back(command));
        }
    }

    /// Waits until `has_room`.
    async fn wait_for(&self, has_room: impl Fn(&Outbox) -> bool) -> Result<(), Stopped> {
        loop {
            let mut room = pin!(self.room.notified());
            // Before the outbox is looked at: what is taken after that wakes us.
            room.as_mut().enable();
            {
                let outbox = lock(&self.outbox);
                if outbox.closed {
                    return Err(Stopped);
                }
                if has_room(&outbox) {
                    return Ok(());
                }
            }
            room.await;
        }
    }

    async fn command(self: &Arc<Self>, command: PortCommand) -> Result<(), Stopped> {
        loop {
            self.wait_for(|outbox| outbox.commands.len() < COMMAND_QUEUE).await?;
            let outbox = lock(&self.outbox);
            if outbox.closed {
                return Err(Stopped);
            }
            if outbox.commands.len() < COMMAND_QUEUE {
                self.say(outbox, |outbox| outbox.commands.push_back(command));
                return Ok(());
            }
        }
    }
}

/// An identity's end of the node. Dropping it closes the port (what is left of it after its fields were moved out, too).
pub struct Port {
    /// What the identity says.
    pub sender: PortSender,
    /// What it hears: everything but the packets of trails. Floods and letters are lost (and counted) while nobody reads,
    /// other events are not.
    pub events: mpsc::Receiver<Event>,
    _guard: PortGuard,
}

/// Closes the port when it is dropped.
struct PortGuard(Arc<PortShared>);

impl Drop for PortGuard {
    fn drop(&mut self) {
        self.0.say_now(PortCommand::Close);
        self.0.close();
    }
}

impl Port {
    /// Opens a port: what it says first is that it is there, so that nothing can overtake that.
    pub(super) fn open(shared: Arc<PortShared>, key: IdentityKey) -> Self {
        let (to, events) = mpsc::channel(EVENT_CHANNEL);
        shared.say_now(PortCommand::Open(key, to));
        Self { sender: PortSender(Arc::clone(&shared)), events, _guard: PortGuard(shared) }
    }
}

/// What an identity says to the node. Cheap to clone; useless once the [`Port`] is dropped.
#[derive(Clone)]
pub struct PortSender(Arc<PortShared>);

impl PortSender {
    /// The port's name in its node.
    pub fn id(&self) -> PortId {
        self.0.id
    }

    /// Whether to answer Seeks for this identity's address. It does not until told so.
    pub async fn listen(&self, listening: bool) -> Result<(), Stopped> {
        self.0.command(PortCommand::Listen(listening)).await
    }

    /// Hear floods of a topic.
    pub async fn subscribe(&self, topic: Topic) -> Result<(), Stopped> {
        self.0.command(PortCommand::Subscribe(topic)).await
    }

    /// Hear them no more.
    pub async fn unsubscribe(&self, topic: Topic) -> Result<(), Stopped> {
        self.0.command(PortCommand::Unsubscribe(topic)).await
    }

    /// Floods a question; see [`mute_core::Input::Broadcast`] for its bounds.
    pub async fn broadcast(&self, topic: Topic, body: Bytes) -> Result<(), Stopped> {
        self.0.command(PortCommand::Broadcast(topic, body)).await
    }

    /// Sends a sealed letter; see [`mute_core::Input::Letter`] for its bounds.
    pub async fn letter(&self, to: Address, sealed: Bytes) -> Result<(), Stopped> {
        self.0.command(PortCommand::Letter(to, sealed)).await
    }

    /// A fresh name for [`Self::connect`], so that its owner can be ready before the first event comes.
    pub fn connection_id(&self) -> ConnectionId {
        ConnectionId(self.0.ports.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Lays a trail to `target` and keeps one. Trails come as events, or `ConnectFailed` does.
    pub async fn connect(&self, connection: ConnectionId, target: Address) -> Result<(), Stopped> {
        self.0.command(PortCommand::Connect(connection, target)).await
    }

    /// The connection is not wanted any more. Never waits, never lost.
    pub fn disconnect(&self, connection: ConnectionId) {
        self.0.say_now(PortCommand::Disconnect(connection));
    }

    /// This end of a trail is not wanted any more. Never waits, never lost.
    pub fn close_trail(&self, trail: TrailId) {
        self.0.say_now(PortCommand::CloseTrail(trail));
    }

    /// Where the packets of this trail go from now on; the node drops (and counts) what does not fit. What arrived since
    /// the trail was opened comes first. The sender is dropped when the trail ends.
    pub fn route_packets(&self, trail: TrailId, to: mpsc::Sender<Packet>) {
        self.0.say_now(PortCommand::RoutePackets(trail, to));
    }

    /// Queues a sealed packet without waiting.
    ///
    /// # Errors
    /// Gives it back when the queue is full. (A node that has stopped takes everything, and drops it.)
    pub fn try_send(&self, trail: TrailId, packet: Packet) -> Result<(), Packet> {
        let outbox = lock(&self.0.outbox);
        if outbox.closed {
            return Ok(());
        }
        if outbox.packet_bytes >= PACKET_QUEUE_BYTES {
            return Err(packet);
        }
        self.0.say(outbox, |outbox| {
            outbox.packet_bytes += packet.body.len().max(LEAST_CHARGE_BYTES);
            outbox.packets.push_back((trail, packet));
        });
        Ok(())
    }

    /// Resolves when [`Self::try_send`] has room (again).
    pub async fn writable(&self) -> Result<(), Stopped> {
        self.0.wait_for(|outbox| outbox.packet_bytes < PACKET_QUEUE_BYTES).await
    }
}
