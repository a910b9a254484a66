//! `attacks`: what adversaries try, and what the router lets them have. One file an attack.

pub mod black_holes;
pub mod first_spy;
pub mod flood_end;
pub mod greed;
pub mod intersection;
pub mod spoofing;
mod worlds;

use clap::{Args, FromArgMatches as _, Subcommand};
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
    /// All of them, one after another, at their default sizes.
    All,
    /// Relays swallow what they are given, and do all they can to be chosen.
    BlackHoles(black_holes::BlackHoles),
    /// Neighbours take all that they can get.
    Greed(greed::Greed),
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
            Attack::All => self.all(seed),
            Attack::BlackHoles(holes) => holes.run(seed),
            Attack::Greed(greed) => greed.run(seed),
            Attack::Spoofing(spoofing) => spoofing.run(seed),
            Attack::Worlds(worlds) => worlds.run(seed),
        }
    }

    /// All attacks in one record.
    fn all(&self, seed: u64) -> Record {
        let mut record = Record::new("attacks all", self, seed);
        let command = Attack::augment_subcommands(clap::Command::new("attacks"));
        let names: Vec<String> = command.get_subcommands().map(|attack| attack.get_name().to_owned()).collect();
        for name in names.iter().filter(|name| *name != "all") {
            let matches = command.clone().try_get_matches_from(["attacks", name.as_str()]);
            match matches.and_then(|matches| Attack::from_arg_matches(&matches)) {
                Ok(attack) => record.join(name, Self { attack }.run(seed)),
                Err(error) => record.check(name, false, error.to_string()),
            }
        }
        record
    }
}
