//! Calls to Discord's interface, through serenity's client and its rate limiter: bounded in time, held back beforehand where a
//! bucket is empty, and with errors told apart by what a caller does about them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use serenity::{
    builder::CreateAttachment,
    http::{Http, HttpBuilder, LightMethod, Multipart, MultipartUpload, Ratelimiter, Request, Route},
};
use tokio::time::{Instant, timeout};

use super::{
    config::Settings,
    fault::{self, Failed},
};
use crate::{Fault, client::BuildError};
use lastgood_core::card::Picture;

/// Discord bans who makes 10,000 requests within ten minutes that are refused with 401, 403 or 429 (Rate Limits, Invalid
/// Request Limit). Ours end well before.
const INVALID: usize = 2_000;
const INVALID_WITHIN: Duration = Duration::from_secs(600);
/// What is waited for a bucket whose state somebody else is changing.
const SHORT: Duration = Duration::from_millis(100);

/// Whether a request that got no answer may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Reads,
    Writes,
}

type Held = Arc<Mutex<HashMap<String, Instant>>>;
/// The key of what holds back everything.
const ALL: &str = "";

pub(super) struct Api {
    http: Http,
    limit: Duration,
    /// Paths that Discord wants no more of for a while.
    held: Held,
    invalid: Mutex<VecDeque<Instant>>,
}

impl Api {
    pub fn new(settings: &Settings) -> Result<Self, BuildError> {
        crate::client::install_tls();
        let unfit = |error: reqwest12::Error| BuildError::Client(fault::deepest(&error));
        let mut client = reqwest12::Client::builder()
            .connect_timeout(crate::client::CONNECT_LIMIT)
            .redirect(reqwest12::redirect::Policy::none());
        if let Some(at) = settings.connect_to {
            client = client.resolve("discord.com", at).no_proxy();
        }
        if let Some(ca) = &settings.ca {
            for certificate in reqwest12::Certificate::from_pem_bundle(ca).map_err(unfit)? {
                client = client.add_root_certificate(certificate);
            }
        }
        let client = client.build().map_err(unfit)?;
        let token = format!("Bot {}", settings.token.reveal());
        let held = Held::default();
        let mut limiter = Ratelimiter::new(client.clone(), token.clone());
        let noted = held.clone();
        limiter.set_ratelimit_callback(Box::new(move |limited| {
            let key = if limited.global { ALL.to_owned() } else { limited.path };
            let mut held = noted.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            held.retain(|_, until| *until > now);
            held.insert(key, now + limited.timeout);
        }));
        let http = HttpBuilder::new(token).client(client).ratelimiter(limiter).build();
        Ok(Self { http, limit: settings.limit, held, invalid: Mutex::default() })
    }

    /// # Errors
    /// `Unavailable` when no answer came.
    pub async fn get(
        &self,
        what: &str,
        route: Route<'_>,
        asked: &[(&'static str, &str)],
    ) -> Result<Value, Failed> {
        let asked = asked.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let request = Request::new(route, LightMethod::Get).params(Some(asked));
        self.call(what, Effect::Reads, route, request).await
    }

    /// # Errors
    /// `Unknown` when no answer came.
    pub async fn post(&self, what: &str, route: Route<'_>, body: &Value) -> Result<Value, Failed> {
        self.write(what, route, LightMethod::Post, body).await
    }

    /// # Errors
    /// As `post`.
    pub async fn patch(&self, what: &str, route: Route<'_>, body: &Value) -> Result<Value, Failed> {
        self.write(what, route, LightMethod::Patch, body).await
    }

    /// # Errors
    /// As `post`.
    pub async fn put(&self, what: &str, route: Route<'_>, body: &Value) -> Result<Value, Failed> {
        self.write(what, route, LightMethod::Put, body).await
    }

    /// # Errors
    /// As `post`.
    pub async fn delete(&self, what: &str, route: Route<'_>) -> Result<Value, Failed> {
        self.call(what, Effect::Writes, route, Request::new(route, LightMethod::Delete)).await
    }

    async fn write(
        &self,
        what: &str,
        route: Route<'_>,
        method: LightMethod,
        body: &Value,
    ) -> Result<Value, Failed> {
        let request = Request::new(route, method).body(Some(body.to_string().into_bytes()));
        self.call(what, Effect::Writes, route, request).await
    }

    /// A message with a picture.
    ///
    /// # Errors
    /// As `post`.
    pub async fn upload(
        &self,
        what: &str,
        route: Route<'_>,
        body: &Value,
        picture: &Picture,
    ) -> Result<Value, Failed> {
        let file = CreateAttachment::bytes(picture.bytes.clone(), picture.file_name.clone());
        let upload = MultipartUpload::Attachments(vec![file]);
        let multipart = Multipart { upload, fields: Vec::new(), payload_json: Some(body.to_string()) };
        let request = Request::new(route, LightMethod::Post).multipart(Some(multipart));
        self.call(what, Effect::Writes, route, request).await
    }

    async fn call(
        &self,
        what: &str,
        effect: Effect,
        route: Route<'_>,
        request: Request<'_>,
    ) -> Result<Value, Failed> {
        self.free(what, route).await?;
        let called = async {
            let answer = self.http.request(request).await.map_err(|error| fault::of(what, effect, error))?;
            let broke = |_| Failed::from(fault::silent(what, effect, "the answer broke off"));
            let body = answer.bytes().await.map_err(broke)?;
            if body.is_empty() {
                return Ok(Value::Null);
            }
            let other = "the answer is none of Discord's; is there a proxy in between?";
            serde_json::from_slice(&body).map_err(|_| fault::silent(what, effect, other).into())
        };
        let ended = timeout(self.limit, called).await.unwrap_or_else(|_| Err(self.late(what, effect, route)));
        if let Err(failed) = &ended
            && matches!(failed.fault, Fault::Denied(_) | Fault::RateLimited { .. })
        {
            self.count_invalid();
        }
        ended
    }

    /// A request that the rate limiter held to the end was refused, and changed nothing.
    fn late(&self, what: &str, effect: Effect, route: Route<'_>) -> Failed {
        if let Some(after) = self.held_for(&route.path()) {
            self.count_invalid();
            return limited(what, after).into();
        }
        fault::silent(what, effect, &format!("no answer within {} s", self.limit.as_secs())).into()
    }

    fn held_for(&self, path: &str) -> Option<Duration> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let left = |key: &str| held.get(key).map(|until| until.saturating_duration_since(now));
        left(ALL).into_iter().chain(left(path)).max().filter(|left| !left.is_zero())
    }

    /// serenity's limiter would wait in here, unseen; whoever calls has better things to do meanwhile.
    async fn free(&self, what: &str, route: Route<'_>) -> Result<(), Fault> {
        // Answers to people are not limited (Receiving and Responding, Followup Messages), and can't wait.
        if matches!(route, Route::InteractionResponse { .. }) {
            return Ok(());
        }
        let wait = self
            .held_for(&route.path())
            .into_iter()
            .chain(self.empty_for(route).await)
            .chain(self.too_invalid())
            .max();
        wait.map_or(Ok(()), |after| Err(limited(what, after)))
    }

    /// How long the route's bucket stays empty.
    #[expect(clippy::disallowed_methods, reason = "serenity keeps a bucket's end as a time of day")]
    async fn empty_for(&self, route: Route<'_>) -> Option<Duration> {
        let routes = self.http.ratelimiter.as_ref()?.routes();
        let bucket = routes.read().await.get(&route.ratelimiting_bucket())?.clone();
        // Held for as long as its end is waited for.
        let Ok(bucket) = timeout(SHORT, bucket.lock()).await else { return Some(SHORT) };
        let left = bucket.reset()?.duration_since(SystemTime::now()).ok()?;
        (bucket.remaining() <= 0).then_some(left)
    }

    fn count_invalid(&self) {
        self.invalid.lock().unwrap_or_else(PoisonError::into_inner).push_back(Instant::now());
    }

    fn too_invalid(&self) -> Option<Duration> {
        let mut invalid = self.invalid.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while invalid.front().is_some_and(|at| now.duration_since(*at) >= INVALID_WITHIN) {
            invalid.pop_front();
        }
        let oldest = invalid.front().filter(|_| invalid.len() >= INVALID)?;
        Some(INVALID_WITHIN.saturating_sub(now.duration_since(*oldest)))
    }
}

fn limited(what: &str, after: Duration) -> Fault {
    let detail = format!("{what}: Discord takes no more of it for {:.1} s", after.as_secs_f32());
    Fault::RateLimited { after: Some(after), detail }
}
