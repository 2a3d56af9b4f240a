//! `GET /v1/gate`: may this artifact be deployed to this service? Only 200 is an answer; everything else means that nobody
//! could tell.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use lastgood_core::{Digest, inventory::gate::Answer};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, auth::Caller};
use crate::{app::App, config::May};

#[derive(Deserialize)]
pub struct Asked {
    service: Option<String>,
    digest: Option<String>,
    version: Option<String>,
}

pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    caller.must(May::Gate)?;
    let Query(asked) = asked.map_err(|error| Problem::field("the query", error.body_text()))?;
    let name = asked.service.ok_or_else(|| Problem::field("service", "missing"))?;
    let service = app.engine.service(&name)?;
    let digest: Digest = match (asked.digest, asked.version) {
        (Some(digest), None) => digest.parse().map_err(|error| Problem::field("digest", error))?,
        (None, Some(version)) => app.engine.resolve(&service.id, &version).await?,
        (Some(_), Some(_)) => return Err(Problem::field("version", "give a digest or a version, not both")),
        (None, None) => return Err(Problem::field("digest", "missing (or give a version)")),
    };
    let answer = |allowed: bool, reasons: Vec<String>| {
        Json(json!({ "allowed": allowed, "reasons": reasons, "service": service.id, "digest": digest }))
    };
    match app.engine.gate(&name, &digest).await? {
        Answer::Allowed { reasons } => Ok(answer(true, reasons)),
        Answer::Denied { reasons } => Ok(answer(false, reasons)),
        Answer::CouldNotTell { reasons } => {
            Err(Problem::new(StatusCode::NOT_FOUND, format!("could not tell: {}", reasons.join("; "))))
        }
    }
}
