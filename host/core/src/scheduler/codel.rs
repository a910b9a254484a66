//! CoDel: drops or marks when what is sent has waited for too long for too long (RFC 8289), in integers.

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Send it.
    Send,
    /// Mark it if its ends understand that, else drop it.
    Slow,
}

/// What a queue was like when a packet was taken from it. Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) now: u64,
    /// How long the packet has waited.
    pub(super) sojourn: u64,
    pub(super) target: u64,
    pub(super) interval: u64,
    /// Hardly more than a packet is left behind it: no queue that stands.
    pub(super) is_short: bool,
}

/// The state of one queue. Names as in RFC 8289, 5.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CoDel {
    /// When the delay has been above the target for an interval.
    first_above_time: Option<u64>,
    drop_next: u64,
    count: u32,
    last_count: u32,
    dropping: bool,
}

/// Intervals for which is remembered how hard it had to be dropped.
const MEMORY: u64 = 16;

impl CoDel {
    /// Judges the packet at the head.
    pub(super) fn judge(&mut self, seen: Seen) -> Judgement {
        let late = self.is_late(seen);
        if !late {
            self.dropping = false;
            return Judgement::Send;
        }
        if !self.dropping {
            self.dropping = true;
            let since = self.count - self.last_count;
            let recent = seen.now.saturating_sub(self.drop_next) < MEMORY * seen.interval;
            self.count = if since > 1 && recent { since } else { 1 };
            self.last_count = self.count;
            self.drop_next = seen.now + self.step(seen.interval);
            return Judgement::Slow;
        }
        if seen.now < self.drop_next {
            return Judgement::Send;
        }
        self.count = self.count.saturating_add(1);
        self.drop_next += self.step(seen.interval);
        Judgement::Slow
    }

    /// Nothing waits any more.
    pub(super) fn rest(&mut self) {
        self.first_above_time = None;
        self.dropping = false;
    }

    fn is_late(&mut self, seen: Seen) -> bool {
        if seen.sojourn < seen.target || seen.is_short {
            self.first_above_time = None;
            return false;
        }
        seen.now >= *self.first_above_time.get_or_insert(seen.now + seen.interval)
    }

    /// The control law: the interval over the root of how many there were.
    fn step(&self, interval: u64) -> u64 {
        // In thousandths, so that the root of small counts is exact enough; count is at least 1.
        let root = (u64::from(self.count.max(1)) * 1_000_000).isqrt();
        interval * 1000 / root
    }
}
