//! What a benchmark found.

use std::fmt;

use serde::Serialize;

use crate::{
    cli::{Bench, show_bytes, show_count, table},
    control::Resources,
};

/// One round over one chain.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// Megabytes (10^6) a second, from one end to the other.
    pub(super) mb_per_s: f64,
    /// Round trips of a small message in microseconds, the shortest first.
    pub(super) pings_us: Vec<u64>,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} MB/s", self.mb_per_s)
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    size_bytes: u64,
    rounds: u8,
    cores: usize,
    chains: Vec<Chain>,
}

/// Both kinds of chain of one length.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) links: usize,
    pub(super) plain: Side,
    pub(super) mute: Side,
}

/// One chain.
#[derive(Debug, Serialize)]
pub(super) struct Side {
    /// The median of the rounds.
    mb_per_s: f64,
    /// Every round.
    rounds_mb_per_s: Vec<f64>,
    /// Of the round trips of all rounds, the time that half of them took at most.
    round_trip_p50_us: u64,
    /// The time that 99 of 100 took at most.
    round_trip_p99_us: u64,
    /// What each process used, from the sending end to the answering one.
    processes: Vec<Resources>,
}

impl Side {
    /// Sums up the rounds of a chain.
    pub(super) fn new(rounds: Vec<Round>, processes: Vec<Resources>) -> Self {
        let rounds_mb_per_s: Vec<f64> = rounds.iter().map(|round| round.mb_per_s).collect();
        let mut pings: Vec<u64> = rounds.into_iter().flat_map(|round| round.pings_us).collect();
        pings.sort_unstable();
        Self {
            mb_per_s: median(&rounds_mb_per_s),
            rounds_mb_per_s,
            round_trip_p50_us: percentile(&pings, 50),
            round_trip_p99_us: percentile(&pings, 99),
            processes,
        }
    }
}

impl Chain {
    /// MUTE's speed as a share of the floor's.
    fn ratio(&self) -> f64 {
        self.mute.mb_per_s / self.plain.mb_per_s.max(f64::MIN_POSITIVE)
    }
}

impl Serialize for Chain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("Chain", 4)?;
        fields.serialize_field("links", &self.links)?;
        fields.serialize_field("ratio", &self.ratio())?;
        fields.serialize_field("plain", &self.plain)?;
        fields.serialize_field("mute", &self.mute)?;
        fields.end()
    }
}

/// The middle value; of an even number, the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.get(sorted.len() / 2), sorted.len() % 2) {
        (Some(&upper), 0) => f64::midpoint(sorted[sorted.len() / 2 - 1], upper),
        (Some(&middle), _) => middle,
        (None, _) => 0.0,
    }
}

/// The value that this share of the sorted values don't exceed.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

impl Report {
    /// The report of a run.
    pub(super) fn new(bench: &Bench, chains: Vec<Chain>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { size_bytes: bench.size, rounds: bench.rounds, cores, chains }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "streams, median of {} rounds of {}; 64-byte round trips; {} cores",
            self.rounds,
            show_bytes(self.size_bytes),
            self.cores
        )?;
        let mut speeds = Vec::new();
        let mut costs = Vec::new();
        for chain in &self.chains {
            for (name, side, ratio) in [("plain quic", &chain.plain, None), ("mute", &chain.mute, Some(chain.ratio()))]
            {
                speeds.push(vec![
                    chain.links.to_string(),
                    name.to_owned(),
                    format!("{:.0}", side.mb_per_s),
                    ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
                    format!("{} µs", show_count(side.round_trip_p50_us)),
                    format!("{} µs", show_count(side.round_trip_p99_us)),
                ]);
                let cpu_ms: u64 = side.processes.iter().map(|process| process.cpu_ms).sum();
                let peak = side.processes.iter().map(|process| process.peak_resident_bytes).max().unwrap_or(0);
                costs.push(vec![
                    chain.links.to_string(),
                    name.to_owned(),
                    side.processes.len().to_string(),
                    format!("{:.1} s", cpu_ms as f64 / 1e3),
                    side.processes
                        .iter()
                        .map(|p| format!("{:.1}", p.cpu_ms as f64 / 1e3))
                        .collect::<Vec<_>>()
                        .join(" "),
                    show_bytes(peak),
                ]);
            }
        }
        writeln!(f, "{}\n", table(&["links", "carrier", "MB/s", "ratio", "p50", "p99"], &speeds))?;
        write!(f, "{}", table(&["links", "carrier", "processes", "cpu", "of each, s", "peak memory of one"], &costs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (50, 99));
        assert_eq!((percentile(&[7], 99), percentile(&[], 50)), (7, 0));
    }

    #[test]
    fn the_ratio_is_of_the_medians() {
        let side = |speed| Side::new(vec![Round { mb_per_s: speed, pings_us: vec![1] }], vec![]);
        let chain = Chain { links: 3, plain: side(200.0), mute: side(150.0) };
        let json = serde_json::to_value(&chain).unwrap();
        assert_eq!(json["ratio"], 0.75);
        assert_eq!(json["mute"]["mb_per_s"], 150.0);
    }
}
