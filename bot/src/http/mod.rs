//! Webhooks, API, pages and metrics. Handlers verify, type, ask the engine, and answer; what is decided is decided there.

mod alerts;
mod auth;
mod body;
mod chats;
mod connection;
mod deployments;
mod gate;
mod health;
mod metrics;
mod page;
mod pagers;
mod problem;
mod rollbacks;
mod server;
mod tls;

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use tokio::sync::Semaphore;

use crate::{app::App, chat::Talk};

pub use problem::Problem;
pub use server::{Listening, NotBound, bind, fitting, serve};
pub use tls::{Tls, Unusable};

/// What one request may take in all.
const WITHIN: Duration = Duration::from_secs(30);
/// How many requests of one kind are worked on at a time.
const AT_ONCE: usize = 64;

/// Every address that the server answers.
pub fn router(app: App, talk: Talk) -> Router {
    let chats =
        Router::new().route("/chat/{platform}/{door}", limited(post(chats::receive))).with_state(talk);
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/v1/deployments", limited(post(deployments::record)))
        .route("/v1/gate", get(gate::ask))
        .route(
            "/v1/alerts/alertmanager",
            limited(post(alerts::alertmanager).layer(Extension(body::Large::default()))),
        )
        .route("/v1/pagers/{name}/webhook", limited(post(pagers::webhook)))
        .route("/v1/rollbacks/{id}", get(rollbacks::show))
        .route("/rollbacks/{id}", get(page::show))
        .with_state(app)
        .merge(chats)
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn(bounded))
}

/// A door of its own for everybody who sends by itself: what one of them floods, the others don't feel.
fn limited<S: Clone + Send + Sync + 'static>(route: MethodRouter<S>) -> MethodRouter<S> {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    route.layer(middleware::from_fn_with_state(slots, not_too_many))
}

/// Senders repeat what is answered with 503; what waits here would only be lost later.
async fn not_too_many(State(slots): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match slots.try_acquire() {
        Ok(_held) => next.run(request).await,
        Err(_) => {
            Problem::unavailable(format!("{AT_ONCE} such requests are worked on already; send it again"))
                .into_response()
        }
    }
}

async fn nothing_here(request: Request) -> Problem {
    let detail = format!("nothing is at {}; the API is under /v1", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn not_so(method: Method, request: Request) -> Problem {
    let detail = format!("{} takes no {method}", request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Ends what takes too long, and sees to headers that every answer has.
async fn bounded(request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable(format!("not done within {} s", WITHIN.as_secs())).into_response(),
    };
    let status = response.status();
    let typed = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == problem::KIND);
    if (status.is_client_error() || status.is_server_error()) && !typed {
        // The framework's own refusals.
        response = Problem::new(status, "the request's path or headers can't be read").into_response();
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
