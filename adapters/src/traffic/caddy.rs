//! Blue/green and canary through Caddy's administration interface: the weights of a `reverse_proxy` that chooses by
//! `weighted_round_robin` (2.7 and later), or else its list of upstreams. Every write names the version that was read
//! (`If-Match`), so that two writers can't lose each other's change.
//!
//! Protocol: <https://caddyserver.com/docs/api> (`/id/…`, `Etag`, `If-Match`),
//! <https://caddyserver.com/docs/json/apps/http/servers/routes/handle/reverse_proxy/>.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use lastgood_core::{Shares, Strategy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    CALL_LIMIT, Section, Shifter, addresses,
    dial::dial,
    fleet::{Caution, Fleet, Pool, Reading, Vendor, Wrote},
    no_pods,
    shares::{percent, weights},
    two_pools, worst,
};
use crate::{
    BuildError, Fault,
    client::{Address, Answer, ask, limit, quote},
    duration::Span,
};

const MOST: usize = 4 << 20;

/// ```toml
/// instances = ["http://127.0.0.1:2019"]
/// id = "checkout"
/// pools = { blue = ["10.0.0.5:8080"], green = ["10.0.0.6:8080"] }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The administration interface of every Caddy that routes the service.
    pub instances: Vec<Address>,
    /// The `@id` of its `reverse_proxy` handler.
    pub id: String,
    /// Pool → its upstreams' addresses (`dial`).
    pub pools: BTreeMap<String, Vec<String>>,
    /// What one call may take in all; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

pub struct Caddy {
    config: Config,
    names: Vec<String>,
    http: reqwest::Client,
    limit: Duration,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        no_pods("caddy", strategy)
    }

    fn build(&self, _: &str, http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        let joined = self.pools.iter().map(|(pool, members)| (pool.clone(), members.join(" "))).collect();
        two_pools(&joined)?;
        addresses(&self.instances)?;
        if self.id.is_empty() || self.id.contains('/') {
            return Err(BuildError::invalid("id", "give the @id of the reverse_proxy handler"));
        }
        let limit = limit(self.timeout, CALL_LIMIT)?;
        let names = self.instances.iter().map(ToString::to_string).collect();
        let caddy = Caddy { config: self.clone(), names, http: http.clone(), limit };
        Ok(Arc::new(Fleet::new(caddy, limit)))
    }
}

/// The handler, as far as it matters here. What is written back keeps everything else.
#[derive(Debug, Deserialize)]
struct Handler {
    #[serde(default)]
    handler: String,
    #[serde(default)]
    upstreams: Vec<Value>,
    #[serde(default)]
    load_balancing: Balancing,
    #[serde(default)]
    dynamic_upstreams: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Balancing {
    selection_policy: Option<Policy>,
}

#[derive(Debug, Deserialize)]
struct Policy {
    policy: String,
    #[serde(default)]
    weights: Vec<u64>,
}

impl Handler {
    fn weighted(&self) -> Option<&Policy> {
        let policy = self.load_balancing.selection_policy.as_ref()?;
        (policy.policy == "weighted_round_robin").then_some(policy)
    }

    /// Address and weight of every upstream, in Caddy's order. Missing weights are 0 there.
    fn weights(&self) -> Vec<(&str, u64)> {
        let weight = |at: usize| match self.weighted() {
            Some(policy) => policy.weights.get(at).copied().unwrap_or(0),
            None => 1,
        };
        self.upstreams
            .iter()
            .enumerate()
            .map(|(at, of)| (of.get("dial").and_then(Value::as_str).unwrap_or_default(), weight(at)))
            .collect()
    }
}

impl Caddy {
    fn at(&self, instance: &str, path: &str) -> Result<url::Url, Fault> {
        let at = self.config.instances.iter().find(|address| address.to_string() == instance);
        let at = at.ok_or_else(|| Fault::NotFound(format!("no instance {instance}")))?;
        Ok(at.join(&format!("id/{}{path}", self.config.id)))
    }

    /// The handler, and the version of it that was read: a header, or a trailer (2.6).
    async fn handler(&self, instance: &str) -> Result<(Handler, String), Fault> {
        let what = format!("{instance} /id/{}", self.config.id);
        let request = self.http.get(self.at(instance, "")?);
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(&what))?;
        if !answer.status.is_success() {
            return Err(said(&what, &answer));
        }
        let nonsense = |why: String| Fault::Invalid(format!("{what}: {why}"));
        let handler: Handler = serde_json::from_slice(&answer.body)
            .map_err(|error| nonsense(format!("not a handler: {error}")))?;
        if handler.handler != "reverse_proxy" {
            return Err(nonsense(format!("it is a {:?}, not a reverse_proxy", handler.handler)));
        }
        let tag =
            answer.headers.get(::http::header::ETAG).or_else(|| answer.trailers.get(::http::header::ETAG));
        let tag = tag.and_then(|tag| tag.to_str().ok()).ok_or_else(|| {
            nonsense(
                "no ETag: without it, two writers could lose each other's change; use Caddy 2.6 or later"
                    .into(),
            )
        })?;
        Ok((handler, tag.to_owned()))
    }

    fn pool_of(&self, dial: &str) -> Option<&String> {
        self.config.pools.iter().find(|(_, members)| members.iter().any(|m| m == dial)).map(|(pool, _)| pool)
    }

    /// The new weights, or the new upstreams: path and body.
    fn change(&self, handler: &Handler, wanted: &Shares) -> Result<(&'static str, Value), Fault> {
        if handler.weighted().is_some() {
            let each = weights(&self.config.pools, wanted);
            let weights: Vec<u64> =
                handler.weights().iter().map(|(dial, _)| each.get(dial).copied().unwrap_or(0)).collect();
            return Ok(("/load_balancing/selection_policy/weights", json!(weights)));
        }
        let Some((target, _)) = wanted.iter().find(|(_, share)| **share == 100) else {
            return Err(Fault::Invalid(format!(
                "{} does not choose by weight, so it can't split traffic: give it the selection policy \
                 weighted_round_robin (Caddy 2.7 or later)",
                self.config.id
            )));
        };
        // What is known of an upstream that stays is kept.
        let upstream = |dial: &String| {
            let known =
                handler.upstreams.iter().find(|of| of.get("dial").and_then(Value::as_str) == Some(dial));
            known.cloned().unwrap_or_else(|| json!({ "dial": dial }))
        };
        let members = self.config.pools.get(target).map(Vec::as_slice).unwrap_or_default();
        Ok(("/upstreams", members.iter().map(upstream).collect()))
    }

    async fn tell(&self, instance: &str, tag: &str, wanted: &Shares, wrote: &Wrote) -> Result<(), Fault> {
        let (handler, now) = self.handler(instance).await?;
        if now != tag {
            return Err(Fault::Conflict(format!(
                "{instance}: its configuration was changed since it was read"
            )));
        }
        let (path, body) = self.change(&handler, wanted)?;
        let what = format!("{instance} /id/{}{path}", self.config.id);
        let request =
            self.http.patch(self.at(instance, path)?).header(::http::header::IF_MATCH, tag).json(&body);
        wrote.begins();
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_change(&what))?;
        if answer.status.is_success() { Ok(()) } else { Err(said(&what, &answer)) }
    }
}

/// Caddy answers 500 when it refuses a configuration, and goes on with the one that it has.
fn said(what: &str, answer: &Answer) -> Fault {
    let detail = format!("{what}: {}", quote(&answer.text(), &[]));
    match answer.status.as_u16() {
        404 => Fault::NotFound(detail),
        412 => Fault::Conflict(detail),
        400 | 500 if answer.text().contains("unknown object ID") => Fault::NotFound(detail),
        400 | 500 if answer.text().contains("\"error\"") => Fault::Invalid(detail),
        _ => answer.fault(detail),
    }
}

#[async_trait]
impl Vendor for Caddy {
    const NAME: &'static str = "caddy";

    fn instances(&self) -> &[String] {
        &self.names
    }

    fn pools(&self) -> Vec<&str> {
        Section::pools(&self.config)
    }

    async fn read(&self, instance: &str) -> Result<Reading, Fault> {
        let (handler, revision) = self.handler(instance).await?;
        let mut sums: BTreeMap<String, u64> =
            self.config.pools.keys().map(|pool| (pool.clone(), 0)).collect();
        let mut strange = Vec::new();
        let weights = handler.weights();
        for (dial, weight) in &weights {
            match self.pool_of(dial) {
                Some(pool) => *sums.entry(pool.clone()).or_default() += weight,
                None if *weight > 0 => {
                    strange.push(format!("upstream {dial} carries traffic and is in no pool"))
                }
                None => {}
            }
        }
        if handler.dynamic_upstreams.is_some() {
            strange.push(format!("{} finds upstreams by itself (dynamic_upstreams)", self.config.id));
        }
        let by_weight = handler.weighted().is_some();
        let each = self.config.pools.iter().map(|(pool, members)| {
            let absent: Vec<_> = members
                .iter()
                .filter(|m| !weights.iter().any(|(dial, _)| dial == m))
                .map(String::as_str)
                .collect();
            // Where upstreams are replaced, those of an idle pool are not there, and need not be.
            let missing = (by_weight && !absent.is_empty())
                .then(|| format!("{} has no upstream {}", self.config.id, absent.join(", ")));
            async move {
                let (alive, unchecked) = dial(members).await;
                let all = u32::try_from(members.len()).unwrap_or(u32::MAX);
                (pool.clone(), Pool { alive, all, missing, unchecked })
            }
        });
        Ok(Reading {
            router: if by_weight { "Caddy, by weight" } else { "Caddy, by upstreams" }.to_owned(),
            pools: join_all(each).await.into_iter().collect(),
            shares: percent(sums),
            strange,
            coming: None,
            cautions: vec![Caution::new(
                "a reload of the Caddyfile, or a restart without --resume, forgets the shift",
                "after a shift, change the configuration file as well; or run Caddy with --resume and load no file",
            )],
            revision,
            ..Reading::default()
        })
    }

    async fn dry_run(&self, instance: &str, _: &Reading, wanted: &Shares) -> Result<Vec<String>, Fault> {
        let (handler, _) = self.handler(instance).await?;
        self.change(&handler, wanted).map(|_| Vec::new())
    }

    async fn write(&self, to: &[(&str, &Reading)], wanted: &Shares, wrote: &Wrote) -> Result<(), Fault> {
        let each = to.iter().map(|(instance, now)| self.tell(instance, &now.revision, wanted, wrote));
        worst(join_all(each).await.into_iter().filter_map(Result::err))
    }

    fn remedy(&self, fault: &Fault) -> &'static str {
        match fault {
            Fault::NotFound(_) => "give the reverse_proxy handler an \"@id\", and name it in id",
            Fault::Denied(_) => "admin.origins there must allow the address by which lastgood asks",
            Fault::Unavailable(_) => {
                "is that the address of Caddy's administration interface, reachable from here?"
            }
            _ => "see the handler at /id/… there",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caddy() -> Caddy {
        let config = serde_json::from_value(json!({
            "instances": ["http://127.0.0.1:2019"], "id": "checkout",
            "pools": {"blue": ["a:1", "b:1"], "green": ["c:1"]},
        }))
        .unwrap();
        Caddy { config, names: vec![], http: crate::client::client().unwrap(), limit: CALL_LIMIT }
    }

    fn shares(blue: u8) -> Shares {
        [("blue".to_owned(), blue), ("green".to_owned(), 100 - blue)].into()
    }

    #[test]
    fn weights_follow_the_order_of_upstreams() {
        let handler: Handler = serde_json::from_value(json!({
            "handler": "reverse_proxy",
            "load_balancing": {"selection_policy": {"policy": "weighted_round_robin", "weights": [1, 0]}},
            "upstreams": [{"dial": "c:1"}, {"dial": "a:1"}, {"dial": "b:1"}, {"dial": "x:1"}],
        }))
        .unwrap();
        assert_eq!(handler.weights(), [("c:1", 1), ("a:1", 0), ("b:1", 0), ("x:1", 0)]);
        let (path, body) = caddy().change(&handler, &shares(90)).unwrap();
        assert_eq!((path, body), ("/load_balancing/selection_policy/weights", json!([2, 9, 9, 0])));
    }

    #[test]
    fn without_weights_upstreams_are_replaced_and_can_not_be_split() {
        let handler: Handler = serde_json::from_value(json!({
            "handler": "reverse_proxy", "upstreams": [{"dial": "a:1", "max_requests": 7}],
        }))
        .unwrap();
        let (path, body) = caddy().change(&handler, &shares(100)).unwrap();
        assert_eq!(
            (path, body),
            ("/upstreams", json!([{"dial": "a:1", "max_requests": 7}, {"dial": "b:1"}]))
        );
        assert!(matches!(caddy().change(&handler, &shares(90)), Err(Fault::Invalid(_))));
    }
}
