//! Probes over plain HTTP. Each asks once, without retries and without following redirects: what the answer means for a
//! rollback is decided elsewhere.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use lastgood_core::Digest;
use serde::Deserialize;

use super::{Health, Version};
use crate::{
    Fault,
    client::{Address, BuildError, ask, limit, quote},
    duration::Span,
};

/// What a probe may take unless configured otherwise.
pub const LIMIT: Duration = Duration::from_secs(2);
/// Bytes read of an answer; a larger one is no health or version endpoint.
const MOST: usize = 256 * 1024;

/// `{ url, status = [200], contains = "ok", timeout = "2s" }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    pub url: Address,
    /// The statuses that mean healthy. Any 2xx, when it is left out.
    pub status: Option<Vec<u16>>,
    /// What the body has to contain.
    pub contains: Option<String>,
    /// For the whole exchange; 2 s unless given.
    pub timeout: Option<Span>,
}

impl HealthConfig {
    /// # Errors
    /// A status that is none, an empty list of statuses, an empty `contains`, a time limit of zero.
    pub fn build(&self, http: reqwest::Client) -> Result<HttpHealth, BuildError> {
        if let Some(bad) = self.status.iter().flatten().find(|status| !(100..600).contains(*status)) {
            return Err(BuildError::invalid("status", format!("{bad} is no HTTP status")));
        }
        if self.status.as_ref().is_some_and(Vec::is_empty) {
            return Err(BuildError::invalid("status", "an empty list means that nothing is healthy"));
        }
        if self.contains.as_deref() == Some("") {
            return Err(BuildError::invalid("contains", "an empty text is in every answer"));
        }
        let limit = limit(self.timeout, LIMIT)?;
        Ok(HttpHealth { name: self.url.to_string(), config: self.clone(), limit, http })
    }
}

/// A health endpoint that is asked over HTTP.
#[derive(Debug)]
pub struct HttpHealth {
    name: String,
    config: HealthConfig,
    limit: Duration,
    http: reqwest::Client,
}

#[async_trait]
impl Health for HttpHealth {
    fn name(&self) -> &str {
        &self.name
    }

    async fn probe(&self) -> Result<String, Fault> {
        let start = Instant::now();
        let request = self.http.get(self.config.url.url().clone());
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(&self.name))?;
        let status = answer.status;
        let good = match &self.config.status {
            Some(statuses) => statuses.contains(&status.as_u16()),
            None => status.is_success(),
        };
        if !good {
            let said = quote(&answer.text(), &[]);
            return Err(Fault::Invalid(format!("{}: {} {said}", self.name, status.as_u16())));
        }
        if let Some(wanted) = &self.config.contains
            && !answer.text().contains(wanted)
        {
            let status = status.as_u16();
            return Err(Fault::Invalid(format!("{}: {status}, but without {wanted:?}", self.name)));
        }
        Ok(format!("{} in {} ms", status.as_u16(), start.elapsed().as_millis()))
    }
}

/// `{ url, json_pointer = "/digest", timeout = "2s" }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionConfig {
    pub url: Address,
    /// Where in the JSON answer the digest is (RFC 6901): `/digest`, `/image/digest`.
    pub json_pointer: String,
    /// For the whole exchange; 2 s unless given.
    pub timeout: Option<Span>,
}

impl VersionConfig {
    /// # Errors
    /// A pointer that is neither empty nor starts with `/`, a time limit of zero.
    pub fn build(&self, http: reqwest::Client) -> Result<HttpVersion, BuildError> {
        if !self.json_pointer.is_empty() && !self.json_pointer.starts_with('/') {
            let why = format!("starts with a slash: \"/{}\"", self.json_pointer);
            return Err(BuildError::invalid("json_pointer", why));
        }
        Ok(HttpVersion { config: self.clone(), limit: limit(self.timeout, LIMIT)?, http })
    }
}

/// A version endpoint that is asked over HTTP.
#[derive(Debug)]
pub struct HttpVersion {
    config: VersionConfig,
    limit: Duration,
    http: reqwest::Client,
}

#[async_trait]
impl Version for HttpVersion {
    async fn running(&self) -> Result<Digest, Fault> {
        let VersionConfig { url, json_pointer, .. } = &self.config;
        let request = self.http.get(url.url().clone()).header(http::header::ACCEPT, "application/json");
        let name = url.to_string();
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(&name))?;
        if answer.status.is_server_error() {
            return Err(Fault::Unavailable(format!("{name}: {}", answer.status)));
        }
        if !answer.status.is_success() {
            return Err(Fault::Invalid(format!("{name}: {}", answer.status)));
        }
        let json: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|_| Fault::Invalid(format!("{name}: the answer is no JSON")))?;
        match json.pointer(json_pointer) {
            Some(serde_json::Value::String(digest)) => {
                let digest = digest.trim().parse();
                digest.map_err(|error| Fault::Invalid(format!("{name}: at {json_pointer:?}: {error}")))
            }
            Some(_) => Err(Fault::Invalid(format!("{name}: what is at {json_pointer:?} is no text"))),
            None => Err(Fault::Invalid(format!("{name}: the answer has nothing at {json_pointer:?}"))),
        }
    }
}
