//! `fairness`: who gets how much of a link that more is asked of than it has.
//!
//! - *Equal*: ten users with one flow each share a link, whatever their round trips.
//! - *Hogs*: a user with a hundred transfers, one with a hundred addresses, and one with four minted nodes, beside a bystander who is three hops away and
//!   comes in by another neighbour. The bystander's fair share is that of max–min in which a hog is one user, over the ways that the trails really took.
//! - *Overload*: twice as much is asked as there is. What is carried must arrive, and not be dropped further on.
//! - *Stuck*: thousands of small random networks under load, in none of which anything may wait for ever.
//!
//! Each is run with the daemon's scheduler, and with a first-in-first-out queue as a control that must fail the same bound: what cannot be failed shows nothing.

mod equal;
mod flows;
mod hogs;
mod lossless;
mod overload;
mod shares;
mod stuck;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{QueueKind, Record};

/// The arguments of `fairness`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Fairness {
    /// Which parts; all if none is named.
    #[arg(long = "part", value_enum)]
    pub parts: Vec<Part>,
    /// Seconds over which goodput is measured.
    #[arg(long, default_value_t = 120)]
    pub window: u64,
    /// Random runs in which nothing may be stuck.
    #[arg(long, default_value_t = 10_000)]
    pub runs: u32,
    /// Runs of the control in which something must be.
    #[arg(long, default_value_t = 50)]
    pub control_runs: u32,
}

/// A part of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Ten equal flows.
    Equal,
    /// A bystander beside hogs.
    Hogs,
    /// Twice the load.
    Overload,
    /// No deadlock.
    Stuck,
}

impl Fairness {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("fairness", self, seed);
        let wanted = |part| self.parts.is_empty() || self.parts.contains(&part);
        if wanted(Part::Equal) {
            equal::run(self, seed, &mut record);
        }
        if wanted(Part::Hogs) {
            hogs::run(self, seed, &mut record);
        }
        if wanted(Part::Overload) {
            overload::run(self, seed, &mut record);
        }
        if wanted(Part::Stuck) {
            stuck::run(self, seed, &mut record);
        }
        record
    }
}

/// The queue that is measured, and the control.
fn queues() -> [(&'static str, QueueKind); 2] {
    [("fair", QueueKind::default()), ("FIFO", QueueKind::FIFO)]
}
