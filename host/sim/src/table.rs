//! Records as text, for people.

use std::fmt::Write as _;

use crate::record::{Cell, Figure, Record, Table};

/// A number as people like it: few digits, thousands apart.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = match value.abs() {
        size if value == value.round() && size < 1e15 => 0,
        size if size >= 1000.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 3,
        size if size >= 0.000_1 => 6,
        _ => return format!("{value:.3e}"),
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut apart = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            apart.push(',');
        }
        apart.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{apart}.{fraction}"),
        None => format!("{sign}{apart}"),
    }
}

/// Rows in columns: texts to the left, all else to the right.
pub(crate) fn columns(head: &[String], rows: &[Vec<String>], left: impl Fn(usize) -> bool) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(head.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in std::iter::once(head).chain(rows.iter().map(Vec::as_slice)) {
        let mut line = String::from(" ");
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).map_or("", String::as_str);
            let blank = " ".repeat(width - cell.chars().count().min(*width));
            if left(column) {
                let _ = write!(line, " {cell}{blank} ");
            } else {
                let _ = write!(line, " {blank}{cell} ");
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Whether a column holds texts only, and goes to the left.
pub(crate) fn is_text(table: &Table, column: usize) -> bool {
    table.rows.iter().all(|row| matches!(row.get(column), Some(Cell::Text(_))))
}

impl Table {
    /// The table as text.
    pub fn render(&self) -> String {
        let show = |cell: &Cell| match cell {
            Cell::Number(value) => number(*value),
            Cell::Text(text) => text.clone(),
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(show).collect()).collect();
        format!("{}\n{}", self.name, columns(&self.columns, &rows, |column| is_text(self, column)))
    }
}

impl Record {
    /// The record as text.
    pub fn render(&self) -> String {
        let parameters = self.parameters.iter().map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name} {text}"),
            value => format!("{name} {value}"),
        });
        let parameters: Vec<String> = parameters.collect();
        let mut text = format!("{} · seed {} · {}\n", self.scenario, self.seed, parameters.join(" · "));
        let figures: Vec<Vec<String>> = self.figures.iter().chain(&self.machine).map(Figure::cells).collect();
        if !figures.is_empty() {
            text.push_str(&columns(&["figure", "", ""].map(str::to_owned), &figures, |column| column != 1));
        }
        for table in &self.tables {
            text.push('\n');
            text.push_str(&table.render());
        }
        text.push('\n');
        for check in &self.checks {
            let verdict = if check.passed { "holds" } else { "FAILS" };
            let _ = writeln!(text, "  {verdict}  {} ({})", check.name, check.detail);
        }
        text
    }
}

impl Figure {
    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), number(self.value), self.unit.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        let shown = [1_234_567.0, 0.95, 12.345, -1500.0, 3.0, f64::INFINITY, 0.000_01].map(number);
        assert_eq!(shown, ["1,234,567", "0.950", "12.3", "-1,500", "3", "–", "1.000e-5"]);
    }

    #[test]
    fn a_table_is_aligned() {
        let mut table = Table::new("Sizes", &["what", "bytes"]);
        table.row(["a".into(), 5u64.into()]);
        table.row(["much".into(), 12_000u64.into()]);
        assert_eq!(table.render(), "Sizes\n  what   bytes\n  a          5\n  much  12,000\n");
    }
}
