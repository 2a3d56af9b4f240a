//! Any registry that speaks the OCI Distribution specification 1.1 (pulling manifests, error codes).
//!
//! `oci-client` reads repository names and shakes hands with token services. The manifest itself is fetched here: that
//! crate hides from its callers what they act on (`Retry-After`, the media type, why a token was refused), reads answers
//! of any size, and has a client of its own.

use std::{
    collections::BTreeSet,
    sync::{Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use http::header;
use lastgood_core::Digest;
use oci_client::{
    Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::{OciDistributionError, OciEnvelope, OciErrorCode},
    secrets::RegistryAuth,
};
use serde::Deserialize;
use url::Url;

use super::{
    Found, Registry,
    manifest::{self, ACCEPT},
};
use crate::{
    Check, Fault, Secret,
    client::{self, Answer, BuildError, ask, cause, limit, quote},
    duration::Span,
    secret::Source,
};

/// What one question may take, handshake included, unless configured otherwise.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Bytes: the specification asks registries to take manifests of up to 4 MiB.
const MOST: usize = 4 * 1024 * 1024;
/// Some public registries redirect a manifest to the nearest copy.
const REDIRECTS: usize = 3;

/// `{ kind = "oci", repository = "registry.example.com/shop/checkout" }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Registry and repository, without tag or digest.
    pub repository: String,
    /// Without TLS: for registries on the same machine.
    #[serde(default)]
    pub plain_http: bool,
    /// Together with `password`: for basic authentication, or to get a token with.
    pub username: Option<String>,
    pub password: Option<Source>,
    /// For one question, handshake included; 10 s unless given.
    pub timeout: Option<Span>,
}

impl Config {
    /// `http` is the process's client, of [`client::client`]. The handshake uses another one, which `oci-client` makes.
    ///
    /// # Errors
    /// A repository without its registry, or with a tag or digest; half of a pair of credentials; a password that can't
    /// be read; a time limit of zero.
    pub fn build(&self, http: reqwest::Client) -> Result<Oci, BuildError> {
        let repository = self.reference()?;
        let (auth, password) = match (&self.username, &self.password) {
            (None, None) => (RegistryAuth::Anonymous, None),
            (Some(name), Some(from)) => {
                let password = BuildError::read("password", from)?;
                (
                    RegistryAuth::Basic(name.clone(), password.reveal().to_owned()),
                    Some((name.clone(), password)),
                )
            }
            _ => return Err(BuildError::invalid("password", "username and password belong together")),
        };
        let limit = limit(self.timeout, LIMIT)?;
        client::install_tls();
        let scheme = if self.plain_http { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/", repository.resolve_registry()))
            .map_err(|why| BuildError::invalid("repository", why.to_string()))?;
        let known = Mutex::new(Authorization::None);
        Ok(Oci {
            name: self.repository.clone(),
            base,
            repository,
            auth,
            password,
            limit,
            http,
            plain_http: self.plain_http,
            handshake: OnceLock::new(),
            known,
        })
    }

    fn reference(&self) -> Result<Reference, BuildError> {
        let invalid = |why: String| BuildError::invalid("repository", why);
        let text = self.repository.as_str();
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        // Not repeated in the error: it may hold credentials.
        if host.contains('@') || text.contains("://") {
            return Err(invalid(
                "no scheme and no credentials: \"registry.example.com/shop/checkout\"".to_owned(),
            ));
        }
        // Otherwise "shop/checkout" would silently mean Docker Hub.
        if path.is_empty() || !(host.contains(['.', ':']) || host == "localhost") {
            return Err(invalid(
                "starts with the registry: \"registry.example.com/shop/checkout\"".to_owned(),
            ));
        }
        if path.contains([':', '@']) {
            return Err(invalid("no tag and no digest: what to look for is the release's digest".to_owned()));
        }
        text.parse().map_err(|why: oci_client::ParseError| invalid(why.to_string()))
    }
}

/// One repository of a registry.
pub struct Oci {
    name: String,
    base: Url,
    repository: Reference,
    auth: RegistryAuth,
    password: Option<(String, Secret)>,
    limit: Duration,
    http: reqwest::Client,
    plain_http: bool,
    /// Made when the registry first wants a handshake: it holds the system's certificates, and there is one for each service.
    handshake: OnceLock<oci_client::Client>,
    /// What the registry last accepted: tokens live for minutes, and each handshake costs two requests.
    known: Mutex<Authorization>,
}

impl std::fmt::Debug for Oci {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oci").field("name", &self.name).field("auth", &self.auth).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq)]
enum Authorization {
    None,
    Basic,
    Bearer(Secret),
}

impl Oci {
    /// Asks with what is known; when the registry wants more, shakes hands and asks once more.
    async fn get(&self, path: &str) -> Result<Answer, Fault> {
        let url = self.base.join(path).map_err(|why| Fault::Invalid(format!("{}: {why}", self.name)))?;
        let known = self.known.lock().map(|known| known.clone()).unwrap_or(Authorization::None);
        let answer = self.send(url.clone(), &known).await?;
        if answer.status != http::StatusCode::UNAUTHORIZED || known == Authorization::Basic {
            return Ok(answer);
        }
        let fresh = self.shake_hands().await?;
        let answer = self.send(url, &fresh).await?;
        if answer.status.is_success() || answer.status == http::StatusCode::NOT_FOUND {
            self.known.lock().map(|mut known| *known = fresh).ok();
        }
        Ok(answer)
    }

    /// One question is several requests (handshake, redirects): the time limit is for all of them.
    async fn within<T>(&self, question: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let late = |_| Err(Fault::Unavailable(format!("{}: no answer within {:?}", self.name, self.limit)));
        tokio::time::timeout(self.limit, question).await.unwrap_or_else(late)
    }

    /// The manifest's bytes, which are those that the digest names.
    async fn fetch(&self, digest: &Digest) -> Result<Answer, Fault> {
        let asked = format!("registry {}: {digest}", self.name);
        let answer = self.get(&self.path(digest.as_str())).await?;
        if answer.status != http::StatusCode::OK {
            return Err(self.fault(&asked, &answer).await);
        }
        if !manifest::matches_digest(digest, &answer.body) {
            let size = answer.body.len();
            return Err(Fault::Invalid(format!(
                "{asked}: the registry sent {size} bytes with another digest"
            )));
        }
        Ok(answer)
    }

    /// Sends credentials to the registry only, never to where it redirects.
    async fn send(&self, mut url: Url, authorization: &Authorization) -> Result<Answer, Fault> {
        for _ in 0..=REDIRECTS {
            let mut request = self.http.get(url.clone()).header(header::ACCEPT, ACCEPT.join(", "));
            if url.origin() == self.base.origin() {
                request = match (authorization, &self.password) {
                    (Authorization::Bearer(token), _) => request.bearer_auth(token.reveal()),
                    (Authorization::Basic, Some((name, password))) => {
                        request.basic_auth(name, Some(password.reveal()))
                    }
                    _ => request,
                };
            }
            let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(&self.name))?;
            let to = answer.headers.get(header::LOCATION).and_then(|to| url.join(to.to_str().ok()?).ok());
            match to {
                Some(to) if matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) => url = to,
                _ => return Ok(answer),
            }
        }
        Err(Fault::Invalid(format!("{}: redirected more than {REDIRECTS} times", self.name)))
    }

    fn handshake(&self) -> Result<&oci_client::Client, Fault> {
        if let Some(made) = self.handshake.get() {
            return Ok(made);
        }
        let made = oci_client::Client::try_from(ClientConfig {
            protocol: if self.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
            connect_timeout: Some(client::CONNECT_LIMIT),
            read_timeout: Some(self.limit),
            user_agent: client::USER_AGENT,
            ..ClientConfig::default()
        });
        let made =
            made.map_err(|error| Fault::Unavailable(format!("{}: no HTTP client: {error}", self.name)))?;
        Ok(self.handshake.get_or_init(|| made))
    }

    async fn shake_hands(&self) -> Result<Authorization, Fault> {
        match self.handshake()?.auth(&self.repository, &self.auth, RegistryOperation::Pull).await {
            Ok(Some(token)) => Ok(Authorization::Bearer(Secret::new(token))),
            Ok(None) if self.password.is_some() => Ok(Authorization::Basic),
            Ok(None) => {
                Err(Fault::Denied(format!("{}: wants credentials, and none are configured", self.name)))
            }
            Err(OciDistributionError::RequestError(error)) => {
                Err(Fault::Unavailable(format!("{}: token service: {}", self.name, cause(error))))
            }
            Err(OciDistributionError::AuthenticationFailure(said)) => Err(self.no_token(&said)),
            // Its text may repeat a part of the token.
            Err(_) => {
                Err(Fault::Invalid(format!("{}: token service: an answer that holds no token", self.name)))
            }
        }
    }

    /// The status is lost here, so its kind is told by the text. Token services refuse in JSON or with nothing; what
    /// stands before them, when they are down, answers in HTML or plain words.
    fn no_token(&self, said: &str) -> Fault {
        let secrets: Vec<&Secret> = self.password.iter().map(|(_, password)| password).collect();
        let detail = format!("{}: token service: {}", self.name, quote(said, &secrets));
        match serde_json::from_str::<OciEnvelope>(said).ok().and_then(|said| said.errors.into_iter().next()) {
            Some(error) if error.code == OciErrorCode::Toomanyrequests => {
                Fault::RateLimited { after: None, detail }
            }
            Some(error) if matches!(&error.code, OciErrorCode::Other(code) if code.starts_with("UNAVAIL")) => {
                Fault::Unavailable(detail)
            }
            Some(_) => Fault::Denied(detail),
            None if said.trim().is_empty() || serde_json::from_str::<serde_json::Value>(said).is_ok() => {
                Fault::Denied(detail)
            }
            None if said.to_lowercase().contains("unauthorized") => Fault::Denied(detail),
            None => Fault::Unavailable(detail),
        }
    }

    fn path(&self, digest: &str) -> String {
        format!("{}/manifests/{digest}", self.repository.repository())
    }

    /// The fault that an answer other than 200 means.
    async fn fault(&self, asked: &str, answer: &Answer) -> Fault {
        let secrets: Vec<&Secret> = self.password.iter().map(|(_, password)| password).collect();
        let envelope = serde_json::from_slice::<OciEnvelope>(&answer.body).ok();
        let error = envelope.and_then(|envelope| envelope.errors.into_iter().next());
        let said = match &error {
            Some(error) => quote(&error.message, &secrets),
            None => quote(&answer.text(), &secrets),
        };
        let detail = format!("{asked}: {said}");
        match (answer.status.as_u16(), error.map(|error| error.code)) {
            (404, Some(OciErrorCode::Denied | OciErrorCode::Unauthorized)) => Fault::Denied(detail),
            (404, Some(_)) => Fault::NotFound(detail),
            // The error body is optional, but a 404 from something that is no registry must not read as "gone".
            (404, None) if self.is_registry().await => Fault::NotFound(detail),
            (404, None) => Fault::Invalid(format!("{detail}: what answers there is no registry")),
            _ => answer.fault(detail),
        }
    }

    async fn is_registry(&self) -> bool {
        let answer = self.send(self.base.clone(), &Authorization::None).await;
        answer.is_ok_and(|answer| matches!(answer.status.as_u16(), 200 | 401))
    }
}

#[async_trait]
impl Registry for Oci {
    async fn find(&self, digest: &Digest) -> Result<Found, Fault> {
        let answer = self.within(self.fetch(digest)).await?;
        let size = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        Ok(Found { media_type: manifest::media_type(&answer), size })
    }

    async fn manifests(&self, digest: &Digest) -> Result<BTreeSet<Digest>, Fault> {
        let answer = self.within(self.fetch(digest)).await?;
        let named = manifest::named(&manifest::media_type(&answer), &answer.body);
        named.map_err(|why| Fault::Invalid(format!("registry {}: {digest}: {why}", self.name)))
    }

    /// Looks for a digest that no bytes have: "not found" proves connection, credentials and pull permission.
    async fn check(&self) -> Vec<Check> {
        let what = format!("registry {}: pull", self.name);
        let nothing = self.path(&format!("sha256:{}", "0".repeat(64)));
        let asked = async {
            let answer = self.get(&nothing).await?;
            Ok(self.fault(&what, &answer).await)
        };
        match self.within(asked).await {
            Ok(Fault::NotFound(_)) => {}
            Ok(fault) | Err(fault) => return vec![bad(what, &fault)],
        }
        let path = format!("{}/tags/list?n=1", self.repository.repository());
        let tags = self.within(self.get(&path)).await;
        vec![match tags {
            Ok(tags) if tags.status == http::StatusCode::NOT_FOUND => Check::warning(
                what,
                "the registry answers, but knows no such repository",
                "right before the first push; otherwise compare the repository's name",
            ),
            _ => Check::good(what, "connected, and allowed to pull"),
        }]
    }
}

fn bad(what: String, fault: &Fault) -> Check {
    let advice = match fault {
        Fault::Denied(_) => {
            "set username and password to an account, or a robot token, that may pull this repository"
        }
        Fault::Unavailable(_) => {
            "is the registry's name right, and reachable from here? Without TLS it needs plain_http = true"
        }
        Fault::RateLimited { .. } => "sign in with username and password, or ask later",
        Fault::NotFound(_) | Fault::Invalid(_) | Fault::Conflict(_) | Fault::Unknown(_) => {
            "is this the registry's own address, not that of its web pages?"
        }
    };
    Check::bad(what, fault.to_string(), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(repository: &str) -> Config {
        let repository = repository.to_owned();
        Config { repository, plain_http: false, username: None, password: None, timeout: None }
    }

    #[test]
    fn a_repository_names_its_registry_and_nothing_more() {
        for good in ["registry.example.com/shop/checkout", "localhost/shop", "127.0.0.1:5000/shop/checkout"] {
            assert!(config(good).reference().is_ok(), "{good}");
        }
        for bad in [
            "checkout",
            "shop/checkout",
            "registry.example.com/",
            "registry.example.com/shop:v1",
            "registry.example.com/shop@sha256:00",
            "https://registry.example.com/shop",
            "ana:hunter2@registry.example.com/shop",
            "registry.example.com/Shop",
        ] {
            let said = config(bad).reference().unwrap_err().to_string();
            assert!(said.starts_with("repository: ") && !said.contains("hunter2"), "{bad}: {said}");
        }
    }
}
