//! One cluster's API: credentials, a time limit on every call (a server whose store is down hangs rather than fails), and what
//! an answer means to who asked.

use std::{path::PathBuf, time::Duration};

use http::{Method, Request, header};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{BuildError, Fault, client, duration::Span, traffic::CALL_LIMIT};

/// Which cluster, and as whom. With neither given: the kubeconfig that `kubectl` would use, else the pod's own service account.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    pub kubeconfig: Option<PathBuf>,
    /// Of the kubeconfig; its current one unless given.
    pub context: Option<String>,
}

pub struct Cluster {
    access: Access,
    limit: Duration,
    /// Made at the first call that succeeds in it: a kubeconfig may come later than lastgood.
    client: OnceCell<Client>,
}

/// A change of one object.
pub struct Patch<'a> {
    /// JSON Patch (RFC 6902): a merge would keep what the wanted template does not mention.
    pub operations: &'a Value,
    /// Checked, admitted, and not kept.
    pub dry_run: bool,
}

/// Who is named in the objects' managed fields.
pub const MANAGER: &str = "lastgood";

impl Cluster {
    /// # Errors
    /// A time limit of nothing.
    pub fn new(access: Access, limit: Option<Span>) -> Result<Self, BuildError> {
        client::install_tls();
        Ok(Self { access, limit: client::limit(limit, CALL_LIMIT)?, client: OnceCell::new() })
    }

    /// How people name it.
    pub fn name(&self) -> String {
        match (&self.access.kubeconfig, &self.access.context) {
            (_, Some(context)) => context.clone(),
            (Some(file), None) => file.display().to_string(),
            (None, None) => "the cluster".to_owned(),
        }
    }

    /// Bounds a question that takes several calls as one.
    ///
    /// # Errors
    /// `Unavailable` when it takes too long, else its own.
    pub async fn within<T>(&self, question: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::time::timeout(self.limit, question).await.unwrap_or_else(|_| {
            Err(Fault::Unavailable(format!("{}: no answer within {:?}", self.name(), self.limit)))
        })
    }

    async fn client(&self) -> Result<&Client, Fault> {
        self.client.get_or_try_init(|| async { self.connect().await }).await
    }

    async fn connect(&self) -> Result<Client, Fault> {
        let options =
            KubeConfigOptions { context: self.access.context.clone(), ..KubeConfigOptions::default() };
        let invalid = |error: &dyn std::fmt::Display| {
            Fault::Invalid(format!("no credentials for {}: {error}", self.name()))
        };
        let mut config = match &self.access.kubeconfig {
            Some(file) => {
                let kubeconfig = Kubeconfig::read_from(file).map_err(|error| invalid(&error))?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| invalid(&error))?
            }
            None if self.access.context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(|error| invalid(&error))?
            }
            None => Config::infer().await.map_err(|error| invalid(&error))?,
        };
        config.connect_timeout = Some(client::CONNECT_LIMIT);
        Client::try_from(config).map_err(|error| invalid(&error))
    }

    /// # Errors
    /// `Unavailable` when there is no answer in time; `Denied`, `NotFound`, `Invalid` as the server says.
    pub async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.send(Method::GET, path, None, None).await
    }

    /// None: there is no such object, or the server does not know its kind.
    ///
    /// # Errors
    /// As `get`.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, Fault> {
        match self.get(path).await {
            Err(Fault::NotFound(_)) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The items of a list.
    ///
    /// # Errors
    /// As `get`.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Fault> {
        let mut list = self.get(path).await?;
        Ok(match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        })
    }

    /// # Errors
    /// As `get`; and `Conflict` when the object changed since it was read, `Unknown` when the change may have been made.
    pub async fn patch(&self, path: &str, patch: &Patch<'_>) -> Result<Value, Fault> {
        let dry = if patch.dry_run { "&dryRun=All" } else { "" };
        let path = format!("{path}?fieldManager={MANAGER}{dry}");
        let sent =
            self.send(Method::PATCH, &path, Some(patch.operations), Some("application/json-patch+json"));
        match sent.await {
            Err(Fault::Unknown(why)) if patch.dry_run => Err(Fault::Unavailable(why)),
            other => other,
        }
    }

    /// Creates what the server only answers and does not keep (reviews).
    ///
    /// # Errors
    /// As `get`.
    pub async fn review(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        match self.send(Method::POST, path, Some(body), None).await {
            Err(Fault::Unknown(why)) => Err(Fault::Unavailable(why)),
            other => other,
        }
    }

    /// Waits until something changes among the objects of a list, or `most` is over. Whatever ends it: the list is to be read
    /// again, so that an expired version (410) or a cut connection needs nothing more.
    pub async fn changed(&self, path: &str, since: &str, most: Duration) {
        let seconds = most.as_secs().max(1);
        let path = format!("{path}&watch=true&resourceVersion={since}&timeoutSeconds={seconds}");
        let watching = async {
            let client = self.client().await.ok()?;
            let request = Request::get(&path).body(Vec::new()).ok()?;
            let mut stream = Box::pin(client.request_stream(request).await.ok()?);
            let mut byte = [0];
            futures_util::AsyncReadExt::read(&mut stream, &mut byte).await.ok().filter(|read| *read > 0)
        };
        let started = tokio::time::Instant::now();
        if tokio::time::timeout(most, watching).await.ok().flatten().is_none() {
            // A watch that is refused at once must not become a loop.
            tokio::time::sleep_until(started + most).await;
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        content: Option<&'static str>,
    ) -> Result<Value, Fault> {
        let who = format!("{} {method} {}", self.name(), path.split('?').next().unwrap_or(path));
        let changes = method != Method::GET;
        let invalid = |error: &dyn std::fmt::Display| Fault::Invalid(format!("{who}: {error}"));
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| invalid(&error))?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, content.unwrap_or("application/json"))
            .body(bytes)
            .map_err(|error| invalid(&error))?;
        let client = tokio::time::timeout(self.limit, self.client())
            .await
            .map_err(|_| Fault::Unavailable(format!("{who}: no credentials within {:?}", self.limit)))??;
        match tokio::time::timeout(self.limit, client.request::<Value>(request)).await {
            Ok(answer) => answer.map_err(|error| fault(&who, error, changes)),
            Err(_) => Err(lost(format!("{who}: no answer within {:?}", self.limit), changes)),
        }
    }
}

/// A question that was not answered may be asked again; a change may have been made.
fn lost(why: String, changes: bool) -> Fault {
    if changes { Fault::Unknown(why) } else { Fault::Unavailable(why) }
}

fn fault(who: &str, error: kube::Error, changes: bool) -> Fault {
    let status = match error {
        kube::Error::Api(status) => status,
        kube::Error::Auth(error) => return Fault::Denied(format!("{who}: {error}")),
        kube::Error::SerdeError(error) => {
            return lost(format!("{who}: its answer makes no sense: {error}"), changes);
        }
        error => {
            let why = format!("{who}: {}", chain(&error));
            return if never_connected(&error) { Fault::Unavailable(why) } else { lost(why, changes) };
        }
    };
    let text = format!("{who}: {}", if status.message.is_empty() { &status.reason } else { &status.message });
    match status.code {
        401 | 403 => Fault::Denied(text),
        404 => Fault::NotFound(text),
        409 => Fault::Conflict(text),
        429 => {
            let after = status.details.map_or(0, |details| details.retry_after_seconds);
            Fault::RateLimited { after: (after > 0).then(|| Duration::from_secs(after.into())), detail: text }
        }
        500.. => lost(text, changes),
        _ => Fault::Invalid(text),
    }
}

fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let connect = |error: &(dyn std::error::Error + 'static)| {
        error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
    };
    std::iter::successors(Some(error), |error| error.source()).any(connect)
}

/// The last cause says most ("connection refused").
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for error in std::iter::successors(Some(error), |error| error.source()) {
        let text = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}
