//! A deployment as pipelines and people record it: over HTTP or on the command line, with the same fields, the same limits
//! and the same answers about what is wrong.

use lastgood_core::{
    Artifact, At, Digest,
    inventory::{Origin, Phase},
};
use serde_json::{Map, Value};

use crate::{clock, config::did_you_mean, store::releases::NewRelease};

/// Characters.
const NAME: usize = 200;
const TEXT: usize = 2_000;
/// How far clocks may differ before a time lies in the future.
const SKEW: i64 = 5 * 60_000;
/// 2000-01-01 in milliseconds: what lies before it is seconds that were taken for milliseconds.
const EARLIEST: At = 946_684_800_000;

/// As it came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    pub service: String,
    pub version: String,
    pub digest: String,
    pub phase: Option<String>,
    pub pool: Option<String>,
    /// RFC 3339, or milliseconds since 1970; now, when it is left out.
    pub at: Option<String>,
    pub url: Option<String>,
    pub by: Option<String>,
    pub irreversible: Option<String>,
    /// The sender's own id: the same id again changes nothing.
    pub id: Option<String>,
}

/// Why it is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotADeployment {
    /// For 400.
    #[error("not JSON: {0}")]
    Json(String),
    /// For 422.
    #[error("{field}: {what}")]
    Field { field: String, what: String },
}

fn wrong(field: &str, what: impl Into<String>) -> NotADeployment {
    NotADeployment::Field { field: field.to_owned(), what: what.into() }
}

const FIELDS: [&str; 10] =
    ["service", "version", "digest", "phase", "pool", "at", "url", "by", "irreversible", "id"];

impl Deployment {
    /// Reads a request's body.
    ///
    /// # Errors
    /// `Json` when it is none, `Field` with the first one that is missing, unknown or of another type.
    pub fn read(body: &[u8]) -> Result<Self, NotADeployment> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| NotADeployment::Json(error.to_string()))?;
        let Value::Object(fields) = value else {
            return Err(wrong("the body", "expected an object with service, version and digest"));
        };
        for key in fields.keys() {
            if !FIELDS.contains(&key.as_str()) {
                let known = || format!("known are {}", FIELDS.join(", "));
                let advice = did_you_mean(key, FIELDS).unwrap_or_else(known);
                let key: String = key.chars().take(80).collect();
                return Err(wrong(&key, format!("unknown field; {advice}")));
            }
        }
        let required = |key: &str| text(&fields, key)?.ok_or_else(|| wrong(key, "missing"));
        let at = match fields.get("at") {
            Some(Value::Number(number)) if number.is_i64() => Some(number.to_string()),
            Some(Value::Number(_)) => return Err(wrong("at", "milliseconds are a whole number")),
            _ => text(&fields, "at")?,
        };
        Ok(Self {
            service: required("service")?,
            version: required("version")?,
            digest: required("digest")?,
            phase: text(&fields, "phase")?,
            pool: text(&fields, "pool")?,
            at,
            url: text(&fields, "url")?,
            by: text(&fields, "by")?,
            irreversible: text(&fields, "irreversible")?,
            id: text(&fields, "id")?,
        })
    }

    /// Checked, as an inventory row to be written. `by` is who sent it, unless it names somebody.
    ///
    /// # Errors
    /// `Field`.
    pub fn release(self, now: At, by: &str) -> Result<NewRelease, NotADeployment> {
        let service = name("service", &self.service)?;
        let version = name("version", &self.version)?;
        let digest: Digest =
            self.digest.trim().parse().map_err(|error| wrong("digest", format!("{error}")))?;
        let phase: Phase = match self.phase.as_deref() {
            None => Phase::default(),
            Some(phase) => phase.parse().map_err(|error| wrong("phase", format!("{error}")))?,
        };
        let pool = self.pool.map(|pool| name("pool", &pool)).transpose()?;
        let at = self.at.as_deref().map_or(Ok(now), |at| time(at, now))?;
        let url = self.url.map(|url| address(&url)).transpose()?;
        let by = self.by.map_or(Ok(by.to_owned()), |by| short("by", &by, NAME))?;
        let irreversible = self.irreversible.map(|why| short("irreversible", &why, TEXT)).transpose()?;
        let delivery = match self.id {
            Some(id) => name("id", &id)?,
            // Without an id, only the very same statement is a repetition.
            None => format!("{digest}/{}/{}/{at}", phase.as_str(), pool.as_deref().unwrap_or_default()),
        };
        Ok(NewRelease {
            service: service.as_str().into(),
            artifact: Artifact { version, digest },
            phase,
            pool,
            at,
            by: Some(by),
            url,
            irreversible,
            origin: Origin::Recorded,
            delivery,
        })
    }
}

/// A text; none when it is missing, null or empty.
fn text(fields: &Map<String, Value>, key: &str) -> Result<Option<String>, NotADeployment> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Some(_) => Err(wrong(key, "expected a string")),
    }
}

/// What identifies something is taken exactly or not at all.
fn name(field: &str, text: &str) -> Result<String, NotADeployment> {
    if text.chars().any(|c| c.is_control() || c == '\u{fffd}') {
        return Err(wrong(field, "holds a control character"));
    }
    match text.trim() {
        "" => Err(wrong(field, "empty")),
        text => short(field, text, NAME),
    }
}

fn short(field: &str, text: &str, most: usize) -> Result<String, NotADeployment> {
    if text.chars().count() > most {
        return Err(wrong(field, format!("longer than {most} characters")));
    }
    Ok(text.to_owned())
}

fn time(text: &str, now: At) -> Result<At, NotADeployment> {
    let wanted = "expected a time like 2026-01-31T08:00:00Z, or milliseconds since 1970";
    let at = clock::parse(text.trim()).ok_or_else(|| wrong("at", wanted))?;
    if at < EARLIEST {
        return Err(wrong("at", "lies before the year 2000: milliseconds are meant, not seconds"));
    }
    if at > now.saturating_add(SKEW) {
        return Err(wrong("at", "lies in the future: record a deployment when it happens"));
    }
    Ok(at)
}

/// It becomes a link in chat.
fn address(text: &str) -> Result<String, NotADeployment> {
    let good = url::Url::parse(text.trim());
    match good {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            short("url", url.as_str(), TEXT)
        }
        _ => Err(wrong("url", "expected an address that starts with http:// or https://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: At = 1_800_000_000_000;

    fn release(json: &str) -> Result<NewRelease, String> {
        let read = Deployment::read(json.as_bytes()).and_then(|read| read.release(NOW, "token:ci"));
        read.map_err(|error| error.to_string())
    }

    fn with(more: &str) -> Result<NewRelease, String> {
        let digest = "0".repeat(64);
        release(&format!(r#"{{"service":"checkout","version":"v1","digest":"sha256:{digest}"{more}}}"#))
    }

    #[test]
    fn the_smallest_one_is_live_now_and_by_its_sender() {
        let release = with("").unwrap();
        assert_eq!((release.phase, release.at, release.by.as_deref()), (Phase::Live, NOW, Some("token:ci")));
        assert_eq!(with("").unwrap().delivery, release.delivery);
        assert_ne!(with(r#","pool":"blue""#).unwrap().delivery, release.delivery);
    }

    #[test]
    fn times_are_rfc_3339_or_milliseconds() {
        let at = |text: &str| with(&format!(r#","at":{text}"#)).map(|release| release.at);
        assert_eq!(at("\"2026-01-31T08:00:00Z\""), Ok(1_769_846_400_000));
        assert_eq!(at("1769846400000"), Ok(1_769_846_400_000));
        assert!(at("1769846400").unwrap_err().contains("not seconds"));
        assert!(at("1900000000000").unwrap_err().contains("future"));
        assert!(at("1.5").unwrap_err().starts_with("at: "));
        assert!(at("\"yesterday\"").unwrap_err().starts_with("at: expected"));
    }

    #[test]
    fn every_refusal_names_its_field() {
        for (more, said) in [
            (r#","phaze":"live""#, "phaze: unknown field; did you mean \"phase\"?"),
            (r#","phase":"most""#, "phase: not a phase (preview, canary or live): \"most\""),
            (r#","pool":7"#, "pool: expected a string"),
            (r#","id":"a\u0000b""#, "id: holds a control character"),
            (
                r#","url":"javascript:alert(1)""#,
                "url: expected an address that starts with http:// or https://",
            ),
        ] {
            assert_eq!(with(more).unwrap_err(), said);
        }
        assert_eq!(
            release("[]").unwrap_err(),
            "the body: expected an object with service, version and digest"
        );
        assert_eq!(release("{}").unwrap_err(), "service: missing");
        assert!(release("{").unwrap_err().starts_with("not JSON: "));
        assert!(with(&format!(r#","by":"{}""#, "x".repeat(201))).unwrap_err().starts_with("by: longer"));
    }
}
