//! What waits from one ingress.

use super::{
    SchedulerCounters, Standing,
    codel::{CoDel, Judgement, Seen},
    fifo::{Fifo, Waiting},
    lane::{Lane, Lanes},
    limits::{BOOST_BURST, BOOST_SHARE, EXPIRY, EXPIRY_TARGETS, INTERVAL, TARGET},
    rate::DrainRate,
    ring::Has,
    share::Share,
    trails::Trails,
};
use crate::{Ecn, Hop, LinkId, wire::Frame};

/// Where frames come from: a neighbour, or (`None`) any identity of this node, which together are one virtual neighbour.
pub(super) type Source = Option<LinkId>;

pub(super) const fn source(hop: Hop) -> Source {
    match hop {
        Hop::Link(link) => Some(link),
        Hop::Port(_) => None,
    }
}

/// The lanes of Data: the interactive one, then the bulk ones.
const DATA_LANES: usize = 1 + Lane::COUNT as usize - Lane::FIRST_BULK;

/// Of `DATA_LANES`, by index.
fn data_lane(index: usize) -> Lane {
    match index {
        0 => Lane::INTERACTIVE,
        // Less than COUNT, for the index is less than DATA_LANES.
        bulk => Lane::from_number((Lane::FIRST_BULK + bulk - 1) as u8).unwrap_or(Lane::INTERACTIVE),
    }
}

const fn data_index(lane: Lane) -> usize {
    if lane.index() < Lane::FIRST_BULK { 0 } else { lane.index() + 1 - Lane::FIRST_BULK }
}

/// What waits from an ingress.
pub(super) struct Waits<S> {
    pub(super) source: Source,
    /// Its weight is from 1 to `MAX_WEIGHT`.
    pub(super) standing: Standing,
    /// When something came last, in microseconds.
    pub(super) last_us: u64,
    pub(super) control: Fifo<S>,
    pub(super) floods: Fifo<S>,
    pub(super) data: Data<S>,
}

impl<S> Waits<S> {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            standing: Standing::default(),
            last_us: 0,
            control: Fifo::default(),
            floods: Fifo::default(),
            data: Data::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.floods.is_empty() && self.data.bytes == 0
    }
}

/// Data of one ingress, and the Closes behind it.
pub(super) struct Data<S> {
    lanes: [Fifo<S>; DATA_LANES],
    bytes: usize,
    trails: Option<Trails>,
    boost: Share,
    codel: CoDel,
    /// The largest packet since it was last empty, in bytes.
    largest: u32,
    /// Closes that have nothing before them any more.
    released: Vec<Waiting<S>>,
}

impl<S> Default for Data<S> {
    fn default() -> Self {
        Self {
            lanes: std::array::from_fn(|_| Fifo::default()),
            bytes: 0,
            trails: None,
            boost: Share::new(BOOST_SHARE, BOOST_BURST),
            codel: CoDel::default(),
            largest: 0,
            released: Vec::new(),
        }
    }
}

/// What a packet is judged by.
pub(super) struct Link<'a> {
    pub(super) now_us: u64,
    pub(super) rate: &'a DrainRate,
    /// How many ingresses share the link now.
    pub(super) sharing: u64,
    /// An ingress with more bytes than this is about to be full.
    pub(super) crowded: usize,
}

impl<S> Data<S> {
    /// Takes a packet.
    pub(super) fn push(&mut self, waiting: Waiting<S>) {
        let Frame::Data { label, .. } = waiting.frame else {
            return;
        };
        self.largest = self.largest.max(waiting.charge);
        let trails = self.trails.get_or_insert_with(Trails::new);
        let lane = trails.come(label, waiting.charge, (waiting.since_us / 1000) as u32);
        self.bytes += waiting.charge as usize;
        self.lanes[data_index(lane)].push(waiting);
    }

    /// Takes a Close if packets of its trail wait here: it waits behind them, for it would have them dropped.
    pub(super) fn push_close(&mut self, waiting: Waiting<S>) -> Result<(), Waiting<S>> {
        let Frame::Close { label } = waiting.frame else {
            return Err(waiting);
        };
        match self.trails.as_mut().and_then(|trails| trails.join(label)) {
            Some(lane) => {
                self.bytes += waiting.charge as usize;
                self.lanes[data_index(lane)].push(waiting);
                Ok(())
            }
            None => Err(waiting),
        }
    }

    /// Takes a Close that has nothing before it any more.
    pub(super) fn pop_released(&mut self) -> Option<Waiting<S>> {
        self.released.pop()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has(&self, lanes: Lanes) -> Has {
        match self.next(lanes) {
            Some(_) => Has::Now,
            None if self.bytes > 0 => Has::Later,
            None => Has::Nothing,
        }
    }

    /// Takes the next packet that goes out, dropping those before it that CoDel or the expiry condemns.
    pub(super) fn pop(
        &mut self,
        lanes: Lanes,
        link: &Link<'_>,
        counters: &mut SchedulerCounters,
    ) -> Option<(Lane, Waiting<S>)> {
        while let Some((index, boosted)) = self.next(lanes) {
            let largest = u64::from(self.largest);
            let (lane, mut waiting) = self.take(index)?;
            let Frame::Data { ecn, .. } = &mut waiting.frame else {
                // Cannot be: a Close is released when the packet before it leaves.
                continue;
            };
            let sojourn = link.now_us.saturating_sub(waiting.since_us);
            let target = target_us(sojourn, largest, link);
            if sojourn >= (EXPIRY.as_micros() as u64).max(EXPIRY_TARGETS * target) {
                counters.expired += 1;
                continue;
            }
            // What goes ahead is judged by what it overtakes, else going ahead would be a way around.
            let since = if boosted { self.oldest() } else { None };
            let sojourn = since.map_or(sojourn, |since| sojourn.max(link.now_us.saturating_sub(since)));
            let target = target_us(sojourn, largest, link);
            let seen = Seen {
                now: link.now_us,
                sojourn,
                target,
                interval: (INTERVAL.as_micros() as u64).max(2 * target),
                is_short: self.bytes as u64 <= largest,
            };
            let is_crowded = self.bytes > link.crowded;
            match (self.codel.judge(seen), *ecn) {
                (Judgement::Send, Ecn::NotCapable) => {}
                (Judgement::Send, _) if !is_crowded => {}
                (Judgement::Slow, Ecn::NotCapable) => {
                    counters.congested += 1;
                    continue;
                }
                (Judgement::Send | Judgement::Slow, _) => {
                    counters.marked += 1;
                    *ecn = Ecn::Experienced;
                }
            }
            if boosted {
                self.boost.spend(waiting.charge);
            } else {
                self.boost.earn(waiting.charge);
            }
            return Some((lane, waiting));
        }
        None
    }

    /// Takes the oldest of the lane that holds most: there is no room for it.
    pub(super) fn evict(&mut self) -> Option<Waiting<S>> {
        let fullest = (0..DATA_LANES).max_by_key(|index| self.lanes[*index].bytes())?;
        self.take(fullest).map(|(_, waiting)| waiting)
    }

    /// When the oldest packet of all lanes came.
    fn oldest(&self) -> Option<u64> {
        self.lanes.iter().filter_map(|lane| lane.head()).map(|head| head.since_us).min()
    }

    /// Which of `DATA_LANES` is next: the oldest packet, or the oldest of the interactive lane if that may go first.
    fn next(&self, lanes: Lanes) -> Option<(usize, bool)> {
        let [interactive, bulk @ ..] = &self.lanes;
        let first = interactive.head().filter(|_| lanes.has(Lane::INTERACTIVE));
        let mut oldest: Option<(u64, usize)> = None;
        for (index, lane) in (1..).zip(bulk) {
            if let Some(head) = lane.head()
                && lanes.has(data_lane(index))
                && oldest.is_none_or(|(number, _)| head.number < number)
                && !self.is_behind_interactive(head, lanes)
            {
                oldest = Some((head.number, index));
            }
        }
        match (first, oldest) {
            (Some(first), Some((number, _))) if first.number < number => Some((0, false)),
            (Some(_), Some(_)) if self.boost.is_left() => Some((0, true)),
            (_, Some((_, index))) => Some((index, false)),
            (Some(_), None) => Some((0, false)),
            (None, None) => None,
        }
    }

    /// Whether a packet must wait for one of its trail in the interactive lane, which is blocked.
    fn is_behind_interactive(&self, head: &Waiting<S>, lanes: Lanes) -> bool {
        if lanes.has(Lane::INTERACTIVE) || self.lanes[0].is_empty() {
            return false;
        }
        match (&head.frame, &self.trails) {
            (Frame::Data { label, .. } | Frame::Close { label }, Some(trails)) => trails.has_interactive(*label),
            _ => false,
        }
    }

    fn take(&mut self, index: usize) -> Option<(Lane, Waiting<S>)> {
        let lane = data_lane(index);
        let waiting = self.lanes.get_mut(index)?.pop()?;
        self.taken(lane, &waiting);
        let is_close = |head: &Waiting<S>| !head.frame.is_data();
        while self.lanes[index].head().is_some_and(is_close)
            && let Some(close) = self.lanes[index].pop()
        {
            self.taken(lane, &close);
            self.released.push(close);
        }
        if self.bytes == 0 {
            self.codel.rest();
            self.largest = 0;
        }
        Some((lane, waiting))
    }

    fn taken(&mut self, lane: Lane, waiting: &Waiting<S>) {
        self.bytes -= waiting.charge as usize;
        if let (Frame::Data { label, .. } | Frame::Close { label }, Some(trails)) = (&waiting.frame, &mut self.trails) {
            trails.leave(*label, lane);
        }
    }
}

/// CoDel's target: as RFC 8290, 5.2.2 asks, no less than it takes to send; here to send two of the largest packets in turn with the other ingresses.
fn target_us(sojourn: u64, largest: u64, link: &Link<'_>) -> u64 {
    let least = TARGET.as_micros() as u64;
    if sojourn < least {
        // Below any target, so which one does not matter.
        return least;
    }
    link.rate.us_for(2 * largest * link.sharing).map_or(least, |us| us.max(least))
}
