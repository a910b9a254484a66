//! First in, first out, with its bytes.

use std::collections::VecDeque;

use super::limits::SPARE_PLACES;
use crate::wire::Frame;

/// A frame that waits.
pub(super) struct Waiting<S> {
    pub(super) frame: Frame<S>,
    /// What it is charged, in bytes.
    pub(super) charge: u32,
    /// When it came, in microseconds.
    pub(super) since_us: u64,
    /// Its place among all that came.
    pub(super) number: u64,
}

/// Frames of one ingress and lane.
pub(super) struct Fifo<S> {
    frames: VecDeque<Waiting<S>>,
    bytes: usize,
}

impl<S> Default for Fifo<S> {
    fn default() -> Self {
        Self { frames: VecDeque::new(), bytes: 0 }
    }
}

impl<S> Fifo<S> {
    pub(super) fn push(&mut self, waiting: Waiting<S>) {
        self.bytes += waiting.charge as usize;
        self.frames.push_back(waiting);
    }

    pub(super) fn pop(&mut self) -> Option<Waiting<S>> {
        let waiting = self.frames.pop_front()?;
        self.taken(&waiting);
        Some(waiting)
    }

    pub(super) fn pop_newest(&mut self) -> Option<Waiting<S>> {
        let waiting = self.frames.pop_back()?;
        self.taken(&waiting);
        Some(waiting)
    }

    pub(super) fn head(&self) -> Option<&Waiting<S>> {
        self.frames.front()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn taken(&mut self, waiting: &Waiting<S>) {
        self.bytes -= waiting.charge as usize;
        // The room that a burst took is not kept for ever.
        if self.frames.is_empty() && self.frames.capacity() > SPARE_PLACES {
            self.frames = VecDeque::new();
        }
    }
}
