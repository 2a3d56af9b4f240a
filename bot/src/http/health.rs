//! For orchestrators and load balancers: is the process up, and can it do its work?

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::Problem;
use crate::app::App;

/// The process answers.
pub async fn alive() -> Json<Value> {
    Json(json!({ "status": "up" }))
}

/// The store answers, too.
pub async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.engine.store.ping().await?;
    Ok(Json(json!({ "status": "ready" })))
}
