//! Reading a link: one task for each stream, which cuts it into frames and checks signatures.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use mute_core::{
    KnownMessages, LinkId, NetworkId, VerificationBudget,
    scheduler::Lane,
    wire::{Decoded, Frame, FrameReader, Unverified, Verified, Violation, decode_frame},
};
use quinn::{ReadError, ReadExactError, RecvStream};
use tokio::sync::mpsc;

use super::{CloseCode, FromLink, LinkEnd, task::Shared};

/// Chunks that are taken from QUIC at once: each is at most what one UDP packet carried, so a batch for the node is at
/// most some 90 KB.
const CHUNKS: usize = 64;

/// After so many signatures in a row, others get a turn: half a millisecond.
const VERIFICATIONS_IN_A_ROW: usize = 10;

/// What all links of a node know of messages that were checked already: copies in identical bytes pass.
#[derive(Clone)]
pub(crate) struct Known {
    network: NetworkId,
    messages: Arc<Mutex<KnownMessages>>,
}

impl Known {
    /// Nothing yet. `key`: random.
    pub(crate) fn new(network: NetworkId, key: [u8; 32]) -> Self {
        Self { network, messages: Arc::new(Mutex::new(KnownMessages::new(network, key))) }
    }

    fn recognise(&self, frame: Frame<Unverified>) -> Result<Frame<Verified>, Frame<Unverified>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).recognise(frame)
    }

    /// Checks a frame that is not known.
    fn verify(&self, frame: Frame<Unverified>) -> Result<Frame<Verified>, Violation> {
        // Not under the lock: it takes 50 µs, in which others can look up.
        let frame = frame.verify(self.network)?;
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).remember(&frame);
        Ok(frame)
    }
}

/// What reads the streams of one link.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) link: LinkId,
    pub(super) known: Known,
    pub(super) shared: Arc<Shared>,
    pub(super) node: mpsc::Sender<FromLink>,
}

/// A stream's budget, and when its clock started.
struct Budget {
    started: Instant,
    core: VerificationBudget,
}

impl Budget {
    fn take(&mut self) -> Result<(), std::time::Duration> {
        self.core.take(mute_core::Instant::from_origin(self.started.elapsed()))
    }
}

/// A frame shorter than this may be a slice of what arrived in one packet; longer ones were gathered from several.
const SLICED_BYTES: usize = 2048;

/// Frees a frame from what arrived with it: a slice of a few bytes would keep 64 KB in memory.
fn own(frame: Bytes) -> Bytes {
    if frame.len() < SLICED_BYTES { Bytes::copy_from_slice(&frame) } else { frame }
}

impl From<ReadError> for LinkEnd {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(lost) => lost.into(),
            // Reset: streams live as long as their link. The rest cannot be: we don't stop and use no 0-RTT.
            _ => Violation::OutOfPlace.into(),
        }
    }
}

impl Reader {
    /// Reads a stream that has just been opened, whose first byte says which lane it is. `opened` has a bit for each lane
    /// that there is already.
    pub(super) async fn read_new(self, mut stream: RecvStream, opened: Arc<AtomicU32>) -> LinkEnd {
        let mut number = [0];
        match stream.read_exact(&mut number).await {
            Ok(()) => {}
            Err(ReadExactError::ReadError(error)) => return error.into(),
            Err(ReadExactError::FinishedEarly(_)) => return Violation::OutOfPlace.into(),
        }
        match Lane::from_number(number[0]) {
            Some(lane) if opened.fetch_or(1 << lane.number(), Ordering::Relaxed) & 1 << lane.number() == 0 => {
                self.read(lane, stream).await
            }
            _ => Violation::OutOfPlace.into(),
        }
    }

    /// Reads a lane until it ends, which only the control lane may, to take leave.
    pub(super) async fn read(self, lane: Lane, mut stream: RecvStream) -> LinkEnd {
        let mut frames = FrameReader::new();
        let mut budget =
            Budget { started: Instant::now(), core: VerificationBudget::new(mute_core::Instant::default()) };
        let mut chunks = [const { Bytes::new() }; CHUNKS];
        loop {
            let count = match stream.read_chunks(&mut chunks).await {
                Ok(Some(count)) => count,
                Ok(None) if lane == Lane::CONTROL && frames.is_between_frames() => {
                    return LinkEnd::Closed(CloseCode::GoingAway.code().into());
                }
                Ok(None) => return Violation::OutOfPlace.into(),
                Err(error) => return error.into(),
            };
            let unverified = match self.cut(lane, &mut frames, &mut chunks[..count]) {
                Ok(unverified) => unverified,
                Err(violation) => return violation.into(),
            };
            if let Err(end) = self.verify(unverified, &mut budget).await {
                return end;
            }
        }
    }

    /// Cuts chunks into frames.
    fn cut(
        &self,
        lane: Lane,
        frames: &mut FrameReader,
        chunks: &mut [Bytes],
    ) -> Result<Vec<Frame<Unverified>>, Violation> {
        let mut cut = Vec::new();
        for chunk in chunks {
            let mut rest = std::mem::take(chunk);
            while let Some(bytes) = frames.decode_next(&mut rest).map_err(Violation::Malformed)? {
                #[cfg(feature = "relay-view")]
                super::view::record(self.link, super::view::Way::In, &[&bytes]);
                match decode_frame(own(bytes)).map_err(Violation::Malformed)? {
                    Decoded::Frame(frame) if lane.admits(&frame) => cut.push(frame),
                    Decoded::Unknown => {
                        self.shared.counters.unknown.fetch_add(1, Ordering::Relaxed);
                    }
                    Decoded::Frame(_) | Decoded::Link(_) => return Err(Violation::OutOfPlace),
                }
            }
        }
        Ok(cut)
    }

    /// Checks signatures within the budget and hands what holds to the node.
    async fn verify(&self, unverified: Vec<Frame<Unverified>>, budget: &mut Budget) -> Result<(), LinkEnd> {
        let mut verified = Vec::with_capacity(unverified.len());
        let mut in_a_row = 0;
        for frame in unverified {
            let bytes = frame.encoded_len();
            let frame = match self.known.recognise(frame) {
                Ok(frame) => frame,
                Err(frame) => {
                    in_a_row += 1;
                    if in_a_row % VERIFICATIONS_IN_A_ROW == 0 {
                        tokio::task::yield_now().await;
                    }
                    while let Err(wait) = budget.take() {
                        self.hand_over(&mut verified).await?;
                        tokio::time::sleep(wait).await;
                    }
                    self.known.verify(frame)?
                }
            };
            self.shared.counters.received.count(&frame, bytes);
            verified.push(frame);
        }
        self.hand_over(&mut verified).await
    }

    async fn hand_over(&self, verified: &mut Vec<Frame<Verified>>) -> Result<(), LinkEnd> {
        if verified.is_empty() {
            return Ok(());
        }
        let batch = FromLink::Frames { link: self.link, frames: std::mem::take(verified) };
        // Fails only when the node has stopped.
        self.node.send(batch).await.map_err(|_| LinkEnd::Ours)
    }
}
