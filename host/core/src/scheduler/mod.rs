//! The scheduler: what waits for one neighbour, and what goes next. Sans-IO like the router; a link's task owns it in the daemon, each
//! direction of a link in the simulator.
//!
//! # Who gets how much
//! - Data takes turns by **ingress**, the neighbour that it comes from, by deficit round robin: whoever fills the link gets what the others leave, and
//!   a hog with a hundred trails counts as one. All identities of this node together are one ingress without privilege. So the share that each node decides
//!   holds for the whole way: what a bystander three hops away gets is not decided by how much others ask for.
//! - An [`Ingress`] may weigh more than one ([`Standing`]), and strangers together get as much as one friend while a friend waits: whoever mints four nodes is one user.
//!   (With half for all strangers, as first designed, a bystander behind a friend kept 73 % of its fair share beside such a hog and one more user, and 61 % beside three.) This
//!   node itself is a friend beside friends and a stranger beside strangers: what it sends must not be told from what it relays by the share that it gets.
//! - Within an ingress the oldest packet goes first, so that the share which was decided upstream survives. Trails that send little may go ahead of others, as
//!   FQ-CoDel's new flows do, for an eighth of the ingress's bytes: that bounds what minted labels gain.
//! - A trail's packets are never reordered. A Close goes behind what waits of its trail; a Keep or Trail may overtake Data.
//! - Control kinds (Trail, Keep, Close) go first, for at most half of the bytes while others wait; floods (Flood, Seek, Letter, Walk) go next, for at most a tenth
//!   while Data waits. Both in turns by ingress. None can starve another.
//!
//! # How long it gets
//! - Data: [`limits::MAX_INGRESS_BYTES`] from each ingress, [`limits::MAX_BYTES`] in all; when full the oldest packet of the ingress that holds most (by its
//!   weight) gives way, so that a hog pays. CoDel runs in each ingress with a target of 10 ms or, on slow links, the time of two of the largest packets; it
//!   marks where the ends understand that, else it drops. An ingress that is half full marks all, for a fast sender would fill the rest before CoDel's interval is over. After a second (or eight targets) Data is dropped in any case.
//! - Control kinds and floods have byte budgets of their own, for each ingress and in all, and are neither marked nor dropped for being late.
//!
//! # Sources
//! Shreedhar and Varghese, *Efficient fair queuing using deficit round robin*, 1996; CoDel, RFC 8289; FQ-CoDel, RFC 8290 (new and old queues, dropping from the
//! longest); Høiland-Jørgensen, Täht and Morton, *Piece of CAKE*, 2018 (the interval on slow links).

mod codel;
mod fifo;
mod ingress;
mod lane;
pub mod limits;
mod rate;
mod ring;
mod share;
mod state;
mod trails;

pub use lane::{Lane, Lanes};

use crate::{Hop, Instant, wire::Frame};
use limits::{MAX_BYTES, MAX_INGRESS_BYTES, QUANTUM, TARGET};
use rate::DrainRate;
use state::State;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// Data in all, in bytes.
    pub max_bytes: usize,
    /// Data of one ingress, in bytes.
    pub max_ingress_bytes: usize,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self { max_bytes: MAX_BYTES, max_ingress_bytes: MAX_INGRESS_BYTES }
    }
}

/// What an ingress is to this node: what the choice of neighbours decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its share beside others, 1 to 16; others are taken for the nearest of these.
    pub weight: u8,
    /// Nobody has invited it.
    pub stranger: bool,
}

impl Default for Standing {
    /// A friend of weight 1.
    fn default() -> Self {
        Self { weight: 1, stranger: false }
    }
}

/// Where a frame comes from, and what that is to this node. A [`Hop`] alone is a friend of weight 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// The neighbour or port. All ports count as one.
    pub hop: Hop,
    /// Its standing now; the latest counts.
    pub standing: Standing,
}

impl From<Hop> for Ingress {
    fn from(hop: Hop) -> Self {
        Self { hop, standing: Standing::default() }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It waits. (Older ones may have given way to it; see [`SchedulerCounters::evicted`].)
    Queued,
    /// There was no room: its ingress has as many control messages waiting as it may, or there are too many ingresses.
    Dropped,
}

/// What a scheduler has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulerCounters {
    /// Data that was marked as having met congestion.
    pub marked: u64,
    /// Data that CoDel dropped, its ends not understanding marks.
    pub congested: u64,
    /// Data that had waited for too long.
    pub expired: u64,
    /// Frames that gave way to newer ones, the queue being full.
    pub evicted: u64,
    /// Frames that were not taken.
    pub refused: u64,
}

/// The frames that wait for one neighbour. Empty it is less than 200 bytes; the rest is in a box that the first frame makes.
pub struct Scheduler<S> {
    config: SchedulerConfig,
    rate: DrainRate,
    counters: SchedulerCounters,
    state: Option<Box<State<S>>>,
}

/// Debug output may reach a log, so it holds nothing of what waits.
impl<S> core::fmt::Debug for Scheduler<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Scheduler({} bytes, {:?})", self.bytes(), self.counters)
    }
}

/// Microseconds since the clock's origin.
fn micros(now: Instant) -> u64 {
    u64::try_from(now.since_origin().as_micros()).unwrap_or(u64::MAX)
}

impl<S> Scheduler<S> {
    /// An empty one.
    pub fn new(config: SchedulerConfig) -> Self {
        Self { config, rate: DrainRate::default(), counters: SchedulerCounters::default(), state: None }
    }

    /// Takes a frame that came from `ingress`: a [`Hop`], or an [`Ingress`].
    pub fn push(&mut self, ingress: impl Into<Ingress>, frame: Frame<S>, now: Instant) -> Verdict {
        let state = self.state.get_or_insert_default();
        let verdict = state.push(ingress.into(), frame, micros(now), &self.config, &mut self.counters);
        if verdict == Verdict::Dropped {
            self.counters.refused += 1;
        }
        verdict
    }

    /// Takes out what goes next.
    pub fn pop(&mut self, now: Instant) -> Option<Frame<S>> {
        self.pop_from(Lanes::ALL, now).map(|(_, frame)| frame)
    }

    /// Takes out what goes next on any of some lanes, the others being blocked, and on which.
    pub fn pop_from(&mut self, lanes: Lanes, now: Instant) -> Option<(Lane, Frame<S>)> {
        let state = self.state.as_deref_mut()?;
        let now_us = micros(now);
        self.rate.look(now_us);
        let taken = state.pop(lanes, now_us, &self.rate, &self.config, &mut self.counters);
        if let Some((_, waiting)) = &taken {
            self.rate.taken(waiting.charge);
        }
        if state.bytes() == 0 {
            self.rate.rest();
        }
        taken.map(|(lane, waiting)| (lane, waiting.frame))
    }

    /// How loaded the link is, for the router's choice: 0 as long as Data would not wait for longer than it takes to send or [`limits::TARGET`], 1 below four times
    /// that, 2 below sixteen times, 3 beyond or about to drop.
    pub fn level(&self) -> u8 {
        let Some(data) = self.state.as_ref().map(|state| state.data_bytes()) else {
            return 0;
        };
        let full = self.config.max_ingress_bytes.min(self.config.max_bytes);
        if data >= full / 4 * 3 {
            return 3;
        }
        let Some(delay) = self.rate.us_for(data as u64) else {
            return if data >= full / 8 { 1 } else { 0 };
        };
        let unit = self.rate.us_for(2 * u64::from(QUANTUM)).unwrap_or(0).max(TARGET.as_micros() as u64);
        match delay / unit {
            0 => 0,
            1..4 => 1,
            4..16 => 2,
            _ => 3,
        }
    }

    /// What waits, in bytes as they are charged: at least [`limits::LEAST_CHARGE`] for each frame.
    pub fn bytes(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.bytes())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// What was done so far.
    pub fn counters(&self) -> SchedulerCounters {
        self.counters
    }

    /// Gives back the memory of an empty scheduler, and with it what CoDel and the turns remember of the last seconds. For a simulator of very many links; a daemon
    /// has no use for it.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.state = None;
        }
    }
}
