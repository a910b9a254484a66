//! Links: two directed halves, each with a line of a rate, a delay and losses, and a queue before it.

use std::time::Duration;

use mute_core::{
    LinkId,
    wire::{Frame, Verified},
};

use crate::events::Nanos;

/// What IPv4, UDP and QUIC's short header, stream frame and tag take in each packet, in bytes: 20 + 8 + 11 + 8 + 16.
pub const PACKET_OVERHEAD: u64 = 63;

/// What a packet of a link carries of frames, in bytes: 1,452 of QUIC over an Ethernet path, less its own share of the overhead.
pub const PACKET_PAYLOAD: u64 = 1417;

/// What a frame of this encoded length takes on the wire, in bytes. Each frame is charged packets of its own; links put several
/// small ones into one, so this is the upper bound.
pub fn wire_bytes(encoded: usize) -> u64 {
    let encoded = encoded as u64;
    encoded + PACKET_OVERHEAD * encoded.div_ceil(PACKET_PAYLOAD)
}

/// How the two lines of a link are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkParams {
    /// Bytes a second in each direction; 0: no limit of its own (a node's upload may be one).
    pub rate: u64,
    /// Propagation, one way.
    pub delay: Duration,
    /// Up to so much more, evenly; frames stay in order, as on a stream.
    pub jitter: Duration,
    /// The probability that a frame is lost on its way.
    pub loss: f64,
    /// A lost frame is sent again after a round trip, as the links' QUIC does; otherwise it is gone.
    pub retransmit: bool,
}

impl Default for LinkParams {
    /// A household's upload of 10 Mbit/s and 20 ms to the neighbour.
    fn default() -> Self {
        Self { rate: 1_250_000, delay: Duration::from_millis(20), jitter: Duration::ZERO, loss: 0.0, retransmit: true }
    }
}

/// Where the bytes of a half went: up to the line as its queue charges them (their encoded length, at least 256), on it as
/// [`wire_bytes`] counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfCounters {
    /// Given to the queue.
    pub pushed: u64,
    /// Dropped by the queue.
    pub dropped: u64,
    /// Taken from the queue.
    pub taken: u64,
    /// In the queue when the link went down.
    pub cut_queued: u64,
    /// Put on the line, each frame once.
    pub sent: u64,
    /// Sent again after a loss.
    pub resent: u64,
    /// Lost on the line for good.
    pub lost: u64,
    /// Arrived.
    pub arrived: u64,
    /// On the line when the link went down.
    pub cut_flying: u64,
    /// Frames put on the line.
    pub frames: u64,
}

/// A frame under way: an entry of [`Flights`].
pub(crate) struct Flight {
    pub(crate) arrives: Nanos,
    /// The one behind it on the same half.
    next: u32,
    pub(crate) bytes: u32,
    frame: Option<Frame<Verified>>,
}

/// No flight.
const NONE: u32 = u32::MAX;

/// All frames that are under way, on all halves: a half knows its first and last, each knows the one behind it. Places are used
/// again at once, so that they stay in the processor's caches.
#[derive(Default)]
pub(crate) struct Flights {
    flights: Vec<Flight>,
    free: Vec<u32>,
}

impl Flights {
    /// A frame leaves. Whether it is the first on its half.
    pub(crate) fn push(&mut self, half: &mut Half, arrives: Nanos, bytes: u32, frame: Frame<Verified>) -> bool {
        let flight = Flight { arrives, next: NONE, bytes, frame: Some(frame) };
        let place = match self.free.pop() {
            Some(place) => {
                self.flights[place as usize] = flight;
                place
            }
            None => {
                self.flights.push(flight);
                self.flights.len() as u32 - 1
            }
        };
        let first = half.first == NONE;
        if first {
            half.first = place;
        } else {
            self.flights[half.last as usize].next = place;
        }
        half.last = place;
        first
    }

    /// The first frame on a half arrives, if its time has come: its bytes, and when the next one does.
    pub(crate) fn pop(&mut self, half: &mut Half, now: Nanos) -> Option<(u32, Frame<Verified>, Option<Nanos>)> {
        let flight = self.flights.get_mut(half.first as usize).filter(|flight| flight.arrives <= now)?;
        let (bytes, frame) = (flight.bytes, flight.frame.take()?);
        self.free.push(half.first);
        half.first = flight.next;
        let next = self.flights.get(half.first as usize).map(|next| next.arrives);
        Some((bytes, frame, next))
    }

    /// The first frame on a half.
    pub(crate) fn peek(&self, half: &Half) -> Option<&Frame<Verified>> {
        self.flights.get(half.first as usize)?.frame.as_ref()
    }

    /// Bytes on a half's line.
    pub(crate) fn bytes(&self, half: &Half) -> u64 {
        let first = self.flights.get(half.first as usize);
        let all = std::iter::successors(first, |flight| self.flights.get(flight.next as usize));
        all.map(|flight| u64::from(flight.bytes)).sum()
    }

    /// All that is on a half is lost. How many bytes that were.
    pub(crate) fn clear(&mut self, half: &mut Half) -> u64 {
        let mut bytes = 0;
        while let Some((lost, _, _)) = self.pop(half, Nanos::MAX) {
            bytes += u64::from(lost);
        }
        bytes
    }
}

/// One direction of a link: what each frame touches. Its queue is elsewhere.
pub(crate) struct Half {
    /// The line is taken until then.
    pub(crate) free_at: Nanos,
    pub(crate) last_arrival: Nanos,
    /// The first and last frame under way.
    first: u32,
    last: u32,
    /// A `Line` event is ahead.
    pub(crate) scheduled: bool,
    /// It waits for its node's upload.
    pub(crate) in_ring: bool,
    /// Nothing waits in its queue.
    pub(crate) empty: bool,
    /// The level that the router heard of.
    pub(crate) level: u8,
    /// Bytes that the node's upload owes this half (deficit round robin).
    pub(crate) deficit: i32,
    pub(crate) counters: HalfCounters,
}

impl Default for Half {
    fn default() -> Self {
        Self {
            free_at: 0,
            last_arrival: 0,
            first: NONE,
            last: NONE,
            scheduled: false,
            in_ring: false,
            empty: true,
            level: 0,
            deficit: 0,
            counters: HalfCounters::default(),
        }
    }
}

/// A link between two nodes, up or down. Its halves are at twice its index and one after.
pub(crate) struct Edge {
    /// The nodes; the first one dialled.
    pub(crate) ends: [u32; 2],
    /// Counts how often it came up, so that no [`LinkId`] comes twice.
    pub(crate) generation: u32,
    /// Its lines, in the list of all kinds of lines.
    pub(crate) kind: u32,
    pub(crate) up: bool,
}

/// The link as the node knows it that this half leads away from.
pub(crate) fn link_id(half: u32, generation: u32) -> LinkId {
    LinkId(u64::from(generation) << 32 | u64::from(half))
}

/// The half that a link's name means, and the generation.
pub(crate) fn parts(link: LinkId) -> (u32, u32) {
    (link.0 as u32, (link.0 >> 32) as u32)
}

/// How long a line of this rate is taken by so many bytes.
pub(crate) fn line_time(bytes: u64, rate: u64) -> Nanos {
    (u128::from(bytes) * 1_000_000_000).checked_div(u128::from(rate)).unwrap_or(0) as Nanos
}

impl std::ops::Add for HalfCounters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            pushed: self.pushed + other.pushed,
            dropped: self.dropped + other.dropped,
            taken: self.taken + other.taken,
            sent: self.sent + other.sent,
            resent: self.resent + other.resent,
            lost: self.lost + other.lost,
            arrived: self.arrived + other.arrived,
            cut_queued: self.cut_queued + other.cut_queued,
            cut_flying: self.cut_flying + other.cut_flying,
            frames: self.frames + other.frames,
        }
    }
}
