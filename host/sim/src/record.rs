//! What a run found, as data: one record a seed, printed as text or JSON, merged over seeds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a run found. Records of the same scenario and parameters are merged over their seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which scenario.
    pub scenario: String,
    /// Its parameters, as on the command line.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// The run's seed.
    pub seed: u64,
    /// Single numbers.
    pub figures: Vec<Figure>,
    /// Tables of numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Curves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
    /// What must hold, and whether it did.
    pub checks: Vec<Check>,
    /// Numbers that depend on the machine (events a second, memory). Left out unless asked for: all else is the same for the same seed, byte for byte.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machine: Vec<Figure>,
}

/// A number with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is, in a few words.
    pub name: String,
    /// Its unit; empty: a count or a share.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The number; NaN (JSON: null) where there is none.
    #[serde(deserialize_with = "or_nan")]
    pub value: f64,
}

fn or_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// A table: each row has a cell for each column. The first cells of a row that are texts are its name when tables are merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What it shows.
    pub name: String,
    /// The columns' heads.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The plot that it belongs into.
    pub plot: String,
    /// Its own name there.
    pub name: String,
    /// The horizontal axis, with its unit.
    pub x: String,
    /// The vertical axis, with its unit.
    pub y: String,
    /// The points.
    pub points: Vec<[f64; 2]>,
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it did.
    pub passed: bool,
    /// The figures behind the verdict.
    pub detail: String,
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Text("–".to_owned()) }
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number as f64)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(number as f64)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Table {
    /// An empty table.
    pub fn new(name: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { name: name.to_owned(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }
}

impl Record {
    /// An empty record of a scenario. `parameters`: what was asked for, a struct that serde turns into a map.
    pub fn new(scenario: &str, parameters: &impl Serialize, seed: u64) -> Self {
        let parameters = match serde_json::to_value(parameters) {
            Ok(serde_json::Value::Object(map)) => map.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        Self { scenario: scenario.to_owned(), parameters, seed, ..Self::default() }
    }

    /// Adds a number. `unit` may be empty.
    pub fn figure(&mut self, name: &str, unit: &str, value: f64) {
        self.figures.push(Figure { name: name.to_owned(), unit: unit.to_owned(), value });
    }

    /// Adds a number that depends on the machine.
    pub fn machine(&mut self, name: &str, unit: &str, value: f64) {
        self.machine.push(Figure { name: name.to_owned(), unit: unit.to_owned(), value });
    }

    /// Adds a number that must not be below a bound.
    pub fn at_least(&mut self, name: &str, unit: &str, value: f64, bound: f64) {
        self.figure(name, unit, value);
        self.check(&format!("{name} ≥ {bound}"), value >= bound, format!("{value}"));
    }

    /// Adds a number that must not be above a bound.
    pub fn at_most(&mut self, name: &str, unit: &str, value: f64, bound: f64) {
        self.figure(name, unit, value);
        self.check(&format!("{name} ≤ {bound}"), value <= bound, format!("{value}"));
    }

    /// Adds a number that must be exactly this.
    pub fn exactly(&mut self, name: &str, unit: &str, value: f64, wanted: f64) {
        self.figure(name, unit, value);
        self.check(&format!("{name} = {wanted}"), value == wanted, format!("{value}"));
    }

    /// Adds a verdict.
    pub fn check(&mut self, name: &str, passed: bool, detail: impl Into<String>) {
        self.checks.push(Check { name: name.to_owned(), passed, detail: detail.into() });
    }

    /// Adds a curve to a plot.
    pub fn series(&mut self, plot: &str, name: &str, [x, y]: [&str; 2], points: Vec<[f64; 2]>) {
        let [plot, name, x, y] = [plot, name, x, y].map(str::to_owned);
        self.series.push(Series { plot, name, x, y, points });
    }

    /// Adds what the network's own checkers found. Call [`Network::finish`](crate::Network::finish) before.
    pub fn network(&mut self, net: &crate::Network) {
        let (failures, count) = net.checks.failures();
        let detail = match count {
            0 => format!("{} looks at all links, and at routers in turn", net.checks.looks()),
            _ => format!("{count} failures: {}", failures.join("; ")),
        };
        self.check("nothing twice, bounds held, bytes conserved, rates kept", count == 0, detail);
    }

    /// Adds all that another record holds, under its name.
    pub fn join(&mut self, name: &str, other: Self) {
        let named = |what: String| format!("{name}: {what}");
        let figure = |figure: Figure| Figure { name: named(figure.name), ..figure };
        self.figures.extend(other.figures.into_iter().map(figure));
        self.machine.extend(other.machine.into_iter().map(figure));
        self.tables.extend(other.tables.into_iter().map(|table| Table { name: named(table.name), ..table }));
        self.series.extend(other.series.into_iter().map(|series| Series { plot: named(series.plot), ..series }));
        self.checks.extend(other.checks.into_iter().map(|check| Check { name: named(check.name), ..check }));
    }

    /// Whether all that must hold did.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}
