//! Pages through PagerDuty's Events API v2: `POST /v2/enqueue` (PagerDuty's developer documentation, Events API v2, Send
//! an Alert Event). It deduplicates by `dedup_key` while the alert is open, so a page whose answer was lost is sent again.
//! A trigger for an open alert is a line in its log, and rings nobody: calling again, and calling the next person, is what
//! the service's escalation policy does, until somebody acknowledges. A trigger after the alert was resolved opens an incident.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use serde::{
    Deserialize, Serialize, Serializer,
    ser::{Error, SerializeMap},
};
use sha2::{Digest as _, Sha256};

use super::{Call, Pager, pagerduty_rest::Rest};
use crate::{
    Check, Fault, Secret,
    client::{Address, Answer, BuildError, ask, limit, quote},
    duration::Span,
    secret::Source,
};

/// What one event may take unless configured otherwise.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Where events go, for accounts in the US service region. In Europe: `https://events.eu.pagerduty.com`.
pub const URL: &str = "https://events.pagerduty.com";
const EUROPE: &str = "events.eu.pagerduty.com";
/// Characters, as documented for `dedup_key` and `payload.summary`.
const KEY: usize = 255;
const SUMMARY: usize = 1024;
/// Not documented: generous, and together far from the 512 KB that an event may have.
const FIELD: usize = 1024;
const DETAILS: usize = 50;
const MOST: usize = 64 * 1024;

/// `{ routing_key = { env = "PD_ROUTING_KEY" } }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The 32 character integration key of a service's "Events API V2" integration.
    pub routing_key: Source,
    /// Without the path; `https://events.pagerduty.com` unless given.
    pub url: Option<Address>,
    /// For one event; 10 s unless given.
    pub timeout: Option<Span>,
    /// A read-only key of the REST API: for incidents that can't be told by key or tag, and for `lastgood check`.
    pub api_token: Option<Source>,
    /// The REST API's address, without the path; PagerDuty's in the region of `url` unless given.
    pub api_url: Option<Address>,
}

impl Config {
    /// # Errors
    /// A routing key that can't be read, a time limit of zero.
    pub fn build(&self, http: reqwest::Client) -> Result<PagerDuty, BuildError> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => Address::try_from(URL.to_owned())
                .map_err(|why| BuildError::invalid("url", why.to_string()))?,
        };
        let routing_key = BuildError::read("routing_key", &self.routing_key)?;
        let limit = limit(self.timeout, LIMIT)?;
        let rest = self.rest(&url, limit, &http)?;
        Ok(PagerDuty { url, routing_key, limit, http, rest })
    }

    fn rest(
        &self,
        events: &Address,
        limit: Duration,
        http: &reqwest::Client,
    ) -> Result<Option<Rest>, BuildError> {
        let Some(token) = &self.api_token else {
            return match self.api_url {
                None => Ok(None),
                Some(_) => Err(BuildError::invalid(
                    "api_url",
                    "it is used with api_token only: set that, too, or leave this out",
                )),
            };
        };
        let url = match &self.api_url {
            Some(url) => url.clone(),
            None => {
                let europe = events.url().host_str().is_some_and(|host| host == EUROPE);
                let url = if europe { "https://api.eu.pagerduty.com" } else { "https://api.pagerduty.com" };
                Address::try_from(url.to_owned())
                    .map_err(|why| BuildError::invalid("api_url", why.to_string()))?
            }
        };
        let token = BuildError::read("api_token", token)?;
        Ok(Some(Rest { url, token, limit, http: http.clone() }))
    }
}

/// One PagerDuty integration.
#[derive(Debug)]
pub struct PagerDuty {
    url: Address,
    routing_key: Secret,
    limit: Duration,
    http: reqwest::Client,
    rest: Option<Rest>,
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'a>>,
}

#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: String,
    severity: &'static str,
    component: String,
    #[serde(serialize_with = "in_reading_order")]
    custom_details: &'a [(String, String)],
}

#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
    text: &'static str,
}

/// An object whose members keep their order. A name that comes twice would hide a value: it gets a number.
fn in_reading_order<S: Serializer>(details: &&[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    let mut used = BTreeSet::new();
    let mut map = to.serialize_map(None)?;
    for (name, value) in details.iter().take(DETAILS) {
        let name = cut(name, FIELD);
        let mut numbers = 2..;
        let mut unique = name.clone();
        while !used.insert(unique.clone()) {
            let number = numbers.next().ok_or_else(|| S::Error::custom("too many equal names"))?;
            unique = format!("{name} ({number})");
        }
        map.serialize_entry(&unique, &cut(value, FIELD))?;
    }
    map.end()
}

/// At most `most` characters, the last one an ellipsis where something is missing.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A required text, which must not be empty.
fn filled(text: &str, most: usize) -> String {
    if text.trim().is_empty() { "lastgood".to_owned() } else { cut(text, most) }
}

/// The summary with the page's tag at its end, which is never what is cut off.
fn summary(call: &Call) -> String {
    if call.tag.is_empty() {
        return filled(&call.summary, SUMMARY);
    }
    let tag = format!(" [{}]", call.tag);
    let left = SUMMARY.saturating_sub(tag.chars().count());
    filled(&call.summary, left) + &tag
}

/// The `dedup_key` that `key` is sent as, and that webhooks come back with. One too long keeps its beginning, and its
/// hash: cut plainly, two keys could become one, and the second page would not ring.
pub fn dedup_key(key: &str) -> String {
    if key.chars().count() <= KEY {
        return key.to_owned();
    }
    let hash: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    let start: String = key.chars().take(KEY - 1 - hash.len()).collect();
    format!("{start}:{hash}")
}

/// What the API answers: `success`, or `invalid event` with the list of what is wrong.
#[derive(Deserialize, Default)]
struct Reply {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<String>,
}

impl PagerDuty {
    async fn send(&self, event: &Event<'_>) -> Result<(), Fault> {
        let asked = format!("pagerduty {}: {} {:?}", self.url, event.event_action, event.dedup_key);
        let request = self.http.post(self.url.join("v2/enqueue")).json(event);
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_change(&asked))?;
        self.judge(&asked, &answer)
    }

    fn judge(&self, asked: &str, answer: &Answer) -> Result<(), Fault> {
        let reply: Option<Reply> = serde_json::from_slice(&answer.body).ok();
        let secrets = [&self.routing_key];
        match (answer.status.as_u16(), reply) {
            (202, Some(reply)) if reply.status == "success" => Ok(()),
            // Something between us and PagerDuty may answer so. Sending again is safe, believing it is not.
            (202, _) => Err(Fault::Unknown(format!("{asked}: accepted, but not in PagerDuty's words"))),
            (200..=299, _) => Err(Fault::Invalid(format!(
                "{asked}: answered {}, where PagerDuty answers 202: is the address right?",
                answer.status
            ))),
            (_, Some(reply)) => {
                let list = quote(&reply.errors.join("; "), &secrets);
                let message = quote(&reply.message, &secrets);
                Err(answer.fault(format!("{asked}: {message}: {list}")))
            }
            (_, None) => Err(answer.fault(format!("{asked}: {}", quote(&answer.text(), &secrets)))),
        }
    }

    /// About the alert with this key, and nothing more.
    fn event(&self, action: &'static str, key: &str) -> Event<'_> {
        Event {
            routing_key: self.routing_key.reveal(),
            event_action: action,
            dedup_key: dedup_key(key),
            payload: None,
            client: None,
            client_url: None,
            links: vec![],
        }
    }
}

#[async_trait]
impl Pager for PagerDuty {
    async fn page(&self, call: &Call) -> Result<(), Fault> {
        let link = call.link.as_deref();
        let event = Event {
            payload: Some(Payload {
                summary: summary(call),
                source: filled(&call.source, FIELD),
                severity: "critical",
                component: filled(&call.component, FIELD),
                custom_details: &call.details,
            }),
            client: Some("lastgood"),
            client_url: link,
            links: link.map(|href| Link { href, text: "Act in the incident thread" }).into_iter().collect(),
            ..self.event("trigger", &call.key)
        };
        self.send(&event).await
    }

    async fn acknowledge(&self, key: &str) -> Result<(), Fault> {
        self.send(&self.event("acknowledge", key)).await
    }

    async fn resolve(&self, key: &str) -> Result<(), Fault> {
        self.send(&self.event("resolve", key)).await
    }

    async fn keys_of(&self, incident: &str) -> Result<Option<Vec<String>>, Fault> {
        match &self.rest {
            Some(rest) => rest.alert_keys(incident).await.map(Some),
            None => Ok(None),
        }
    }

    /// Sends a `resolve` for a key that is never triggered: documented to be dropped, so it rings nobody, but only a
    /// routing key that PagerDuty knows is accepted.
    async fn check(&self) -> Vec<Check> {
        let key = self.routing_key.reveal();
        let shape = format!("pagerduty {}: routing key", self.url);
        if key.len() != 32 || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            let seen = format!("{} characters, or others than letters and digits", key.chars().count());
            let advice =
                "use the 32 character integration key of an \"Events API V2\" integration of the service";
            return vec![Check::bad(shape, seen, advice)];
        }
        let what = format!("pagerduty {}: send events", self.url);
        let mut checks = vec![match self.resolve("lastgood-check-never-triggered").await {
            Ok(()) => Check::good(what, "accepted the resolve of a key that never rang: nobody was called"),
            Err(fault @ Fault::Invalid(_)) => {
                let advice =
                    "copy the integration key again from PagerDuty: Services, Integrations, Events API V2";
                Check::bad(what, fault.to_string(), advice)
            }
            Err(fault) if fault.passes() => {
                let advice =
                    "is the address reachable from here? Pages are retried, but can't get through now";
                Check::bad(what, fault.to_string(), advice)
            }
            Err(fault) => Check::bad(what, fault.to_string(), "does a proxy on the way want credentials?"),
        }];
        if let Some(rest) = &self.rest {
            checks.extend(rest.check_service(&self.routing_key).await);
        }
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_stay_apart_and_stay_the_same() {
        assert_eq!(dedup_key("RB-42/1"), "RB-42/1");
        let (one, two) = (format!("{}1", "ä".repeat(300)), format!("{}2", "ä".repeat(300)));
        assert_eq!(dedup_key(&one).chars().count(), KEY);
        assert_ne!(dedup_key(&one), dedup_key(&two));
        assert_eq!(dedup_key(&one), dedup_key(&one));
    }

    #[test]
    fn details_keep_their_order_and_lose_no_value() {
        #[derive(Serialize)]
        struct Just<'a>(#[serde(serialize_with = "in_reading_order")] &'a [(String, String)]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let details = [pair("tried", "v2"), pair("live", "v3"), pair("tried", "v1")];
        let json = serde_json::to_string(&Just(&details)).unwrap();
        assert_eq!(json, r#"{"tried":"v2","live":"v3","tried (2)":"v1"}"#);
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(filled(" ", 10), "lastgood");
    }
}
