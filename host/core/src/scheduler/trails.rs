//! Which trails of an ingress send little.

use super::{
    lane::Lane,
    limits::{SPARSE_AFTER, SPARSE_BYTES, SPARSE_INTERVAL, TRAIL_PLACES},
};
use crate::Label;

/// What is remembered of the trails that share a place.
#[derive(Clone, Copy, Default)]
struct Place {
    /// When the last packet came, in milliseconds.
    last_ms: u32,
    /// When the present interval began.
    since_ms: u32,
    /// What has come in it, in bytes.
    bytes: u32,
    sends_much: bool,
    /// Packets that wait in the interactive lane.
    interactive: u32,
    /// Packets that wait in a bulk lane.
    bulk: u32,
}

/// The trails of one ingress.
pub(super) struct Trails {
    places: Box<[Place; TRAIL_PLACES]>,
}

impl Trails {
    pub(super) fn new() -> Self {
        Self { places: Box::new([Place::default(); TRAIL_PLACES]) }
    }

    /// A packet of `bytes` comes and waits: where.
    pub(super) fn come(&mut self, label: Label, bytes: u32, now_ms: u32) -> Lane {
        let place = self.place(label);
        // Milliseconds wrap after 49 days; a trail lives for ten minutes.
        let silence = now_ms.wrapping_sub(place.last_ms);
        if place.sends_much && place.bulk == 0 && silence >= SPARSE_AFTER.as_millis() as u32 {
            place.sends_much = false;
        }
        if now_ms.wrapping_sub(place.since_ms) >= SPARSE_INTERVAL.as_millis() as u32 {
            place.since_ms = now_ms;
            place.bytes = 0;
        }
        place.last_ms = now_ms;
        place.bytes = place.bytes.saturating_add(bytes);
        place.sends_much |= place.bytes > SPARSE_BYTES;
        if place.sends_much {
            place.bulk += 1;
            Lane::of_bulk(label)
        } else {
            place.interactive += 1;
            Lane::INTERACTIVE
        }
    }

    /// What comes for a trail waits behind what it has waiting, in this lane, if it has anything.
    pub(super) fn join(&mut self, label: Label) -> Option<Lane> {
        let place = self.place(label);
        if place.bulk > 0 {
            place.bulk += 1;
            Some(Lane::of_bulk(label))
        } else if place.interactive > 0 {
            place.interactive += 1;
            Some(Lane::INTERACTIVE)
        } else {
            None
        }
    }

    /// Something has left a lane.
    pub(super) fn leave(&mut self, label: Label, lane: Lane) {
        let place = self.place(label);
        let count = if lane == Lane::INTERACTIVE { &mut place.interactive } else { &mut place.bulk };
        *count = count.saturating_sub(1);
    }

    /// Whether something of the trail waits in the interactive lane.
    pub(super) fn has_interactive(&self, label: Label) -> bool {
        self.places[Self::index(label)].interactive > 0
    }

    fn place(&mut self, label: Label) -> &mut Place {
        &mut self.places[Self::index(label)]
    }

    /// By Fibonacci hashing, as labels may be as regular as a simulator makes them. Whoever chooses the labels of a link is one of its two sides: it could make
    /// its own trails share a place.
    fn index(label: Label) -> usize {
        ((label.0 >> 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % TRAIL_PLACES
    }
}
