//! A link at work: its tasks, and what the node holds of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use mute_core::{
    LinkId, Scheduler, SchedulerConfig,
    scheduler::{Ingress, Lane},
    wire::{Frame, Verified, Violation},
};
use quinn::{Connection, ConnectionError};
use tokio::{sync::mpsc, task::JoinSet};

use super::{CloseCode, Established, Known, LinkCounters, counters::Counters, meaning, receive, send};

/// What links tell the node.
#[derive(Debug)]
pub(crate) enum FromLink {
    /// A neighbour has dialled us and said Hello.
    Established(Established),
    /// What arrived, in order within its stream.
    Frames { link: LinkId, frames: Vec<Frame<Verified>> },
    /// The link's end: nothing comes from it any more.
    Down { link: LinkId, end: LinkEnd },
}

/// How a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkEnd {
    /// The neighbour broke MUTE's protocol, and was told so.
    Violation(Violation),
    /// The neighbour broke QUIC's protocol, and was told so.
    Quic,
    /// The neighbour closed the link with this code.
    Closed(u64),
    /// The neighbour fell silent or has restarted.
    Lost,
    /// We closed the link.
    Ours,
}

impl std::fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Violation(violation) => write!(f, "it broke the protocol: {violation}"),
            Self::Quic => f.write_str("it broke the protocol of quic"),
            Self::Closed(code) => f.write_str(meaning(*code)),
            Self::Lost => f.write_str("it fell silent or was restarted"),
            Self::Ours => f.write_str("this node closed the link"),
        }
    }
}

impl From<ConnectionError> for LinkEnd {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Closed(close.error_code.into_inner()),
            ConnectionError::LocallyClosed => Self::Ours,
            ConnectionError::TransportError(_) => Self::Quic,
            _ => Self::Lost,
        }
    }
}

impl From<Violation> for LinkEnd {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// What a link's tasks and the node have in common.
pub(super) struct Shared {
    /// What waits for the neighbour. Held for moments, never over an await.
    scheduler: Mutex<Scheduler<Verified>>,
    /// Where the scheduler's clock starts.
    born: Instant,
    /// The task that writes.
    pub(super) writer: AtomicWaker,
    /// Whether the link is to end when the control lane is empty.
    pub(super) closing: AtomicBool,
    pub(super) counters: Counters,
}

impl Shared {
    fn new() -> Self {
        Self {
            scheduler: Mutex::new(Scheduler::new(SchedulerConfig::default())),
            born: Instant::now(),
            writer: AtomicWaker::new(),
            closing: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// The scheduler. (A panic while it was held is no reason to stop: each of its methods leaves it whole at every step.)
    pub(super) fn scheduler(&self) -> MutexGuard<'_, Scheduler<Verified>> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time for the scheduler.
    pub(super) fn now(&self) -> mute_core::Instant {
        mute_core::Instant::from_origin(self.born.elapsed())
    }
}

/// What the node holds of a link.
pub(crate) struct LinkHandle {
    connection: Connection,
    shared: Arc<Shared>,
}

impl LinkHandle {
    /// Queues what the router wants sent, and wakes the writer once. Returns how full the queue is, 0 to 3.
    pub(crate) fn queue(&self, frames: &mut Vec<(Ingress, Frame<Verified>)>) -> u8 {
        let now = self.shared.now();
        let mut scheduler = self.shared.scheduler();
        for (ingress, frame) in frames.drain(..) {
            // What is not taken the scheduler counts.
            scheduler.push(ingress, frame, now);
        }
        let level = scheduler.level();
        drop(scheduler);
        self.shared.writer.wake();
        level
    }

    /// How full the queue is, 0 to 3.
    pub(crate) fn level(&self) -> u8 {
        self.shared.scheduler().level()
    }

    /// Ends the link at once.
    pub(crate) fn close(&self, code: CloseCode) {
        self.connection.close(code.code().into(), b"");
    }

    /// Ends the link when the neighbour has what waits on the control lane.
    pub(crate) fn finish(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.writer.wake();
    }

    pub(crate) fn counters(&self) -> LinkCounters {
        self.shared.counters.read(self.shared.scheduler().counters())
    }

    /// What waits for the neighbour, in bytes.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.shared.scheduler().bytes()
    }

    /// The neighbour's IP address and port.
    pub(crate) fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// The smoothed round-trip time.
    pub(crate) fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }
}

/// Puts an established connection to work.
pub(crate) fn spawn(link: LinkId, established: Established, known: Known, node: mpsc::Sender<FromLink>) -> LinkHandle {
    let shared = Arc::new(Shared::new());
    let connection = established.connection.clone();
    let handle = LinkHandle { connection: connection.clone(), shared: Arc::clone(&shared) };
    tokio::spawn(async move {
        let end = work(link, established, known, &shared, &node).await;
        let code = match end {
            LinkEnd::Violation(violation) => CloseCode::Violation(violation),
            _ => CloseCode::GoingAway,
        };
        connection.close(code.code().into(), b"");
        // Fails only when the node has stopped and wants to know nothing any more.
        let _ = node.send(FromLink::Down { link, end }).await;
    });
    handle
}

/// Runs the link's tasks until the first of them ends; dropping the others stops them.
async fn work(
    link: LinkId,
    established: Established,
    known: Known,
    shared: &Arc<Shared>,
    node: &mpsc::Sender<FromLink>,
) -> LinkEnd {
    let Established { connection, control_out, control_in, .. } = established;
    let reader = receive::Reader { link, known, shared: Arc::clone(shared), node: node.clone() };
    let opened = Arc::new(AtomicU32::new(1 << Lane::CONTROL.number()));
    let mut tasks = JoinSet::new();
    tasks.spawn(send::write(connection.clone(), control_out, Arc::clone(shared), link));
    tasks.spawn(reader.clone().read(Lane::CONTROL, control_in));
    loop {
        tokio::select! {
            ended = tasks.join_next() => return match ended {
                Some(Ok(end)) => end,
                // A panic, which the runtime has reported; or no task, which cannot be: none ends before this returns.
                Some(Err(_)) | None => LinkEnd::Lost,
            },
            stream = connection.accept_uni() => match stream {
                Ok(stream) => drop(tasks.spawn(reader.clone().read_new(stream, Arc::clone(&opened)))),
                Err(error) => return error.into(),
            },
        }
    }
}
