//! `seed-table`: the scalability model that MUTE's author published in 2003, by the real router and real queues.
//!
//! | case | assumption | bound |
//! | --- | --- | --- |
//! | direct | 100 nodes, half upload, half download | 50 transfers at once |
//! | one relay each | the same nodes, each transfer takes three | 33 |
//! | relayed | 1,000 nodes that upload 15 KB/s, five uploads of every byte | 600 transfers at 5 KB/s |
//! | everyone | the same, every node downloads one file | 3 KB/s each |
//!
//! Each is one conservation law: Σ (relays + 1) · rate ≤ Σ upload. What the router can do about it is to choose paths that are short and
//! that lead around nodes without upload to spare. Rates are of payload; each node's upload is raised by what packets and envelopes take, which is printed. All
//! that the router itself sends (Seeks, Trails, Keeps) comes out of the transfers' upload.

mod complete;
mod everyone;
mod relayed;
mod transfers;

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use mute_core::{
    Ecn, Finding, FloodStart, Label, RouterConfig,
    wire::{Frame, Verified},
};
use serde::Serialize;

use crate::{Config, LinkParams, NodeId, QueueKind, Record, traffic::INNER_OVERHEAD, wire_bytes};

/// What a transfer wants, in bytes of payload a second.
const RATE: u64 = 5000;

/// The share of it at which a transfer counts as running.
const RUNS: f64 = 0.95;

/// The arguments of `seed-table`.
#[derive(Args, Clone, Debug, Serialize)]
pub struct SeedTable {
    /// Which cases; all if none is named.
    #[arg(long = "case", value_enum)]
    pub cases: Vec<Case>,
    /// Nodes of the first two cases.
    #[arg(long, default_value_t = 100)]
    pub few: usize,
    /// Nodes of the last two.
    #[arg(long, default_value_t = 1000)]
    pub nodes: usize,
    /// Neighbours of a node in the last two.
    #[arg(long, default_value_t = 5)]
    pub degree: usize,
    /// The length of a packet's sealed body, in bytes.
    #[arg(long, default_value_t = 1024)]
    pub packet: u64,
    /// Milliseconds from a node to its neighbour.
    #[arg(long, default_value_t = 50)]
    pub delay: u64,
    /// Sources that a user tries, one after the other, before giving up.
    #[arg(long, default_value_t = 5)]
    pub tries: u32,
    /// Seconds over which goodput is measured.
    #[arg(long, default_value_t = 600)]
    pub window: u64,
    /// Seeks flood, to everybody at once from the start, instead of walking or taking a hidden path first: trails are shorter, and more shows of who asks.
    #[arg(long)]
    pub everywhere: bool,
    /// First in, first out instead of the fair scheduler.
    #[arg(long)]
    pub fifo: bool,
}

/// A case of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// Half upload, half download.
    Direct,
    /// Each transfer takes three nodes.
    OneRelay,
    /// At most 60 % of users.
    Relayed,
    /// Every node downloads one file.
    Everyone,
}

impl SeedTable {
    /// Runs it.
    pub fn run(&self, seed: u64) -> Record {
        let mut record = Record::new("seed-table", self, seed);
        record.figure("payload of a packet", "bytes", self.payload() as f64);
        record.figure("the same on the wire", "bytes", self.wire() as f64);
        record.figure("upload is raised by", "share", self.wire() as f64 / self.payload() as f64 - 1.0);
        let wanted = |case| self.cases.is_empty() || self.cases.contains(&case);
        if wanted(Case::Direct) {
            complete::direct(self, seed, &mut record);
        }
        if wanted(Case::OneRelay) {
            complete::one_relay(self, seed, &mut record);
        }
        if wanted(Case::Relayed) {
            relayed::run(self, seed, &mut record);
        }
        if wanted(Case::Everyone) {
            everyone::run(self, seed, &mut record);
        }
        record
    }

    /// What a packet carries for its application, in bytes.
    fn payload(&self) -> u64 {
        self.packet.saturating_sub(INNER_OVERHEAD).max(1)
    }

    /// What a packet takes on a link, in bytes.
    fn wire(&self) -> u64 {
        let body = Bytes::from(vec![0; self.packet as usize]);
        let frame: Frame<Verified> = Frame::Data { label: Label(0), ecn: Ecn::Capable0, body };
        wire_bytes(frame.encoded_len())
    }

    /// Bytes of bodies a second for so much payload a second.
    fn bodies(&self, payload: u64) -> u64 {
        payload * self.packet / self.payload()
    }

    /// A network in which each node uploads so much payload a second over all its links.
    fn config(&self, seed: u64, upload: u64) -> Config {
        let link = LinkParams { rate: 0, delay: Duration::from_millis(self.delay), ..LinkParams::default() };
        let queue = if self.fifo { QueueKind::FIFO } else { QueueKind::default() };
        let everywhere = self.everywhere;
        let router = move |_: NodeId, config: &mut RouterConfig| {
            if everywhere {
                config.floods.start = FloodStart::Everywhere;
                config.finding = Finding::Floods;
            }
        };
        let upload = (upload * self.wire()).div_ceil(self.payload());
        Config { link, upload, queue, router: Some(Rc::new(router)), ..Config::new(seed) }
    }
}
