//! Token buckets: what a hop may cost, and how often a label is closed.

use std::collections::{BTreeSet, VecDeque};

use super::limits::{
    ANSWERS_BURST, ANSWERS_PER_S, CLOSE_INTERVAL, CLOSES_BURST, CLOSES_PER_S, DIRECTED_BURST_BYTES,
    DIRECTED_BYTES_PER_S, FLOOD_BURST_BYTES, FLOOD_BYTES_PER_S, MAX_RECENT_CLOSES, TRAIL_BURST_BYTES,
    TRAIL_BYTES_PER_S,
};
use crate::{
    Instant, Label,
    wire::{Frame, SeekMode, Verified},
};

/// A token bucket, in micro-tokens so that short times count.
pub(crate) struct Bucket {
    micro: u64,
    per_s: u64,
    burst: u64,
    filled: Instant,
}

const MICRO: u64 = 1_000_000;

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(per_s: u64, burst: u64, now: Instant) -> Self {
        Self { micro: burst * MICRO, per_s, burst, filled: now }
    }

    /// Takes `tokens` if so many are there.
    pub(crate) fn take(&mut self, tokens: u64, now: Instant) -> bool {
        let elapsed_us = now.saturating_since(self.filled).as_micros().min(u128::from(u32::MAX)) as u64;
        self.micro = self.micro.saturating_add(elapsed_us.saturating_mul(self.per_s)).min(self.burst * MICRO);
        self.filled = now;
        match self.micro.checked_sub(tokens.saturating_mul(MICRO)) {
            Some(left) => {
                self.micro = left;
                true
            }
            None => false,
        }
    }
}

/// What one hop, a neighbour or a port, may cost this node.
pub(crate) struct Budgets {
    /// Bytes of what goes to everybody.
    floods: Bucket,
    /// Bytes of what follows scent.
    directed: Bucket,
    /// Bytes of what belongs to trails.
    trails: Bucket,
    /// Seeks that are answered.
    pub(crate) answers: Bucket,
}

impl Budgets {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            floods: Bucket::new(FLOOD_BYTES_PER_S, FLOOD_BURST_BYTES, now),
            directed: Bucket::new(DIRECTED_BYTES_PER_S, DIRECTED_BURST_BYTES, now),
            trails: Bucket::new(TRAIL_BYTES_PER_S, TRAIL_BURST_BYTES, now),
            answers: Bucket::new(ANSWERS_PER_S, ANSWERS_BURST, now),
        }
    }

    /// Takes what a control frame costs from the budget of its kind.
    pub(crate) fn pay(&mut self, frame: &Frame<Verified>, now: Instant) -> bool {
        let bytes = frame.encoded_len() as u64;
        let bucket = match frame {
            Frame::Flood { .. }
            | Frame::Walk { .. }
            | Frame::Seek { mode: SeekMode::Flood(_) | SeekMode::Walk(_), .. } => &mut self.floods,
            Frame::Seek { .. } | Frame::Letter { .. } => &mut self.directed,
            // Data is the scheduler's, and a Close costs nothing.
            Frame::Trail { .. } | Frame::Keep { .. } | Frame::Data { .. } | Frame::Close { .. } => &mut self.trails,
        };
        bucket.take(bytes, now)
    }
}

/// Holds Closes to one neighbour back: one per label and second, and not too many in all.
pub(crate) struct CloseLimit {
    recent: BTreeSet<Label>,
    /// The same in the order in which they were closed.
    ages: VecDeque<(Instant, Label)>,
    bucket: Bucket,
}

impl CloseLimit {
    pub(crate) fn new(now: Instant) -> Self {
        Self { recent: BTreeSet::new(), ages: VecDeque::new(), bucket: Bucket::new(CLOSES_PER_S, CLOSES_BURST, now) }
    }

    /// Whether to answer something on a label that names nothing.
    pub(crate) fn may_answer(&mut self, label: Label, now: Instant) -> bool {
        self.forget(now);
        if self.recent.contains(&label) || self.recent.len() >= MAX_RECENT_CLOSES || !self.bucket.take(1, now) {
            return false;
        }
        self.closed(label, now);
        true
    }

    /// A trail's own label was closed, which is always told: what still comes on it is not worth another Close in this second.
    pub(crate) fn closed(&mut self, label: Label, now: Instant) {
        self.forget(now);
        if self.recent.len() < MAX_RECENT_CLOSES && self.recent.insert(label) {
            self.ages.push_back((now, label));
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, label)) = self.ages.front()
            && now.saturating_since(*at) >= CLOSE_INTERVAL
        {
            self.recent.remove(label);
            self.ages.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn a_bucket_refills_at_its_rate_up_to_its_burst() {
        let mut bucket = Bucket::new(10, 20, at(0));
        assert!(bucket.take(20, at(0)));
        assert!(!bucket.take(1, at(99)));
        assert!(bucket.take(1, at(100)));
        assert!(!bucket.take(21, at(1_000_000)));
        assert!(bucket.take(20, at(1_000_000)));
    }

    #[test]
    fn one_close_per_label_and_second_and_few_in_all() {
        let mut limit = CloseLimit::new(at(0));
        assert!(limit.may_answer(Label(1), at(0)));
        assert!(!limit.may_answer(Label(1), at(999)));
        assert!(limit.may_answer(Label(1), at(1000)));
        let storm = (0..10_000).filter(|label| limit.may_answer(Label(*label), at(1000))).count();
        assert!(storm < CLOSES_BURST as usize, "{storm}");
        assert!(limit.recent.len() <= MAX_RECENT_CLOSES);
    }
}
