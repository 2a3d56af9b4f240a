//! Calls to Slack's Web API, through slack-morphism's client: bounded in time, held back where Slack said so, and with
//! errors told apart by what a caller does about them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Serialize;
use serde_json::Value;
use slack_morphism::{
    ClientResult, SlackApiToken, SlackApiTokenValue, SlackClient, SlackClientApiCallContext,
    SlackClientHttpConnector as _, errors::SlackClientError, hyper_tokio::SlackClientHyperConnector,
};
use tokio::time::{Instant, timeout};

use super::{config::Settings, fault};
use crate::{Fault, Secret, client::BuildError};

/// What Slack asks for when it says nothing (docs.slack.dev, Rate limits).
const HOLD: Duration = Duration::from_secs(1);
/// However long Slack asks for: it is asked again then.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// Whether a request that got no answer may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Reads,
    Writes,
}

pub(super) struct Api {
    client: SlackClient<SlackClientHyperConnector<HttpsConnector<HttpConnector>>>,
    bot: SlackApiToken,
    limit: Duration,
    /// Methods that Slack wants no more of for a while; posting is limited room by room.
    held: Mutex<HashMap<(&'static str, String), Instant>>,
}

impl Api {
    pub fn new(settings: &Settings) -> Result<Self, BuildError> {
        crate::client::install_tls();
        // A network that swallows packets is told from a lost answer by where the time went.
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(crate::client::CONNECT_LIMIT));
        let https = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| BuildError::Client(error.to_string()))?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let connector = SlackClientHyperConnector::with_connector(https).with_slack_api_url(&settings.url);
        Ok(Self {
            client: SlackClient::new(connector),
            bot: token(&settings.token),
            limit: settings.limit,
            held: Mutex::new(HashMap::new()),
        })
    }

    /// Changes something, as the bot.
    ///
    /// # Errors
    /// `Unknown` when no answer came.
    pub async fn write(&self, method: &'static str, body: &impl Body) -> Result<Value, Fault> {
        let room = body.room().to_owned();
        self.free(method, &room)?;
        let session = self.client.open_session(&self.bot);
        let called = session.http_session_api.http_post(method, body, None);
        self.ended(method, &room, Effect::Writes, timeout(self.limit, called).await)
    }

    /// Asks something, as the bot.
    ///
    /// # Errors
    /// `Unavailable` when no answer came.
    pub async fn read(&self, method: &'static str, asked: &[(&str, &str)]) -> Result<Value, Fault> {
        self.free(method, "")?;
        let asked: Vec<_> = asked.iter().map(|(name, value)| (*name, Some(*value))).collect();
        let session = self.client.open_session(&self.bot);
        let called = session.http_session_api.http_get(method, &asked, None);
        self.ended(method, "", Effect::Reads, timeout(self.limit, called).await)
    }

    /// As the app, whose token is good for nothing but opening sockets.
    ///
    /// # Errors
    /// As `read`.
    pub async fn as_app(&self, method: &'static str, app: &Secret) -> Result<Value, Fault> {
        self.free(method, "")?;
        let app = token(app);
        let session = self.client.open_session(&app);
        let nothing = serde_json::json!({});
        let called = session.http_session_api.http_post(method, &nothing, None);
        self.ended(method, "", Effect::Reads, timeout(self.limit, called).await)
    }

    /// To an address that Slack gave for it: an answer's, an upload's. The address is as good as a password, and stays out of
    /// every text; the token stays here.
    ///
    /// # Errors
    /// As `write`.
    pub async fn to(
        &self,
        what: &'static str,
        url: &str,
        media_type: &str,
        body: &[u8],
    ) -> Result<(), Fault> {
        let url = url.parse().map_err(|_| Fault::Invalid(format!("{what}: Slack gave no address for it")))?;
        let nowhere = tracing::Span::none();
        let context = SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &nowhere,
            is_sensitive_url: true,
        };
        let connector = &self.client.http_api.connector;
        let called = connector.http_post_uri_binary::<Value>(url, media_type.to_owned(), body, context);
        match timeout(self.limit, called).await {
            Ok(done) => done.map(drop).map_err(|error| fault::of(what, Effect::Writes, &error)),
            Err(_) => Err(self.late(what, Effect::Writes)),
        }
    }

    fn late(&self, what: &str, effect: Effect) -> Fault {
        fault::silent(what, effect, &format!("no answer within {} s", self.limit.as_secs()))
    }

    fn ended(
        &self,
        method: &'static str,
        room: &str,
        effect: Effect,
        ended: Result<ClientResult<Value>, tokio::time::error::Elapsed>,
    ) -> Result<Value, Fault> {
        let answer = match ended {
            Err(_) => return Err(self.late(method, effect)),
            Ok(Err(SlackClientError::RateLimitError(limited))) => {
                let after = limited.retry_after.unwrap_or(HOLD).min(LONGEST_HOLD);
                self.hold(method, room, after);
                return Err(limited_by(method, after));
            }
            Ok(Err(error)) => return Err(fault::of(method, effect, &error)),
            Ok(Ok(answer)) => answer,
        };
        if answer.get("ok").and_then(Value::as_bool) == Some(true) {
            return Ok(answer);
        }
        Err(fault::silent(method, effect, "the answer is none of Slack's; is there a proxy in between?"))
    }

    fn hold(&self, method: &'static str, room: &str, after: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.retain(|_, until| *until > now);
        held.insert((method, room.to_owned()), now + after);
    }

    fn free(&self, method: &'static str, room: &str) -> Result<(), Fault> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match held.get(&(method, room.to_owned())).filter(|until| **until > now) {
            Some(until) => Err(limited_by(method, *until - now)),
            None => Ok(()),
        }
    }
}

fn limited_by(method: &str, after: Duration) -> Fault {
    let detail = format!("Slack takes no {method} for another {:.1} s", after.as_secs_f32());
    Fault::RateLimited { after: Some(after), detail }
}

fn token(secret: &Secret) -> SlackApiToken {
    SlackApiToken::new(SlackApiTokenValue::new(secret.reveal().to_owned()))
}

/// A request's body, and the room whose limit it counts against.
pub(super) trait Body: Serialize + Send + Sync {
    fn room(&self) -> &str;
}

impl Body for Value {
    fn room(&self) -> &str {
        self.get("channel").and_then(Value::as_str).unwrap_or_default()
    }
}
