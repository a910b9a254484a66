//! How fast the link drains the queue, measured.

use super::limits::RATE_INTERVAL;

/// The rate at which frames are taken while others wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DrainRate {
    /// Bytes in a second; 0: not known yet.
    per_s: u64,
    /// When the present sample began, in microseconds, if frames wait.
    since_us: Option<u64>,
    /// What was taken since then.
    bytes: u64,
}

impl DrainRate {
    /// Something is about to be taken. What was taken before has been on its way until now.
    pub(super) fn look(&mut self, now_us: u64) {
        let since_us = *self.since_us.get_or_insert(now_us);
        let elapsed = now_us.saturating_sub(since_us);
        if elapsed >= RATE_INTERVAL.as_micros() as u64 && self.bytes > 0 {
            let sample = (self.bytes.saturating_mul(1_000_000) / elapsed).max(1);
            self.per_s = if self.per_s == 0 { sample } else { (3 * self.per_s + sample) / 4 };
            self.since_us = Some(now_us);
            self.bytes = 0;
        }
    }

    /// Something was taken.
    pub(super) fn taken(&mut self, bytes: u32) {
        self.bytes += u64::from(bytes);
    }

    /// Nothing waits: what is taken next tells nothing of the link.
    pub(super) fn rest(&mut self) {
        self.since_us = None;
        self.bytes = 0;
    }

    /// How long `bytes` take, in microseconds; `None`: not known yet.
    pub(super) fn us_for(&self, bytes: u64) -> Option<u64> {
        bytes.saturating_mul(1_000_000).checked_div(self.per_s)
    }
}
