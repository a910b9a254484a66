//! The curves of many records, put together: points of one curve may come from runs with different parameters (a network's size) and seeds.

use std::collections::BTreeMap;

use crate::{Merged, stats::mean};

/// Points drawn of one curve; of more, every so manieth.
const MAX_POINTS: usize = 1000;

/// Curves with the same axes.
#[derive(Debug, PartialEq)]
pub(super) struct Plot {
    pub(super) name: String,
    /// What lies across and up, with units.
    pub(super) axes: [String; 2],
    pub(super) curves: Vec<Curve>,
}

/// A curve.
#[derive(Debug, PartialEq)]
pub(super) struct Curve {
    pub(super) name: String,
    /// From left to right.
    pub(super) points: Vec<Point>,
}

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    /// The ends of its 95 % interval, if there are several seeds.
    pub(super) interval: Option<[f64; 2]>,
}

/// A number that sorts.
#[derive(Clone, Copy, PartialEq)]
struct Place(f64);

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One curve's values by place, from one group of records.
type Values = BTreeMap<Place, Vec<f64>>;

/// The plots of records of one scenario. `labels`: for each group what sets it apart from the others, for curves that can't be joined.
pub(super) fn plots(groups: &[Merged], labels: &[String]) -> Vec<Plot> {
    let mut plots: Vec<Plot> = Vec::new();
    for (plot, name, axes) in names(groups) {
        let parts: Vec<(usize, Values)> =
            (0..groups.len()).map(|group| (group, values(&groups[group], &plot, &name))).collect();
        let parts: Vec<_> = parts.into_iter().filter(|(_, values)| !values.is_empty()).collect();
        let curves = curves(&name, parts, labels);
        match plots.iter_mut().find(|other| other.name == plot) {
            Some(other) => other.curves.extend(curves),
            None => plots.push(Plot { name: plot, axes, curves }),
        }
    }
    plots.retain(|plot| plot.curves.iter().any(|curve| !curve.points.is_empty()));
    plots
}

/// Every curve's plot, name and axes, in the order in which they first come.
fn names(groups: &[Merged]) -> Vec<(String, String, [String; 2])> {
    let mut names: Vec<(String, String, [String; 2])> = Vec::new();
    for series in groups.iter().flat_map(Merged::records).flat_map(|record| &record.series) {
        if !names.iter().any(|(plot, name, _)| *plot == series.plot && *name == series.name) {
            names.push((series.plot.clone(), series.name.clone(), [series.x.clone(), series.y.clone()]));
        }
    }
    names
}

fn values(group: &Merged, plot: &str, name: &str) -> Values {
    let mut values = Values::new();
    let series = group.records().iter().flat_map(|record| &record.series);
    for series in series.filter(|series| series.plot == plot && series.name == name) {
        for [x, y] in series.points.iter().filter(|[x, y]| x.is_finite() && y.is_finite()) {
            values.entry(Place(*x)).or_default().push(*y);
        }
    }
    values
}

/// One curve if no two groups say something about the same place; else one for each group.
fn curves(name: &str, parts: Vec<(usize, Values)>, labels: &[String]) -> Vec<Curve> {
    let mut joined = Values::new();
    let places: usize = parts.iter().map(|(_, values)| values.len()).sum();
    joined.extend(parts.iter().flat_map(|(_, values)| values.clone()));
    if joined.len() == places {
        return vec![curve(name.to_owned(), joined)];
    }
    let label = |group: usize| labels.get(group).filter(|label| !label.is_empty());
    let named = |group| label(group).map_or_else(|| name.to_owned(), |label| format!("{name} · {label}"));
    parts.into_iter().map(|(group, values)| curve(named(group), values)).collect()
}

fn curve(name: String, values: Values) -> Curve {
    let step = values.len().div_ceil(MAX_POINTS).max(1);
    let point = |(x, values): (Place, Vec<f64>)| {
        let estimate = mean(&values);
        let interval = (values.len() > 1).then_some([estimate.low, estimate.high]);
        Point { x: x.0, y: estimate.mean, interval }
    };
    Curve { name, points: values.into_iter().step_by(step).map(point).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, merge};

    fn record(nodes: u64, seed: u64, loss: f64, y: f64) -> Record {
        let mut record = Record::new("test", &serde_json::json!({ "nodes": nodes, "loss": loss }), seed);
        record.series("reach", "regular", ["nodes", "share"], vec![[nodes as f64, y]]);
        record
    }

    fn plotted(records: Vec<Record>) -> Vec<Plot> {
        let groups = merge(records);
        let labels: Vec<String> = (0..groups.len()).map(|group| format!("group {group}")).collect();
        plots(&groups, &labels)
    }

    #[test]
    fn sizes_become_one_curve_and_seeds_its_intervals() {
        let found = plotted(vec![record(1000, 1, 0.0, 0.5), record(100, 1, 0.0, 1.0), record(100, 2, 0.0, 0.8)]);
        let [Plot { curves, .. }] = found.as_slice() else { panic!("one plot: {found:?}") };
        let [Curve { name, points }] = curves.as_slice() else { panic!("one curve: {curves:?}") };
        assert_eq!((name.as_str(), points.len()), ("regular", 2));
        assert_eq!((points[0].x, points[0].y, points[1].interval), (100.0, 0.9, None));
        assert!(points[0].interval.is_some_and(|[low, high]| low < 0.8 && high > 1.0));
    }

    #[test]
    fn runs_that_differ_in_something_else_keep_curves_of_their_own() {
        let found = plotted(vec![record(100, 1, 0.0, 1.0), record(100, 1, 0.1, 0.7)]);
        let names: Vec<&str> = found[0].curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["regular · group 0", "regular · group 1"]);
        assert!(plotted(vec![record(100, 1, 0.0, f64::NAN)]).is_empty());
    }
}
