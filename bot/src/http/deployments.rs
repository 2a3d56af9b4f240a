//! `POST /v1/deployments`: pipelines tell what they deployed.

use axum::{Json, body::Body, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::{Problem, auth::Caller, body};
use crate::{
    app::App,
    config::May,
    inbound::deployment::{Deployment, NotADeployment},
};

pub async fn record(
    State(app): State<App>,
    caller: Caller,
    sent: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must(May::Record)?;
    let sent = body::read(sent).await?;
    let deployment = Deployment::read(&sent)?.release(app.engine.now(), &caller.actor().id)?;
    let recorded = app.engine.record(&deployment).await?;
    let status = if recorded.new { StatusCode::CREATED } else { StatusCode::OK };
    let warnings: Vec<_> = app.engine.pool_is_missing(&deployment).await?.into_iter().collect();
    let answer = json!({
        "id": recorded.id.to_string(),
        "new": recorded.new,
        "service": deployment.service,
        "version": deployment.artifact.version,
        "digest": deployment.artifact.digest,
        "warnings": warnings,
    });
    Ok((status, Json(answer)))
}

impl From<NotADeployment> for Problem {
    fn from(error: NotADeployment) -> Self {
        match error {
            error @ NotADeployment::Json(_) => Self::new(StatusCode::BAD_REQUEST, error.to_string()),
            NotADeployment::Field { field, what } => Self::field(&field, what),
        }
    }
}
