//! Health after the shift: what was measured, against what, and how far that is from enough.

use lastgood_core::{
    At,
    card::{Card, Line, Span},
    rollback::{Phase, Rollback},
    verdict::{Measured, Observation, Probed, Quality, Series},
};

use super::{
    View,
    spark::{percent, sparkline},
    words::{cut, foreign, going_to, strong, traffic},
};

/// Points of a curve: what fits a phone's line.
const CURVE: usize = 30;
const PROBES: usize = 8;
const METRICS: usize = 5;

/// What the root card says while a shift is watched.
pub fn watching(mut card: Card, view: &View) -> Card {
    let run = view.rollback;
    let Phase::Observing { since, series, last, overdue, unreadable } = &run.phase else { return card };
    card = card.line(line!["Traffic is on ", going_to(run), ". ", strong(streak(run, series))]);
    card = card.line(now_what(run, series, *since, *overdue));
    if let Some(detail) = unreadable {
        card = card.line(line![
            strong("The router can't be read now"),
            ", so good checks don't count: ",
            foreign(detail)
        ]);
    }
    card = card.field("Traffic now", traffic(run));
    if series.seen() > 0 {
        card = measured(card, view, last, *since);
    }
    card
}

/// `2 of 3 good checks in a row`.
pub fn streak(run: &Rollback, series: &Series) -> String {
    format!("{} of {} good checks in a row", series.streak, run.policy.good_in_a_row.max(1))
}

fn now_what(run: &Rollback, series: &Series, since: At, overdue: bool) -> Line {
    let every = lastgood_core::words::spell(run.policy.every);
    let mut line = line![match series.last {
        None => format!("First check now, then one every {every}."),
        Some(Quality::Good) => "The last check was good.".to_owned(),
        Some(Quality::Bad) => "The last check was bad.".to_owned(),
        Some(Quality::TooEarly) =>
            "Too early to tell: the measured range still reaches back before the shift.".to_owned(),
        Some(Quality::NoData) => "The last check brought no data, and no data is never good.".to_owned(),
    }];
    if overdue {
        line.push(" Time is up: one more look decides.".into());
    } else {
        line.extend([
            " If it has not recovered by ".into(),
            Span::Time(since.saturating_add(run.policy.recover_within)),
            ", a person is called.".into(),
        ]);
    }
    line
}

/// Every metric and check of one observation as fields.
pub fn measured(mut card: Card, view: &View, seen: &Observation, since: At) -> Card {
    for metric in seen.metrics.iter().take(METRICS) {
        let mut line = reading(metric, since);
        line.extend(curve(view, metric).into_iter().flat_map(|curve| [" ".into(), curve]));
        card = card.field(cut(&metric.name, 60), line);
    }
    for probe in seen.probes.iter().take(PROBES) {
        card = card.field(cut(&probe.name, 60), probed(probe));
    }
    let hidden = seen.probes.len().saturating_sub(PROBES) + seen.metrics.len().saturating_sub(METRICS);
    if hidden > 0 {
        let bad = seen.probes.iter().skip(PROBES).filter(|probe| !probe.healthy).count();
        card = card.field("More checks", format!("{hidden} more, {bad} of them bad"));
    }
    if seen.metrics.is_empty() && seen.probes.is_empty() {
        card = card.field("Checks", "none is configured: nothing can show that it recovered");
    }
    card
}

fn reading(metric: &Measured, since: At) -> Line {
    let mut line = match metric.rate {
        None => {
            let why = metric.detail.as_deref().unwrap_or("the source gave none");
            line![strong("no data"), ": ", foreign(why)]
        }
        Some(_) if metric.covers_from < since => {
            line!["too early, it still measures the time before the shift"]
        }
        Some(rate) if rate <= metric.limit => line![strong(percent(rate)), ", good"],
        Some(rate) => line![strong(percent(rate)), ", too high"],
    };
    line.push(format!(" (limit {}", percent(metric.limit)).into());
    line.push(match metric.baseline {
        Some(baseline) => format!(", normal {})", percent(baseline)).into(),
        None => ", no baseline known)".into(),
    });
    line
}

/// The metric over all observations, where there are enough to make a curve.
fn curve(view: &View, metric: &Measured) -> Option<Span> {
    let skip = view.observed.len().saturating_sub(CURVE);
    let values: Vec<_> = view
        .observed
        .iter()
        .skip(skip)
        .map(|(_, seen)| seen.metrics.iter().find(|m| m.name == metric.name).and_then(|m| m.rate))
        .collect();
    (values.len() > 1).then(|| Span::Code(sparkline(&values, metric.limit)))
}

fn probed(probe: &Probed) -> Line {
    let word = if probe.healthy { strong("good") } else { strong("bad") };
    match probe.detail.trim() {
        "" => line![word],
        detail => line![word, ": ", foreign(detail)],
    }
}

/// The last observation, for cards after the watch; nothing when there was none.
pub fn evidence(card: Card, view: &View) -> Card {
    match view.observed.last() {
        // Everything that is shown here was judged already, so no range is too early.
        Some((_, seen)) => measured(card, view, seen, At::MIN),
        None => card,
    }
}

/// One observation in a sentence.
pub fn sentence(seen: &Observation, since: At) -> Line {
    let mut line = Line::new();
    for metric in seen.metrics.iter().take(METRICS) {
        separate(&mut line);
        line.push(Span::Text(format!("{} ", cut(&metric.name, 60))));
        line.extend(reading(metric, since));
    }
    let bad: Vec<_> = seen.probes.iter().filter(|probe| !probe.healthy).collect();
    for probe in bad.iter().take(PROBES) {
        separate(&mut line);
        line.push(Span::Text(format!("{} ", cut(&probe.name, 60))));
        line.extend(probed(probe));
    }
    if bad.is_empty() && !seen.probes.is_empty() {
        separate(&mut line);
        line.push(match seen.probes.len() {
            1 => "the health check is good".into(),
            n => format!("all {n} health checks are good").into(),
        });
    }
    line
}

fn separate(line: &mut Line) {
    if !line.is_empty() {
        line.push("; ".into());
    }
}
