//! Is it better now? Each observation is good, bad, or says nothing; only enough good ones in a row mean recovered.

use serde::{Deserialize, Serialize};

use crate::At;

/// How far above the baseline an error rate may be and still count as good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Times the baseline.
    pub factor: f64,
    /// Percentage points above the baseline.
    pub points: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { factor: 1.5, points: 0.5 }
    }
}

impl Measured {
    /// The rate, when there is one that can be compared: errors per no requests at all is NaN at many sources, and JSON, in
    /// which observations are kept, has no such number.
    fn comparable(&self) -> Option<f64> {
        self.rate.filter(|rate| rate.is_finite() && self.limit.is_finite())
    }
}

impl Tolerance {
    /// The highest good rate: `max(factor × baseline, baseline + points)`. Rates are 0 to 1. Without a baseline nothing
    /// was normal before, and only the points count, from zero.
    pub fn limit(&self, baseline: Option<f64>) -> f64 {
        let baseline = baseline.filter(|b| b.is_finite()).unwrap_or(0.0).clamp(0.0, 1.0);
        (self.factor * baseline).max(baseline + self.points / 100.0)
    }
}

/// What a metric's rate was before the trouble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub metric: String,
    /// Of which moment: before the incident's first suspect, and outside of any alert.
    pub at: At,
    /// 0 to 1. None: the source had no data for it, or could not be asked.
    pub rate: Option<f64>,
}

/// A normal rate above this is doubtful: every twentieth request failing is nobody's normal.
pub const DOUBTFUL_BASELINE: f64 = 0.05;

/// One HTTP check as it came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    pub name: String,
    pub healthy: bool,
    pub detail: String,
}

/// One metric as it came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub name: String,
    /// Errors per request, 0 to 1; none when the source had no data or could not be asked.
    pub rate: Option<f64>,
    pub baseline: Option<f64>,
    /// Highest good rate. One that is no finite number is nothing to compare with; it is kept as `null`.
    #[serde(deserialize_with = "number_or_nan")]
    pub limit: f64,
    /// The start of the range that the reading covers.
    pub covers_from: At,
    /// Why there is no rate.
    pub detail: Option<String>,
}

/// What is not finite is written as `null`, which must not make a whole observation unreadable.
fn number_or_nan<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Option::<f64>::deserialize(from).map(|number| number.unwrap_or(f64::NAN))
}

/// One look at everything that is checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub probes: Vec<Probed>,
    pub metrics: Vec<Measured>,
}

/// What one observation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    Good,
    Bad,
    /// A metric's range still reaches back before the shift: it can't speak for the target yet.
    TooEarly,
    /// Something that should have been read was not there.
    NoData,
}

/// Judges one observation of a shift that was verified at `since`. Bad beats no data beats too early: a failing health
/// check needs no second opinion, and what can't be read is never good. Nothing to check is no data.
pub fn judge(seen: &Observation, since: At) -> Quality {
    let bad = seen.probes.iter().any(|p| !p.healthy)
        || seen
            .metrics
            .iter()
            .any(|m| m.covers_from >= since && m.comparable().is_some_and(|rate| rate > m.limit));
    if bad {
        return Quality::Bad;
    }
    if seen.probes.is_empty() && seen.metrics.is_empty() {
        return Quality::NoData;
    }
    if seen.metrics.iter().any(|m| m.covers_from < since) {
        return Quality::TooEarly;
    }
    if seen.metrics.iter().any(|m| m.comparable().is_none()) {
        return Quality::NoData;
    }
    Quality::Good
}

/// What shows, by itself, that what was looked at is not well: a failing check, or a rate above its limit. None says only that
/// nothing bad was seen.
pub fn trouble(seen: &Observation) -> Option<String> {
    let probes = seen.probes.iter().filter(|p| !p.healthy).map(|p| format!("{}: {}", p.name, p.detail));
    let metrics = seen.metrics.iter().filter_map(|m| {
        let rate = m.comparable().filter(|rate| *rate > m.limit)?;
        Some(format!("{}: {:.1} %, at most {:.1} % is good", m.name, rate * 100.0, m.limit * 100.0))
    });
    let all: Vec<_> = probes.chain(metrics).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What all observations so far say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    #[default]
    Recovering,
    Recovered,
    NotRecovered,
    NoData,
}

/// The run of observations since the shift.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Good ones in a row, up to now.
    pub streak: u32,
    pub good: u32,
    pub bad: u32,
    /// No data or too early.
    pub silent: u32,
    pub last: Option<Quality>,
    pub last_at: Option<At>,
}

impl Series {
    pub fn seen(&self) -> u32 {
        self.good + self.bad + self.silent
    }

    /// Adds one observation. Only good ones lengthen the streak; "too early" does not break it, since it says nothing,
    /// whereas "no data" does: a source that went away may hide anything.
    pub fn add(&mut self, quality: Quality, at: At) {
        match quality {
            Quality::Good => {
                self.good += 1;
                self.streak += 1;
            }
            Quality::Bad => {
                self.bad += 1;
                self.streak = 0;
            }
            Quality::NoData => {
                self.silent += 1;
                self.streak = 0;
            }
            Quality::TooEarly => self.silent += 1,
        }
        self.last = Some(quality);
        self.last_at = Some(at);
    }

    pub fn recovered(&self, needed: u32) -> bool {
        self.streak >= needed.max(1)
    }

    /// The verdict when time is up without recovery: no data only if nothing bad and nothing good was ever seen last.
    pub fn at_deadline(&self) -> Verdict {
        match self.last {
            Some(Quality::NoData | Quality::TooEarly) | None => Verdict::NoData,
            Some(Quality::Bad | Quality::Good) => Verdict::NotRecovered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(rate: Option<f64>, covers_from: At) -> Observation {
        let metric = Measured {
            name: "e".into(),
            rate,
            baseline: Some(0.01),
            limit: 0.015,
            covers_from,
            detail: None,
        };
        Observation { probes: vec![], metrics: vec![metric] }
    }

    #[test]
    fn the_limit_is_the_larger_of_factor_and_points() {
        let tolerance = Tolerance::default();
        assert!((tolerance.limit(Some(0.10)) - 0.15).abs() < 1e-9);
        assert!((tolerance.limit(Some(0.001)) - 0.006).abs() < 1e-9);
        assert!((tolerance.limit(None) - 0.005).abs() < 1e-9);
        assert!((tolerance.limit(Some(f64::NAN)) - 0.005).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_read_is_never_good() {
        assert_eq!(judge(&Observation::default(), 0), Quality::NoData);
        assert_eq!(judge(&metric(None, 10), 10), Quality::NoData);
        assert_eq!(judge(&metric(Some(f64::NAN), 10), 10), Quality::NoData);
        let mut lost = metric(Some(0.0), 10);
        lost.metrics[0].limit = f64::NAN;
        assert_eq!(judge(&lost, 10), Quality::NoData);
        let kept: Observation = serde_json::from_str(&serde_json::to_string(&lost).unwrap()).unwrap();
        assert_eq!(judge(&kept, 10), Quality::NoData, "and stays so when it is read again");
        assert_eq!(judge(&metric(Some(0.015), 10), 10), Quality::Good);
        assert_eq!(judge(&metric(Some(0.016), 10), 10), Quality::Bad);
    }

    #[test]
    fn a_range_that_reaches_before_the_shift_says_nothing() {
        assert_eq!(judge(&metric(Some(0.0), 9), 10), Quality::TooEarly);
        assert_eq!(judge(&metric(Some(0.9), 9), 10), Quality::TooEarly);
        let mut dead = metric(Some(0.0), 9);
        dead.probes.push(Probed { name: "/healthz".into(), healthy: false, detail: "503".into() });
        assert_eq!(judge(&dead, 10), Quality::Bad, "a dead health check needs no range");
    }

    #[test]
    fn only_a_row_of_good_ones_recovers() {
        let mut series = Series::default();
        for (quality, recovered) in [
            (Quality::Good, false),
            (Quality::Good, false),
            (Quality::NoData, false),
            (Quality::Good, false),
            (Quality::TooEarly, false),
            (Quality::Good, false),
            (Quality::Good, true),
        ] {
            series.add(quality, 0);
            assert_eq!(series.recovered(3), recovered);
        }
        assert!(!Series::default().recovered(0), "zero in a row is a misconfiguration, not a recovery");
    }
}
