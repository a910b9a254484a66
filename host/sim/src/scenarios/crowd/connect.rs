//! Connections that are wanted, and what becomes of them.

use std::{collections::BTreeMap, time::Duration};

use mute_core::{ConnectionId, Input, TrailId};

use super::{
    Crowd, Session,
    meter::{Meter, probe},
    paths::Paths,
};
use crate::{
    Network, Record, Table,
    stats::{Estimate, bootstrap, mean, quantile, share, sorted},
};

/// A connection that was wanted.
pub(crate) struct Attempt {
    pub(crate) from: Session,
    pub(crate) to: Session,
    at: Duration,
    id: ConnectionId,
    pub(crate) outcome: Outcome,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It is sought.
    Sought,
    /// It was laid.
    Laid {
        /// How long that took.
        took: Duration,
        /// Links between the two, the shortest way.
        shortest: Option<u32>,
    },
    /// It was not, though both were there and there was a way.
    Failed,
    /// One of the two left meanwhile, or there was no way.
    Left,
}

/// All connections of a run. A probe goes over each when it is laid.
pub(crate) struct Connecting {
    pub(crate) attempts: Vec<Attempt>,
    by_id: BTreeMap<ConnectionId, usize>,
    paths: Paths,
}

impl Connecting {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { attempts: Vec::new(), by_id: BTreeMap::new(), paths: Paths::new(nodes) }
    }

    /// One node wants to be connected with another. The attempt's number.
    pub(crate) fn connect(&mut self, net: &mut Network, crowd: &Crowd, from: Session, to: Session) -> usize {
        let number = self.attempts.len();
        let id = ConnectionId(net.number());
        self.by_id.insert(id, number);
        self.attempts.push(Attempt { from, to, at: net.clock(), id, outcome: Outcome::Sought });
        let (port, target) = (crowd.port(from.node), crowd.address(to.node));
        net.input(from.node, Input::Connect { port, connection: id, target });
        number
    }

    /// A trail was laid. The attempt's number, if it is the first.
    pub(crate) fn laid(&mut self, net: &mut Network, id: ConnectionId, trail: TrailId) -> Option<usize> {
        let number = *self.by_id.get(&id)?;
        let attempt = &mut self.attempts[number];
        if attempt.outcome != Outcome::Sought {
            return None;
        }
        let shortest = self.paths.between(net, attempt.from.node, attempt.to.node);
        attempt.outcome = Outcome::Laid { took: net.clock() - attempt.at, shortest };
        net.send_data(attempt.from.node, trail, probe(number as u64));
        Some(number)
    }

    /// It is not sought any longer: too long, or the router says so.
    pub(crate) fn give_up(&mut self, net: &mut Network, crowd: &Crowd, number: usize) {
        let attempt = &mut self.attempts[number];
        if attempt.outcome == Outcome::Sought {
            let stayed = crowd.stayed(net, attempt.from) && crowd.stayed(net, attempt.to);
            let way = stayed && self.paths.between(net, attempt.from.node, attempt.to.node).is_some();
            attempt.outcome = if way { Outcome::Failed } else { Outcome::Left };
            self.let_go(net, number);
        }
    }

    /// The router gave up.
    pub(crate) fn failed(&mut self, net: &mut Network, crowd: &Crowd, id: ConnectionId) {
        if let Some(number) = self.by_id.get(&id).copied() {
            self.give_up(net, crowd, number);
        }
    }

    /// It is not wanted any longer.
    pub(crate) fn let_go(&mut self, net: &mut Network, number: usize) {
        let Attempt { from, id, .. } = self.attempts[number];
        net.disconnect(from.node, id);
    }

    /// What became of them from one on, in numbers.
    pub(crate) fn found(&self, meter: &Meter, first: usize) -> Found {
        let mut found = Found::default();
        for (number, attempt) in self.attempts.iter().enumerate().skip(first) {
            match attempt.outcome {
                Outcome::Laid { took, shortest } => {
                    found.times.push(took.as_secs_f64());
                    if let (Some(hops), Some(shortest)) = (meter.hops(number as u64), shortest) {
                        found.lengths.push(f64::from(hops));
                        found.ratios.push(f64::from(hops) / f64::from(shortest.max(1)));
                    }
                }
                Outcome::Failed => found.failed += 1,
                Outcome::Left | Outcome::Sought => found.left += 1,
            }
        }
        found.times = sorted(found.times);
        found
    }
}

/// What became of connections.
#[derive(Default)]
pub(crate) struct Found {
    /// Seconds until they were laid, sorted.
    pub(crate) times: Vec<f64>,
    /// Links of their trails.
    pub(crate) lengths: Vec<f64>,
    /// The same over the shortest way.
    pub(crate) ratios: Vec<f64>,
    pub(crate) failed: u64,
    pub(crate) left: u64,
}

impl Found {
    pub(crate) fn laid(&self) -> u64 {
        self.times.len() as u64
    }

    /// Writes it down.
    pub(crate) fn record(&self, record: &mut Record) {
        let seed = record.seed;
        let estimate = share(self.laid(), self.laid() + self.failed);
        interval(record, "connections laid, where both stayed and there was a way", "", estimate);
        record.figure("connections whose one end left", "", self.left as f64);
        record.figure("time to connect, median", "s", quantile(&self.times, 0.5));
        record.figure("time to connect, 95 %", "s", quantile(&self.times, 0.95));
        record.figure("links of a trail", "", average(&self.lengths));
        interval(record, "links of a trail over the shortest way", "", bootstrap(&self.ratios, seed, average));
    }
}

/// Where the intervals of figures stand.
const INTERVALS: &str = "intervals of 95 %, by this run's own sample";

/// A figure, and its interval in a table of those.
pub(crate) fn interval(record: &mut Record, name: &str, unit: &str, estimate: Estimate) {
    record.figure(name, unit, estimate.mean);
    if !record.tables.iter().any(|table| table.name == INTERVALS) {
        record.tables.push(Table::new(INTERVALS, &["what", "mean", "low", "high", "of"]));
    }
    if let Some(table) = record.tables.iter_mut().find(|table| table.name == INTERVALS) {
        let Estimate { mean, low, high, count } = estimate;
        table.row([name.into(), mean.into(), low.into(), high.into(), count.into()]);
    }
}

/// The mean.
pub(crate) fn average(values: &[f64]) -> f64 {
    mean(values).mean
}
