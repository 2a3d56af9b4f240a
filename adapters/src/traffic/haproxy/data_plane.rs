//! HAProxy's Data Plane API, version 3, as far as keeping a shift goes: a map's entry with `force_sync`, and the weights of a
//! backend's servers in one transaction on the configuration.
//!
//! <https://www.haproxy.com/documentation/haproxy-data-plane-api/>; the paths and the meaning of `version` (409 when somebody
//! else changed the configuration) are those of its specification.

use std::{path::Path, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::config::Switch;
use crate::{
    BuildError, Fault, Secret,
    client::{Address, Answer, ask, quote},
    secret::Source,
};

const MOST: usize = 4 << 20;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub url: Address,
    pub username: String,
    pub password: Source,
}

#[derive(Debug, Clone)]
pub(super) struct DataPlane {
    url: Address,
    username: String,
    password: Secret,
    http: reqwest::Client,
    limit: Duration,
}

#[derive(Deserialize)]
struct Entry {
    value: String,
}

#[derive(Deserialize)]
struct Transaction {
    id: String,
}

/// A part of a path: names come from the configuration and may hold anything.
fn part(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

impl DataPlane {
    pub fn new(config: &Config, http: &reqwest::Client, limit: Duration) -> Result<Self, BuildError> {
        let password = BuildError::read("persist", &config.password)?;
        let (url, username) = (config.url.clone(), config.username.clone());
        Ok(Self { url, username, password, http: http.clone(), limit })
    }

    async fn call(
        &self,
        method: http::Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Fault> {
        let what = format!("{} {path}", self.url);
        let changes = method != http::Method::GET;
        let mut url = self.url.url().clone();
        url.set_path(&format!("{}/v3/services/haproxy/{path}", url.path().trim_end_matches('/')));
        let mut request = self.http.request(method, url).query(query);
        request = request.basic_auth(&self.username, Some(self.password.reveal()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| match changes {
            true => lost.of_change(&what),
            false => lost.of_question(&what),
        })?;
        let said = || format!("{what}: {}", quote(&answer.text(), &[&self.password]));
        match answer.status.as_u16() {
            200..=299 => Ok(answer),
            404 => Err(Fault::NotFound(said())),
            409 => Err(Fault::Conflict(said())),
            _ => Err(answer.fault(said())),
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, answer: &Answer) -> Result<T, Fault> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            Fault::Invalid(format!("{}: not what the Data Plane API answers: {error}", self.url))
        })
    }

    /// It names maps by their file's name.
    fn entry_path(switch: &Switch) -> String {
        let file = Path::new(&switch.map).file_name().unwrap_or_default().to_string_lossy();
        format!("runtime/maps/{}/entries/{}", part(&file), part(&switch.key))
    }

    pub async fn entry(&self, switch: &Switch) -> Result<Option<String>, Fault> {
        match self.call(http::Method::GET, &Self::entry_path(switch), &[], None).await {
            Ok(answer) => Ok(Some(self.read::<Entry>(&answer)?.value)),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub async fn set_entry(&self, switch: &Switch, backend: &str) -> Result<(), Fault> {
        let body = json!({"value": backend});
        self.call(http::Method::PUT, &Self::entry_path(switch), &[("force_sync", "true")], Some(&body))
            .await
            .map(drop)
    }

    async fn servers(&self, backend: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, Fault> {
        let path = format!("configuration/backends/{}/servers", part(backend));
        self.read(&self.call(http::Method::GET, &path, query, None).await?)
    }

    /// The first server whose kept weight is another one. HAProxy takes 1 where none is given.
    pub async fn differing(
        &self,
        backend: &str,
        running: &[(String, u32, u32)],
    ) -> Result<Option<String>, Fault> {
        let kept = self.servers(backend, &[]).await?;
        let differs = |(name, weight, _): &&(String, u32, u32)| {
            let of = kept.iter().find(|server| server.get("name").and_then(Value::as_str) == Some(name));
            of.is_none_or(|of| of.get("weight").and_then(Value::as_u64).unwrap_or(1) != u64::from(*weight))
        };
        Ok(running.iter().find(differs).map(|(name, ..)| name.clone()))
    }

    pub async fn set_weights(&self, backend: &str, running: &[(String, u32, u32)]) -> Result<(), Fault> {
        if self.differing(backend, running).await?.is_none() {
            return Ok(());
        }
        let version = self.call(http::Method::GET, "configuration/version", &[], None).await?;
        let version = version.text().trim().to_owned();
        let begun = self.call(http::Method::POST, "transactions", &[("version", &version)], None).await?;
        let Transaction { id } = self.read(&begun)?;
        let work = self.in_transaction(&id, backend, running).await;
        if work.is_err() {
            let path = format!("transactions/{}", part(&id));
            if let Err(fault) = self.call(http::Method::DELETE, &path, &[], None).await {
                tracing::warn!(%fault, "a transaction of the Data Plane API is left open");
            }
        }
        work
    }

    async fn in_transaction(
        &self,
        id: &str,
        backend: &str,
        running: &[(String, u32, u32)],
    ) -> Result<(), Fault> {
        let within = [("transaction_id", id)];
        for mut server in self.servers(backend, &within).await? {
            let name = server.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let Some((_, weight, _)) = running.iter().find(|(known, ..)| *known == name) else { continue };
            if server.get("weight").and_then(Value::as_u64) == Some(u64::from(*weight)) {
                continue;
            }
            if let Some(fields) = server.as_object_mut() {
                fields.insert("weight".to_owned(), json!(weight));
            }
            let path = format!("configuration/backends/{}/servers/{}", part(backend), part(&name));
            self.call(http::Method::PUT, &path, &within, Some(&server)).await?;
        }
        self.call(http::Method::PUT, &format!("transactions/{}", part(id)), &[], None).await.map(drop)
    }
}
