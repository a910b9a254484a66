//! How a message travels that goes to more than one: what of its header relays may change.

use super::DecodeError;

/// How far a flooded message has come, as far as anybody can read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is counted yet, so that nobody can tell the first sender by a count.
    Hidden,
    /// It was passed on this often since the counter started, 1 to [`Phase::MOST`].
    Counted(u8),
    /// The count is over: it goes to few.
    Ending,
    /// Nobody hears it: it goes on for so many hops, 1 to [`Phase::MOST`], to hide who got the message itself.
    Tail(u8),
}

impl Phase {
    /// The highest count that a header can say.
    pub const MOST: u8 = 63;

    const ENDING: u8 = Self::MOST + 1;
    const FIRST_TAIL: u8 = Self::ENDING + 1;
    const LAST_TAIL: u8 = Self::ENDING + Self::MOST;

    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Hidden => 0,
            Self::Counted(hops) => {
                if hops < Self::MOST {
                    hops
                } else {
                    Self::MOST
                }
            }
            Self::Ending => Self::ENDING,
            Self::Tail(hops) => Self::ENDING + if hops < Self::MOST { hops } else { Self::MOST },
        }
    }

    pub(super) const fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            0 => Self::Hidden,
            1..=Self::MOST => Self::Counted(byte),
            Self::ENDING => Self::Ending,
            Self::FIRST_TAIL..=Self::LAST_TAIL => Self::Tail(byte - Self::ENDING),
            _ => return Err(DecodeError::Field),
        })
    }
}

/// How a walk travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One copy from node to node, as it left its author.
    Stem,
    /// As so many walkers, as a power of two, at most [`Way::MOST`]: they split up, and the last ones end by chance.
    Roam(u8),
}

impl Way {
    /// The most walkers that a header can say, as a power of two.
    pub const MOST: u8 = 15;

    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Stem => 0,
            Self::Roam(log2) => 1 + if log2 < Self::MOST { log2 } else { Self::MOST },
        }
    }

    pub(super) const fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            0 => Ok(Self::Stem),
            walkers if walkers <= 1 + Self::MOST => Ok(Self::Roam(walkers - 1)),
            _ => Err(DecodeError::Field),
        }
    }
}

/// How a Seek travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekMode {
    /// Along the scent of its target; dropped where there is none.
    Directed,
    /// To everybody in reach, like a Flood.
    Flood(Phase),
    /// Like a Walk, until it comes to a node where its target smells: from there on directed.
    Walk(Way),
}

impl SeekMode {
    const FIRST_FLOOD: u8 = 1;
    const LAST_FLOOD: u8 = Self::FIRST_FLOOD + Phase::LAST_TAIL;
    const FIRST_WALK: u8 = Self::LAST_FLOOD + 1;

    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Directed => 0,
            Self::Flood(phase) => Self::FIRST_FLOOD + phase.byte(),
            Self::Walk(way) => Self::FIRST_WALK + way.byte(),
        }
    }

    pub(super) fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            0 => Self::Directed,
            Self::FIRST_FLOOD..=Self::LAST_FLOOD => Self::Flood(Phase::from_byte(byte - Self::FIRST_FLOOD)?),
            Self::FIRST_WALK.. => Self::Walk(Way::from_byte(byte - Self::FIRST_WALK)?),
        })
    }
}
