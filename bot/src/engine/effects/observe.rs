//! One look at health, metrics and routing after the shift. Never fails: what can't be read is reported as such.

use futures_util::future::{join_all, join3};
use lastgood_core::{
    At, Shares,
    inventory::{
        live::{Live, near},
        target::Target,
    },
    rollback::{Event, TrafficNow},
    verdict::{Measured, Observation, Probed},
};

use super::{Job, baseline};
use crate::{engine::executor::Outcome, service::Metric};

pub(super) async fn observe(job: &Job<'_>, to: &Shares) -> Outcome {
    let now = job.engine.now();
    let probes = join_all(job.service.health.iter().map(|check| async move {
        let (healthy, detail) = match check.probe().await {
            Ok(detail) => (true, detail),
            Err(fault) => (false, fault.to_string()),
        };
        Probed { name: check.name().to_owned(), healthy, detail }
    }));
    let metrics =
        join_all(job.service.metrics.iter().map(|metric| measure(job, metric.name.clone(), metric, now)));
    let (probes, metrics, traffic) = join3(probes, metrics, traffic(job, to)).await;
    Outcome::Event(Event::Observed { observation: Observation { probes, metrics }, traffic })
}

/// A look between two steps of a shift: at traffic and, if `target`, at the pools that are to get all of it in the end.
pub(super) async fn watch(job: &Job<'_>, to: &Shares, target: bool) -> Outcome {
    let goal = job.state.goal().map(Target::routing).filter(|_| target);
    let targets = goal.into_iter().flatten().filter(|(_, share)| **share > 0);
    let pools: Vec<_> = targets.filter_map(|(name, _)| Some((name, job.service.pools.get(name)?))).collect();
    let probes = join_all(pools.iter().flat_map(|(name, pool)| {
        pool.health.iter().map(move |check| async move {
            let (healthy, detail) = match check.probe().await {
                Ok(detail) => (true, detail),
                Err(fault) => (false, fault.to_string()),
            };
            Probed { name: format!("{name}: {}", check.name()), healthy, detail }
        })
    }));
    let now = job.engine.now();
    let metrics = join_all(pools.iter().flat_map(|(name, pool)| {
        pool.metrics
            .iter()
            .map(move |metric| measure(job, baseline::in_pool(name, &metric.name), metric, now))
    }));
    let (probes, metrics, traffic) = join3(probes, metrics, traffic(job, to)).await;
    Outcome::Event(Event::Watched { observation: Observation { probes, metrics }, traffic })
}

async fn traffic(job: &Job<'_>, to: &Shares) -> TrafficNow {
    match job.service.shifter.observe().await {
        Ok(seen) if near(to, &seen.shares) && seen.disagreement.is_none() => TrafficNow::AsExpected,
        Ok(seen) => {
            let words = |shares: &Shares| Live { shares: shares.clone(), ..Live::default() }.describe();
            let mut detail = format!("expected {}, found {}", words(to), words(&seen.shares));
            if let Some(disagreement) = &seen.disagreement {
                detail.push_str(&format!(" ({disagreement})"));
            }
            if let Some(writer) = &seen.writer {
                detail.push_str(&format!("; {writer} changed it last"));
            }
            TrafficNow::Elsewhere { shares: seen.shares, detail }
        }
        Err(fault) => TrafficNow::Unreadable { detail: fault.to_string() },
    }
}

/// `kept` is the name under which its baseline is.
async fn measure(job: &Job<'_>, kept: String, metric: &Metric, now: At) -> Measured {
    let baseline = baseline::of(job, &kept, metric).await;
    let window = i64::try_from(metric.source.window().as_millis()).unwrap_or(i64::MAX);
    let (rate, detail) = match metric.source.error_rate(now).await {
        Ok(Some(sample)) => (Some(sample.rate), None),
        Ok(None) => (None, Some("no data".to_owned())),
        Err(fault) => (None, Some(fault.to_string())),
    };
    Measured {
        name: metric.name.clone(),
        rate,
        baseline,
        limit: job.service.tolerance.limit(baseline),
        covers_from: now.saturating_sub(window),
        detail,
    }
}
