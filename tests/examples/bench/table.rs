//! What is printed: a line for each figure, in the form that docs/performance.md takes.

use std::time::Duration;

/// Milliseconds, or megabytes, in ascending order.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        assert!(!values.is_empty(), "nothing was measured");
        Self(values)
    }

    pub fn times(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(times.into_iter().map(|time| time.as_secs_f64() * 1e3))
    }

    /// The nearest rank.
    pub fn at(&self, part: f64) -> f64 {
        let rank = (part * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    pub fn p50(&self) -> f64 {
        self.at(0.5)
    }
}

#[derive(Default)]
pub struct Table(Vec<[String; 8]>);

impl Table {
    /// A figure with its aim, beside the p50 of the floor below it.
    pub fn add(&mut self, figure: &str, sample: &Sample, aim: Option<f64>, floor: Option<(&str, f64)>) {
        let number = |value: f64| if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") };
        let met = |aim: f64| if sample.p50() <= aim { "" } else { " ✗" };
        let line = [
            figure.to_owned(),
            sample.0.len().to_string(),
            number(sample.p50()),
            number(sample.at(0.9)),
            number(sample.at(1.0)),
            aim.map_or(String::new(), |aim| format!("{aim}{}", met(aim))),
            floor.map_or(String::new(), |(name, value)| format!("{} ({name})", number(value))),
            floor.map_or(String::new(), |(_, value)| format!("{:.1}", sample.p50() / value)),
        ];
        eprintln!("  {}: {} {} {}", line[0], line[2], line[3], line[4]);
        self.0.push(line);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn markdown(&self) -> String {
        let head = ["figure", "n", "p50", "p90", "max", "aim", "floor", "× floor"].map(str::to_owned);
        let rule = ["---", "--:", "--:", "--:", "--:", "--:", "--:", "--:"].map(str::to_owned);
        let rows = [head, rule].into_iter().chain(self.0.iter().cloned());
        rows.map(|row| format!("| {} |", row.join(" | "))).collect::<Vec<_>>().join("\n")
    }
}
