//! Time as an argument: the core never reads a clock.

use core::time::Duration;

/// A point on a monotonic clock, as the time since an origin of the caller's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The point `since_origin` after the caller's origin.
    pub const fn from_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// The time since the caller's origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl core::ops::Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: a deadline beyond the clock's range is never reached, which is what its caller means.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// What the clocks of a node say: one that never jumps, for deadlines, and the wall's, for stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub instant: Instant,
    /// Seconds since 1970-01-01 UTC.
    pub unix_s: u64,
}

/// Tenths of a second since the clock's origin: enough for thirteen years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tenths(u32);

impl Tenths {
    pub(crate) fn of(at: Instant) -> Self {
        Self(u32::try_from(at.since_origin().as_millis() / 100).unwrap_or(u32::MAX))
    }

    /// The first moment that counts as at least `after` this.
    pub(crate) fn plus(self, after: Duration) -> Instant {
        Instant::from_origin(Duration::from_millis(100 * u64::from(self.0)) + after)
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(100 * u64::from(self.0.saturating_sub(earlier.0)))
    }
}
