//! `attacks`: what adversaries try, and what the router lets them have. One file an attack.

pub mod first_spy;
pub mod flood_end;
pub mod intersection;
pub mod spoofing;
mod worlds;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::Record;

/// The arguments of `attacks`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Attacks {
    /// Which one.
    #[command(subcommand)]
    #[serde(flatten)]
    pub attack: Attack,
}

/// The attacks.
#[derive(Clone, Debug, Subcommand, Serialize)]
#[serde(rename_all = "kebab-case", tag = "attack")]
pub enum Attack {
    /// Colluders among the nodes want to know who asks.
    FirstSpy(first_spy::FirstSpy),
    /// A neighbour probes the end of floods: does the node that it asks answer itself?
    FloodEnd(flood_end::FloodEnds),
    /// Who is there whenever an address answers?
    Intersection(intersection::Intersection),
    /// A neighbour forges and replays others' messages.
    Spoofing(spoofing::Spoofing),
    /// Does the target own an address, or relay it?
    Worlds(worlds::Worlds),
}

impl Attacks {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        match &self.attack {
            Attack::FirstSpy(first_spy) => first_spy.run(seed),
            Attack::FloodEnd(flood_end) => flood_end.run(seed),
            Attack::Intersection(intersection) => intersection.run(seed),
            Attack::Spoofing(spoofing) => spoofing.run(seed),
            Attack::Worlds(worlds) => worlds.run(seed),
        }
    }
}
