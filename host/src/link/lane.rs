//! The streams of a link: one for each class of frame, so that none waits for a stream that is blocked.

use mute_core::{Label, wire::Frame};

/// Bulk data is spread over so many streams by its label: a lost packet holds up one of them.
const BULK_LANES: usize = 4;

/// How many streams each side of a link opens.
pub(super) const LANES: u8 = (Lane::FIRST_BULK + BULK_LANES) as u8;

/// A class of frames with a stream of its own. The first byte of a stream is its lane's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lane(u8);

impl Lane {
    /// Hello and what keeps trails alive: Trail, Keep, Close. Opened first, never ended but to take leave.
    pub(super) const CONTROL: Self = Self(0);
    /// Data of flows that send small packets only.
    pub(super) const INTERACTIVE: Self = Self(1);
    /// What spreads and what must be verified on its own budget: Flood, Seek, Letter, Walk.
    pub(super) const FLOOD: Self = Self(2);
    /// The number of the first lane of bulk data; the others follow.
    pub(super) const FIRST_BULK: usize = 3;

    /// Every lane, in the order in which they are served.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..LANES).map(Self)
    }

    /// The lane with this number.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        (number < LANES).then_some(Self(number))
    }

    /// The number, less than [`LANES`].
    pub(super) fn number(self) -> u8 {
        self.0
    }

    /// The number, as an index.
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The lane of a bulk flow. Labels are random, but their lowest bit is the link's initiator.
    pub(super) fn of_bulk(label: Label) -> Self {
        let flow = (label.0 >> 1) % BULK_LANES as u64;
        // Less than LANES, so it fits.
        Self((Self::FIRST_BULK as u64 + flow) as u8)
    }

    /// Whether this lane carries Data.
    pub(super) fn is_data(self) -> bool {
        self == Self::INTERACTIVE || self.index() >= Self::FIRST_BULK
    }

    /// QUIC sends what it has of a higher priority first: control, then interactive, then all else by turns.
    pub(super) fn priority(self) -> i32 {
        match self {
            Self::CONTROL => 2,
            Self::INTERACTIVE => 1,
            _ => 0,
        }
    }

    /// Whether a frame may come on this lane. (Any lane of data serves any Data: which, its sender knows best.)
    pub(super) fn admits<S>(self, frame: &Frame<S>) -> bool {
        match frame {
            Frame::Trail { .. } | Frame::Keep { .. } | Frame::Close { .. } => self == Self::CONTROL,
            Frame::Flood { .. } | Frame::Seek { .. } | Frame::Letter { .. } | Frame::Walk { .. } => self == Self::FLOOD,
            Frame::Data { .. } => self.is_data(),
        }
    }
}
