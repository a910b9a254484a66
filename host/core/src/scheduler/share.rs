//! A bounded right to go first.

/// One part of what is sent may go first for each so many others, and a burst after a silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// In units of a byte over `others`, so that nothing is rounded away.
    credit: i64,
    others: u32,
    burst: u32,
}

impl Share {
    /// A share of one part to `others`, with all of its burst.
    pub(super) const fn new(others: u32, burst: u32) -> Self {
        Self { credit: burst as i64 * others as i64, others, burst }
    }

    /// Whether something may go first now. (A packet may be longer than what is left; the next then waits for longer.)
    pub(super) const fn is_left(self) -> bool {
        self.credit > 0
    }

    /// Something else was sent.
    pub(super) fn earn(&mut self, bytes: u32) {
        let most = i64::from(self.burst) * i64::from(self.others);
        self.credit = self.credit.saturating_add(i64::from(bytes)).min(most);
    }

    /// It has gone first.
    pub(super) fn spend(&mut self, bytes: u32) {
        self.credit = self.credit.saturating_sub(i64::from(bytes) * i64::from(self.others));
    }
}
