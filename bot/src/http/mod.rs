//! Webhooks, API, pages and metrics. Handlers verify, type, ask the engine, and answer; what is decided is decided there.

mod alerts;
mod auth;
mod body;
mod chats;
mod deployments;
mod gate;
mod health;
mod metrics;
mod page;
mod pagers;
mod problem;
mod rollbacks;
mod server;

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{app::App, chat::Talk};

pub use problem::Problem;
pub use server::{NotBound, bind, serve};

/// What one request may take in all.
const WITHIN: Duration = Duration::from_secs(30);

/// Every address that the server answers.
pub fn router(app: App, talk: Talk) -> Router {
    let chats = Router::new().route("/chat/{platform}/{door}", post(chats::receive)).with_state(talk);
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/v1/deployments", post(deployments::record))
        .route("/v1/gate", get(gate::ask))
        .route("/v1/alerts/alertmanager", post(alerts::alertmanager))
        .route("/v1/pagers/{name}/webhook", post(pagers::webhook))
        .route("/v1/rollbacks/{id}", get(rollbacks::show))
        .route("/rollbacks/{id}", get(page::show))
        .with_state(app)
        .merge(chats)
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn(bounded))
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
