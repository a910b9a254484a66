//! What waits before a line.

use std::collections::VecDeque;

use mute_core::{
    Ecn, Hop, Instant,
    scheduler::{Ingress, Scheduler, SchedulerConfig, Standing, limits::LEAST_CHARGE},
    wire::{Frame, Verified},
};

/// Which queue the links have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// The daemon's scheduler: fair by ingress.
    Fair(SchedulerConfig),
    /// First in, first out, with a mark and a drop at these bytes of Data: what there is without fair queueing.
    Fifo {
        /// More of it waiting is marked as congestion.
        mark: usize,
        /// More of it is dropped.
        limit: usize,
    },
}

impl QueueKind {
    /// A [`QueueKind::Fifo`] of the size that home routers have: marks at 32 KiB, drops at 256 KiB.
    pub const FIFO: Self = Self::Fifo { mark: 32 << 10, limit: 256 << 10 };
}

impl Default for QueueKind {
    fn default() -> Self {
        Self::Fair(SchedulerConfig::default())
    }
}

/// Bytes of everything but Data that may wait in a [`QueueKind::Fifo`]: control and floods a MiB each, as in the scheduler.
const FIFO_CONTROL_LIMIT: usize = 2 << 20;

/// A queue before a line. Bytes are as it charges them: encoded lengths, at least [`LEAST_CHARGE`] in the scheduler.
pub(crate) enum Queue {
    Fair(Scheduler<Verified>),
    Fifo(Fifo),
}

/// First in, first out.
pub(crate) struct Fifo {
    frames: VecDeque<Frame<Verified>>,
    data: usize,
    control: usize,
    mark: usize,
    limit: usize,
}

impl Queue {
    pub(crate) fn new(kind: QueueKind) -> Self {
        match kind {
            QueueKind::Fair(config) => Self::Fair(Scheduler::new(config)),
            QueueKind::Fifo { mark, limit } => {
                Self::Fifo(Fifo { frames: VecDeque::new(), data: 0, control: 0, mark, limit })
            }
        }
    }

    /// What a frame is charged.
    pub(crate) fn charge(&self, frame: &Frame<Verified>) -> usize {
        match self {
            Self::Fair(_) => frame.encoded_len().max(LEAST_CHARGE),
            Self::Fifo(_) => frame.encoded_len(),
        }
    }

    /// Takes a frame, or drops it (or others).
    pub(crate) fn push(&mut self, ingress: Hop, standing: Standing, frame: Frame<Verified>, now: Instant) {
        match self {
            Self::Fair(scheduler) => {
                scheduler.push(Ingress { hop: ingress, standing }, frame, now);
            }
            Self::Fifo(fifo) => fifo.push(frame),
        }
    }

    /// The next frame for the line.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Frame<Verified>> {
        match self {
            Self::Fair(scheduler) => scheduler.pop(now),
            Self::Fifo(fifo) => fifo.pop(),
        }
    }

    /// What waits, as it is charged.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Fair(scheduler) => scheduler.bytes(),
            Self::Fifo(fifo) => fifo.data + fifo.control,
        }
    }

    /// How full it is, 0 to 3, for the router.
    pub(crate) fn level(&self) -> u8 {
        match self {
            Self::Fair(scheduler) => scheduler.level(),
            Self::Fifo(Fifo { data, mark, limit, .. }) => match *data {
                data if data > limit / 4 * 3 => 3,
                data if data > *mark => 2,
                data if data > mark / 2 => 1,
                _ => 0,
            },
        }
    }

    /// Gives back the memory of an empty queue.
    pub(crate) fn shrink(&mut self) {
        match self {
            Self::Fair(scheduler) => scheduler.shrink(),
            Self::Fifo(fifo) if fifo.frames.is_empty() => fifo.frames = VecDeque::new(),
            Self::Fifo(_) => {}
        }
    }
}

impl Fifo {
    fn push(&mut self, mut frame: Frame<Verified>) {
        let bytes = frame.encoded_len();
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
        let held = if matches!(frame, Frame::Data { .. }) { &mut self.data } else { &mut self.control };
        *held -= frame.encoded_len();
        Some(frame)
    }
}
