//! What PagerDuty tells us: somebody acknowledged or resolved a page. Version 3 webhooks; protocol: PagerDuty's developer
//! documentation, Webhooks / Overview and Verifying Signatures.
//!
//! Verify first, on the raw body, and only then parse.

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::Secret;

/// The header that holds one signature or, while the secret is being changed, several.
pub const SIGNATURE_HEADER: &str = "X-PagerDuty-Signature";

/// Why a delivery is not believed or not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("no v1 signature in {SIGNATURE_HEADER}")]
    Unsigned,
    #[error(
        "no signature in {SIGNATURE_HEADER} fits: is the webhook subscription's secret the configured one?"
    )]
    Forged,
    #[error("not a version 3 webhook: {0}")]
    Malformed(String),
}

/// Checks a delivery: HMAC-SHA256 of the raw `body`, in hexadecimal, after `v1=`. Compared in constant time. The
/// signature covers no time: whoever takes deliveries remembers `Happened::id`, lest one be played again.
///
/// # Errors
/// `Unsigned` without any `v1` signature, `Forged` when none fits.
pub fn verify(secret: &Secret, header: &str, body: &[u8]) -> Result<(), Rejected> {
    let mut signed = false;
    for hex in header.split(',').filter_map(|part| part.trim().strip_prefix("v1=")) {
        signed = true;
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.reveal().as_bytes())
            .map_err(|_| Rejected::Forged)?;
        mac.update(body);
        if bytes(hex).is_some_and(|signature| mac.verify_slice(&signature).is_ok()) {
            return Ok(());
        }
    }
    Err(if signed { Rejected::Forged } else { Rejected::Unsigned })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? * 16 + digit(low)?),
            _ => None,
        })
        .collect()
}

/// Something that happened to a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// The event's own id: the same on every delivery of it.
    pub id: String,
    pub what: What,
    /// When, as PagerDuty writes it (RFC 3339).
    pub at: Option<String>,
    /// PagerDuty's id of the incident.
    pub incident: Option<String>,
    /// The `dedup_key` that was sent; absent for incidents that nobody opened through the Events API, and in some accounts
    /// for all.
    pub key: Option<String>,
    /// The summary of the incident's first alert, unless somebody changed it.
    pub title: Option<String>,
    /// Who did it, when PagerDuty says: `Tenex Engineer`.
    pub agent: Option<Agent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Acknowledged,
    Resolved,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// PagerDuty's id: `PLH1HKV`.
    pub id: String,
    pub name: String,
    /// A user. Otherwise an integration, for example this program's own `resolve`.
    pub person: bool,
}

#[derive(Deserialize)]
struct Delivery {
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    event_type: String,
    occurred_at: Option<String>,
    agent: Option<Reference>,
    #[serde(default)]
    data: serde_json::Value,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    id: String,
    /// Null for some kinds of agents.
    summary: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
}

/// Reads a verified delivery. `None`: it is about something else, which is no error; new kinds come any time.
///
/// # Errors
/// `Malformed`.
pub fn parse(body: &[u8]) -> Result<Option<Happened>, Rejected> {
    let Delivery { event } =
        serde_json::from_slice(body).map_err(|why| Rejected::Malformed(why.to_string()))?;
    let what = match event.event_type.as_str() {
        "incident.acknowledged" => What::Acknowledged,
        "incident.resolved" => What::Resolved,
        _ => return Ok(None),
    };
    let text = |name: &str| event.data.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let (incident, key, title) = (text("id"), text("incident_key"), text("title"));
    let agent = event.agent.map(|agent| Agent {
        name: agent.summary.unwrap_or_else(|| agent.id.clone()),
        id: agent.id,
        person: agent.kind == "user_reference",
    });
    Ok(Some(Happened { id: event.id, what, at: event.occurred_at, incident, key, title, agent }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        br#"{"event":{"id":"E1","event_type":"incident.acknowledged","resource_type":"incident",
        "agent":{"id":"PLH1HKV","summary":"Tenex Engineer","type":"user_reference"},"client":null,
        "data":{"id":"PGR0VU2","type":"incident","status":"acknowledged","incident_key":"RB-42/1"}}}"#;

    /// RFC 4231, test case 2: a vector that others computed.
    const SECRET: &str = "Jefe";
    const TEXT: &[u8] = b"what do ya want for nothing?";
    const GOOD: &str = "v1=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn one_fitting_signature_of_several_is_enough() {
        let secret = Secret::new(SECRET);
        assert_eq!(verify(&secret, GOOD, TEXT), Ok(()));
        assert_eq!(verify(&secret, &format!("v1={},{GOOD}", "0".repeat(64)), TEXT), Ok(()));
        assert_eq!(verify(&secret, &format!("v2=ff, {GOOD}"), TEXT), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        let secret = Secret::new(SECRET);
        for header in ["", "v2=ff", &GOOD[3..]] {
            assert_eq!(verify(&secret, header, TEXT), Err(Rejected::Unsigned), "{header}");
        }
        for header in ["v1=", "v1=5bd", "v1=zz", &GOOD[..65], &format!("{GOOD}00")] {
            assert_eq!(verify(&secret, header, TEXT), Err(Rejected::Forged), "{header}");
        }
        assert_eq!(verify(&secret, GOOD, b"what do ya want for something?"), Err(Rejected::Forged));
        assert_eq!(verify(&Secret::new("jefe"), GOOD, TEXT), Err(Rejected::Forged));
    }

    #[test]
    fn who_acknowledged_which_page_is_read() {
        let happened = parse(BODY).unwrap().unwrap();
        assert_eq!((happened.what, happened.key.as_deref()), (What::Acknowledged, Some("RB-42/1")));
        let agent = happened.agent.unwrap();
        assert_eq!((agent.name.as_str(), agent.person), ("Tenex Engineer", true));
    }

    #[test]
    fn absent_agents_and_keys_and_other_events_are_no_errors() {
        let resolved = br#"{"event":{"id":"E2","event_type":"incident.resolved","agent":null,"data":{}}}"#;
        let happened = parse(resolved).unwrap().unwrap();
        assert_eq!((happened.what, happened.key, happened.agent), (What::Resolved, None, None));
        assert_eq!((happened.incident, happened.title), (None, None));
        let keyless = br#"{"event":{"id":"E4","event_type":"incident.acknowledged","agent":null,
            "data":{"id":"PGR0VU2","incident_key":null,"title":"checkout [lg-7f3k9q2x4mhd]"}}}"#;
        let happened = parse(keyless).unwrap().unwrap();
        assert_eq!((happened.key, happened.incident.as_deref()), (None, Some("PGR0VU2")));
        assert_eq!(happened.title.as_deref(), Some("checkout [lg-7f3k9q2x4mhd]"));
        assert_eq!(parse(br#"{"event":{"id":"E3","event_type":"service.updated","agent":null}}"#), Ok(None));
        assert!(parse(b"{}").is_err());
    }
}
