//! Means, quantiles, and how sure they are.

use crate::random::Random;

/// A mean and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean (or share).
    pub mean: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// How many values.
    pub count: usize,
}

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

/// The mean of values, with a 95 % interval by Student's t. One value: no interval, so infinite ends.
pub fn mean(values: &[f64]) -> Estimate {
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count.max(1) as f64;
    if count < 2 {
        return Estimate { mean, low: f64::NEG_INFINITY, high: f64::INFINITY, count };
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
    let half = student(count - 1) * (variance / count as f64).sqrt();
    Estimate { mean, low: mean - half, high: mean + half, count }
}

/// A share of trials, with Wilson's 95 % interval.
pub fn share(successes: u64, trials: u64) -> Estimate {
    let n = trials.max(1) as f64;
    let (p, z) = (successes as f64 / n, 1.959_964);
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / (1.0 + z * z / n);
    Estimate { mean: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0), count: trials as usize }
}

/// Any statistic of values, with a 95 % interval by the percentile bootstrap (2,000 resamples, seeded).
pub fn bootstrap(values: &[f64], seed: u64, statistic: impl Fn(&[f64]) -> f64) -> Estimate {
    let mut random = Random::new(seed, "bootstrap");
    let mut sample = vec![0.0; values.len()];
    let mut found: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            sample.fill_with(|| random.pick(values).copied().unwrap_or(0.0));
            statistic(&sample)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    Estimate {
        mean: statistic(values),
        low: quantile(&found, 0.025),
        high: quantile(&found, 0.975),
        count: values.len(),
    }
}

/// A quantile of sorted values (the nearest rank); NaN if there are none.
pub fn quantile(sorted: &[f64], at: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((at * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Sorts values, for [`quantile`].
pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Jain's index of fairness: (Σx)² / (n Σx²), 1 if all are equal, 1/n if one has all.
pub fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (values.len() as f64 * squares) }
}

/// Student's t for a two-sided 95 % interval: a table, and beyond it the series of Fisher and Cornish.
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    if let Some(t) = TABLE.get(freedom.saturating_sub(1)) {
        return *t;
    }
    let (z, v) = (1.959_964_f64, freedom as f64);
    z + (z.powi(3) + z) / (4.0 * v) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_textbooks() {
        let estimate = mean(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((estimate.mean - 3.0).abs() < 1e-12 && (estimate.high - 4.963).abs() < 0.001, "{estimate:?}");
        let estimate = share(8, 10);
        assert!((estimate.low - 0.490).abs() < 0.001 && (estimate.high - 0.943).abs() < 0.001, "{estimate:?}");
        assert!((student(30) - 2.042).abs() < 0.001);
        assert!((jain(&[1.0, 1.0, 0.0, 0.0]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_bootstrap_of_a_mean_is_near_students_t() {
        let mut random = Random::new(5, "test");
        let values: Vec<f64> = (0..200).map(|_| random.exponential(2.0)).collect();
        let of_mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (a, b) = (bootstrap(&values, 1, of_mean), mean(&values));
        assert!((a.low - b.low).abs() < 0.1 && (a.high - b.high).abs() < 0.1, "{a:?} {b:?}");
        assert_eq!(a, bootstrap(&values, 1, of_mean));
    }
}
