//! A registry that wants tokens, and answers badly in every way that the adapter tells apart.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use lastgood_adapters::{
    Fault,
    registry::{Registry as _, oci},
};
use lastgood_tests::real::registry::digest;
use serde_json::json;

use super::{Stage, kind, only, without};

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json"}"#;
const PASSWORD: &str = "correct horse";

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    OtherBytes,
    Limited,
    Broken,
    NoRegistry,
    Forbidden,
    TokenServiceDown,
    Redirecting,
    Looping,
}

#[derive(Clone)]
struct Standin {
    at: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Standin {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let standin = Self { at, mood: Arc::new(Mutex::new(Mood::Good)), tokens: Arc::default() };
        let app = Router::new().fallback(answer).with_state(standin.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        standin
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn adapter(&self, stage: &Stage, password: &str) -> oci::Oci {
        let config = json!({ "repository": format!("{}/shop/checkout", self.at), "plain_http": true,
            "username": "ana", "password": stage.secret("password", password) });
        let config: oci::Config = serde_json::from_value(config).unwrap();
        config.build(stage.http.clone()).unwrap()
    }
}

fn error(status: u16, code: &str) -> Response {
    let body = Json(json!({ "errors": [{ "code": code, "message": format!("said with {PASSWORD}") }] }));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

async fn answer(State(standin): State<Standin>, uri: Uri, headers: HeaderMap) -> Response {
    let mood = *standin.mood.lock().unwrap();
    let authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    if uri.path() == "/token" {
        return standin.token(mood, &uri, authorization);
    }
    if uri.path().starts_with("/elsewhere/") {
        assert_eq!(authorization, "", "a token went to where the registry redirected");
        return ([(header::CONTENT_TYPE, "application/json")], MANIFEST).into_response();
    }
    if mood == Mood::NoRegistry {
        return (StatusCode::NOT_FOUND, "<html>404</html>").into_response();
    }
    let known = standin.tokens.lock().unwrap().iter().any(|token| authorization == format!("Bearer {token}"));
    if !known {
        let challenge = format!(r#"Bearer realm="http://{}/token",service="test""#, standin.at);
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    let accept = headers.get("accept").map_or("", |value| value.to_str().unwrap());
    assert_eq!(accept.split(", ").count(), 4, "{accept}");
    match mood {
        Mood::OtherBytes => format!("{MANIFEST} ").into_response(),
        Mood::Limited => ([(header::RETRY_AFTER, "7")], error(429, "TOOMANYREQUESTS")).into_response(),
        Mood::Broken => (StatusCode::BAD_GATEWAY, "<html>no upstream</html>").into_response(),
        Mood::Forbidden => error(403, "DENIED"),
        // Another origin: the same server by its other name, where the token must not go.
        Mood::Redirecting => redirect(format!("http://localhost:{}/elsewhere/x", standin.at.port())),
        Mood::Looping => redirect(uri.to_string()),
        _ if uri.path().ends_with(&digest(MANIFEST.as_bytes())) => MANIFEST.into_response(),
        _ if uri.path().ends_with("/tags/list") => Json(json!({ "tags": ["v1"] })).into_response(),
        _ => error(404, "MANIFEST_UNKNOWN"),
    }
}

fn redirect(to: String) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
}

impl Standin {
    fn token(&self, mood: Mood, uri: &Uri, authorization: &str) -> Response {
        let query = uri.query().unwrap();
        assert!(query.contains("service=test"), "{query}");
        assert!(query.contains("shop") && query.contains("pull") && !query.contains("push"), "{query}");
        if mood == Mood::TokenServiceDown {
            return (StatusCode::SERVICE_UNAVAILABLE, "<html>503</html>").into_response();
        }
        if authorization != format!("Basic {}", BASE64_STANDARD.encode(format!("ana:{PASSWORD}"))) {
            return (StatusCode::UNAUTHORIZED, Json(json!({ "details": "incorrect username or password" })))
                .into_response();
        }
        let mut tokens = self.tokens.lock().unwrap();
        let token = format!("token-{}", tokens.len());
        tokens.push(token.clone());
        Json(json!({ "token": token, "expires_in": 300 })).into_response()
    }
}

#[tokio::test]
async fn a_token_is_fetched_kept_and_fetched_again_when_it_expired() {
    let (stage, standin) = (Stage::new(), Standin::start().await);
    let adapter = standin.adapter(&stage, PASSWORD);
    let digest = digest(MANIFEST.as_bytes()).parse().unwrap();
    let found = adapter.find(&digest).await.unwrap();
    assert_eq!(found.media_type, "application/vnd.docker.distribution.manifest.list.v2+json");
    adapter.find(&digest).await.unwrap();
    assert_eq!(standin.tokens.lock().unwrap().len(), 1, "the token is kept");

    *standin.tokens.lock().unwrap() = vec!["expired".to_owned()];
    adapter.find(&digest).await.unwrap();
    assert_eq!(standin.tokens.lock().unwrap().len(), 2, "another one is fetched");
    assert_eq!(only(adapter.check().await).0, "good");
    without("token-", &adapter);
}

#[tokio::test]
async fn every_bad_answer_is_told_apart() {
    let (stage, standin) = (Stage::new(), Standin::start().await);
    let adapter = standin.adapter(&stage, PASSWORD);
    let digest = digest(MANIFEST.as_bytes()).parse().unwrap();
    for (mood, wanted) in [
        (Mood::OtherBytes, "invalid"),
        (Mood::Limited, "rate limited"),
        (Mood::Broken, "unavailable"),
        (Mood::NoRegistry, "invalid"),
        (Mood::Forbidden, "denied"),
        (Mood::Looping, "invalid"),
    ] {
        standin.set(mood);
        let fault = adapter.find(&digest).await.unwrap_err();
        assert_eq!(kind(&fault), wanted, "{fault}");
        if let Fault::RateLimited { after, .. } = &fault {
            assert_eq!(*after, Some(Duration::from_secs(7)));
        }
        without(PASSWORD, (fault, adapter.check().await));
    }
    standin.set(Mood::Redirecting);
    adapter.find(&digest).await.unwrap();
    standin.set(Mood::Good);
    let unknown = format!("sha256:{}", "1".repeat(64)).parse().unwrap();
    assert_eq!(kind(&adapter.find(&unknown).await.unwrap_err()), "not found");
}

#[tokio::test]
async fn a_refusing_token_service_is_not_one_that_is_down() {
    let (stage, standin) = (Stage::new(), Standin::start().await);
    let digest = digest(MANIFEST.as_bytes()).parse().unwrap();
    let fault = standin.adapter(&stage, "hunter2").find(&digest).await.unwrap_err();
    assert_eq!(kind(&fault), "denied", "{fault}");
    without("hunter2", fault);
    standin.set(Mood::TokenServiceDown);
    let fault = standin.adapter(&stage, PASSWORD).find(&digest).await.unwrap_err();
    assert_eq!(kind(&fault), "unavailable", "{fault}");
}
