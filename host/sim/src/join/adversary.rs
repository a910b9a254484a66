//! The adversary: many nodes in few prefixes that never leave, take every link, tell of each other only, and dial everybody.
//!
//! It knows where every honest node is. Each of its nodes dials one of them every ten seconds, says where it listens, and stays for as
//! long as it is let. [`Strategy`] is what it does beside that.

use std::time::Duration;

use clap::ValueEnum;
use mute_core::neighbours::{Host, limits};
use serde::Serialize;

use super::{
    population::{invented, port},
    world::{What, World},
};
use crate::app::NodeId;

/// What the adversary does beside staying and dialling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Nothing.
    #[default]
    Stay,
    /// All its nodes dial whoever starts, within five seconds.
    Swarm,
    /// Half of the hosts that it tells of are not there, each in a prefix of its own.
    Invent,
}

/// A swarm comes within so many milliseconds.
const SWARM_MS: usize = 5000;

impl World {
    /// One of the adversary's nodes dials an honest one, and tells it where it listens.
    pub(super) fn pester(&mut self, node: NodeId, victim: NodeId) {
        if self.nodes[victim as usize].running.is_none() || !self.nodes[victim as usize].person.reachable {
            return;
        }
        let ours = self.nodes[node as usize].person.host;
        let link = self.new_link();
        if self.admit(victim, ours, link, false).is_ok() {
            self.with(victim, |policy, _| policy.claims(ours.key, port()));
        }
    }

    /// All of the adversary's nodes go for one that has just started.
    pub(super) fn swarm(&mut self, victim: NodeId) {
        for node in self.config.honest..self.nodes.len() {
            let wait = Duration::from_millis(self.random.below(SWARM_MS) as u64);
            self.after(wait, What::Swarm { node: node as NodeId, victim });
        }
    }

    /// What one of the adversary's nodes answers: as many of its own as are read, taken by chance, so of as many prefixes as it has; or
    /// among them some that there are not.
    pub(super) fn lies(&mut self) -> Vec<Host> {
        let adversaries = self.nodes.len() - self.config.honest;
        (0..limits::MAX_TOLD.min(adversaries))
            .map(|place| {
                if self.config.strategy == Strategy::Invent && place % 2 == 1 {
                    return invented(&mut self.random);
                }
                let number = self.random.below(adversaries);
                self.nodes[self.config.honest + number].person.host
            })
            .collect()
    }
}
