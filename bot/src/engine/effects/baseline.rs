//! What was normal: each metric's rate before the incident's first suspect, outside of any alert and of any rollback.

use std::time::Duration;

use futures_util::future::join_all;
use lastgood_core::{
    At, Millis,
    inventory::{
        soak::{Span, last_quiet},
        suspect::Suspect,
    },
    verdict::Baseline,
};

use super::Job;
use crate::{
    service::Metric,
    store::{self, Result},
};

/// The range that is measured ends this long before the failing release was recorded: a pipeline records when it has finished,
/// and traffic may have met the new version a while before.
const BEFORE_RELEASE: Millis = 60_000;
/// Alerts fire a while after what they are about began: they wait, and they measure a stretch of time.
const BEFORE_ALERT: Millis = 5 * 60_000;
/// How far back alerts and rollbacks are looked at for a quiet moment.
const LOOKS_BACK: Millis = 30 * 24 * 3_600_000;
/// A proposal is not kept waiting for longer; what was not read in time is read when it is needed.
const WITHIN: Duration = Duration::from_secs(2);

/// Read once for an incident: later runs of it inherit what the first one read.
pub(super) async fn read(job: &Job<'_>, failing: Option<&Suspect>) -> Result<Vec<Baseline>> {
    if !job.state.baselines.is_empty() {
        return Ok(Vec::new());
    }
    let now = job.engine.now();
    let since = failing.and_then(|failing| failing.since).unwrap_or(job.state.opened_at).min(now);
    let noise = noise(job, since).await?;
    let reading = metrics(job).map(|(name, metric)| {
        let window = window(metric);
        let at = last_quiet(since.saturating_sub(BEFORE_RELEASE), window, &noise);
        async move { Baseline { rate: rate(metric, at).await, metric: name, at } }
    });
    Ok(join_all(reading).await)
}

/// Every metric of the service, and of its pools, by the name under which its baseline is kept.
fn metrics<'a>(job: &'a Job<'_>) -> impl Iterator<Item = (String, &'a Metric)> {
    let own = job.service.metrics.iter().map(|metric| (metric.name.clone(), metric));
    let pools =
        job.service.pools.iter().flat_map(|(pool, of)| {
            of.metrics.iter().map(move |metric| (in_pool(pool, &metric.name), metric))
        });
    own.chain(pools)
}

/// The name under which a pool's own metric is kept.
pub(super) fn in_pool(pool: &str, metric: &str) -> String {
    format!("{pool}: {metric}")
}

fn window(metric: &Metric) -> Millis {
    i64::try_from(metric.source.window().as_millis()).unwrap_or(i64::MAX)
}

/// The rate at that moment; none while it can't be had.
async fn rate(metric: &Metric, at: At) -> Option<f64> {
    if let Some(configured) = metric.baseline {
        return Some(configured);
    }
    match tokio::time::timeout(WITHIN, metric.source.error_rate(at)).await {
        Ok(Ok(sample)) => sample.map(|sample| sample.rate),
        Ok(Err(fault)) => {
            tracing::warn!(%fault, metric = metric.name, "the baseline can't be read now");
            None
        }
        Err(_) => {
            tracing::warn!(metric = metric.name, "the baseline can't be read within {} s", WITHIN.as_secs());
            None
        }
    }
}

/// When the service was in trouble, or lastgood was at it.
async fn noise(job: &Job<'_>, until: At) -> Result<Vec<Span>> {
    let (db, service) = (job.engine.store.reader(), &job.service.id);
    let oldest = until.saturating_sub(LOOKS_BACK);
    let now = job.engine.now();
    let alerts = store::alerts::firing_times(db, service, oldest, now - job.service.alert_expires).await?;
    let alerts = alerts.into_iter().map(|(from, to)| (from.saturating_sub(BEFORE_ALERT), to));
    let times = alerts.chain(store::rollbacks::activity(db, service, oldest).await?);
    Ok(times.map(|(from, to)| Span { from, to: to.unwrap_or(now) }).collect())
}

/// What is normal for a metric of this run. Where it could not be read with the proposal, it is read now.
pub(super) async fn of(job: &Job<'_>, name: &str, metric: &Metric) -> Option<f64> {
    if let Some(configured) = metric.baseline {
        return Some(configured);
    }
    match job.state.baselines.iter().find(|baseline| baseline.metric == name) {
        Some(Baseline { rate: Some(rate), .. }) => Some(*rate),
        Some(kept) => rate(metric, kept.at).await,
        // A run of an earlier build, or a metric that the configuration did not have then.
        None => {
            let since = job.state.failing().and_then(|failing| failing.since)?;
            rate(metric, since.saturating_sub(BEFORE_RELEASE)).await
        }
    }
}
