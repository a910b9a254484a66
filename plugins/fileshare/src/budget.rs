//! A bound on how often something is done for strangers.

use std::time::Duration;

/// A token bucket on a clock that the caller reads.
pub(crate) struct Budget {
    per_second: u32,
    burst: u32,
    /// Thousandths of a token.
    tokens: u64,
    at: Duration,
}

impl Budget {
    /// `per_second` on average, `burst` at once.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst, tokens: u64::from(burst) * 1000, at: Duration::ZERO }
    }

    /// Whether it may be done once more.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let passed_ms = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        self.at = self.at.max(now);
        let earned = passed_ms.saturating_mul(u64::from(self.per_second));
        self.tokens = self.tokens.saturating_add(earned).min(u64::from(self.burst) * 1000);
        let may = self.tokens >= 1000;
        self.tokens -= if may { 1000 } else { 0 };
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_then_the_rate() {
        let mut budget = Budget::new(2, 3);
        let mut taken = |ms, tries| (0..tries).filter(|_| budget.take(Duration::from_millis(ms))).count();
        assert_eq!(taken(0, 10), 3);
        assert_eq!(taken(499, 10), 0);
        assert_eq!(taken(500, 10), 1);
        assert_eq!(taken(400, 10), 0);
        assert_eq!(taken(1_000_000, 10), 3);
    }
}
