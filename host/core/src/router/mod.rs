//! The router: a struct that takes inputs and gives outputs.

mod api;
mod counters;

use std::collections::VecDeque;

pub use api::{Close, Event, Hop, Input, Output, Role, RouterConfig};
pub use counters::{Counters, Drops, Gauges, Traffic};

use crate::{Instant, Now};

/// The router of one node.
pub struct Router {
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Router {
    /// A router without links and ports.
    pub fn new(_config: RouterConfig, _now: Now) -> Self {
        Self {
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes one input. Outputs wait for [`Self::poll`].
    pub fn handle(&mut self, _input: Input, _now: Now) {}

    /// What the router wants done, oldest first.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Does what is due: timeouts, renewals, Keeps, expiry.
    pub fn tick(&mut self, _now: Now) {}

    /// What the router did, and what it holds.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
