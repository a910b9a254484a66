//! A classifier: gradient-boosted trees with the logistic loss (Friedman 2001), which find thresholds, orders and interactions by themselves.
//!
//! Features are cut into quantile bins, what is missing into one of its own; trees are shallow, shrunk, grown on random parts of rows and
//! columns; how many are kept is decided on a part of the training rows that no tree has seen. So noise gives no model at all.

use crate::Random;

/// Bins of a feature: the first for what is missing.
const BINS: usize = 33;

/// Levels of a tree: three features interact.
const DEPTH: usize = 3;

/// What a tree adds is shrunk to this.
const RATE: f64 = 0.1;

/// Trees at most.
const TREES: usize = 200;

/// Trees at least: what finds nothing still has to guess, so that its interval says how sure that is.
const LEAST_TREES: usize = 10;

/// Trees without a gain on the rows kept back, until no more are grown.
const PATIENCE: usize = 25;

/// The share of the training rows that decides how many trees are kept.
const KEPT_BACK: f64 = 0.2;

/// The share of the rows, and of the features, that a tree sees.
const SEEN_BY_A_TREE: f64 = 0.7;

/// Rows in a leaf at least, and as one in how many of all.
const LEAST_ROWS: u32 = 5;
const LEAST_SHARE: u32 = 100;

/// What pulls a leaf's value to zero.
const RIDGE: f64 = 5.0;

/// A row: its features, NaN for what is missing, and its class.
pub(in crate::scenarios::attacks) struct Row<'a> {
    pub(in crate::scenarios::attacks) features: &'a [f64],
    pub(in crate::scenarios::attacks) class: bool,
}

/// Inner nodes: at `n` the children are `2n + 1` and `2n + 2`. A row goes right where its bin is above the split's.
struct Tree {
    splits: [(u32, u8); (1 << DEPTH) - 1],
    leaves: [f64; 1 << DEPTH],
}

/// A trained classifier.
pub(in crate::scenarios::attacks) struct Model {
    /// For each feature the bins' upper edges.
    edges: Vec<Vec<f64>>,
    trees: Vec<Tree>,
}

impl Model {
    /// Trains one. The same rows and seed give the same model.
    pub(in crate::scenarios::attacks) fn train(rows: &[Row<'_>], seed: u64) -> Self {
        let width = rows.first().map_or(0, |row| row.features.len());
        let edges: Vec<Vec<f64>> = (0..width).map(|feature| edges(rows, feature)).collect();
        let mut model = Self { edges, trees: Vec::new() };
        let binned: Vec<Vec<u8>> = (0..width).map(|feature| model.bin_all(rows, feature)).collect();
        let mut random = Random::new(seed, "learn");
        let back: Vec<bool> = rows.iter().map(|_| random.chance(KEPT_BACK)).collect();
        let mut scores = vec![0.0; rows.len()];
        let (mut best, mut least) = (0, loss(rows, &scores, &back));
        while model.trees.len() < TREES && model.trees.len() < best + PATIENCE {
            let tree = model.grow(rows, &binned, &scores, &back, &mut random);
            for (row, score) in scores.iter_mut().enumerate() {
                *score += tree.value(|feature| binned[feature][row]);
            }
            model.trees.push(tree);
            let loss = loss(rows, &scores, &back);
            if loss < least {
                (best, least) = (model.trees.len(), loss);
            }
        }
        model.trees.truncate(best.max(LEAST_TREES));
        model
    }

    /// The logarithm of the odds that it is of the class.
    pub(in crate::scenarios::attacks) fn score(&self, features: &[f64]) -> f64 {
        self.trees.iter().map(|tree| tree.value(|feature| self.bin(feature, features[feature]))).sum()
    }

    fn bin(&self, feature: usize, value: f64) -> u8 {
        if value.is_nan() { 0 } else { 1 + self.edges[feature].partition_point(|edge| *edge < value) as u8 }
    }

    /// The bins of one feature of all rows: splits are looked for in one feature at a time.
    fn bin_all(&self, rows: &[Row<'_>], feature: usize) -> Vec<u8> {
        rows.iter().map(|row| self.bin(feature, row.features[feature])).collect()
    }

    /// One more tree, along the loss's gradient.
    fn grow(&self, rows: &[Row<'_>], binned: &[Vec<u8>], scores: &[f64], back: &[bool], random: &mut Random) -> Tree {
        let mut places: Vec<(u32, u8)> = Vec::with_capacity(rows.len());
        for (row, back) in back.iter().enumerate() {
            if !back && random.chance(SEEN_BY_A_TREE) {
                places.push((row as u32, 0));
            }
        }
        let features: Vec<u32> = (0..self.edges.len() as u32).filter(|_| random.chance(SEEN_BY_A_TREE)).collect();
        let slopes: Vec<(f64, f64)> = rows
            .iter()
            .zip(scores)
            .map(|(row, score)| {
                let p = 1.0 / (1.0 + (-score).exp());
                (f64::from(u8::from(row.class)) - p, p * (1.0 - p))
            })
            .collect();
        let mut tree = Tree { splits: [(0, u8::MAX); (1 << DEPTH) - 1], leaves: [0.0; 1 << DEPTH] };
        for level in 0..DEPTH {
            let first = (1 << level) - 1;
            for node in first..2 * first + 1 {
                let own: Vec<u32> =
                    places.iter().filter(|(_, at)| usize::from(*at) == node).map(|(row, _)| *row).collect();
                if let Some(split) = best_split(&features, binned, &slopes, &own) {
                    tree.splits[node] = split;
                }
            }
            for (row, at) in &mut places {
                *at = tree.next(usize::from(*at), |feature| binned[feature][*row as usize]) as u8;
            }
        }
        let mut sums = [(0.0, 0.0); 1 << DEPTH];
        for (row, at) in places {
            let (slope, bend) = slopes[row as usize];
            let sum = &mut sums[usize::from(at) - ((1 << DEPTH) - 1)];
            *sum = (sum.0 + slope, sum.1 + bend);
        }
        tree.leaves = sums.map(|(slope, bend)| RATE * slope / (bend + RIDGE));
        tree
    }
}

impl Tree {
    fn next(&self, node: usize, bin_of: impl Fn(usize) -> u8) -> usize {
        let (feature, bin) = self.splits[node];
        // No split: all go left.
        2 * node + 1 + usize::from(bin_of(feature as usize) > bin)
    }

    fn value(&self, bin_of: impl Fn(usize) -> u8) -> f64 {
        let leaf = (0..DEPTH).fold(0, |node, _| self.next(node, &bin_of));
        self.leaves[leaf - ((1 << DEPTH) - 1)]
    }
}

/// The split of these rows that takes most of the loss: the feature, and the last bin that goes left.
fn best_split(features: &[u32], binned: &[Vec<u8>], slopes: &[(f64, f64)], rows: &[u32]) -> Option<(u32, u8)> {
    let worth = |slope: f64, bend: f64| slope * slope / (bend + RIDGE);
    let mut best: Option<(f64, u32, u8)> = None;
    let least = (slopes.len() as u32 / LEAST_SHARE).max(LEAST_ROWS);
    for feature in features {
        let column = &binned[*feature as usize];
        let mut bins = [(0.0, 0.0, 0u32); BINS];
        for row in rows {
            let (slope, bend) = slopes[*row as usize];
            let bin = &mut bins[usize::from(column[*row as usize])];
            *bin = (bin.0 + slope, bin.1 + bend, bin.2 + 1);
        }
        let add = |sum: (f64, f64, u32), bin: &(f64, f64, u32)| (sum.0 + bin.0, sum.1 + bin.1, sum.2 + bin.2);
        let all = bins.iter().fold((0.0, 0.0, 0), add);
        let mut left = (0.0, 0.0, 0);
        for (place, bin) in bins.iter().enumerate() {
            left = add(left, bin);
            let right = (all.0 - left.0, all.1 - left.1, all.2 - left.2);
            if left.2 < least || right.2 < least {
                continue;
            }
            let gain = worth(left.0, left.1) + worth(right.0, right.1) - worth(all.0, all.1);
            if gain > best.map_or(1e-9, |(most, ..)| most) {
                best = Some((gain, *feature, place as u8));
            }
        }
    }
    best.map(|(_, feature, bin)| (feature, bin))
}

/// The mean logistic loss of the rows kept back.
fn loss(rows: &[Row<'_>], scores: &[f64], back: &[bool]) -> f64 {
    let mut sum = 0.0;
    for ((row, score), _) in rows.iter().zip(scores).zip(back).filter(|(_, back)| **back) {
        let margin = if row.class { *score } else { -score };
        sum += (-margin).exp().ln_1p();
    }
    sum / back.iter().filter(|back| **back).count().max(1) as f64
}

/// Quantiles of a feature, each once.
fn edges(rows: &[Row<'_>], feature: usize) -> Vec<f64> {
    let mut values: Vec<f64> = rows.iter().map(|row| row.features[feature]).filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    let parts = BINS - 1;
    let mut edges: Vec<f64> =
        (1..parts).filter_map(|part| values.get((values.len() * part / parts).saturating_sub(1)).copied()).collect();
    edges.dedup();
    edges
}

#[cfg(test)]
mod tests {
    use super::{super::area::area, *};

    /// The area on fresh rows of a model trained on as many.
    fn found(make: impl Fn(&mut Random, bool) -> Vec<f64>) -> f64 {
        let mut random = Random::new(5, "rows");
        let mut rows = || -> Vec<(Vec<f64>, bool)> {
            (0..2_000).map(|row| (make(&mut random, row % 2 == 0), row % 2 == 0)).collect()
        };
        let (train, test) = (rows(), rows());
        let train: Vec<Row<'_>> = train.iter().map(|(features, class)| Row { features, class: *class }).collect();
        let model = Model::train(&train, 1);
        let scored: Vec<(f64, bool)> = test.iter().map(|(features, class)| (model.score(features), *class)).collect();
        area(&scored)
    }

    fn noise(random: &mut Random, width: usize) -> Vec<f64> {
        (0..width).map(|_| random.normal()).collect()
    }

    #[test]
    fn finds_nothing_in_noise() {
        let area = found(|random, _| noise(random, 200));
        assert!((area - 0.5).abs() < 0.03, "{area}");
    }

    #[test]
    fn finds_a_shift_among_noise_as_well_as_can_be() {
        let area = found(|random, class| {
            let mut row = noise(random, 100);
            row[37] += if class { 1.0 } else { 0.0 };
            row
        });
        // The best that can be: Φ(1/√2) = 0.760.
        assert!(area > 0.73, "{area}");
    }

    #[test]
    fn finds_what_one_feature_tells_only_beside_another() {
        let area = found(|random, class| {
            let mut row = noise(random, 50);
            let sign = if row[11] > 0.0 { 1.0 } else { -0.5 };
            row[3] += if class { 3.0 * sign } else { 0.0 };
            row
        });
        assert!(area > 0.88, "{area}");
    }

    #[test]
    fn finds_that_something_is_missing() {
        let area = found(|random, class| {
            let mut row = noise(random, 50);
            if random.chance(if class { 0.3 } else { 0.1 }) {
                row[20] = f64::NAN;
            }
            row
        });
        assert!(area > 0.58, "{area}");
    }
}
