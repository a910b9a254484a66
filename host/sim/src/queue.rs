//! What waits before a line.

use std::collections::VecDeque;

use mute_core::{
    Ecn, Hop, Instant,
    wire::{Frame, Verified},
};

use crate::link::wire_bytes;

/// Which queue the links have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// First in, first out, with a mark and a drop at these bytes of Data: what there is without fair queueing.
    Fifo {
        /// More of it waiting is marked as congestion.
        mark: u64,
        /// More of it is dropped.
        limit: u64,
    },
}

impl Default for QueueKind {
    fn default() -> Self {
        Self::Fifo { mark: 32 << 10, limit: 256 << 10 }
    }
}

/// Bytes of everything but Data that may wait in a [`QueueKind::Fifo`], as in the daemon: control and floods a MiB each.
const FIFO_CONTROL_LIMIT: u64 = 2 << 20;

/// A queue before a line.
pub(crate) enum Queue {
    Fifo(Fifo),
}

/// First in, first out.
pub(crate) struct Fifo {
    frames: VecDeque<Frame<Verified>>,
    data: u64,
    control: u64,
    mark: u64,
    limit: u64,
}

impl Queue {
    pub(crate) fn new(kind: QueueKind) -> Self {
        match kind {
            QueueKind::Fifo { mark, limit } => {
                Self::Fifo(Fifo { frames: VecDeque::new(), data: 0, control: 0, mark, limit })
            }
        }
    }

    /// Takes a frame, or drops it (or another).
    pub(crate) fn push(&mut self, _ingress: Hop, frame: Frame<Verified>, _now: Instant) {
        match self {
            Self::Fifo(fifo) => fifo.push(frame),
        }
    }

    /// The next frame for the line.
    pub(crate) fn pop(&mut self, _now: Instant) -> Option<Frame<Verified>> {
        match self {
            Self::Fifo(fifo) => fifo.pop(),
        }
    }

    /// What waits, in bytes on the wire.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Fifo(fifo) => fifo.data + fifo.control,
        }
    }

    /// How full it is, 0 to 3, for the router.
    pub(crate) fn level(&self) -> u8 {
        match self {
            Self::Fifo(Fifo { data, mark, limit, .. }) => match *data {
                data if data > limit / 4 * 3 => 3,
                data if data > *mark => 2,
                data if data > mark / 2 => 1,
                _ => 0,
            },
        }
    }
}

impl Fifo {
    fn push(&mut self, mut frame: Frame<Verified>) {
        let bytes = wire_bytes(frame.encoded_len());
        if let Frame::Data { ecn, .. } = &mut frame {
            if self.data + bytes > self.limit {
                return;
            }
            self.data += bytes;
            if self.data > self.mark && matches!(ecn, Ecn::Capable0 | Ecn::Capable1) {
                *ecn = Ecn::Experienced;
            }
        } else {
            if self.control + bytes > FIFO_CONTROL_LIMIT {
                return;
            }
            self.control += bytes;
        }
        self.frames.push_back(frame);
    }

    fn pop(&mut self) -> Option<Frame<Verified>> {
        let frame = self.frames.pop_front()?;
        let bytes = wire_bytes(frame.encoded_len());
        if matches!(frame, Frame::Data { .. }) {
            self.data -= bytes
        } else {
            self.control -= bytes
        }
        Some(frame)
    }
}
