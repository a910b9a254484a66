//! Writing a link: one task for all its streams, which takes from the scheduler only what QUIC can send soon. What QUIC has can no longer be overtaken,
//! marked or dropped.

use std::{
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use mute_core::{
    LinkId,
    scheduler::{Lane, Lanes},
    wire::Violation,
};
use quinn::{Connection, SendStream, WriteError};
use tokio::time::{Sleep, sleep};

use super::{
    LinkEnd,
    endpoint::{ahead, send_window},
    lane::priority,
    task::Shared,
};

/// What is taken from the scheduler at once, at most: each batch costs two locks. 64 KiB are four of the largest packets. It is also no more than half of what
/// QUIC may have ahead of time.
const MAX_BATCH_BYTES: u64 = 64 << 10;

/// After so much, other tasks get a turn: one or two milliseconds.
const TURN_BYTES: usize = 512 << 10;

/// The send window is set anew after so much: a round trip's worth or less where it matters.
const WINDOW_EVERY_BYTES: u64 = 64 << 10;

/// How long a neighbour may take to acknowledge the last of the control lane when we leave.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// When nothing has moved for so long to twice as long, the streams that have something to write are taken for blocked on their own, and the others go on without them.
/// That costs order (what is taken for the others goes before what waits in these), so it is longer than acknowledgements are apart.
const STUCK_AFTER: Duration = Duration::from_millis(50);

/// The headers of a batch: 64 KiB of the smallest Data packets of 256 bytes have 256 of 12 bytes.
const HEADERS_BYTES: usize = 3 << 10;

/// A stream and what is on its way into it.
struct Outgoing {
    stream: SendStream,
    /// Headers and bodies by turns; those before `next` are written.
    chunks: Vec<Bytes>,
    next: usize,
    /// The neighbour does not read it.
    stuck: bool,
}

impl Outgoing {
    fn new(stream: SendStream, chunks: Vec<Bytes>) -> Self {
        Self { stream, chunks, next: 0, stuck: false }
    }

    fn is_idle(&self) -> bool {
        self.next == self.chunks.len()
    }

    /// Writes what QUIC takes without waiting. `Pending`: the task is woken when it takes more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WriteError>> {
        // Nothing is lost when this future is dropped: a write that has not resolved has written nothing.
        let written = ready!(pin!(self.stream.write_chunks(&mut self.chunks[self.next..])).poll(cx))?;
        self.next += written.chunks;
        self.stuck = false;
        if self.is_idle() {
            self.chunks.clear();
            self.next = 0;
        }
        Poll::Ready(Ok(written.bytes))
    }
}

/// What writes the streams of one link.
struct Writer {
    shared: Arc<Shared>,
    connection: Connection,
    /// By lane.
    lanes: Vec<Outgoing>,
    /// What QUIC may hold ahead of time.
    ahead: u64,
    /// What was written since the window was set.
    since_window: u64,
    /// Looks from time to time whether anything moves.
    look: Pin<Box<Sleep>>,
    /// Whether anything has moved since it looked.
    moved: bool,
    #[cfg_attr(not(feature = "relay-view"), expect(dead_code, reason = "only the relay's view names the link"))]
    link: LinkId,
}

/// Why a turn of the writer ended.
enum Turn {
    /// It has written much, and there may be more.
    Over,
    /// The link is to end and the control lane is empty.
    Finished,
}

/// Writes what is queued until the link ends.
pub(super) async fn write(connection: Connection, control: SendStream, shared: Arc<Shared>, link: LinkId) -> LinkEnd {
    let mut lanes = vec![Outgoing::new(control, Vec::new())];
    for lane in Lane::all().skip(1) {
        let stream = match connection.open_uni().await {
            Ok(stream) => stream,
            Err(error) => return error.into(),
        };
        // Fails only if the stream is closed already, which the first write tells.
        let _ = stream.set_priority(priority(lane));
        lanes.push(Outgoing::new(stream, vec![Bytes::copy_from_slice(&[lane.number()])]));
    }
    let mut writer = Writer {
        shared,
        connection,
        lanes,
        ahead: 0,
        since_window: 0,
        look: Box::pin(sleep(STUCK_AFTER)),
        moved: false,
        link,
    };
    loop {
        writer.follow_path();
        match std::future::poll_fn(|cx| writer.poll_turn(cx)).await {
            Ok(Turn::Over) => {}
            Ok(Turn::Finished) => return writer.leave().await,
            Err(WriteError::ConnectionLost(lost)) => return lost.into(),
            // The neighbour refuses a stream: streams live as long as their link.
            Err(_) => return Violation::OutOfPlace.into(),
        }
        tokio::task::yield_now().await;
    }
}

impl Writer {
    /// Fits what QUIC may hold to the path.
    fn follow_path(&mut self) {
        self.since_window = 0;
        let path = self.connection.stats().path;
        self.ahead = ahead(path.cwnd, path.rtt);
        self.connection.set_send_window(send_window(path.cwnd, self.ahead));
    }

    /// Takes from the scheduler and writes, again and again, until QUIC takes no more, nothing waits or the turn is over.
    ///
    /// A batch is taken when all of the one before is written: the scheduler's order is the link's order. QUIC does not say whether a stream or the whole connection
    /// is at its limit, so only time tells which streams to go on without.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, WriteError>> {
        // Before the scheduler is looked at: what is queued after that wakes us.
        self.shared.writer.register(cx.waker());
        let mut turn = 0;
        while turn < TURN_BYTES {
            let wrote = self.write(cx)?;
            turn += wrote;
            self.moved |= wrote > 0;
            self.since_window += wrote as u64;
            if self.since_window >= WINDOW_EVERY_BYTES {
                self.follow_path();
            }
            if self.shared.closing.load(Ordering::Acquire)
                && self.lanes[Lane::CONTROL.index()].is_idle()
                && !self.refill(Lanes::NONE.with(Lane::CONTROL))
            {
                return Poll::Ready(Ok(Turn::Finished));
            }
            let is_free = self.lanes.iter().all(|lane| lane.stuck || lane.is_idle());
            if is_free && self.refill(self.open()) || wrote > 0 {
                continue;
            }
            if !is_free && self.look.as_mut().poll(cx).is_ready() {
                self.look.as_mut().reset(tokio::time::Instant::now() + STUCK_AFTER);
                if !std::mem::replace(&mut self.moved, false) {
                    self.lanes.iter_mut().for_each(|lane| lane.stuck = !lane.is_idle());
                }
                continue;
            }
            return Poll::Pending;
        }
        Poll::Ready(Ok(Turn::Over))
    }

    /// Writes what QUIC takes.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<usize, WriteError> {
        let mut wrote = 0;
        for lane in &mut self.lanes {
            if !lane.is_idle()
                && let Poll::Ready(written) = lane.poll_write(cx)
            {
                wrote += written?;
            }
        }
        Ok(wrote)
    }

    /// The lanes that the neighbour reads.
    fn open(&self) -> Lanes {
        Lane::all().filter(|lane| !self.lanes[lane.index()].stuck).fold(Lanes::NONE, Lanes::with)
    }

    /// Takes the next batch for some lanes from the scheduler. `false`: nothing waits for them.
    fn refill(&mut self, lanes: Lanes) -> bool {
        let batch = MAX_BATCH_BYTES.min(self.ahead / 2);
        let mut taken = 0;
        let mut headers = BytesMut::new();
        let now = self.shared.now();
        let mut scheduler = self.shared.scheduler();
        while taken < batch
            && let Some((lane, frame)) = scheduler.pop_from(lanes, now)
        {
            if headers.capacity() == 0 {
                headers.reserve(HEADERS_BYTES);
            }
            frame.write_header(&mut headers);
            let (header, body) = (headers.split().freeze(), frame.body());
            let bytes = header.len() + body.len();
            self.shared.counters.sent.count(&frame, bytes);
            #[cfg(feature = "relay-view")]
            super::view::record(self.link, super::view::Way::Out, &[&header[mute_core::wire::LENGTH_PREFIX..], &body]);
            let chunks = &mut self.lanes[lane.index()].chunks;
            chunks.push(header);
            if !body.is_empty() {
                chunks.push(body);
            }
            taken += bytes as u64;
        }
        taken > 0
    }

    /// Ends the control lane and waits a moment until the neighbour has all of it.
    async fn leave(mut self) -> LinkEnd {
        let control = &mut self.lanes[Lane::CONTROL.index()].stream;
        if control.finish().is_ok() {
            // Whether it has arrived or not, the link ends.
            let _ = tokio::time::timeout(LEAVE_TIMEOUT, control.stopped()).await;
        }
        LinkEnd::Ours
    }
}
