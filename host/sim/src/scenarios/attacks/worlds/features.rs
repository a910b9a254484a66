//! What the attackers make of what they saw: numbers with names, the same ones in the same order in every trial.

use std::time::Duration;

/// The features of one trial.
#[derive(Default)]
pub(super) struct Features {
    pub(super) names: Vec<String>,
    pub(super) values: Vec<f64>,
    /// Which of them are typical times, whose differences may tell what they alone do not.
    times: Vec<usize>,
}

/// Times or counts of one kind, one for each try; `None`: nothing came.
pub(super) type Tries = Vec<Option<f64>>;

/// A time in milliseconds.
pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Features {
    /// A single number; NaN: there is none.
    pub(super) fn put(&mut self, name: String, value: f64) {
        self.names.push(name);
        self.values.push(value);
    }

    /// A time that others are compared with.
    pub(super) fn time(&mut self, name: String, value: f64) {
        self.times.push(self.values.len());
        self.put(name, value);
    }

    /// What several tries of one kind tell: how many came to something, the least, the middle, the mean and the spread.
    pub(super) fn tries(&mut self, name: &str, tries: &[Option<f64>]) {
        let mut came: Vec<f64> = tries.iter().flatten().copied().collect();
        came.sort_by(f64::total_cmp);
        let count = came.len();
        let of = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        let (least, most) = (of(came.first()), of(came.last()));
        self.put(format!("{name}: how many"), count as f64);
        self.time(format!("{name}: least"), least);
        self.put(format!("{name}: middle"), of(came.get(count / 2)));
        self.put(format!("{name}: mean"), came.iter().sum::<f64>() / count as f64);
        self.put(format!("{name}: spread"), most - least);
    }

    /// What a single try tells.
    pub(super) fn once(&mut self, name: &str, came: Option<f64>) {
        self.time(name.to_owned(), came.unwrap_or(f64::NAN));
    }

    /// Adds the differences of all pairs of typical times.
    pub(super) fn finish(mut self) -> Self {
        let times = std::mem::take(&mut self.times);
        for (place, a) in times.iter().enumerate() {
            for b in &times[..place] {
                let name = format!("{} – {}", self.names[*a], self.names[*b]);
                self.put(name, self.values[*a] - self.values[*b]);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_and_differences() {
        let mut features = Features::default();
        features.tries("a", &[Some(3.0), None, Some(5.0)]);
        features.once("b", Some(1.0));
        let features = features.finish();
        let named = |name: &str| {
            let place = features.names.iter().position(|at| at == name).expect("there is one");
            features.values[place]
        };
        assert_eq!(
            (named("a: how many"), named("a: least"), named("a: mean"), named("a: spread")),
            (2.0, 3.0, 4.0, 2.0)
        );
        assert_eq!(named("b – a: least"), -2.0);
    }
}
