//! Records of many seeds become one: means and 95 % intervals.

use std::collections::BTreeMap;

use crate::{
    record::{Cell, Check, Record, Table},
    stats::mean,
    table::{columns, number},
};

/// Records that differ in their seeds only.
pub struct Merged {
    /// The first of them, for names and parameters.
    first: Record,
    /// All of them.
    records: Vec<Record>,
}

/// Puts records together that have the same scenario and parameters, in the order in which those first come.
pub fn merge(records: Vec<Record>) -> Vec<Merged> {
    let mut groups: Vec<Merged> = Vec::new();
    for record in records {
        let same = |group: &&mut Merged| {
            group.first.scenario == record.scenario && group.first.parameters == record.parameters
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.records.push(record),
            None => groups.push(Merged { first: record.clone(), records: vec![record] }),
        }
    }
    for group in &mut groups {
        group.records.sort_by_key(|record| record.seed);
    }
    groups
}

impl Merged {
    /// The records, ordered by their seeds.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Each figure's mean over the seeds, its interval by Student's t.
    pub fn figures(&self) -> Table {
        let mut table = Table::new("", &["figure", "mean", "low", "high", "seeds", "unit"]);
        let figures = self.first.figures.iter().map(|figure| (figure, false));
        for (figure, machine) in figures.chain(self.first.machine.iter().map(|figure| (figure, true))) {
            let of = |record: &Record| {
                let figures = if machine { &record.machine } else { &record.figures };
                figures
                    .iter()
                    .find(|other| other.name == figure.name)
                    .map(|figure| figure.value)
                    .filter(|value| value.is_finite())
            };
            let estimate = mean(&self.records.iter().filter_map(of).collect::<Vec<_>>());
            table.row([
                figure.name.as_str().into(),
                estimate.mean.into(),
                estimate.low.into(),
                estimate.high.into(),
                estimate.count.into(),
                figure.unit.as_str().into(),
            ]);
        }
        table
    }

    /// The tables, each number the mean over the seeds. Rows belong together by their texts, or by their place where they have none.
    pub fn tables(&self) -> Vec<Table> {
        let merged = self.first.tables.iter().map(|table| {
            let mut cells: BTreeMap<(Vec<String>, usize), Vec<f64>> = BTreeMap::new();
            for record in &self.records {
                let Some(other) = record.tables.iter().find(|other| other.name == table.name) else {
                    continue;
                };
                for (place, row) in other.rows.iter().enumerate() {
                    for (column, cell) in row.iter().enumerate() {
                        if let Cell::Number(value) = cell {
                            cells.entry((row_name(row, place), column)).or_default().push(*value);
                        }
                    }
                }
            }
            let average = |(place, row): (usize, &Vec<Cell>)| {
                let cell = |(column, cell): (usize, &Cell)| match cell {
                    Cell::Text(text) => Cell::Text(text.clone()),
                    Cell::Number(value) => {
                        let values = cells.get(&(row_name(row, place), column));
                        Cell::Number(values.map_or(*value, |values| mean(values).mean))
                    }
                };
                row.iter().enumerate().map(cell).collect()
            };
            let rows = table.rows.iter().enumerate().map(average).collect();
            Table { rows, ..table.clone() }
        });
        merged.collect()
    }

    /// Each check: it passed if it did with every seed.
    pub fn checks(&self) -> Vec<Check> {
        let mut names: Vec<&str> = Vec::new();
        for check in self.records.iter().flat_map(|record| &record.checks) {
            if !names.contains(&check.name.as_str()) {
                names.push(&check.name);
            }
        }
        let merged = names.into_iter().map(|name| {
            let of = |record: &Record| {
                let found = record.checks.iter().find(|check| check.name == name)?;
                Some((record.seed, found.passed, found.detail.clone()))
            };
            let verdicts: Vec<_> = self.records.iter().filter_map(of).collect();
            let passed = verdicts.iter().filter(|(_, passed, _)| *passed).count();
            let count = verdicts.len();
            let detail = match verdicts.iter().find(|(_, passed, _)| !passed) {
                Some((_, _, detail)) if verdicts.len() == 1 => detail.clone(),
                Some((seed, _, detail)) => {
                    format!("with {passed} of {} seeds; with seed {seed}: {detail}", verdicts.len())
                }
                None if passed == 1 => verdicts.into_iter().map(|(_, _, detail)| detail).collect(),
                None => format!("with all {passed} seeds"),
            };
            Check { name: name.to_owned(), passed: passed == count, detail }
        });
        merged.collect()
    }

    /// All of it as text.
    pub fn render(&self) -> String {
        let seeds: Vec<String> = self.records.iter().map(|record| record.seed.to_string()).collect();
        let parameters: Vec<String> =
            self.first.parameters.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let figures = self.figures();
        let show = |cell: &Cell| match cell {
            Cell::Number(value) => number(*value),
            Cell::Text(text) => text.clone(),
        };
        let rows: Vec<Vec<String>> = figures.rows.iter().map(|row| row.iter().map(show).collect()).collect();
        let mut text = format!(
            "{} · seeds {} · {}\n{}",
            self.first.scenario,
            seeds.join(" "),
            parameters.join(" · "),
            columns(&figures.columns, &rows, |column| column == 0 || column == 5)
        );
        for table in self.tables() {
            text.push('\n');
            text.push_str(&table.render());
        }
        text.push('\n');
        for check in self.checks() {
            let verdict = if check.passed { "holds" } else { "FAILS" };
            text.push_str(&format!("  {verdict}  {} ({})\n", check.name, check.detail));
        }
        text
    }
}

/// What names a row: its texts, or its place if it has none.
fn row_name(row: &[Cell], place: usize) -> Vec<String> {
    let texts: Vec<String> = row
        .iter()
        .filter_map(|cell| match cell {
            Cell::Text(text) => Some(text.clone()),
            Cell::Number(_) => None,
        })
        .collect();
    if texts.is_empty() { vec![place.to_string()] } else { texts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seed: u64, value: f64) -> Record {
        let mut record = Record::new("test", &serde_json::json!({ "nodes": 5 }), seed);
        record.at_least("share", "", value, 0.5);
        let mut table = Table::new("t", &["what", "n"]);
        table.row(["a".into(), value.into()]);
        record.tables.push(table);
        record
    }

    #[test]
    fn means_over_seeds_and_checks_that_hold_with_all() {
        let merged = merge(vec![record(2, 1.0), record(1, 0.0)]);
        let [merged] = merged.as_slice() else { panic!("one group") };
        assert_eq!(merged.records().iter().map(|record| record.seed).collect::<Vec<_>>(), [1, 2]);
        let figures = merged.figures();
        let [Cell::Text(_), Cell::Number(mean), Cell::Number(low), ..] = figures.rows[0].as_slice() else {
            panic!("a row of the figure")
        };
        assert!((*mean, *low < 0.0) == (0.5, true));
        assert_eq!(merged.tables()[0].rows[0][1], Cell::Number(0.5));
        let checks = merged.checks();
        assert!(!checks[0].passed && checks[0].detail.contains("seed 1"), "{checks:?}");
        assert!(merged.render().contains("FAILS"));
    }

    #[test]
    fn a_record_survives_json() {
        let record = record(1, 0.25);
        let text = serde_json::to_string(&record).expect("a record is JSON");
        assert_eq!(serde_json::from_str::<Record>(&text).expect("it was one"), record);
    }
}
