//! What a link has carried, by kind of frame.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use mute_core::{scheduler::SchedulerCounters, wire::Frame};
use serde::{Deserialize, Serialize};

/// A kind of frame, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameKind {
    /// A question to everybody in reach.
    Flood,
    /// A search for an address's owner.
    Seek,
    /// The answer that lays a trail.
    Trail,
    /// A sign of life of a trail's end.
    Keep,
    /// A sealed letter.
    Letter,
    /// What lays scent of an address that wants to be found.
    Walk,
    /// A sealed packet on a trail.
    Data,
    /// The end of a trail.
    Close,
}

/// Every kind, in the order of their indices.
const KINDS: [FrameKind; 8] = [
    FrameKind::Flood,
    FrameKind::Seek,
    FrameKind::Trail,
    FrameKind::Keep,
    FrameKind::Letter,
    FrameKind::Walk,
    FrameKind::Data,
    FrameKind::Close,
];

/// A kind's place in the arrays of counters.
fn index_of<S>(frame: &Frame<S>) -> usize {
    match frame {
        Frame::Flood { .. } => 0,
        Frame::Seek { .. } => 1,
        Frame::Trail { .. } => 2,
        Frame::Keep { .. } => 3,
        Frame::Letter { .. } => 4,
        Frame::Walk { .. } => 5,
        Frame::Data { .. } => 6,
        Frame::Close { .. } => 7,
    }
}

/// Frames and bytes of one kind in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// How many frames.
    pub frames: u64,
    /// Their bytes, with their headers, without what QUIC adds.
    pub bytes: u64,
}

/// What a link has carried since it came up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// From the neighbour, every signature checked.
    pub received: BTreeMap<FrameKind, Traffic>,
    /// To the neighbour, handed to QUIC.
    pub sent: BTreeMap<FrameKind, Traffic>,
    /// Frames dropped because they, or what was before them, had waited for the neighbour for too long, or because the queue was full.
    pub dropped: u64,
    /// Data that was marked as having met congestion in the queue to the neighbour.
    pub marked: u64,
    /// Frames of kinds that this version does not know.
    pub unknown: u64,
}

/// One direction's counters while it runs. Relaxed: each number is true, no two are of the same instant.
#[derive(Debug, Default)]
pub(super) struct Direction {
    frames: [AtomicU64; KINDS.len()],
    bytes: [AtomicU64; KINDS.len()],
}

impl Direction {
    pub(super) fn count<S>(&self, frame: &Frame<S>, bytes: usize) {
        let index = index_of(frame);
        self.frames[index].fetch_add(1, Ordering::Relaxed);
        self.bytes[index].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> BTreeMap<FrameKind, Traffic> {
        let traffic = |index: usize| Traffic {
            frames: self.frames[index].load(Ordering::Relaxed),
            bytes: self.bytes[index].load(Ordering::Relaxed),
        };
        KINDS.iter().enumerate().map(|(index, kind)| (*kind, traffic(index))).collect()
    }
}

/// A link's counters while it runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: Direction,
    pub(super) sent: Direction,
    pub(super) unknown: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self, scheduler: SchedulerCounters) -> LinkCounters {
        let SchedulerCounters { marked, congested, expired, evicted, refused } = scheduler;
        LinkCounters {
            received: self.received.read(),
            sent: self.sent.read(),
            dropped: congested + expired + evicted + refused,
            marked,
            unknown: self.unknown.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use mute_core::Label;

    use super::*;

    #[test]
    fn each_frame_is_counted_under_its_kind() {
        let counters = Counters::default();
        counters.received.count(&Frame::<()>::Close { label: Label(1) }, 11);
        counters.received.count(&Frame::<()>::Close { label: Label(2) }, 11);
        let read = counters.read(SchedulerCounters { marked: 1, congested: 2, expired: 3, evicted: 4, refused: 5 });
        assert_eq!((read.marked, read.dropped), (1, 14));
        assert_eq!(read.received[&FrameKind::Close], Traffic { frames: 2, bytes: 22 });
        assert_eq!(read.received[&FrameKind::Data], Traffic::default());
        assert_eq!(read.sent[&FrameKind::Close], Traffic::default());
    }
}
