//! The area under the receiver operating characteristic: the probability that a classifier scores a case of the class above another one.

use super::learn::{Model, Row};
use crate::{
    Random,
    stats::{Estimate, quantile, sorted},
};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;

/// One trial of a seed in each world: what the attackers saw.
pub(super) struct Pair {
    /// Where the target owns the address.
    pub(super) owns: Vec<f64>,
    /// Where it relays.
    pub(super) relays: Vec<f64>,
}

/// The area of scored cases, ties counting half.
pub(in crate::scenarios::attacks) fn area(scored: &[(f64, bool)]) -> f64 {
    let mut order: Vec<(f64, bool, f64)> = scored.iter().map(|(score, class)| (*score, *class, 1.0)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    weighted(&order)
}

/// The same for sorted cases that count more than once, or not at all.
fn weighted(order: &[(f64, bool, f64)]) -> f64 {
    let (mut below, mut wins, mut of_class) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let sum = |class| tied.iter().filter(|case| case.1 == class).map(|case| case.2).sum::<f64>();
        let (ours, others) = (sum(true), sum(false));
        wins += ours * (below + others / 2.0);
        below += others;
        of_class += ours;
    }
    if of_class * below == 0.0 { f64::NAN } else { wins / (of_class * below) }
}

/// Trains on half of the seeds and tests on the rest, and the other way round: the two areas' mean, with a 95 % interval by the bootstrap
/// over seeds.
pub(super) fn judge(pairs: &[Pair], seed: u64) -> Estimate {
    let mut halves: Vec<Vec<(f64, bool, f64)>> = Vec::new();
    let mut places: Vec<Vec<usize>> = Vec::new();
    for tested in 0..2 {
        let train: Vec<Row<'_>> = pairs
            .iter()
            .skip(1 - tested)
            .step_by(2)
            .flat_map(|pair| [(&pair.owns, false), (&pair.relays, true)])
            .map(|(features, class)| Row { features, class })
            .collect();
        let model = Model::train(&train, seed);
        let test = pairs.iter().skip(tested).step_by(2).enumerate();
        let mut scored: Vec<(f64, bool, usize)> = test
            .flat_map(|(place, pair)| {
                [(model.score(&pair.owns), false, place), (model.score(&pair.relays), true, place)]
            })
            .collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0));
        halves.push(scored.iter().map(|(score, class, _)| (*score, *class, 1.0)).collect());
        places.push(scored.iter().map(|(.., place)| *place).collect());
    }
    let mean = |halves: &[Vec<(f64, bool, f64)>]| halves.iter().map(|half| weighted(half)).sum::<f64>() / 2.0;
    let found = mean(&halves);
    let mut random = Random::new(seed, "area");
    let resampled: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            for (half, places) in halves.iter_mut().zip(&places) {
                let count = places.len() / 2;
                let mut times = vec![0.0; count];
                for _ in 0..count {
                    times[random.below(count)] += 1.0;
                }
                for (case, place) in half.iter_mut().zip(places) {
                    case.2 = times[*place];
                }
            }
            mean(&halves)
        })
        .collect();
    let resampled = sorted(resampled);
    Estimate { mean: found, low: quantile(&resampled, 0.025), high: quantile(&resampled, 0.975), count: pairs.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_counts_pairs_and_halves_ties() {
        let scored = [(1.0, false), (2.0, true), (2.0, false), (3.0, true)];
        // Of four pairs three are in order and one is a tie.
        assert_eq!(area(&scored), 3.5 / 4.0);
        assert_eq!(area(&[(0.0, true), (1.0, false)]), 0.0);
        assert!(area(&[(0.0, true)]).is_nan());
    }

    /// An answer that is exponential, and behind a relay a tenth of the mean later: the area that theory says, within its interval.
    #[test]
    fn the_interval_holds_what_theory_says() {
        let mut random = Random::new(3, "theory");
        let mut row = |shift: f64| {
            let time = shift + random.exponential(1.0);
            vec![time, random.normal(), random.normal()]
        };
        let pairs: Vec<Pair> = (0..2_000).map(|_| Pair { owns: row(0.0), relays: row(0.5) }).collect();
        let area = judge(&pairs, 1);
        let theory = 1.0 - 0.5 * (-0.5_f64).exp();
        assert!(area.low <= theory && theory <= area.high && area.high - area.low < 0.04, "{area:?} for {theory}");
        let same: Vec<Pair> = (0..2_000).map(|_| Pair { owns: row(0.0), relays: row(0.0) }).collect();
        let area = judge(&same, 1);
        assert!(area.low < 0.5 && 0.5 < area.high + 0.01 && area.high - area.low < 0.04, "{area:?}");
    }
}
