//! What a node holds to, each rule by itself, so that an experiment can switch one off and show what it is worth.

use core::time::Duration;

use super::limits::{
    ANCHOR_PLACES, ANCHORS, CHANGE_INTERVAL, HOLD, INBOUND_PER_CHOSEN, INBOUND_STRANGERS, LEAST_LINKS, LOCAL_STRANGERS,
    MINIMUM_STAY, MOST_LINKS, OUTBOUND_PER_ORIGIN, OUTBOUND_STRANGERS, PARTNERS, STRANGERS_PER_PREFIX,
    STRANGERS_PER_WIDE_PREFIX, TARGET_LINKS,
};

/// The rules of one node. The default is what MUTE does; a test topology may be [`Rules::fixed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Links at most.
    pub most: usize,
    /// Links aimed for: friends beyond it leave no place for chosen strangers.
    pub target: usize,
    /// Links at least; below, the user is told.
    pub least: usize,
    /// Whether there are strangers at all.
    pub strangers: bool,
    /// Strangers that are chosen and dialled.
    pub outbound: usize,
    /// Strangers that may dial.
    pub inbound: usize,
    /// Whether those have places of their own. Off: whoever comes first takes the places of both.
    pub separate_slots: bool,
    /// Strangers with one /24 or /48.
    pub per_prefix: usize,
    /// Strangers with one /16 or /32.
    pub per_wide_prefix: usize,
    /// Strangers with local addresses.
    pub local: usize,
    /// Chosen strangers that one origin told of.
    pub per_origin: usize,
    /// Of the prefixes that are known, so many are for this node to link with. `None`: all.
    pub partners: Option<usize>,
    /// Strangers that may dial, for each chosen link, beyond the first four.
    pub inbound_per_chosen: usize,
    /// Whether whom to dial is chosen by prefix first. Off: every address that is known is as likely.
    pub choose_by_prefix: bool,
    /// Whether the book's places are fixed by a secret. Off: a newcomer takes a place of somebody at random, as Bitcoin did before 2015.
    pub fixed_places: bool,
    /// Long-lived strangers that are remembered, preferred and kept over restarts.
    pub anchors: usize,
    /// Chosen strangers that are taken from them rather than from the book.
    pub anchor_places: usize,
    /// How long a chosen stranger stays at least.
    pub minimum_stay: Duration,
    /// At most one stranger is given up for a better one in so long. `None`: never.
    pub change_interval: Option<Duration>,
    /// How long the place of a lost one is kept for it.
    pub hold: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            most: MOST_LINKS,
            target: TARGET_LINKS,
            least: LEAST_LINKS,
            strangers: true,
            outbound: OUTBOUND_STRANGERS,
            inbound: INBOUND_STRANGERS,
            separate_slots: true,
            per_prefix: STRANGERS_PER_PREFIX,
            per_wide_prefix: STRANGERS_PER_WIDE_PREFIX,
            local: LOCAL_STRANGERS,
            per_origin: OUTBOUND_PER_ORIGIN,
            partners: Some(PARTNERS),
            inbound_per_chosen: INBOUND_PER_CHOSEN,
            choose_by_prefix: true,
            fixed_places: true,
            anchors: ANCHORS,
            anchor_places: ANCHOR_PLACES,
            minimum_stay: MINIMUM_STAY,
            change_interval: Some(CHANGE_INTERVAL),
            hold: HOLD,
        }
    }
}

impl Rules {
    /// A topology that is given: friends only, and as many as there are places for.
    pub fn fixed(most: usize) -> Self {
        Self { most, strangers: false, ..Self::default() }
    }

    /// Chosen strangers wanted beside so many friends.
    pub(super) fn wanted(&self, friends: usize) -> usize {
        if self.strangers { self.outbound.min(self.target.saturating_sub(friends)) } else { 0 }
    }
}
