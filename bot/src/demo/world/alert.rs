//! What a monitoring system would send, measured from the traffic.

use std::collections::BTreeMap;

use lastgood_core::{At, Millis};

use super::{Counts, SERVICE, counts::Seen};

/// Far enough back to be sure: about sixty requests a second.
const MEASURED: Millis = 2_000;
const ENOUGH: f64 = 60.0;
/// The rate from which the alert fires.
pub const FIRES_ABOVE: f64 = 0.05;

/// A firing alert in the shape that Alertmanager sends: labels say what, annotations say it to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub fingerprint: String,
    pub starts_at: At,
    /// Errors per request, 0 to 1.
    pub rate: f64,
    pub requests: f64,
}

/// Waits for requests, not for time: the world's own traffic decides when there is something to say.
pub async fn measured(counts: &Counts) -> Alert {
    let (rate, seen) = until(counts, |rate| rate > FIRES_ABOVE).await;
    alert(rate, seen.requests, seen.errors, counts.now())
}

/// Waits until the alert would not fire any more.
pub async fn over(counts: &Counts) {
    until(counts, |rate| rate <= FIRES_ABOVE).await;
}

async fn until(counts: &Counts, fits: impl Fn(f64) -> bool) -> (f64, Seen) {
    let mut requests = counts.requests();
    loop {
        let seen = counts.measured(MEASURED);
        if let Some(rate) = seen.rate().filter(|rate| fits(*rate) && seen.requests >= ENOUGH) {
            return (rate, seen);
        }
        if requests.changed().await.is_err() {
            // The counts are held by the caller, so this can't be; waiting for ever is what "no alert" means.
            std::future::pending::<()>().await;
        }
    }
}

fn alert(rate: f64, requests: f64, errors: f64, at: At) -> Alert {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let summary = format!("{:.0} % of {SERVICE}'s requests fail", rate * 100.0);
    let description = format!("{errors:.0} of the last {requests:.0} requests were answered with 5xx");
    Alert {
        labels: pairs(&[
            ("alertname", "HighErrorRate"),
            ("service", SERVICE),
            ("environment", "production"),
            ("severity", "page"),
        ]),
        annotations: pairs(&[("summary", &summary), ("description", &description)]),
        fingerprint: "demo-high-error-rate".to_owned(),
        starts_at: at,
        rate,
        requests,
    }
}
