//! A request's body may be large: it is read where it lies, and one alert is taken apart at a time.

use std::fmt;

use serde::{
    Deserialize, Deserializer as _,
    de::{self, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{Alert, Fields, NotAlerts, Payload, alert_of, clean, clip, kind, wrong};

/// Alerts in one request. An Alertmanager with as many in a group tells nobody anything any more.
const MOST_ALERTS: usize = 50_000;
/// Bytes of one alert.
const MOST_OF_ONE: usize = 1024 * 1024;

/// The fields that are used. Alertmanager sends `version` and `groupKey` after the alerts.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "groupKey")]
    group_key: Option<&'a RawValue>,
    #[serde(borrow, rename = "externalURL")]
    external_url: Option<&'a RawValue>,
    #[serde(borrow, rename = "truncatedAlerts")]
    truncated: Option<&'a RawValue>,
    #[serde(borrow)]
    alerts: Option<&'a RawValue>,
}

/// Reads a request's body.
///
/// # Errors
/// `Json` when it is none, `Field` with the first field that is not what version 4 says, `Large` when it holds too much.
pub fn read(body: &[u8]) -> Result<Payload, NotAlerts> {
    let raw = fields(body)?;
    let version = required("version", raw.version)?;
    if version != "4" {
        return Err(wrong("version", format!("only \"4\" is known, found {:?}", clip(&version))));
    }
    let group_key = required("groupKey", raw.group_key)?;
    let external_url = text("externalURL", raw.external_url)?;
    let alerts = raw.alerts.ok_or_else(|| wrong("alerts", "missing"))?;
    if !alerts.get().starts_with('[') {
        return Err(wrong("alerts", format!("expected a list, found {}", kind_of(alerts.get().as_bytes()))));
    }
    let mut each = Each { group_key, external_url, alerts: Vec::new(), failed: None };
    if let Err(error) = serde_json::Deserializer::from_str(alerts.get()).deserialize_seq(&mut each) {
        return Err(each.failed.unwrap_or_else(|| NotAlerts::Json(error.to_string())));
    }
    // Only told: what is no number there must not cost the alerts.
    let truncated = raw.truncated.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    Ok(Payload { alerts: each.alerts, truncated })
}

fn fields(body: &[u8]) -> Result<Raw<'_>, NotAlerts> {
    let no_json = |error: serde_json::Error| NotAlerts::Json(error.to_string());
    let begin = body.trim_ascii_start();
    if !begin.is_empty() && !begin.starts_with(b"{") {
        serde_json::from_slice::<IgnoredAny>(body).map_err(no_json)?;
        return Err(wrong("the body", format!("expected an object, found {}", kind_of(begin))));
    }
    serde_json::from_slice(body).map_err(no_json)
}

/// A text; none when it is missing, null or empty.
fn text(field: &str, raw: Option<&RawValue>) -> Result<Option<String>, NotAlerts> {
    let Some(raw) = raw.map(RawValue::get) else { return Ok(None) };
    if !raw.starts_with('"') {
        return Err(wrong(field, format!("expected a string, found {}", kind_of(raw.as_bytes()))));
    }
    let text: String =
        serde_json::from_str(raw).map_err(|error| NotAlerts::Json(format!("{field}: {error}")))?;
    Ok(Some(clean(&text)).filter(|text| !text.is_empty()))
}

fn required(field: &str, raw: Option<&RawValue>) -> Result<String, NotAlerts> {
    text(field, raw)?.ok_or_else(|| wrong(field, "missing"))
}

/// As `kind`, by the first byte of JSON that is right.
fn kind_of(json: &[u8]) -> &'static str {
    kind(&match json.first() {
        Some(b'{') => Value::Object(serde_json::Map::new()),
        Some(b'[') => Value::Array(Vec::new()),
        Some(b'"') => Value::String(String::new()),
        Some(b't' | b'f') => Value::Bool(true),
        Some(b'n') => Value::Null,
        _ => Value::from(0),
    })
}

/// Takes the alerts of a list apart, one after the other.
struct Each {
    group_key: String,
    external_url: Option<String>,
    alerts: Vec<Alert>,
    failed: Option<NotAlerts>,
}

impl Each {
    fn one(&self, raw: &RawValue) -> Result<Alert, NotAlerts> {
        let path = format!("alerts[{}]", self.alerts.len());
        if self.alerts.len() == MOST_ALERTS {
            let what = format!(
                "alerts: more than {MOST_ALERTS}; limit them with max_alerts in the sender's webhook"
            );
            return Err(NotAlerts::Large(what));
        }
        if raw.get().len() > MOST_OF_ONE {
            return Err(NotAlerts::Large(format!("{path}: larger than {} KiB", MOST_OF_ONE / 1024)));
        }
        let value: Value =
            serde_json::from_str(raw.get()).map_err(|error| NotAlerts::Json(format!("{path}: {error}")))?;
        let Value::Object(fields) = &value else {
            return Err(wrong(path, format!("expected an object, found {}", kind(&value))));
        };
        alert_of(&Fields { path, fields }, &self.group_key, self.external_url.as_deref())
    }
}

impl<'de> Visitor<'de> for &mut Each {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of alerts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(raw) = list.next_element::<&RawValue>()? {
            match self.one(raw) {
                Ok(alert) => self.alerts.push(alert),
                Err(failed) => {
                    let error = de::Error::custom(&failed);
                    self.failed = Some(failed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
