//! Writing a link: one task for all its streams, so that what matters most goes first.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use mute_core::{LinkId, wire::Violation};
use quinn::{Connection, SendStream, WriteError};

use super::{
    LinkEnd,
    endpoint::send_window,
    lane::{LANES, Lane},
    task::Shared,
};

/// What is taken from the queue for a stream at once. What is taken can no longer be overtaken or marked, but each batch
/// costs a lock and a wake-up: 64 KiB are four of the largest packets.
const BATCH_BYTES: usize = 64 << 10;

/// After so much, other tasks get a turn: one or two milliseconds.
const TURN_BYTES: usize = 512 << 10;

/// After so much, the send window is set anew.
const WINDOW_EVERY_BYTES: usize = 1 << 20;

/// How long a neighbour may take to acknowledge the last of the control lane when we leave.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// The headers of a batch: 64 KiB of the smallest Data packets of 256 bytes have 256 of 12 bytes.
const HEADERS_BYTES: usize = 3 << 10;

/// A stream and what is on its way into it.
struct Outgoing {
    stream: SendStream,
    /// Headers and bodies by turns; those before `next` are written.
    chunks: Vec<Bytes>,
    next: usize,
}

impl Outgoing {
    fn new(stream: SendStream, chunks: Vec<Bytes>) -> Self {
        Self { stream, chunks, next: 0 }
    }

    fn is_idle(&self) -> bool {
        self.next == self.chunks.len()
    }

    /// Writes what QUIC takes without waiting. `Pending`: the task is woken when it takes more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, WriteError>> {
        // Nothing is lost when this future is dropped: a write that has not resolved has written nothing.
        let written = ready!(pin!(self.stream.write_chunks(&mut self.chunks[self.next..])).poll(cx))?;
        self.next += written.chunks;
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
    /// By lane.
    lanes: Vec<Outgoing>,
    /// The lane that is served first among those of equal rank, so that each is at some time.
    first_bulk: usize,
    #[cfg_attr(not(feature = "relay-view"), expect(dead_code, reason = "only the relay's view names the link"))]
    link: LinkId,
}

/// Why a turn of the writer ended.
enum Turn {
    /// It has written so many bytes, and there may be more.
    Wrote(usize),
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
        let _ = stream.set_priority(lane.priority());
        lanes.push(Outgoing::new(stream, vec![Bytes::copy_from_slice(&[lane.number()])]));
    }
    let mut writer = Writer { shared, lanes, first_bulk: 0, link };
    let mut since_window = 0;
    loop {
        match std::future::poll_fn(|cx| writer.poll_turn(cx)).await {
            Ok(Turn::Wrote(bytes)) => since_window += bytes,
            Ok(Turn::Finished) => return writer.leave().await,
            Err(WriteError::ConnectionLost(lost)) => return lost.into(),
            // The neighbour refuses a stream: streams live as long as their link.
            Err(_) => return Violation::OutOfPlace.into(),
        }
        if since_window >= WINDOW_EVERY_BYTES {
            since_window = 0;
            connection.set_send_window(send_window(connection.congestion_state().window()));
        }
        tokio::task::yield_now().await;
    }
}

impl Writer {
    /// Serves the lanes in order of rank, again and again, until QUIC takes no more, nothing waits or the turn is over.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, WriteError>> {
        // Before the queue is looked at: what is queued after that wakes us.
        self.shared.writer.register(cx.waker());
        let mut turn = 0;
        loop {
            self.refill();
            let mut wrote = 0;
            for rank in 0..self.lanes.len() {
                let lane = &mut self.lanes[served(rank, self.first_bulk)];
                if !lane.is_idle()
                    && let Poll::Ready(written) = lane.poll_write(cx)
                {
                    wrote += written?;
                }
            }
            self.first_bulk += 1;
            turn += wrote;
            if turn >= TURN_BYTES {
                return Poll::Ready(Ok(Turn::Wrote(turn)));
            }
            if wrote == 0 {
                break;
            }
        }
        if self.shared.closing.load(Ordering::Acquire) && self.lanes[Lane::CONTROL.index()].is_idle() {
            return Poll::Ready(Ok(Turn::Finished));
        }
        Poll::Pending
    }

    /// Takes the next batch from the queue for each stream that has none.
    fn refill(&mut self) {
        let mut queue = self.shared.queue();
        for (lane, outgoing) in Lane::all().zip(&mut self.lanes) {
            if !outgoing.is_idle() || queue.is_empty(lane) {
                continue;
            }
            let mut headers = BytesMut::with_capacity(HEADERS_BYTES);
            queue.pop(lane, BATCH_BYTES, |frame| {
                frame.write_header(&mut headers);
                let (header, body) = (headers.split().freeze(), frame.body());
                self.shared.counters.sent.count(&frame, header.len() + body.len());
                #[cfg(feature = "relay-view")]
                super::view::record(
                    self.link,
                    super::view::Way::Out,
                    &[&header[mute_core::wire::LENGTH_PREFIX..], &body],
                );
                outgoing.chunks.push(header);
                if !body.is_empty() {
                    outgoing.chunks.push(body);
                }
            });
        }
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

/// The lane that is served at a rank: control, interactive and flood first, then the bulk lanes by turns.
fn served(rank: usize, first_bulk: usize) -> usize {
    let bulk_lanes = usize::from(LANES) - Lane::FIRST_BULK;
    match rank.checked_sub(Lane::FIRST_BULK) {
        None => rank,
        Some(bulk) => Lane::FIRST_BULK + (bulk + first_bulk) % bulk_lanes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_is_served_once_a_round_and_bulk_by_turns() {
        let mut first = std::collections::BTreeSet::new();
        for round in 0..usize::from(LANES) {
            let mut order: Vec<_> = (0..usize::from(LANES)).map(|rank| served(rank, round)).collect();
            assert_eq!(order[..Lane::FIRST_BULK], [0, 1, 2]);
            first.insert(order[Lane::FIRST_BULK]);
            order.sort_unstable();
            assert_eq!(order, Vec::from_iter(0..usize::from(LANES)));
        }
        assert_eq!(first.len(), usize::from(LANES) - Lane::FIRST_BULK);
    }
}
