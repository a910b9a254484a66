//! The socket beneath a connection: datagrams in and out are sealed packets on the connection's trails.
//!
//! Each connection has a quinn endpoint and such a socket of its own. That costs a task and (while it receives) a buffer
//! of [`BATCH`] packets each, and buys that there is no table of made-up addresses, that the seals of different
//! connections are opened on different cores, and that a peer's nonsense reaches no connection but its own. QUIC sees one
//! made-up peer address for as long as the connection lives; trails come and go beneath.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use mute_core::{Ecn, TrailId};
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{EcnCodepoint, RecvMeta, Transmit},
};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    Error,
    below::{Below, Boxed},
    seal::{Opener, PROOF, Sealer},
    transport,
};
use crate::node::Packet;

/// Packets that are opened before QUIC looks at them: more saves nothing, and keeps more memory warm (120 KB here; quinn
/// has room for 32).
const BATCH: usize = 8;

/// What is held for a trail to come, in bytes: the newest, for that is what the peer's acknowledgements are about.
const HOLD: usize = 64 << 10;

/// How long the predecessor of a trail still receives.
const OVERLAP: Duration = Duration::from_secs(30);

/// Trails of one connection at once: one that sends, its predecessor, and two for successors that never worked.
pub(crate) const MAX_TRAILS: usize = 4;

/// A packet that waits this long for any answer waits for the peer.
const SILENCE: Duration = Duration::from_secs(2);

/// An end of a trail, ready for packets. Not `Debug`: it holds keys.
pub(crate) struct Trail {
    pub(crate) id: TrailId,
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
    pub(crate) packets: mpsc::Receiver<Packet>,
    /// Goes with each packet until one comes back: that this trail succeeds the connection's first.
    pub(crate) proof: Option<[u8; PROOF]>,
}

/// How a connection stands with the router.
#[derive(Clone)]
pub(crate) enum Phase {
    /// No trail was laid yet.
    Seeking,
    /// There was a trail.
    Laid,
    /// There will be none any more.
    Failed(Error),
}

/// The socket of one connection.
pub(crate) struct TrailSocket {
    below: Arc<dyn Below>,
    sending: Mutex<Sending>,
    /// Locked before `sending` where both are.
    receiving: Mutex<Receiving>,
    /// The node's queue was full.
    blocked: AtomicBool,
    phase: watch::Sender<Phase>,
    /// A trail has got a date for its end.
    retirement: Notify,
    /// The first trail that brought a packet: the one that its successors succeed.
    first_answered: OnceLock<TrailId>,
    /// Since when packets go out and none comes in: milliseconds after `born`, plus one; 0 if one has come.
    unanswered: AtomicU64,
    born: Instant,
}

#[derive(Default)]
struct Sending {
    /// Newest last: that one is used.
    trails: Vec<Outgoing>,
    /// Unsealed packets while there is no trail.
    held: VecDeque<(Ecn, Bytes)>,
    held_bytes: usize,
}

struct Outgoing {
    id: TrailId,
    sealer: Sealer,
    proof: Option<[u8; PROOF]>,
}

#[derive(Default)]
struct Receiving {
    /// Newest last.
    trails: Vec<Incoming>,
    /// Packets that were opened to see whose they are.
    early: VecDeque<(Ecn, Bytes)>,
    /// Who waits in `poll_recv`.
    waker: Option<Waker>,
}

struct Incoming {
    id: TrailId,
    opener: Opener,
    packets: mpsc::Receiver<Packet>,
    /// A packet has come on it.
    answered: bool,
    /// The node sends no more on it.
    ended: bool,
    /// When it is closed, its successor having proved itself.
    until: Option<Instant>,
}

impl TrailSocket {
    pub(crate) fn new(below: Arc<dyn Below>) -> Arc<Self> {
        Arc::new(Self {
            below,
            sending: Mutex::default(),
            receiving: Mutex::default(),
            blocked: AtomicBool::new(false),
            phase: watch::Sender::new(Phase::Seeking),
            retirement: Notify::new(),
            first_answered: OnceLock::new(),
            unanswered: AtomicU64::new(0),
            born: Instant::now(),
        })
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receiving(&self) -> MutexGuard<'_, Receiving> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays a trail beneath. `first`: a packet that came on it already. Returns the trail that had to make room, which
    /// the caller closes.
    pub(crate) fn attach(&self, trail: Trail, first: Option<(Ecn, Bytes)>) -> Option<TrailId> {
        let mut receiving = self.receiving();
        let mut sending = self.sending();
        let answered = first.is_some();
        receiving.early.extend(first);
        if answered {
            retire_all(&mut receiving.trails);
            self.retirement.notify_one();
        }
        let Trail { id, sealer, opener, packets, proof } = trail;
        let oldest = (receiving.trails.len() == MAX_TRAILS).then(|| receiving.trails.remove(0).id);
        sending.trails.retain(|trail| Some(trail.id) != oldest);
        receiving.trails.push(Incoming { id, opener, packets, answered, ended: false, until: None });
        sending.trails.push(Outgoing { id, sealer, proof });
        self.release_held(&mut sending);
        drop(sending);
        if let Some(waker) = receiving.waker.take() {
            waker.wake();
        }
        drop(receiving);
        self.phase.send_if_modified(|phase| {
            let first = matches!(phase, Phase::Seeking);
            if first {
                *phase = Phase::Laid;
            }
            first
        });
        oldest
    }

    /// Sends what was held. What the node has no room for is lost, as packets may be.
    fn release_held(&self, sending: &mut Sending) {
        sending.held_bytes = 0;
        for (ecn, payload) in std::mem::take(&mut sending.held) {
            let Some(trail) = sending.trails.last_mut() else { return };
            if let Some(body) = trail.sealer.seal(&payload, trail.proof.as_ref()) {
                let _ = self.below.try_send(trail.id, Packet { ecn, body });
            }
        }
    }

    /// A trail has ended.
    pub(crate) fn detach(&self, trail: TrailId) {
        self.receiving().trails.retain(|incoming| incoming.id != trail);
        self.sending().trails.retain(|outgoing| outgoing.id != trail);
    }

    /// Takes all trails away; the caller closes them.
    pub(crate) fn detach_all(&self) -> Vec<TrailId> {
        let trails = std::mem::take(&mut self.receiving().trails);
        self.sending().trails.clear();
        trails.into_iter().map(|trail| trail.id).collect()
    }

    /// Takes away the trails whose time is over, which the caller closes, and tells when the next one's will be.
    pub(crate) fn retire(&self, now: Instant) -> (Vec<TrailId>, Option<Instant>) {
        let mut receiving = self.receiving();
        let over: Vec<_> = receiving
            .trails
            .extract_if(.., |trail| trail.until.is_some_and(|until| until <= now))
            .map(|trail| trail.id)
            .collect();
        let next = receiving.trails.iter().filter_map(|trail| trail.until).min();
        self.sending().trails.retain(|trail| !over.contains(&trail.id));
        (over, next)
    }

    /// Resolves when [`Self::retire`] may have something new to tell.
    pub(crate) async fn retirement(&self) {
        self.retirement.notified().await;
    }

    /// The router has given up, or this side has.
    pub(crate) fn fail(&self, error: Error) {
        self.phase.send_replace(Phase::Failed(error));
    }

    /// The first trail that brought a packet.
    pub(crate) fn first_answered(&self) -> Option<TrailId> {
        self.first_answered.get().copied()
    }

    /// Waits for the first trail.
    pub(crate) async fn laid(&self) -> Result<(), Error> {
        let mut phases = self.phase.subscribe();
        let phase = phases.wait_for(|phase| !matches!(phase, Phase::Seeking)).await.map(|phase| phase.clone());
        match phase {
            Ok(Phase::Failed(error)) => Err(error),
            // The sender lives as long as `self`, so there is no other error than that.
            _ => Ok(()),
        }
    }

    /// Waits for [`Self::fail`].
    pub(crate) async fn failed(&self) -> Error {
        let mut phases = self.phase.subscribe();
        let phase = phases.wait_for(|phase| matches!(phase, Phase::Failed(_))).await.map(|phase| phase.clone());
        match phase {
            Ok(Phase::Failed(error)) => error,
            _ => Error::closed("the connection has ended"),
        }
    }

    /// What the connection waits for: 0 nothing, 1 a route, 2 the peer.
    pub(crate) fn waiting_for(&self) -> u32 {
        if self.sending().trails.is_empty() {
            return 1;
        }
        match self.unanswered.load(Ordering::Relaxed) {
            0 => 0,
            since if self.milliseconds().saturating_sub(since) > SILENCE.as_millis() as u64 => 2,
            _ => 0,
        }
    }

    fn milliseconds(&self) -> u64 {
        self.born.elapsed().as_millis() as u64 + 1
    }

    fn hold(&self, sending: &mut Sending, ecn: Ecn, payload: &[u8]) {
        sending.held_bytes += payload.len();
        sending.held.push_back((ecn, Bytes::copy_from_slice(payload)));
        while sending.held_bytes > HOLD {
            let Some((_, oldest)) = sending.held.pop_front() else { break };
            sending.held_bytes -= oldest.len();
        }
    }
}

/// A successor works: its predecessors get a date for their end.
fn retire_all(trails: &mut [Incoming]) {
    let until = Instant::now() + OVERLAP;
    for trail in trails {
        trail.until.get_or_insert(until);
    }
}

impl fmt::Debug for TrailSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrailSocket")
    }
}

impl AsyncUdpSocket for TrailSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable { socket: self, waiting: Mutex::new(None) })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let ecn = match transmit.ecn {
            None => Ecn::NotCapable,
            Some(EcnCodepoint::Ect0) => Ecn::Capable0,
            Some(EcnCodepoint::Ect1) => Ecn::Capable1,
            Some(EcnCodepoint::Ce) => Ecn::Experienced,
        };
        let mut sending = self.sending();
        if self.unanswered.load(Ordering::Relaxed) == 0 {
            self.unanswered.store(self.milliseconds(), Ordering::Relaxed);
        }
        let Some(trail) = sending.trails.last_mut() else {
            self.hold(&mut sending, ecn, transmit.contents);
            return Ok(());
        };
        let Some(body) = trail.sealer.seal(transmit.contents, trail.proof.as_ref()) else {
            // The key is used up. Lost, like any packet; the successor carries the next.
            return Ok(());
        };
        self.below.try_send(trail.id, Packet { ecn, body }).map_err(|_| {
            self.blocked.store(true, Ordering::Relaxed);
            io::ErrorKind::WouldBlock.into()
        })
    }

    /// Never an error: quinn would end the endpoint, or (on a reset) ask again for ever. Whatever ends a connection
    /// comes from its own timers or from the router.
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut receiving = self.receiving();
        let receiving = &mut *receiving;
        let mut places = buffers.iter_mut().zip(meta).take(BATCH);
        let mut filled = 0;
        let mut next = places.next();
        while let Some((place, meta)) = next.as_mut() {
            let Some((ecn, payload)) = receiving.early.pop_front() else { break };
            if let Some(place) = place.get_mut(..payload.len()) {
                place.copy_from_slice(&payload);
                **meta = received(payload.len(), ecn);
                filled += 1;
                next = places.next();
            }
        }
        let mut proven = None;
        for (index, trail) in receiving.trails.iter_mut().enumerate() {
            while let Some((place, meta)) = next.as_mut() {
                if trail.ended {
                    break;
                }
                let packet = match trail.packets.poll_recv(cx) {
                    Poll::Ready(Some(packet)) => packet,
                    Poll::Ready(None) => {
                        trail.ended = true;
                        break;
                    }
                    Poll::Pending => break,
                };
                let Some(opened) = trail.opener.open(&packet.body, place) else { continue };
                **meta = received(opened.len, packet.ecn);
                filled += 1;
                next = places.next();
                if !trail.answered {
                    trail.answered = true;
                    proven = Some(index);
                }
            }
        }
        if let Some(index) = proven {
            let (before, rest) = receiving.trails.split_at_mut(index);
            retire_all(before);
            if let Some(trail) = rest.first() {
                let _ = self.first_answered.set(trail.id);
            }
            if let (Some(trail), mut sending) = (rest.first(), self.sending()) {
                sending.trails.iter_mut().filter(|out| out.id == trail.id).for_each(|out| out.proof = None);
            }
            self.retirement.notify_one();
        }
        if filled == 0 {
            receiving.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.unanswered.store(0, Ordering::Relaxed);
        Poll::Ready(Ok(filled))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(transport::HERE)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

fn received(len: usize, ecn: Ecn) -> RecvMeta {
    let ecn = match ecn {
        Ecn::NotCapable => None,
        Ecn::Capable0 => Some(EcnCodepoint::Ect0),
        Ecn::Capable1 => Some(EcnCodepoint::Ect1),
        Ecn::Experienced => Some(EcnCodepoint::Ce),
    };
    RecvMeta { addr: transport::THERE, len, stride: len, ecn, dst_ip: None }
}

/// Waits for room in the node's queue. quinn asks before every packet, so the answer is a flag unless one was refused.
struct Writable {
    socket: Arc<TrailSocket>,
    /// In a mutex, which is never locked, because a poller must be `Sync`.
    waiting: Mutex<Option<Boxed<'static, ()>>>,
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writable")
    }
}

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.socket.blocked.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let below = self.socket.below.clone();
        let waiting = self.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        ready!(waiting.get_or_insert_with(|| below.writable()).as_mut().poll(cx));
        *waiting = None;
        self.socket.blocked.store(false, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}
