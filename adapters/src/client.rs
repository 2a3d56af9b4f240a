//! HTTP to the outside, the same for every adapter: one client per process, a time limit and a size limit on every
//! request, and errors that never repeat a secret.
//!
//! Redirects are not followed (reqwest decides that per client, not per request): a health check that is redirected to a
//! login page is not healthy, and a request with credentials goes where the configuration says or nowhere.

use std::{fmt, sync::Once, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use reqwest::{RequestBuilder, redirect::Policy};
use serde::Deserialize;
use url::Url;

use crate::{Fault, Secret, duration::Span, secret};

/// How long a TCP and TLS connection may take to come about.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How the process names itself to others.
pub const USER_AGENT: &str = concat!("lastgood/", env!("CARGO_PKG_VERSION"));
/// Foreign text in an error is cut to this many characters.
const QUOTE: usize = 300;

/// Why an adapter can't be made from its configuration. Names the key; never says what a secret holds.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{key}: {why}")]
    Secret { key: &'static str, why: secret::Missing },
    #[error("{key}: {why}")]
    Invalid { key: &'static str, why: String },
    #[error("no HTTP client: {0}")]
    Client(String),
}

impl BuildError {
    pub(crate) fn invalid(key: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { key, why: why.into() }
    }

    /// Reads a secret, naming the key that wants it.
    pub(crate) fn read(key: &'static str, from: &secret::Source) -> Result<Secret, Self> {
        from.read().map_err(|why| Self::Secret { key, why })
    }
}

/// Chooses ring for TLS, once. Without a provider, building any client panics; two different ones panic as well.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    // An error says that somebody installed one before: then that one serves.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// The process's client, to be cloned into every adapter. It honours the usual proxy variables.
///
/// # Errors
/// When the system's certificates can't be used.
pub fn client() -> Result<reqwest::Client, BuildError> {
    install_tls();
    let builder = reqwest::Client::builder().user_agent(USER_AGENT).connect_timeout(CONNECT_LIMIT);
    builder.redirect(Policy::none()).build().map_err(|error| BuildError::Client(cause(error)))
}

/// A client that takes any certificate: for asking this machine's own server, whose certificate has its public name, whether it is
/// there. Nothing secret goes through it.
///
/// # Errors
/// As `client`.
pub fn of_whoever_answers() -> Result<reqwest::Client, BuildError> {
    install_tls();
    let builder = reqwest::Client::builder().user_agent(USER_AGENT).connect_timeout(CONNECT_LIMIT);
    let builder = builder.redirect(Policy::none()).tls_danger_accept_invalid_certs(true).no_proxy();
    builder.build().map_err(|error| BuildError::Client(cause(error)))
}

/// A client that gives every request a connection of its own, for what is asked of whoever accepts connections now.
///
/// # Errors
/// As `client`.
pub(crate) fn without_keeping() -> Result<reqwest::Client, BuildError> {
    install_tls();
    let builder = reqwest::Client::builder().user_agent(USER_AGENT).connect_timeout(CONNECT_LIMIT);
    let builder = builder.redirect(Policy::none()).pool_max_idle_per_host(0);
    builder.build().map_err(|error| BuildError::Client(cause(error)))
}

/// A time limit, or its default.
pub(crate) fn limit(given: Option<Span>, default: Duration) -> Result<Duration, BuildError> {
    match given.map_or(default, |span| span.0) {
        Duration::ZERO => Err(BuildError::invalid("timeout", "nothing answers in no time")),
        limit => Ok(limit),
    }
}

/// An `http` or `https` address from the configuration. Credentials in it are refused, so that it can be printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(Url);

/// A text that is no address. It is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    #[error("not an address ({0}): write it like \"https://prometheus.example.com:9090\"")]
    Malformed(url::ParseError),
    #[error("not an address that starts with http:// or https://")]
    Scheme,
    #[error("credentials don't belong in an address: give them as secrets of their own")]
    Credentials,
}

impl TryFrom<String> for Address {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Self, NoAddress> {
        let url = Url::parse(text.trim()).map_err(NoAddress::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(NoAddress::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoAddress::Credentials);
        }
        Ok(Self(url))
    }
}

impl Address {
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// This address with more path: `http://host/prefix` and `api/v1/query` make `http://host/prefix/api/v1/query`.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let joined = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&joined);
        url
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address for people: without its query, which may hold a token, and without credentials.
pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}://{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Foreign text for an error: one line, cut, and without the secrets, should the other side have repeated them.
pub(crate) fn quote(text: &str, secrets: &[&Secret]) -> String {
    let hidden =
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.reveal(), "[secret]"));
    let line = hidden.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTE) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What came after the body (RFC 9110 §6.5).
    pub trailers: HeaderMap,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `Retry-After` in seconds (RFC 9110 §10.2.3). Its other form, a date, would need a clock that agrees with theirs.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The fault that a status means whatever the protocol. The rest is `Invalid`.
    pub fn fault(&self, detail: String) -> Fault {
        let detail = format!("{detail} ({})", self.status);
        match self.status.as_u16() {
            401 | 403 | 407 => Fault::Denied(detail),
            429 => Fault::RateLimited { after: self.retry_after(), detail },
            408 | 500.. => Fault::Unavailable(detail),
            300..=399 => {
                let to = self.headers.get(header::LOCATION).and_then(|to| Url::parse(to.to_str().ok()?).ok());
                let to = to.map_or_else(|| "elsewhere".to_owned(), |to| shown(&to));
                Fault::Invalid(format!("{detail}: redirected to {to}, which is not followed"))
            }
            _ => Fault::Invalid(detail),
        }
    }
}

/// No complete answer came.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Surely nothing was done: no connection.
    Unsent(String),
    /// It may have been received.
    Sent(String),
    /// It could not even be made, or its answer is larger than allowed.
    Nonsense(String),
}

impl Lost {
    /// For questions, which change nothing: asking again is always right.
    pub fn of_question(self, asked: &str) -> Fault {
        match self {
            Self::Unsent(why) | Self::Sent(why) => Fault::Unavailable(format!("{asked}: {why}")),
            Self::Nonsense(why) => Fault::Invalid(format!("{asked}: {why}")),
        }
    }

    /// For requests that change something.
    pub fn of_change(self, asked: &str) -> Fault {
        match self {
            Self::Sent(why) => Fault::Unknown(format!("{asked}: {why}")),
            other => other.of_question(asked),
        }
    }
}

/// Sends, and reads the answer whole: at most `most` bytes, all within `limit`.
pub(crate) async fn ask(request: RequestBuilder, limit: Duration, most: usize) -> Result<Answer, Lost> {
    let response = request.timeout(limit).send().await.map_err(|error| lost(error, limit))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let (mut body, mut trailers) = (BytesMut::new(), HeaderMap::new());
    let mut frames = reqwest::Body::from(response);
    while let Some(frame) = frames.frame().await.transpose().map_err(|error| lost(error, limit))? {
        match frame.into_data() {
            Ok(chunk) if body.len() + chunk.len() > most => {
                return Err(Lost::Nonsense(format!("the answer is larger than {most} bytes")));
            }
            Ok(chunk) => body.extend_from_slice(&chunk),
            Err(last) => trailers.extend(last.into_trailers().unwrap_or_default()),
        }
    }
    Ok(Answer { status, headers, body: body.freeze(), trailers })
}

fn lost(error: reqwest::Error, limit: Duration) -> Lost {
    if error.is_builder() {
        return Lost::Nonsense(cause(error));
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, _) => Lost::Unsent(format!("no connection: {}", cause(error))),
        (false, true) => Lost::Sent(format!("no answer within {limit:?}")),
        (false, false) => Lost::Sent(format!("the connection broke: {}", cause(error))),
    }
}

/// The innermost cause, which is what an engineer needs; the layers around it repeat the address.
pub(crate) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<Address, NoAddress> {
        Address::try_from(text.to_owned())
    }

    #[test]
    fn an_address_holds_no_credentials_and_its_refusal_repeats_none() {
        for bad in ["http://ana:hunter2@prometheus:9090", "https://hunter2@host/", "ftp://hunter2", "hunter2"]
        {
            let said = format!("{0} {0:?}", address(bad).unwrap_err());
            assert!(!said.contains("hunter2"), "{said}");
        }
        let printed = format!("{:?}", address("https://host/health?token=hunter2").unwrap());
        assert_eq!(printed, "https://host/health?…");
    }

    #[test]
    fn paths_are_added_to_a_prefix() {
        let joined = |text| address(text).unwrap().join("api/v1/query").to_string();
        assert_eq!(joined("http://host:9090"), "http://host:9090/api/v1/query");
        assert_eq!(joined("http://host/prom/"), "http://host/prom/api/v1/query");
    }

    #[test]
    fn foreign_text_is_cut_and_loses_the_secrets_that_it_repeats() {
        let secret = Secret::new("hunter2");
        assert_eq!(quote("bad key\n  hunter2!", &[&secret]), "bad key [secret]!");
        assert_eq!(quote(&"ä".repeat(400), &[]).chars().count(), QUOTE + 1);
    }
}
