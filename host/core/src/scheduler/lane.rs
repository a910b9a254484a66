//! Classes of frames, each with a QUIC stream of its own on a link, so that none waits for a stream that is blocked.

use crate::{Label, wire::Frame};

/// Bulk data is spread over so many streams by its label: a lost packet holds up one of them.
const BULK_LANES: usize = 4;

/// A class of frames with a stream of its own. The first byte of a stream is its lane's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u8);

impl Lane {
    /// Hello and what keeps trails alive: Trail, Keep, Close. Opened first, never ended but to take leave.
    pub const CONTROL: Self = Self(0);
    /// Data of trails that send little.
    pub const INTERACTIVE: Self = Self(1);
    /// What spreads and what must be verified on its own budget: Flood, Seek, Letter, Walk.
    pub const FLOOD: Self = Self(2);
    /// The number of the first lane of bulk data; the others follow.
    pub const FIRST_BULK: usize = 3;
    /// How many lanes there are.
    pub const COUNT: u8 = (Self::FIRST_BULK + BULK_LANES) as u8;

    /// Every lane, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The lane with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// The number, less than [`Self::COUNT`].
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number, as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The lane of a trail that sends much. Labels are random, but their lowest bit is the link's initiator.
    pub const fn of_bulk(label: Label) -> Self {
        let flow = (label.0 >> 1) % BULK_LANES as u64;
        // Less than COUNT, so it fits.
        Self((Self::FIRST_BULK as u64 + flow) as u8)
    }

    /// Whether this lane carries Data.
    pub const fn is_data(self) -> bool {
        self.0 == Self::INTERACTIVE.0 || self.index() >= Self::FIRST_BULK
    }

    /// Whether a frame may come on this lane. (Any lane of data serves any Data: which, its sender knows best.)
    pub fn admits<S>(self, frame: &Frame<S>) -> bool {
        match frame {
            Frame::Trail { .. } | Frame::Keep { .. } | Frame::Close { .. } => self == Self::CONTROL,
            Frame::Flood { .. } | Frame::Seek { .. } | Frame::Letter { .. } | Frame::Walk { .. } => self == Self::FLOOD,
            Frame::Data { .. } => self.is_data(),
        }
    }
}

/// A set of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes(u8);

impl Lanes {
    /// Every lane.
    pub const ALL: Self = Self((1 << Lane::COUNT) - 1);
    /// No lane.
    pub const NONE: Self = Self(0);

    /// Whether `lane` is one of them.
    pub const fn has(self, lane: Lane) -> bool {
        self.0 & (1 << lane.0) != 0
    }

    /// These and `lane`.
    pub const fn with(self, lane: Lane) -> Self {
        Self(self.0 | 1 << lane.0)
    }

    /// These without `lane`.
    pub const fn without(self, lane: Lane) -> Self {
        Self(self.0 & !(1 << lane.0))
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        for lane in Lane::all() {
            assert!(Lanes::ALL.has(lane) && !Lanes::NONE.has(lane));
            assert!(!Lanes::ALL.without(lane).has(lane) && Lanes::NONE.with(lane).has(lane));
            assert_eq!(Lane::from_number(lane.number()), Some(lane));
        }
        assert_eq!(Lane::from_number(Lane::COUNT), None);
        assert!(Lane::all().fold(Lanes::ALL, Lanes::without).is_empty());
    }

    #[test]
    fn bulk_is_spread_whoever_chose_the_label() {
        for low in [0, 1] {
            let lanes: std::collections::BTreeSet<_> = (0..64).map(|n| Lane::of_bulk(Label(2 * n + low))).collect();
            assert_eq!(lanes.len(), BULK_LANES);
            assert!(lanes.iter().all(|lane| lane.is_data()));
        }
    }
}
