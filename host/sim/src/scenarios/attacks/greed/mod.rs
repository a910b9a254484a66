//! `attacks greed`: neighbours that take all they can get. What does it cost honest others, with a defence and without it?
//!
//! Each case runs a network of real routers without the attack, under it, and under it with one defence left out. What is measured is what a
//! bystander keeps: goodput, rows of scent, trails, questions heard.

mod answers;
mod hog;
mod minting;
mod places;
mod questions;
mod signatures;

use std::rc::Rc;

use bytes::Bytes;
use clap::Args;
use mute_core::{
    Defences, LinkId, Profile,
    wire::{Frame, Verified},
};
use serde::Serialize;

use crate::{
    Behaviour, Config, Network, NodeId, Record, Reshape, Table, derive,
    stats::{Estimate, bootstrap},
};

/// The arguments of `attacks greed`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Greed {
    /// Networks for each case.
    #[arg(long, default_value_t = 5)]
    pub networks: u32,
    /// A small run, for a test.
    #[arg(long)]
    pub small: bool,
}

/// What a bystander has to keep of his fair share.
const KEPT: f64 = 0.8;

/// How a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// Nobody attacks.
    Quiet,
    /// All defences.
    Defended,
    /// Without the case's defence.
    Undefended,
}

/// One case: what the attacker does.
struct Case {
    name: &'static str,
    /// What is left out.
    defence: &'static str,
    /// What is measured of the bystander.
    measure: &'static str,
    /// What he has a right to under the attack, of what he has without.
    share: f64,
    run: fn(Run, u64) -> f64,
}

/// Two want the same upload: each has a right to half of what one has alone.
const HALF: f64 = 0.5;

const CASES: [Case; 6] = [
    Case { name: "hog", defence: "fair queues", measure: "goodput, bytes/s", share: HALF, run: hog::goodput },
    Case { name: "flooding", defence: "budgets", measure: "upload left by floods", share: 1.0, run: questions::left },
    Case {
        name: "flooding, transfers",
        defence: "budgets and fair queues",
        measure: "goodput, bytes/s",
        share: HALF,
        run: questions::goodput,
    },
    Case { name: "minting", defence: "shared tables", measure: "rows that lead there", share: 1.0, run: minting::rows },
    Case {
        name: "trails for nothing",
        defence: "shared tables",
        measure: "connections made",
        share: 1.0,
        run: places::made,
    },
    Case {
        name: "answer implosion",
        defence: "budgets and fair queues",
        measure: "goodput, bytes/s",
        share: HALF,
        run: answers::goodput,
    },
];

impl Greed {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("attacks greed", self, seed);
        let networks = if self.small { 1 } else { self.networks };
        let head = ["what the attacker does", "defence", "what a bystander keeps", "run", "mean", "low", "high"];
        let mut table = Table::new("what greed costs others", &head);
        for case in &CASES {
            let of = |run: Run| -> Estimate {
                let values: Vec<f64> = (0..networks).map(|network| (case.run)(run, seed_of(seed, network))).collect();
                bootstrap(&values, seed, |values| values.iter().sum::<f64>() / values.len() as f64)
            };
            let [quiet, defended, undefended] = [Run::Quiet, Run::Defended, Run::Undefended].map(|run| {
                let found = of(run);
                table.row([
                    case.name.into(),
                    case.defence.into(),
                    case.measure.into(),
                    format!("{run:?}").into(),
                    found.mean.into(),
                    found.low.into(),
                    found.high.into(),
                ]);
                found
            });
            let right = case.share * quiet.mean;
            record.at_least(&format!("{}: kept, of the fair share", case.name), "", defended.mean / right, KEPT);
            let detail =
                format!("{:.3} [.., {:.3}] of it (bootstrap)", undefended.mean / right, undefended.high / right);
            let name = format!("{}: without {} it is less", case.name, case.defence);
            record.check(&name, undefended.high < KEPT * right, detail);
        }
        record.tables.push(table);
        signatures::run(&mut record, seed);
        answers::reflections(&mut record, seed);
        record
    }
}

fn seed_of(seed: u64, network: u32) -> u64 {
    derive(seed, "greed", u64::from(network)).iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// All routers of a fast network with these defences.
fn with(run: Run, leave_out: impl Fn(&mut Defences)) -> Option<Reshape> {
    let mut defences = Defences::default();
    if run == Run::Undefended {
        leave_out(&mut defences);
    }
    Some(Rc::new(move |_| (Profile::Fast.shape(), defences)))
}

/// A node that says only what a scenario gives it, and hears nothing.
struct Silent;

impl Behaviour for Silent {
    fn inbound(&mut self, _: &mut Network, _: NodeId, _: LinkId, _: Frame<Verified>) -> Option<Frame<Verified>> {
        None
    }

    fn outbound(
        &mut self,
        _: &mut Network,
        _: NodeId,
        _: LinkId,
        _: mute_core::Hop,
        _: Frame<Verified>,
    ) -> Option<Frame<Verified>> {
        None
    }
}

/// The name by which a node knows its link to another.
fn link(net: &Network, node: NodeId, neighbour: NodeId) -> Option<LinkId> {
    net.links(node).into_iter().find(|(other, _)| *other == neighbour).map(|(_, link)| link)
}

/// A network whose links have this rate in bytes a second.
fn slow(seed: u64, rate: u64) -> Config {
    let link = crate::LinkParams { rate, ..crate::LinkParams::default() };
    Config { link, ..Config::new(seed) }
}

/// A packet's body.
fn body(length: usize) -> Bytes {
    Bytes::from(vec![0; length])
}
