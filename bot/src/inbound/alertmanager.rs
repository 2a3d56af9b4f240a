//! Alertmanager's webhook, version 4 (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>): lenient
//! about what is added to it, strict about what is used, so that a wrong sender hears which field is wrong instead of an
//! alert getting lost.

use lastgood_core::At;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::matcher::Labels;

mod payload;

pub use payload::read;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Firing,
    Resolved,
}

/// One alert, whoever sent it. Its texts are foreign, and free of NUL, which PostgreSQL can't store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Identifies the alert by its labels, over repetitions and from firing to resolved.
    pub fingerprint: String,
    pub status: Status,
    pub starts_at: At,
    /// None while that is not known.
    pub ends_at: Option<At>,
    /// The first line that people read: the summary, else the alert's name.
    pub title: String,
    pub labels: Labels,
    pub annotations: Labels,
    /// The expression's page in Prometheus.
    pub generator_url: Option<String>,
    /// What the sender groups it under.
    pub group_key: String,
    /// The sender itself.
    pub external_url: Option<String>,
}

/// What a request holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    pub alerts: Vec<Alert>,
    /// How many more there are, which the sender left out (`max_alerts` of its webhook).
    pub truncated: u64,
}

/// Why a request holds no alerts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAlerts {
    /// For 400.
    #[error("not JSON: {0}")]
    Json(String),
    /// For 422.
    #[error("{field}: {what}")]
    Field { field: String, what: String },
    /// For 413.
    #[error("{0}")]
    Large(String),
}

fn alert_of(alert: &Fields<'_>, group_key: &str, external_url: Option<&str>) -> Result<Alert, NotAlerts> {
    let status = match alert.required("status")?.as_str() {
        "firing" => Status::Firing,
        "resolved" => Status::Resolved,
        other => {
            let what = format!("expected \"firing\" or \"resolved\", found {:?}", clip(other));
            return Err(wrong(alert.at("status"), what));
        }
    };
    let labels = alert.labels("labels")?.ok_or_else(|| wrong(alert.at("labels"), "missing"))?;
    let annotations = alert.labels("annotations")?.unwrap_or_default();
    let starts_at = alert.time("startsAt")?.ok_or_else(|| wrong(alert.at("startsAt"), "missing"))?;
    let named = [annotations.get("summary"), labels.get("alertname"), annotations.get("description")];
    let title = named.into_iter().flatten().map(|text| text.trim()).find(|text| !text.is_empty());
    Ok(Alert {
        fingerprint: alert.text("fingerprint")?.unwrap_or_else(|| fingerprint(&labels)),
        status,
        starts_at,
        ends_at: alert.time("endsAt")?,
        title: title.unwrap_or("alert without a name").to_owned(),
        generator_url: alert.text("generatorURL")?,
        group_key: group_key.to_owned(),
        external_url: external_url.map(str::to_owned),
        labels,
        annotations,
    })
}

/// Alertmanager's own fingerprint, for senders that leave it out: FNV-1a, 64 bits, over each name and value in the order
/// of names, each followed by a byte 255 (`LabelSet.Fingerprint` of prometheus/common's `model`).
pub fn fingerprint(labels: &Labels) -> String {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    let bytes = texts.flat_map(|text| text.bytes().chain([255]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// An object's fields, and where it is.
struct Fields<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A text; none when it is missing, null or empty.
    fn text(&self, key: &str) -> Result<Option<String>, NotAlerts> {
        match self.fields.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(clean(text)).filter(|text| !text.is_empty())),
            Some(other) => Err(wrong(self.at(key), format!("expected a string, found {}", kind(other)))),
        }
    }

    fn required(&self, key: &str) -> Result<String, NotAlerts> {
        self.text(key)?.ok_or_else(|| wrong(self.at(key), "missing"))
    }

    /// A time in milliseconds. Go writes the year 1 for "not known".
    fn time(&self, key: &str) -> Result<Option<At>, NotAlerts> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let time: jiff::Timestamp = text.parse().map_err(|_| {
            wrong(self.at(key), format!("expected a time like 2026-01-31T08:00:00Z, found {:?}", clip(&text)))
        })?;
        Ok(Some(time.as_millisecond()).filter(|at| *at > GO_ZERO_TIME))
    }

    fn labels(&self, key: &str) -> Result<Option<Labels>, NotAlerts> {
        let labels = match self.fields.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(labels)) => labels,
            Some(other) => {
                return Err(wrong(self.at(key), format!("expected an object, found {}", kind(other))));
            }
        };
        let pairs = labels.iter().map(|(name, value)| match value {
            Value::String(value) => Ok((clean(name), clean(value))),
            other => {
                let field = format!("{}.{}", self.at(key), clip(name));
                Err(wrong(field, format!("expected a string, found {}", kind(other))))
            }
        });
        pairs.collect::<Result<_, _>>().map(Some)
    }
}

/// 0001-01-01T00:00:00Z in milliseconds.
const GO_ZERO_TIME: At = -62_135_596_800_000;

fn wrong(field: impl Into<String>, what: impl Into<String>) -> NotAlerts {
    NotAlerts::Field { field: field.into(), what: what.into() }
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Foreign text in an error is short.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
